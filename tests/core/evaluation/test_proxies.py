from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import random_vectors, space_of
from visexplore.core.encoders import Encoder
from visexplore.core.evaluation import space as space_module
from visexplore.core.evaluation.proxies import (
    PERTURBATIONS,
    effective_rank,
    hubness,
    mean_cosine,
    occurrences,
    perturb,
    self_retrieval,
)
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.images import decode

# ---- changed pictures


def noise(width: int = 60, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_change_is_the_same_each_time_and_leaves_the_original_alone(kind: str) -> None:
    picture, untouched = noise(), noise()
    one, other = perturb(picture, kind), perturb(picture, kind)  # type: ignore[arg-type]
    assert one.mode == "RGB"
    assert one.tobytes() == other.tobytes()
    assert picture.tobytes() == untouched.tobytes()
    assert (one.size, one.tobytes()) != (picture.size, picture.tobytes())


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3)])
def test_the_smallest_pictures_can_be_changed(kind: str, size: tuple[int, int]) -> None:
    assert min(perturb(noise(*size), kind).size) >= 1  # type: ignore[arg-type]


def test_a_crop_is_the_middle() -> None:
    np.testing.assert_array_equal(np.asarray(perturb(noise(), "crop")), np.asarray(noise())[4:36, 6:54])


def test_a_flip_turned_back_is_the_picture() -> None:
    flipped = perturb(noise(), "flip")
    np.testing.assert_array_equal(np.asarray(flipped), np.asarray(noise())[:, ::-1])


def test_grey_has_three_equal_channels() -> None:
    pixels = np.asarray(perturb(noise(), "grey"))
    assert (pixels == pixels[:, :, :1]).all()


def test_blur_and_compression_change_little_but_take_detail_away() -> None:
    smooth = Image.linear_gradient("L").convert("RGB")
    for kind in ("blur", "jpeg"):
        changed = np.asarray(perturb(smooth, kind), np.float64)  # type: ignore[arg-type]
        assert 0 < np.abs(changed - np.asarray(smooth)).mean() < 3
    assert np.asarray(perturb(noise(), "blur"), np.float64).std() < 0.6 * np.asarray(noise(), np.float64).std()


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(ValueError, match="crop, flip, blur, jpeg, grey"):
        perturb(noise(), "sepia")  # type: ignore[arg-type]


# ---- finding the original


def test_the_original_counts_where_it_is_nearest() -> None:
    vectors = random_vectors(50, 16)
    changed = vectors[[7, 8, 9]] + 0.01
    changed[1] = vectors[30]
    changed /= np.linalg.norm(changed, axis=1, keepdims=True)
    assert self_retrieval(space_of(vectors), np.array([7, 8, 9]), changed).tolist() == [1, 0, 1]


def test_copies_of_the_original_share_what_it_counts() -> None:
    vectors = random_vectors(3, 16)[[0, 1, 0, 2, 0]]
    assert self_retrieval(space_of(vectors), np.arange(5), vectors).tolist() == pytest.approx(
        [1 / 3, 1, 1 / 3, 1, 1 / 3]
    )


def test_a_collapsed_space_gets_next_to_nothing() -> None:
    """All pictures are at the same place, so the original is among the nearest: but so is everything."""
    vectors = np.ones((200, 8), np.float32) / math.sqrt(8)
    assert self_retrieval(space_of(vectors), np.arange(200), vectors).mean() == pytest.approx(1 / 200)


@given(seed=st.integers(0, 50), block=st.integers(1, 200))
def test_blocks_do_not_matter(seed: int, block: int) -> None:
    vectors, changed = random_vectors(20, 6, seed), random_vectors(20, 6, seed + 1)
    space = space_of(vectors)
    whole = self_retrieval(space, np.arange(20), changed)
    assert whole.tolist() == (np.argmax(changed @ vectors.T, axis=1) == np.arange(20)).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space_module, "_BLOCK_FLOATS", block)
        np.testing.assert_array_equal(self_retrieval(space, np.arange(20), changed), whole)


def test_originals_are_positions_in_the_dataset() -> None:
    vectors = random_vectors(3, 8)
    space = EmbeddingSpace("some", np.array([2, 5, 9]), vectors)
    assert self_retrieval(space, np.array([9, 2]), vectors[[2, 0]]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="does not cover the image at 4"):
        self_retrieval(space, np.array([4]), vectors[:1])


def test_a_real_model_finds_flipped_pictures_better_than_blurred_ones(sample: Embedded, lite0: Encoder) -> None:
    images = np.arange(0, len(sample.labels), 12)
    pictures = [decode(sample.dataset.read(sample.dataset.records[image])) for image in images]
    rates = {}
    for kind in ("flip", "blur"):
        vectors = lite0.embed_images(np.stack([lite0.preprocess(perturb(picture, kind)) for picture in pictures]))  # type: ignore[arg-type]
        rates[kind] = self_retrieval(sample.space, images, vectors).mean()
    assert rates["flip"] > 0.9
    assert rates["blur"] < rates["flip"]


