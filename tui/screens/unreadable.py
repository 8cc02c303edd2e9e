"""The images that could not be embedded, with the reasons."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.engine import AskSkipped, Died, Event, Failed, SkippedFound
from visexplore.core.messages import SkippedImage
from visexplore.core.text import count, cut, cut_front, printable
from visexplore.tui.asks import Asks
from visexplore.tui.widgets.row_list import RowList

_LISTED = 2000
"""More rows than these would take longer to make than a key may wait; nobody reads them."""


class Unreadable(ModalScreen[str]):
    """Lists unreadable images; the result is the one to look at, or nothing.

    Args:
        asks: the engine.
        spec: of the dataset.
        model: what the engine knows the model by.
        title: of the model.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,U", "dismiss('')", "Back", show=False, tooltip="leave", id="unreadable_leave")
    ]

    def __init__(self, asks: Asks, spec: str, model: str, title: str) -> None:
        super().__init__()
        self._asks = asks
        self._spec = spec
        self._model = model
        self._title = title
        self._skipped: tuple[SkippedImage, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay the list over the whole text of the row under the cursor."""
        with Vertical(id="unreadable") as box:
            box.border_title = Content(f"Unreadable under {cut(self._title, 40)}")
            table = RowList()
            table.add_column("Image", width=40)
            table.add_column("Why", width=52)
            yield table
            yield Static("Looking them up ...", id="unreadable-in-full", markup=False)
            yield Static("Enter shows the image and its facts. Esc closes.", markup=False, classes="hint")

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one(RowList).focus()
        self._asks.ask(lambda ticket: AskSkipped(ticket, self._spec, self._model), self._take)

    def _take(self, event: Event) -> None:
        if not self.is_mounted:
            return
        match event:
            case SkippedFound():
                self._skipped = event.skipped
                table = self.query_one(RowList)
                for skipped in event.skipped[:_LISTED]:
                    table.add_row(Text(cut_front(skipped.image_id, 40)), Text(cut(skipped.reason, 52)))
                more = f", the first {_LISTED:,} listed" if len(event.skipped) > _LISTED else ""
                if not event.skipped:
                    self._say("Every image that was tried could be read.")
                self.query_one("#unreadable").border_subtitle = Content(f"{count(len(event.skipped), 'image')}{more}")
            case Failed() | Died():
                self._say(str(event.error))

    def _say(self, text: str) -> None:
        self.query_one("#unreadable-in-full", Static).update(printable(text))

    @on(RowList.RowHighlighted)
    def _show_in_full(self, event: RowList.RowHighlighted) -> None:
        if 0 <= event.cursor_row < len(self._skipped):  # none in an empty list
            skipped = self._skipped[event.cursor_row]
            self._say(f"{skipped.image_id}: {skipped.reason}")

    @on(RowList.RowSelected)
    def _choose(self, event: RowList.RowSelected) -> None:
        self.dismiss(self._skipped[event.cursor_row].image_id)
