"""The same query under several models: a row each, with the same picture marked in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.engine import Died, Event, Failed, Found, SearchMany
from visexplore.core.messages import ModelResult, Neighbour, QueryResult
from visexplore.core.text import cut, cut_front, percentile, printable
from visexplore.tui.asks import Asks
from visexplore.tui.gallery import Gallery
from visexplore.tui.pictures import Pictures
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture_grid import PictureGrid

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS = 6  # the query and five neighbours
_LOWEST = 4  # rows of cells that a picture needs to be made out


class ModelRows(PictureGrid):
    """A row of pictures for each model, as many rows as are large enough to be looked at."""

    models = 1

    def wanted_shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return six columns and the most rows in which pictures still have half of the size that the width allows."""
        aspect = self._terminal.cell_height / self._terminal.cell_width
        cell_width = max(4, (width + 1) // COLUMNS - 1)
        square = cell_width / aspect
        rows = max(1, min(self.models, int(height / (max(_LOWEST, 0.55 * square) + self._caption_lines))))
        picture_height = max(2, min(height // rows - self._caption_lines, round(square * 1.1)))
        return COLUMNS, rows, cell_width, picture_height


class SideBySide(ModalScreen[str]):
    """Shows what several models find for one query; the result is the model to go on with, or nothing.

    Args:
        terminal: how to draw.
        pictures: thumbnails.
        asks: the engine.
        gallery: the dataset.
        models: what the engine knows the models by.
        image_id: the first query.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "step(1)", "Next", show=False, tooltip="next image as the query", id="side_next"),
        Binding("p", "step(-1)", "Previous", show=False, tooltip="previous image as the query", id="side_previous"),
        Binding("s", "sort", "Sort", show=False, tooltip="the row with the most right first", id="side_sort"),
        Binding("m", "use", "Use this model", show=False, tooltip="go on with this row's model", id="side_use"),
        Binding("escape,q,c", "dismiss('')", "Back", show=False, tooltip="leave", id="side_leave"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        pictures: Pictures,
        asks: Asks,
        gallery: Gallery,
        models: tuple[str, ...],
        image_id: str,
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._pictures = pictures
        self._asks = asks
        self._gallery = gallery
        self._models = models
        self.image_id = image_id
        self._found: QueryResult | None = None
        self._first = 0  # row of the page's first model
        self._sorted = False
        self._generation = 0

    def compose(self) -> ComposeResult:
        """Lay the rows below the query's name."""
        with Vertical(id="side-by-side"):
            yield Static("", id="side-head", markup=False)
            grid = ModelRows(self._terminal, caption_lines=2, id="side-rows")
            grid.models = len(self._models)
            yield grid
            yield Static(
                "Enter: that picture as the query. n p: next, previous. s: best row first. m: go on with this model. "
                "PgDn: more models. Esc leaves.",
                classes="hint",
                markup=False,
            )

    def on_mount(self) -> None:
        """Ask for the first query."""
        self._ask(self.image_id)

    def _ask(self, image_id: str) -> None:
        self.image_id = image_id
        self.say(f"Searching for {image_id} ...")
        spec, models = self._gallery.spec, self._models
        self._asks.ask(lambda ticket: SearchMany(ticket, spec, models, image_id), partial(self._take, image_id))

    def _take(self, image_id: str, event: Event) -> None:
        if image_id != self.image_id or not self.is_mounted:
            return  # the answer to a query that nobody looks at any more
        match event:
            case Found():
                self._found = event.result
                self._show()
            case Failed():
                self.say(str(event.error))
            case Died():
                self.say(f"{event.error} n and p search again.")

    def say(self, text: str) -> None:
        """Show a line above the rows: what is going on, or why there is nothing."""
        if self.is_mounted:
            self.query_one("#side-head", Static).update(printable(text), layout=False)

    @property
    def _results(self) -> Sequence[ModelResult]:
        if self._found is None:
            return ()
        if not self._sorted:
            return self._found.results
        return sorted(self._found.results, key=lambda result: -self._right(result))

    def _right(self, result: ModelResult) -> int:
        label = self._found.query.label if self._found else None
        return sum(label is not None and neighbour.label == label for neighbour in result.neighbours)

    def _show(self) -> None:
        found, grid = self._found, self.query_one(ModelRows)
        if found is None or not grid.capacity:
            return
        self._generation += 1
        query = found.query
        more = (
            f"  models {self._first + 1} to {min(self._first + grid.rows, len(self._results))} of {len(self._results)}"
        )
        self.query_one("#side-head", Static).update(
            Content.assemble(
                (cut_front(query.image_id, 60), "bold"),
                (f"  {cut(query.label, 40)}" if query.label else "", "$accent"),
                (more if len(self._results) > grid.rows else "", MUTED),
            ),
            layout=False,
        )
        shown = self._results[self._first : self._first + grid.rows]
        grid.begin_page(len(shown) * COLUMNS)
        for row, result in enumerate(shown):
            self._fill(row * COLUMNS, query.image_id, self._row_caption(result))
            for column in range(1, COLUMNS):
                if column <= len(result.neighbours):
                    neighbour = result.neighbours[column - 1]
                    self._fill(row * COLUMNS + column, neighbour.image_id, self._caption(neighbour))
                else:
                    grid.fill(row * COLUMNS + column, None, Content(""))
        self._mark_same()

    def _fill(self, cell: int, image_id: str, caption: Content) -> None:
        generation, grid = self._generation, self.query_one(ModelRows)

        def made(picture: Image | str) -> None:
            if generation == self._generation and self.is_mounted:
                grid.fill(cell, picture, caption)

        self._pictures.get(self._gallery.spec, image_id, made)

    def _row_caption(self, result: ModelResult) -> Content:
        width = max(4, self.query_one(ModelRows).caption_width)
        right = ""
        if self._found is not None and self._found.query.label is not None:
            right = f"{self._right(result)} of {len(result.neighbours)} right"
        return Content("\n").join([Content.styled(cut_front(result.model, width), "bold $primary"), Content(right)])

    def _caption(self, neighbour: Neighbour) -> Content:
        width = max(4, self.query_one(ModelRows).caption_width)
        unusual = percentile(neighbour.percentile)
        score = f"{neighbour.score:.3f}" + (f" {unusual}" if unusual and width >= len(unusual) + 10 else "")
        line = Content.assemble((f"{neighbour.rank} ", "bold"), score)
        label = self._found.query.label if self._found else None
        if label is not None and neighbour.label is not None:
            right = neighbour.label == label
            line = Content.assemble(line, (" ✓", "bold $text-success") if right else (" ✗", "bold $text-error"))
        name = cut_front(neighbour.label or PurePosixPath(neighbour.image_id).name, width)
        return Content("\n").join([line, Content.styled(name, MUTED)])

    def _at(self, cell: int) -> tuple[ModelResult, str] | None:
        """Return the model and the image of a cell."""
        row, column = divmod(cell, COLUMNS)
        results = self._results[self._first :]
        if row >= len(results) or column > len(results[row].neighbours):
            return None
        return results[row], (self.image_id if column == 0 else results[row].neighbours[column - 1].image_id)

    def _mark_same(self) -> None:
        """Mark the captions of the picture under the cursor in all rows."""
        grid = self.query_one(ModelRows)
        under = self._at(grid.cursor)
        for number, cell in enumerate(grid.cells):
            there = self._at(number)
            same = under is not None and there is not None and number % COLUMNS > 0 and there[1] == under[1]
            cell.caption.set_class(same, "same")

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        grid = self.query_one(ModelRows)
        grid.focus()
        self.watch(grid, "cursor", self._mark_same, init=False)
        self._show()

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        under = self._at(event.index)
        if under is not None and under[1] != self.image_id:
            self._ask(under[1])

    @on(PictureGrid.Left)
    def _turn(self, event: PictureGrid.Left) -> None:
        event.stop()
        rows = max(1, self.query_one(ModelRows).rows)
        last = max(0, (len(self._results) - 1) // rows * rows)
        first = (last if event.pages > 0 else 0) if event.to_end else self._first + event.pages * rows
        if 0 <= first <= last and first != self._first:
            self._first = first
            self._show()

    def action_step(self, step: int) -> None:
        """Go to the next or the previous image of the dataset."""
        position = self._gallery.position_of[self.image_id] + step
        self._ask(self._gallery.image_ids[position % len(self._gallery)])

    def action_sort(self) -> None:
        """Put the row with the most right neighbours first, or go back to the order of the models."""
        self._sorted = not self._sorted
        self._first = 0
        self._show()

    def action_use(self) -> None:
        """Leave, and go on with the model under the cursor."""
        under = self._at(self.query_one(ModelRows).cursor)
        if under is not None:
            self.dismiss(under[0].model)
