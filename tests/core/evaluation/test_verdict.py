from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.evaluation.spaces import clustered_vectors
from visexplore.core.comparison import Comparison, Cost, Kind
from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import UserError
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.evaluation.verdict import Contender, cost_together, judge

CLASSES, EACH = 8, 10
LABELS = (np.arange(CLASSES * EACH) // EACH).astype(np.int32)


def dataset_of(labels: list[str | None]) -> Dataset:
    records = [
        ImageRecord(f"{'left' if n % 2 else 'right'}/{n:03}.jpg", f"/{n}", 1000 * (n + 1), 0, label)
        for n, label in enumerate(labels)
    ]
    return Dataset("folder:/x", "x", "x", records)


LABELLED = dataset_of([f"class {label}" for label in LABELS])


def contender(
    name: str, noise: float, *, kind: Kind = "model", rate: float | None = 100.0, dim: int = 16, seed: int = 0
) -> Contender:
    space = EmbeddingSpace(name, np.arange(len(LABELS)), clustered_vectors(LABELS, dim, noise, seed))
    cost = Cost(dim, 2_000_000 * dim, images_per_second=rate)
    return Contender(kind, name, f"recipe of {name}", "1", space, cost)


def verdict(*contenders: Contender, dataset: Dataset = LABELLED, **options: object) -> Comparison:
    labelled = bool(dataset.label_counts)
    return judge(dataset, dataset.evaluation(labelled=labelled), contenders, labelled=labelled, **options)  # type: ignore[arg-type]


GOOD, FAIR, POOR = contender("good", 0.2), contender("fair", 1.0), contender("poor", 3.0)


def test_rows_are_ordered_by_the_main_score_and_hold_what_score_says() -> None:
    found = verdict(POOR, GOOD, FAIR)
    assert [row.model for row in found.models] == ["good", "fair", "poor"]
    plain = score(FAIR.space, Protocol(LABELS, np.arange(80), np.arange(80)), (1, 5, 10))
    assert {name: interval.value for name, interval in found.row("fair").scores.items()} == pytest.approx(
        {name: plain.mean(name) for name in plain.values}
    )
    assert list(found.models[0].scores) == [
        "recall@1",
        "recall@5",
        "recall@10",
        "map_at_r",
        "r_precision",
        "knn_accuracy",
    ]
    assert (found.queries, found.gallery, found.alone, found.not_covered) == (80, 80, 0, 0)


def test_another_main_score_may_order_them_otherwise_and_is_added_where_it_is_missing() -> None:
    found = verdict(GOOD, FAIR, main="recall@3", ks=[1])
    assert found.main == "recall@3"
    assert found.ks == (1, 3)
    assert "recall@3" in found.models[0].scores


@pytest.mark.parametrize("main", ["recall", "recall@0", "recall@x", "accuracy"])
def test_an_unknown_score_is_told_with_the_known_ones(main: str) -> None:
    with pytest.raises(UserError, match=r"no score .*map_at_r"):
        verdict(GOOD, FAIR, main=main)


def test_different_models_have_different_letters_and_equal_ones_share_one() -> None:
    twin = replace(GOOD, space=EmbeddingSpace("twin", np.arange(80), GOOD.space.vectors))  # type: ignore[attr-defined]
    found = verdict(GOOD, twin, POOR)
    assert found.row("good").group == found.row("twin").group == "a"
    assert found.row("poor").group == "b"
    assert {(pair.a, pair.b): pair.verdict for pair in found.pairs}["good", "poor"] == "better"


def test_baselines_are_scored_but_take_no_part_in_pairs_letters_and_marks() -> None:
    found = verdict(FAIR, contender("chance", 50.0, kind="baseline", rate=1e6, dim=2), POOR)
    row = found.row("chance")
    assert row.scores
    assert (row.group, row.pareto) == ("", False)
    assert {name for pair in found.pairs for name in (pair.a, pair.b)} == {"fair", "poor"}
    assert {one.model for one in found.mistaken} <= {"fair", "poor"}


def test_the_pareto_mark_is_for_what_nothing_beats_in_quality_speed_and_size() -> None:
    slow = contender("slow and good", 0.2, rate=10)
    quick = contender("quick and fair", 1.0, rate=1000)
    beaten = contender("slow and poor", 3.0, rate=5)
    found = verdict(slow, quick, beaten)
    assert {row.model for row in found.models if row.pareto} == {"slow and good", "quick and fair"}


def test_speeds_that_hardly_differ_are_the_same() -> None:
    found = verdict(contender("a", 0.2, rate=100), contender("b", 3.0, rate=105))
    assert {row.model for row in found.models if row.pareto} == {"a"}


def test_a_speed_that_is_not_known_beats_nothing_and_costs_nothing() -> None:
    found = verdict(contender("a", 0.2, rate=None), contender("b", 3.0, rate=1000))
    assert {row.model for row in found.models if row.pareto} == {"a"}


def test_all_models_answer_what_all_of_them_cover() -> None:
    partial = replace(FAIR, space=EmbeddingSpace("partial", np.arange(60), clustered_vectors(LABELS, 16, 1.0)[:60]))
    found = verdict(GOOD, partial)
    assert (found.queries, found.not_covered) == (60, 20)


def test_scores_without_near_duplicates_leave_copies_out() -> None:
    vectors = normalise(np.random.default_rng(0).normal(size=(80, 32)))
    vectors[1::2] = vectors[::2]  # each image has a copy beside it, of the same class
    one = replace(GOOD, space=EmbeddingSpace("copies", np.arange(80), vectors))
    found = verdict(one)
    row = found.row("copies")
    assert found.duplicates == 80
    assert row.scores["recall@1"].value == 1
    assert row.without_duplicates["recall@1"] < 0.4
    assert verdict(one, duplicates=False).row("copies").without_duplicates == {}


def test_files_of_the_same_bytes_are_duplicates_whatever_a_model_says() -> None:
    keys = [f"{n // 2}" for n in range(80)]
    found = verdict(FAIR, content_keys=keys)
    assert found.duplicates == 80
    assert verdict(FAIR).duplicates == 0


def test_slices_tell_classes_folders_and_sizes() -> None:
    found = verdict(GOOD, POOR)
    assert {part.by for part in found.slices} == {"label", "folder", "size"}
    [left] = [part for part in found.slices if part.name == "left"]
    assert (left.queries, left.winner, left.sure) == (40, "good", True)


def test_folders_that_are_the_labels_are_told_once() -> None:
    records = [ImageRecord(f"{label}/{n}.jpg", f"/{n}", 1000, 0, str(label)) for n, label in enumerate(LABELS)]
    found = verdict(GOOD, POOR, dataset=Dataset("folder:/x", "x", "x", records))
    assert {part.by for part in found.slices} == {"label"}


def test_confused_classes_come_with_a_query_and_the_neighbour_that_misled() -> None:
    found = verdict(GOOD, POOR)
    first = next(one for one in found.mistaken if one.model == "poor")
    assert LABELLED.record(first.query).label == first.label
    assert LABELLED.record(first.neighbour).label == first.taken_for
    assert 0 < first.count <= first.of == EACH


def test_queries_that_one_model_alone_gets_right_are_listed() -> None:
    found = verdict(GOOD, POOR)
    everything = Protocol(LABELS, np.arange(80), np.arange(80))
    good, poor = (score(one.space, everything).values["recall@1"] == 1 for one in (GOOD, POOR))
    alone = {one.image_id for one in found.only_right if one.model == "good"}
    assert alone == {LABELLED.records[n].image_id for n in np.flatnonzero(good & ~poor)[:50]} != set()


def test_a_label_that_all_models_contradict_is_suspected() -> None:
    wrong = dataset_of([f"class {label}" for label in (LABELS + (np.arange(80) == 7))])
    found = verdict(GOOD, contender("second", 0.2, seed=1), dataset=wrong)
    assert [(one.image_id, one.label, one.suggested) for one in found.suspected] == [
        (wrong.records[7].image_id, "class 1", "class 0")
    ]


def test_the_most_contested_queries_come_first() -> None:
    found = verdict(GOOD, FAIR, POOR)
    how_much = [one.disagreement for one in found.contested]
    assert how_much == sorted(how_much, reverse=True)
    assert len(found.agreement) == 3


def test_without_labels_models_are_compared_by_agreement_and_proxies() -> None:
    found = verdict(GOOD, POOR, dataset=dataset_of([None] * 80))
    assert not found.labelled
    assert [row.model for row in found.models] == ["good", "poor"]
    assert all(row.scores == {} and not row.pareto for row in found.models)
    assert found.queries == 80
    assert len(found.agreement) == 1
    assert len(found.contested) > 0
    assert all(row.effective_rank and math.isfinite(row.hubness) for row in found.models)


def test_labels_of_which_each_is_there_once_are_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match="No query of x has an answer"):
        verdict(GOOD, dataset=dataset_of([str(n) for n in range(80)]))


