"""The verdict as one HTML page that can be sent around: no other file, no request, no script needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from visexplore.core.comparison import Agreed, Comparison, Interval
from visexplore.core.report.pages import html_page
from visexplore.core.report.plot import SPEED, STORAGE, Scatter, points_of, scatter
from visexplore.core.report.verdict_words import verdict_sentences

MOST: Final = 30
"""Rows of a list that may be endless; how many more there are is said."""

_BAR = 120  # pixels that an interval bar is wide
_WIDE, _NARROW = (760, 430), (380, 360)


@dataclass(frozen=True, slots=True)
class Example:
    """A query and what each model finds for it.

    Attributes:
        caption: why this query is shown.
        query: its image id, or its words.
        strips: model and its strip as JPEG or PNG.
    """

    caption: str
    query: str
    strips: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval in a bar of `width` pixels; without ends where the interval is wholly left of what is shown."""

    width: int
    low: float
    high: float
    at: float
    best: float
    outside: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """Two sizes of one plot, for wide and for narrow screens."""

    title: str
    axis: str
    wide: Scatter
    narrow: Scatter
    unknown: tuple[str, ...]

    @property
    def sizes(self) -> tuple[tuple[str, Scatter], ...]:
        """Each with the class that shows it."""
        return (("wide", self.wide), ("narrow", self.narrow))


def verdict_page(
    comparison: Comparison, examples: Sequence[Example] = (), *, pictures: Mapping[str, bytes] | None = None
) -> str:
    """Return the page.

    Args:
        comparison: the verdict.
        examples: strips to show.
        pictures: small JPEG or PNG by image id; `pictured` says of which images the page shows them.

    Raises:
        ValueError: a picture is neither JPEG nor PNG.
    """
    rows = [row for row in comparison.models if row.kind != "baseline"]
    return html_page(
        "verdict.html.j2",
        comparison=comparison,
        sentences=verdict_sentences(comparison),
        examples=examples,
        pictures=pictures or {},
        rows=rows,
        baselines=[row for row in comparison.models if row.kind == "baseline"],
        bars=_bars(comparison),
        plots=_plots(comparison),
        score_names=list(dict.fromkeys(name for row in comparison.models for name in row.scores)),
        without_names=_without_names(comparison),
        changes=list(dict.fromkeys(change for row in comparison.models for change in row.self_retrieval)),
        agreed=_matrix(comparison.agreement),
        agreeing=[row.model for row in rows if any(row.model in (pair.a, pair.b) for pair in comparison.agreement)],
        most=MOST,
    )


def pictured(comparison: Comparison) -> list[str]:
    """Return the ids of the images that the page shows small pictures of, each once."""
    ids = [
        *(image for one in comparison.mistaken[:MOST] for image in (one.query, one.neighbour)),
        *(one.image_id for one in comparison.only_right[:MOST]),
        *(one.image_id for one in comparison.contested[:MOST]),
        *(one.image_id for one in comparison.suspected[:MOST]),
    ]
    return list(dict.fromkeys(ids))


def _without_names(comparison: Comparison) -> list[str]:
    """Return the names of the scores that are known without near-duplicates."""
    known = [
        name for row in comparison.models for name, value in row.without_duplicates.items() if math.isfinite(value)
    ]
    return list(dict.fromkeys(known))


def _bars(comparison: Comparison) -> dict[str, Bar]:
    """Return each row's interval bar, all on the scale of the rows that are no baselines, which differ least."""
    scored = {row.model: row.scores[comparison.main] for row in comparison.models if comparison.main in row.scores}
    scored = {model: interval for model, interval in scored.items() if _finite(interval)}
    models = [row.model for row in comparison.models if row.model in scored and row.kind != "baseline"]
    if not scored:
        return {}
    shown = [scored[model] for model in models] or list(scored.values())
    low, high = min(one.low for one in shown), max(one.high for one in shown)
    margin = max(0.05 * (high - low), 0.005)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(min(1.0, max(0.0, (value - low) / (high - low))) * _BAR, 1)

    best = place(max(one.value for one in shown))
    return {
        model: Bar(_BAR, place(one.low), place(one.high), place(one.value), best, outside=one.value < low)
        for model, one in scored.items()
    }


def _plots(comparison: Comparison) -> list[Plot]:
    """Return quality against speed and against storage; only those that two rows at least can be shown in."""
    plots = []
    for axis in (SPEED, STORAGE):
        found, unknown = points_of(comparison, axis)
        sizes = [scatter(found, width=w, height=h, high_x_is_good=axis.high_is_good) for w, h in (_WIDE, _NARROW)]
        if sizes[0] and sizes[1]:
            plots.append(Plot(axis.title, axis.words, sizes[0], sizes[1], unknown))
    return plots


def _matrix(agreement: Sequence[Agreed]) -> dict[tuple[str, str], Agreed]:
    """Return agreement by pair, in both orders."""
    return {key: pair for pair in agreement for key in ((pair.a, pair.b), (pair.b, pair.a))}


def _finite(interval: Interval) -> bool:
    return all(map(math.isfinite, (interval.value, interval.low, interval.high)))
