"""`visexplore query` with mixes and with parts of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pictures import png
from tests.tui.command_line import CommandLine, Result


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight drawings."""
    folder = tmp_path_factory.mktemp("mixed") / "photos"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.png").write_bytes(png(number))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixed-home")


def nearest(found: Result) -> Mapping[str, object]:
    assert (found.code, found.err.count("Error")) == (0, 0)
    first: Mapping[str, object] = found.json["results"][0]["neighbours"][0]
    return first


def test_a_mix_of_images(cli: CommandLine, photos: Path, home: Path) -> None:
    outside = photos.parent / "outside.png"
    outside.write_bytes(png(5))
    found = cli("query", photos, "--mix", f"1.png + 3:{outside} - 0.2:2.png", "--home", home, "--json")
    assert nearest(found)["image_id"] == "5.png"
    parts = found.json["query"]["parts"]
    assert [part["weight"] for part in parts] == [1.0, 3.0, -0.2]
    assert [(part["image_id"], part["path"]) for part in parts] == [
        ("1.png", str(photos / "1.png")), ("", str(outside)), ("2.png", str(photos / "2.png")),
    ]  # fmt: skip
    assert {"1.png", "2.png"}.isdisjoint(one["image_id"] for one in found.json["results"][0]["neighbours"])


def test_a_mix_in_words(cli: CommandLine, photos: Path, home: Path) -> None:
    found = cli("query", photos, "--mix", "1.png - 0.5:2.png", "--home", home)
    assert found.out.splitlines()[0] == "query 1.png - 0.5:2.png"


def test_a_part_of_a_picture(cli: CommandLine, photos: Path, home: Path, tmp_path: Path) -> None:
    found = cli("query", photos, "--id", "1.png", "--crop", "0,0,50,100", "--home", home, "--json")
    assert nearest(found)["image_id"] != "1.png"
    assert found.json["query"]["crop"] == {"left": 0.0, "top": 0.0, "right": 0.5, "bottom": 1.0}
    shown = cli(
        "query", photos, "--image", photos / "1.png", "--crop", "0,0,0.5,1", "--home", home, "--strip", tmp_path
    )
    assert "1.png, part 0-50 x 0-100 %" in shown.out.splitlines()[0]
    assert "strip written: " in shown.err


def test_a_mix_of_several_pictures_is_written_as_a_strip(
    cli: CommandLine, photos: Path, home: Path, tmp_path: Path
) -> None:
    found = cli("query", photos, "--mix", "1.png[0,0,0.5,1] + 2.png", "--home", home, "--strip", tmp_path)
    assert "strip written: " in found.err
    assert len(list(tmp_path.rglob("*_query.jpg"))) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--mix", "1.png", "--id", "1.png"), "Give one of --image PATH, --id ID, --text WORDS and --mix EXPRESSION"),
        (("--mix", "1.png + "), "A part of the mix is empty"),
        (("--mix", "1.png", "--crop", "0,0,1,1"), "In a mix write the part behind the picture"),
        (("--text", "mug", "--crop", "0,0,1,1"), "--crop takes a part of the picture of --image or --id"),
        (("--id", "1.png", "--crop", "0,0,1"), "'0,0,1' is no part of a picture"),
        (("--mix", "1.png + red"), "cannot search by text"),
        (("--mix", "1.png + ./gone.png"), "There is no file './gone.png'"),
        (("--mix", "1.png - 1.png"), "cancel each other out"),
        (("--id", "1.png", "--crop", "0,0,0.5,1", "-m", "rrf:efficientnet-lite0,efficientnet-lite1"), "whole images"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    cli: CommandLine, photos: Path, home: Path, options: tuple[str, ...], sentence: str
) -> None:
    failed = cli("query", photos, *options, "--home", home)
    assert failed.code == 2
    assert sentence in failed.err
    assert failed.out == ""
