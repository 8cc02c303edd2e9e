"""On which queries models differ most: those are worth a look first, with labels or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from visexplore.core.datasets import Dataset
from visexplore.core.errors import UserError
from visexplore.core.evaluation.agreement import agreements, most_contested
from visexplore.core.evaluation.space import Space, block_size
from visexplore.core.messages import Disagreement, Disagreements

_ALL, _FEWEST = 3000, 250  # queries that are looked at: all of so many, of more images at least so many
_SIMILARITIES = 100_000_000  # of a model, where there are more: a few seconds on two cores
_SEED = 0

Positions = NDArray[np.int64]


def disagreements(
    dataset: Dataset,
    covered: Mapping[str, Positions],
    space_of: Callable[[str], Space],
    k: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Disagreements:
    """Return the queries on which models give different neighbours, the most disputed first.

    Of large datasets only a random sample is looked at, always the same one. One space is held at a time.

    Args:
        dataset: whose images the queries are.
        covered: by model, the positions of the images that it has embedded, ascending.
        space_of: opens what a model says.
        k: how many neighbours to compare; fewer where there are fewer.
        cancelled: asked between blocks of queries; then no query is returned.

    Raises:
        UserError: fewer than two models, or no image with neighbours under all of them.
    """
    if len(covered) < 2:
        raise UserError("It takes two models to differ", "Embed the dataset with another one.")
    everywhere = reduce(np.intersect1d, covered.values())
    k = min(k, min(map(len, covered.values())) - 1)
    if not len(everywhere) or k < 1:
        raise UserError("There is no image with neighbours under all of these models", "Embed the rest first.")
    queries = _sample(everywhere, max(map(len, covered.values())))
    neighbours = {model: nearest_positions(space_of(model), queries, k, cancelled) for model in covered}
    if cancelled():
        return Disagreements(tuple(covered), k, (), 0, len(everywhere), 0.0, 0.0)
    pairs = agreements(neighbours)
    overlap = np.mean([pair.overlap for pair in pairs], axis=0)
    differ = 1 - np.mean([pair.rank_biased_overlap for pair in pairs], axis=0)
    records = dataset.records
    return Disagreements(
        models=tuple(covered),
        k=k,
        queries=tuple(
            Disagreement(record.image_id, record.label, float(differ[row]), float(overlap[row]))
            for row in most_contested(neighbours).tolist()
            if overlap[row] < 1 or differ[row] > 1e-9
            for record in (records[queries[row]],)
        ),
        looked_at=len(queries),
        images=len(everywhere),
        disagreement=float(differ.mean()),
        overlap=float(overlap.mean()),
    )


def nearest_positions(
    space: Space, queries: Positions, k: int, cancelled: Callable[[], bool] = lambda: False
) -> NDArray[np.int64]:
    """Return the positions of the `k` nearest images to each of q images, themselves left out: (q, k).

    Args:
        space: what says how near they are; all its images are searched.
        queries: (q,) positions of images that it covers.
        k: fewer than it covers images.
        cancelled: asked between blocks of queries; what is returned then means nothing.
    """
    rows = space.rows(queries)
    gallery = np.arange(len(space.positions))
    found = np.zeros((len(rows), k), np.int64)
    step = block_size(len(gallery))
    for start in range(0, len(rows), step):
        if cancelled():
            break
        block = rows[start : start + step]
        found[start : start + step] = space.nearest(block, gallery, (np.arange(len(block)), block), k)
    nearest: NDArray[np.int64] = space.positions[found]
    return nearest


def _sample(everywhere: Positions, images: int) -> Positions:
    """Return the images to look at, ascending: all, or so many that the time for it stays within seconds."""
    most = max(_FEWEST, min(_ALL, _SIMILARITIES // images))
    if len(everywhere) <= most:
        return everywhere
    return np.sort(np.random.default_rng(_SEED).choice(everywhere, most, replace=False))
