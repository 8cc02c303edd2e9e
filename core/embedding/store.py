"""Embeddings of one dataset under one recipe, as Parquet shards on disk.

A shard is written whole under a temporary name, synced, and renamed: after a kill at any moment the folder holds
finished shards and at most one nameless leftover. What the shards say is what is done; nothing else keeps count.
pandas, DuckDB and Hugging Face datasets read the files as they are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import StorageError, StoreBusy

_LEFTOVER = ".part"
_FACTS = ("image_id", "content_key", "size", "mtime_ns", "ok", "error")


@dataclass(frozen=True, slots=True)
class Row:
    """What the store keeps of one image.

    Attributes:
        record: the image as the dataset listed it when it was embedded.
        content_key: digest of its bytes; empty where the file could not be read.
        embedding: float16 (dim,), or None where the image could not be embedded.
        error: why not; empty if all is well.
    """

    record: ImageRecord
    content_key: str
    embedding: NDArray[np.float16] | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an embedding is: the shard's file name and the row in it."""

    shard: str
    row: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of one version of a file."""

    place: Place
    content_key: str
    error: str

    @property
    def ok(self) -> bool:
        """Whether there is an embedding."""
        return not self.error

    @property
    def final(self) -> bool:
        """Whether trying again is of no use: the bytes were seen. A file that could not be read may be readable now."""
        return bool(self.content_key)


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store says about itself without being read.

    Attributes:
        path: its folder.
        dataset: the spec that opens the dataset again.
        title: of the dataset.
        model: slug of the checkpoint.
        recipe: of the embeddings.
        dim: their length.
        preprocessing: as the encoder resolved it.
    """

    path: Path
    dataset: str
    title: str
    model: str
    recipe: Recipe
    dim: int
    preprocessing: str

    def size(self) -> int:
        """Return the bytes on disk, derived index included."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def rows(self) -> int:
        """Return the number of stored rows, from the shards' footers; damaged shards count nothing."""
        rows = 0
        for file in _shard_files(self.path):
            with contextlib.suppress(OSError, pa.ArrowException):
                rows += pq.read_metadata(file).num_rows
        return rows


def store_path(home: Path, dataset: Dataset, model: str, recipe: Recipe) -> Path:
    """Return the folder of a store: `embeddings/<dataset>/<checkpoint>-<recipe digest>`."""
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in model)[-80:]
    return home / "embeddings" / dataset.slug / f"{safe}-{recipe.digest}"


def list_stores(home: Path) -> list[StoreInfo]:
    """Return all stores below `home`, in the order of their folders; folders that are no stores are left out."""
    found = (_read_info(folder) for folder in sorted((home / "embeddings").glob("*/*/")))
    return [info for info in found if info]


def _shard_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("shard-*.parquet"))


def _read_info(folder: Path) -> StoreInfo | None:
    for file in _shard_files(folder):
        try:
            return _info_of(folder, pq.read_schema(file))
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
            continue  # damaged: another shard says the same
    return None


def _info_of(folder: Path, schema: pa.Schema) -> StoreInfo:
    meta = json.loads((schema.metadata or {})[b"visexplore"])
    return StoreInfo(
        path=folder,
        dataset=meta["dataset"],
        title=meta["title"],
        model=meta["model"],
        recipe=Recipe(**meta["recipe"]),
        dim=int(meta["dim"]),
        preprocessing=meta["preprocessing"],
    )


