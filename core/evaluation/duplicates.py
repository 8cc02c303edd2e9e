"""Which images are the same picture: byte for byte, or nearly.

A copy of the query is found by any model, so copies raise all scores and hide which model is better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visexplore.core.evaluation.space import Space, block_size

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


def near_duplicates(space: Space, groups: Groups, *, threshold: float = NEAR) -> Groups:
    """Join groups of images that a space puts next to each other.

    Images at a similarity of at least `threshold` are of one group, and so is whatever is linked through others: a
    long burst may be one group though its ends are further apart. What a cosine means depends on the model, so the
    groups of one space should serve all models of a comparison, and be looked at.

    Args:
        space: what says how near images are; images that it does not cover keep their group.
        groups: (images of the dataset,) number of the group that each image is in so far, as from `identical`.
        threshold: the least similarity of near-duplicates.

    Returns:
        A group number for each image of the dataset: the position of the group's first image.
    """
    parent = _first_of_group(groups)
    positions = space.positions
    step = block_size(len(positions))
    for start in range(0, len(positions), step):
        rows = np.arange(start, min(start + step, len(positions)))
        near = space.between(rows, np.arange(start, len(positions))) >= threshold
        # Each image is near itself. Only those after it are looked at: the others have looked already.
        for row in np.flatnonzero(near.sum(axis=1) > near[np.arange(len(rows)), np.arange(len(rows))]).tolist():
            linked = _roots(parent, positions[start + np.append(np.flatnonzero(near[row]), row)])
            parent[linked] = linked.min()
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
