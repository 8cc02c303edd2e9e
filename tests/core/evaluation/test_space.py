from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.core.evaluation.spaces import TableSpace, random_vectors, space_of
from visexplore.core import evaluation
from visexplore.core.evaluation.space import EmbeddingSpace, Space, block_size, nearest_on_device


def test_similarities_are_cosines() -> None:
    vectors = random_vectors(50, 24)
    expected = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.testing.assert_allclose(space_of(vectors).similarities(np.arange(50)), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_of_any_length_and_type_give_cosines(dtype: type) -> None:
    vectors = (7 * random_vectors(20, 16)).astype(dtype)
    space = space_of(vectors)
    np.testing.assert_allclose(np.linalg.norm(space.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.diag(space.similarities(np.arange(20))), 1, atol=1e-6)


def test_vectors_of_length_one_are_taken_as_they_are() -> None:
    vectors = random_vectors(20, 16)
    assert space_of(vectors).vectors is vectors


def test_zeros_are_near_to_nothing() -> None:
    vectors = random_vectors(4, 8)
    vectors[2] = 0
    np.testing.assert_array_equal(space_of(vectors).similarities(np.array([2])), np.zeros((1, 4)))


@given(
    kinds=st.lists(st.integers(0, 6), min_size=2, max_size=150),
    dim=st.integers(1, 70),
    seed=st.integers(0, 99),
)
def test_equal_vectors_are_equally_near(kinds: list[int], dim: int, seed: int) -> None:
    """To the last bit: else the rounding of the product would decide which of two copies comes first."""
    space = space_of(random_vectors(7, dim, seed)[kinds])
    similarities = space.similarities(np.arange(len(kinds)))
    first = [kinds.index(kind) for kind in kinds]
    np.testing.assert_array_equal(similarities, similarities[:, first])


@given(
    kinds=st.lists(st.integers(0, 6), min_size=2, max_size=60),
    some=st.sets(st.integers(0, 59), min_size=1),
    seed=st.integers(0, 99),
)
def test_equal_vectors_are_equally_near_in_any_part_of_the_space(kinds: list[int], some: set[int], seed: int) -> None:
    space = space_of(random_vectors(7, 33, seed)[kinds])
    images = np.array(sorted({image % len(kinds) for image in some}))
    found = space.between(np.arange(len(kinds)), images)
    chosen = [kinds[image] for image in images]
    np.testing.assert_array_equal(found, found[:, [chosen.index(kind) for kind in chosen]])
    np.testing.assert_allclose(found, space.similarities(np.arange(len(kinds)))[:, images], atol=1e-6)


@given(positions=st.sets(st.integers(0, 40), max_size=20), asked=st.lists(st.integers(0, 40), max_size=20))
def test_rows_are_the_places_of_positions(positions: set[int], asked: list[int]) -> None:
    covered = sorted(positions)
    space = TableSpace(np.zeros((len(covered), len(covered))), np.array(covered, np.int64))
    expected = [covered.index(position) if position in positions else -1 for position in asked]
    assert space.rows(np.array(asked, np.int64)).tolist() == expected


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    vectors = random_vectors(4, 8)
    vectors[1, 3] = number
    with pytest.raises(ValueError, match="not finite"):
        space_of(vectors)


def test_each_position_needs_its_vector() -> None:
    with pytest.raises(ValueError, match="for 3 images"):
        EmbeddingSpace("short", np.arange(3), random_vectors(2, 8))


@pytest.mark.parametrize("make", [space_of, lambda vectors: TableSpace(vectors @ vectors.T)])
def test_pairs_have_the_similarities_of_the_table(make: type[Space]) -> None:
    vectors = random_vectors(90, 24)
    space = make(vectors)  # type: ignore[arg-type, call-arg]
    one, other = np.random.default_rng(0).integers(90, size=(2, 1000))
    np.testing.assert_allclose(space.of_pairs(one, other), (vectors @ vectors.T)[one, other], atol=1e-6)


def test_a_block_of_similarities_stays_within_128_megabytes() -> None:
    assert block_size(60_502) * 60_502 * 4 <= 128e6
    assert block_size(10**9) == 1
    assert block_size(0) > 0


def test_scores_are_computed_without_the_libraries_of_the_models() -> None:
    """Neither torch nor faiss: what only reads votes or compares rankings starts at once."""
    names = [file.stem for file in Path(evaluation.__file__).parent.glob("[a-z]*.py")]
    assert "tournament" in names
    imports = "; ".join(f"import visexplore.core.evaluation.{name}" for name in names)
    check = f"import sys; {imports}; print({{'torch', 'faiss', 'scipy', 'timm'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "set()\n"


# ---- on a device: torch on the CPU stands for it


@given(
    kinds=st.lists(st.integers(0, 30), min_size=3, max_size=60),
    seed=st.integers(0, 99),
    part=st.booleans(),
    data=st.data(),
)
def test_a_device_finds_the_same_neighbours_in_the_same_order(
    kinds: list[int], seed: int, part: bool, data: st.DataObject
) -> None:
    import torch

    images = len(kinds)
    space = space_of(random_vectors(31, 16, seed)[kinds])
    gallery: NDArray[np.int64] = np.arange(0, images, 2) if part else np.arange(images)
    queries = np.arange(images - 1)
    k = data.draw(st.integers(1, len(gallery)))
    left_out = (np.arange(len(queries)), np.arange(len(queries)) % len(gallery))
    vectors = torch.from_numpy(space.vectors)
    found = nearest_on_device(vectors[queries], vectors[gallery], space._copies(gallery), left_out, k)
    np.testing.assert_array_equal(found, space.nearest(queries, gallery, left_out, k))


def test_the_largest_device_of_this_machine_agrees_with_the_cpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    vectors = random_vectors(3000, 256)
    vectors[1000:1100] = vectors[:100]
    everything = np.arange(3000)
    there = EmbeddingSpace("there", everything, vectors, device="cuda")
    here = space_of(vectors)
    np.testing.assert_allclose(there.similarities(everything), here.similarities(everything), atol=1e-6)
    itself = (everything, everything)
    found, expected = (space.nearest(everything, everything, itself, 10) for space in (there, here))
    assert (found == expected).mean() > 0.999
