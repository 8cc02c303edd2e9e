"""How near a query is to the images of a dataset, beside how near random pairs are: counted for a histogram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.evaluation.background import Background
from visexplore.core.messages import Neighbour, Similarities

MOST = 200_000
"""Images that a query is compared with: of more, a random sample, which a histogram does not show."""
_BLOCK = 8_192
_MARGIN = 0.02  # of the range, at both ends


def cosines(vectors: NDArray[np.floating], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosines of (n, dim) vectors of length 1 with one of (dim,): (n,) float32."""
    found = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        found[start : start + _BLOCK] = normalise(vectors[start : start + _BLOCK]) @ query
    return found


def similarities(
    scores: NDArray[np.float32],
    same: NDArray[np.bool_] | None,
    background: Background,
    *,
    neighbours: tuple[Neighbour, ...],
    bins: int,
    images: int,
) -> Similarities:
    """Count cosines in bins of equal width, which cover all of them and all but the farthest random pairs.

    Args:
        scores: (n,) cosines of the query with images, itself left out.
        same: (n,) whether each image has the query's label; None where the query has none.
        background: how near random pairs are.
        neighbours: the nearest images, whose cosines the bins cover too.
        bins: how many.
        images: of the dataset, of which the scores may be a sample.
    """
    ends = [*scores[[scores.argmin(), scores.argmax()]].tolist()] if len(scores) else []
    pairs = background.quantiles
    ends += [
        *(one.score for one in neighbours),
        *(np.interp([0.001, 0.999], background.shares, pairs).tolist() if len(pairs) else ()),
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = max(_MARGIN * (high - low), 0.005)
    low, high = max(-1.0, low - margin), min(1.0 + margin, high + margin)
    edges = np.linspace(low, high, bins + 1)

    def counted(chosen: NDArray[np.float32]) -> tuple[int, ...]:
        return tuple(np.histogram(chosen, edges)[0].tolist())

    shares: tuple[float, ...] = ()
    if len(pairs):
        shares = tuple((np.diff(background.percentile(edges)) / 100).tolist())
    return Similarities(
        low=low,
        high=high,
        same=() if same is None else counted(scores[same]),
        others=counted(scores if same is None else scores[~same]),
        pairs=shares,
        neighbours=neighbours,
        compared=len(scores),
        images=images,
    )
