"""What is compared: anything that can say how near any image of a dataset is to any other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.evaluation.ranking import Columns, Similarities, first_of, top

if TYPE_CHECKING:
    import torch

Positions = NDArray[np.int64]
Rows = NDArray[np.int64]

_BLOCK_FLOATS = 32_000_000  # 128 MB: what the similarities of one block of queries may take
_UNIT = 1e-5  # how far a length may be from 1: some roundings of float32


class Space(ABC):
    """A model's embeddings of a dataset, or what is made of them.

    Attributes:
        name: slug of the model, `pca:efficientnet-lite0:128`, `baseline:colour`, ...
        dim: numbers for an image; None where there is no single vector.
        bytes_per_image: what an index needs for an image.
        positions: (n,) int64, positions in the dataset of the images that it covers, ascending.
    """

    name: str
    dim: int | None
    bytes_per_image: float
    positions: Positions

    @abstractmethod
    def similarities(self, queries: Rows) -> Similarities:
        """Return how near each image is to each of q queries, higher is nearer: (q, n) float32, a fresh array.

        Args:
            queries: (q,) int64, rows of this space: indices into `positions`.
        """

    def rows(self, positions: Positions) -> Rows:
        """Return the rows of images of the dataset, -1 for those that the space does not cover."""
        if not len(self.positions):
            return np.full(len(positions), -1, np.int64)
        found = np.minimum(np.searchsorted(self.positions, positions), len(self.positions) - 1)
        rows: Rows = np.where(self.positions[found] == positions, found, -1)
        return rows

    def between(self, queries: Rows, images: Rows) -> Similarities:
        """Return how near some images are to each query: (q,) and (m,) rows -> (q, m) float32, a fresh array."""
        similarities = self.similarities(queries)
        return similarities if _is_all(images, len(self.positions)) else similarities[:, images]

    def nearest(self, queries: Rows, gallery: Rows, left_out: tuple[Rows, Columns], k: int) -> Columns:
        """Return the `k` nearest of a gallery, nearest first, equally near ones in the gallery's order: (q, k).

        Args:
            queries: (q,) rows of this space.
            gallery: (g,) rows of this space.
            left_out: pairs of an index into `queries` and an index into `gallery` that are no neighbours; they come
                last.
            k: at most g.

        Returns:
            Indices into `gallery`.
        """
        similarities = self.between(queries, gallery)
        similarities[left_out] = -np.inf
        return top(similarities, k)

    def of_pairs(self, one: Rows, other: Rows) -> Similarities:
        """Return how near the images of each pair are: two times (m,) rows of this space -> (m,) float32."""
        queries, number = np.unique(one, return_inverse=True)
        order = np.argsort(number, kind="stable")
        found = np.empty(len(one), np.float32)
        step = block_size(len(self.positions))
        for start in range(0, len(queries), step):
            block = order[slice(*np.searchsorted(number[order], [start, start + step]))]
            found[block] = self.similarities(queries[start : start + step])[number[block] - start, other[block]]
        return found


class EmbeddingSpace(Space):
    """Cosine between embeddings.

    Images of the very same embedding are equally near to any query: how a product of matrices rounds depends on the
    column, so it is computed for the first of them only.

    Args:
        name: what to call it.
        positions: (n,) positions in the dataset, ascending.
        vectors: (n, dim) float16 or float32; scaled to length 1 where they are not. A row of zeros is at 0 to all.
        bytes_per_image: what an index needs for an image; by default for float16.
        device: where to multiply: `cpu` or a name that torch knows.

    Raises:
        ValueError: not one vector for each position, or a number in them is not finite.
    """

    def __init__(
        self,
        name: str,
        positions: Positions,
        vectors: NDArray[np.floating],
        *,
        bytes_per_image: float | None = None,
        device: str = "cpu",
    ) -> None:
        if vectors.ndim != 2 or len(vectors) != len(positions):
            raise ValueError(f"{name}: vectors of shape {vectors.shape} for {len(positions)} images")
        if not np.isfinite(vectors).all():
            raise ValueError(f"{name}: an embedding holds a number that is not finite")
        self.name = name
        self.positions = positions
        self.vectors: NDArray[np.float32] = _of_length_one(vectors)
        self.dim = self.vectors.shape[1]
        self.bytes_per_image = 2.0 * self.dim if bytes_per_image is None else bytes_per_image
        self._device = device

    def similarities(self, queries: Rows) -> Similarities:
        """Return the cosines: (q, n) float32."""
        return self.similarities_to(self.vectors[queries])

    def similarities_to(self, vectors: NDArray[np.float32]) -> Similarities:
        """Return the cosines between q vectors of length 1, which need be of no image here, and all: (q, n) float32."""
        return self._cosines(vectors, np.arange(len(self.positions)))

    def between(self, queries: Rows, images: Rows) -> Similarities:
        """Return the cosines between queries and some images: (q,) and (m,) rows -> (q, m) float32."""
        return self._cosines(self.vectors[queries], images)

    def nearest(self, queries: Rows, gallery: Rows, left_out: tuple[Rows, Columns], k: int) -> Columns:
        """Return the `k` nearest of a gallery, as `Space.nearest`; found on the device."""
        if self._device == "cpu":
            return super().nearest(queries, gallery, left_out, k)
        here, there = (self._moved[_slice_of(rows)] for rows in (queries, gallery))
        return nearest_on_device(here, there, self._copies(gallery), left_out, k)

    def of_pairs(self, one: Rows, other: Rows) -> Similarities:
        """Return the cosine of each pair: two times (m,) rows of this space -> (m,) float32."""
        found = np.empty(len(one), np.float32)
        step = block_size(2 * (self.dim or 1))
        for start in range(0, len(one), step):
            block = slice(start, start + step)
            np.einsum("md,md->m", self.vectors[one[block]], self.vectors[other[block]], out=found[block])
        return found

    def _cosines(self, vectors: NDArray[np.float32], images: Rows) -> Similarities:
        some = _slice_of(images)
        if self._device == "cpu":
            found: Similarities = vectors @ self.vectors[some].T
        else:
            found = (self._moved.new_tensor(vectors) @ self._moved[some].T).cpu().numpy()
        copies, originals = self._copies(images)
        found[:, copies] = found[:, originals]
        return found

    def _copies(self, images: Rows) -> tuple[Columns, Columns]:
        """Return which of some images have the embedding of an earlier one of them, and which one that is."""
        if not len(self._has_copy):
            return self._has_copy, self._has_copy
        candidates = np.flatnonzero(np.isin(images, self._has_copy))
        first: dict[bytes, int] = {}
        found = [
            (column, original)
            for column in candidates.tolist()
            if (original := first.setdefault(self.vectors[images[column]].tobytes(), column)) != column
        ]
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    @cached_property
    def _has_copy(self) -> Rows:
        """Rows whose embedding is that of another, ascending; a few others may be among them."""
        sums = self.vectors.view(np.uint32).sum(axis=1, dtype=np.uint64)
        order = np.argsort(sums, kind="stable")
        alike = np.flatnonzero(sums[order][1:] == sums[order][:-1])
        rows: Rows = np.unique(order[np.concatenate([alike, alike + 1])])
        return rows

    @cached_property
    def _moved(self) -> torch.Tensor:
        """The embeddings on the device."""
        import torch

        # The TF32 that some cards may multiply float32 in keeps 10 bits: neighbours would change places.
        torch.set_float32_matmul_precision("highest")
        return torch.from_numpy(self.vectors).to(self._device)


def nearest_on_device(
    queries: torch.Tensor,
    gallery: torch.Tensor,
    copies: tuple[Columns, Columns],
    left_out: tuple[Rows, Columns],
    k: int,
) -> Columns:
    """Return the `k` nearest of a gallery, as `Space.nearest`, by cosines that stay on the device.

    `topk` does not say which of several equal values it takes. So it only gives the least that counts, and all that
    reach it are put in order here.

    Args:
        queries: (q, dim) float32, of length 1.
        gallery: (g, dim) float32, of length 1, on the same device.
        copies: indices into `gallery` of embeddings that an earlier one equals, and of the first that does.
        left_out: pairs of an index into `queries` and an index into `gallery`.
        k: at most g.
    """
    import torch

    def move(numbers: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(numbers).to(gallery.device)

    similarities = queries @ gallery.T
    similarities[:, move(copies[0])] = similarities[:, move(copies[1])]
    similarities[move(left_out[0]), move(left_out[1])] = -torch.inf
    least = torch.topk(similarities, k, dim=1, sorted=False).values.min(dim=1, keepdim=True).values
    rows, columns = torch.nonzero(similarities >= least, as_tuple=True)
    values = similarities[rows, columns]
    return first_of(rows.cpu().numpy(), columns.cpu().numpy(), values.cpu().numpy(), len(queries), k)


def block_size(images: int) -> int:
    """Return how many queries to ask at once so that their similarities to all `images` stay within 128 MB."""
    return max(1, _BLOCK_FLOATS // max(1, images))


def _of_length_one(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = np.ascontiguousarray(vectors, dtype=np.float32)
    squares = np.einsum("nd,nd->n", unit, unit)
    return unit if np.all(np.abs(squares - 1) < 2 * _UNIT) else normalise(unit)


def _is_all(rows: Rows, images: int) -> bool:
    """Whether rows are all images in their order."""
    return len(rows) == images and bool(np.array_equal(rows, np.arange(images)))


def _slice_of(rows: Rows) -> slice | Rows:
    """Return rows as a slice where they follow each other, which copies nothing."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(rows[0]), int(rows[0]) + len(rows))
    return rows