# ---- hubs


def test_occurrences_count_the_rankings_that_an_image_is_in() -> None:
    neighbours = np.array([[4, 2], [2, 7], [4, -1]])
    assert occurrences(neighbours, np.array([1, 2, 4, 7])).tolist() == [0, 2, 2, 1]
    assert hubness(neighbours, np.array([1, 2, 4, 7])) == pytest.approx(-0.4933822, abs=1e-6)


def test_a_neighbour_from_elsewhere_is_refused() -> None:
    for gallery in ([1, 2], []):
        with pytest.raises(ValueError, match="not in the gallery"):
            occurrences(np.array([[1, 9]]), np.array(gallery, np.int64))


def test_images_that_are_met_equally_often_are_no_hubs() -> None:
    ring = np.array([[1, 3], [2, 0], [3, 1], [0, 2]])
    assert hubness(ring, np.arange(4)) == 0


def test_a_hub_is_a_long_tail() -> None:
    neighbours = np.where(np.arange(100)[:, None] == 0, 1, np.zeros((100, 1), np.int64))
    assert hubness(neighbours, np.arange(100)) > 9
    assert math.isnan(hubness(np.empty((0, 5), np.int64), np.empty(0, np.int64)))


def test_more_dimensions_have_more_hubs() -> None:
    """What Radovanovic et al. show for normal random vectors (figure 1)."""
    everything = np.arange(1500)
    skewness = []
    for dim in (3, 100):
        vectors = np.random.default_rng(0).standard_normal((1500, dim))
        squares = (vectors**2).sum(axis=1)
        distances = squares[:, None] + squares - 2 * vectors @ vectors.T
        np.fill_diagonal(distances, np.inf)
        skewness.append(hubness(np.argsort(distances, axis=1)[:, :5], everything))
    assert skewness[0] < 1 < 2 < skewness[1]


# ---- shape of the cloud


@given(rank=st.integers(1, 8), rows=st.integers(8, 40), turn=st.integers(0, 99))
def test_the_effective_rank_of_equal_singular_values_is_their_number(rank: int, rows: int, turn: int) -> None:
    left, _ = np.linalg.qr(np.random.default_rng(turn).standard_normal((rows, 8)))
    right, _ = np.linalg.qr(np.random.default_rng(turn + 1).standard_normal((8, 8)))
    matrix = left[:, :rank] @ right[:rank]
    assert effective_rank(matrix) == pytest.approx(rank, rel=1e-4)
    assert effective_rank(3 * matrix.T) == pytest.approx(rank, rel=1e-4)


@given(rows=st.integers(1, 30), dim=st.integers(1, 30), seed=st.integers(0, 99))
def test_the_effective_rank_is_that_of_the_singular_values(rows: int, dim: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).standard_normal((rows, dim))
    shares = np.linalg.svd(matrix, compute_uv=False)
    shares = shares / shares.sum()
    found = effective_rank(matrix)
    assert found == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    assert 1 - 1e-9 <= found <= min(rows, dim) + 1e-9


def test_many_rows_are_summed_in_blocks() -> None:
    matrix = random_vectors(9000, 6)
    assert effective_rank(matrix) == pytest.approx(effective_rank(np.concatenate([matrix[4500:], matrix[:4500]])))
    assert effective_rank(matrix) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (4, 3)])
def test_nothing_has_no_dimensions(shape: tuple[int, int]) -> None:
    assert effective_rank(np.zeros(shape)) == 0


@given(rows=st.integers(2, 40), seed=st.integers(0, 99))
def test_the_mean_cosine_is_that_of_all_pairs(rows: int, seed: int) -> None:
    vectors = random_vectors(rows, 5, seed)
    expected = (vectors @ vectors.T)[np.triu_indices(rows, 1)].mean()
    assert mean_cosine(vectors) == pytest.approx(expected, abs=1e-5)


def test_a_narrow_cone_has_a_mean_cosine_near_1_and_a_low_rank() -> None:
    wide, narrow = random_vectors(300, 16), random_vectors(300, 16) + 1
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    assert abs(mean_cosine(wide)) < 0.02
    assert mean_cosine(narrow) > 0.9
    assert effective_rank(narrow) < effective_rank(wide)
    assert math.isnan(mean_cosine(wide[:1]))


def test_proxies_of_a_real_model_are_plausible(sample: Embedded) -> None:
    images = np.arange(len(sample.labels))
    neighbours = score(sample.space, Protocol(sample.labels, images, images)).neighbours
    assert 0 < hubness(neighbours, images) < 5
    assert 20 < effective_rank(sample.space.vectors) < len(images)
    assert 0.1 < mean_cosine(sample.space.vectors) < 0.6
