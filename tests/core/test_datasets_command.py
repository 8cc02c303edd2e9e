"""`visexplore datasets`: the kinds that can be named, and where they were found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core.test_datasets import Fill, X
from visexplore.core.datasets import KINDS
from visexplore.core.settings import load_settings
from visexplore.tui.commands import datasets
from visexplore.tui.commands.common import Globals


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with CUB-200-2011 in its usual place and nothing else."""
    bird = tmp_path / "datasets" / "CUB_200_2011"
    bird.mkdir(parents=True)
    (bird / "images.txt").write_text("1 001.Albatross/a.jpg\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_kind_is_listed_with_where_it_is_expected_and_found(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert datasets.run(Globals(), as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [dataset["spec"] for dataset in printed["datasets"]] == ["sample"]
    kinds = {kind["prefix"]: kind for kind in printed["kinds"]}
    assert set(kinds) == set(KINDS)
    assert (kinds["cub"]["expected"], kinds["cub"]["found"]) == (
        "~/datasets/CUB_200_2011",
        str(home / "datasets" / "CUB_200_2011"),
    )
    assert (kinds["cars"]["expected"], kinds["cars"]["found"]) == ("~/datasets/stanford_cars", "")
    assert "stanford-cars-dataset" in kinds["cars"]["source"]
    assert kinds["cars"]["licence"] == "for non-commercial research"
    assert (kinds["csv"]["expected"], kinds["csv"]["source"]) == ("", "")


def test_people_see_how_each_kind_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets.run(Globals(), as_json=False) == 0
    printed = capsys.readouterr().out
    assert f"cub[:FOLDER]  {' ' * 12}CUB-200-2011" in printed
    assert str(home / "datasets" / "CUB_200_2011") in printed
    assert "not in ~/datasets/stanford_cars" in printed
    assert "hf:REPO[/CONFIG][:SPLIT]" in printed


def test_splits_and_what_is_missing_are_told(fill: Fill, tmp_path: Path) -> None:
    from tests.core.grid_encoder import GridEncoder, embed
    from visexplore.core.datasets import open_dataset
    from visexplore.core.explorer import Explorer

    folder = fill({"test/a.jpg": X, "train/b.jpg": X, "labels.csv": b"file,label\na.jpg,x\nb.jpg,y\nc.jpg,y\n"})
    settings = load_settings()
    embed(open_dataset(str(folder)), settings.home, GridEncoder())
    _, mine = datasets.known_datasets(Explorer(settings))
    assert (mine.spec, mine.images, mine.labels, mine.splits) == (str(folder), 2, 2, {"test": 1, "train": 1})
    assert mine.missing == (f"{folder / 'labels.csv'}: 1 of the 3 images that it lists is not here, first c.jpg",)
