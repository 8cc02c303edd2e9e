"""What is known of one image: real files with EXIF, damaged ones, copies, and what is embedded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from tests.core.tiny_models import save_checkpoint
from tests.pictures import draw, encoded, png
from visexplore.core.errors import StorageError, UnknownImage
from visexplore.core.explorer import Explorer
from visexplore.core.images import content_key
from visexplore.core.messages import ImageFacts
from visexplore.core.settings import load_settings

Fill = Callable[[Mapping[str, int | bytes]], Path]
HOSTILE = "\x1b]0;owned\x07[red]\u202e"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A local checkpoint that embeds in no time."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, "test_convnext", side=64)
    return str(folder)


@pytest.fixture
def explorer() -> Explorer:
    return Explorer(load_settings(), device="cpu")


def photo(top: Mapping[int, Any] = {}, camera: Mapping[int, Any] = {}, position: Mapping[int, Any] = {}) -> bytes:
    """Return a JPEG of 64 x 48 pixels with EXIF as a camera writes it."""
    exif = Image.Exif()
    for tag, value in top.items():
        exif[tag] = value
    for ifd, values in ((IFD.Exif, camera), (IFD.GPSInfo, position)):
        if values:
            exif.get_ifd(ifd).update(values)
    return encoded(draw(3), "JPEG", exif=exif)


CAMERA = photo(
    {Base.Make: "Canon", Base.Model: "Canon EOS R5", Base.Orientation: 6, Base.Software: "dcraw"},
    {
        Base.LensModel: "RF 50mm F1.8", Base.DateTimeOriginal: "2024:05:06 07:08:09",
        Base.ExposureTime: IFDRational(1, 250), Base.FNumber: IFDRational(18, 10), Base.ISOSpeedRatings: 400,
        Base.FocalLength: IFDRational(50, 1),
    },
    {1: "N", 2: (48.0, 8.0, 0.0), 3: "E", 4: (11.0, 34.0, 0.0)},
)  # fmt: skip


def facts_of(explorer: Explorer, fill: Fill, data: bytes, name: str = "mug/1.jpg") -> ImageFacts:
    return explorer.image_facts(str(fill({name: data, "bag/2.png": 2})), name)


def test_the_file_and_the_picture_in_it(explorer: Explorer, fill: Fill) -> None:
    data = png(1)
    facts = facts_of(explorer, fill, data, "mug/1.png")
    assert (facts.width, facts.height, facts.format, facts.mode) == (64, 48, "PNG", "RGB")
    assert (facts.label, facts.split, facts.problem, facts.exif) == ("mug", None, "", ())
    assert facts.file_bytes == len(data)
    assert facts.content_key == content_key(data)
    assert Path(facts.path).read_bytes() == data
    assert facts.modified == pytest.approx(Path(facts.path).stat().st_mtime)


def test_what_the_camera_wrote(explorer: Explorer, fill: Fill) -> None:
    assert dict(facts_of(explorer, fill, CAMERA).exif) == {
        "upright": "after a quarter turn to the right",
        "camera": "Canon EOS R5",
        "lens": "RF 50mm F1.8",
        "date": "2024:05:06 07:08:09",
        "exposure": "1/250 s, f/1.8, ISO 400, 50 mm",
        "software": "dcraw",
        "position": "it has one",
    }


@pytest.mark.parametrize(("turn", "size"), [(1, (64, 48)), (3, (64, 48)), (6, (48, 64)), (8, (48, 64))])
def test_the_size_is_that_of_the_upright_picture(
    explorer: Explorer, fill: Fill, turn: int, size: tuple[int, int]
) -> None:
    facts = facts_of(explorer, fill, photo({Base.Orientation: turn}))
    assert (facts.width, facts.height) == size
    shown = explorer.picture(Path(facts.path).read_bytes(), 64)
    assert (shown.width, shown.height) == size


def test_what_strangers_wrote_into_exif_is_printable_and_short(explorer: Explorer, fill: Fill) -> None:
    data = photo({Base.Make: HOSTILE, Base.Model: "M" * 30_000, Base.Software: "ok\0hidden"}, {Base.LensModel: HOSTILE})
    exif = dict(facts_of(explorer, fill, data).exif)
    assert all(value.isprintable() and len(value) <= 500 for value in exif.values())
    assert exif["lens"].startswith("\\x1b]0;owned\\x07[red]")
    assert exif["software"] == "ok"


@pytest.mark.parametrize(
    "camera",
    [
        {Base.ExposureTime: IFDRational(1, 0), Base.FNumber: IFDRational(0, 0)},
        {Base.ExposureTime: IFDRational(0, 5), Base.FocalLength: IFDRational(-3, 1)},
        {Base.LensModel: 7, Base.DateTimeOriginal: ""},
    ],
)
def test_numbers_that_are_none_are_left_out(explorer: Explorer, fill: Fill, camera: dict[int, Any]) -> None:
    assert facts_of(explorer, fill, photo(camera=camera)).exif == ()


def test_damaged_exif_is_no_problem_of_the_picture(explorer: Explorer, fill: Fill) -> None:
    at = CAMERA.index(b"Exif\0\0") + 14
    damaged = CAMERA[:at] + b"\xff" * 60 + CAMERA[at + 60 :]
    facts = facts_of(explorer, fill, damaged)
    assert (facts.problem, facts.format) == ("", "JPEG")


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "The file is empty"), (b"no picture at all", "Not an image that Pillow can read")],
)
def test_what_is_no_image_says_why(explorer: Explorer, fill: Fill, data: bytes, problem: str) -> None:
    facts = facts_of(explorer, fill, data)
    assert (facts.problem, facts.width, facts.format) == (problem, 0, "")
    assert facts.content_key == content_key(data)


def test_of_a_cut_off_file_its_header_is_told_too(explorer: Explorer, fill: Fill) -> None:
    facts = facts_of(explorer, fill, CAMERA[: len(CAMERA) - 200])
    assert "truncated" in facts.problem
    assert (facts.width, facts.height) == (48, 64)
    assert dict(facts.exif)["camera"] == "Canon EOS R5"


def test_a_file_that_is_gone_says_so(explorer: Explorer, fill: Fill) -> None:
    folder = fill({"1.png": 1, "2.png": 2})
    explorer.dataset(str(folder))
    (folder / "1.png").unlink()
    facts = explorer.image_facts(str(folder), "1.png")
    assert (facts.problem, facts.content_key) == ("No such file or directory", "")


def test_an_unknown_image_is_an_error(explorer: Explorer, fill: Fill) -> None:
    with pytest.raises(UnknownImage):
        explorer.image_facts(str(fill({"1.png": 1})), "9.png")


def test_models_and_copies_are_told_once_it_is_embedded(explorer: Explorer, fill: Fill, tiny: str) -> None:
    folder = fill({"1.png": 1, "2.png": 2, "copy/1.png": 1, "third.png": 1, "bad.png": b"no picture"})
    assert explorer.image_facts(str(folder), "1.png").models == ()
    for _ in explorer.embed(str(folder), [tiny]):
        pass
    facts = explorer.image_facts(str(folder), "1.png")
    assert [(one.embedded, one.problem) for one in facts.models] == [(True, "")]
    assert facts.copies == ("copy/1.png", "third.png")
    assert explorer.image_facts(str(folder), "2.png").copies == ()
    [bad] = explorer.image_facts(str(folder), "bad.png").models
    assert (bad.embedded, bad.problem) == (False, "Not an image that Pillow can read")


def test_copies_follow_what_is_embedded_later(explorer: Explorer, fill: Fill, tiny: str) -> None:
    folder = fill({"1.png": 1, "2.png": 2})
    for _ in explorer.embed(str(folder), [tiny]):
        pass
    assert explorer.image_facts(str(folder), "1.png").copies == ()
    fill({"3.png": 1})
    for _ in explorer.embed(str(folder), [tiny]):
        pass
    assert explorer.image_facts(str(folder), "1.png").copies == ("3.png",)


class TestPaths:
    def test_they_are_written_a_line_each(self, explorer: Explorer, fill: Fill, tmp_path: Path) -> None:
        folder = fill({"b/2.png": 2, "a/1.png": 1, "c.png": 3})
        file = explorer.save_paths(str(folder), ["b/2.png", "a/1.png"], tmp_path / "out")
        assert file == tmp_path / "out" / f"{explorer.dataset(str(folder)).slug}.txt"
        assert file.read_text() == f"{folder}/b/2.png\n{folder}/a/1.png\n"

    def test_names_that_are_no_unicode_are_written_as_they_are(
        self, explorer: Explorer, folder: Path, tmp_path: Path
    ) -> None:
        (folder / "bad\udcff.png").write_bytes(png(1))
        (folder / "two\nlines.png").write_bytes(png(2))
        ids = [record.image_id for record in explorer.dataset(str(folder)).records]
        lines = explorer.save_paths(str(folder), ids, tmp_path).read_bytes().splitlines()
        assert len(lines) == 2
        assert bytes(folder) + b"/bad\xff.png" in lines

    def test_a_folder_that_cannot_be_written_is_one_sentence(
        self, explorer: Explorer, fill: Fill, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="cannot be written"):
            explorer.save_paths(str(fill({"1.png": 1})), ["1.png"], tmp_path / "file")
