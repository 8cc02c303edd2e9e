"""Which images are the same picture: byte for byte, or nearly.

A copy of the query is found by any model, so copies raise all scores and hide which model is better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visexplore.core.evaluation.space import EmbeddingSpace

NEAR = 0.98
"""Cosine from which two images count as near-duplicates: resized or recompressed copies in most models' spaces."""

Groups = NDArray[np.int64]


def identical(content_keys: Sequence[str]) -> Groups:
    """Return a group number for each image: the position of the first image with the same bytes, (n,).

    Args:
        content_keys: digest of each image's bytes; empty where it is not known, which is like no other.
    """
    first: dict[str, int] = {}
    found = [first.setdefault(key, number) if key else number for number, key in enumerate(content_keys)]
    return np.array(found, np.int64)


def linked(
    spaces: Sequence[EmbeddingSpace],
    groups: Groups,
    queries: NDArray[np.int64],
    neighbours: Sequence[NDArray[np.int64]],
    *,
    threshold: float = NEAR,
) -> Groups:
    """Join groups of images that are next to each other: queries and those of their neighbours that are near enough.

    All spaces have to say so, as there are models under which everything is near to everything. Whatever is linked
    through others is of one group: a long burst may be one though its ends are further apart.

    Args:
        spaces: what says how near images are; each covers all that are named. Without any, groups stay as they are.
        groups: (images of the dataset,) number of the group that each image is in so far, as from `identical`.
        queries: (q,) positions in the dataset.
        neighbours: one or more times (q, k) positions, the nearest first; -1 where there are fewer.
        threshold: the least cosine of near-duplicates.

    Returns:
        A group number for each image of the dataset: the position of the group's first image.
    """
    parent = _first_of_group(groups)
    found = []
    for near in neighbours if spaces else ():
        rows, columns = np.nonzero(near >= 0)
        pairs = np.stack([queries[rows], near[rows, columns]], axis=1)
        for space in spaces:
            pairs = pairs[space.of_pairs(space.rows(pairs[:, 0]), space.rows(pairs[:, 1])) >= threshold]
        found.append(pairs)
    for pair in np.unique(np.concatenate(found), axis=0) if found else ():
        roots = _roots(parent, pair)
        parent[roots] = roots.min()
    return _roots(parent, np.arange(len(parent)))


def _first_of_group(groups: Groups) -> Groups:
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    positions: Groups = first[number].astype(np.int64)
    return positions


def _roots(parent: Groups, images: NDArray[np.int64]) -> Groups:
    """Return the first image of each image's group, following links as far as they go."""
    roots = parent[images]
    while not np.array_equal(roots, further := parent[roots]):
        roots = further
    return roots
