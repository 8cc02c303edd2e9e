from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import SHARED_DATA
from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import TableSpace, clustered_vectors, random_vectors, space_of
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.evaluation import space as space_module
from visexplore.core.evaluation.scores import Protocol, QueryScores, score, shared
from visexplore.core.evaluation.space import Space, block_size
from visexplore.core.images import decode


def everything(labels: Sequence[int] | NDArray[np.int32]) -> Protocol:
    """Leave one out: each image asks, all others are searched."""
    return Protocol(np.array(labels, np.int32), np.arange(len(labels)), np.arange(len(labels)))


# ---- against a naive sort


@dataclass(frozen=True)
class Naive:
    """What one query scores, by plain Python on lists."""

    values: dict[str, float]
    neighbours: list[int]
    predicted: int


def by_hand(space: TableSpace, protocol: Protocol, query: int, ks: Sequence[int], neighbours: int) -> Naive | None:
    covered = space.positions.tolist()
    labels = protocol.labels.tolist()
    if query not in covered or labels[query] < 0:
        return None
    near = dict(zip(covered, space.similarities(space.rows(np.array([query])))[0].tolist(), strict=True))
    groups = protocol.duplicates
    gallery = [
        image
        for image in protocol.gallery.tolist()
        if image in near and image != query and (groups is None or groups[image] != groups[query])
    ]
    ranking = sorted(gallery, key=lambda image: (-near[image], image))
    hits = [labels[image] == labels[query] for image in ranking]
    relevant = sum(hits)
    if not relevant:
        return None
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(relevant) if hits[rank]]
    voters = [labels[image] for image in ranking[:5] if labels[image] >= 0]
    votes = Counter(voters)
    predicted = max(voters, key=lambda label: (votes[label], -voters.index(label))) if voters else -1
    return Naive(
        {
            **{f"recall@{k}": float(any(hits[:k])) for k in ks},
            "r_precision": sum(hits[:relevant]) / relevant,
            "map_at_r": sum(precisions) / relevant,
            "knn_accuracy": float(predicted == labels[query]),
        },
        (ranking + [-1] * neighbours)[:neighbours],
        predicted,
    )


@st.composite
def tasks(draw: st.DrawFn) -> tuple[TableSpace, Protocol]:
    """Any protocol over a table with many equal similarities, images without labels, and images that are missing."""
    images = draw(st.integers(1, 14))
    numbers = st.integers(0, images - 1)
    covered = np.array(sorted(draw(st.sets(numbers, min_size=1))), np.int64)
    cells = draw(st.lists(st.integers(-2, 2), min_size=len(covered) ** 2, max_size=len(covered) ** 2))
    labels = draw(st.lists(st.integers(-1, 2), min_size=images, max_size=images))
    groups = draw(st.none() | st.lists(st.integers(0, 6), min_size=images, max_size=images))
    protocol = Protocol(
        np.array(labels, np.int32),
        np.array(draw(st.permutations(sorted(draw(st.sets(numbers))))), np.int64),
        np.array(sorted(draw(st.sets(numbers))), np.int64),
        None if groups is None else np.array(groups, np.int64),
    )
    return TableSpace(np.array(cells).reshape(len(covered), -1) / 2, covered), protocol


@settings(max_examples=300)
@given(task=tasks(), ks=st.lists(st.integers(1, 20), min_size=1, max_size=3), neighbours=st.integers(0, 8))
def test_scores_are_those_of_a_naive_sort(task: tuple[TableSpace, Protocol], ks: list[int], neighbours: int) -> None:
    space, protocol = task
    found = score(space, protocol, ks, neighbours=neighbours)
    expected = {query: by_hand(space, protocol, query, ks, neighbours) for query in protocol.queries.tolist()}
    scored = {query: naive for query, naive in expected.items() if naive}
    assert found.queries.tolist() == list(scored)
    for row, naive in enumerate(scored.values()):
        assert {name: values[row] for name, values in found.values.items()} == pytest.approx(naive.values, abs=1e-12)
        assert found.neighbours[row].tolist() == naive.neighbours
        assert found.predicted[row] == naive.predicted
    could_ask = [q for q in protocol.queries.tolist() if q in space.positions and protocol.labels[q] >= 0]
    assert found.alone == len(could_ask) - len(scored)


@settings(max_examples=50)
@given(task=tasks(), block=st.integers(1, 40))
def test_the_size_of_blocks_changes_nothing(task: tuple[TableSpace, Protocol], block: int) -> None:
    space, protocol = task
    whole = score(space, protocol)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space_module, "_BLOCK_FLOATS", block)
        assert_same(score(space, protocol), whole)


def assert_same(one: QueryScores, other: QueryScores) -> None:
    assert one.alone == other.alone
    for a, b in [
        (one.queries, other.queries),
        (one.neighbours, other.neighbours),
        (one.predicted, other.predicted),
        *((one.values[name], other.values[name]) for name in other.values),
    ]:
        np.testing.assert_array_equal(a, b)


