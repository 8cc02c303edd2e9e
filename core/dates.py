"""Dates as the catalogue and the seed document write them, as spans of months."""

from __future__ import annotations

import re
from dataclasses import dataclass

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_ISO = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-\d{2})?")
_WORDS = re.compile(rf"({'|'.join(MONTHS)})[a-z]*\.? (\d{{4}})")


@dataclass(frozen=True, slots=True, order=True)
class Months:
    """A span of months; each is counted from the beginning of the year 0.

    Attributes:
        first: its first month.
        last: its last month, the same for a date that is known to the month.
    """

    first: int
    last: int

    def __str__(self) -> str:
        if self.first % 12 == 0 and self.last == self.first + 11:
            return str(self.first // 12)
        return " - ".join(dict.fromkeys((_name(self.first), _name(self.last))))

    def meets(self, other: Months) -> bool:
        """Whether the spans have a month in common."""
        return self.first <= other.last and other.first <= self.last


def _name(month: int) -> str:
    return f"{MONTHS[month % 12]} {month // 12}"


def months_of(text: str) -> Months | None:
    """Return the span that `2021`, `2021-02`, `2021-02-26`, `Feb 2021` or `Dec 2021 - Mar 2022` names, else None."""
    text = text.strip()
    if found := _ISO.fullmatch(text):
        first = int(found[1]) * 12
        if found[2] is None:
            return Months(first, first + 11)
        return Months(first + int(found[2]) - 1, first + int(found[2]) - 1) if 1 <= int(found[2]) <= 12 else None
    named = [int(year) * 12 + MONTHS.index(month) for month, year in _WORDS.findall(text)]
    return Months(min(named), max(named)) if named else None
