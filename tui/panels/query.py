"""The query view: a picture or a text, and its five nearest neighbours under the current model."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from visexplore.core.messages import ModelResult, Neighbour, Query
from visexplore.core.text import count, cut, cut_front, printable
from visexplore.tui.messages import ImageChosen
from visexplore.tui.panels.panel import Panel
from visexplore.tui.pictures import Pictures
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Words
from visexplore.tui.widgets.picture_grid import PictureGrid, Strip

if TYPE_CHECKING:
    from PIL.Image import Image


class QueryPanel(Panel):
    """Shows a query and its top-5; Enter on a neighbour makes it the query."""

    PARTS = ("#strip",)

    def __init__(self, terminal: Terminal, pictures: Pictures) -> None:
        super().__init__(id="query")
        self.border_title = "3 Query"
        self._terminal = terminal
        self._pictures = pictures
        self._spec = ""
        self._query: Query | None = None
        self._result: ModelResult | None = None
        self._outside: Image | Words | str | None = None
        self._generation = 0
        self._note = ""

    def compose(self) -> ComposeResult:
        """Lay the query's name and what is known or missing over six pictures."""
        yield Static("", id="query-head", markup=False)
        yield Static("", id="query-note", markup=False)
        yield Strip(self._terminal, caption_lines=2, id="strip")

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw the pictures in another way."""
        self._terminal = terminal
        self.query_one(Strip).set_terminal(terminal)

    @property
    def under_cursor(self) -> Neighbour | None:
        """The neighbour under the cursor, or None where that is the query."""
        cursor = self.query_one(Strip).cursor
        neighbours = self._result.neighbours if self._result else ()
        return neighbours[cursor - 1] if 0 < cursor <= len(neighbours) else None

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbours on the screen."""
        return self._result.neighbours if self._result else ()

    def move_cursor(self, cell: int) -> None:
        """Put the cursor on a cell: 0 is the query, then the neighbours by rank."""
        self.query_one(Strip).cursor = cell

    def show_outside_picture(self, picture: Image | str) -> None:
        """Take the picture of an outside query, or why it cannot be shown."""
        self._outside = picture
        if self._query is not None and self._query.path and not self._query.image_id:
            self.query_one(Strip).fill(0, picture, self._query_caption())

    def show_query(self, spec: str, query: Query, note: str) -> None:
        """Show a query that has no neighbours yet, and say why or what is going on."""
        same = (spec, query) == (self._spec, self._query)
        self._spec, self._query = spec, query
        self._result, self._note = None, note
        if not query.image_id and not same:
            self._outside = Words(query.text) if query.text else None
        self._show()

    def say(self, note: str) -> None:
        """Change the note of a query that has no neighbours yet."""
        if self._result is None and note != self._note:
            self._note = note
            self._show_head()

    def show_result(self, spec: str, query: Query, result: ModelResult) -> None:
        """Show a query with its neighbours."""
        self._spec, self._query, self._result = spec, query, result
        self._show()

    def _show(self) -> None:
        if self._query is None:
            return
        strip = self.query_one(Strip)
        self._show_head()
        neighbours = self._result.neighbours if self._result else ()
        self._generation += 1
        strip.begin_page(1 + len(neighbours))
        self._fill(strip, 0, self._query.image_id, self._query_caption())
        for neighbour in neighbours:
            self._fill(strip, neighbour.rank, neighbour.image_id, self._caption(neighbour))

    def _fill(self, strip: Strip, cell: int, image_id: str, caption: Content) -> None:
        if not image_id:
            strip.fill(cell, self._outside, caption)
            return
        generation = self._generation

        def made(picture: Image | str) -> None:
            if generation == self._generation:
                strip.fill(cell, picture, caption)

        self._pictures.get(self._spec, image_id, made)

    def _show_head(self) -> None:
        self.query_one("#query-head", Static).update(self._head(), layout=False)
        self.query_one("#query-note", Static).update(self._facts(), layout=False)

    def _head(self) -> Content:
        query = self._query
        if query is None:
            return Content("")
        if query.text:
            return Content.assemble((f"“{cut(query.text, 200)}”", "bold"), ("  (text)", MUTED))
        name = cut_front(query.image_id or query.path, 70)
        return Content.assemble((name, "bold"), ("" if query.image_id else "  (outside picture)", MUTED))

    def _facts(self) -> Content:
        if self._query is None or self._result is None:
            return Content.styled(self._note, "$text-warning")
        result = self._result
        parts = [
            Content.styled(printable(result.model), "bold $primary"),
            Content(f"{result.dim}-d"),
            Content(f"{count(result.gallery, 'image')} searched in {max(1, round(result.seconds * 1000))} ms"),
        ]
        right = [neighbour.label == self._query.label for neighbour in result.neighbours]
        if self._query.label is not None and right:
            style = "$text-success" if all(right) else "$text-warning" if any(right) else "$text-error"
            parts.insert(1, Content.styled(f"{sum(right)} of {len(right)} right", style))
        return Content("  ").join(parts)

    def _query_caption(self) -> Content:
        assert self._query is not None
        name = "text" if self._query.text else self._short(self._query.label, self._query.image_id or self._query.path)
        return Content("\n").join([Content.styled("QUERY", "bold $accent"), Content(name)])

    def _caption(self, neighbour: Neighbour) -> Content:
        rank = Content.assemble((f"{neighbour.rank} ", "bold"), f"{neighbour.score:.3f}")
        if self._query is not None and self._query.label is not None and neighbour.label is not None:
            mark = (" ✓", "bold $text-success") if neighbour.label == self._query.label else (" ✗", "bold $text-error")
            rank = Content.assemble(rank, mark)
        return Content("\n").join([rank, Content.styled(self._short(neighbour.label, neighbour.image_id), MUTED)])

    def _short(self, label: str | None, name: str) -> str:
        """Return a label, or the name of a file, for a caption: of a nested label the end tells most."""
        return cut_front(label or PurePosixPath(name).name, max(4, self.query_one(Strip).caption_width))

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        self._show()

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        neighbour = self.under_cursor
        if neighbour is not None:
            self.post_message(ImageChosen(neighbour.image_id))
