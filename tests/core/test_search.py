from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.embedding.store import Row, Store
from visexplore.core.encoders import Recipe
from visexplore.core.encoders.encoder import normalise
from visexplore.core.search.index import Index, open_index

RECIPE = Recipe("test:random", "1", "none", "none")


def vectors(rows: int, dim: int = 32, seed: int = 0) -> NDArray[np.float16]:
    return normalise(np.random.default_rng(seed).standard_normal((rows, dim))).astype(np.float16)


def index_of(gallery: NDArray[np.float16]) -> Index:
    return Index(gallery, np.arange(len(gallery)))


def by_hand(
    gallery: NDArray[np.float16], query: NDArray[np.float32], k: int, leave_out: int | None = None
) -> list[int]:
    """Return the nearest rows by plain numpy: descending cosine, equal ones in order."""
    scores = gallery.astype(np.float64) @ query.astype(np.float64)
    order = [row for row in np.argsort(-scores.round(9), kind="stable").tolist() if row != leave_out]
    return order[:k]


# ---- neighbours


@given(st.integers(1, 80), st.integers(0, 99), st.integers(1, 90))
def test_neighbours_are_those_of_a_plain_dot_product(rows: int, seed: int, k: int) -> None:
    gallery = vectors(rows, seed=seed)
    query = normalise(np.random.default_rng(seed + 100).standard_normal(32))
    positions, scores = index_of(gallery).search(query, k)
    assert positions.tolist() == by_hand(gallery, query, k)
    np.testing.assert_allclose(scores, gallery[positions].astype(np.float32) @ query, atol=1e-3)


@given(st.integers(2, 60), st.integers(0, 99))
def test_an_image_is_never_its_own_neighbour(rows: int, seed: int) -> None:
    gallery = vectors(rows, seed=seed)
    index = index_of(gallery)
    for position in range(rows):
        query = index.vector(position)
        assert query is not None
        found, _ = index.search(query, 5, leave_out=position)
        assert found.tolist() == by_hand(gallery, query, 5, leave_out=position)


@settings(max_examples=300)
@given(kinds=st.lists(st.integers(0, 3), min_size=1, max_size=60), own=st.integers(0, 59), k=st.integers(1, 8))
@example(kinds=[0] * 40, own=39, k=5)
@example(kinds=[0, 0, 1, 0, 0, 0, 1, 0], own=7, k=3)
def test_equal_scores_come_in_the_datasets_order(kinds: list[int], own: int, k: int) -> None:
    """Copies of a photo are common; which of them are shown must not depend on chance."""
    gallery = vectors(4, dim=8)[kinds]
    own %= len(kinds)
    index = index_of(gallery)
    query = index.vector(own)
    assert query is not None
    assert index.search(query, k, leave_out=own)[0].tolist() == by_hand(gallery, query, k, leave_out=own)


def test_equal_scores_come_in_order_in_a_large_gallery_too() -> None:
    gallery = np.repeat(vectors(7, dim=16), 3000, axis=0)
    query = normalise(gallery[6000])
    found, _ = index_of(gallery).search(query, 50, leave_out=6010)
    assert found.tolist() == [row for row in range(6000, 6051) if row != 6010]


@pytest.mark.parametrize("k", [5, 10, 1000])
def test_more_neighbours_than_images_are_all_images(k: int) -> None:
    found, scores = index_of(vectors(5)).search(normalise(vectors(5)[0]), k)
    assert sorted(found.tolist()) == [0, 1, 2, 3, 4]
    assert len(scores) == 5


@pytest.mark.parametrize("k", [0, -1, -7])
def test_no_neighbours_are_none(k: int) -> None:
    found, scores = index_of(vectors(5)).search(normalise(vectors(5)[0]), k)
    assert (len(found), len(scores)) == (0, 0)


def test_a_gallery_of_the_query_alone_has_no_neighbours() -> None:
    found, _ = index_of(vectors(1)).search(normalise(vectors(1)[0]), 5, leave_out=0)
    assert len(found) == 0


def test_positions_are_those_of_the_dataset_where_images_are_left_out() -> None:
    gallery = vectors(3)
    index = Index(gallery, np.array([2, 5, 9]))
    assert index.vector(3) is None
    query = index.vector(5)
    assert query is not None
    assert index.search(query, 1)[0].tolist() == [5]
    assert set(index.search(query, 5, leave_out=5)[0].tolist()) == {2, 9}
    assert set(index.search(query, 5, leave_out=3)[0].tolist()) == {2, 5, 9}


def test_scores_of_opposite_pictures_are_negative() -> None:
    gallery = vectors(1)
    _, scores = index_of(gallery).search(-normalise(gallery[0]), 1)
    assert scores[0] == pytest.approx(-1, abs=1e-3)


# ---- the index of a store


def dataset_of(rows: int) -> Dataset:
    records = tuple(ImageRecord(f"{number:06}.jpg", f"/nowhere/{number:06}.jpg", 1, 1) for number in range(rows))
    return Dataset("/nowhere", "nowhere", "nowhere", records)


