"""Maps of embeddings: against numpy's SVD, and what must hold for any embeddings."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.core.evaluation.spaces import clustered_vectors, random_vectors
from visexplore.core.errors import UserError
from visexplore.core.evaluation import projection
from visexplore.core.evaluation.projection import UMAP_LEAST, project

shapes = st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(0, 9))


def by_svd(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places along the first two axes, and their shares of the variance, as the textbook has them."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return centred @ (axes * signs[:, None])[:2].T, (singular**2 / (singular**2).sum())[:2]


@pytest.mark.parametrize(("images", "dim"), [(60, 8), (8, 60), (400, 300), (300, 400)])
def test_it_is_what_the_singular_value_decomposition_gives(images: int, dim: int) -> None:
    vectors = clustered_vectors(np.arange(images, dtype=np.int32) % 4, dim, 0.3)
    found = project(vectors)
    places, shares = by_svd(vectors)
    assert np.abs(found.places - places).max() < 1e-4
    assert found.explained == pytest.approx(shares, abs=1e-5)
    assert (found.fitted, found.images) == (images, images)


@given(shapes)
def test_the_same_embeddings_have_the_same_map(shape: tuple[int, int, int]) -> None:
    vectors = random_vectors(*shape)
    one, other = project(vectors), project(vectors.copy())
    assert np.array_equal(one.places, other.places)
    assert one.explained == other.explained


@given(shapes)
def test_axes_are_in_the_order_of_what_they_explain_and_explain_no_more_than_all(shape: tuple[int, int, int]) -> None:
    explained = project(random_vectors(*shape)).explained
    assert explained is not None
    first, second = explained
    assert 0 <= second <= first + 1e-6
    assert first + second <= 1 + 1e-5


@given(shapes)
@example((2, 3, 0))  # all lies on one axis: what rounding leaves beside it is none
def test_places_have_their_middle_at_the_origin_and_are_no_farther_apart_than_the_embeddings(
    shape: tuple[int, int, int],
) -> None:
    vectors = random_vectors(*shape)
    places = project(vectors).places
    assert np.abs(places.mean(axis=0)).max() < 1e-5
    assert np.linalg.norm(places[0] - places[-1]) <= np.linalg.norm(vectors[0] - vectors[-1]) + 1e-4


@given(shapes)
def test_the_order_of_images_does_not_matter(shape: tuple[int, int, int]) -> None:
    vectors = clustered_vectors(np.arange(shape[0], dtype=np.int32) % 3, max(4, shape[1]), 0.05)
    order = np.random.default_rng(shape[2]).permutation(len(vectors))
    one, other = project(vectors), project(vectors[order])
    assert one.explained == pytest.approx(other.explained, abs=1e-4)
    if one.explained is not None and one.explained[0] - one.explained[1] > 0.1:
        spread = np.abs(one.places[order][:, 0]) - np.abs(other.places[:, 0])  # a near tie may flip the sign
        assert np.abs(spread).max() < 1e-2


@pytest.mark.parametrize("images", [1, 2, 7])
def test_images_that_are_all_the_same_lie_in_one_point_and_explain_nothing(images: int) -> None:
    vectors = np.repeat(random_vectors(1, 1280), images, axis=0).astype(np.float16)
    found = project(vectors)
    assert found.explained == (0.0, 0.0)
    assert not found.places.any()


def test_two_images_lie_on_a_line_that_explains_all() -> None:
    found = project(random_vectors(2, 64))
    assert found.explained == pytest.approx((1.0, 0.0))
    assert found.places[0, 0] == pytest.approx(-found.places[1, 0], abs=1e-5)
    assert not found.places[:, 1].any()


def test_of_many_images_a_random_sample_gives_the_axes_and_all_are_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered_vectors(np.arange(3000, dtype=np.int32) % 3, 16, 0.2)
    exact = project(vectors)
    monkeypatch.setattr(projection, "_MULTIPLICATIONS", 0.0)
    sampled = project(vectors)
    assert (sampled.fitted, sampled.images, len(sampled.places)) == (2000, 3000, 3000)
    assert sampled.explained == pytest.approx(exact.explained, abs=0.02)
    assert abs(np.corrcoef(sampled.places[:, 0], exact.places[:, 0])[0, 1]) > 0.95


has_umap = importlib.util.find_spec("umap") is not None


@pytest.mark.skipif(has_umap, reason="the extra is installed")
def test_without_the_extra_a_sentence_says_how_to_get_umap() -> None:
    with pytest.raises(UserError, match=r"visexplore\[umap\]"):
        project(random_vectors(30, 8), "umap")


def test_too_few_images_for_umap_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    with pytest.raises(UserError, match="16 images at least, and 15 are"):
        project(random_vectors(UMAP_LEAST - 1, 8), "umap")


@pytest.mark.slow
@pytest.mark.skipif(not has_umap, reason="needs the extra umap")
@pytest.mark.timeout(900)
def test_umap_is_the_same_each_time_and_keeps_groups_apart() -> None:
    labels = np.arange(90, dtype=np.int32) % 3
    vectors = clustered_vectors(labels, 32, 0.1)
    one, other = project(vectors, "umap"), project(vectors, "umap")
    assert np.array_equal(one.places, other.places)
    assert one.explained is None
    centres = np.stack([one.places[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(one.places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).all()
