"""Store -> index -> neighbours: exact search by cosine."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from visexplore.core.datasets import Dataset
from visexplore.core.embedding.store import Place, Store
from visexplore.core.encoders.encoder import Embeddings, normalise

# Below this the shards are decoded faster (40 ms) than a cache of them is worth.
_CACHE_FROM_ROWS = 10_000


class Index:
    """The embeddings of a dataset's images, searched exactly.

    FAISS keeps them as float16 scalar codes, which are numpy's float16 rows as they are: opening copies no float32.

    Attributes:
        positions: int64 (n,), position in the dataset of each vector, ascending; images without one are left out.
        dim: length of a vector.
        vectors: float16 (n, dim).
    """

    def __init__(self, vectors: NDArray[np.float16], positions: NDArray[np.int64]) -> None:
        self.positions = positions
        self.dim = vectors.shape[1]
        self.vectors = vectors
        self._codes = faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._codes.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))

    def __len__(self) -> int:
        return len(self.positions)

    def vector(self, position: int) -> Embeddings | None:
        """Return the embedding, float32 (dim,), of the image at `position` of the dataset; None if it has none."""
        row = self._row(position)
        return None if row is None else normalise(self.vectors[row])

    def search(
        self, query: Embeddings, k: int, leave_out: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return positions in the dataset and cosines of the `k` nearest images, the nearest first.

        Equal scores come in the dataset's order.

        Args:
            query: float32 (dim,), of length 1.
            k: how many; fewer where there are fewer images.
            leave_out: position of an image that is no neighbour: the query itself.
        """
        own = None if leave_out is None else self._row(leave_out)
        if k <= 0 or len(self) == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        scores, rows = self._nearest(np.ascontiguousarray(query, np.float32).reshape(1, -1), k + (own is not None))
        found = [(-score, row) for score, row in zip(scores[0], rows[0], strict=True) if row >= 0 and row != own]
        found = sorted(found)[:k]
        return (
            self.positions[[row for _, row in found]] if found else np.empty(0, np.int64),
            np.array([-score for score, _ in found], np.float32),
        )

    def _nearest(self, query: Embeddings, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows of the `k` nearest and of all that are equal to the last of them.

        FAISS does not promise which of several equal scores it keeps, so they are fetched until a lower one comes.
        """
        fetched = k + 1
        while True:
            scores, rows = self._codes.search(query, min(fetched, len(self)))
            if fetched >= len(self) or scores[0][-1] < scores[0][k - 1]:
                return scores, rows
            fetched *= 4

    def _row(self, position: int) -> int | None:
        row = int(np.searchsorted(self.positions, position))
        return row if row < len(self.positions) and self.positions[row] == position else None


def open_index(store: Store, dataset: Dataset) -> Index:
    """Open the index of what the store holds of the dataset's images as they are now.

    A large one is kept beside the shards as one flat file, stamped with what it was made from, and made again when
    that has changed.

    Raises:
        StorageError: a shard is damaged.
    """
    places: list[Place] = []
    positions: list[int] = []
    for position, record in enumerate(dataset.records):
        known = store.known(record)
        if known is not None and known.ok:
            places.append(known.place)
            positions.append(position)
    rows = np.array(positions, np.int64)
    if len(places) < _CACHE_FROM_ROWS:
        return Index(
            store.embeddings(places).reshape(len(places), -1) if places else np.empty((0, 1), np.float16),
            rows,
        )
    stamp = hashlib.blake2b(f"{store.stamp()} {dataset.fingerprint}".encode(), digest_size=8).hexdigest()
    file = store.path / "index" / f"{stamp}.npy"
    vectors = _cached(file, len(places))
    if vectors is None:
        vectors = store.embeddings(places)
        _cache(file, vectors)
    return Index(vectors, rows)


def _cached(file: Path, rows: int) -> NDArray[np.float16] | None:
    try:
        vectors: NDArray[np.float16] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.dtype == np.float16 and vectors.ndim == 2 and len(vectors) == rows else None


def _cache(file: Path, vectors: NDArray[np.float16]) -> None:
    """Keep `vectors` as the one flat file of the store; a cache that cannot be written is no error."""
    fresh = file.parent.with_name(f"index-{uuid.uuid4().hex[:8]}")
    try:
        fresh.mkdir()
        np.save(fresh / file.name, vectors, allow_pickle=False)
        shutil.rmtree(file.parent, ignore_errors=True)
        fresh.replace(file.parent)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
