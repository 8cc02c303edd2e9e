"""Images that a list names: which of them are there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from visexplore.core.datasets.dataset import Attributes, ImageRecord, Problem
from visexplore.core.datasets.kinds import Kind
from visexplore.core.datasets.spec import absolute
from visexplore.core.errors import EmptyDataset, UnknownDataset
from visexplore.core.text import count

_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as a list names it, wherever its file may be.

    Attributes:
        name: as the list has it; becomes the image id.
        path: where the file is expected.
        label: class name.
        split: `train`, `test`, ...
        attributes: further facts.
    """

    name: str
    path: str
    label: str | None = None
    split: str | None = None
    attributes: Attributes = ()


def found(listed: Iterable[Listed], source: Path, folder: Path) -> tuple[list[ImageRecord], list[Problem]]:
    """Return the images whose files are there, in the list's order, and one problem for all that are not.

    Args:
        listed: the list.
        source: the file that it was read from.
        folder: where the images are expected, for the sentence.
    """
    records: list[ImageRecord] = []
    seen: set[str] = set()
    total, absent, repeated = 0, "", 0
    for image in listed:
        total += 1
        image_id = unicode_id(image.name)
        if image_id in seen:
            repeated += 1
            continue
        seen.add(image_id)
        path, facts = _stat(image.path)
        if facts is None:
            absent = absent or image.name
            continue
        records.append(
            ImageRecord(
                image_id, path, facts.st_size, mtime_ns(facts), image.label, image.split, attributes=image.attributes
            )
        )
    problems = []
    missing = total - repeated - len(records)
    if missing:
        problems.append(Problem(str(source), _missing(missing, total, folder, absent)))
    if repeated:
        problems.append(Problem(str(source), f"it lists {count(repeated, 'image')} once more; the first entry counts"))
    return records, problems


def _missing(missing: int, total: int, folder: Path, first: str) -> str:
    if missing == total:
        return f"none of the {count(total, 'image')} that it lists is in {folder}"
    are = "is" if missing == 1 else "are"
    return f"{missing:,} of the {count(total, 'image')} that it lists {are} not in {folder}, first {first}"


def _stat(path: str) -> tuple[str, os.stat_result | None]:
    """Return what the file system knows of a file; endings may be written in the other case."""
    stem, ending = os.path.splitext(path)  # noqa: PTH122 - a str is cheaper than a Path, a million times over
    for name in (path, stem + ending.swapcase()):
        try:
            facts = os.stat(name)  # noqa: PTH116
        except (OSError, ValueError):  # ValueError: a null byte in a list that is no text
            continue
        if stat.S_ISREG(facts.st_mode):
            return name, facts
    return path, None


def mtime_ns(facts: os.stat_result) -> int:
    """Return the time of a file's last change within 64 bits: a file may claim to be of the year 2500."""
    return min(max(facts.st_mtime_ns, -_MAX_INT64), _MAX_INT64)


def unicode_id(relative: str) -> str:
    r"""Return `relative` as valid Unicode, different for different names.

    Bytes that are no UTF-8 become `\\xNN`. A name that already looks so has its backslashes doubled.
    """
    try:
        relative.encode()
        if "\\" not in relative or not re.search(r"\\(x[0-9a-f]{2}|\\)", relative):
            return relative
    except UnicodeEncodeError:
        pass
    return os.fsencode(relative.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def usual_folder(kind: Kind) -> Path | None:
    """Return the folder of a known dataset where it is in its usual place, or None."""
    return _locate(kind, absolute(kind.usual_place), absolute(kind.usual_place).parent) if kind.usual_place else None


def base_folder(kind: Kind, place: str) -> Path:
    """Return the folder of a known dataset: `place` itself, or a folder of a usual name in it.

    Args:
        kind: of the dataset.
        place: what the user named; empty for the usual place.

    Raises:
        UnknownDataset: the dataset is not there.
    """
    root = absolute(place or kind.usual_place)
    folder = _locate(kind, root, root if place else root.parent)
    if folder is None:
        what = f"{root} is not {kind.title} as it is published" if root.is_dir() else f"There is no folder {root}"
        raise UnknownDataset(what, how_to_get(kind))
    return folder


def _locate(kind: Kind, root: Path, around: Path) -> Path | None:
    candidates = [root, *(around / name for name in kind.folders)]
    # Archives often hold a folder that is called like the one that they are unpacked into.
    for folder in (*candidates, *(folder / folder.name for folder in candidates)):
        if any((folder / mark).exists() for mark in kind.marks):
            return folder
    return None


def how_to_get(kind: Kind) -> str:
    """Return what is expected where, and where it comes from."""
    elsewhere = kind.usage.replace("[:FOLDER]", ":FOLDER")
    licence = f" ({kind.licence})" if kind.licence else ""
    return (
        f"Expected are {kind.contents} in {kind.usual_place}, or in a folder that you name: {elsewhere}. "
        f"To get it: {kind.source}{licence}."
    )


def some(records: list[ImageRecord], problems: list[Problem], kind: Kind) -> list[ImageRecord]:
    """Return the images, of which there has to be one.

    Raises:
        EmptyDataset: none of the listed images is there.
    """
    if not records:
        problem = next(iter(problems), None)
        told = f"{problem.path}: {problem.reason}" if problem else f"{kind.title} lists no images"
        raise EmptyDataset(told, how_to_get(kind))
    return records


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of a text file that are not empty, stripped.

    Raises:
        UnknownDataset: it cannot be read, or is no text.
    """
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for line in stream:
                if stripped := line.strip():
                    yield stripped
    except UnicodeDecodeError as error:
        raise UnknownDataset(f"{file} is no text file in UTF-8") from error
    except OSError as error:
        raise UnknownDataset(f"{file} cannot be read ({error.strerror})") from error
