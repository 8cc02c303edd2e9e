"""A drawing of characters: a canvas of cells, and a widget that shows it and repaints single cells.

Not plotext: it passes control characters of labels on, answers a cursor by drawing everything anew, and its release
for Textual is of an older plotext. What is plotted here is little: marks, bars and texts in cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from visexplore.core.text import cell_width, printable


class Cell(NamedTuple):
    """A character, empty in the second cell of a wide one, and the name of its style."""

    char: str
    style: str


_BLANK = Cell(" ", "")
LABEL_COLOURS = ("$primary", "$accent", "$text-success", "$text-warning", "$text-error", "$secondary")
"""Of the most frequent labels."""
BLOCKS = " ▁▂▃▄▅▆▇█"
"""A bar's last cell: nothing to all of its eighths."""


class Canvas:
    """Cells to draw in; what would be outside is left out.

    Attributes:
        width: columns.
        height: rows.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._rows = [[_BLANK] * width for _ in range(height)]

    def __getitem__(self, place: tuple[int, int]) -> Cell:
        """Return the cell at a column and a row."""
        x, y = place
        return self._rows[y][x]

    def put(self, x: int, y: int, text: str, style: str = "") -> None:
        """Write a text from a column of a row on."""
        if not 0 <= y < self.height:
            return
        row = self._rows[y]
        for char in printable(text):
            wide = cell_width(char)
            if x >= 0 and x + wide <= self.width and wide:
                row[x : x + wide] = [Cell(char, style), *[Cell("", style)] * (wide - 1)]
            x += wide

    def bar(self, x: int, bottom: int, height: float, style: str) -> None:
        """Fill a column upwards from a row, to an eighth of a cell; anything above 0 is to be seen."""
        eighths = max(round(8 * height), 1) if height > 0 else 0
        for y in range(-(-eighths // 8)):
            self.put(x, bottom - y, BLOCKS[min(8, eighths - 8 * y)], style)

    def runs(self, y: int) -> Iterator[tuple[str, str]]:
        """Return the texts of a row that have one style each."""
        for style, cells in groupby(self._rows[y], lambda cell: cell.style):
            yield "".join(cell.char for cell in cells), style


class Plot(Widget):
    """Shows what `draw` draws; the names of styles are those of component classes, without `plot--`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"plot--{name}"
        for name in (
            "axis", "text", "front", "strong", "model", "baseline", "query", "neighbour", "cursor", "same", "other",
            "pairs", "label-0", "label-1", "label-2", "label-3", "label-4", "label-5",
        )
    }  # fmt: skip
    DEFAULT_CSS = """
    Plot { width: 1fr; height: 1fr; }
    Plot > .plot--axis { color: $foreground 65%; }
    Plot > .plot--text { color: $foreground; }
    Plot > .plot--front { color: $foreground 65%; }
    Plot > .plot--strong { color: $primary; text-style: bold; }
    Plot > .plot--model { color: $foreground; }
    Plot > .plot--baseline { color: $foreground 70%; }
    Plot > .plot--query { color: $background; background: $accent; text-style: bold; }
    Plot > .plot--neighbour { color: $background; background: $primary; text-style: bold; }
    Plot > .plot--cursor { color: $background; background: $foreground; text-style: bold; }
    Plot > .plot--same { color: $primary; }
    Plot > .plot--other { color: $foreground 70%; }
    Plot > .plot--pairs { color: $foreground 65%; }
    """ + "".join(f"Plot > .plot--label-{slot} {{ color: {colour}; }}" for slot, colour in enumerate(LABEL_COLOURS))

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._canvas: Canvas | None = None
        self._strips: dict[int, Strip] = {}
        self._cursor: tuple[int, int] | None = None

    def draw(self, canvas: Canvas) -> None:
        """Draw everything."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw anew when it is next seen."""
        self._canvas = None
        self._strips.clear()
        self.refresh()

    def move_cursor(self, x: int, y: int) -> None:
        """Show the cursor in another cell: two rows are made anew and two cells painted."""
        for column, row in (self._cursor, (x, y)) if self._cursor else ((x, y),):
            self._strips.pop(row, None)
            self.refresh(Region(column, row, 1, 1))
        self._cursor = (x, y)

    def on_resize(self) -> None:
        """Draw in the new size."""
        self.redraw()

    def notify_style_update(self) -> None:
        """Draw in the new theme."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """Return a row of the drawing."""
        size = self.size
        if self._canvas is None or (self._canvas.width, self._canvas.height) != (size.width, size.height):
            self._canvas = Canvas(size.width, size.height)
            self._strips.clear()
            self.draw(self._canvas)
        if y >= size.height:
            return Strip.blank(size.width, self.rich_style)
        if y not in self._strips:
            self._strips[y] = self._strip(self._canvas, y)
        return self._strips[y]

    def _strip(self, canvas: Canvas, y: int) -> Strip:
        segments = [Segment(text, self._look(style)) for text, style in canvas.runs(y)]
        strip = Strip(segments, canvas.width)
        if self._cursor is None or self._cursor[1] != y or self._cursor[0] >= canvas.width:
            return strip
        x = self._cursor[0]
        under = Strip([Segment(canvas[x, y].char or " ", self._look("cursor"))], 1)
        return Strip.join([strip.crop(0, x), under, strip.crop(x + 1)])

    def _look(self, style: str) -> Style:
        return self.get_visual_style(*([f"plot--{style}"] if style else [])).rich_style
