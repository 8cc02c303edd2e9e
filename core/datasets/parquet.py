"""Parquet files with images as bytes, the way Hugging Face and others publish them, or with the paths of images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visexplore.core.datasets.columns import (
    ID_NAMES,
    IMAGE_NAMES,
    LABEL_NAMES,
    SPLIT_NAMES,
    arrow_texts,
    attributes_of,
    find_column,
    labels_of,
    may_be_texts,
    splits_of,
)
from visexplore.core.datasets.dataset import Dataset, ImageRecord, Problem
from visexplore.core.datasets.files import Files, find_files, splits_of_files
from visexplore.core.datasets.listing import mtime_ns, unicode_id
from visexplore.core.datasets.parquet_rows import ParquetRows, Shard, shard_of
from visexplore.core.datasets.spec import Spec
from visexplore.core.datasets.table import open_listed
from visexplore.core.datasets.tables import PARQUET_SUFFIXES
from visexplore.core.errors import EmptyDataset, UnknownDataset, UserError


@dataclass(slots=True)
class _Part:
    """A Parquet file, but for its images."""

    path: Path
    facts: os.stat_result
    shard: Shard
    rows: int
    texts: dict[str, list[str | None]] = field(default_factory=dict)
    paths: list[str | None] | None = None  # of the images, as the file has them


def open_parquet(spec: Spec) -> Dataset:
    """Open Parquet files.

    Images are in a column of bytes, in a struct of `bytes` and `path`, or in files whose paths are in a column. The
    column, and those of labels, splits and ids, are named or found by their usual names; names of classes are taken
    from what Hugging Face writes into the file. Without a column for it the split is seen from the files' names
    (`train-00000-of-00004.parquet`). An image is called by its id or path where all are different, else by file and
    row.

    Raises:
        UnknownDataset: no such file is there, or none can be read.
        EmptyDataset: they have no rows.
        UserError: a named column is not there, or no column holds images.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = find_files(spec, PARQUET_SUFFIXES)
    problems: list[Problem] = []
    parts: list[_Part] = []
    roles: _Roles | None = None
    for path in files.paths:
        try:
            with pq.ParquetFile(path) as file:
                roles = roles or _roles(file.schema_arrow, spec.options, path)
                if roles.image in file.schema_arrow.names and not _holds_images(file.schema_arrow, roles.image):
                    return open_listed(spec, files.paths, files.pattern)
                if roles.image not in file.schema_arrow.names:
                    problems.append(Problem(str(path), f"it has no column '{roles.image}'"))
                    continue
                parts.append(_read(path, file, roles))
        except (OSError, pa.ArrowException) as error:
            problems.append(Problem(str(path), f"no Parquet file that can be read ({_first_line(error)})"))
    if roles is None or not parts:
        raise UnknownDataset(f"{problems[0].path}: {problems[0].reason}", "Get the file anew: it may be cut off.")
    if not any(part.rows for part in parts):
        raise EmptyDataset(f"{files.pattern} has no rows")
    return Dataset(
        spec=spec.text(files.pattern),
        slug=spec.slug(files.title, files.pattern),
        title=files.title,
        records=_records(parts, roles, files, "id" in spec.options),
        problems=tuple(problems),
        reader=ParquetRows({str(part.path): part.shard for part in parts}),
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


@dataclass(frozen=True, slots=True)
class _Roles:
    image: str
    label: str | None
    split: str | None
    id: str | None
    class_names: Mapping[str, Sequence[str]]


def _roles(schema: Any, options: Mapping[str, str], path: Path) -> _Roles:  # noqa: ANN401 - pyarrow has no types
    features = _features(schema)
    class_names = {
        name: list(map(str, feature["names"]))
        for name, feature in features.items()
        if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
    }
    holding = [name for name in schema.names if _holds_images(schema, name)]
    texts = [name for name in schema.names if may_be_texts(schema.field(name).type)]
    label = find_column(texts, options.get("label"), LABEL_NAMES, path) or next(iter(class_names), None)
    split = find_column(texts, options.get("split"), SPLIT_NAMES, path)
    marked = [name for name in holding if features.get(name, {}).get("_type") == "Image"]
    likely = [*holding, *texts] if "image" in options else marked or holding
    image = find_column(likely, options.get("image"), IMAGE_NAMES, path) or next(iter(likely), None)
    image = image or find_column([name for name in texts if name not in (label, split)], None, IMAGE_NAMES, path)
    if image is None:
        raise UserError(
            f"{path} has no column with images",
            f"Say which one holds them with ?image=COLUMN; it has {', '.join(schema.names)}.",
        )
    taken = (image, label, split)
    own_id = find_column([name for name in texts if name not in taken], options.get("id"), ID_NAMES, path)
    return _Roles(image, label, split, own_id, class_names)


def _features(schema: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """Return what Hugging Face says about the columns, or nothing."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: feature for name, feature in found.items() if isinstance(feature, dict)}


def _holds_images(schema: Any, name: str) -> bool:  # noqa: ANN401
    """Whether a column's type is bytes, or a struct with bytes as Hugging Face writes it."""
    import pyarrow as pa

    kind = schema.field(name).type
    if pa.types.is_struct(kind):
        return any(kind.field(number).name == "bytes" for number in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _read(path: Path, file: Any, roles: _Roles) -> _Part:  # noqa: ANN401
    """Read everything of a file but its images."""
    import pyarrow as pa

    schema = file.schema_arrow
    part = _Part(path, path.stat(), shard_of(file.metadata, roles.image), file.metadata.num_rows)
    useful = [name for name in schema.names if name != roles.image and may_be_texts(schema.field(name).type)]
    table = file.read(columns=useful)
    for name in useful:
        texts = arrow_texts(table.column(name), roles.class_names.get(name, ()))
        if texts is not None:
            part.texts[name] = texts
    kind = schema.field(roles.image).type
    if pa.types.is_struct(kind) and any(kind.field(number).name == "path" for number in range(kind.num_fields)):
        column = file.read(columns=[f"{roles.image}.path"]).column(0)
        part.paths = arrow_texts(pa.chunked_array([pa.array(c.field("path")) for c in column.chunks], pa.string()))
    return part


def _records(parts: Sequence[_Part], roles: _Roles, files: Files, named_id: bool) -> tuple[ImageRecord, ...]:
    rows = sum(part.rows for part in parts)
    names = list(dict.fromkeys(name for part in parts for name in part.texts))
    texts: dict[str, list[str | None]] = {name: [] for name in names}
    for part in parts:
        for name in names:
            texts[name] += part.texts.get(name) or [None] * part.rows
    nothing: list[str | None] = [None] * rows
    labels = labels_of(texts[roles.label]) if roles.label in texts else nothing
    if roles.split in texts:
        splits = splits_of(texts[roles.split])
    else:
        rows_of = {part.path: part.rows for part in parts}
        splits = splits_of_files(files, [rows_of.get(path, 0) for path in files.paths])
    taken = (roles.label, roles.split, roles.id if named_id else None)
    attributes = attributes_of({name: values for name, values in texts.items() if name not in taken}, rows)
    ids = _ids(parts, texts.get(roles.id or ""), files.folder, named_id)
    records: list[ImageRecord] = []
    facts = iter(zip(ids, labels, splits, attributes, strict=True))
    for part in parts:
        path, size, changed = str(part.path), part.facts.st_size, mtime_ns(part.facts)
        for row in range(part.rows):
            image_id, label, split, further = next(facts)
            records.append(ImageRecord(image_id, path, size, changed, label, split, row, further))
    return tuple(records)


def _ids(parts: Sequence[_Part], column: list[str | None] | None, folder: Path, named: bool) -> list[str]:
    """Return the images' names: from a column of ids, from their paths, or else file and row."""
    paths = [path for part in parts for path in part.paths or [None] * part.rows]
    if named and column is not None and (None in column or len(set(column)) < len(column)):
        raise UserError("The column that was named for the ids does not name each image differently")
    for names in (column, paths) if named else (paths, column):
        if names is not None and None not in names and len(set(names)) == len(names):
            return [unicode_id(name) for name in names if name is not None]
    return [
        f"{unicode_id(str(part.path.relative_to(folder).with_suffix('')))}/{row:06}"
        for part in parts
        for row in range(part.rows)
    ]
