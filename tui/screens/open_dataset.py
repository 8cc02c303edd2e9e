"""The choice of another dataset: by typing its name or folder, or from those that are known."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from visexplore.core.text import cut, cut_front, printable
from visexplore.tui.dataset_choices import Choice, DatasetChoices

_NAME, _ABOUT = 18, 24  # cells
_MOST_OFFERED = 200
_MOST_ENTRIES = 5000  # of a folder, that are looked at for a completion
_HINT = (
    "Tab completes a folder; down: the list. Also cars:, cub:, csv:FILE, parquet:GLOB, wds:GLOB, hf:REPO. Esc leaves."
)


class OpenDataset(ModalScreen[str | None]):
    """Asks which dataset to open; the result is its spec, or None if the question was left.

    Args:
        choices: the known datasets.
        current: spec of the one that is open.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab", "complete", "Complete", show=False, priority=True, tooltip="complete the folder", id="open_complete"
        ),
        Binding("down", "to_list", "List", show=False, tooltip="go to the known datasets", id="open_list"),
        Binding("escape", "dismiss", "Back", show=False, tooltip="leave", id="open_leave"),
    ]

    def __init__(self, choices: DatasetChoices, current: str) -> None:
        super().__init__()
        self._choices = choices
        self._current = current
        self._offered: list[Choice] = []

    def compose(self) -> ComposeResult:
        """Lay the field over the known datasets."""
        with Vertical(id="open-dataset") as box:
            box.border_title = Content("Open a dataset")
            field = Input(placeholder="~/photos, or a part of a name below")
            field.cursor_blink = False
            yield field
            yield OptionList(id="known-datasets", markup=False)
            yield Static(_HINT, markup=False, classes="hint")

    def on_mount(self) -> None:
        """Show what is known, and what the engine finds."""
        self._list()
        self._choices.ask(lambda: self._list() if self.is_mounted else None)

    @on(Input.Changed)
    def _list(self) -> None:
        """List the datasets whose name or place has all words of what is typed."""
        words = self.query_one(Input).value.lower().split()
        every = self._choices.choices(but=self._current)
        self._offered = [
            choice for choice in every if all(word in f"{choice.title} {choice.spec}".lower() for word in words)
        ][:_MOST_OFFERED]
        table = self.query_one(OptionList)
        table.clear_options()
        place = min(100, int(self.app.size.width * 0.96)) - _NAME - _ABOUT - 10
        table.add_options(Option(_line(choice, place)) for choice in self._offered)
        table.display = bool(self._offered)

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._offered[event.option_index].spec)

    def action_to_list(self) -> None:
        """Go on from the field to the list."""
        if self._offered:
            self.query_one(OptionList).focus()
            self.query_one(OptionList).highlighted = 0

    async def action_complete(self) -> None:
        """Complete the name of a folder as a shell does."""
        field = self.query_one(Input)
        field.focus()
        typed = field.value
        completed = await asyncio.to_thread(complete_folder, typed)
        if self.is_mounted and field.value == typed:  # a disk may be slow, and a user quick
            field.value = completed
            field.cursor_position = len(completed)


def complete_folder(typed: str) -> str:
    """Return a path completed as far as the folders on disk leave no choice; with a slash where it is one of them."""
    kind, colon, place = typed.rpartition(":")
    start, begun = os.path.split(place)
    try:
        with os.scandir(os.path.expanduser(start) or ".") as entries:  # noqa: PTH111 - Path fails for unknown users
            names = [
                entry.name
                for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False)
                if entry.name.startswith(begun) and (begun or not entry.name.startswith(".")) and entry.is_dir()
            ]
    except (OSError, ValueError):
        return typed
    names = [name for name in names if printable(name) == name]  # a field writes what it holds
    if not names:
        return typed
    common = os.path.commonprefix(names)  # noqa: RUF071 - of names, as shells complete them
    whole = os.path.join(start, common) + ("/" if len(names) == 1 else "")  # noqa: PTH118 - what was typed stays as it is
    return f"{kind}{colon}{whole}"


def _line(choice: Choice, place: int) -> Content:
    title = cut(choice.title, _NAME)
    return Content.assemble(
        (f"{title:<{_NAME}}  ", "bold"),
        f"{cut_front(choice.spec, max(1, place)):<{max(1, place)}}  ",
        printable(choice.about),
    )
