"""Embeddings in files of one's own: read to take part in a comparison, written for other programs.

.npy           (n, dim), in the order of the dataset, or with the ids beside it in NAME.ids.txt, one a line
.npz           arrays `ids` and `vectors`
.parquet       a column of ids and one of lists of numbers, as pandas, `cache export` and the stores write them
.safetensors   a tensor `vectors`, with the ids as a JSON list in the metadata under `ids`, or beside it as for .npy
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from visexplore.core.datasets import Dataset
from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import StorageError, UserError

_IDS = ("image_id", "id", "ids", "image", "path", "file", "file_name", "filename", "name")
_VECTORS = ("embedding", "embeddings", "vector", "vectors", "feature", "features")


@dataclass(frozen=True, slots=True, eq=False)
class OwnVectors:
    """The vectors of a file, as a dataset's.

    Attributes:
        positions: (n,) int64, ascending positions in the dataset.
        vectors: (n, dim) float32, each of length 1.
        unknown: vectors in the file of which the dataset has no image.
        missing: images of the dataset without a vector, or with one of zeros.
    """

    positions: NDArray[np.int64]
    vectors: NDArray[np.float32]
    unknown: int
    missing: int


type _Read = tuple[list[str] | None, NDArray[Any]]


def read_vectors(file: Path, dataset: Dataset) -> OwnVectors:
    """Read a file of vectors of a dataset's images; nothing in it is run.

    Ids are image ids, or paths of the files. A vector of zeros is as none.

    Raises:
        UserError: there is no such file, it is of no kind that is read, or its vectors are not those of the dataset.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(f"{file} is no file of vectors", f"Kinds that are read: {', '.join(_READERS)}.")
    try:
        ids, vectors = reader(file)
    except (OSError, ValueError, EOFError, KeyError, TypeError, pa.ArrowException, SafetensorError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200].rstrip(".") or "it is damaged"
        raise UserError(f"The vectors in {file} cannot be read ({why})", _hint(file)) from error
    if vectors.ndim != 2 or not all(vectors.shape) or not np.issubdtype(vectors.dtype, np.number):
        raise UserError(f"{file} holds an array of shape {vectors.shape}, not one row of numbers an image", _hint(file))
    if np.iscomplexobj(vectors) or not np.isfinite(vectors).all():
        raise UserError(f"A vector in {file} holds a number that is not finite", "Leave that image out of the file.")
    positions = _positions(file, ids, len(vectors), dataset)
    known = (positions >= 0) & (np.abs(vectors).max(axis=1) > 0)
    order = np.flatnonzero(known)[np.argsort(positions[known], kind="stable")]
    return OwnVectors(
        positions=positions[order],
        vectors=normalise(vectors[order]),
        unknown=int((positions < 0).sum()),
        missing=len(dataset) - len(order),
    )


def _hint(file: Path) -> str:
    return {
        ".npy": "Save it with numpy.save(FILE, array).",
        ".npz": "Save it with numpy.savez(FILE, ids=ids, vectors=array).",
        ".parquet": f"It needs a column of ids ({', '.join(_IDS[:3])}, ...) and one of lists of numbers, `embedding`.",
        ".safetensors": "It needs a tensor `vectors` and the ids in its metadata, as a JSON list under `ids`.",
    }.get(file.suffix.lower(), "Check the path.")


def _positions(file: Path, ids: list[str] | None, rows: int, dataset: Dataset) -> NDArray[np.int64]:
    if ids is None:
        if rows != len(dataset):
            raise UserError(
                f"{file} holds {rows:,} vectors without ids, and {dataset.title} has {len(dataset):,} images",
                f"Write the image ids into {_ids_beside(file).name}, one a line.",
            )
        return np.arange(rows)
    if len(ids) != rows:
        raise UserError(f"{file} holds {rows:,} vectors and {len(ids):,} ids", "There has to be one id a vector.")
    place, first = dataset.position_of, ids[0]
    if not any(name in place for name in ids):
        place = {str(Path(record.path).absolute()): number for number, record in enumerate(dataset.records)}
        ids = [str(Path(name).expanduser().absolute()) for name in ids]
    positions = np.array([place.get(name, -1) for name in ids], np.int64)
    known = positions[positions >= 0]
    if not len(known):
        raise UserError(
            f"No id in {file} is that of an image of {dataset.title}",
            f"The file has '{first}', the dataset '{dataset.records[0].image_id}'.",
        )
    if len(np.unique(known)) < len(known):
        twice = int(np.flatnonzero(np.bincount(known) > 1)[0])
        raise UserError(f"{file} holds two vectors of '{dataset.records[twice].image_id}'", "Keep one of them.")
    return positions


