from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.evaluation.conftest import Embedded
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.slices import contradicted, most_confused, only_right, slices

# ---- slices


def test_slices_have_the_means_of_their_queries_the_largest_first() -> None:
    values = {"a": np.array([1, 0, 1, 1, 0.5]), "b": np.array([0, 0, 1, 0, 1])}
    found = slices(values, ["hat", "shoe", "hat", None, "shoe"])
    assert [(part.name, part.queries, part.means) for part in found] == [
        ("hat", 2, {"a": 1.0, "b": 0.5}),
        ("shoe", 2, {"a": 0.25, "b": 0.5}),
    ]
    assert [part.winner for part in found] == ["a", "b"]


def test_equally_good_models_share_the_slice() -> None:
    [part] = slices({"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}, ["x", "x"])
    assert (part.winner, part.sure) == (None, False)


def test_a_winner_is_sure_where_it_wins_nearly_always() -> None:
    queries = 60
    names = np.repeat(["clear", "close"], queries)
    better = np.concatenate([np.ones(queries), np.arange(queries) % 2])
    worse = np.concatenate([np.arange(queries) % 3 == 0, (np.arange(queries) + 1) % 2]).astype(float)
    worse[-2] = 0
    found = {part.name: part for part in slices({"a": better, "b": worse}, names.tolist())}
    assert (found["clear"].winner, found["clear"].sure) == ("a", True)
    assert (found["close"].winner, found["close"].sure) == ("a", False)


def test_a_winner_must_beat_every_other_model() -> None:
    good, bad = np.ones(40), np.zeros(40)
    nearly = good.copy()
    nearly[0] = 0
    [part] = slices({"bad": bad, "good": good, "nearly": nearly}, ["x"] * 40)
    assert (part.winner, part.sure) == ("good", False)


def test_a_slice_of_five_queries_is_never_sure() -> None:
    found = slices({"a": np.ones(11), "b": np.zeros(11)}, ["five"] * 5 + ["six"] * 6)
    assert {part.name: part.sure for part in found} == {"five": False, "six": True}


def test_among_equally_good_models_hardly_any_slice_is_sure() -> None:
    random = np.random.default_rng(0)
    names = [f"class {number % 20}" for number in range(800)]
    wrong = 0
    for _ in range(20):
        values = {model: (random.random(800) < 0.6).astype(float) for model in "ab"}
        wrong += any(part.sure for part in slices(values, names))
    assert wrong <= 3


def test_one_model_wins_without_being_sure_of_it() -> None:
    [part] = slices({"a": np.ones(50)}, ["x"] * 50)
    assert (part.winner, part.sure) == ("a", False)


def test_each_query_needs_its_attribute() -> None:
    with pytest.raises(ValueError, match="attribute"):
        slices({"a": np.ones(3)}, ["x"])


def test_two_hundred_classes_take_seconds() -> None:
    random = np.random.default_rng(0)
    values = {model: (random.random(8000) < 0.6).astype(float) for model in "abc"}
    started = time.process_time()
    assert len(slices(values, [f"class {number % 196}" for number in range(8000)])) == 196
    assert time.process_time() - started < 5  # 0.6 s as measured


@settings(max_examples=30)
@given(seed=st.integers(0, 999))
def test_slices_together_have_the_mean_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = {"a": random.random(50), "b": random.random(50)}
    found = slices(values, [str(number) for number in random.integers(0, 6, 50)])
    for model, scores in values.items():
        assert sum(part.queries * part.means[model] for part in found) / 50 == pytest.approx(scores.mean())


# ---- confusions


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), max_size=40))
def test_confusions_are_counted(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    found = most_confused(labels, predicted)
    wrong = Counter((label, guess) for label, guess in pairs if guess not in (label, -1))
    assert {(one.label, one.predicted): one.count for one in found} == wrong
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)
    assert all(one.of == sum(label == one.label for label, _ in pairs) for one in found)


def test_of_equal_counts_the_larger_share_of_a_class_comes_first() -> None:
    labels, predicted = np.array([0, 0, 0, 0, 1, 1], np.int32), np.array([1, 1, 0, 0, 0, 0], np.int32)
    assert [(one.label, one.predicted, one.count, one.of) for one in most_confused(labels, predicted)] == [
        (1, 0, 2, 2),
        (0, 1, 2, 4),
    ]


# ---- only one is right


def test_queries_that_only_one_model_gets_right() -> None:
    correct = {"a": np.array([1.0, 1, 0, 0, 1]), "b": np.array([0.0, 1, 1, 0, 0]), "c": np.array([0.0, 0, 0, 0, 1])}
    assert {model: rows.tolist() for model, rows in only_right(correct).items()} == {"a": [0], "b": [2], "c": []}


def test_a_model_without_rivals_is_not_the_only_one() -> None:
    assert only_right({"a": np.ones(3)})["a"].tolist() == []
    assert only_right({}) == {}


# ---- labels that are contradicted


def test_a_label_is_suspect_where_all_models_see_most_neighbours_in_one_other_class() -> None:
    labels = np.array([0, 0, 0, 0], np.int32)
    one = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 1, 1]], np.int32)
    other = np.array([[1, 1, 1, 1, 1], [2, 2, 2, 0, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]], np.int32)
    found = contradicted(labels, {"a": one, "b": other})
    assert [(suspect.row, suspect.label, suspect.suggested) for suspect in found] == [(2, 0, 1), (0, 0, 1)]
    assert [suspect.share for suspect in found] == pytest.approx([1.0, 0.8])


def test_half_of_the_neighbours_is_no_majority() -> None:
    assert contradicted(np.array([0], np.int32), {"a": np.array([[1, 1, 0, 2]], np.int32)}) == []
    assert contradicted(np.array([0], np.int32), {"a": np.array([[1, 1, 1, -1, -1, -1]], np.int32)}) == []
    assert contradicted(np.array([0], np.int32), {}) == []


@settings(max_examples=200)
@given(data=st.data(), k=st.integers(1, 6), models=st.integers(1, 3))
def test_suspects_are_those_of_a_count(data: st.DataObject, k: int, models: int) -> None:
    row = st.lists(st.integers(-1, 2), min_size=k, max_size=k)
    near = {str(model): np.array(data.draw(st.lists(row, min_size=4, max_size=4)), np.int32) for model in range(models)}
    labels = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=4, max_size=4)), np.int32)
    expected = {
        (query, other)
        for query in range(4)
        for other in range(3)
        if labels[query] >= 0
        and labels[query] != other
        and all((rows[query] == other).sum() * 2 > k for rows in near.values())
    }
    assert {(suspect.row, suspect.suggested) for suspect in contradicted(labels, near)} == expected


def test_labels_that_were_exchanged_on_purpose_are_found(sample: Embedded) -> None:
    """Of pictures whose neighbours were all right, a wrong label is contradicted by them."""
    images = np.arange(len(sample.labels))
    right = score(sample.space, Protocol(sample.labels, images, images), neighbours=3)
    neighbours = sample.labels[right.neighbours]
    safe = right.queries[(neighbours == sample.labels[right.queries][:, None]).all(axis=1)][:40:8]
    wrong = sample.labels.copy()
    wrong[safe] = (wrong[safe] + 20) % 50
    found = {suspect.row: suspect.suggested for suspect in contradicted(wrong, {"lite0": neighbours})}
    assert {row: sample.labels[row] for row in safe} == {row: found[row] for row in safe}
