"""Where each model wins, what it confuses, what only one gets right, and which labels all of them contradict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visexplore.core.evaluation.confidence import LEVEL, compare_pairs, holm

Labels = NDArray[np.int32]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]

_FEWEST = 6  # queries that a p-value below 0.05 takes: with five, one in 16 results is the farthest there is


@dataclass(frozen=True, slots=True)
class Slice:
    """The queries that have something in common: a class, a folder, a size.

    Attributes:
        name: what they have in common.
        queries: how many there are.
        means: of a score, by model.
        winner: the model with the highest mean; None where two have it.
        sure: the winner beats every other model on these queries, corrected for the number of slices.
    """

    name: str
    queries: int
    means: dict[str, float]
    winner: str | None
    sure: bool


@dataclass(frozen=True, slots=True)
class Confusion:
    """A class that is taken for another.

    Attributes:
        label: the class of the queries.
        predicted: what their neighbours vote for.
        count: how many queries.
        of: how many queries the class has.
    """

    label: int
    predicted: int
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A query whose label all models contradict in the same way: it may be wrong.

    Attributes:
        row: of the query.
        label: that it has.
        suggested: the class of most of its neighbours under every model.
        share: of all models' neighbours that are of that class, above 0.5.
    """

    row: int
    label: int
    suggested: int
    share: float


def slices(
    values: Mapping[str, Values], attribute: Sequence[str | None], *, level: float = LEVEL, seed: int = 0
) -> list[Slice]:
    """Return means and winner of each slice, the largest slice first, equally large ones in the order of their names.

    A winner is sure if a paired bootstrap says so against each other model: the largest of the p-values, corrected by
    Holm's method for the number of slices, is below 1 - level. Slices of fewer than six queries are never sure, and
    not counted in that number: nothing that they could show would be rare enough.

    Args:
        values: (q,) scores by model, of the same queries in the same order.
        attribute: what each query belongs to: its class, its folder, ...; None for queries that are left out.
        level: confidence in a sure winner.
        seed: of the random numbers.

    Raises:
        ValueError: the numbers of scores and attributes differ.
    """
    if {len(scores) for scores in values.values()} - {len(attribute)}:
        raise ValueError("each score needs the attribute of its query")
    parts = [(name, {model: scores[rows] for model, scores in values.items()}) for name, rows in _rows(attribute)]
    found = [_slice(name, scores) for name, scores in parts]
    large = [number for number, part in enumerate(found) if part.queries >= _FEWEST]
    corrected = holm([_p_of_winner(found[number].winner, parts[number][1], seed) for number in large])
    for number, p in zip(large, corrected, strict=True):
        found[number] = replace(found[number], sure=p < 1 - level)
    return found


def most_confused(labels: Labels, predicted: Labels) -> list[Confusion]:
    """Return which classes are taken for which others, the most queries first, then the largest share of the class.

    Args:
        labels: (q,) class of each query.
        predicted: (q,) what its neighbours vote for; -1 is no vote.
    """
    of = Counter(labels.tolist())
    wrong = (labels != predicted) & (predicted >= 0)
    pairs = Counter(zip(labels[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    found = [Confusion(label, taken_for, count, of[label]) for (label, taken_for), count in pairs.items()]
    return sorted(found, key=lambda pair: (-pair.count, pair.of, pair.label, pair.predicted))


def only_right(correct: Mapping[str, Values]) -> dict[str, Rows]:
    """Return the rows of the queries that a model gets right and no other does, by model.

    Args:
        correct: (q,) by model, 1 where it is right and 0 where not, as `recall@1` and `knn_accuracy` are.
    """
    if len(correct) < 2:
        return {model: np.empty(0, np.int64) for model in correct}
    right = np.stack(list(correct.values())) > 0.5
    alone = right & (right.sum(axis=0) == 1)
    return {model: np.flatnonzero(rows) for model, rows in zip(correct, alone, strict=True)}


def contradicted(labels: Labels, neighbours: Mapping[str, Labels]) -> list[Suspect]:
    """Return queries for which more than half of the neighbours, under each model, are of one same other class.

    Those that the neighbours agree on most come first. Labels are likely wrong there, or two classes are one.

    Args:
        labels: (q,) class of each query.
        neighbours: by model, (q, k) labels of the nearest images; -1 where there is none, which counts against.
    """
    majorities = [_majority(near) for near in neighbours.values()]
    if not majorities:
        return []
    voted = np.stack([label for label, _ in majorities])
    share = np.mean([votes for _, votes in majorities], axis=0)
    rows = np.flatnonzero((voted == voted[0]).all(axis=0) & (voted[0] >= 0) & (voted[0] != labels) & (labels >= 0))
    found = [Suspect(row, int(labels[row]), int(voted[0, row]), float(share[row])) for row in rows.tolist()]
    return sorted(found, key=lambda suspect: (-suspect.share, suspect.row))


def _rows(attribute: Sequence[str | None]) -> list[tuple[str, Rows]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(attribute):
        if name is not None:
            rows.setdefault(name, []).append(row)
    ordered = sorted(rows.items(), key=lambda part: (-len(part[1]), part[0]))
    return [(name, np.array(members, np.int64)) for name, members in ordered]


def _slice(name: str, values: Mapping[str, Values]) -> Slice:
    means = {model: float(scores.mean()) for model, scores in values.items()}
    best = max(means.values(), default=0.0)
    first = [model for model, mean in means.items() if mean >= best - 1e-12]
    queries = len(next(iter(values.values()), ()))
    return Slice(name, queries, means, first[0] if len(first) == 1 else None, sure=False)


def _p_of_winner(winner: str | None, values: Mapping[str, Values], seed: int) -> float:
    """Return the p-value of "some other model is as good as the winner"."""
    if winner is None or len(values) < 2:
        return 1.0
    return max(pair.p for pair in compare_pairs(values, seed=seed) if winner in (pair.a, pair.b))


def _majority(labels: Labels) -> tuple[NDArray[np.int64], Values]:
    """Return the label of more than half of each row, -1 without one, and its share of the row."""
    middle = np.sort(labels, axis=1)[:, labels.shape[1] // 2]  # whatever fills more than half of a row is in its middle
    share = (labels == middle[:, None]).mean(axis=1)
    sure = (share > 0.5) & (middle >= 0)
    return np.where(sure, middle, -1).astype(np.int64), np.where(sure, share, 0.0)
