"""Which model people prefer, from blind votes between two strips: ratings, when the order is settled, what to ask next.

Ratings are of the queries that were asked, and the most contested ones are asked first: they say which model is better
where models differ, not on the average query.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from visexplore.core.evaluation.agreement import Neighbours, rank_biased_overlap
from visexplore.core.evaluation.votes import Vote
from visexplore.core.standing import Question, Rating, Standing, Step

LEVEL = 0.95
ELO = 400 / math.log(10)
"""Points of an Elo rating for a factor of e in strength: 400 for ten to one."""
SAME = 0.6
"""Two models are equally good if the better one gets at most this share of the points; a tie is half a point."""

_PRIOR = 0.5
_TYPICAL = 1.0  # standard deviation of logarithms of strengths that the test for an order is best at
_CLOSE_ENOUGH = 1e-10
_MOST_STEPS = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Wins of rows over columns, ties; logarithms of strengths and, last, of nu, and how sure they are; the ranking."""

    wins: Floats
    ties: Floats
    logs: Floats
    covariance: Floats
    order: list[int]

    @property
    def asked(self) -> Floats:
        """How often each pair was asked about."""
        return self.wins + self.wins.T + self.ties


def standing(models: Sequence[str], votes: Sequence[Vote], *, level: float = LEVEL) -> Standing:
    """Rate models by their votes; votes about others do not count.

    A vote between models of strengths s and t is a win with a probability in proportion to s, a loss to t, a tie to
    nu sqrt(s t) (Davidson 1970, "On extending the Bradley-Terry model to accommodate ties"). So that strengths and nu
    are finite from the first vote on, each model starts with half a win and half a loss against one of strength 1, and
    nu with as much around 1. Intervals are normal, from the observed information; they are meant for a number of votes
    that was fixed before, so one that is read when the votes have just settled it is a little too narrow.

    A step is `ahead` when it is sure at `level` that all that are called so are, whenever one stops asking: the ratio
    of likelihoods is held against the bound of a normal mixture (Robbins 1970, "Statistical methods related to the law
    of the iterated logarithm"), which may be looked at after each vote, with Bonferroni's correction for the number of
    steps. It is the `same` when the whole interval of the difference stands for at most 60 % of the points, where a tie
    is half a point.
    """
    fit = _fitted(models, votes)
    covariance = fit.covariance[: len(models), : len(models)]
    centre = np.eye(len(models)) - 1 / max(1, len(models))
    ratings = ELO * (centre @ fit.logs[:-1])
    half = ELO * NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(np.diag(centre @ covariance @ centre))
    asked = fit.asked.sum(axis=1)
    return Standing(
        ratings=tuple(
            Rating(
                models[number],
                float(ratings[number]),
                float(ratings[number] - half[number]),
                float(ratings[number] + half[number]),
                int(asked[number]),
            )
            for number in fit.order
        ),
        steps=_steps(fit, level),
        votes=int(asked.sum()) // 2,
        ties=int(fit.ties.sum()) // 2,
    )


def next_question(
    queries: Sequence[str], neighbours: Mapping[str, Neighbours], votes: Sequence[Vote], *, seed: int = 0
) -> Question | None:
    """Return what to ask next, or None where nothing is left to ask; the same for the same votes.

    The two models follow each other in the order so far, the step between them is open if any is, and of those they
    are the pair whose vote is expected to tell most: that raises the determinant of the information most
    (D-optimality). The query is one that was asked least, for these two never, and of those the one on which the two
    differ most (by rank-biased overlap); chance decides between equals. Queries with two equal strips are not
    asked, nor any that was skipped, whichever models it was skipped for.

    Args:
        queries: (q,) image ids.
        neighbours: by model, (q, k) positions, the nearest first.
        votes: those cast.
        seed: of chance: the side on which a model is, and which of equally contested queries is asked.
    """
    models = list(neighbours)
    random = np.random.default_rng([seed, len(votes)])
    asked = Counter(vote.query for vote in votes)
    skipped = {vote.query for vote in votes if vote.outcome == "skip"}
    for one, other in _most_telling(models, votes):
        differ = 1 - rank_biased_overlap(neighbours[one], neighbours[other]).round(9)
        seen = skipped | {vote.query for vote in votes if {vote.left, vote.right} == {one, other}}
        shuffled = random.permutation(len(queries))
        unseen = [
            (asked[queries[row]], -differ[row], shuffled[row], row)
            for row in np.flatnonzero(differ > 0).tolist()
            if queries[row] not in seen
        ]
        if unseen:
            *_, row = min(unseen)
            left, right = (one, other) if random.random() < 0.5 else (other, one)
            return Question(queries[row], left, right)
    return None


