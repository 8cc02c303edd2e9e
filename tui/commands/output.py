"""How commands print: Rich where a terminal shows it, plain aligned lines elsewhere, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from visexplore.core.text import cell_width, printable
from visexplore.tui.commands.common import Globals, look_at_terminal, tell
from visexplore.tui.terminal import Terminal

if TYPE_CHECKING:
    from rich.console import Console

    from visexplore.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        right: align it to the right.
        style: of its cells on a terminal.
        keep: never fold it on a narrow terminal.
        least: leave it out of terminals with fewer columns than this.
    """

    title: str
    right: bool = False
    style: str = ""
    keep: bool = False
    least: int = 0


type Cell = str | Sequence[str]
"""A text, or several that stand below each other."""


class Output:
    """Standard output of one command.

    Everything that is printed is made printable first and shown without markup, whatever a file is called.
    """

    def __init__(self, options: Globals, settings: Settings, *, pictures: bool = False) -> None:
        self._settings = settings
        self._pictures = pictures
        self.quiet = options.quiet
        self.verbose = options.verbose
        self.is_tty = sys.stdout.isatty()

    @cached_property
    def terminal(self) -> Terminal:
        """What the terminal can show; asked once, and only if it matters."""
        return look_at_terminal(self._settings, pictures=self._pictures)

    @cached_property
    def console(self) -> Console:
        """The Rich console of a terminal."""
        return make_console(self.terminal)

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line; `style` shows on a terminal only."""
        if self.is_tty:
            from rich.text import Text

            self.console.print(Text(printable(text), style=style), overflow="fold")
        else:
            sys.stdout.write(printable(text) + "\n")

    def note(self, text: str) -> None:
        """Tell the person something that is no part of the result."""
        if not self.quiet:
            tell(text)

    def json(self, document: object) -> None:
        """Print a JSON document: in ASCII, so that any name passes through any pipe and stays what it is."""
        sys.stdout.write(json.dumps(document, indent=2) + "\n")

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table: aligned columns with two spaces between them where it is no terminal."""
        if self.is_tty:
            self._rich_table(columns, rows)
            return
        cells = [[_text(cell, "; ") for cell in row] for row in rows]
        lines = [[column.title.upper() for column in columns], *cells]
        widths = [max(cell_width(line[i]) for line in lines) for i in range(len(columns))]
        for line in lines:
            padded = (
                " " * (width - cell_width(cell)) + cell if column.right else cell + " " * (width - cell_width(cell))
                for cell, width, column in zip(line, widths, columns, strict=True)
            )
            sys.stdout.write("  ".join(padded).rstrip() + "\n")

    def facts(self, facts: Mapping[str, Cell]) -> None:
        """Print names and values, `name: value` a line or side by side on a terminal; leaves out empty ones."""
        known = {name: value for name, value in facts.items() if value}
        if not self.is_tty:
            for name, value in known.items():
                sys.stdout.write(f"{printable(name)}: {_text(value, '; ')}\n")
            return
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="cyan", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in known.items():
            grid.add_row(Text(printable(name)), Text(_text(value, "\n")))
        self.console.print(grid)

    def _rich_table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        from rich.table import Table
        from rich.text import Text

        shown = [i for i, column in enumerate(columns) if column.least <= self.console.width]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="underline")
        for column in (columns[i] for i in shown):
            table.add_column(
                Text(column.title),
                justify="right" if column.right else "left",
                style=column.style,
                no_wrap=column.keep,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(_text(row[i], "\n")) for i in shown))
        self.console.print(table)


def _text(cell: Cell, between: str) -> str:
    return printable(cell) if isinstance(cell, str) else between.join(map(printable, cell))


def make_console(terminal: Terminal, *, stderr: bool = False) -> Console:
    """Return a Rich console that neither guesses the terminal again nor reads markup or emoji codes."""
    from rich.console import Console

    return Console(
        stderr=stderr,
        force_terminal=True,
        color_system=terminal.color.system,
        no_color=terminal.color.system is None,
        markup=False,
        emoji=False,
        highlight=False,
    )


def megabytes(size: int) -> str:
    """Return for example `3.1 MB` (10^6 bytes)."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Return for example `0.4 s`, `12 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(value: float | None) -> str:
    """Return a number without needless digits; empty for None."""
    if value is None:
        return ""
    return f"{value:.6g}"