@settings(max_examples=50)
@given(seed=st.integers(0, 99))
def test_the_order_of_the_dataset_does_not_matter_where_nothing_is_equally_near(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, size=40).astype(np.int32)
    vectors = clustered_vectors(labels, 12, 1.0, seed)
    order = random.permutation(40)
    straight, shuffled = (
        score(space_of(vectors), everything(labels)),
        score(space_of(vectors[order]), everything(labels[order])),
    )
    for name in straight.values:
        assert shuffled.mean(name) == pytest.approx(straight.mean(name), abs=1e-12)


@given(seed=st.integers(0, 99))
def test_scores_keep_their_bounds_and_their_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, size=60).astype(np.int32)
    values = score(space_of(random_vectors(60, 8, seed)), everything(labels), ks=(1, 2, 7)).values
    assert all(((numbers >= 0) & (numbers <= 1)).all() for numbers in values.values())
    assert (values["recall@1"] <= values["recall@2"]).all()
    assert (values["recall@2"] <= values["recall@7"]).all()
    assert (values["map_at_r"] <= values["r_precision"] + 1e-12).all()


def test_a_perfect_space_scores_one_and_the_worst_scores_nothing() -> None:
    labels = np.repeat(np.arange(6, dtype=np.int32), 7)
    same = (labels[:, None] == labels).astype(np.float32)
    assert set(map(float, np.concatenate(list(score(TableSpace(same), everything(labels)).values.values())))) == {1.0}
    worst = score(TableSpace(-same), everything(labels)).values
    assert all((numbers == 0).all() for numbers in worst.values())


# ---- what the protocol says


def test_equal_similarities_come_in_the_order_of_the_dataset() -> None:
    found = score(TableSpace(np.zeros((4, 4))), everything([0, 0, 1, 1]), neighbours=3)
    assert found.neighbours.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_the_query_is_left_out_by_its_position_and_its_copy_is_not() -> None:
    vectors = random_vectors(3, 8)[[0, 1, 0, 2]]
    found = score(space_of(vectors), everything([0, 1, 0, 1]), neighbours=1)
    assert found.neighbours[[0, 2], 0].tolist() == [2, 0]


def test_near_duplicates_are_left_out_on_request() -> None:
    vectors = random_vectors(3, 8)[[0, 1, 0, 2]]
    labels = np.zeros(4, np.int32)
    groups = np.array([0, 1, 0, 2])
    found = score(space_of(vectors), Protocol(labels, np.arange(4), np.arange(4), groups), neighbours=3)
    assert set(found.neighbours[0].tolist()) == {1, 3, -1}
    assert set(found.neighbours[1].tolist()) == {0, 2, 3}


def test_queries_without_another_image_of_their_label_are_left_out_and_counted() -> None:
    found = score(space_of(random_vectors(5, 8)), everything([0, 0, 1, 2, -1]))
    assert (found.queries.tolist(), found.alone) == ([0, 1], 2)


def test_a_query_outside_the_gallery_is_not_searched() -> None:
    labels = np.array([0, 0, 0, 1, 1], np.int32)
    found = score(space_of(random_vectors(5, 8)), Protocol(labels, np.array([0, 3]), np.array([1, 2, 4])), neighbours=5)
    for row in found.neighbours.tolist():
        assert set(row) == {1, 2, 4, -1}


def test_a_tie_of_votes_goes_to_the_class_met_first() -> None:
    table = np.array([[0, 5, 4, 3, 2, 1, 0]] * 7)
    found = score(TableSpace(table), Protocol(np.array([2, 1, 2, 2, 1, 3, 2], np.int32), np.array([0]), np.arange(7)))
    assert found.predicted.tolist() == [1]
    assert found.values["knn_accuracy"].tolist() == [0.0]


def test_images_without_a_label_have_no_vote() -> None:
    table = np.array([[0, 5, 4, 3, 2, 1, 0]] * 7)
    found = score(
        TableSpace(table), Protocol(np.array([1, -1, -1, -1, -1, 1, 1], np.int32), np.array([0]), np.arange(7))
    )
    assert found.predicted.tolist() == [1]


@pytest.mark.parametrize("gallery", [[2, 1, 3], [1, 1, 2]])
def test_a_gallery_out_of_order_is_refused(gallery: list[int]) -> None:
    with pytest.raises(ValueError, match="order of the dataset"):
        score(space_of(random_vectors(4, 8)), Protocol(np.zeros(4, np.int32), np.arange(4), np.array(gallery)))


@pytest.mark.parametrize(("queries", "gallery"), [([], []), ([0, 1], []), ([], [0, 1]), ([0], [0])])
def test_nothing_to_score_gives_empty_scores(queries: list[int], gallery: list[int]) -> None:
    protocol = Protocol(np.zeros(3, np.int32), np.array(queries, np.int64), np.array(gallery, np.int64))
    found = score(space_of(random_vectors(3, 8)), protocol, neighbours=4)
    assert found.alone == len(queries)
    assert found.neighbours.shape == (0, 4)
    assert {len(values) for values in found.values.values()} == {0}
    assert np.isnan(found.mean("recall@1"))


