"""Tables of images and labels: CSV and Parquet, read column by column as texts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from visexplore.core.datasets.columns import (
    Roles,
    Texts,
    arrow_texts,
    attributes_of,
    find_roles,
    labels_of,
    may_be_texts,
    splits_of,
)
from visexplore.core.datasets.dataset import Attributes, Problem
from visexplore.core.errors import UnknownDataset, UserError
from visexplore.core.images import image_suffixes

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
CSV_SUFFIXES = frozenset({".csv", ".tsv"})
_LOOKED_AT = 20  # rows, to see what a column holds
_DELIMITERS = ",;\t|"
# Equal texts are made one object, as far as remembering them all costs less than it saves.
_MOST_SHARED = 200_000


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Attributes:
        file: that it was read from.
        columns: the values by the columns' names, all of the same length.
        rows: how many there are.
    """

    file: Path
    columns: Mapping[str, Texts]
    rows: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What a row of a table says about an image."""

    image: str
    label: str | None
    split: str | None
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Entries:
    """What a table says about images.

    Attributes:
        rows: that name an image, in their order.
        roles: which columns were read for what.
        problems: what could not be made out.
    """

    rows: list[Entry]
    roles: Roles
    problems: tuple[Problem, ...]


def entries_of(table: Table, options: Mapping[str, str]) -> Entries:
    """Return what a table says about images.

    Without a column that is named or called like labels, one that is alone beside the images is taken for them.

    Raises:
        UserError: a named column is not there, or no column names the images.
    """
    roles = find_roles(list(table.columns), options, table.file)
    image = roles.image
    if "image" not in options and (image is None or not _are_pictures(table.columns[image])):
        # A column `image` may hold numbers, and the one called `url_1` the files.
        free = [name for name, texts in table.columns.items() if not roles.has(name) and _are_pictures(texts)]
        image = next(iter(free), image)
    if image is None:
        raise UserError(
            f"{table.file} has no column that looks as if it named the images",
            f"Say which one does with ?image=COLUMN; it has {', '.join(table.columns) or 'none'}.",
        )
    roles = Roles(image, roles.label, roles.split)
    further = [name for name in table.columns if not roles.has(name)]
    problems = []
    if roles.label is None and len(further) == 1 and len(set(table.columns[further[0]])) < table.rows:
        roles = Roles(image, further.pop(), roles.split)
    elif roles.label is None and further:
        reason = f"no column is called like labels; choose one with ?label=COLUMN, it has {', '.join(further)}"
        problems.append(Problem(str(table.file), reason))
    nothing: Sequence[str | None] = [None] * table.rows
    labels = labels_of(table.columns[roles.label]) if roles.label else nothing
    splits = splits_of(table.columns[roles.split]) if roles.split else nothing
    attributes = attributes_of({name: table.columns[name] for name in further}, table.rows)
    facts = zip(table.columns[image], labels, splits, attributes, strict=True)
    rows = [Entry(name, label, split, pairs) for name, label, split, pairs in facts if name]
    return Entries(rows, roles, tuple(problems))


def _are_pictures(texts: Texts) -> bool:
    """Whether values end like names of pictures."""
    seen = [text for text in islice(texts, _LOOKED_AT) if text]
    return bool(seen) and all(Path(text).suffix.lower() in image_suffixes() for text in seen)


def read_table(file: Path) -> Table:
    """Read a table: Parquet by its ending, anything else as CSV.

    Raises:
        UnknownDataset: it is not there, or is no such table.
    """
    return _read_parquet(file) if file.suffix.lower() in PARQUET_SUFFIXES else _read_csv(file)


def _read_csv(file: Path) -> Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return _columns_of_csv(file, stream)
    except UnicodeDecodeError as error:
        raise UnknownDataset(f"{file} is not in UTF-8", "Save it as UTF-8 and try again.") from error
    except csv.Error as error:
        raise UnknownDataset(f"{file} is no CSV file that can be read ({error})") from error
    except OSError as error:
        raise UnknownDataset(f"{file} cannot be read ({error.strerror})") from error


def _columns_of_csv(file: Path, stream: TextIO) -> Table:
    """Read a CSV file; what separates the fields is seen from the first line.

    A first line in which a field ends like a picture's name is no header: columns are then called 1, 2, ...
    """
    first_line = stream.readline()
    stream.seek(0)
    delimiter = max(_DELIMITERS, key=first_line.count)
    rows = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
    header = [field.strip() for field in next(rows, [])]
    columns: list[list[str | None]] = [[] for _ in header]
    if any(Path(field).suffix.lower() in image_suffixes() for field in header):
        _append(columns, iter([header]))
        header = []
    _append(columns, rows)
    named: dict[str, Texts] = {}
    for number, texts in enumerate(columns, 1):
        name = header[number - 1] if header else ""
        named.setdefault(name or str(number), texts)
    return Table(file, named, len(columns[0]) if columns else 0)


def _append(columns: list[list[str | None]], rows: Iterator[list[str]]) -> None:
    shared: dict[str, str] = {}
    same: Callable[[str, str], str] = shared.setdefault
    for row in rows:
        if not row:
            continue
        if len(shared) > _MOST_SHARED:
            same = shared.get
        for column, field in zip(columns, row, strict=False):
            column.append(same(field, field) or None)
        for column in columns[len(row) :]:
            column.append(None)


def _read_parquet(file: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:  # `read_table` would take folders called a=b for columns
            useful = [field.name for field in opened.schema_arrow if may_be_texts(field.type)]
            table = opened.read(columns=useful)
    except pa.ArrowException as error:
        raise UnknownDataset(f"{file} is no Parquet file that can be read") from error
    except OSError as error:
        raise UnknownDataset(f"{file} cannot be read ({error.strerror or error})") from error
    columns = {name: arrow_texts(table.column(name)) for name in useful}
    return Table(file, {name: texts for name, texts in columns.items() if texts is not None}, table.num_rows)
