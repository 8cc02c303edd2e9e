"""Labels and how many images have them: any number of labels, of which only those seen cost anything."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from visexplore.core.text import cell_width, cut_front


class LabelList(ScrollView, can_focus=True):
    """A list with a cursor: the first row stands for all images.

    Not a DataTable: that one looks at all its rows whenever it is painted, 0.2 s with 20,000 labels.
    """

    DEFAULT_CSS = """
    LabelList { scrollbar-size: 1 1; overflow-x: hidden; }
    LabelList > .label-list--cursor { background: $primary 25%; }
    LabelList:focus > .label-list--cursor { background: $primary; color: $text; text-style: bold; }
    LabelList > .label-list--count { color: $foreground 65%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"label-list--cursor", "label-list--count"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="the label above", id="label_up"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="the label below", id="label_down"),
        Binding("pageup", "turn(-1)", "Page up", show=False, tooltip="a page of labels back", id="labels_back"),
        Binding("pagedown", "turn(1)", "Page down", show=False, tooltip="a page of labels on", id="labels_on"),
        Binding("home", "end(-1)", "First", show=False, tooltip="all labels", id="labels_first"),
        Binding("end", "end(1)", "Last", show=False, tooltip="the last label", id="labels_last"),
        Binding("enter", "choose", "Choose", show=False, tooltip="list the images of this label", id="choose_label"),
    ]

    cursor = reactive(0)
    """Row that the cursor is on."""

    class Chosen(Message):
        """A label was chosen; None means all images."""

        def __init__(self, label: str | None) -> None:
            super().__init__()
            self.label = label

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._rows: list[tuple[str | None, int]] = []

    def show(self, images: int, label_counts: list[tuple[str, int]]) -> None:
        """List all `images` and the labels with their numbers of images."""
        self._rows = [(None, images), *label_counts]
        self.virtual_size = Size(0, len(self._rows))
        self.cursor = 0
        self.scroll_home(animate=False)
        self.refresh()

    def go_to(self, label: str) -> None:
        """Put the cursor on a label."""
        self.cursor = next((row for row, (name, _) in enumerate(self._rows) if name == label), 0)

    def render_line(self, y: int) -> Strip:
        """Return one row of what is seen."""
        width, row = self.scrollable_content_region.width, y + self.scroll_offset.y
        if row >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        label, images = self._rows[row]
        number = f" {images:,}"
        name = " All" if label is None else f" {cut_front(label, max(1, width - len(number) - 1))}"
        space = " " * (width - cell_width(name) - len(number))
        if row == self.cursor:
            style = counts = self.get_component_rich_style("label-list--cursor")
        else:
            style, counts = self.rich_style, self.get_component_rich_style("label-list--count")
        return Strip([Segment(name + space, style), Segment(number, counts)], width)

    def validate_cursor(self, row: int) -> int:
        """Keep the cursor in the list."""
        return max(0, min(row, len(self._rows) - 1))

    def watch_cursor(self) -> None:
        """Keep the cursor in sight."""
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self.cursor += rows

    def action_turn(self, pages: int) -> None:
        """Move the cursor by pages."""
        self.cursor += pages * max(1, self.scrollable_content_region.height - 1)

    def action_end(self, direction: int) -> None:
        """Move the cursor to the first or the last row."""
        self.cursor = len(self._rows) if direction > 0 else 0

    def action_choose(self) -> None:
        """Choose the label under the cursor."""
        if self._rows:
            self.post_message(self.Chosen(self._rows[self.cursor][0]))

    def on_click(self, event: events.Click) -> None:
        """Choose the label that was clicked."""
        row = event.y + self.scroll_offset.y
        if row < len(self._rows):
            self.cursor = row
            self.action_choose()