class Store:
    """The shards of one dataset under one recipe; made when the first shard is written."""

    def __init__(self, path: Path, dataset: Dataset, model: str, recipe: Recipe) -> None:
        self.path = path
        self.recipe = recipe
        self._dataset = dataset
        self._model = model
        self._by_stamp: dict[tuple[str, int, int], Known] = {}
        self._by_content: dict[str, Known] = {}
        self._read: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were written or deleted since the last look, here or by another process."""
        files = _shard_files(self.path)
        if not self._read <= {file.name for file in files}:
            self._read, self._by_stamp, self._by_content = set(), {}, {}
        for file in files:
            if file.name not in self._read:
                self._take_in(file)

    def _take_in(self, file: Path) -> None:
        try:
            table = pq.read_table(file, columns=list(_FACTS))
            columns = [table.column(name).to_pylist() for name in _FACTS]
        except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError):
            return  # a damaged shard is as good as none: its images are embedded again
        for row, (image_id, key, size, mtime_ns, ok, error) in enumerate(zip(*columns, strict=True)):
            known = Known(Place(file.name, row), key, "" if ok else error or "unknown")
            self._remember((image_id, size, mtime_ns), known)
        self._read.add(file.name)

    def _remember(self, stamp: tuple[str, int, int], known: Known) -> None:
        if known.content_key:
            self._by_content[known.content_key] = known
        elif stamp in self._by_stamp and self._by_stamp[stamp].content_key:
            return  # could not be read at one time, but at another
        self._by_stamp[stamp] = known

    def info(self) -> StoreInfo | None:
        """Return what the store says about itself, or None while it is empty."""
        return _read_info(self.path)

    def known(self, record: ImageRecord) -> Known | None:
        """Return what is stored of this very version of the file, found by path, size and time of change."""
        return self._by_stamp.get((record.image_id, record.size, record.mtime_ns))

    def known_content(self, content_key: str) -> Known | None:
        """Return what is stored of an image with the same bytes, whatever its name."""
        return self._by_content.get(content_key)

    def missing(self, records: Iterable[ImageRecord]) -> list[ImageRecord]:
        """Return the images to embed: new or changed ones, and those whose files could not be read."""
        return [record for record in records if not ((known := self.known(record)) and known.final)]

    def stamp(self) -> str:
        """Return a digest of which shards were read: it changes when there is more to read."""
        return hashlib.blake2b("\n".join(sorted(self._read)).encode(), digest_size=8).hexdigest()

    def embeddings(self, places: Sequence[Place]) -> NDArray[np.float16]:
        """Read embeddings: float16 (len(places), dim), in the order of `places`."""
        by_shard: dict[str, list[int]] = {}
        for position, place in enumerate(places):
            by_shard.setdefault(place.shard, []).append(position)
        out: NDArray[np.float16] | None = None
        for shard, positions in by_shard.items():
            vectors = self._shard_embeddings(shard)
            if out is None:
                out = np.empty((len(places), vectors.shape[1]), np.float16)
            out[positions] = vectors[[places[position].row for position in positions]]
        return out if out is not None else np.empty((0, 0), np.float16)

    def _shard_embeddings(self, shard: str) -> NDArray[np.float16]:
        try:
            column = pq.read_table(self.path / shard, columns=["embedding"]).column(0).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"The stored embeddings in {self.path / shard} are damaged ({error})",
                "Delete that file and embed again: only its images are embedded anew.",
            ) from error
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        values: NDArray[np.float16] = column.values.to_numpy(zero_copy_only=False)
        return values.reshape(len(column), -1)

    def write_shard(self, rows: Sequence[Row], *, dim: int, preprocessing: str) -> None:
        """Write one shard durably and take it in.

        Raises:
            StorageError: the disk is full or the folder cannot be written; nothing half-written stays.
        """
        if not rows:
            return
        name = f"shard-{_rows_digest(rows)}.parquet"
        table = self._table(rows, dim, preprocessing)
        temporary = self.path / f"{name}.{uuid.uuid4().hex[:8]}{_LEFTOVER}"
        try:
            with temporary.open("wb") as stream:
                pq.write_table(
                    table, stream, compression="zstd", use_dictionary=False, column_encoding={
                        "embedding.list.element": "BYTE_STREAM_SPLIT"}
                )  # fmt: skip
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self.path / name)
            _sync_folder(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise storage_error(error, self.path) from error
        self._take_in(self.path / name)

    def _table(self, rows: Sequence[Row], dim: int, preprocessing: str) -> pa.Table:
        vectors = np.zeros((len(rows), dim), np.float16)
        for position, row in enumerate(rows):
            if row.embedding is not None:
                vectors[position] = row.embedding
        failed = pa.array([row.embedding is None for row in rows])
        columns = {
            "image_id": pa.array([row.record.image_id for row in rows], pa.string()),
            "content_key": pa.array([row.content_key for row in rows], pa.string()),
            "size": pa.array([row.record.size for row in rows], pa.int64()),
            "mtime_ns": pa.array([row.record.mtime_ns for row in rows], pa.int64()),
            "label": pa.array([row.record.label for row in rows], pa.string()),
            "ok": pa.array([row.embedding is not None for row in rows], pa.bool_()),
            "error": pa.array([row.error for row in rows], pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim, mask=failed),
        }
        meta = {
            "dataset": self._dataset.spec,
            "title": self._dataset.title,
            "fingerprint": self._dataset.fingerprint,
            "model": self._model,
            "recipe": asdict(self.recipe),
            "dim": dim,
            "preprocessing": preprocessing,
        }
        return pa.table(columns).replace_schema_metadata({"visexplore": json.dumps(meta)})

    def lock(self) -> FileLock:
        """Take the right to embed into this store, for a `with` block.

        Raises:
            StoreBusy: another process has it.
            StorageError: the folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0, thread_local=False)
            lock.acquire()
        except Timeout as error:
            raise StoreBusy(
                f"Another process is embedding {self._dataset.title} with {self._model}",
                "Wait for it to end, then start again: what it has embedded is reused.",
            ) from error
        except OSError as error:
            raise storage_error(error, self.path) from error
        for leftover in self.path.glob(f"*{_LEFTOVER}"):  # of a killed process: the lock is ours, so nobody writes
            leftover.unlink(missing_ok=True)
        for unfinished in self.path.glob("index-*"):  # a reader that is making one just now goes without its cache
            shutil.rmtree(unfinished, ignore_errors=True)
        self.refresh()
        return lock


def _rows_digest(rows: Sequence[Row]) -> str:
    """Name a shard by the images in it: writing the same images again replaces it by its like."""
    digest = hashlib.blake2b(digest_size=8)
    for row in rows:
        digest.update(f"{row.record.image_id}\0{row.record.size}\0{row.record.mtime_ns}\n".encode())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(error: OSError, folder: Path) -> StorageError:
    """Say in one sentence why `folder` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"The disk that holds {folder} is full",
            "Free some space and start again: everything up to here is kept. `visexplore cache ls` shows how much.",
        )
    return StorageError(
        f"{folder} cannot be written ({error.strerror or error})",
        "Choose another place with --home DIR or VISEXPLORE_HOME.",
    )
