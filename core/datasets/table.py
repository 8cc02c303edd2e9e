"""Images that a table lists: a CSV file, or Parquet files with the paths of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, Problem
from visexplore.core.datasets.folder import images_below
from visexplore.core.datasets.listing import Listed, found
from visexplore.core.datasets.names import Names
from visexplore.core.datasets.spec import Spec, absolute
from visexplore.core.datasets.tables import Entry, entries_of, read_table
from visexplore.core.errors import EmptyDataset, UnknownDataset

_ADDRESS = re.compile(r"[a-z0-9]+://")
_LOOKED_AT = 200  # names that are tried as they are, before the folder is searched for them


def open_table(spec: Spec) -> Dataset:
    """Open the images that a CSV file lists.

    Names are relative to the file's own folder or to the option `root`. Where none of the first is there, the folder
    is searched for files of these names, with or without their endings. Listed images that are not there are counted
    in `problems`.

    Raises:
        UnknownDataset: the table is not there, or is none.
        EmptyDataset: none of its images is there.
        UserError: a named column is not there, or no column names the images.
    """
    file = absolute(spec.place)
    if not file.is_file():
        raise UnknownDataset(f"There is no file {file}", f"Write {spec.kind.usage}.")
    return open_listed(spec, [file], str(file))


def open_listed(spec: Spec, files: Sequence[Path], place: str) -> Dataset:
    """Open the images that one or several tables list.

    Args:
        spec: the dataset's name.
        files: absolute paths of the tables.
        place: how to write where they are.

    Raises:
        UnknownDataset, EmptyDataset, UserError: as `open_table`.
    """
    options = dict(spec.options)
    if "root" in options:
        options["root"] = str(absolute(options["root"]))
    roots = [Path(options["root"]) if "root" in options else file.parent for file in files]
    common = Path(os.path.commonpath(roots))
    problems: list[Problem] = []
    listed: list[Listed] = []
    for file, root in zip(files, roots, strict=True):
        entries = entries_of(read_table(file), options)
        problems += entries.problems
        if entries.rows and _ADDRESS.match(entries.rows[0].image):
            raise EmptyDataset(
                f"The images that {file} lists are on the web", "Download them first, then list the files."
            )
        listed += _listed(entries.rows, root, str(common), problems)
    records, absent = found(listed, files[0] if len(files) == 1 else Path(place), common)
    problems += absent
    if not records:
        told = f"{problems[-1].path}: {problems[-1].reason}" if problems else f"{place} lists no images"
        raise EmptyDataset(
            told, "Name the folder that they are in with ?root=FOLDER, or the column with ?image=COLUMN."
        )
    name = Path(files[0].name).stem if len(files) == 1 else files[0].parent.name
    named = Spec(spec.kind, spec.place, options)
    return Dataset(
        spec=named.text(place),
        slug=named.slug(name, place),
        title=name,
        records=tuple(records),
        problems=tuple(problems),
    )


def _listed(rows: Sequence[Entry], root: Path, common: str, problems: list[Problem]) -> Iterator[Listed]:
    """Yield the images of a table by their paths below `common`."""
    folder = str(root)
    paths = [os.path.join(folder, row.image) for row in rows]  # noqa: PTH118 - an absolute name stays what it is
    if root.is_dir() and not any(map(os.path.isfile, paths[:_LOOKED_AT])):
        images = list(images_below(root, problems))
        names = Names(folder, [image.image_id for image in images])
        for number, row in enumerate(rows):
            position = names.find(row.image)
            if position is not None:
                paths[number] = images[position].path
    for path, row in zip(paths, rows, strict=True):
        name = os.path.normpath(path).removeprefix(f"{common}/")
        yield Listed(name, path, row.label, row.split, row.attributes)
