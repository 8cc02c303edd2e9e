"""Quality against cost: models as marks with error bars and names, laid out as on the report page."""

from __future__ import annotations

from itertools import pairwise

from visexplore.core.comparison import Comparison, score_title
from visexplore.core.report.plot import LETTER, LINE, PARAMETERS, SPEED, STORAGE, CostAxis, Scatter, points_of, scatter
from visexplore.core.text import cut, printable
from visexplore.tui.widgets.plot import Canvas, Plot

AXES: tuple[CostAxis, ...] = (SPEED, PARAMETERS, STORAGE)
BEST, MODEL, BASELINE = "◆", "o", "x"
_SHAPES = f"{BEST} best of quality, speed and size   {MODEL} model   {BASELINE} baseline   │ 95 %   · front"


class CostPlot(Plot):
    """A plot of quality against cost, in cells of a letter's width and a line's height."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._comparison: Comparison | None = None
        self._axis = 0

    def show(self, comparison: Comparison) -> None:
        """Plot a comparison."""
        self._comparison = comparison
        self.redraw()

    def turn_axis(self) -> None:
        """Plot against the next cost."""
        self._axis = (self._axis + 1) % len(AXES)
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """Draw the marks, or say why there are none."""
        if self._comparison is None:
            return
        axis = AXES[self._axis]
        found, unknown = points_of(self._comparison, axis)
        # Two rows for what has no place in it.
        height = canvas.height - 2
        laid = scatter(
            found, width=int(canvas.width * LETTER), height=height * LINE + 1, high_x_is_good=axis.high_is_good
        )
        name = axis.words.split(" (")[0]
        if laid is None:
            why = f"Fewer than two models have both a score and a known cost ({name})."
            canvas.put(0, 0, cut(why if self._comparison.labelled else _NO_LABELS, canvas.width))
            canvas.put(0, 1, cut("c shows another cost.", canvas.width), "axis")
            return
        _draw(canvas, laid, score_title(self._comparison.main), axis.words)
        missing = [f"{printable(point.label)} {point.y:.3f}" for point in laid.outside]
        notes = [f"Below: {', '.join(missing)}."] if missing else []
        unnamed = [f"{printable(point.label)}" for point in laid.unnamed]
        notes += [f"No room for the names of {', '.join(unnamed)}."] if unnamed else []
        notes += [f"{name.capitalize()} not known: {', '.join(map(printable, unknown))}."] if unknown else []
        canvas.put(0, height, cut(_SHAPES, canvas.width), "axis")
        canvas.put(0, height + 1, cut(" ".join(notes), canvas.width), "axis")


_NO_LABELS = "There are no labels, and so no scores to plot."


def _draw(canvas: Canvas, laid: Scatter, score: str, words: str) -> None:
    def column(x: float) -> int:
        return int(x / LETTER)

    def row(y: float) -> int:
        return int(y / LINE)

    left, bottom = column(laid.frame.left) - 1, row(laid.frame.bottom)
    right = column(laid.frame.right)
    for line in range(row(laid.frame.top), bottom):
        canvas.put(left, line, "│", "axis")
    canvas.put(left, bottom, "└" + "─" * (right - left - 1), "axis")
    for tick in laid.y_ticks:
        if row(tick.at) < bottom:
            canvas.put(left - len(tick.text) - 1, row(tick.at), f"{tick.text} ┤", "axis")
    end = 0
    for tick in laid.x_ticks:
        start = column(tick.at) - len(tick.text) // 2
        canvas.put(column(tick.at), bottom, "┴", "axis")
        if start > end:
            canvas.put(start, bottom + 1, tick.text, "axis")
            end = start + len(tick.text)
    canvas.put(0, 0, score, "axis")
    canvas.put(max(left, right - len(words)), bottom + 2, cut(words, canvas.width), "axis")
    for (x, y), (to_x, to_y) in pairwise(laid.front):
        for there in range(min(column(x), column(to_x)), max(column(x), column(to_x)) + 1):
            for down in range(min(row(y), row(to_y)), min(bottom - 1, max(row(y), row(to_y))) + 1):
                canvas.put(there, down, "·", "front")
    for mark in laid.marks:
        for line in range(row(mark.high), min(bottom - 1, row(mark.low)) + 1):
            canvas.put(column(mark.x), line, "│", "baseline" if mark.point.kind == "baseline" else "model")
    marks = {(column(mark.x), row(mark.y)) for mark in laid.marks}
    for label in laid.labels:
        if label.leader:
            _leader(canvas, *(int(at / unit) for at, unit in zip(label.leader, (LETTER, LINE) * 2, strict=True)))
        start, line = column(label.box.left), row(label.box.top + LINE / 2)
        canvas.put(start + ((start - 1, line) in marks), line, label.text, "text")
    for mark in laid.marks:  # last, as nothing may hide them
        shape, style = MODEL, "model"
        if mark.point.kind == "baseline":
            shape, style = BASELINE, "baseline"
        elif mark.point.marked:
            shape, style = BEST, "strong"
        canvas.put(column(mark.x), min(bottom - 1, row(mark.y)), shape, style)


def _leader(canvas: Canvas, x: int, y: int, to_x: int, to_y: int) -> None:
    """Draw a thin line from a mark to its name."""
    steps = max(abs(to_x - x), abs(to_y - y))
    slope = (to_x - x) * (to_y - y)
    char = "╌" if abs(to_y - y) * 2 < abs(to_x - x) else "╎" if not slope else "╲" if slope > 0 else "\u2571"
    for step in range(1, steps):
        canvas.put(x + round(step * (to_x - x) / steps), y + round(step * (to_y - y) / steps), char, "front")
