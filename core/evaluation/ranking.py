"""The nearest of many: highest similarity first, equal similarities in the order of the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Similarities = NDArray[np.float32]
Columns = NDArray[np.int64]

# What is worked on at a time: fits the cache of most processors, and bounds the memory of a row's packed keys.
_CHUNK_FLOATS = 2_000_000
_NOTHING = np.uint64(2**64 - 1)


def top(similarities: Similarities, k: int) -> Columns:
    """Return the columns of the `k` highest values of each row, highest first; equal ones in their order: (q, k).

    Args:
        similarities: (q, n), without nan; -inf for what must come last.
        k: at most n.
    """
    rows, columns = similarities.shape
    chosen = np.empty((rows, k), np.int64)
    step = max(1, _CHUNK_FLOATS // max(1, columns))
    for start in range(0, rows, step):
        chunk = similarities[start : start + step]
        chosen[start : start + step] = _top_of_candidates(chunk, k) if k * 4 <= columns else _top_of_all(chunk, k)
    return chosen


def first_of(rows: Columns, columns: Columns, values: Similarities, count: int, k: int) -> Columns:
    """Return the columns of the `k` highest values of each row, of values that are listed one by one: (count, k).

    Args:
        rows: (m,) of each value, ascending, each of 0 to `count` - 1 at least `k` times.
        columns: (m,) of each value.
        values: (m,) float32, without nan.
        count: number of rows.
        k: how many to return of each.
    """
    sizes = np.bincount(rows, minlength=count)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    keys = np.full((count, int(sizes.max(initial=k))), _NOTHING)
    keys[rows, place] = _packed(values, columns)
    return _unpacked(keys, k)


def _top_of_all(similarities: Similarities, k: int) -> Columns:
    return _unpacked(_packed(similarities, np.arange(similarities.shape[1])), k)


def _top_of_candidates(similarities: Similarities, k: int) -> Columns:
    """Sort only what can be among the first `k`.

    The columns are split into groups, at least 4 k of them. As many values as there are groups with a maximum of at
    least t are at least t: so the k-th largest of the maxima bounds the k-th largest value from below, and hardly any
    other values lie above it. Finding maxima takes a tenth of the time of partitioning the rows.
    """
    rows, columns = similarities.shape
    members = columns // (k * 4)
    groups = columns // members
    maxima = similarities[:, : groups * members].reshape(rows, members, groups).max(axis=1)
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    found = np.flatnonzero(similarities >= bound[:, None])  # ten times as fast as nonzero
    return first_of(found // columns, found % columns, similarities.reshape(-1)[found], rows, k)


def _packed(values: Similarities, columns: Columns) -> NDArray[np.uint64]:
    """Return numbers whose order is that of falling values, and among equal values of rising columns.

    The bits of positive IEEE 754 numbers are ordered as the numbers are, those of negative ones the other way round.
    Sorting whole numbers is several times as fast as a stable sort of positions.
    """
    bits = (values + np.float32(0)).view(np.uint32)  # the sum makes 0 of -0, which is equal to it
    falling = np.where(bits >> np.uint32(31), bits, bits ^ np.uint32(0x7FFFFFFF))
    return (falling.astype(np.uint64) << np.uint64(32)) | columns.astype(np.uint64)


def _unpacked(keys: NDArray[np.uint64], k: int) -> Columns:
    keys.sort(axis=1)
    return (keys[:, :k] & np.uint64(0xFFFFFFFF)).astype(np.int64)
