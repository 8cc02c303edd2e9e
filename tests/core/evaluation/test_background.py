from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import TableSpace, random_vectors, space_of
from visexplore.core.evaluation.background import background
from visexplore.core.evaluation.scores import Protocol, score


def test_the_percentile_is_the_share_of_pairs_that_are_at_most_as_near() -> None:
    vectors = random_vectors(400, 12)
    pairs = (vectors @ vectors.T)[np.triu_indices(400, 1)]
    asked = np.quantile(pairs, [0.001, 0.01, 0.2, 0.5, 0.9, 0.99, 0.999])
    expected = [100 * (pairs <= score).mean() for score in asked]
    found = background(space_of(vectors)).percentile(asked)
    assert np.abs(found - expected).max() < 0.7  # of 100,000 drawn pairs, and between entries of the table
    assert np.abs(found - expected)[[0, -1]].max() < 0.05


@given(seed=st.integers(0, 50), scores=st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=20))
def test_percentiles_rise_with_the_score_from_0_to_100(seed: int, scores: list[float]) -> None:
    found = background(space_of(random_vectors(30, 4, seed)), pairs=500)
    percentiles = found.percentile(np.sort(scores))
    assert ((percentiles >= 0) & (percentiles <= 100)).all()
    assert (np.diff(percentiles) >= 0).all()
    assert found.percentile(np.array([-2.0, 2.0])).tolist() == [0, 100]


def test_equal_similarities_have_the_percentile_of_all_of_them() -> None:
    table = np.zeros((50, 50))
    table[:25, :25] = 1
    found = background(TableSpace(table)).percentile(np.array([-0.1, 0.0, 1.0]))
    assert found == pytest.approx([0, 75.5, 100], abs=1)


def test_an_image_is_no_pair_with_itself() -> None:
    assert background(TableSpace(np.eye(5))).quantiles.tolist() == [0.0]


def test_the_table_is_small_whatever_is_drawn() -> None:
    assert len(background(space_of(random_vectors(500, 8)), pairs=200_000).quantiles) < 400


def test_the_same_seed_draws_the_same_pairs() -> None:
    space = space_of(random_vectors(500, 8))
    np.testing.assert_array_equal(background(space, seed=1).quantiles, background(space, seed=1).quantiles)
    assert background(space, seed=1).quantiles.tolist() != background(space, seed=2).quantiles.tolist()


def test_more_images_than_are_drawn_first_are_all_drawn_second() -> None:
    """A narrow cone but for the last image: it is met as the other of a pair."""
    vectors = np.ones((5000, 4), np.float32)
    vectors[-2500:, 0] = -1
    found = background(space_of(vectors), pairs=20_000)
    assert found.percentile(np.array([0.9])) == pytest.approx(50, abs=2)


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_have_no_background(images: int) -> None:
    assert np.isnan(background(space_of(random_vectors(images, 4))).percentile(np.array([0.5]))).all()


def test_scores_of_any_shape_keep_it() -> None:
    assert background(space_of(random_vectors(9, 4))).percentile(np.zeros((3, 5))).shape == (3, 5)


def test_real_neighbours_stand_out_from_the_background(sample: Embedded) -> None:
    images = np.arange(len(sample.labels))
    nearest = score(sample.space, Protocol(sample.labels, images, images)).neighbours[:, 0]
    found = background(sample.space).percentile(sample.space.of_pairs(images, nearest))
    assert np.median(found) > 99
