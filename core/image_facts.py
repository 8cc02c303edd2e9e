"""What is known of one image of a dataset: its file, what the camera wrote, its copies, what is embedded of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.datasets.dataset import read_file
from visexplore.core.embedding.store import Store, storage_error
from visexplore.core.errors import UnreadableImage
from visexplore.core.images import content_key, decode, header
from visexplore.core.messages import ImageFacts, ImageUnderModel
from visexplore.core.text import cut, printable

_LONGEST = 200  # characters of a text in EXIF: a camera's own are shorter, and others may be megabytes
_LOOK = 64  # pixels of the decode that finds out whether the file is whole
_TURNS = {
    2: "after mirroring left to right",
    3: "after a half turn",
    4: "after mirroring top to bottom",
    5: "after mirroring and a quarter turn to the left",
    6: "after a quarter turn to the right",
    7: "after mirroring and a quarter turn to the right",
    8: "after a quarter turn to the left",
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "PA": "palette with transparency",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
    "CMYK": "CMYK",
    "YCbCr": "YCbCr",
    "LAB": "L*a*b*",
    "HSV": "HSV",
    "I": "32-bit integers",
    "F": "32-bit floats",
}


class Copies:
    """Which images of a store have the same bytes; found once for each state of a store."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Dataset, str, dict[str, list[str]]]] = {}

    def of(self, dataset: Dataset, store: Store, key: str) -> list[str]:
        """Return the ids of all images with the content `key`."""
        known = self._known.get(store.path)
        stamp = store.stamp()
        if known is None or known[0] is not dataset or known[1] != stamp:
            by_key: dict[str, list[str]] = {}
            for record in dataset.records:
                entry = store.known(record)
                if entry is not None and entry.content_key:
                    by_key.setdefault(entry.content_key, []).append(record.image_id)
            several = {content: ids for content, ids in by_key.items() if len(ids) > 1}
            known = self._known[store.path] = dataset, stamp, several
        return known[2].get(key, [])


def image_facts(
    dataset: Dataset, record: ImageRecord, stores: Sequence[tuple[str, Store]], copies: Copies
) -> ImageFacts:
    """Return all that is known of an image.

    Args:
        dataset: that it is in.
        record: the image.
        stores: of the dataset, with the slugs of their models.
        copies: knows which images of a store have the same bytes.
    """
    facts = dict[str, Any]()
    try:
        data = dataset.read(record)
        facts["content_key"] = content_key(data)
        with header(data) as image:
            facts |= _of_header(image)
        decode(data, shortest_side=_LOOK)
    except UnreadableImage as error:
        facts["problem"] = printable(error.message)
    models, same = [], dict[str, None]()
    for model, store in stores:
        known = store.known(record)
        models.append(ImageUnderModel(model, known is not None and known.ok, printable(known.error) if known else ""))
        if facts.get("content_key"):
            same |= dict.fromkeys(copies.of(dataset, store, facts["content_key"]))
    same.pop(record.image_id, None)
    return ImageFacts(
        image_id=record.image_id,
        path=record.path,
        file_bytes=record.size,
        modified=record.mtime_ns / 1e9 if record.mtime_ns else None,
        label=record.label,
        split=record.split,
        attributes=record.attributes,
        copies=tuple(same),
        models=tuple(models),
        **facts,
    )


def write_paths(dataset: Dataset, records: Sequence[ImageRecord], folder: Path) -> Path:
    """Write where images are to `folder/<dataset>.txt`, a line each: paths, or ids where several are in one file.

    Raises:
        StorageError: the file cannot be written.
    """
    file = folder / f"{dataset.slug}.txt"
    of_files = dataset.reader is read_file
    lines = (os.fsencode(record.path) if of_files else record.image_id.encode() for record in records)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A name that breaks the line would be read as two.
        file.write_bytes(b"".join(line.replace(b"\n", b"\\n") + b"\n" for line in lines))
    except OSError as error:
        raise storage_error(error, file) from error
    return file


def _of_header(image: Image.Image) -> dict[str, Any]:
    exif, turn = _exif(image)
    width, height = image.size
    if turn in _SIDEWAYS:
        width, height = height, width
    sixteen = "16-bit grey" if image.mode.startswith("I;16") else image.mode
    return {
        "width": width,
        "height": height,
        "format": printable(image.format or ""),
        "mode": _MODES.get(image.mode, sixteen),
        "exif": exif,
    }


def _exif(image: Image.Image) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return what EXIF says as (name, value) pairs, and the number of the orientation."""
    try:
        top = image.getexif()
        camera, position = top.get_ifd(IFD.Exif), top.get_ifd(IFD.GPSInfo)
    except Exception:  # as with pictures, Pillow raises nearly anything on damaged EXIF
        return (), 1
    turn = top.get(Base.Orientation, 1)
    turn = turn if isinstance(turn, int) else 1
    facts = {
        "upright": _TURNS.get(turn, ""),
        "camera": _camera(top),
        "lens": _text(camera.get(Base.LensModel)),
        "date": _text(camera.get(Base.DateTimeOriginal) or top.get(Base.DateTime)),
        "exposure": _exposure(camera),
        "software": _text(top.get(Base.Software)),
        "position": "it has one" if 2 in position and 4 in position else "",  # latitude and longitude
    }
    return tuple((name, value) for name, value in facts.items() if value), turn


def _camera(exif: Image.Exif) -> str:
    """Return maker and model; many models begin with the maker's name."""
    maker, model = _text(exif.get(Base.Make)), _text(exif.get(Base.Model))
    return model if maker and model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()


def _exposure(camera: dict[int, Any]) -> str:
    parts = [
        _number(camera.get(Base.ExposureTime), _seconds),
        _number(camera.get(Base.FNumber), lambda value: f"f/{value:.2g}" if value < 10 else f"f/{value:.0f}"),
        _number(camera.get(Base.ISOSpeedRatings), lambda value: f"ISO {value:.0f}"),
        _number(camera.get(Base.FocalLength), lambda value: f"{value:.3g} mm"),
    ]
    return ", ".join(part for part in parts if part)


def _seconds(value: float) -> str:
    return f"1/{1 / value:.0f} s" if value < 0.3 else f"{value:.3g} s"


def _number(value: object, words: Callable[[float], str]) -> str:
    """Put a number of EXIF into words; what is no positive number is left out."""
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return ""
    return words(number) if 1e-6 < number < 1e9 else ""


def _text(value: object) -> str:
    """Return a text of EXIF, which anybody can have written, printable and not longer than needed."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    return cut(value[: 4 * _LONGEST].split("\0")[0].strip(), _LONGEST)