def filled_store(home: Path, dataset: Dataset, gallery: NDArray[np.float16]) -> Store:
    store = Store(home / "store", dataset, "random", RECIPE)
    store.path.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(gallery), 4096):
        part = range(start, min(start + 4096, len(gallery)))
        rows = [Row(dataset.records[number], f"{number:032x}", gallery[number]) for number in part]
        store.write_shard(rows, dim=gallery.shape[1], preprocessing="none")
    return store


def test_the_index_holds_the_datasets_images_and_no_others(tmp_path: Path) -> None:
    dataset, gallery = dataset_of(50), vectors(50)
    store = filled_store(tmp_path, dataset, gallery)
    fewer = replace(dataset, records=dataset.records[10:20])
    index = open_index(store, fewer)
    assert len(index) == 10
    for position in range(10):
        np.testing.assert_array_equal(index.vector(position), normalise(gallery[position + 10]))


def test_an_empty_store_gives_an_empty_index(tmp_path: Path) -> None:
    dataset = dataset_of(3)
    index = open_index(Store(tmp_path / "none", dataset, "random", RECIPE), dataset)
    assert len(index) == 0
    assert index.vector(0) is None


ROWS = 12_000


@pytest.fixture
def large(tmp_path: Path) -> tuple[Store, Dataset, NDArray[np.float16]]:
    """A store large enough for an index file."""
    dataset, gallery = dataset_of(ROWS), vectors(ROWS, dim=16)
    return filled_store(tmp_path, dataset, gallery), dataset, gallery


def index_files(store: Store) -> list[Path]:
    return sorted((store.path / "index").glob("*"))


def test_a_large_index_is_kept_in_a_file_and_used_again(
    large: tuple[Store, Dataset, NDArray[np.float16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, dataset, gallery = large
    open_index(store, dataset)
    [file] = index_files(store)
    np.testing.assert_array_equal(np.load(file), gallery)

    def fail(*_: object) -> None:
        raise AssertionError("the shards were read")

    monkeypatch.setattr(Store, "embeddings", fail)
    index = open_index(store, dataset)
    np.testing.assert_array_equal(index.vector(ROWS - 1), normalise(gallery[-1]))


@pytest.mark.parametrize("change", ["a new shard", "a deleted image"])
def test_the_index_file_is_renewed_when_something_changed(
    change: str, large: tuple[Store, Dataset, NDArray[np.float16]]
) -> None:
    store, dataset, gallery = large
    open_index(store, dataset)
    [old] = index_files(store)
    if change == "a new shard":
        extra = ImageRecord("new.jpg", "/nowhere/new.jpg", 1, 1)
        store.write_shard([Row(extra, "f" * 32, gallery[0])], dim=16, preprocessing="none")
        dataset = replace(dataset, records=(*dataset.records, extra))
    else:
        dataset = replace(dataset, records=dataset.records[1:])
    index = open_index(store, dataset)
    [new] = index_files(store)
    assert new.name != old.name
    assert len(index) == len(dataset)
    last = gallery[0] if change == "a new shard" else gallery[-1]
    np.testing.assert_array_equal(index.vector(len(dataset) - 1), normalise(last))


@pytest.mark.parametrize("damage", [b"", b"hello", b"\x93NUMPY\x01\x00"])
def test_a_damaged_index_file_is_made_again(damage: bytes, large: tuple[Store, Dataset, NDArray[np.float16]]) -> None:
    store, dataset, gallery = large
    open_index(store, dataset)
    [file] = index_files(store)
    file.write_bytes(damage)
    assert len(open_index(store, dataset)) == ROWS
    np.testing.assert_array_equal(np.load(file), gallery)


def test_an_index_file_that_cannot_be_written_is_no_error(
    large: tuple[Store, Dataset, NDArray[np.float16]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    store, dataset, _ = large
    assert len(open_index(store, dataset)) == ROWS
    assert not list(store.path.glob("index*"))


@settings(max_examples=10)
@given(seed=st.integers(0, 99), failed=st.sets(st.integers(0, 29)))
def test_images_without_embeddings_are_left_out(seed: int, failed: set[int]) -> None:
    dataset, gallery = dataset_of(30), vectors(30, seed=seed)
    with tempfile.TemporaryDirectory() as top:
        store = Store(Path(top, "store"), dataset, "random", RECIPE)
        store.path.mkdir()
        rows = [
            Row(
                record,
                f"{number:032x}",
                None if number in failed else gallery[number],
                "no" if number in failed else "",
            )
            for number, record in enumerate(dataset.records)
        ]
        store.write_shard(rows, dim=32, preprocessing="none")
        index = open_index(store, dataset)
    assert index.positions.tolist() == sorted(set(range(30)) - failed)
    for position in index.positions.tolist():
        np.testing.assert_array_equal(index.vector(position), normalise(gallery[position]))
