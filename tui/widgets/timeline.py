"""The systems of the catalogue on an axis of months, one row each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from visexplore.core.catalogue import Family
from visexplore.core.dates import MONTHS, Months, months_of
from visexplore.core.text import cell_width, cut
from visexplore.tui.widgets.row_list import RowList

FIRST, LAST = 2020 * 12, 2022 * 12 + 11
"""The months of the axis, which is that of the seed document; what is before or after has a cell at its ends."""

_MARK, _DATE, _SHORTEST_NAME = 3, 9, 13
_PUBLIC, _SOME_TIME, _SEED, _BETWEEN, _JANUARY = "█", "▒", "o", "─", "┊"
_BEFORE, _AFTER = "<", ">"


class Axis:
    """Turns months into cells.

    Args:
        cells: of a month; a half puts two months into one cell.
    """

    def __init__(self, cells: float) -> None:
        self._cells = cells
        self.width = round((LAST - FIRST + 1) * cells) + 2

    def place(self, month: int) -> int:
        """Return the first cell of a month; the first and the last cell are for what is before and after."""
        if month < FIRST:
            return 0
        return self.width - 1 if month > LAST else 1 + int((month - FIRST) * self._cells)

    def _end(self, month: int) -> int:
        """Return the cell behind those of a month."""
        return self.place(month) + (max(1, round(self._cells)) if FIRST <= month <= LAST else 1)

    def head(self) -> Text:
        """Return the years over the first letters of the months."""
        years, letters = [" "] * self.width, [" "] * self.width
        for month in range(FIRST, LAST + 1):
            place = self.place(month)
            if month % 12 == 0:
                years[place : place + 4] = str(month // 12)
            if letters[place] == " ":
                letters[place] = MONTHS[month % 12][0]
        return Text("".join(years) + "\n" + "".join(letters))

    def row(self, public: Months | None, seed: Months | None, color: str) -> Text:
        """Return the line of a system.

        Args:
            public: when it became public; None where unknown.
            seed: when the seed document says, if that differs.
            color: of the months in which it became public.
        """
        line = [" "] * self.width
        for january in range(FIRST, LAST + 1, 12):
            line[self.place(january)] = _JANUARY
        bright: list[tuple[int, int]] = []
        if seed is not None:
            if public is not None:
                ends = sorted((self.place(public.first), self.place(seed.first)))
                line[ends[0] : ends[1]] = _BETWEEN * (ends[1] - ends[0])
            for month in range(seed.first, seed.last + 1):
                line[self.place(month)] = self._edge(month) or _SEED
        if public is not None:
            known = public.first == public.last
            start, end = self.place(public.first), self._end(public.last)
            edge = self._edge(public.first) if known else ""
            line[start:end] = (edge or (_PUBLIC if known else _SOME_TIME)) * (end - start)
            bright.append((start, end))
        text = Text("".join(line), "dim")
        for start, end in bright:
            text.stylize(f"not dim bold {color}", start, end)
        return text

    @staticmethod
    def _edge(month: int) -> str:
        return _BEFORE if month < FIRST else _AFTER if month > LAST else ""


def _start(months: Months | None) -> str:
    return str(Months(months.first, months.first)) if months else ""


def short_name(family: Family, width: int) -> str:
    """Return the name without its versions and other additions, or the id where even that is too long."""
    name = re.split(r" \(|;", family.name)[0]
    return cut(family.id if cell_width(name) > width else name, width)


def dated(families: Iterable[Family]) -> list[Family]:
    """Return the families in the order of their dates, those without one at the end."""
    return sorted(families, key=lambda family: (months_of(family.first_public) is None, family.first_public))


class Timeline(RowList):
    """The systems by date, from the first to the last."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id, cell_padding=0, header_height=2)
        self._width = 0

    def show(self, families: Sequence[Family], marks: Mapping[str, str], dim: Iterable[str], width: int) -> None:
        """Show families, with the cursor where it was.

        Args:
            families: to show.
            marks: what stands before a family, by its id.
            dim: ids of those of which nothing runs here.
            width: cells that there are.
        """
        faint = set(dim)
        under = self.under_cursor
        self.clear(columns=True)
        axes = (Axis(cells) for cells in (2, 1, 0.5))
        axis = next((axis for axis in axes if _MARK + _SHORTEST_NAME + axis.width <= width), Axis(0.5))
        left = width - _MARK - _SHORTEST_NAME - axis.width
        dates = [title for number, title in enumerate(("Public", "Seed"), 1) if number * _DATE <= left]
        name = max(4, width - _MARK - axis.width - len(dates) * _DATE)
        self.add_column("", width=_MARK, key="mark")
        self.add_column(Text(f"{_PUBLIC} public\n{_SEED} in the seed"), width=name, key="name")
        self.add_column(axis.head(), width=axis.width, key="axis")
        for title in dates:
            self.add_column(Text(f"\n {title}"), width=_DATE, key=title)
        color = self.app.theme_variables.get("primary", "")
        for family in dated(families):
            public, seed = months_of(family.first_public), months_of(family.seed.date) if family.seed else None
            if public and seed and public.meets(seed):
                seed = None  # it says the same
            style = "dim" if family.id in faint else ""
            self.add_row(
                Text(marks.get(family.id, ""), "bold"),
                Text(short_name(family, name), style),
                axis.row(public, seed, color),
                *(Text(f" {date}", style) for date in (public or "no date", _start(seed))[: len(dates)]),
                key=family.id,
            )
        if under:
            self.go_to(under)

    @property
    def under_cursor(self) -> str:
        """The id of the family under the cursor; empty if there is none."""
        return str(self.ordered_rows[self.cursor_row].key.value) if self.is_valid_row_index(self.cursor_row) else ""

    def go_to(self, family: str) -> None:
        """Put the cursor on a family, if it is shown."""
        if family in self.rows:
            self.move_cursor(row=self.get_row_index(family), animate=False)
