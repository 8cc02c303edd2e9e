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
from visexplore.tui.label_tree import LabelTree

_UNFOLDED_ROWS = 50
"""Nested labels are unfolded at first as deep as makes no more rows than these."""


class LabelList(ScrollView, can_focus=True):
    """A list with a cursor: the first row stands for all images. Labels with a `/` are nested, and fold.

    Not a DataTable or a Tree: those look at all their rows whenever they are painted, 0.2 s with 20,000 labels.
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
        Binding("left,h", "fold", "Fold", show=False, tooltip="fold a label, or go to the one around it", id="fold"),
        Binding("right,l", "unfold", "Unfold", show=False, tooltip="unfold a label, or go into it", id="unfold"),
    ]

    cursor = reactive(0)
    """Row that the cursor is on."""

    class Chosen(Message):
        """A label was chosen, with all that is nested in it; None means all images."""

        def __init__(self, label: str | None) -> None:
            super().__init__()
            self.label = label

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as Textual has it
        super().__init__(id=id, classes=classes)
        self._images = 0
        self._tree = LabelTree()
        self._unfolded_to = 0  # depth
        self._folded: dict[str, bool] = {}  # what was folded or unfolded by hand, by its path
        self._listed: list[int] = []  # of the rows, from the second on
        self._chosen: str | None = None
        self._is_filled = False

    def show(self, images: int, labels: LabelTree) -> None:
        """List all `images` and the labels with their numbers of images.

        The cursor stays on its label, and what is folded and chosen stays so, until `reset`.
        """
        under = self._path(self.cursor)
        self._images, self._tree, self._is_filled = images, labels, True
        self._unfolded_to = self._tree.depth_for(_UNFOLDED_ROWS)
        self._lay_out(under)

    def reset(self) -> None:
        """Begin at the top: labels of another dataset follow."""
        self._folded.clear()
        self._chosen = None
        self.cursor = 0
        self.scroll_home(animate=False)

    def mark_chosen(self, label: str | None) -> None:
        """Mark the row of the label whose images are shown."""
        self._chosen = label
        self.refresh()

    def _lay_out(self, under: str | None) -> None:
        """Find the rows, and put the cursor on a label, or where that is not seen on what it is inside of."""
        self._listed = self._tree.seen(self._folded, self._unfolded_to)
        self._scroll_over(len(self._listed) + 1)
        row = 0
        if under is not None:
            paths = self._tree.paths
            row = next((row for row, node in enumerate(self._listed, start=1) if paths[node] == under), 0)
        self.cursor = row
        self.refresh()

    def _scroll_over(self, rows: int) -> None:
        """Take so many rows for what is scrolled; the whole screen is laid out anew only if the bar comes or goes."""
        size = Size(0, rows)
        if (rows > self.scrollable_content_region.height) is not self.show_vertical_scrollbar:
            self.virtual_size = size
            return
        self.set_reactive(LabelList.virtual_size, size)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = rows
            self.scroll_to(y=min(self.scroll_offset.y, self.max_scroll_y), animate=False)

    def _path(self, row: int) -> str | None:
        """Return the path of a row, None of that of all images."""
        return self._tree.paths[self._listed[row - 1]] if 0 < row <= len(self._listed) else None

    def _is_folded(self, node: int) -> bool:
        return self._folded.get(self._tree.paths[node], self._tree.depths[node] >= self._unfolded_to)

    def render_line(self, y: int) -> Strip:
        """Return one row of what is seen."""
        width, row = self.scrollable_content_region.width, y + self.scroll_offset.y
        if row > len(self._listed) or not self._is_filled:
            return Strip.blank(width, self.rich_style)
        path = self._path(row)
        number = f" {self._images if path is None else self._tree.images[self._listed[row - 1]]:,}"
        lead = "▌" if path is not None and path == self._chosen else " "
        if path is None:
            name = "All"
        else:
            node = self._listed[row - 1]
            lead += self._indent(node)
            name = cut_front(self._tree.name(node), max(1, width - len(number) - len(lead)))
        space = " " * (width - len(lead) - cell_width(name) - len(number))
        if row == self.cursor:
            style = counts = self.get_component_rich_style("label-list--cursor")
        else:
            style, counts = self.rich_style, self.get_component_rich_style("label-list--count")
        return Strip([Segment(lead + name + space, style), Segment(number, counts)], width)

    def _indent(self, node: int) -> str:
        if self._tree.is_flat:
            return ""
        sign = "  " if not self._tree.folds(node) else "+ " if self._is_folded(node) else "- "
        return "  " * self._tree.depths[node] + sign

    def validate_cursor(self, row: int) -> int:
        """Keep the cursor in the list."""
        return max(0, min(row, len(self._listed)))

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
        self.cursor = len(self._listed) if direction > 0 else 0

    def action_fold(self) -> None:
        """Fold the label under the cursor, or go to the one that it is nested in."""
        path = self._path(self.cursor)
        if path is None:
            return
        node = self._listed[self.cursor - 1]
        if self._tree.folds(node) and not self._is_folded(node):
            self._fold(path, folded=True)
        elif self._tree.depths[node]:
            self.cursor = 1 + self._listed.index(self._around(node))

    def action_unfold(self) -> None:
        """Unfold the label under the cursor, or go to the first that is nested in it."""
        path = self._path(self.cursor)
        if path is None or not self._tree.folds(node := self._listed[self.cursor - 1]):
            return
        if self._is_folded(node):
            self._fold(path, folded=False)
        else:
            self.cursor += 1

    def _around(self, node: int) -> int:
        depth = self._tree.depths[node] - 1
        return next(before for before in range(node - 1, -1, -1) if self._tree.depths[before] == depth)

    def _fold(self, path: str, *, folded: bool) -> None:
        self._folded[path] = folded
        self._lay_out(path)

    def action_choose(self) -> None:
        """Choose the label under the cursor."""
        if self._is_filled:
            self.post_message(self.Chosen(self._path(self.cursor)))

    def on_click(self, event: events.Click) -> None:
        """Choose the label that was clicked, or fold and unfold it where its sign was clicked."""
        row = event.y + self.scroll_offset.y
        if row > len(self._listed) or not self._is_filled:
            return
        self.cursor = row
        path = self._path(row)
        if path is not None and self._tree.folds(node := self._listed[row - 1]):
            sign = 1 + 2 * self._tree.depths[node]
            if sign <= event.x <= sign + 1:
                self._fold(path, folded=not self._is_folded(node))
                return
        self.action_choose()
