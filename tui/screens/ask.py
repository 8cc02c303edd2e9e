"""A question that is answered by typing one line."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from visexplore.core.text import printable


class Ask(ModalScreen[str | None]):
    """Asks for one line; the result is what was typed, or None if the question was left.

    Args:
        title: of the window.
        hint: what to type, and what happens then.
        placeholder: shown while nothing is typed.
        value: typed already.
        selected: the next key replaces that; if not, the cursor is at its end.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back", show=False)]

    def __init__(self, title: str, hint: str, placeholder: str = "", value: str = "", *, selected: bool = True) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._placeholder = placeholder
        self._value = value
        self._selected = selected

    def compose(self) -> ComposeResult:
        """Lay the field over the hint."""
        with Vertical(id="ask") as box:
            box.border_title = Content(self._title)
            field = Input(printable(self._value), placeholder=self._placeholder, select_on_focus=self._selected)
            field.cursor_blink = False
            yield field
            yield Static(self._hint, markup=False, classes="hint")

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        self.dismiss(text or None)
