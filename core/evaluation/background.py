"""How unusual a similarity is for its model: its percentile among pairs of images drawn at random.

A cosine of 0.7 is near for one model and far for another. Beside the pairs of the same dataset, both can be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.evaluation.space import Space

PAIRS = 100_000
_FIRSTS = 2000  # a fusion computes a whole row of similarities for each first image of a pair
_DRAWN = 700
_NEAREST = 1e-5  # the finest share that 100,000 pairs can tell


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Similarities of random pairs, as a table of quantiles.

    Attributes:
        quantiles: (m,) float64, rising.
        shares: (m,) float64, 0 to 1: the share of pairs that are at most as near.
        below: (m,) float64, 0 to 1: the share of pairs that are less near; it differs where many are equally near.
    """

    quantiles: NDArray[np.float64]
    shares: NDArray[np.float64]
    below: NDArray[np.float64]

    def percentile(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return which percentage of random pairs is at most as near, 0 to 100, for similarities of any shape.

        Between two entries of the table it rises in a line. nan where there is no background, as in a dataset of one
        image.
        """
        scores = np.asarray(scores, np.float64)
        if not len(self.quantiles):
            return np.full(scores.shape, np.nan)
        last = np.searchsorted(self.quantiles, scores, side="right") - 1
        here, there = np.maximum(last, 0), np.minimum(last + 1, len(self.quantiles) - 1)
        gap = np.where(there > here, self.quantiles[there] - self.quantiles[here], 1.0)
        way = np.clip((scores - self.quantiles[here]) / gap, 0, 1)
        shares = self.shares[here] + way * np.maximum(self.below[there] - self.shares[here], 0)
        return np.where(last < 0, 0.0, 100 * shares)


def background(space: Space, *, pairs: int = PAIRS, seed: int = 0) -> Background:
    """Draw random pairs of different images and tabulate their similarities.

    The table is finer towards both ends, since neighbours are found at the very end: it has the shares from 0.00001
    to 0.99999.

    Args:
        space: what says how near they are.
        pairs: how many to draw.
        seed: of the random numbers.
    """
    images = len(space.positions)
    if images < 2:
        return Background(np.empty(0), np.empty(0), np.empty(0))
    random = np.random.default_rng(seed)
    firsts = random.choice(images, min(images, _FIRSTS), replace=False)
    one = firsts[random.integers(len(firsts), size=pairs)]
    other = random.integers(images - 1, size=pairs)
    other += other >= one  # any image but the first
    return _table(np.sort(space.of_pairs(one, other).astype(np.float64)))


def background_of(vectors: NDArray[np.floating], *, seed: int = 0) -> Background:
    """Tabulate the cosines of all pairs of some 700 embeddings drawn at random: in a few milliseconds, for screens.

    Args:
        vectors: (n, dim), each of length 1.
        seed: of the random numbers.
    """
    images = len(vectors)
    if images < 2:
        return Background(np.empty(0), np.empty(0), np.empty(0))
    rows = np.sort(np.random.default_rng(seed).choice(images, min(images, _DRAWN), replace=False))
    drawn = normalise(vectors[rows])
    return _table(np.sort((drawn @ drawn.T)[np.triu_indices(len(drawn), 1)].astype(np.float64)))


def _table(drawn: NDArray[np.float64]) -> Background:
    tail = np.geomspace(_NEAREST, 0.01, 61)
    wanted = np.concatenate([tail, np.linspace(0.01, 0.99, 197)[1:-1], 1 - tail[::-1]])
    places = np.unique(np.concatenate([[0], np.ceil(wanted * len(drawn)).astype(np.int64) - 1, [len(drawn) - 1]]))
    quantiles = np.unique(drawn[places.clip(0)])
    shares, below = (np.searchsorted(drawn, quantiles, side=side) / len(drawn) for side in ("right", "left"))
    return Background(quantiles, shares, below)
