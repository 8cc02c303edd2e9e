"""A query, and beside it rows of its neighbours, each row below a line of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from visexplore.tui.terminal import Terminal
from visexplore.tui.widgets.picture import Picture, Words
from visexplore.tui.widgets.picture_grid import PictureCell, PictureGrid

if TYPE_CHECKING:
    from PIL.Image import Image

NEIGHBOURS = 5
_LOWEST = 4  # rows of cells that a picture needs to be made out
_SMALLER = 0.55  # of the size that the width allows: so small may pictures be for more rows to fit
_WORDS_BELOW_QUERY = 5


class Arrangement(NamedTuple):
    """How rows of pictures fill an area: sizes in cells."""

    rows: int
    width: int
    height: int
    caption_lines: int
    head_lines: int


def arrange(
    width: int, height: int, wanted: int, aspect: float, *, least: int = 1, most_caption_lines: int = 2
) -> Arrangement:
    """Return how to show as many rows of five as possible in which pictures can still be made out.

    Args:
        width: of the area in cells.
        height: of the area in cells.
        wanted: rows to show, if there is room.
        aspect: height of a cell in widths of it.
        least: rows to show however small they become.
        most_caption_lines: below a picture; one where there is no room for more.
    """
    cell_width = max(4, (width + 1) // NEIGHBOURS - 1)
    square = cell_width / aspect
    rows = max(least, min(wanted, int(height / (max(_LOWEST, _SMALLER * square) + 2))))
    room = height // rows - 2  # but for a line above the pictures and one below
    picture_height = max(1, min(room, round(square * 1.1)))
    caption_lines = min(most_caption_lines, 1 + max(0, room - picture_height))
    head_lines = 1 + (room - picture_height - (caption_lines - 1) >= 1)  # one of them blank, to tell rows apart
    return Arrangement(rows, cell_width, picture_height, caption_lines, head_lines)


class PictureRows(PictureGrid):
    """Rows of five pictures below a line of words each, as many as are large enough to be looked at.

    Args:
        terminal: how to draw.
        rows: how many there are to show.
        least: rows to show however small they become.
        most_caption_lines: below a picture.
        id: of the widget.
    """

    DEFAULT_CSS = """
    PictureRows > .row-head { height: 100%; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(
        self,
        terminal: Terminal,
        rows: int,
        *,
        least: int = 1,
        most_caption_lines: int = 2,
        id: str | None = None,  # noqa: A002 - as Textual names it
    ) -> None:
        super().__init__(terminal, caption_lines=most_caption_lines, id=id)
        self._wanted = rows
        self._least = least
        self._most_caption_lines = most_caption_lines
        self._head_lines = 1

    @property
    def caption_lines(self) -> int:
        """Lines below a picture."""
        return self._caption_lines

    @property
    def heads(self) -> list[Static]:
        """The lines above the rows."""
        return [child for child in self.children if isinstance(child, Static)]

    @property
    def row_width(self) -> int:
        """Cells of a line above a row."""
        return NEIGHBOURS * (self.caption_width + 1) - 1

    def want(self, rows: int) -> None:
        """Make room for another number of rows."""
        if rows != self._wanted:
            self._wanted = rows
            self.on_resize()

    def wanted_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return five columns and as many rows as can be made out."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        found = arrange(
            width, height, self._wanted, aspect, least=self._least, most_caption_lines=self._most_caption_lines
        )
        self._caption_lines, self._head_lines = found.caption_lines, found.head_lines
        return NEIGHBOURS, found.rows, found.width, found.height

    def lay_out(self, width: int, height: int) -> None:
        """Make the cells of a page, each row of them below its line."""
        self.styles.grid_size_rows = 2 * self.rows
        self.styles.grid_rows = " ".join([f"{self._head_lines} {height + self._caption_lines}"] * self.rows)
        for _ in range(self.rows):
            head = Static("", classes="row-head", markup=False)
            head.styles.column_span = NEIGHBOURS
            head.styles.padding = (self._head_lines - 1, 0, 0, 0)
            self.mount(head)
            self.mount_all(PictureCell(self._terminal, width, height, self._caption_lines) for _ in range(NEIGHBOURS))

    def say(self, row: int, words: Content) -> None:
        """Show the line above a row."""
        self.heads[row].update(words, layout=False)


class QuerySide(Vertical):
    """The query, large, over a few words on it.

    Args:
        terminal: how to draw.
        id: of the widget.
    """

    DEFAULT_CSS = """
    QuerySide { width: 16.5%; min-width: 13; max-width: 44; height: 100%; margin: 0 1 0 0; }
    QuerySide > Picture { width: 100%; height: 6; }
    QuerySide > Static { width: 100%; height: 1fr; }
    """

    def __init__(self, terminal: Terminal, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._terminal = terminal

    def compose(self) -> ComposeResult:
        """Lay the picture over the words."""
        yield Picture(self._terminal)
        yield Static("", markup=False)

    def on_resize(self) -> None:
        """Give the picture a square, if there is room for one."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        square = round(self.size.width / aspect * 1.1)
        self.query_one(Picture).styles.height = max(3, min(square, self.size.height - _WORDS_BELOW_QUERY))

    def show(self, content: Image | Words | str) -> None:
        """Show a picture, or words, or why there is none."""
        picture = self.query_one(Picture)
        if isinstance(content, Words):
            picture.say(content)
        elif isinstance(content, str):
            picture.fail(content)
        else:
            picture.show(content)

    def say(self, words: Content) -> None:
        """Show the words."""
        self.query_one(Static).update(words, layout=False)
