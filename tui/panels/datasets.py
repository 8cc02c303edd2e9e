"""The dataset browser: labels with counts, a page of thumbnails, and what is embedded under which model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from visexplore.core.messages import CacheState
from visexplore.core.text import count, cut, cut_front, printable
from visexplore.tui.embedded import embedded_words
from visexplore.tui.gallery import Gallery
from visexplore.tui.image_filter import ImageFilter, parse
from visexplore.tui.label_tree import LabelTree
from visexplore.tui.marks import Marks
from visexplore.tui.messages import ImageChosen, MarksChanged
from visexplore.tui.panels.panel import Panel
from visexplore.tui.pictures import Pictures
from visexplore.tui.slices import in_slices
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture_grid import PictureGrid

if TYPE_CHECKING:
    from PIL.Image import Image

_LATE = 0.2  # seconds after which a picture of another page is taken away, its successor not being there yet
_IDLE = 0.4  # seconds of rest after which the next page's pictures are made
_BESIDE_FROM = 66  # columns from which there is room for the labels beside the thumbnails
_LABEL_ROWS = 7


class DatasetPanel(Panel):
    """Shows a dataset page by page; Enter makes a picture the query."""

    PARTS = ("#thumbnails", "#labels")

    def __init__(self, terminal: Terminal, pictures: Pictures) -> None:
        super().__init__(id="dataset")
        self.border_title = "2 Images"
        self._terminal = terminal
        self._pictures = pictures
        self._gallery: Gallery | None = None
        self._shown: Sequence[int] = ()
        self._found: tuple[ImageFilter, Sequence[int]] = (ImageFilter(), ())  # the last filter, and what meets it
        self._counted: Sequence[int] | None = None  # the images that the list of labels has the numbers of
        self._label: str | None = None
        self._marks = Marks()
        self._only_marked = False
        self._first = 0
        self._page_is_shown = False
        self._page = 0  # how many were shown before
        self._ids: list[str] = []  # of the images on the page
        self._marked_cells: set[int] = set()
        self._missing: set[int] = set()  # cells whose pictures have not come yet
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay the cache states over the labels and the thumbnails."""
        yield Input(
            placeholder="words of names or labels, label:mug, name:12, -word",
            id="image-filter",
            select_on_focus=False,
        )
        yield Static("Opening the dataset ...", id="cache-states", markup=False)
        yield Static("", id="page", markup=False)
        with Container(id="browser"):
            # Seen from the start: most datasets have labels, and then the thumbnails need not make room for them.
            yield LabelList(id="labels", classes="shown")
            yield PictureGrid(self._terminal, caption_lines=1, id="thumbnails")

    def on_mount(self) -> None:
        """Keep the field's cursor from blinking."""
        self.query_one("#image-filter", Input).cursor_blink = False

    def on_resize(self, event: events.Resize) -> None:
        """Put the labels beside the thumbnails where there is room, else above."""
        self.set_class(event.size.width >= _BESIDE_FROM, "beside")
        self._fit_labels()

    def _fit_labels(self) -> None:
        """Give labels above the thumbnails a fourth of the height, if there are so many.

        Not as many rows as are unfolded: pictures would move whenever one is folded.
        """
        rows = max(_LABEL_ROWS, self.size.height // 4)
        if self._gallery is not None and len(self._gallery.labels) < rows:
            rows = min(rows, len(LabelTree((label, 1) for label in self._gallery.labels)) + 1)
        self.query_one(LabelList).styles.height = None if self.has_class("beside") else rows

    def begin_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#image-filter", Input)
        self._show_filter(shown=True)
        field.focus()

    def _show_filter(self, *, shown: bool) -> None:
        """Show or hide the filter in the place of a line on what is embedded: the pictures stay where they are."""
        self.query_one("#image-filter").set_class(shown, "shown")
        self.query_one("#cache-states").set_class(shown, "filtering")

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw the pictures in another way."""
        self._terminal = terminal
        self.query_one(PictureGrid).set_terminal(terminal)

    # ---- what others ask

    @property
    def shown(self) -> Sequence[int]:
        """Positions in the dataset of the images that are shown page by page, in ascending order."""
        return self._shown

    @property
    def cursor(self) -> int:
        """Which of `shown` the cursor is on."""
        return self._first + self.query_one(PictureGrid).cursor

    @property
    def under_cursor(self) -> str | None:
        """The image under the cursor."""
        if self._gallery is None or not 0 <= self.cursor < len(self._shown):
            return None
        return self._gallery.image_ids[self._shown[self.cursor]]

    @property
    def marks(self) -> tuple[str, ...]:
        """The marked images, in the order in which they were marked."""
        return self._marks.ids

    def set_marks(self, image_ids: Iterable[str]) -> None:
        """Mark these images and no others."""
        self._marks.replace(image_ids)
        self._marks_changed()

    # ---- the dataset

    def show_gallery(self, gallery: Gallery) -> None:
        """Show another dataset, or the same one listed afresh."""
        known, under = self._gallery, self.under_cursor
        self._gallery = gallery
        if known is not None and known.lists_the_same_as(gallery):
            self._page_is_shown = False  # its pictures may have got lost with the engine
            self.go_to(self.cursor)
            return
        self.border_title = Content(f"2 Images: {cut(gallery.title, 30)}")
        labels = self.query_one(LabelList)
        labels.set_class(bool(gallery.labels), "shown")
        if known is None or known.spec != gallery.spec:
            under, self._label, self._only_marked = None, None, False
            labels.reset()
            if self._marks:
                self.set_marks(())
        self._fit_labels()
        self._found = (ImageFilter(), range(len(gallery)))
        self._page_is_shown = False
        self._list(under)

    def show_problem(self, text: str) -> None:
        """Say why there is no dataset."""
        self.query_one("#cache-states", Static).update(Content.styled(text, "$text-error"))

    def show_states(self, states: dict[str, CacheState], model: str, *, embedding: bool = False) -> None:
        """Show under which models how much is embedded, and what to press if something is missing."""
        if self._gallery is not None:
            words = embedded_words(states, model, len(self._gallery), len(self._gallery.problems), embedding=embedding)
            self.query_one("#cache-states", Static).update(words)

    @property
    def label(self) -> str | None:
        """Whose images are listed; None for all."""
        return self._label

    @property
    def words(self) -> str:
        """The filter."""
        return self.query_one("#image-filter", Input).value

    def browse(self, label: str | None, words: str, under: str = "") -> None:
        """List the images of a label, if there still is one of that name, that meet a filter; the cursor on `under`."""
        if self._gallery is None:
            return
        inside = f"{label}/"
        known = label is not None and any(name == label or name.startswith(inside) for name in self._gallery.labels)
        self._label = label if known else None
        self.query_one(LabelList).mark_chosen(self._label)
        field = self.query_one("#image-filter", Input)
        with field.prevent(Input.Changed):
            field.value = printable(words)
        self._show_filter(shown=bool(words))
        self._list(under or None)

    def show_query(self, position: int) -> None:
        """Turn to the page with the query, unless the cursor of a user who browses would be moved."""
        if not self.query_one(PictureGrid).has_focus:
            self.go_to_position(position)

    def reveal(self, position: int) -> None:
        """Turn to the page with an image and put the cursor on it; what hides it is given up: filter, label, marks."""
        gallery = self._gallery
        if gallery is None:
            return
        order = bisect_left(self._shown, position)
        if order < len(self._shown) and self._shown[order] == position:
            self.go_to(order)
        else:
            self._only_marked = False
            self.browse(None, "", gallery.image_ids[position])

    def go_to_position(self, position: int) -> None:
        """Put the cursor on an image by its position in the dataset, if it is among those shown."""
        order = bisect_left(self._shown, position)
        if order < len(self._shown) and self._shown[order] == position:
            self.go_to(order)

    # ---- which images are shown

    @work(exclusive=True, group="listing")
    async def _list(self, under: str | None = None) -> None:
        """Find the images that meet filter, label and marks, and show them: the first, or those around `under`."""
        gallery = self._gallery
        if gallery is None:
            return
        wanted = parse(self.query_one("#image-filter", Input).value)
        before, found = self._found
        among: Sequence[int] = found if before.follows_from(wanted) else range(len(gallery))
        if self._only_marked:
            places = (gallery.position_of.get(image_id) for image_id in self._marks.ids)
            among = sorted(place for place in places if place is not None)
        matches = await in_slices(gallery.matching(wanted, among)) if wanted.words else among
        if not self._only_marked:
            self._found = (wanted, matches)
        shown = matches if self._label is None else await in_slices(gallery.under_label(self._label, matches))
        self._show(shown, gallery.position_of.get(under) if under else None)
        if gallery.labels and matches is not self._counted:
            counts = await in_slices(gallery.label_counts(matches))
            self.query_one(LabelList).show(len(matches), await in_slices(LabelTree.grow(counts)))
            self._counted = matches
        await in_slices(gallery.position_of.prepare())

    def _show(self, positions: Sequence[int], under: int | None) -> None:
        self._shown = positions
        self._first = 0
        self._page_is_shown = False
        self.query_one(PictureGrid).cursor = 0
        if under is not None:
            self.go_to_position(under)
        if not self._page_is_shown:
            self._show_page()

    @on(LabelList.Chosen)
    def _choose_label(self, event: LabelList.Chosen) -> None:
        event.stop()
        self._label = event.label
        self.query_one(LabelList).mark_chosen(event.label)
        self._list()
        self.screen.set_focus(self.query_one(PictureGrid))

    @on(Input.Changed, "#image-filter")
    def _filter(self) -> None:
        field = self.query_one("#image-filter", Input)
        self._list(None if field.value else self.under_cursor)

    @on(Input.Submitted, "#image-filter")
    def _filtered(self) -> None:
        self.query_one(PictureGrid).focus()

    def key_escape(self) -> None:
        """Leave the filter, and clear it."""
        field = self.query_one("#image-filter", Input)
        if field.has_class("shown"):
            field.value = ""
            self._show_filter(shown=False)
            self.query_one(PictureGrid).focus()

    # ---- the page

    def go_to(self, order: int) -> None:
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
        self._page += 1
        self._pictures.forget_waiting(self)
        positions = self._shown[self._first : self._first + grid.capacity]
        self._ids = [self._gallery.image_ids[position] for position in positions]
        self._marked_cells = {cell for cell, image_id in enumerate(self._ids) if image_id in self._marks}
        self._missing = set(range(len(self._ids)))
        self._show_place()
        grid.begin_page(len(self._ids))
        self._wait(_LATE, self._show_missing)
        for cell, image_id in enumerate(self._ids):
            self._ask(cell, image_id)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(seconds, then)

    def _ask(self, cell: int, image_id: str) -> None:
        assert self._gallery is not None
        page = self._page

        def made(picture: Image | str) -> None:
            if page != self._page:
                return
            self.query_one(PictureGrid).fill(cell, picture, self._caption(cell))
            self._missing.discard(cell)
            if not self._missing:
                self._wait(_IDLE, self._fetch_next_page)

        self._pictures.get(self._gallery.spec, image_id, made, self)

    def _show_missing(self) -> None:
        """Take pictures away that are of another page: what they are called is told by then."""
        grid = self.query_one(PictureGrid)
        for cell in self._missing:
            grid.fill(cell, None, self._caption(cell))

    def _fetch_next_page(self) -> None:
        gallery, size = self._gallery, len(self._ids)
        if gallery is not None:
            positions = self._shown[self._first + size : self._first + 2 * size]
            self._pictures.fetch_soon(gallery.spec, [gallery.image_ids[position] for position in positions])

    def _caption(self, cell: int) -> Content:
        """Return the end of a file's name, which tells most, with a star before it if the image is marked."""
        width = max(4, self.query_one(PictureGrid).caption_width)
        name = PurePosixPath(self._ids[cell]).name
        if cell not in self._marked_cells:
            return Content.styled(cut_front(name, width), MUTED)
        return Content.assemble(("* ", "bold $accent"), (cut_front(name, width - 2), "bold"))

    def _show_place(self) -> None:
        """Say what is shown: how many images, which page, and of what they were chosen."""
        capacity = max(1, self.query_one(PictureGrid).capacity)
        pages = max(1, -(-len(self._shown) // capacity))
        place = f"{count(len(self._shown), 'image')}, page {self._first // capacity + 1} of {pages}"
        facts = [] if self._label is None else [f"label {cut_front(self._label, 24)}"]
        facts += ["only the marked"] if self._only_marked else []
        facts += [f"{len(self._marks):,} marked"] if self._marks and not self._only_marked else []
        self.query_one("#page", Static).update(Content.styled(", ".join([place, *facts]), MUTED), layout=False)

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        self._page_is_shown = False
        self.go_to(self.cursor)

    @on(PictureGrid.Left)
    def _turn(self, event: PictureGrid.Left) -> None:
        grid = event.grid
        if event.to_end:
            self.go_to(0 if event.pages < 0 else len(self._shown) - 1)
            return
        order = self._first + event.pages * grid.capacity
        if event.pages < 0:
            order += grid.capacity - 1 if self._first else 0
        if 0 <= order < len(self._shown):
            self.go_to(order)

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        if event.index < len(self._ids):
            self.post_message(ImageChosen(self._ids[event.index]))

    # ---- marks

    def toggle_mark(self, image_id: str) -> None:
        """Mark an image, or take its mark away; where only the marked are shown it stays until they are listed anew."""
        self._marks.toggle(image_id)
        self._marks_changed()

    def show_only_marked(self) -> None:
        """Show the marked images alone, or all again."""
        if not self._marks and not self._only_marked:
            self.notify("No image is marked: space marks the one under the cursor.", markup=False)
            return
        self._only_marked = not self._only_marked
        self._list(self.under_cursor)

    def unmark_all(self) -> None:
        """Take all marks away, or bring those back that were just taken away."""
        unmarked = len(self._marks)
        if unmarked:
            self._marks.clear()
            self.notify(f"{count(unmarked, 'image')} unmarked: u brings the marks back.", markup=False)
        elif not self._marks.bring_back():
            self.notify("No image is marked.", markup=False)
            return
        self._marks_changed()

    def _marks_changed(self) -> None:
        grid = self.query_one(PictureGrid)
        before = self._marked_cells
        self._marked_cells = {cell for cell, image_id in enumerate(self._ids) if image_id in self._marks}
        for cell in before ^ self._marked_cells:
            grid.set_caption(cell, self._caption(cell))
        self._show_place()
        self.post_message(MarksChanged(self._marks.ids))
