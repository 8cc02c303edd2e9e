"""How sure a score is, and whether one model is better than another.

A query is the unit: what is said holds for queries like these, asked of this gallery. All models answer the same
queries, so differences are drawn in pairs: what is hard for both moves neither. Many pairs are judged together, so
their p-values are corrected by Holm's method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from visexplore.core.comparison import Interval, Outcome, Pair

RESAMPLES = 2000
LEVEL = 0.95
_FEW_KINDS = 500
_FEW_RESAMPLES = 10  # fewer than this say little about how rare something is
_CHUNK = 1_000_000  # drawn queries that are held at a time

Values = NDArray[np.float64]


def interval(values: Values, *, level: float = LEVEL) -> Interval:
    """Return the mean of (q,) values between 0 and 1 with its interval; nan without values.

    Where all are 0 or 1 this is Wilson's score interval (1927). For values in between, it is that of the effective
    number of queries, q m (1 - m) / s^2 with mean m and variance s^2: so many hits or misses would be as sure
    (Dean & Pagano 2015, who take it for samples in clusters), with the quantile of Student's t for q - 1 degrees of
    freedom, as s is only estimated. Values that are all the same, but not 0 or 1, count as hits and misses.

    A bootstrap of one model's mean would miss where scores are good and queries few, as a failure that was never seen
    is never drawn: where 98 % are right, its 95 % interval holds that number in 87 % of the cases with 100 queries and
    in 64 % with 50; this one in 95 and 92 %. For hits with a rate of 0.5, 0.8 or 0.95 and 100 to 1000 queries it is
    94 to 97 %, and for values like those of MAP@R 93 to 97 %, down to 30 queries (see the tests). As hits are whole
    numbers, it may be as little as 91 % where about one query fails: a rate of 0.99 with 50 or 100 queries.
    """
    queries = len(values)
    if not queries:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(values.mean())
    spread = mean * (1 - mean)
    z = NormalDist().inv_cdf((1 + level) / 2)
    variance = float(values.var(ddof=1)) if queries > 1 else 0.0
    effective = float(queries)
    if min(variance, spread) > 0 and not np.isin(values, (0, 1)).all():
        effective *= spread / variance
        z = _student(z, queries - 1)
    slack = z * z / effective
    middle = (mean + slack / 2) / (1 + slack)
    half = z / (1 + slack) * math.sqrt(spread / effective + slack / effective / 4)
    return Interval(mean, min(mean, max(0.0, middle - half)), max(mean, min(1.0, middle + half)))


def compare_pairs(
    values: Mapping[str, Values], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> list[Pair]:
    """Judge each pair of models by a paired bootstrap on the queries that all of them answered.

    Intervals are percentiles of the differences in the resamples (Efron & Tibshirani 1993, chapter 13). The p-value
    is the share of resamples in which the centred difference is at least as far from 0 as the real one (algorithm
    16.2), counted so that it is never 0. Both are for resamples spread by sqrt(q / (q - 1)) around the difference, as
    the variance of q drawn queries is that much too small. A p-value for which fewer than 10 resamples could be
    counted is that of a normal distribution as wide as the resamples, so that many pairs can be told apart however
    few resamples there are; none is below 2^(1 - m), the least that a sign test can give where models differ on m
    queries. A verdict other than `tie` needs the corrected p-value to be below 1 - level.

    Between equally good models the verdict is a difference in at most 5 % of the cases (simulated: 0 to 5 %, from 50
    queries on); less where they differ on a handful of queries only. It is more, as with any test of a mean, where
    one model is slightly better on most queries and far worse on a few in a hundred: 6 to 8 % with 300 queries, 9 to
    12 % with 100.

    Args:
        values: (q,) scores by model, of the same queries in the same order.
        level: confidence of intervals and verdicts.
        resamples: how often to draw.
        seed: of the random numbers.

    Raises:
        ValueError: the models were not scored on the same number of queries.
    """
    if len({len(scores) for scores in values.values()}) > 1:
        raise ValueError("models are compared on the same queries")
    pairs = list(combinations(values, 2))
    queries = len(next(iter(values.values()), ()))
    if not pairs or not queries:
        return []
    drawn = dict(zip(values, _means(np.stack(list(values.values())), resamples, seed), strict=True))
    wider = math.sqrt(queries / max(1, queries - 1))
    found = []
    for a, b in pairs:
        differences = values[a] - values[b]
        difference = float(differences.mean())
        off = (drawn[a] - drawn[b] - difference) * wider
        low, high = np.quantile(off, [(1 - level) / 2, (1 + level) / 2]) + difference
        found.append((a, b, difference, max(-1.0, float(low)), min(1.0, float(high)), _p_value(differences, off)))
    corrected = holm([p for *_, p in found])
    return [
        Pair(a, b, difference, low, high, p, p_holm, _verdict(difference, p_holm, level))
        for (a, b, difference, low, high, p), p_holm in zip(found, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for done, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[number] * (len(p_values) - done)))
        corrected[number] = largest
    return corrected


def groups(means: Mapping[str, float], pairs: Sequence[Pair]) -> dict[str, str]:
    """Return letters for each model, the best first: two models share a letter if and only if they are a tie.

    Insert and absorb (Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons"):
    all models start with one letter; for each pair that differs, a letter that both have becomes two, one without
    each; letters whose models all have another letter in common are dropped. `a` goes to the best model.
    """
    order = sorted(means, key=lambda name: -means[name])
    place = {name: number for number, name in enumerate(order)}
    letters = [frozenset(order)]
    for pair in pairs:
        if pair.verdict == "tie":
            continue
        split = [
            part
            for models in letters
            for part in ((models - {pair.a}, models - {pair.b}) if {pair.a, pair.b} <= models else (models,))
        ]
        distinct = list(dict.fromkeys(split))
        letters = [models for models in distinct if not any(models < other for other in distinct)]
    letters.sort(key=lambda models: sorted(place[name] for name in models))
    return {name: "".join(_letter(number) for number, models in enumerate(letters) if name in models) for name in order}


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number})"


def _verdict(difference: float, p: float, level: float) -> Outcome:
    if p >= 1 - level:
        return "tie"
    return "better" if difference > 0 else "worse"


def _p_value(differences: Values, off: Values) -> float:
    """Return how often chance alone takes the mean of (q,) differences this far from 0.

    `off` is how far it took the mean in each resample.
    """
    far = abs(float(differences.mean()))
    as_far = int((np.abs(off) >= far - 1e-12).sum())
    counted = (as_far + 1) / (len(off) + 1)
    spread = float(off.std())
    if as_far < _FEW_RESAMPLES and spread > 0:
        counted = min(counted, math.erfc(far / spread / math.sqrt(2)))
    # If each model had been the better one by the toss of a coin, all tosses would have fallen alike this often.
    return float(min(1.0, max(counted, 2.0 ** (1 - np.count_nonzero(differences)))))


def _student(z: float, freedom: int) -> float:
    """Return the quantile of Student's t where the normal distribution has `z` (Abramowitz & Stegun 26.7.5)."""
    return z + sum(
        term / float(freedom) ** power
        for power, term in enumerate(
            (
                (z**3 + z) / 4,
                (5 * z**5 + 16 * z**3 + 3 * z) / 96,
                (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            ),
            start=1,
        )
    )


def _means(values: Values, resamples: int, seed: int) -> Values:
    """Return the means of (m, q) values over the same draws of q queries: (m, resamples)."""
    random = np.random.default_rng(seed)
    queries = values.shape[1]
    kinds, times = np.unique(values, axis=1, return_counts=True)
    if kinds.shape[1] <= _FEW_KINDS:
        # Queries that were answered alike by all models are interchangeable: how often each kind is drawn is
        # multinomial, which takes the same time for a thousand queries as for a million.
        counts = random.multinomial(queries, times / queries, size=resamples)
        means: Values = kinds @ counts.T / queries
        return means
    drawn = np.empty((len(values), resamples))
    step = max(1, _CHUNK // queries)
    weights = np.empty((step, queries))
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        for row in range(some):
            weights[row] = np.bincount(random.integers(queries, size=queries), minlength=queries)
        # Not `@`: the threads of BLAS wait for each other longer than such slim matrices take.
        drawn[:, start : start + some] = np.einsum("mq,rq->mr", values, weights[:some]) / queries
    return drawn
