"""The dataset browser: labels with counts, a page of thumbnails, and what is embedded under which model."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input, Static

from visexplore.core.messages import CacheState
from visexplore.core.text import count, cut, printable
from visexplore.tui.gallery import Gallery
from visexplore.tui.messages import ImageChosen
from visexplore.tui.panels.panel import Panel
from visexplore.tui.pictures import Pictures
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture_grid import PictureGrid

if TYPE_CHECKING:
    from PIL.Image import Image


class DatasetPanel(Panel):
    """Shows a dataset page by page; Enter makes a picture the query."""

    PARTS = ("#thumbnails", "#labels")

    def __init__(self, terminal: Terminal, pictures: Pictures) -> None:
        super().__init__(id="dataset")
        self.border_title = "2 Images"
        self._terminal = terminal
        self._pictures = pictures
        self._gallery: Gallery | None = None
        self._shown: list[int] = []
        self._label: str | None = None
        self._first = 0
        self._page_is_shown = False

    def compose(self) -> ComposeResult:
        """Lay the cache states over the labels and the thumbnails."""
        yield Input(placeholder="filter: words of file names", id="image-filter", select_on_focus=False)
        yield Static("Opening the dataset ...", id="cache-states", markup=False)
        yield Static("", id="page", markup=False)
        with Container(id="browser"):
            yield LabelList(id="labels")
            yield PictureGrid(self._terminal, caption_lines=1, id="thumbnails")

    def on_mount(self) -> None:
        """Keep the field's cursor from blinking."""
        self.query_one("#image-filter", Input).cursor_blink = False

    def on_resize(self, event: events.Resize) -> None:
        """Put the labels beside the thumbnails where there is room, else above."""
        self.set_class(event.size.width >= 66, "beside")

    def begin_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#image-filter", Input)
        field.add_class("shown")
        field.focus()

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw the pictures in another way."""
        self._terminal = terminal
        self.query_one(PictureGrid).set_terminal(terminal)

    def show_gallery(self, gallery: Gallery) -> None:
        """Show another dataset, or the same one listed afresh."""
        known, self._gallery = self._gallery, gallery
        if known is not None and known.lists_the_same_as(gallery):
            self._page_is_shown = False  # its pictures may have got lost with the engine
            self._go_to(self._first + self.query_one(PictureGrid).cursor)
            return
        self.border_title = Content(f"2 Images: {cut(gallery.title, 30)}")
        labels = self.query_one(LabelList)
        labels.set_class(bool(gallery.labels), "shown")
        labels.show(len(gallery), gallery.label_counts)
        self._label = None
        self._show(gallery.positions(None, self.query_one("#image-filter", Input).value))

    def show_problem(self, text: str) -> None:
        """Say why there is no dataset."""
        self.query_one("#cache-states", Static).update(Content.styled(text, "$text-error"))

    def show_states(self, states: dict[str, CacheState], model: str) -> None:
        """Show under which models how much is embedded."""
        if self._gallery is None:
            return
        parts = []
        for state in sorted(states.values(), key=lambda state: state.model != model):
            whole = state.embedded + state.failed >= state.total
            amount = "all" if whole and not state.failed else f"{state.embedded:,}/{state.total:,}"
            bad = f" ({state.failed:,} unreadable)" if state.failed else ""
            style = "bold" if state.model == model else ""
            parts.append(
                Content.assemble(
                    (cut(state.model, 40), style), (f" {amount}{bad}", "$text-success" if whole else "$text-warning")
                )
            )
        embedded = Content(", ").join(parts) if parts else Content.styled("nothing yet: press e", MUTED)
        problems = count(len(self._gallery.problems), "problem") + ". " if self._gallery.problems else ""
        self.query_one("#cache-states", Static).update(
            Content.assemble((problems, "$text-warning"), ("embedded: ", MUTED), embedded)
        )

    @property
    def label(self) -> str | None:
        """Whose images are listed; None for all."""
        return self._label

    @property
    def words(self) -> str:
        """The filter."""
        return self.query_one("#image-filter", Input).value

    def browse(self, label: str | None, words: str) -> None:
        """List the images of a label, if there still is one of that name, whose ids have the words of a filter."""
        if self._gallery is None:
            return
        if label is not None and label in self._gallery.labels:
            self._label = label
            self.query_one(LabelList).go_to(label)
        field = self.query_one("#image-filter", Input)
        with field.prevent(Input.Changed):
            field.value = printable(words)
        field.set_class(bool(words), "shown")
        self._show(self._gallery.positions(self._label, words))

    def show_query(self, position: int, *, even_if_browsing: bool = False) -> None:
        """Turn to the page with the query, unless the cursor of a user who browses would be moved."""
        grid = self.query_one(PictureGrid)
        order = bisect_left(self._shown, position)
        if (even_if_browsing or not grid.has_focus) and order < len(self._shown) and self._shown[order] == position:
            self._go_to(order)

    def reveal(self, position: int) -> None:
        """Turn to the page with an image and put the cursor on it; a filter that hides it is given up."""
        if self._gallery is None:
            return
        if position not in self._shown:
            field = self.query_one("#image-filter", Input)
            with field.prevent(Input.Changed):
                field.value = ""
            field.remove_class("shown")
            self._label = None
            self._show(self._gallery.positions(None, ""))
        self._go_to(bisect_left(self._shown, position))

    def _show(self, positions: list[int]) -> None:
        self._shown = positions
        self._first = 0
        self._page_is_shown = False
        self.query_one(PictureGrid).cursor = 0
        self._show_page()

    def _go_to(self, order: int) -> None:
        """Show the page that has the picture at `order` of what is shown, the cursor on it."""
        grid = self.query_one(PictureGrid)
        order = max(0, min(order, len(self._shown) - 1))
        if not grid.capacity:  # not laid out yet: remember
            self._first, grid.cursor = order, 0
            return
        first = order - order % grid.capacity
        if first != self._first or not self._page_is_shown:
            self._first = first
            self._show_page()
        grid.cursor = order - first

    def _show_page(self) -> None:
        grid = self.query_one(PictureGrid)
        if self._gallery is None or not grid.capacity:
            return
        self._page_is_shown = True
        self._pictures.forget_waiting()
        page = self._shown[self._first : self._first + grid.capacity]
        pages = max(1, -(-len(self._shown) // grid.capacity))
        place = f"{count(len(self._shown), 'image')}, page {self._first // grid.capacity + 1} of {pages}"
        self.border_subtitle = place
        self.query_one("#page", Static).update(Content.styled(place, MUTED), layout=False)
        grid.begin_page(len(page))
        for index, position in enumerate(page):
            self._ask(grid, index, position)

    def _ask(self, grid: PictureGrid, index: int, position: int) -> None:
        assert self._gallery is not None
        gallery, image_id, first = self._gallery, self._gallery.image_ids[position], self._first
        caption = Content.styled(cut(PurePosixPath(image_id).name, 18), MUTED)

        def made(picture: Image | str) -> None:
            if (
                self._gallery is gallery
                and self._first == first
                and position in self._shown[first : first + grid.capacity]
            ):
                grid.fill(index, picture, caption)

        self._pictures.get(gallery.spec, image_id, made)

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        grid = self.query_one(PictureGrid)
        self._page_is_shown = False
        self._go_to(self._first + grid.cursor)

    @on(PictureGrid.Left)
    def _turn(self, event: PictureGrid.Left) -> None:
        grid = event.grid
        if event.to_end:
            self._go_to(0 if event.pages < 0 else len(self._shown) - 1)
            return
        order = self._first + event.pages * grid.capacity
        if event.pages < 0:
            order += grid.capacity - 1 if self._first else 0
        if 0 <= order < len(self._shown):
            self._go_to(order)

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        order = self._first + event.index
        if self._gallery is not None and order < len(self._shown):
            self.post_message(ImageChosen(self._gallery.image_ids[self._shown[order]]))

    @on(LabelList.Chosen)
    def _choose_label(self, event: LabelList.Chosen) -> None:
        event.stop()
        if self._gallery is None:
            return
        self._label = event.label
        self._show(self._gallery.positions(self._label, self.query_one("#image-filter", Input).value))
        self.query_one(PictureGrid).focus()

    @on(Input.Changed, "#image-filter")
    def _filter(self, event: Input.Changed) -> None:
        if self._gallery is not None:
            self._show(self._gallery.positions(self._label, event.value))

    @on(Input.Submitted, "#image-filter")
    def _filtered(self) -> None:
        self.query_one(PictureGrid).focus()

    def key_escape(self) -> None:
        """Leave the filter, and clear it."""
        field = self.query_one("#image-filter", Input)
        if field.has_class("shown"):
            field.value = ""
            field.remove_class("shown")
            self.query_one(PictureGrid).focus()
