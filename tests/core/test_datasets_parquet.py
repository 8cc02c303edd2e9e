"""Parquet files with images in them."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.core.test_datasets import Fill, X, ids, labels, splits
from tests.pictures import png
from visexplore.core.datasets import Dataset, open_dataset, parquet_rows
from visexplore.core.datasets.parquet_rows import ParquetRows
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnreadableImage, UserError

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def image(number: int) -> bytes:
    """The bytes of an image that says its number: what is read is seen to be the right one."""
    return f"image {number} ".encode() * 20


def published(names: Sequence[str]) -> dict[bytes, bytes]:
    """What Hugging Face writes into the schema of a dataset with images and classes."""
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def write(file: Path, numbers: Sequence[int], *, paths: bool = True, group: int = 100, **columns: Any) -> Path:
    images = [{"bytes": image(n), "path": f"{n}.png" if paths else None} for n in numbers]
    table = pa.table({"image": pa.array(images, STRUCT), **columns})
    if "label" in columns:
        table = table.replace_schema_metadata(published(["cat", "dog", "cow"]))
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=group)
    return file


def contents(dataset: Dataset) -> list[bytes]:
    return [dataset.read(record) for record in dataset.records]


# ---- what is in the columns


def test_images_and_names_of_classes_as_hugging_face_writes_them(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", range(4), label=[0, 2, -1, 1])
    dataset = open_dataset(f"parquet:{tmp_path}/*.parquet")
    assert ids(dataset) == ["0.png", "1.png", "2.png", "3.png"]
    assert labels(dataset) == ["cat", "cow", None, "dog"]
    assert splits(dataset) == ["train"] * 4
    assert contents(dataset) == [image(n) for n in range(4)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_plain_bytes_are_images_too(kind: pa.DataType, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "jpg": pa.array([image(1), image(2)], kind)}), tmp_path / "x.parquet")
    dataset = open_dataset(f"parquet:{tmp_path / 'x.parquet'}")
    assert ids(dataset) == ["a", "b"]
    assert contents(dataset) == [image(1), image(2)]


def test_a_real_picture_comes_out_as_it_went_in(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array([{"bytes": png(5), "path": None}], STRUCT)})
    pq.write_table(table, tmp_path / "x.parquet")
    dataset = open_dataset(f"parquet:{tmp_path}")
    assert dataset.read(dataset.records[0]) == png(5)


def test_images_without_different_paths_are_called_by_file_and_row(tmp_path: Path) -> None:
    write(tmp_path / "a" / "0.parquet", [1, 2], paths=False)
    write(tmp_path / "b" / "0.parquet", [3], paths=False)
    assert ids(open_dataset(f"parquet:{tmp_path}")) == ["a/0/000000", "a/0/000001", "b/0/000000"]


def test_paths_that_come_twice_are_no_names(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", [1, 2])
    write(tmp_path / "test.parquet", [1, 3])
    dataset = open_dataset(f"parquet:{tmp_path}")
    assert ids(dataset) == ["test/000000", "test/000001", "train/000000", "train/000001"]
    assert splits(dataset) == ["test", "test", "train", "train"]
    assert contents(dataset) == [image(n) for n in (1, 3, 1, 2)]


def test_columns_are_named(tmp_path: Path) -> None:
    table = {"front": [image(1), image(2)], "back": [image(3), image(4)], "sku": ["s1", "s2"], "brand": ["A", "B"]}
    pq.write_table(pa.table({**table, "fold": ["Test", "Train"], "kind": ["x", "x"]}), tmp_path / "x.parquet")
    spec = f"parquet:{tmp_path}/x.parquet?image=back&label=brand&id=sku&split=fold"
    dataset = open_dataset(spec)
    assert (ids(dataset), labels(dataset), splits(dataset)) == (["s1", "s2"], ["A", "B"], ["test", "train"])
    assert contents(dataset) == [image(3), image(4)]
    assert dict(dataset.records[0].attributes) == {"kind": "x"}
    assert dataset.spec == spec
    with pytest.raises(UserError, match="has no column 'brnad'"):
        open_dataset(f"parquet:{tmp_path}?label=brnad")
    with pytest.raises(UserError, match="does not name each image differently"):
        open_dataset(f"parquet:{tmp_path}?id=kind")


def test_paths_instead_of_images(fill: Fill) -> None:
    folder = fill({"a.jpg": X, "b/c.jpg": X})
    pq.write_table(pa.table({"path": ["b/c.jpg", "a.jpg", "gone.jpg"], "label": [1, 2, 1]}), folder / "list.parquet")
    dataset = open_dataset(f"parquet:{folder}/list.parquet")
    assert (ids(dataset), labels(dataset)) == (["b/c.jpg", "a.jpg"], ["1", "2"])
    assert contents(dataset) == [X, X]
    assert "1 of the 3 images" in dataset.problems[0].reason


def test_several_lists_of_paths_are_one_dataset(fill: Fill) -> None:
    folder = fill({"one/a.jpg": X, "two/a.jpg": X})
    for name in ("one", "two"):
        pq.write_table(pa.table({"path": ["a.jpg"], "label": [name]}), folder / name / "list.parquet")
    dataset = open_dataset(f"parquet:{folder}/*/list.parquet")
    assert (ids(dataset), labels(dataset)) == (["one/a.jpg", "two/a.jpg"], ["one", "two"])


def test_a_struct_without_bytes_leads_to_its_file(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    rows = [{"bytes": None, "path": "a.jpg"}, {"bytes": None, "path": "gone.jpg"}, {"bytes": None, "path": None}, None]
    pq.write_table(pa.table({"image": pa.array(rows, STRUCT)}), folder / "x.parquet")
    dataset = open_dataset(f"parquet:{folder}/x.parquet")
    assert dataset.read(dataset.records[0]) == X
    with pytest.raises(UnreadableImage, match=r"no bytes, and its file gone\.jpg"):
        dataset.read(dataset.records[1])
    for record in dataset.records[2:]:
        with pytest.raises(UnreadableImage, match="holds no image"):
            dataset.read(record)


# ---- files


def test_files_are_found_by_patterns(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"part-{number}.parquet", [number])
    assert len(open_dataset(f"parquet:{tmp_path}")) == 3
    assert len(open_dataset(f"parquet:{tmp_path}/part-?.parquet")) == 3
    assert len(open_dataset(f"parquet:{tmp_path}/part-{{0,2}}.parquet")) == 2
    assert len(open_dataset(f"parquet:{tmp_path}/**/part-1.parquet")) == 1
    with pytest.raises(UnknownDataset, match="no file fits"):
        open_dataset(f"parquet:{tmp_path}/part-??.parquet")


def test_a_folder_called_like_a_column_is_no_column(tmp_path: Path) -> None:
    write(tmp_path / "label=seven" / "x.parquet", [1, 2])
    assert labels(open_dataset(f"parquet:{tmp_path}")) == [None, None]


def test_a_damaged_file_among_others_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [1])
    data = write(tmp_path / "b.parquet", [2]).read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[:-20])
    (tmp_path / "c.parquet").write_bytes(b"")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "d.parquet")
    dataset = open_dataset(f"parquet:{tmp_path}")
    assert ids(dataset) == ["1.png"]
    assert [Path(problem.path).name for problem in dataset.problems] == ["b.parquet", "c.parquet", "d.parquet"]
    assert "no column 'image'" in dataset.problems[2].reason
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "d.parquet").unlink()
    with pytest.raises(UnknownDataset, match=r"b\.parquet: no Parquet file that can be read"):
        open_dataset(f"parquet:{tmp_path}")


def test_files_without_rows_or_images_are_the_users_mistake(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [])
    with pytest.raises(EmptyDataset, match="has no rows"):
        open_dataset(f"parquet:{tmp_path}")
    pq.write_table(pa.table({"x": [1.5], "y": [2.5]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column with images") as caught:
        open_dataset(f"parquet:{tmp_path}")
    assert "it has x, y" in caught.value.hint


def test_a_file_that_changes_is_new_to_the_store(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", [1, 2])
    before = open_dataset(f"parquet:{file}")
    assert before.fingerprint == open_dataset(f"parquet:{file}").fingerprint
    os.utime(file, ns=(0, 1))
    after = open_dataset(f"parquet:{file}")
    assert (after.records[0].mtime_ns, after.slug) == (1, before.slug)
    assert after.fingerprint != before.fingerprint


def test_a_file_that_has_gone_or_shrunk_makes_unreadable_images(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", range(4), group=2)
    dataset = open_dataset(f"parquet:{file}")
    write(file, [7], group=2)
    for record in dataset.records[1:]:
        with pytest.raises(UnreadableImage, match="cannot be read at row"):
            dataset.read(record)
    file.unlink()
    with pytest.raises(UnreadableImage, match="cannot be read at row 0"):
        dataset.read(dataset.records[0])


# ---- reading single rows


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Blocks of few rows; the list takes each row group that is begun."""
    monkeypatch.setattr(parquet_rows, "_BLOCK_BYTES", 2_000)
    begun: list[tuple[str, int]] = []
    opened = ParquetRows._open

    def counted(self: ParquetRows, path: str, group: int) -> Iterator[Any]:
        begun.append((Path(path).name, group))
        return opened(self, path, group)

    monkeypatch.setattr(ParquetRows, "_open", counted)
    return begun


