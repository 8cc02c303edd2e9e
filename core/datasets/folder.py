"""A folder of images, searched recursively; labels are the names of the sub-folders, or in a table in the folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, ImageRecord, Problem
from visexplore.core.datasets.kinds import KINDS
from visexplore.core.datasets.listing import mtime_ns, unicode_id
from visexplore.core.datasets.spec import Spec
from visexplore.core.datasets.spec import slug as slug_of
from visexplore.core.errors import EmptyDataset, UnknownDataset, UserError
from visexplore.core.images import image_suffixes
from visexplore.core.text import count

SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "query", "gallery"})
# `metadata.csv` is what the hub's image folders have.
TABLES = ("labels.csv", "labels.tsv", "labels.parquet", "metadata.csv", "metadata.parquet")
_OTHER_KINDS = {".parquet": "parquet", ".tar": "wds"}


def open_folder(
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    spec: str | None = None,
    slug: str | None = None,
    title: str | None = None,
) -> Dataset:
    """List the images of `folder` and its sub-folders, in the order of their names.

    Hidden files and folders and files that are no images are left out. A symbolic link is followed, but no
    folder is entered twice, so loops end. The label of an image is the path of its folder (`Fruit/Apple`);
    where all top folders are called like splits (`train`, `test`, ...) they become the split instead. Where all
    images would have the same label there are no labels.

    A `labels.csv` or `labels.parquet` in the folder has the last word: images that it does not list have no label.

    Args:
        folder: where to look.
        options: which columns of that table hold what: `image`, `label`, `split`.
        spec: what opens it again; the absolute path by default.
        slug: its name in the embedding cache; by default the folder's name and a digest of its path.
        title: short name for the screen; the folder's name by default.

    Raises:
        UnknownDataset: the folder itself cannot be listed.
        EmptyDataset: it holds no images.
        UserError: a named column is not there.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps the user's own path: resolve() would follow links
    options = options or {}
    problems: list[Problem] = []
    records = list(images_below(folder, problems))
    if not records:
        raise EmptyDataset(f"{folder} holds no images, nor do its sub-folders", _hint(folder))
    records = _with_labels(records)
    if table := next((file for name in TABLES if (file := folder / name).is_file()), None):
        records, told = _with_table(folder, records, table, options)
        problems += told
    elif options:
        raise UserError(
            f"{folder} has no table of labels, so no column of it can be chosen", f"It may be called {TABLES[0]}."
        )
    return Dataset(
        spec=spec or Spec(KINDS[""], str(folder), options).text(),
        slug=slug or slug_of(folder.name, str(folder)),
        title=title or folder.name or str(folder),
        records=tuple(records),
        problems=tuple(problems),
    )


def images_below(folder: Path, problems: list[Problem]) -> Iterator[ImageRecord]:
    """Yield the images below `folder`, depth first, in the order of their names; without labels and splits.

    Args:
        folder: an absolute path.
        problems: takes what could not be listed.

    Raises:
        UnknownDataset: the folder itself cannot be listed.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise UnknownDataset(f"The folder {folder} cannot be read ({error.strerror})") from error
    suffixes = image_suffixes()
    for entry in _walk(folder, problems):
        if Path(entry.name).suffix.lower() in suffixes and (record := _record(folder, entry, problems)):
            yield record


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
    return ImageRecord(unicode_id(relative), entry.path, facts.st_size, mtime_ns(facts))


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


def _with_table(
    folder: Path, records: list[ImageRecord], file: Path, options: Mapping[str, str]
) -> tuple[list[ImageRecord], list[Problem]]:
    from visexplore.core.datasets.names import Names
    from visexplore.core.datasets.tables import entries_of, read_table

    try:
        entries = entries_of(read_table(file), options)
    except (UserError, UnknownDataset) as error:
        if options:
            raise
        return records, [Problem(str(file), f"not used: {error.message}")]  # the folders may say enough
    names = Names(str(folder), [record.image_id for record in records])
    labelled = list(records)
    if entries.roles.label:
        labelled = [replace(record, label=None) for record in records]
    listed: set[int] = set()
    absent, first = 0, ""
    for row in entries.rows:
        position = names.find(row.image)
        if position is None:
            absent, first = absent + 1, first or row.image
        elif position not in listed:
            listed.add(position)
            labelled[position] = replace(
                labelled[position],
                label=row.label if entries.roles.label else labelled[position].label,
                split=row.split if entries.roles.split else labelled[position].split,
                attributes=row.attributes,
            )
    problems = list(entries.problems)
    if absent:
        are = "is" if absent == 1 else "are"
        reason = f"{absent:,} of the {count(len(entries.rows), 'image')} that it lists {are} not here, first {first}"
        problems.append(Problem(str(file), reason))
    if unlisted := len(records) - len(listed):
        problems.append(Problem(str(file), f"it does not list {unlisted:,} of the {count(len(records), 'image')} here"))
    return labelled, problems


def _hint(folder: Path) -> str:
    """Return what to do with a folder without images."""
    for ending, kind in _OTHER_KINDS.items():
        if any(next(folder.glob(f"{depth}*{ending}"), None) for depth in ("", "*/")):
            return f"It holds {ending} files, which may hold images: try {kind}:{folder}."
    return (
        "Images end in .jpg, .png, .webp, .bmp, .gif, .tif or another ending that Pillow reads; "
        "hidden files are left out."
    )
