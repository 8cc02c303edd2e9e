"""Where things go in a plot of quality against cost: ticks, marks, error bars, labels that do not overlap.

Only geometry: the template `scatter.j2` draws it, so that every text is escaped in one place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from visexplore.core.comparison import Comparison, Cost, Judged, Kind
from visexplore.core.text import cell_width, cut

LETTER = 6.7
"""Pixels of a typical letter at 12 px, on the generous side."""
LINE = 15
"""Pixels from one line of text to the next."""

_MARK = 7  # half a mark's box
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 16, 14, 46
_LONGEST_LABEL = 30  # cells
_FAR = 20  # a label farther away than this from its mark gets a line to it
_DISTANCES = (9, 14, 20, 30, 44, 60, 80, 105)


@dataclass(frozen=True, slots=True)
class CostAxis:
    """A cost that quality is plotted against.

    Attributes:
        title: of the plot.
        words: what the axis shows.
        high_is_good: whether more of it is better.
        of: the cost in its unit; None where it is not known.
    """

    title: str
    words: str
    high_is_good: bool
    of: Callable[[Cost], float | None]


SPEED = CostAxis(
    "Quality and speed",
    "images per second (logarithmic; faster to the right)",
    True,
    lambda cost: cost.images_per_second,
)
PARAMETERS = CostAxis(
    "Quality and size",
    "parameters (logarithmic; smaller to the left)",
    False,
    lambda cost: cost.parameters,
)
STORAGE = CostAxis(
    "Quality and storage",
    "GB for an index of a million images (logarithmic; smaller to the left)",
    False,
    lambda cost: cost.bytes_per_million / 1e9,
)


@dataclass(frozen=True, slots=True)
class Point:
    """What is to be plotted.

    Attributes:
        label: its name.
        kind: what sort of row it is; decides the shape.
        x: its cost; above 0.
        y: its score.
        low: lower end of the score's interval.
        high: upper end.
        marked: whether it is to stand out.
    """

    label: str
    kind: Kind
    x: float
    y: float
    low: float
    high: float
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether both have an inner point in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether `other` lies wholly inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True, slots=True)
class Label:
    """A text and its place; `leader` is a line from its mark, where it is not beside it."""

    text: str
    box: Box
    leader: tuple[float, float, float, float] | None

    @property
    def x(self) -> float:
        """Middle of the text."""
        return (self.box.left + self.box.right) / 2

    @property
    def baseline(self) -> float:
        """Line that the letters stand on."""
        return self.box.bottom - 4


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in its place, in pixels; `low` and `high` are the ends of its error bar."""

    point: Point
    x: float
    y: float
    low: float
    high: float

    @property
    def box(self) -> Box:
        """What the shape covers."""
        return Box(self.x - _MARK, self.y - _MARK, self.x + _MARK, self.y + _MARK)

    @property
    def bar(self) -> Box:
        """What the error bar covers."""
        return Box(self.x - 2, self.high, self.x + 2, self.low)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in pixels, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """A plot in pixels.

    Attributes:
        width: of the whole.
        height: of the whole.
        frame: the part that marks are in.
        x_ticks: of the logarithmic axis.
        y_ticks: of the scores.
        marks: one a point that is shown.
        labels: of marks; those for which there was no room are in `unnamed`.
        front: the staircase of what nothing in the plot beats in both, as (x, y) corners.
        unnamed: points without a label.
        outside: baselines that are too far below to be shown.
    """

    width: int
    height: int
    frame: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    front: tuple[tuple[float, float], ...]
    unnamed: tuple[Point, ...]
    outside: tuple[Point, ...]


def scatter(points: Sequence[Point], *, width: int, height: int, high_x_is_good: bool) -> Scatter | None:
    """Lay out score against cost, the cost on a logarithmic axis; None where fewer than two points can be shown.

    The range of scores is that of the rows that are no baselines, so that their differences can be seen. Baselines
    are in the plot if they are in it, or so near that it is stretched by half at most.
    """
    points = [point for point in points if _plottable(point)]
    rows = [point for point in points if point.kind != "baseline"]
    if len(rows) < 2:
        return None
    low, high = _score_range(rows, points)
    shown = [point for point in points if point.y >= low]
    frame = Box(_LEFT, _TOP, width - _RIGHT, height - _BOTTOM)
    left, right = _log_range([point.x for point in shown])

    def x_at(x: float) -> float:
        share = (math.log10(x) - left) / (right - left)
        return frame.left + share * (frame.right - frame.left)

    def y_at(y: float) -> float:
        return frame.bottom - (min(high, max(low, y)) - low) / (high - low) * (frame.bottom - frame.top)

    marks = tuple(Mark(p, x_at(p.x), y_at(p.y), y_at(p.low), y_at(p.high)) for p in shown)
    front = _front([mark for mark in marks if mark.point.kind != "baseline"], frame, high_x_is_good=high_x_is_good)
    labels, unnamed = _placed(marks, frame, front)
    return Scatter(
        width=width,
        height=height,
        frame=frame,
        x_ticks=tuple(Tick(x_at(value), short_number(value)) for value in _log_ticks(left, right)),
        y_ticks=tuple(Tick(y_at(value), text) for value, text in _linear_ticks(low, high)),
        marks=marks,
        labels=labels,
        front=front,
        unnamed=unnamed,
        outside=tuple(point for point in points if point.y < low),
    )


