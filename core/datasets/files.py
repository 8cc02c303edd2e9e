"""Files by a pattern: a file, a folder, `*` and `**`, and the braces of WebDataset (`part-{000..012}.tar`)."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visexplore.core.datasets.folder import SPLIT_NAMES
from visexplore.core.datasets.spec import Spec, absolute
from visexplore.core.errors import EmptyDataset, UnknownDataset

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class Files:
    """What a pattern found.

    Attributes:
        pattern: absolute.
        paths: absolute, in the order of their names, at least one.
        title: short name for all of them.
        folder: that all of them are in, at any depth.
    """

    pattern: str
    paths: tuple[Path, ...]
    title: str
    folder: Path


def find_files(spec: Spec, endings: Collection[str]) -> Files:
    """Return the files that a dataset's name means; of a folder those in it, at any depth, with one of `endings`.

    Raises:
        UnknownDataset: there is no such file or folder, or no file fits the pattern.
        EmptyDataset: the folder holds no such file.
    """
    place = absolute(spec.place)
    wanted = " or ".join(sorted(endings))
    if place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.suffix.lower() in endings and path.is_file())
        if not found:
            raise EmptyDataset(f"{place} holds no {wanted} files", f"Write {spec.kind.usage}.")
        return Files(str(place), tuple(found), place.name or str(place), place)
    if place.is_file():
        return Files(str(place), (place,), place.stem, place.parent)
    matches = (path for pattern in _expanded(str(place)) for path in glob.iglob(pattern, recursive=True))  # noqa: PTH207
    found = [Path(path) for path in sorted(set(matches)) if os.path.isfile(path)]  # noqa: PTH113
    if not found:
        what = "no file fits" if any(char in str(place) for char in "*?[{") else "there is no file or folder"
        raise UnknownDataset(f"For '{spec.text()}' {what} {place}", f"Write {spec.kind.usage}.")
    folder = Path(os.path.commonpath([path.parent for path in found]))
    return Files(str(place), tuple(found), folder.name or str(folder), folder)


def splits_of_files(files: Files, images: Sequence[int]) -> list[str | None]:
    """Return the split of each image by what its file or its folder is called, or none where not all say one.

    Args:
        files: that hold the images.
        images: how many each file holds.
    """
    found: list[str | None] = []
    for path, number in zip(files.paths, images, strict=True):
        # `train-00000-of-00004.parquet` and `train/part-0.parquet`, but not a folder `test-of-last-week`.
        words = [re.split(r"[-_.]", path.name)[0].lower()]
        words += [part.lower() for part in reversed(path.relative_to(files.folder.parent).parts[:-1])]
        split = next((word for word in words if word in SPLIT_NAMES), None)
        if number and split is None:
            return [None] * sum(images)
        found += [split] * number
    return found


def _expanded(pattern: str) -> Iterator[str]:
    """Yield the patterns that braces stand for: `{a,b}` and `{000..012}`."""
    braces = _BRACES.search(pattern)
    if braces is None:
        yield pattern
        return
    span = _RANGE.fullmatch(braces[1])
    if span:
        first, last, width = int(span[1]), int(span[2]), len(span[1])
        if last - first > _MOST_FILES:
            raise UnknownDataset(f"{pattern} names more than {_MOST_FILES:,} files", "Use * instead.")
        choices = [f"{number:0{width}}" for number in range(first, last + 1)]
    else:
        choices = braces[1].split(",")
    for choice in choices:
        yield from _expanded(pattern[: braces.start()] + choice + pattern[braces.end() :])