@pytest.mark.parametrize("group", [1, 7, 50, 1000])
def test_every_row_is_the_right_one_in_any_order(group: int, tmp_path: Path, blocks: list[tuple[str, int]]) -> None:
    for name, first in (("a", 0), ("b", 100)):
        write(tmp_path / f"{name}.parquet", range(first, first + 100), group=group)
    dataset = open_dataset(f"parquet:{tmp_path}")
    order = list(range(200))
    for _ in range(2):
        assert [dataset.read(dataset.records[n]) for n in order] == [image(n) for n in order]
        random.Random(group).shuffle(order)


def test_neighbours_are_read_together(tmp_path: Path, blocks: list[tuple[str, int]]) -> None:
    write(tmp_path / "a.parquet", range(120), group=40)
    dataset = open_dataset(f"parquet:{tmp_path}")
    # Threads ask for rows a little out of order.
    order = [n ^ 1 for n in range(120)]
    assert [dataset.read(dataset.records[n]) for n in order] == [image(n) for n in order]
    assert blocks == [("a.parquet", 0), ("a.parquet", 1), ("a.parquet", 2)]


def test_many_threads_get_what_they_ask_for(tmp_path: Path, blocks: list[tuple[str, int]]) -> None:
    write(tmp_path / "a.parquet", range(600), group=300)
    dataset = open_dataset(f"parquet:{tmp_path}")
    start = threading.Barrier(32)

    def read(first: int) -> bool:
        start.wait()
        return all(dataset.read(dataset.records[n]) == image(n) for n in range(first, 600, 32))

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(read, range(32)))