def _tables(models: Sequence[str], votes: Sequence[Vote]) -> tuple[Floats, Floats]:
    """Return how often each model (row) beat each other (column), and how often each two were a tie."""
    number = {model: place for place, model in enumerate(models)}
    wins, ties = np.zeros((2, len(models), len(models)))
    for vote in votes:
        if vote.left not in number or vote.right not in number or vote.left == vote.right:
            continue
        left, right = number[vote.left], number[vote.right]
        match vote.outcome:
            case "left":
                wins[left, right] += 1
            case "right":
                wins[right, left] += 1
            case "tie":
                ties[[left, right], [right, left]] += 1
    return wins, ties


def _fitted(models: Sequence[str], votes: Sequence[Vote]) -> _Fit:
    wins, ties = _tables(models, votes)
    logs = _most_likely(wins, ties, np.eye(len(models) + 1))
    order = sorted(range(len(models)), key=lambda number: -round(float(logs[number]), 9))
    return _Fit(wins, ties, logs, np.linalg.inv(_information(logs, wins + wins.T + ties)), order)


def _most_likely(wins: Floats, ties: Floats, basis: Floats) -> Floats:
    """Return the most likely logarithms of strengths and nu among the combinations of the columns of a basis.

    By Newton's method: the likelihood with its prior is concave in them.
    """
    asked = wins + wins.T + ties
    scored = np.append(wins.sum(axis=1) + ties.sum(axis=1) / 2, ties.sum() / 2)
    logs = np.zeros(len(wins) + 1)
    for _ in range(_MOST_STEPS):
        curvature = basis.T @ _information(logs, asked) @ basis
        step = basis @ np.linalg.solve(curvature, basis.T @ _slope(logs, scored, asked))
        # Far from the maximum the curvature changes on the way; a factor of e is as far as it can be trusted.
        logs += step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _CLOSE_ENOUGH:
            break
    return logs


def _chances(logs: Floats) -> tuple[Floats, Floats]:
    """Return the chance of each model (row) to win against each other (column), and that of a tie."""
    strengths, nu = np.exp(logs[:-1]), np.exp(logs[-1])
    roots = nu * np.sqrt(strengths[:, None] * strengths)
    total = strengths[:, None] + strengths + roots
    return strengths[:, None] / total, roots / total


def _likelihood(logs: Floats, wins: Floats, ties: Floats) -> float:
    """Return the logarithm of the likelihood, half a win and half a loss of each included."""
    win, tie = _chances(logs)
    votes = (wins * np.log(win)).sum() + (ties * np.log(tie)).sum() / 2
    return float(votes + _PRIOR * (logs - 2 * np.logaddexp(0, logs)).sum())


def _slope(logs: Floats, scored: Floats, asked: Floats) -> Floats:
    """Return by how much scores, and last the ties, exceed what is expected, half a win and half a loss included."""
    win, tie = _chances(logs)
    expected = np.append((asked * (win + tie / 2)).sum(axis=1), (asked * tie).sum() / 2)
    return scored - expected + _PRIOR * (1 - 2 / (1 + np.exp(-logs)))