def points_of(comparison: Comparison, axis: CostAxis) -> tuple[list[Point], tuple[str, ...]]:
    """Return the rows whose main score and cost are known, and the names of those whose cost is not."""
    found: list[Point] = []
    unknown: list[str] = []
    for row in comparison.models:
        cost = axis.of(row.cost)
        if not cost or not math.isfinite(cost):
            unknown.append(row.model)
        elif comparison.main in row.scores:
            found.append(_point(row, comparison.main, cost))
    return found, tuple(unknown)


def _point(row: Judged, main: str, cost: float) -> Point:
    score = row.scores[main]
    return Point(row.model, row.kind, cost, score.value, score.low, score.high, row.pareto)


def short_number(value: float) -> str:
    """Return a positive number with three digits at most: `0.25`, `12`, `1.5k`, `20M`."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def _plottable(point: Point) -> bool:
    return all(map(math.isfinite, (point.x, point.y, point.low, point.high))) and point.x > 0


def _score_range(rows: Sequence[Point], points: Sequence[Point]) -> tuple[float, float]:
    low, high = min(point.low for point in rows), max(point.high for point in rows)
    near = [point for point in points if point.low >= low - (high - low) / 2]
    low, high = min(point.low for point in near), max(point.high for point in near)
    margin = max(0.08 * (high - low), 0.005)
    return max(-0.01, low - margin), min(1.01, high + margin)


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the decimal logarithms between which the axis runs: at least a factor of 3, with room at both ends."""
    low, high = math.log10(min(values)), math.log10(max(values))
    missing = max(0.0, math.log10(3) - (high - low))
    margin = missing / 2 + 0.08 * max(high - low, math.log10(3))
    return low - margin, high + margin


def _log_ticks(left: float, right: float) -> list[float]:
    """Return 3 to 7 round numbers between two logarithms."""
    found: list[float] = []
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        decades = range(math.floor(left), math.ceil(right) + 1)
        found = [m * 10.0**d for d in decades for m in mantissas if left <= math.log10(m) + d <= right]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 7)]


def _linear_ticks(low: float, high: float) -> list[tuple[float, str]]:
    steps = (step * 10.0**power for power in (-4, -3, -2, -1) for step in (1, 2, 5))
    step = next((step for step in steps if (high - low) / step <= 7), 0.2)
    digits = max(1, -math.floor(math.log10(step) + 1e-9))
    ticks = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(number * step, f"{number * step:.{digits}f}") for number in ticks if 0 <= number * step <= 1 + 1e-9]


def _front(marks: Sequence[Mark], frame: Box, *, high_x_is_good: bool) -> tuple[tuple[float, float], ...]:
    """Return the corners of the line behind which each mark is beaten in score or cost by one on it."""
    sign = -1 if high_x_is_good else 1
    best: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (sign * mark.point.x, -mark.point.y)):
        if not best or mark.point.y > best[-1].point.y:
            best.append(mark)
    corners = [(best[0].x, frame.bottom)]
    for mark, following in pairwise(best):
        corners += [(mark.x, mark.y), (following.x, mark.y)]
    away = frame.left if high_x_is_good else frame.right
    return (*corners, (best[-1].x, best[-1].y), (away, best[-1].y))


def _placed(
    marks: Sequence[Mark], frame: Box, front: Sequence[tuple[float, float]]
) -> tuple[tuple[Label, ...], tuple[Point, ...]]:
    """Give each mark's label the nearest place where it covers nothing; the highest marks choose first.

    Where there is none, it may cover lines, but never another label or a mark.
    """
    taken = [mark.box for mark in marks]
    bars = [mark.bar for mark in marks]
    lines = [Box(min(a, c) - 2, min(b, d) - 2, max(a, c) + 2, max(b, d) + 2) for (a, b), (c, d) in pairwise(front)]
    labels: list[Label] = []
    unnamed: list[Point] = []
    for mark in sorted(marks, key=lambda mark: mark.y):
        text = cut(mark.point.label, _LONGEST_LABEL)
        inside = [label for label in _candidates(mark, text) if frame.holds(label.box)]
        for avoided in ([*taken, *bars, *lines], [*taken, *bars], taken):
            found = next((label for label in inside if not any(label.box.meets(box) for box in avoided)), None)
            if found:
                labels.append(found)
                taken.append(found.box)
                break
        else:
            unnamed.append(mark.point)
    return tuple(labels), tuple(unnamed)


def _candidates(mark: Mark, text: str) -> Iterator[Label]:
    wide = cell_width(text) * LETTER
    for far in _DISTANCES:
        slant = far * 0.8
        for dx, dy, anchor in (
            (far, 0.0, 0.0),
            (-far, 0.0, 1.0),
            (slant, -slant, 0.0),
            (slant, slant, 0.0),
            (-slant, -slant, 1.0),
            (-slant, slant, 1.0),
            (0.0, -far - 4, 0.5),
            (0.0, far + 4, 0.5),
            (-3.0, -far - 4, 1.0),
            (-3.0, far + 4, 1.0),
            (3.0, -far - 4, 0.0),
            (3.0, far + 4, 0.0),
        ):
            left, middle = mark.x + dx - anchor * wide, mark.y + dy
            box = Box(left, middle - LINE / 2, left + wide, middle + LINE / 2)
            end = (mark.x, mark.y, mark.x + dx, middle)
            yield Label(text, box, end if far > _FAR else None)