def test_a_stopped_comparison_ends_between_two_models() -> None:
    with pytest.raises(UserError, match="stopped"):
        verdict(GOOD, FAIR, cancelled=lambda: True)


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="Two of the models are called good"):
        verdict(GOOD, POOR, contender("good", 1.0))


def test_one_image_alone_can_be_looked_at(tmp_path: Path) -> None:
    single = Dataset("folder:/x", "x", "x", [ImageRecord("a.jpg", "/a", 1, 0)])
    one = replace(GOOD, space=EmbeddingSpace("good", np.arange(1), np.ones((1, 4), np.float32)))
    assert verdict(one, dataset=single).queries == 1


def test_several_models_together_take_the_time_of_all() -> None:
    costs = [Cost(8, 16, 5, 100.0, "cpu", "float32", None, "MIT"), Cost(4, 8, 7, 50.0, "cpu", "float32", None, "MIT")]
    found = cost_together(costs, GOOD.space)
    assert found.images_per_second == pytest.approx(100 / 3)
    assert (found.parameters, found.licence, found.device) == (12, "MIT", "cpu")
    assert cost_together([costs[0], Cost(4, 8)], GOOD.space).images_per_second is None


def test_json_has_a_recall_table_and_no_nan() -> None:
    import json

    document = verdict(GOOD, replace(FAIR, cost=Cost(None, 1))).as_json()
    text = json.dumps(document, allow_nan=False)
    row = json.loads(text)["models"][0]
    assert set(row["recall"]) == {"1", "5", "10"}
    assert set(row["recall"]["1"]) == {"value", "low", "high"}
    assert {
        "model",
        "map_at_r",
        "r_precision",
        "knn_accuracy",
        "dim",
        "parameters",
        "images_per_second",
        "bytes_per_million",
        "licence",
        "pareto",
    } <= set(row)
