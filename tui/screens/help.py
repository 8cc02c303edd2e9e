"""All keys, grouped by where they work, and what the signs on the screen mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.tui.keymap import called, flat, split_keys
from visexplore.tui.keys import KEYS
from visexplore.tui.panels.catalogue import CataloguePanel
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture_grid import PictureGrid
from visexplore.tui.widgets.row_list import RowList
from visexplore.tui.windows import windows

_KEYS_WIDTH = 17  # cells
_WHAT_WIDTH = 50
_TWO_COLUMNS_FROM = 2 * (_KEYS_WIDTH + _WHAT_WIDTH) + 8
_PANELS = {"catalogue": "Models (1)", "dataset": "Images (2)", "query": "Query (3)"}
_SIGNS = (
    (">", "the current model"),
    ("t", "in the list of models: can be searched with words"),
    ("+ ~", "the dataset is embedded with this model, or a part of it"),
    ("✓ ✗", "the neighbour has the query's label, or another"),
    ("0.883", "cosine; not comparable between models"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that work in one place.

    Attributes:
        title: the place.
        rows: keys, and what they do.
    """

    title: str
    rows: Sequence[tuple[str, str]]


def rows_of(bindings: Iterable[BindingType], own: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the described bindings: all keys of one together, the user's own where there are some."""
    rows: dict[str, tuple[list[str], str]] = {}
    for binding in flat(bindings):
        if not binding.tooltip:
            continue
        name = binding.id or f"{binding.action} {binding.description}"
        keys, _ = rows.setdefault(name, ([], binding.tooltip))
        keys += [key for key in (split_keys(own[name]) if name in own else [binding.key]) if key not in keys]
    return [(" ".join(called(key) for key in keys), what) for keys, what in rows.values()]


def groups(active: str, own: Mapping[str, str]) -> list[Group]:
    """Return all groups of keys: those of the active panel first, those of windows last.

    Args:
        active: id of the active panel.
        own: the user's own keys by the ids of bindings.
    """
    panels = {
        "catalogue": [
            *rows_of(CataloguePanel.BINDINGS, own),
            *rows_of(RowList.BINDINGS, own),
            ("Esc", "leave the filter, and clear it"),
        ],
        "dataset": [
            *rows_of(PictureGrid.BINDINGS, own),
            *((keys, f"among labels: {what}") for keys, what in rows_of(_of_labels_alone(), own)),
            ("Esc", "leave the filter, and clear it"),
        ],
        "query": rows_of((b for b in flat(PictureGrid.BINDINGS) if "page" not in b.description.lower()), own),
    }
    order = sorted(panels, key=lambda panel: panel != active)
    everywhere = Group("Everywhere", [*rows_of(KEYS, own), ("Ctrl-P", "every command, model and dataset by its name")])
    titled = [Group(_PANELS[panel], panels[panel]) for panel in order]
    in_windows = [Group(f"Window: {window.title}", rows_of(window.kind.BINDINGS, own)) for window in windows()]
    return [titled[0], everywhere, *titled[1:], *in_windows, Group("Signs", _SIGNS)]


def _of_labels_alone() -> Iterator[Binding]:
    return (binding for binding in flat(LabelList.BINDINGS) if binding.id in ("fold", "unfold", "choose_label"))


class Help(ModalScreen[None]):
    """Lists the keys of the app, its panels and its windows, and its signs.

    Args:
        active: id of the active panel, whose keys come first.
        own: the user's own keys by the ids of bindings.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll(1)", "Down", show=False, tooltip="scroll down", id="help_down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, tooltip="scroll up", id="help_up"),
        Binding("escape,q,question_mark,enter", "dismiss", "Back", show=False, tooltip="leave", id="help_leave"),
    ]

    def __init__(self, active: str, own: Mapping[str, str]) -> None:
        super().__init__()
        self._groups = groups(active, own)

    def compose(self) -> ComposeResult:
        """Lay the groups out in one column or two."""
        with VerticalScroll(id="help") as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("arrows scroll, Esc closes")
            with Horizontal(id="help-columns"):
                yield Static("", markup=False, id="help-left")
                yield Static("", markup=False, id="help-right")

    def on_resize(self, event: events.Resize) -> None:
        """Spread the groups over as many columns as there is room for."""
        is_wide = event.size.width >= _TWO_COLUMNS_FROM
        self.set_class(is_wide, "two-columns")
        left, right = _halves(self._groups) if is_wide else (self._groups, [])
        self.query_one("#help-left", Static).update(_lines(left))
        self.query_one("#help-right", Static).update(_lines(right))

    def action_scroll(self, lines: int) -> None:
        """Scroll by a line."""
        self.query_one("#help", VerticalScroll).scroll_relative(y=lines, animate=False)


def _height(group: Group) -> int:
    return 2 + sum(max(len(_wrapped_keys(keys)), len(wrap(what, _WHAT_WIDTH))) for keys, what in group.rows)


def _halves(every: list[Group]) -> tuple[list[Group], list[Group]]:
    """Split the groups so that the longer column is as short as can be; their order stays."""

    def length(part: list[Group]) -> int:
        return sum(_height(group) for group in part)

    at = min(range(1, len(every)), key=lambda n: max(length(every[:n]), length(every[n:])))
    return every[:at], every[at:]


def _wrapped_keys(keys: str) -> list[str]:
    return wrap(keys, _KEYS_WIDTH - 1, break_on_hyphens=False) or [""]


def _lines(some: Sequence[Group]) -> Content:
    lines: list[Content] = []
    for group in some:
        lines += (
            [Content(""), Content.styled(group.title, "bold $primary")]
            if lines
            else [Content.styled(group.title, "bold $primary")]
        )
        for keys, what in group.rows:
            left, right = _wrapped_keys(keys), wrap(what, _WHAT_WIDTH)
            for n in range(max(len(left), len(right))):
                key = left[n] if n < len(left) else ""
                lines.append(Content.assemble((f"  {key:<{_KEYS_WIDTH}}", "bold"), right[n] if n < len(right) else ""))
    return Content("\n").join(lines)
