"""`visexplore project`, as typed."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path

import pytest

from tests.tui.command_line import CommandLine

LITE0 = "efficientnet-lite0"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: the sample is embedded once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def embedded(cli: CommandLine, home: Path) -> None:
    """Let the sample be embedded."""
    assert cli("embed", "sample", "-m", LITE0, "--home", home).code == 0


def test_it_prints_a_table_and_says_what_the_axes_are_worth(cli: CommandLine, home: Path) -> None:
    found = cli("project", "sample", "--home", home)
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert found.code == 0
    assert len(rows) > 20
    assert all(row["image_id"].startswith(row["label"]) for row in rows)
    assert abs(sum(float(row["x"]) for row in rows)) < 1e-3
    assert "% of the variance" in found.err


def test_a_file_has_the_same_as_json(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    assert cli("project", "sample", "-m", LITE0, "-o", file, "--home", home).out == ""
    document = cli("project", "sample", "-m", LITE0, "--json", "--home", home).json
    assert (document["model"], document["method"], document["fitted"]) == (LITE0, "pca", document["images"])
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["image_id"], float(row["x"])) for row in rows] == [
        (point["image_id"], point["x"]) for point in document["points"]
    ]


def test_what_is_not_embedded_says_how_to_embed_it(cli: CommandLine, tmp_path: Path) -> None:
    found = cli("project", "sample", "--home", tmp_path)
    assert found.code == 1
    assert "visexplore embed sample -m efficientnet-lite0" in found.err


def test_a_file_that_cannot_be_written_is_one_sentence(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    found = cli("project", "sample", "-o", tmp_path / "none" / "map.csv", "--home", home)
    assert found.code == 1
    assert "cannot be written" in found.err


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="the extra is installed")
def test_without_umap_a_sentence_says_how_to_get_it(cli: CommandLine, home: Path) -> None:
    found = cli("project", "sample", "--method", "umap", "--home", home)
    assert found.code == 2
    assert "visexplore[umap]" in found.err
