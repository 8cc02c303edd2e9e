"""A list of rows with a cursor, moved by arrows or the keys of vim."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


class RowList(DataTable[Text]):
    """A table of which rows are chosen, not cells: Home and End go to the first and the last of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("home", "scroll_top", "First", show=False),
        Binding("end", "scroll_bottom", "Last", show=False),
    ]

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as DataTable takes them
        super().__init__(cursor_type="row", **options)
