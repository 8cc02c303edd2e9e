"""Pictures with captions in rows and columns, and a cursor that only changes captions."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from visexplore.tui.terminal import Graphics, Terminal
from visexplore.tui.widgets.picture import Picture, Words

if TYPE_CHECKING:
    from PIL.Image import Image

# As many as take less than 50 ms with all that Textual does for them: a sixel picture takes 12 ms and more, half blocks
# three, characters one.
_PAINTED_PER_REFRESH = {Graphics.KITTY: 6, Graphics.SIXEL: 2, Graphics.HALFBLOCK: 6, Graphics.TEXT: 12}


_LARGE_ENOUGH = 20  # cells: rather more thumbnails than wider ones
_LEAST_BELOW = 14  # cells of a neighbour's width below a large query
_WORTH_IT = 1.4  # times as high as its neighbours a large query has to be


class PictureCell(Vertical):
    """A picture and the lines below it."""

    DEFAULT_CSS = """
    PictureCell { width: auto; height: auto; }
    PictureCell > Static { height: 1; width: 100%; text-align: center; text-wrap: nowrap; text-overflow: ellipsis; }
    PictureCell > Static.cursor { background: $primary 40%; }
    """

    def __init__(self, terminal: Terminal, width: int, height: int, caption_lines: int) -> None:
        super().__init__()
        self.picture = Picture(terminal)
        self.picture.styles.width, self.picture.styles.height = width, height
        self.caption = Static("", markup=False)
        self.caption.styles.height = caption_lines
        self.styles.width, self.styles.height = width, height + caption_lines

    def compose(self) -> ComposeResult:
        """Lay the picture over its caption."""
        yield self.picture
        yield self.caption

    def fill(self, content: Image | Words | str | None, caption: Content) -> None:
        """Show a picture, or words, or why there is none, or nothing."""
        if content is None:
            self.picture.clear()
        elif isinstance(content, Words):
            self.picture.say(content)
        elif isinstance(content, str):
            self.picture.fail(content)
        else:
            self.picture.show(content)
        self.caption.update(caption, layout=False)


class PictureGrid(Widget, can_focus=True):
    """A page of pictures.

    The grid has the focus, not its cells: moving the cursor then rewrites two captions and no picture.
    """

    DEFAULT_CSS = """
    PictureGrid { layout: grid; grid-gutter: 0 1; height: 1fr; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False, tooltip="the picture to the left", id="picture_left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, tooltip="the picture to the right", id="picture_right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, tooltip="the picture above", id="picture_up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, tooltip="the picture below", id="picture_down"),
        Binding("pageup", "turn(-1)", "Page up", show=False, tooltip="the page before", id="pictures_back"),
        Binding("pagedown", "turn(1)", "Page down", show=False, tooltip="the next page", id="pictures_on"),
        Binding("home", "end(-1)", "First", show=False, tooltip="the first picture of all", id="pictures_first"),
        Binding("end", "end(1)", "Last", show=False, tooltip="the last picture of all", id="pictures_last"),
        Binding("enter", "choose", "Choose", show=False, tooltip="this picture as the query", id="choose_picture"),
    ]

    cursor = reactive(0, repaint=False)
    """Cell of the page that the cursor is on."""

    class Chosen(Message):
        """Enter or a click on a cell."""

        def __init__(self, grid: PictureGrid, index: int) -> None:
            super().__init__()
            self.grid = grid
            self.index = index

        @property
        def control(self) -> PictureGrid:
            """The grid."""
            return self.grid

    class Left(Message):
        """The cursor wants to leave the page: by so many pages, or to an end of all of them."""

        def __init__(self, grid: PictureGrid, pages: int, *, to_end: bool = False) -> None:
            super().__init__()
            self.grid = grid
            self.pages = pages
            self.to_end = to_end

        @property
        def control(self) -> PictureGrid:
            """The grid."""
            return self.grid

    class Reshaped(Message):
        """There is room for another number of cells than before."""

        def __init__(self, grid: PictureGrid) -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> PictureGrid:
            """The grid."""
            return self.grid

    def __init__(self, terminal: Terminal, *, caption_lines: int, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._terminal = terminal
        self._caption_lines = caption_lines
        self.columns = self.rows = 0
        self._shape = (0, 0, 0, 0)
        self._filled = 0
        self._fills: deque[tuple[int, Image | Words | str | None, Content]] = deque()

    @property
    def cells(self) -> list[PictureCell]:
        """The cells of the page, row by row."""
        return [child for child in self.children if isinstance(child, PictureCell)]

    @property
    def caption_width(self) -> int:
        """Cells of a line of a caption."""
        return self._shape[2]

    @property
    def capacity(self) -> int:
        """How many pictures a page holds; 0 before it is laid out."""
        return self.columns * self.rows

    def wanted_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return columns, rows, picture width and height in cells for an area: thumbnails as many as fit."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        best = (0.0, (1, 1, max(1, width), max(1, height - self._caption_lines)))
        for columns in range(max(1, width // 18), max(2, width // 15 + 1)):
            picture_width = (width + 1) // columns - 1
            rows = max(1, int(height / (picture_width / aspect * 0.85 + self._caption_lines)))
            picture_height = max(1, height // rows - self._caption_lines)
            side = min(picture_width, picture_height * aspect, _LARGE_ENOUGH)
            best = max(best, (columns * rows * side * side, (columns, rows, picture_width, picture_height)))
        return best[1]

    def on_resize(self) -> None:
        """Make as many cells as there is room for, once the frame without them is painted."""
        self.call_after_refresh(self._reshape)

    def _reshape(self) -> None:
        size = self.size
        if size.width < 4 or size.height < 2:
            return
        shape = self.wanted_shape(size.width, size.height)
        if shape == self._shape:
            return
        self._shape = shape
        self.columns, self.rows, width, height = shape
        self._fills.clear()
        self.remove_children()
        self.styles.grid_size_columns = self.columns
        self.styles.grid_columns = f"{width}"
        self.lay_out(width, height)
        self.call_after_refresh(self._tell_reshaped)

    def lay_out(self, width: int, height: int) -> None:
        """Make the cells of a page, with pictures of that size."""
        self.styles.grid_size_rows = self.rows
        self.styles.grid_rows = f"{height + self._caption_lines}"
        self.mount_all(self.make_cells(width, height))

    def make_cells(self, width: int, height: int) -> list[Widget]:
        """Return what to lay into the grid: cells with pictures of a width and a height in terminal cells."""
        return [PictureCell(self._terminal, width, height, self._caption_lines) for _ in range(self.capacity)]

    def _tell_reshaped(self) -> None:
        self.watch_cursor(self.cursor, self.cursor)  # the cells are new
        self.post_message(self.Reshaped(self))

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw the pictures in another way."""
        self._terminal = terminal
        for cell in self.cells:
            cell.picture.set_terminal(terminal)

    def begin_page(self, filled: int) -> None:
        """Say that the next `fill` calls are of a page of so many pictures; the cells past it become empty."""
        self._fills.clear()
        self._filled = min(filled, self.capacity)
        for index in range(self._filled, self.capacity):
            self.fill(index, None, Content(""))
        self.cursor = max(0, min(self.cursor, self._filled - 1))
        self._mark_cursor(seen=self.has_focus)

    def fill(self, index: int, content: Image | Words | str | None, caption: Content) -> None:
        """Show a picture or words in a cell. Few are painted per refresh, so that keys are answered in between."""
        if index >= self.capacity:
            return
        self._fills.append((index, content, caption))
        if len(self._fills) == 1:
            self.call_later(self._fill_next)

    def set_caption(self, index: int, caption: Content) -> None:
        """Change the caption of a cell, whose picture stays as it is."""
        for at, fill in enumerate(self._fills):
            if fill[0] == index:
                self._fills[at] = (index, fill[1], caption)
        cells = self.cells
        if index < len(cells):
            cells[index].caption.update(caption, layout=False)

    def _fill_next(self) -> None:
        cells = self.cells
        painted = 0
        while self._fills and painted < _PAINTED_PER_REFRESH[self._terminal.graphics]:
            index, content, caption = self._fills.popleft()
            if index < len(cells):
                cells[index].fill(content, caption)
                painted += content is not None
        if self._fills:
            self.call_after_refresh(self._fill_next)

    def watch_cursor(self, old: int, new: int) -> None:
        """Mark the caption of the cell under the cursor."""
        cells = self.cells
        if old < len(cells):
            cells[old].caption.remove_class("cursor")
        self._mark_cursor(seen=self.has_focus)

    def _mark_cursor(self, *, seen: bool) -> None:
        cells = self.cells
        if self.cursor < len(cells):
            cells[self.cursor].caption.set_class(seen and self.cursor < self._filled, "cursor")

    def on_focus(self, event: events.Focus) -> None:
        """Show the cursor, and nothing else: Textual's own handler paints the whole grid with all its pictures."""
        event.prevent_default()
        self.has_focus = True
        self._mark_cursor(seen=True)
        if self.parent is not None:
            self.parent.post_message(events.DescendantFocus(self))

    def on_blur(self, event: events.Blur) -> None:
        """Hide the cursor, and nothing else."""
        event.prevent_default()
        self.has_focus = False
        self._mark_cursor(seen=False)
        if self.parent is not None:
            self.parent.post_message(events.DescendantBlur(self))

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor, onto another page where this one ends."""
        target = self.cursor + right + down * self.columns
        if 0 <= target < self._filled:
            self.cursor = target
        elif target < 0:
            self.post_message(self.Left(self, -1))
        else:
            self.post_message(self.Left(self, 1))

    def action_turn(self, pages: int) -> None:
        """Turn the page."""
        self.post_message(self.Left(self, pages))

    def action_end(self, direction: int) -> None:
        """Go to the first or the last picture of all."""
        self.post_message(self.Left(self, direction, to_end=True))

    def action_choose(self) -> None:
        """Choose the picture under the cursor."""
        if self.cursor < self._filled:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked cell; a second click chooses it."""
        node = event.widget
        while node is not None and not isinstance(node, PictureCell):
            node = node.parent if isinstance(node.parent, Widget) else None
        if node is None:
            return
        index = self.cells.index(node)
        if index < self._filled:
            self.cursor = index
            if event.chain >= 2:
                self.action_choose()

    def on_mouse_scroll_down(self) -> None:
        """Turn to the next page."""
        self.action_turn(1)

    def on_mouse_scroll_up(self) -> None:
        """Turn to the page before."""
        self.action_turn(-1)


class Strip(PictureGrid):
    """A query and its neighbours: six cells, arranged so that they are as large as the area allows.

    Where there is room the query stands large above its neighbours, with words beside it.
    """

    DEFAULT_CSS = """
    Strip > .facts { width: 100%; height: 100%; padding: 0 1; text-align: left; text-wrap: nowrap; }
    """
    CELLS = 6
    NEIGHBOURS = 5

    def __init__(self, terminal: Terminal, *, caption_lines: int, id: str | None = None) -> None:  # noqa: A002
        super().__init__(terminal, caption_lines=caption_lines, id=id)
        self._lead = (0, 0, 0)

    @property
    def capacity(self) -> int:
        """How many pictures it holds; 0 before it is laid out."""
        return self.CELLS if self.columns else 0

    @property
    def facts_width(self) -> int:
        """Cells of a line beside a large query; 0 where it is not large."""
        spanned = self._lead[0]
        return (self.NEIGHBOURS - spanned) * (self.caption_width + 1) - 3 if spanned else 0

    @property
    def large_width(self) -> int:
        """Width of a query that stands large above its neighbours, with one line below it; 0 where it does not."""
        return self._lead[1]

    def show_facts(self, facts: Content) -> None:
        """Show words beside a large query."""
        for beside in self.query(".facts").results(Static):
            beside.update(facts, layout=False)

    def wanted_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the arrangement of six cells with the largest square picture, or of five below the query."""
        if self._lead[0]:
            return self.NEIGHBOURS, 2, *self._below(width)
        aspect = self._terminal.cell_height / self._terminal.cell_width

        def side(columns: int) -> float:
            rows = self.CELLS // columns
            return min((width + 1) // columns - 1, (height // rows - self._caption_lines) * aspect)

        columns = max((3, 6, 2), key=side)  # of two that are equally large the one with the wider captions
        rows = self.CELLS // columns
        cell_width = max(4, (width + 1) // columns - 1)
        picture_height = max(2, height // rows - self._caption_lines)
        # No wider or higher than a picture can use: what is left stays at the right and at the bottom.
        picture_width = min(cell_width, round(picture_height * aspect * 1.35))
        picture_height = min(picture_height, max(2, round(picture_width / aspect * 1.1)))
        return columns, rows, picture_width, picture_height

    def _below(self, width: int) -> tuple[int, int]:
        """Return width and height of five pictures in a row."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        each = (width + 1) // self.NEIGHBOURS - 1
        return each, round(each / aspect * 1.05)

    def _wanted_lead(self, width: int, height: int) -> tuple[int, int, int]:
        """Return how many columns a large query spans, its width and its height; zeros where it is not worth it."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        each, low = self._below(width)
        lead_height = height - low - self._caption_lines - 1
        spanned = next((n for n in (2, 3) if n * (each + 1) - 1 >= lead_height * aspect), 3)
        if each < _LEAST_BELOW or lead_height < _WORTH_IT * low:
            return 0, 0, 0
        lead_width = spanned * (each + 1) - 1
        return spanned, lead_width, min(lead_height, round(lead_width / aspect))

    def _reshape(self) -> None:
        lead = self._wanted_lead(*self.size)
        if lead != self._lead:
            self._lead, self._shape = lead, (0, 0, 0, 0)  # laid out anew, whatever becomes of the neighbours
        super()._reshape()

    def make_cells(self, width: int, height: int) -> list[Widget]:
        """Return six cells, the first of them large where there is room, with a place for words beside it."""
        cells = super().make_cells(width, height)
        spanned, lead_width, lead_height = self._lead
        if not spanned:
            return cells
        query = PictureCell(self._terminal, lead_width, lead_height, caption_lines=1)
        query.styles.column_span = spanned
        beside = Static("", markup=False, classes="facts")
        beside.styles.column_span = self.NEIGHBOURS - spanned
        self.styles.grid_rows = f"{lead_height + 1} {height + self._caption_lines}"
        return [query, beside, *cells[1:]]

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor; between a large query and its neighbours up and down."""
        if not (self._lead[0] and down):
            super().action_move(right, down)
        elif down > 0 and self.cursor == 0 and self._filled > 1:
            self.cursor = 1
        elif down < 0:
            self.cursor = 0


def graphics_after(graphics: Graphics) -> Graphics:
    """Return the picture protocol that follows in the cycle."""
    order = list(Graphics)
    return order[(order.index(graphics) + 1) % len(order)]
