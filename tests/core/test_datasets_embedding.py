"""The same pictures embed alike wherever they lie, and only once."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.core.grid_encoder import GridEncoder, contents, embed
from tests.pictures import png
from visexplore.core.datasets import Dataset, open_dataset

NUMBERS = range(12)


def in_a_folder(folder: Path) -> str:
    for number in NUMBERS:
        (folder / f"{number:02}.png").write_bytes(png(number))
    return str(folder)


def in_a_table(folder: Path) -> str:
    in_a_folder(folder)
    (folder / "list.csv").write_text("file\n" + "".join(f"{number:02}.png\n" for number in NUMBERS))
    return f"csv:{folder}/list.csv"


def in_parquet(folder: Path) -> str:
    images = [{"bytes": png(number), "path": f"{number:02}.png"} for number in NUMBERS]
    pq.write_table(pa.table({"image": images}), folder / "x.parquet", row_group_size=5)
    return f"parquet:{folder}"


def in_a_tar(folder: Path) -> str:
    with tarfile.open(folder / "x.tar", "w") as out:
        for number in NUMBERS:
            member = tarfile.TarInfo(f"{number:02}.png")
            member.size = len(png(number))
            out.addfile(member, io.BytesIO(png(number)))
    return f"wds:{folder}"


@pytest.fixture(params=[in_a_table, in_parquet, in_a_tar])
def spec(request: pytest.FixtureRequest, folder: Path) -> str:
    write: Callable[[Path], str] = request.param
    return write(folder)


@pytest.fixture
def plain(tmp_path: Path) -> Dataset:
    (tmp_path / "plain").mkdir()
    return open_dataset(in_a_folder(tmp_path / "plain"))


def test_embeddings_are_those_of_the_same_files_in_a_folder(spec: str, plain: Dataset, tmp_path: Path) -> None:
    dataset = open_dataset(spec)
    found = contents(embed(dataset, tmp_path / "home", GridEncoder()).store, dataset)
    assert found == contents(embed(plain, tmp_path / "home", GridEncoder()).store, plain)
    assert all(isinstance(vector, bytes) for vector in found.values())


def test_nothing_is_embedded_twice(spec: str, folder: Path, tmp_path: Path) -> None:
    embed(open_dataset(spec), tmp_path / "home", GridEncoder())
    again = GridEncoder()
    embed(open_dataset(spec), tmp_path / "home", again)
    assert (again.prepared, again.embedded) == (0, 0)
    for file in folder.iterdir():
        os.utime(file, ns=(0, 7))
    embed(open_dataset(spec), tmp_path / "home", again)
    assert (again.prepared, again.embedded) == (0, 0)  # read again, and known by content
