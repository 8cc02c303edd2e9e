from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import space_of
from visexplore.core.evaluation.agreement import (
    agreements,
    disagreement,
    most_contested,
    overlap,
    rank_biased_overlap,
)
from visexplore.core.evaluation.scores import Protocol, score


@st.composite
def rankings(draw: st.DrawFn, count: int = 2) -> list[np.ndarray]:
    """Return `count` rankings of the same queries: none of a row twice, -1 where it is shorter."""
    queries, k = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    one = st.permutations(range(8)).map(lambda row: row[:k])
    shorter = st.tuples(one, st.integers(0, k)).map(lambda row: row[0][: row[1]] + [-1] * (k - row[1]))
    return [np.array(draw(st.lists(one | shorter, min_size=queries, max_size=queries))) for _ in range(count)]


def by_hand(one: list[int], other: list[int], p: float) -> float:
    """Return the extrapolated rank-biased overlap by its definition, with sets."""
    depth = min(len([x for x in one if x >= 0]), len([x for x in other if x >= 0]))
    if not depth:
        return 1.0
    share = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, depth + 1)]
    known = sum(agreement * (1 - p) * p**d for d, agreement in enumerate(share))
    return known + share[-1] * p**depth


@given(pair=rankings(), p=st.floats(0.05, 0.99))
def test_rank_biased_overlap_is_the_weighted_agreement_at_each_depth(pair: list[np.ndarray], p: float) -> None:
    one, other = pair
    expected = [by_hand(a, b, p) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    np.testing.assert_allclose(rank_biased_overlap(one, other, p), expected, atol=1e-12)


def test_rank_biased_overlap_of_a_worked_example() -> None:
    """First ranks agree, then one of two, then two of three: X = 1, 1, 2."""
    found = rank_biased_overlap(np.array([[1, 2, 3]]), np.array([[1, 3, 4]]), p=0.5)
    assert found == pytest.approx([0.5 * (1 + 0.5 / 2 + 0.25 * 2 / 3) + 0.125 * 2 / 3])


@given(pair=rankings())
def test_agreement_is_symmetric_and_between_0_and_1(pair: list[np.ndarray]) -> None:
    one, other = pair
    for measure in (overlap, rank_biased_overlap):
        found = measure(one, other)
        np.testing.assert_array_equal(found, measure(other, one))
        assert ((found >= 0) & (found <= 1)).all()


@given(pair=rankings())
def test_a_ranking_agrees_with_itself_and_not_with_other_images(pair: list[np.ndarray]) -> None:
    one, _ = pair
    elsewhere = np.where(one >= 0, one + 100, -1)
    some = (one >= 0).any(axis=1)
    for measure in (overlap, rank_biased_overlap):
        np.testing.assert_allclose(measure(one, one), 1)
        np.testing.assert_allclose(measure(one, elsewhere), np.where(some, 0, 1))


@given(pair=rankings(), shift=st.integers(1, 50))
def test_names_of_images_do_not_matter(pair: list[np.ndarray], shift: int) -> None:
    one, other = pair
    renamed = [np.where(ranking >= 0, (ranking * 7 + shift) % 101, -1) for ranking in pair]
    np.testing.assert_array_equal(rank_biased_overlap(one, other), rank_biased_overlap(*renamed))


def test_overlap_does_not_see_the_order_but_rank_biased_overlap_does() -> None:
    one, turned = np.array([[1, 2, 3, 4, 5]]), np.array([[5, 4, 3, 2, 1]])
    assert overlap(one, turned).tolist() == [1]
    assert rank_biased_overlap(one, turned)[0] < 0.8


def test_the_first_rank_counts_most() -> None:
    one = np.array([[1, 2, 3, 4]])
    first, last = rank_biased_overlap(one, np.array([[9, 2, 3, 4]])), rank_biased_overlap(one, np.array([[1, 2, 3, 9]]))
    assert first < last


@pytest.mark.parametrize("p", [0, 1, -0.5, 2])
def test_persistence_is_between_0_and_1(p: float) -> None:
    with pytest.raises(ValueError, match="persistence"):
        rank_biased_overlap(np.array([[1]]), np.array([[1]]), p)


def test_rankings_of_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="same queries"):
        overlap(np.zeros((2, 3), np.int64), np.zeros((2, 4), np.int64))


def test_the_most_contested_queries_come_first_and_equal_ones_in_order() -> None:
    one = np.array([[1, 2], [1, 2], [1, 2], [1, 2]])
    other = np.array([[1, 2], [8, 9], [2, 1], [6, 7]])
    assert most_contested({"a": one, "b": other}).tolist() == [1, 3, 2, 0]
    assert most_contested({"a": one, "b": other}, [40, 10, 20, 30]).tolist() == [10, 30, 20, 40]
    many = np.tile(one, (250, 1))
    assert most_contested({"a": many, "b": many + 5 * (np.arange(1000) % 2)[:, None]}).tolist() == [
        *range(1, 1000, 2),
        *range(0, 1000, 2),
    ]


@given(three=rankings(3))
def test_disagreement_is_the_mean_of_all_pairs(three: list[np.ndarray]) -> None:
    found = agreements(dict(zip("abc", three, strict=True)))
    assert [(pair.a, pair.b) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    expected = 1 - np.mean([pair.rank_biased_overlap for pair in found], axis=0)
    np.testing.assert_allclose(disagreement(dict(zip("abc", three, strict=True))), expected)


def test_one_model_alone_contests_nothing() -> None:
    with pytest.raises(ValueError, match="two models"):
        most_contested({"a": np.array([[1, 2]])})


def test_a_model_agrees_more_with_its_own_half_than_with_chance(sample: Embedded) -> None:
    images = np.arange(len(sample.labels))
    protocol = Protocol(sample.labels, images, images)
    vectors = sample.space.vectors
    spaces = {
        "whole": sample.space,
        "half": space_of(vectors[:, ::2]),
        "chance": space_of(np.random.default_rng(0).standard_normal(vectors.shape)),
    }
    near = {name: score(space, protocol).neighbours for name, space in spaces.items()}
    mean = {(pair.a, pair.b): pair.rank_biased_overlap.mean() for pair in agreements(near)}
    assert mean["whole", "half"] > 0.6
    assert mean["whole", "chance"] < 0.1