def test_spaces_are_compared_on_the_images_that_all_of_them_cover() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1], np.int32)
    spaces: list[Space] = [
        TableSpace(np.eye(4), np.array([0, 1, 2, 4])),
        TableSpace(np.eye(5), np.array([0, 1, 3, 4, 5])),
    ]
    common = shared(everything(labels), spaces)
    assert common.queries.tolist() == common.gallery.tolist() == [0, 1, 4]
    assert [score(space, common).queries.tolist() for space in spaces] == [[0, 1]] * 2


# ---- against pytorch-metric-learning


def assert_equal_to_reference(space: Space, vectors: NDArray[np.float32], protocol: Protocol) -> None:
    """Compare with pytorch-metric-learning, which ranks `vectors` by Euclidean distance with FAISS."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    calculator = AccuracyCalculator(include=("precision_at_1", "r_precision", "mean_average_precision_at_r"), k=None)
    expected = calculator.get_accuracy(
        torch.from_numpy(vectors[protocol.queries]),
        torch.from_numpy(protocol.labels[protocol.queries]),
        torch.from_numpy(vectors[protocol.gallery]),
        torch.from_numpy(protocol.labels[protocol.gallery]),
        ref_includes_query=len(protocol.gallery) == len(vectors),
    )
    found = score(space, protocol)
    assert 0.05 < found.mean("map_at_r") < 0.95  # neither too easy nor too hard to tell much
    assert found.mean("recall@1") == pytest.approx(expected["precision_at_1"], abs=1e-6)
    assert found.mean("r_precision") == pytest.approx(expected["r_precision"], abs=1e-6)
    assert found.mean("map_at_r") == pytest.approx(expected["mean_average_precision_at_r"], abs=1e-6)


def whole_numbers(labels: NDArray[np.int32], noise: int, seed: int) -> tuple[Space, NDArray[np.float32]]:
    """Return a space by Euclidean distance, and its vectors; float32 holds all distances exactly.

    So both sides rank the same numbers: of some thousand rounded distances, a few would change places.
    """
    random = np.random.default_rng(seed)
    centres = random.integers(-200, 200, size=(int(labels.max()) + 1, 32))
    vectors = np.clip(centres[labels] + random.integers(-noise, noise, size=(len(labels), 32)), -400, 400)
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    assert squares.max() < 2**24
    return TableSpace(-squares), vectors.astype(np.float32)


@pytest.mark.parametrize(("images", "classes", "noise"), [(300, 20, 300), (300, 6, 350), (400, 250, 200)])
def test_leaving_one_out_equals_pytorch_metric_learning(images: int, classes: int, noise: int) -> None:
    labels = np.random.default_rng(1).integers(0, classes, size=images).astype(np.int32)
    space, vectors = whole_numbers(labels, noise, seed=2)
    assert_equal_to_reference(space, vectors, everything(labels))


def test_query_and_gallery_equal_pytorch_metric_learning() -> None:
    labels = np.random.default_rng(1).integers(0, 30, size=400).astype(np.int32)
    space, vectors = whole_numbers(labels, 300, seed=2)
    assert_equal_to_reference(space, vectors, Protocol(labels, np.arange(0, 150), np.arange(150, 400)))


def test_real_embeddings_equal_pytorch_metric_learning(sample: Embedded) -> None:
    assert_equal_to_reference(sample.space, sample.space.vectors, everything(sample.labels))
    assert 0.5 < score(sample.space, everything(sample.labels)).mean("recall@1") < 1


@pytest.mark.slow
def test_real_photos_equal_an_independent_computation(lite0: Encoder) -> None:
    """Clothing, leave one out, the query masked by its position: in float64, by a plain sort."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real photos beside the checkout")
    dataset = open_dataset(str(SHARED_DATA / "clothing" / "test"))
    records = dataset.records[::2]
    names = sorted(dataset.label_counts)
    labels = np.array([names.index(record.label or "") for record in records], np.int32)
    pixels = [lite0.preprocess(decode(dataset.read(record))) for record in records]
    vectors = np.concatenate([lite0.embed_images(np.stack(pixels[at : at + 32])) for at in range(0, len(pixels), 32)])
    cosines = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")
    found = score(space_of(vectors), everything(labels))
    assert found.mean("recall@1") == (labels[nearest[:, 0]] == labels).mean()
    assert found.mean("recall@5") == (labels[nearest[:, :5]] == labels[:, None]).any(axis=1).mean()
    assert_equal_to_reference(space_of(vectors), vectors, everything(labels))


# ---- memory


@pytest.mark.parametrize("classes", [2500, 4])
def test_memory_is_that_of_a_block(classes: int) -> None:
    """All similarities would take 1.6 GB; with few classes, half of each ranking has to be sorted."""
    images = 20_000
    space = space_of(random_vectors(images, 16))
    labels = (np.arange(images) % classes).astype(np.int32)
    tracemalloc.start()
    score(space, Protocol(labels, np.arange(2 * block_size(images)), np.arange(images)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (300e6 if classes > 1000 else 800e6)
