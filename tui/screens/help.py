"""All keys, and what the words on the screen mean."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_MOVING = (
    ("arrows, h j k l", "move in lists and among pictures"),
    ("PgUp PgDn Home End", "turn pages"),
    ("1 or 2 once more", "go on to the facts of the model, to the labels of the images"),
    ("Enter", "choose a model, a label, a picture as query"),
    ("Esc", "leave a filter or a window"),
)
_SIGNS = (
    (">", "the current model"),
    ("t", "in the list of models: can be searched with words"),
    ("+ ~", "the dataset is embedded with this model, or a part of it"),
    ("✓ ✗", "the neighbour has the query's label, or another"),
    ("0.883", "cosine; not comparable between models"),
)


class Help(ModalScreen[None]):
    """Lists the keys of the app, its panels and its signs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back", show=False)]

    def __init__(self, keys: list[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Lay the keys out in lines."""
        with VerticalScroll(id="help") as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("Esc closes")
            lines = [
                *self._section("Moving", _MOVING),
                *self._section("Doing", self._keys),
                *self._section("Signs", _SIGNS),
            ]
            yield Static(Content("\n").join(lines), markup=False)

    @staticmethod
    def _section(title: str, rows: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[Content]:
        heading = Content.styled(title, "bold $primary")
        return [
            heading,
            *(Content.assemble((f"  {keys:<20}", "bold"), f"\n{'':22}".join(wrap(what, 48))) for keys, what in rows),
            Content(""),
        ]
