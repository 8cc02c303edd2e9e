"""A folder of images, searched recursively; labels are the names of the sub-folders."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, ImageRecord, Problem
from visexplore.core.errors import EmptyDataset, UnknownDataset
from visexplore.core.images import image_suffixes

_MAX_INT64 = 2**63 - 1
SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "query", "gallery"})


def open_folder(folder: Path, *, spec: str | None = None, slug: str | None = None, title: str | None = None) -> Dataset:
    """List the images of `folder` and its sub-folders, in the order of their names.

    Hidden files and folders and files that are no images are left out. A symbolic link is followed, but no
    folder is entered twice, so loops end. The label of an image is the path of its folder (`Fruit/Apple`);
    where all top folders are called like splits (`train`, `test`, ...) they become the split instead. Where all
    images would have the same label there are no labels.

    Args:
        folder: where to look.
        spec: what opens it again; the absolute path by default.
        slug: its name in the embedding cache; by default the folder's name and a digest of its path.
        title: short name for the screen; the folder's name by default.

    Raises:
        UnknownDataset: the folder itself cannot be listed.
        EmptyDataset: it holds no images.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps the user's own path: resolve() would follow links
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise UnknownDataset(f"The folder {folder} cannot be read ({error.strerror})") from error
    problems: list[Problem] = []
    suffixes = image_suffixes()
    files = [entry for entry in _walk(folder, problems) if Path(entry.name).suffix.lower() in suffixes]
    found = [record for entry in files if (record := _record(folder, entry, problems))]
    if not found:
        raise EmptyDataset(
            f"{folder} holds no images, nor do its sub-folders",
            "Images end in .jpg, .png, .webp, .bmp, .gif, .tif or another ending that Pillow reads; "
            "hidden files are left out.",
        )
    return Dataset(
        spec=spec or str(folder),
        slug=slug or _slug(folder),
        title=title or folder.name or str(folder),
        records=tuple(_with_labels(found)),
        problems=tuple(problems),
    )


def _walk(folder: Path, problems: list[Problem]) -> Iterator[os.DirEntry[str]]:
    """Yield the files below `folder`, depth first, in the order of their names."""
    seen: set[tuple[int, int]] = set()

    def enter(path: str) -> Iterator[os.DirEntry[str]]:
        try:
            facts = os.stat(path)  # noqa: PTH116 - a str is cheaper than a Path, a million times over
            if (facts.st_dev, facts.st_ino) in seen:
                return iter(())
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(path) as entries:
                listing = (entry for entry in entries if not entry.name.startswith("."))
                return iter(sorted(listing, key=lambda entry: entry.name))
        except OSError as error:
            problems.append(Problem(path, error.strerror or str(error)))
            return iter(())

    inside = [enter(str(folder))]  # the folders around the place where we are; recursion would end at 1,000
    while inside:
        entry = next(inside[-1], None)
        if entry is None:
            inside.pop()
        elif _is(entry.is_dir):
            inside.append(enter(entry.path))
        elif _is(entry.is_file):
            yield entry


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link into itself, or into a folder that may not be entered
        return False


def _record(folder: Path, entry: os.DirEntry[str], problems: list[Problem]) -> ImageRecord | None:
    try:
        facts = entry.stat()
    except OSError as error:
        problems.append(Problem(entry.path, error.strerror or str(error)))
        return None
    relative = entry.path[len(str(folder)) :].lstrip("/")
    changed = min(max(facts.st_mtime_ns, -_MAX_INT64), _MAX_INT64)  # a file may claim to be of the year 2500
    return ImageRecord(_image_id(relative), entry.path, facts.st_size, changed)


def _image_id(relative: str) -> str:
    r"""Return `relative` as valid Unicode, different for different names.

    Bytes that are no UTF-8 become `\\xNN`. A name that already looks so has its backslashes doubled.
    """
    try:
        relative.encode()
        if not re.search(r"\\(x[0-9a-f]{2}|\\)", relative):
            return relative
    except UnicodeEncodeError:
        pass
    return os.fsencode(relative.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def _with_labels(records: list[ImageRecord]) -> list[ImageRecord]:
    parts = [record.image_id.split("/")[:-1] for record in records]
    tops = {part[0].lower() if part else "" for part in parts}
    has_splits = tops <= SPLIT_NAMES
    labels = ["/".join(part[1:] if has_splits else part) or None for part in parts]
    if len(set(labels)) < 2:
        labels = [None] * len(records)
    return [
        replace(record, label=label, split=part[0].lower() if has_splits else None)
        for record, part, label in zip(records, parts, labels, strict=True)
    ]


def _slug(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-.")[:40] or "folder"
    return f"{name}-{hashlib.blake2b(os.fsencode(folder), digest_size=4).hexdigest()}"
