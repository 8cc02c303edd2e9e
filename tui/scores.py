"""What the scores of neighbours say beyond their numbers: bars, gaps, marks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from visexplore.core.messages import Neighbour

_EIGHTHS = " ▏▎▍▌▋▊▉█"
RIGHT, WRONG = ("✓", "bold $text-success"), ("✗", "bold $text-error")


def bar(score: float, shown: Sequence[Neighbour], width: int) -> str:
    """Return a bar of up to `width` cells: full for the best score on the screen, a sliver for the worst.

    Models spread their cosines differently: only the differences between those that are shown are to be seen.
    """
    scores = [neighbour.score for neighbour in shown]
    low, high = min(scores), max(scores)
    share = (score - low) / (high - low) if high > low else 1.0
    eighths = max(1, round(share * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def largest_gap(shown: Sequence[Neighbour]) -> tuple[int, float] | None:
    """Return the rank after which the next one is furthest behind, and by how much; None with fewer than two."""
    gaps = [(before.score - after.score, -before.rank) for before, after in pairwise(shown)]  # of equal ones the first
    if not gaps:
        return None
    size, rank = max(gaps)
    return -rank, size


def mark(label: str | None, neighbour: Neighbour) -> tuple[str, str] | None:
    """Return the sign and style of a neighbour with the query's label or another; None where one is not known."""
    if label is None or neighbour.label is None:
        return None
    return RIGHT if neighbour.label == label else WRONG
