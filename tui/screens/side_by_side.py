"""The same query under several models: a row each, with the same picture marked in all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.engine import Died, Event, Failed, Found, SearchMany
from visexplore.core.messages import ModelResult, Neighbour, Query, QueryPart, QueryResult
from visexplore.core.query_mix import query_words
from visexplore.core.text import cell_width, cut_front, percentile, printable
from visexplore.tui.asks import Asks
from visexplore.tui.gallery import Gallery
from visexplore.tui.pictures import Pictures, ask_picture
from visexplore.tui.row_order import RowOrder, Sort, mean_percentile, right_of
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Words
from visexplore.tui.widgets.picture_grid import PictureGrid
from visexplore.tui.widgets.picture_rows import NEIGHBOURS, PictureRows, QuerySide

if TYPE_CHECKING:
    from PIL.Image import Image

_QUERY_PIXELS, _ZOOM_PIXELS = 512, 1400
_SHORTEST_NAME = 12  # cells that are worth a name
_HINT = "Enter: query it. n p: next. s: sort. Space: pin. z: zoom. m: use model. Esc"
_LONG_HINT = (
    "Enter: that picture as the query. n p: next, previous. s: sort. Space: pin the row. z: zoom. m: go on with this "
    "model. Esc leaves. =: in all rows."
)
PIN = "▌"
IN_ALL = "="


class SideBySide(ModalScreen[str]):
    """Shows what several models find for one query; the result is the model to go on with, or nothing.

    Args:
        terminal: how to draw.
        pictures: thumbnails.
        asks: the engine.
        gallery: the dataset.
        models: what the engine knows the models by.
        query: the first query.
        order: of the rows; changed by what the user chooses.
        outside_models: those of the models that can search with a text, or with a picture from outside, if the first
            query is one.
        place: in the dataset, where the query is none of its images.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "back", "Back", show=False, tooltip="leave", id="side_back"),
        Binding("n", "step(1)", "Next", show=False, tooltip="next query", id="side_next"),
        Binding("p", "step(-1)", "Previous", show=False, tooltip="previous query", id="side_previous"),
        Binding("s", "sort", "Sort", show=False, tooltip="sort the rows in another way", id="side_sort"),
        Binding("space", "pin", "Pin", show=False, tooltip="keep this row on top, or no longer", id="side_pin"),
        Binding("z", "zoom", "Zoom", show=False, tooltip="the query and a neighbour, large", id="side_zoom"),
        Binding("m", "use", "Use this model", show=False, tooltip="go on with this model", id="side_use"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        pictures: Pictures,
        asks: Asks,
        gallery: Gallery,
        models: tuple[str, ...],
        query: Query,
        order: RowOrder,
        *,
        outside_models: tuple[str, ...] = (),
        place: int = 0,
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._pictures = pictures
        self._asks = asks
        self._gallery = gallery
        self._models = models
        self._outside_models = outside_models
        self._order = order
        self._place = place
        self.query_asked = query
        self._found: QueryResult | None = None
        self._first = 0  # place of the page's first row, behind the pinned one
        self._generation = 0

    def compose(self) -> ComposeResult:
        """Lay the query beside the rows."""
        with Vertical(id="side-by-side"):
            yield Static("", id="side-head", markup=False)
            with Horizontal(id="side-body"):
                yield QuerySide(self._terminal, id="side-query")
                yield PictureRows(self._terminal, len(self._asked_models(self.query_asked)), id="side-rows")
            yield Static("", id="side-hint", classes="hint", markup=False)

    def on_resize(self, event: events.Resize) -> None:
        """Explain the keys at such length as there is room for."""
        long = event.size.width > len(_LONG_HINT) + 2
        self.query_one("#side-hint", Static).update(_LONG_HINT if long else _HINT)

    def on_mount(self) -> None:
        """Ask for what is shown first."""
        self._begin()

    def _begin(self) -> None:
        self._ask(self.query_asked)

    @property
    def _rows(self) -> PictureRows:
        return self.query_one(PictureRows)

    def _asked_models(self, query: Query) -> tuple[str, ...]:
        return self._models if query.is_stored else self._outside_models

    def _ask(self, query: Query) -> None:
        self.query_asked = query
        self._place = self._gallery.position_of.get(query.image_id, self._place)
        self.say(f"Searching for {query_words(query)} ...")
        spec, models = self._gallery.spec, self._asked_models(query)
        path = "" if query.image_id else query.path
        self._asks.ask(
            lambda ticket: SearchMany(
                ticket, spec, models, query.image_id, path, query.text, parts=query.parts, crop=query.crop
            ),
            partial(self._take, query),
        )

    def _ask_image(self, image_id: str) -> None:
        self._ask(Query(image_id=image_id))

    def _take(self, query: Query, event: Event) -> None:
        if query is not self.query_asked or not self.is_mounted:
            return  # the answer to a query that nobody looks at any more
        match event:
            case Found():
                self._found = event.result
                self._show_query()
                self._rows.want(len(event.result.results))
                self._show()
            case Failed():
                self.say(str(event.error))
            case Died():
                self.say(f"{event.error} n and p search again.")

    def say(self, text: str) -> None:
        """Show a line above the rows: what is going on, or why there is nothing."""
        if self.is_attached:
            self.query_one("#side-head", Static).update(printable(text), layout=False)

    # ---- the query

    def _show_query(self) -> None:
        """Show the query's picture, or its words, and what it is called."""
        query = self.query_asked
        side = self.query_one(QuerySide)

        def made(content: Image | Words | str) -> None:
            if query is self.query_asked and self.is_mounted:
                side.show(content)

        part = query.picture
        if part is None:
            side.show(Words(query_words(query)))
        elif part.is_stored:
            self._pictures.get(self._gallery.spec, part.image_id, made)
        else:
            ask_picture(self._asks, self._gallery.spec, part, _QUERY_PIXELS, made)
        label = printable(self._label) if self._label is not None else ""
        if query.parts:
            name = printable(query_words(query))
        else:
            name = "text" if query.text else printable(PurePosixPath(query.image_id or query.path).name)
        side.say(
            Content("\n").join(
                [Content.styled("QUERY", "bold $accent"), *[Content(label)] * bool(label), Content.styled(name, MUTED)]
            )
        )

    @property
    def _label(self) -> str | None:
        return self._found.query.label if self._found is not None else None

    # ---- the rows

    @property
    def _results(self) -> list[ModelResult]:
        """All rows, in the order of the user's choice."""
        return [] if self._found is None else self._order.arranged(self._found.results, self._label)

    @property
    def _pinned(self) -> int:
        """How many rows stay on top of every page: one or none."""
        results = self._results
        return int(bool(results) and results[0].model == self._order.pinned and self._rows.rows > 1)

    @property
    def _page(self) -> list[ModelResult]:
        """The rows that are on the screen."""
        results, kept = self._results, self._pinned
        first = kept + self._first
        return [*results[:kept], *results[first : first + self._rows.rows - kept]]

    def _show(self) -> None:
        grid = self._rows
        if self._found is None or not grid.capacity:
            return
        self._generation += 1
        page = self._page
        self._show_head(page)
        self._show_row_heads(page)
        in_all = self._in_all()
        grid.begin_page(len(page) * NEIGHBOURS)
        for row, result in enumerate(page):
            for column in range(NEIGHBOURS):
                cell = row * NEIGHBOURS + column
                if column < len(result.neighbours):
                    neighbour = result.neighbours[column]
                    self._fill(cell, neighbour.image_id, self._caption(neighbour, in_all))
                else:
                    grid.fill(cell, None, Content(""))
        self._mark_same()

    def _fill(self, cell: int, image_id: str, caption: Content) -> None:
        generation, grid = self._generation, self._rows

        def made(picture: Image | str) -> None:
            if generation == self._generation and self.is_mounted:
                grid.fill(cell, picture, caption)

        self._pictures.get(self._gallery.spec, image_id, made)

    def _where(self) -> str:
        """Return what the head says before the query's name."""
        return ""

    def _show_head(self, page: Sequence[ModelResult]) -> None:
        """Say what the query is, and what is shown of how many models in which order."""
        query, results = self.query_asked, self._results
        facts = []
        if len(page) < len(results):
            kept = self._pinned
            first = kept + self._first
            facts.append(f"models {first + 1} to {first + len(page) - kept} of {len(results)}, PgDn: more")
        if not query.is_stored and len(results) < len(self._models):
            facts.append(f"{len(results)} of {len(self._models)} models can search with this")
        if (sort := self._order.of(results, self._label)) is not Sort.MODELS:
            facts.append(sort.value)
        where = self._where()
        taken = sum(cell_width(part) + 2 for part in (where, *facts) if part)
        room = self._rows.size.width + self.query_one(QuerySide).size.width - taken
        # Below its picture it stands as well.
        name = cut_front(query_words(query), room) if room >= _SHORTEST_NAME else ""
        self.query_one("#side-head", Static).update(
            Content("  ").join(
                [
                    *[Content.styled(where, "bold $accent")] * bool(where),
                    *[Content.styled(name, "bold")] * bool(name),
                    *(Content.styled(fact, MUTED) for fact in facts),
                ]
            ),
            layout=False,
        )

    def _in_all(self) -> set[str]:
        """Return the pictures that all rows have, if there are several."""
        found = [{neighbour.image_id for neighbour in result.neighbours} for result in self._results]
        return set.intersection(*found) if len(found) > 1 else set()

    def _show_row_heads(self, page: Sequence[ModelResult]) -> None:
        grid, results = self._rows, self._results
        for row in range(grid.rows):
            grid.say(row, self._row_head(page[row], results) if row < len(page) else Content(""))

    def _row_head(self, result: ModelResult, results: Sequence[ModelResult]) -> Content:
        """Return a model's name and how its neighbours compare, at such length as there is room for."""
        is_pinned = result.model == self._order.pinned
        top = "pinned" if results[0].model == self._order.pinned else "first"
        ids = {neighbour.image_id for neighbour in result.neighbours}
        of = len(result.neighbours)
        facts: list[tuple[str, str]] = []
        if self._label is not None:
            right = right_of(result, self._label)
            facts.append((f"{right} of {of} right", f"{right}/{of} right"))
        if result is not results[0]:
            shared = len(ids & {neighbour.image_id for neighbour in results[0].neighbours})
            facts.append((f"{shared} of {of} as in the {top} row", f"{shared}/{of} as {top}"))
        if len(results) > 1:
            common = len(ids & self._in_all())
            facts.append((f"{common} of {of} in all rows", f"{common}/{of} in all"))
        mean = percentile(mean_percentile(result))
        if mean and self._order.of(results, self._label) is Sort.PERCENTILE:
            facts.append((f"mean percentile {mean}", f"mean {mean}"))
        name = f"{printable(result.model)}{'  pinned' if is_pinned else ''}"
        room = self._rows.row_width - 1
        words = next(
            (
                words
                for words in ("   ".join(fact[0] for fact in facts), "  ".join(fact[1] for fact in facts))
                if cell_width(name) + 3 + cell_width(words) <= room
            ),
            "  ".join(fact[1] for fact in facts),
        )
        name = cut_front(name, max(_SHORTEST_NAME, room - cell_width(words) - 3))
        return Content.assemble((PIN if is_pinned else " ", "$accent"), (name, "bold $primary"), f"   {words}")

    def _caption(self, neighbour: Neighbour, in_all: set[str]) -> Content:
        width = max(4, self._rows.caption_width)
        mark = f" {IN_ALL}" if neighbour.image_id in in_all else ""
        unusual = percentile(neighbour.percentile)
        fits = unusual and width >= len(unusual) + 12
        score = f"{neighbour.score:.3f}" + (f" {unusual}" if fits else "")
        line = Content.assemble((f"{neighbour.rank} ", "bold"), score)
        if self._label is not None and neighbour.label is not None:
            right = neighbour.label == self._label
            line = Content.assemble(line, (" ✓", "bold $text-success") if right else (" ✗", "bold $text-error"))
        line = Content.assemble(line, (mark, "bold $accent"))
        if self._rows.caption_lines == 1:
            return line
        name = cut_front(neighbour.label or PurePosixPath(neighbour.image_id).name, width)
        return Content("\n").join([line, Content.styled(name, MUTED)])

    def _at(self, cell: int) -> tuple[ModelResult, str] | None:
        """Return the model and the image of a cell; of a row that is too short for it the model alone."""
        row, page = cell // NEIGHBOURS, self._page
        return (page[row], _image_at(page, cell)) if row < len(page) else None

    def _mark_same(self) -> None:
        """Mark the captions of the picture under the cursor in all rows."""
        grid, page = self._rows, self._page
        under = _image_at(page, grid.cursor)
        for number, cell in enumerate(grid.cells):
            cell.caption.set_class(bool(under) and _image_at(page, number) == under, "same")

    # ---- keys and mouse

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        grid = self._rows
        grid.focus()
        self.watch(grid, "cursor", self._mark_same, init=False)
        self._first = 0
        self._show()

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        under = self._at(event.index)
        if under is not None and under[1] and under[1] != self.query_asked.image_id:
            self._ask_image(under[1])

    @on(PictureGrid.Left)
    def _turn(self, event: PictureGrid.Left) -> None:
        event.stop()
        kept = self._pinned
        rows = max(1, self._rows.rows - kept)
        last = max(0, (len(self._results) - kept - 1) // rows * rows)
        first = (last if event.pages > 0 else 0) if event.to_end else self._first + event.pages * rows
        if 0 <= first <= last and first != self._first:
            self._first = first
            self._show()

    def action_step(self, step: int) -> None:
        """Go to the next or the previous image of the dataset."""
        self._ask_image(self._gallery.image_ids[(self._place + step) % len(self._gallery)])

    def action_sort(self) -> None:
        """Sort the rows in another way."""
        if self._found is not None:
            self._order.sort_differently(self._found.results, self._label)
            self._first = 0
            self._show()

    def action_pin(self) -> None:
        """Keep the row under the cursor on top, or no longer."""
        under = self._at(self._rows.cursor)
        if under is not None:
            self._order.pin(under[0].model)
            self._first = 0
            self._rows.cursor %= NEIGHBOURS  # it went there
            self._show()

    def action_zoom(self) -> None:
        """Look at the query beside the neighbours of the row under the cursor, large."""
        under = self._at(self._rows.cursor)
        if under is None:
            return
        from visexplore.tui.screens.zoom import Subject, Zoom

        result, query = under[0], self.query_asked
        row, column = divmod(self._rows.cursor, NEIGHBOURS)
        subjects = [Subject(query.image_id, "Query", f"{self._label or ''}  {query_words(query)}".strip())]
        for neighbour in result.neighbours:
            title = f"{neighbour.rank}  {neighbour.score:.3f}  {cut_front(result.model, 40)}"
            subjects.append(
                Subject(neighbour.image_id, title, f"{neighbour.label or ''}  {neighbour.image_id}".strip())
            )

        def closed(subject: int | None) -> None:
            if subject:
                self._rows.cursor = row * NEIGHBOURS + subject - 1

        self.app.push_screen(Zoom(self._terminal, subjects, column + 1, self._load_large), closed)

    def _load_large(self, image_id: str, done: Callable[[Image | Words | str], None]) -> None:
        part = QueryPart(image_id=image_id) if image_id else self.query_asked.picture
        if part is None:
            self.call_later(done, Words(query_words(self.query_asked)))  # not before who asks is ready for an answer
        else:
            ask_picture(self._asks, self._gallery.spec, part, _ZOOM_PIXELS, done)

    def action_use(self) -> None:
        """Leave, and go on with the model under the cursor."""
        under = self._at(self._rows.cursor)
        if under is not None:
            self.dismiss(under[0].model)

    def action_back(self) -> None:
        """Leave."""
        self.dismiss("")


def _image_at(page: Sequence[ModelResult], cell: int) -> str:
    """Return the image in a cell; empty where there is none."""
    row, column = divmod(cell, NEIGHBOURS)
    neighbours = page[row].neighbours if row < len(page) else ()
    return neighbours[column].image_id if column < len(neighbours) else ""