def _ids_beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.ids.txt")


def _lines_beside(file: Path) -> list[str] | None:
    try:
        return _ids_beside(file).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None


def _from_npy(file: Path) -> _Read:
    return _lines_beside(file), np.asarray(np.load(file, allow_pickle=False))


def _from_npz(file: Path) -> _Read:
    with np.load(file, allow_pickle=False) as arrays:
        vectors = next((arrays[name] for name in _VECTORS if name in arrays), None)
        ids = next((arrays[name] for name in _IDS if name in arrays), None)
    if vectors is None:
        raise ValueError("it has no array `vectors`")
    return None if ids is None else [str(name) for name in ids.tolist()], vectors


def _from_parquet(file: Path) -> _Read:
    table = pq.read_table(file)
    ids = next((name for name in _IDS if name in table.column_names), None)
    vectors = next((name for name in _VECTORS if name in table.column_names), None)
    if ids is None or vectors is None:
        raise ValueError(f"its columns are {', '.join(table.column_names)}")
    table = table.filter(pa.compute.is_valid(table[vectors]))
    return [str(name) for name in table[ids].to_pylist()], np.array(table[vectors].to_pylist())


def _from_safetensors(file: Path) -> _Read:
    with safe_open(file, framework="np") as tensors:
        names = list(tensors.keys())
        name = next((name for name in _VECTORS if name in names), None)
        if name is None:
            raise ValueError("it has no tensor `vectors`")
        listed = (tensors.metadata() or {}).get("ids")
        return _lines_beside(file) if listed is None else [str(one) for one in json.loads(listed)], tensors.get_tensor(
            name
        )


_READERS: dict[str, Callable[[Path], _Read]] = {
    ".npy": _from_npy,
    ".npz": _from_npz,
    ".parquet": _from_parquet,
    ".safetensors": _from_safetensors,
}


def write_vectors(file: Path, ids: Sequence[str], labels: Sequence[str | None], vectors: NDArray[np.float32]) -> None:
    """Write vectors with the ids of their images, whole or not at all, in the format of the file's ending.

    Labels are written to Parquet only. Beside a `.npy` the ids come as `NAME.ids.txt`.

    Raises:
        UserError: the ending is none that is written, or an id cannot stand in a line of its own.
        StorageError: the file cannot be written.
    """
    kind = file.suffix.lower()
    if kind not in _READERS:
        raise UserError(f"{file} is no file of vectors", f"Kinds that are written: {', '.join(_READERS)}.")
    if kind == ".npy" and any(len(name.splitlines()) != 1 for name in ids):
        raise UserError("An image id holds a line break, which a list of lines cannot say", "Write a .parquet file.")
    fresh = file.with_name(f".{file.stem}.part{kind}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if kind == ".npy":
            np.save(fresh, vectors, allow_pickle=False)
            _ids_beside(fresh).write_text("".join(f"{name}\n" for name in ids), "utf-8")
            _ids_beside(fresh).replace(_ids_beside(file))
        elif kind == ".npz":
            np.savez(fresh, ids=np.array(ids, np.str_), vectors=vectors)
        elif kind == ".safetensors":
            save_file({"vectors": np.ascontiguousarray(vectors)}, fresh, {"ids": json.dumps(list(ids))})
        else:
            columns = {
                "image_id": pa.array(ids, pa.string()),
                "label": pa.array(labels, pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
            }
            pq.write_table(pa.table(columns), fresh, compression="zstd")
        fresh.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise StorageError(
            f"{file} cannot be written ({error.strerror or error})", "Name another file or free some space."
        ) from error
