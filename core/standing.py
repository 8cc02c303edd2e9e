"""What a blind tournament asks and says: plain frozen values, light to import and to send between processes.

`core/evaluation/tournament` computes them, the screens and the command line show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Step = Literal["ahead", "same", "open"]


@dataclass(frozen=True, slots=True)
class Rating:
    """How strong a model is.

    Attributes:
        model: its name.
        rating: Elo points; the mean of all models is 0, and 400 more mean ten wins to one.
        low: lower end of the interval.
        high: upper end.
        votes: how many were about it.
    """

    model: str
    rating: float
    low: float
    high: float
    votes: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What the votes say so far; only numbers, texts and tuples, so `dataclasses.asdict` of it can be written as JSON.

    Attributes:
        ratings: the models, the strongest first; equally strong ones in the order they were named.
        steps: between each model and the next: it is `ahead` for sure, both are the `same` for all purposes, or the
            question is `open`.
        votes: how many there are.
        ties: how many of them are ties.
    """

    ratings: tuple[Rating, ...]
    steps: tuple[Step, ...]
    votes: int
    ties: int

    @property
    def settled(self) -> bool:
        """Whether more votes are needless: each model is surely ahead of the next, or the two are the same."""
        return "open" not in self.steps


@dataclass(frozen=True, slots=True)
class Question:
    """What to show next: two unnamed strips for one query.

    Attributes:
        query: image id.
        left: model of the left strip.
        right: model of the right strip.
    """

    query: str
    left: str
    right: str


def plain_name(model: str) -> str:
    """Return what a model is called without the digest of its recipe, which its name in votes ends in."""
    return model.rpartition("#")[0] or model
