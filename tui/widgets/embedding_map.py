"""Images as points of a plane, with the query, its neighbours, and a cursor that goes from point to point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from visexplore.core.engine import Projected
from visexplore.core.text import cut
from visexplore.tui.gallery import Gallery
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.plot import LABEL_COLOURS, Canvas, Plot

GLYPHS = "ox+#*%"
"""Of the most frequent labels, each told from the others without colour."""
_OTHER = "·"
_CROWDS = ((1, "·"), (4, "░"), (12, "▒"), (1 << 62, "▓"))  # without labels: up to so many images in a cell
_QUERY = "◆"


class EmbeddingMap(Plot, can_focus=True):
    """A map of a dataset's embeddings. A cell shows the label that most of its images have."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False, tooltip="the point to the left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, tooltip="the point to the right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, tooltip="the point above"),
        Binding("down,j", "move(0, 1)", "Down", show=False, tooltip="the point below"),
        Binding("space", "same_cell", "Next image in the cell", show=False, tooltip="the next image in the same cell"),
        Binding("enter", "choose", "Choose", show=False, tooltip="this image as the query"),
    ]

    class Moved(Message):
        """The cursor is on another image."""

    class Chosen(Message):
        """Enter or a click on an image."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._positions: NDArray[np.int64] = np.empty(0, np.int64)
        self._places: NDArray[np.float32] = np.empty((0, 2), np.float32)
        self._slots: NDArray[np.int64] = np.empty(0, np.int64)  # of each image's label in GLYPHS; the last: none
        self._names: Sequence[str] = ()
        self._rest = 0  # labels without a glyph of their own
        self._query = -1
        self._neighbours: tuple[int, ...] = ()
        self._row = 0  # that the cursor is on
        self._columns: NDArray[np.int64] = np.empty(0, np.int64)  # of each image on the canvas
        self._lines: NDArray[np.int64] = np.empty(0, np.int64)

    def show(self, found: Projected, gallery: Gallery) -> None:
        """Show a map; the cursor stays on its image where that is on the map."""
        before = self.position
        self._positions = np.frombuffer(found.positions, np.int64)
        self._places = np.frombuffer(found.places, np.float32).reshape(-1, 2)
        numbers = np.frombuffer(gallery.label_numbers, np.intc)[self._positions]
        counts = Counter(numbers[numbers >= 0].tolist())
        frequent = [number for number, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[: len(GLYPHS)]]
        slot_of = np.full(len(gallery.labels) + 1, len(GLYPHS))  # the last entry is of number -1: no label
        slot_of[frequent] = range(len(frequent))
        self._slots = slot_of[numbers]
        self._names = [gallery.labels[number] for number in frequent]
        self._rest = len(counts) - len(frequent)
        self._row = max(0, self._row_of(before if before is not None else self._query))
        self.redraw()

    def mark(self, query: int, neighbours: Sequence[int]) -> None:
        """Mark the images at positions of the dataset: the query, -1 for none, and its neighbours by rank."""
        if query != self._query:
            self._row = max(0, self._row_of(query))
        self._query, self._neighbours = query, tuple(neighbours)
        self.redraw()

    @property
    def position(self) -> int | None:
        """Position in the dataset of the image under the cursor."""
        return int(self._positions[self._row]) if self._row < len(self._positions) else None

    @property
    def place_in_cell(self) -> tuple[int, int]:
        """Which of the images in its cell the cursor is on, from 1, and how many there are."""
        there = self._in_cell()
        return int(np.searchsorted(there, self._row)) + 1, len(there)

    @staticmethod
    def marks() -> list[Content]:
        """Return what the marks of the query and its neighbours mean."""
        return [
            Content.assemble((_QUERY, "bold $accent"), " query"),
            Content.assemble(("1-5", "bold $primary"), " neighbours"),
        ]

    def labels(self, width: int) -> list[Content]:
        """Return what the other marks mean, each in so many cells at most."""
        if not self._names:
            return [Content.styled("· ░ ▒ ▓ 1, 2-4, 5-12, more images", MUTED)]
        lines = [
            Content.assemble((GLYPHS[slot], f"bold {LABEL_COLOURS[slot]}"), " ", cut(name, width - 2))
            for slot, name in enumerate(self._names)
        ]
        if (self._slots == len(GLYPHS)).any():
            lines.append(Content.styled(f"{_OTHER} others" if self._rest else f"{_OTHER} no label", MUTED))
        return lines

    def draw(self, canvas: Canvas) -> None:
        """Draw every cell that an image is in, then the marks."""
        if not len(self._positions) or not canvas.width or not canvas.height:
            return
        low, high = self._places.min(axis=0), self._places.max(axis=0)
        spread = np.where(high > low, high - low, 1)
        shares = np.where(high > low, (self._places - low) / spread, 0.5)
        self._columns = np.rint(shares[:, 0] * (canvas.width - 1)).astype(np.int64)
        self._lines = np.rint((1 - shares[:, 1]) * (canvas.height - 1)).astype(np.int64)
        kinds = len(GLYPHS) + 1
        cells = self._lines * canvas.width + self._columns
        every = canvas.width * canvas.height * kinds
        counts = np.bincount(cells * kinds + self._slots, minlength=every).reshape(-1, kinds)
        for cell in np.flatnonzero(counts.any(axis=1)).tolist():
            y, x = divmod(cell, canvas.width)
            slot = int(counts[cell].argmax())
            if slot < len(GLYPHS):
                canvas.put(x, y, GLYPHS[slot], f"label-{slot}")
            elif self._names:
                canvas.put(x, y, _OTHER, "axis")
            else:
                images = int(counts[cell, slot])
                canvas.put(x, y, next(char for most, char in _CROWDS if images <= most), "label-0")
        for rank, position in reversed(list(enumerate(self._neighbours, start=1))):
            self._put(canvas, position, str(rank % 10), "neighbour")
        self._put(canvas, self._query, _QUERY, "query")
        self._show_cursor()

    def _put(self, canvas: Canvas, position: int, char: str, style: str) -> None:
        row = self._row_of(position)
        if row >= 0:
            canvas.put(int(self._columns[row]), int(self._lines[row]), char, style)

    def _row_of(self, position: int) -> int:
        """Return the row of an image on the map; -1 if it is not on it."""
        row = int(np.searchsorted(self._positions, position))
        return row if row < len(self._positions) and self._positions[row] == position else -1

    def _in_cell(self) -> NDArray[np.int64]:
        """Return the rows of the images in the cursor's cell."""
        if self._row >= len(self._columns):
            return np.array([self._row])
        x, y = self._columns[self._row], self._lines[self._row]
        return np.flatnonzero((self._columns == x) & (self._lines == y))

    def _show_cursor(self) -> None:
        self.move_cursor(int(self._columns[self._row]), int(self._lines[self._row]))
        self.post_message(self.Moved())

    def action_move(self, dx: int, dy: int) -> None:
        """Go to the nearest point in a direction; what lies off it counts double. A row is as high as two columns."""
        if not len(self._columns):
            return
        right, down = self._columns - self._columns[self._row], 2 * (self._lines - self._lines[self._row])
        ahead, aside = (dx * right, np.abs(down)) if dx else (dy * down, np.abs(right))
        far = np.where(ahead > 0, ahead + 2 * aside, np.iinfo(np.int64).max)
        if (ahead > 0).any():
            self._row = int(far.argmin())
            self._show_cursor()

    def action_same_cell(self) -> None:
        """Go to the next image in the same cell."""
        there = self._in_cell()
        if len(there) > 1:
            self._row = int(there[(np.searchsorted(there, self._row) + 1) % len(there)])
            self.post_message(self.Moved())

    def action_choose(self) -> None:
        """Choose the image under the cursor."""
        if self.position is not None:
            self.post_message(self.Chosen(self.position))

    def on_click(self, event: events.Click) -> None:
        """Go to the nearest point; a second click on it chooses it."""
        if len(self._columns):
            before = self._row
            self._row = int((np.abs(self._columns - event.x) + 2 * np.abs(self._lines - event.y)).argmin())
            self._show_cursor()
            if before == self._row and event.chain > 1:
                self.action_choose()
