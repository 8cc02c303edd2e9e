"""WebDataset: tar files in which the files of one sample have one name and different endings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from visexplore.core.datasets.columns import LABEL_NAMES, attributes_of, find_column, labels_of
from visexplore.core.datasets.dataset import MAX_FILE_BYTES, Dataset, ImageRecord, Problem
from visexplore.core.datasets.files import Files, find_files, splits_of_files
from visexplore.core.datasets.listing import mtime_ns, unicode_id
from visexplore.core.datasets.spec import Spec
from visexplore.core.datasets.tar_index import TarDamaged, members
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnreadableImage
from visexplore.core.images import image_suffixes
from visexplore.core.text import count

_MOST_TEXT_BYTES = 100_000  # a longer text is no label, and a longer JSON no set of facts
_TEXTS = ("cls", "txt")


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    offset: int
    size: int
    facts: tuple[tuple[str, str], ...]  # what the files beside the image say: `cls`, `txt`, and the keys of the JSON


@dataclass(frozen=True, slots=True)
class _Index:
    samples: tuple[_Sample, ...]
    problem: str


def open_webdataset(spec: Spec) -> Dataset:
    """Open WebDataset tars.

    The label of an image is what its `.cls` file says, else a key of its `.json` that is called like a label, else
    its `.txt` where texts repeat; or what the option `label` names: a key or an ending. Further keys of the JSON are
    attributes. A tar is looked through once; its images are then read from their places.

    Raises:
        UnknownDataset: no such tar is there.
        EmptyDataset: they hold no images.
        UserError: the named key is nowhere.
    """
    files = find_files(spec, {".tar"})
    records: list[ImageRecord] = []
    facts: list[tuple[tuple[str, str], ...]] = []
    of_files: list[int] = []
    problems: list[Problem] = []
    for path in files.paths:
        try:
            known = path.stat()
            index = _index(str(path), known.st_size, known.st_mtime_ns)
        except OSError as error:
            problems.append(Problem(str(path), error.strerror or str(error)))
            of_files.append(0)
            continue
        if index.problem:
            problems.append(Problem(str(path), index.problem))
        inside = f"{unicode_id(str(path.relative_to(files.folder).with_suffix('')))}/" if len(files.paths) > 1 else ""
        changed = mtime_ns(known)
        records += [
            ImageRecord(inside + unicode_id(sample.name), str(path), sample.size, changed, place=sample.offset)
            for sample in index.samples
        ]
        facts += [sample.facts for sample in index.samples]
        of_files.append(len(index.samples))
    if not records:
        if problems:
            raise UnknownDataset(f"{problems[0].path}: {problems[0].reason}")
        raise EmptyDataset(f"{files.pattern} holds no images", f"It is expected to hold: {spec.kind.contents}")
    return Dataset(
        spec=spec.text(files.pattern),
        slug=spec.slug(files.title, files.pattern),
        title=files.title,
        records=_with_facts(records, facts, spec.options.get("label"), files, of_files),
        problems=tuple(problems),
        reader=_read,
    )


def _read(record: ImageRecord) -> bytes:
    if record.size > MAX_FILE_BYTES:
        raise UnreadableImage(f"Its {record.size / 1e9:.1f} GB are more than a picture has")
    try:
        with Path(record.path).open("rb") as stream:
            stream.seek(record.place)
            data = stream.read(record.size)
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from error
    if len(data) < record.size:
        raise UnreadableImage("The tar ends before the image does")
    return data


# The arguments beside the path make a changed tar another one. A listing is asked for whenever embedding begins.
@lru_cache(maxsize=4096)
def _index(path: str, size: int, changed: int) -> _Index:
    """Look through a tar for images and what is said of them."""
    images: dict[str, tuple[int, str, int, int]] = {}
    facts: dict[str, list[tuple[str, str]]] = {}
    shared: dict[str, str] = {}
    suffixes = image_suffixes()
    problem, repeated = "", 0
    handle = os.open(path, os.O_RDONLY)
    try:
        for member in members(Path(path)):
            folder, _, name = member.name.rpartition("/")
            stem, _, ending = name.partition(".")
            if not stem:  # a hidden file
                continue
            key, ending = f"{folder}/{stem}" if folder else stem, ending.lower()
            if f".{ending.rpartition('.')[2]}" in suffixes:
                rank = ending.count(".")  # `seg.png` is beside the picture, `png` is the picture
                if key not in images or rank < images[key][0]:
                    images[key] = (rank, member.name, member.offset, member.size)
                elif rank == images[key][0] and member.name == images[key][1]:
                    repeated += 1
            elif ending in (*_TEXTS, "json") and member.size <= _MOST_TEXT_BYTES:
                content = os.pread(handle, member.size, member.offset)
                facts.setdefault(key, []).extend(_facts(ending, content, shared))
    except TarDamaged as error:
        problem = str(error) + (f" after {count(len(images), 'image')}" if images else "")
    finally:
        os.close(handle)
    if repeated and not problem:
        problem = f"it holds {count(repeated, 'image')} once more; the first counts"
    samples = (
        _Sample(name, offset, size, tuple(facts.get(key, ()))) for key, (_, name, offset, size) in images.items()
    )
    return _Index(tuple(samples), problem)


def _facts(ending: str, content: bytes, shared: dict[str, str]) -> list[tuple[str, str]]:
    text = content.decode("utf-8", "replace").strip()
    if ending in _TEXTS:
        return [(ending, shared.setdefault(text, text))] if text else []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    values = {str(key): str(value) for key, value in found.items() if isinstance(value, str | int)}
    return [(shared.setdefault(key, key), shared.setdefault(value, value)) for key, value in values.items() if value]


def _with_facts(
    records: Sequence[ImageRecord],
    facts: Sequence[tuple[tuple[str, str], ...]],
    named: str | None,
    files: Files,
    of_files: Sequence[int],
) -> tuple[ImageRecord, ...]:
    columns: dict[str, list[str | None]] = {}
    for row, pairs in enumerate(facts):
        for key, value in pairs:
            if key not in columns:
                columns[key] = [None] * len(records)
            columns[key][row] = value
    label = _label(columns, named, files.pattern, len(records))
    labels = labels_of(columns.pop(label)) if label else [None] * len(records)
    attributes = attributes_of({key: texts for key, texts in columns.items() if key not in _TEXTS}, len(records))
    splits = splits_of_files(files, of_files)
    return tuple(
        ImageRecord(r.image_id, r.path, r.size, r.mtime_ns, own_label, split, r.place, further)
        for r, own_label, split, further in zip(records, labels, splits, attributes, strict=True)
    )


def _label(columns: Mapping[str, Sequence[str | None]], named: str | None, where: str, rows: int) -> str | None:
    if named is None and "cls" in columns:
        return "cls"
    found = find_column([key for key in columns if named or key not in _TEXTS], named, LABEL_NAMES, where)
    if found is None and "txt" in columns and len(set(columns["txt"])) <= rows // 2:
        return "txt"
    return found
