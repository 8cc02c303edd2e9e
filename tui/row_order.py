"""In which order models stand below each other: kept while the app runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from visexplore.core.messages import ModelResult


class Sort(StrEnum):
    """What decides which row comes first."""

    MODELS = "in the models' order"
    RIGHT = "most right first"
    PERCENTILE = "highest mean percentile first"


def right_of(result: ModelResult, label: str | None) -> int:
    """Return how many neighbours have the query's label."""
    return sum(label is not None and neighbour.label == label for neighbour in result.neighbours)


def mean_percentile(result: ModelResult) -> float | None:
    """Return how unusually near a model finds its neighbours, in the mean; None where that is not known."""
    known = [neighbour.percentile for neighbour in result.neighbours if neighbour.percentile is not None]
    return sum(known) / len(known) if known else None


@dataclass
class RowOrder:
    """What the user chose.

    Attributes:
        pinned: the model whose row stays on top; empty if none does.
        sort: the order of the others.
    """

    pinned: str = ""
    sort: Sort = Sort.MODELS

    def pin(self, model: str) -> None:
        """Keep a model on top, or no longer if it is the one."""
        self.pinned = "" if model == self.pinned else model

    def sort_differently(self, results: Sequence[ModelResult], label: str | None) -> None:
        """Go on to the next order that these results can be brought into."""
        possible = self._possible(results, label)
        at = possible.index(self.sort) if self.sort in possible else 0
        self.sort = possible[(at + 1) % len(possible)]

    def of(self, results: Sequence[ModelResult], label: str | None) -> Sort:
        """Return the order that results come in: the chosen one, unless it has nothing to go by."""
        return self.sort if self.sort in self._possible(results, label) else Sort.MODELS

    def arranged(self, results: Sequence[ModelResult], label: str | None) -> list[ModelResult]:
        """Return results in the order chosen, the pinned one first; of equal ones the first named first."""
        match self.of(results, label):
            case Sort.RIGHT:
                found = sorted(results, key=lambda result: -right_of(result, label))
            case Sort.PERCENTILE:
                found = sorted(results, key=lambda result: -(mean_percentile(result) or 0.0))
            case Sort.MODELS:
                found = list(results)
        return sorted(found, key=lambda result: result.model != self.pinned)

    @staticmethod
    def _possible(results: Sequence[ModelResult], label: str | None) -> list[Sort]:
        known = any(mean_percentile(result) is not None for result in results)
        return [Sort.MODELS, *[Sort.RIGHT] * (label is not None), *[Sort.PERCENTILE] * known]
