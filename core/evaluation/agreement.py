"""How far models agree on what is near, without any labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

PERSISTENCE = 0.9
"""Chance that a person who looks at one neighbour looks at the next: the p of rank-biased overlap."""

Neighbours = NDArray[np.int64]
Values = NDArray[np.float64]

_ROUNDING = 12  # decimals: what sums of powers lose is no difference between queries


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How far two models give the same neighbours.

    Attributes:
        a: one model.
        b: the other.
        overlap: (q,) share of the first k neighbours that both have, in any order.
        rank_biased_overlap: (q,) the same with more weight on the first ranks.
    """

    a: str
    b: str
    overlap: Values
    rank_biased_overlap: Values


def agreements(neighbours: Mapping[str, Neighbours]) -> list[Agreement]:
    """Return the agreement of each pair of models on the same queries.

    Args:
        neighbours: by model, (q, k) positions, the nearest first; -1 where there are fewer.

    Raises:
        ValueError: the models were not asked the same number of queries, or not for the same k.
    """
    return [
        Agreement(a, b, overlap(one, other), rank_biased_overlap(one, other))
        for (a, one), (b, other) in combinations(neighbours.items(), 2)
    ]


def overlap(one: Neighbours, other: Neighbours) -> Values:
    """Return the share of the first k neighbours that two rankings have in common, whatever their order: (q,).

    Args:
        one: (q, k) positions, none twice in a row; -1 where there are fewer.
        other: (q, k) positions of the other ranking. Both are cut to the length of the shorter one; where that is 0,
            nothing differs and the share is 1.

    Raises:
        ValueError: the shapes differ.
    """
    depth = _depth(one, other)
    common = _common(one, other)
    found = np.take_along_axis(np.pad(common, ((0, 0), (1, 0))), depth[:, None], axis=1)[:, 0]
    return np.where(depth > 0, found / np.maximum(depth, 1), 1.0)


def rank_biased_overlap(one: Neighbours, other: Neighbours, p: float = PERSISTENCE) -> Values:
    """Return the rank-biased overlap of two rankings, extrapolated beyond the ranks that are known: (q,), 0 to 1.

    With X_d the number that the first d of both have in common, it is X_k / k p^k + (1 - p) / p sum over d <= k of
    X_d / d p^d (Webber, Moffat & Zobel 2010, "A similarity measure for indefinite rankings", eq. 30): the agreement at
    each depth, weighted by how likely somebody looks no further, and the last agreement for all depths below. 1 for
    equal rankings, 0 for rankings without anything in common.

    Args:
        one: (q, k) positions, the nearest first; none twice in a row; -1 where there are fewer.
        other: (q, k) positions of the other ranking. Both are cut to the length of the shorter one.
        p: persistence, above 0 and below 1.

    Raises:
        ValueError: p is not between 0 and 1, or the shapes differ.
    """
    if not 0 < p < 1:
        raise ValueError(f"persistence is above 0 and below 1, not {p}")
    depth = _depth(one, other)
    ranks = np.arange(1, one.shape[1] + 1)
    agreement = _common(one, other) / ranks
    known = ranks <= depth[:, None]
    last = np.take_along_axis(np.pad(agreement, ((0, 0), (1, 0))), depth[:, None], axis=1)[:, 0]
    seen = (1 - p) / p * (agreement * known * p**ranks).sum(axis=1)
    return np.where(depth > 0, np.clip(last * p**depth + seen, 0, 1), 1.0)


def disagreement(neighbours: Mapping[str, Neighbours]) -> Values:
    """Return how much models differ on each query: 1 minus the mean rank-biased overlap of all pairs, (q,).

    Raises:
        ValueError: there are fewer than two models, or they were not asked the same.
    """
    pairs = list(combinations(neighbours.values(), 2))
    if not pairs:
        raise ValueError("it takes two models to differ")
    values: Values = 1 - np.mean([rank_biased_overlap(one, other) for one, other in pairs], axis=0)
    return values


def most_contested(neighbours: Mapping[str, Neighbours], queries: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Return the queries on which models differ most, first; equally contested ones in the order they came in.

    Args:
        neighbours: by model, (q, k) positions, the nearest first; -1 where there are fewer.
        queries: (q,) what to return for each query, for example its position in the dataset; by default its row.

    Raises:
        ValueError: there are fewer than two models, or they were not asked the same.
    """
    order = np.argsort(-disagreement(neighbours).round(_ROUNDING), kind="stable")
    return order if queries is None else np.asarray(queries, np.int64)[order]


def _depth(one: Neighbours, other: Neighbours) -> NDArray[np.int64]:
    """Return how many neighbours both rankings have."""
    if one.shape != other.shape:
        raise ValueError(f"rankings of shapes {one.shape} and {other.shape} are not of the same queries")
    depth: NDArray[np.int64] = np.minimum((one >= 0).sum(axis=1), (other >= 0).sum(axis=1))
    return depth


def _common(one: Neighbours, other: Neighbours) -> NDArray[np.int64]:
    """Return how many neighbours the first 1, 2, ..., k of both have in common: (q, k)."""
    fresh = np.zeros(one.shape, np.int64)
    for rank in range(one.shape[1]):
        mine, its = one[:, rank, None], other[:, rank, None]
        fresh[:, rank] += ((mine == other[:, : rank + 1]) & (mine >= 0)).any(axis=1)
        fresh[:, rank] += ((its == one[:, :rank]) & (its >= 0)).any(axis=1)
    common: NDArray[np.int64] = fresh.cumsum(axis=1)
    return common
