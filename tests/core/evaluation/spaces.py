"""Spaces to test with: random embeddings, and similarities that are written down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.evaluation.space import EmbeddingSpace, Space


class TableSpace(Space):
    """Similarities as given: (n, n), of the images at `positions`."""

    def __init__(self, table: NDArray[np.floating], positions: NDArray[np.int64] | None = None) -> None:
        self.name = "table"
        self.dim = None
        self.bytes_per_image = 0.0
        self.positions = np.arange(len(table)) if positions is None else positions
        self._table = table.astype(np.float32)

    def similarities(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._table[queries]


def random_vectors(images: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    return normalise(np.random.default_rng(seed).standard_normal((images, dim)))


def clustered_vectors(labels: NDArray[np.int32], dim: int, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors around a centre for each label; the smaller the noise, the better the space."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((int(labels.max()) + 1, dim))
    return normalise(centres[labels] + noise * random.standard_normal((len(labels), dim)))


def space_of(vectors: NDArray[np.floating]) -> EmbeddingSpace:
    return EmbeddingSpace("vectors", np.arange(len(vectors)), vectors)