def _information(logs: Floats, asked: Floats) -> Floats:
    """Return the observed information of the logarithms of strengths and, last, of nu: (m + 1, m + 1).

    `asked` says how many votes were about each pair.
    """
    models = len(logs) - 1
    win, tie = _chances(logs)
    loss = win.T
    found = np.zeros((models + 1, models + 1))
    # Each vote adds the covariance of (what the one scores, what the other scores, whether it is a tie).
    np.fill_diagonal(found[:models, :models], (asked * (win + tie / 4 - (win + tie / 2) ** 2)).sum(axis=1))
    found[:models, :models] += asked * (tie / 4 - (win + tie / 2) * (loss + tie / 2))
    found[:models, models] = found[models, :models] = (asked * (tie / 2 - (win + tie / 2) * tie)).sum(axis=1)
    found[models, models] = (asked * (tie - tie**2)).sum() / 2
    chance = 1 / (1 + np.exp(-logs))
    return found + np.diag(2 * _PRIOR * chance * (1 - chance))


def _steps(fit: _Fit, level: float) -> tuple[Step, ...]:
    """Return what is known of each model and the next one in the order."""
    alpha = (1 - level) / max(1, len(fit.order) - 1)
    z = NormalDist().inv_cdf((1 + level) / 2)
    return tuple(
        "ahead" if _is_ahead(fit, one, other, alpha) else "same" if _is_same(fit, one, other, z) else "open"
        for one, other in pairwise(fit.order)
    )


def _is_ahead(fit: _Fit, one: int, other: int, alpha: float) -> bool:
    """Test whether two models are equally strong, by the ratio of likelihoods.

    Not by the difference and its interval: where one wins all votes, the interval widens with each of them.
    """
    basis = np.eye(len(fit.logs))
    basis[:, one] += basis[:, other]
    equal = _most_likely(fit.wins, fit.ties, np.delete(basis, other, axis=1))
    ratio = 2 * (_likelihood(fit.logs, fit.wins, fit.ties) - _likelihood(equal, fit.wins, fit.ties))
    gain = _TYPICAL**2 / _variance(np.linalg.inv(_information(equal, fit.asked)), one, other)
    return ratio >= (1 + 1 / gain) * (math.log1p(gain) - 2 * math.log(alpha))


def _is_same(fit: _Fit, one: int, other: int, z: float) -> bool:
    """Whether the better one, at the far end of the interval, still scores little more than half of the points."""
    furthest = abs(float(fit.logs[one] - fit.logs[other])) + z * math.sqrt(_variance(fit.covariance, one, other))
    win, tie = _chances(np.array([furthest, 0, float(fit.logs[-1])]))
    return bool(win[0, 1] + tie[0, 1] / 2 < SAME)


def _variance(covariance: Floats, one: int, other: int) -> float:
    """Return that of the difference of two logarithms."""
    return float(covariance[one, one] + covariance[other, other] - 2 * covariance[one, other])


def _most_telling(models: Sequence[str], votes: Sequence[Vote]) -> list[tuple[str, str]]:
    """Return all pairs of models, the one whose vote tells most first."""
    fit = _fitted(models, votes)
    steps = _steps(fit, LEVEL)
    place = {number: rank for rank, number in enumerate(fit.order)}
    nothing = _information(fit.logs, np.zeros_like(fit.asked))

    def rank(pair: tuple[int, int]) -> tuple[int, float]:
        one, other = sorted(place[number] for number in pair)
        kind = 2 if other > one + 1 else 0 if steps[one] == "open" else 1
        vote = np.zeros_like(fit.asked)
        vote[pair] = vote[pair[::-1]] = 1
        told = fit.covariance @ (_information(fit.logs, vote) - nothing)
        return kind, -round(float(np.linalg.det(np.eye(len(told)) + told)), 9)

    return [(models[one], models[other]) for one, other in sorted(combinations(range(len(models)), 2), key=rank)]
