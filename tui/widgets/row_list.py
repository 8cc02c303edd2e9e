"""A list of rows with a cursor, moved by arrows or the keys of vim."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable


class RowList(DataTable[Text]):
    """A table of which rows are chosen, not cells: Home and End go to the first and the last of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", "Up", show=False, tooltip="the row above", id="row_up"),
        Binding("down,j", "cursor_down", "Down", show=False, tooltip="the row below", id="row_down"),
        Binding("pageup", "page_up", "Page up", show=False, tooltip="the page before", id="rows_back"),
        Binding("pagedown", "page_down", "Page down", show=False, tooltip="the next page", id="rows_on"),
        Binding("home", "scroll_top", "First", show=False, tooltip="the first row", id="rows_first"),
        Binding("end", "scroll_bottom", "Last", show=False, tooltip="the last row", id="rows_last"),
        Binding("enter", "select_cursor", "Choose", show=False, tooltip="choose this row", id="choose_row"),
    ]

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as DataTable takes them
        super().__init__(cursor_type="row", **options)
