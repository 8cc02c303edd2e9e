"""All about one model on the whole screen: the schematic of its family, large, and every fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from visexplore.tui.schematics import schematic
from visexplore.tui.terminal import Graphics, Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Picture

_BESIDE_FROM = 110  # columns from which on the picture is beside the text
_PICTURED_FROM = 34  # rows from which on it is over the text
_REST = 0.12  # seconds that one model is looked at before its picture is drawn


class ModelCard(ModalScreen[str]):
    """Shows a model, and the ones before and after it; the result is the model to go on with, or nothing.

    Args:
        terminal: how to draw.
        keys: of all models that are listed, in their order.
        at: key of the first to look at.
        about: returns the family's id and all facts of a model.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "dismiss('')", "Back", show=False, tooltip="back to the list", id="card_back"),
        Binding("down,n,j", "step(1)", "Next", show=False, priority=True, tooltip="next model", id="card_next"),
        Binding("up,p,k", "step(-1)", "Before", show=False, priority=True, tooltip="model before", id="card_before"),
        Binding("enter", "use", "Use", show=False, tooltip="go on with this model", id="card_use"),
    ]  # fmt: skip

    def __init__(
        self, terminal: Terminal, keys: Sequence[str], at: str, about: Callable[[str], tuple[str, Content]]
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._keys = keys
        self._at = keys.index(at)
        self._about = about
        self._family = ""
        self._picture_due: Timer | None = None

    @property
    def key(self) -> str:
        """The key of the model that is looked at."""
        return self._keys[self._at]

    def compose(self) -> ComposeResult:
        """Lay the picture beside or over the text."""
        with Vertical(id="card"):
            yield Static("", id="card-head", markup=False)
            with Vertical(id="card-body"):
                yield Picture(self._terminal, id="card-picture")
                with VerticalScroll(id="card-text"):
                    yield Static("", id="card-facts", markup=False)
            yield Static(
                "Up, Down: other models. PgUp, PgDn: the text. Enter: use this one. Esc leaves.",
                classes="hint",
                markup=False,
            )

    def on_mount(self) -> None:
        """Show the first model."""
        self.query_one("#card-text").focus()
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Show the picture where there is room."""
        beside = event.size.width >= _BESIDE_FROM
        self.set_class(beside, "beside")
        shown = (beside or event.size.height >= _PICTURED_FROM) and self._terminal.graphics is not Graphics.TEXT
        self.query_one(Picture).display = shown
        self.call_after_refresh(self._draw)

    def action_step(self, step: int) -> None:
        """Go to the next or the previous model."""
        at = max(0, min(len(self._keys) - 1, self._at + step))
        if at != self._at:
            self._at = at
            self._show()

    def action_use(self) -> None:
        """Leave, and go on with the model."""
        self.dismiss(self.key)

    def _show(self) -> None:
        self._family, facts = self._about(self.key)
        head = Content.styled(f"{self._at + 1} of {len(self._keys)}", MUTED)
        self.query_one("#card-head", Static).update(head, layout=False)
        self.query_one("#card-facts", Static).update(facts)
        self.query_one("#card-text").scroll_home(animate=False)
        # A held key goes through the models without drawing the picture of each.
        if self._picture_due is not None:
            self._picture_due.stop()
        self._picture_due = self.set_timer(_REST, self._draw)

    def _draw(self) -> None:
        picture = self.query_one(Picture)
        if picture.display and self._family:
            picture.show(schematic(self._family, picture.background_colors[1].rgb))