def test_threads_that_ask_at_once_wait_for_one_reading(
    tmp_path: Path, blocks: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet", range(4))
    dataset = open_dataset(f"parquet:{tmp_path}")
    opened, start = ParquetRows._open, threading.Barrier(8)

    def slow(self: ParquetRows, path: str, group: int) -> Iterator[Any]:
        time.sleep(0.05)
        return opened(self, path, group)

    monkeypatch.setattr(ParquetRows, "_open", slow)

    def read(row: int) -> bytes:
        start.wait()
        return dataset.read(dataset.records[row % 4])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, range(8))) == [image(n % 4) for n in range(8)]
    assert blocks == [("a.parquet", 0)]


def test_memory_stays_bounded_where_a_file_is_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "_BLOCK_BYTES", 1_000_000)
    noise = np.random.default_rng(0)
    images = pa.array([noise.bytes(50_000) for _ in range(1000)], pa.binary())
    pq.write_table(pa.table({"image": images}), tmp_path / "a.parquet", row_group_size=1000, write_batch_size=8)
    del images
    dataset = open_dataset(f"parquet:{tmp_path}")
    before, most = pa.total_allocated_bytes(), 0
    for record in dataset.records:
        assert len(dataset.read(record)) == 50_000
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 20_000_000  # of the 50 MB of the file
