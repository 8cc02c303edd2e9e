"""What the table of models shows: its columns, which of them there is room for, and the orders of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.text import Text

from visexplore.core.catalogue import Checkpoint, Family
from visexplore.core.text import cut
from visexplore.tui.model_costs import rate
from visexplore.tui.text_search import takes_text
from visexplore.tui.weights import Weights, short_status

NAME = 23  # cells
_TEXT = "t"  # like the key
_UP, _DOWN = "▲", "▼"

Rates = Mapping[str, float]
"""Images a second of the models that were measured here, by their slugs."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, its head, its width in cells, and whether its cells stand at the right."""

    key: str
    title: str
    width: int
    right: bool = True


_ALWAYS = (Column("mark", "", 3, right=False), Column("model", "Model", NAME, right=False), Column("text", _TEXT, 2))
# What matters most comes first: a narrow panel has no room for what is at the end.
_WHERE_THERE_IS_ROOM = (
    Column("weights", "Weights", 11),
    Column("parameters", "Params", 7),
    Column("dim", "Dim", 5),
    Column("px", "Px", 4),
    Column("date", "Date", 8),
    Column("rate", "img/s", 7),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: a checkpoint, or a family that has none."""

    family: Family
    checkpoint: Checkpoint | None

    @property
    def key(self) -> str:
        """The key of the row."""
        return self.family.id if self.checkpoint is None else self.checkpoint.slug


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the rows: by which column, empty for the seed document's order, and whether turned round."""

    by: str = ""
    turned: bool = False

    @property
    def title(self) -> str:
        """What it is called."""
        return f"by {_TITLES[self.by]}{', reversed' if self.turned else ''}" if self.by else ""

    def next(self) -> Order:
        """Return the order that the key goes to."""
        orders = list(_TITLES)
        return Order(orders[(orders.index(self.by) + 1) % len(orders)])


# In the order of the key; the columns whose head does something are those.
_TITLES = {
    "": "seed",
    "model": "name",
    "date": "date",
    "parameters": "parameters",
    "weights": "download",
    "dim": "dimension",
    "rate": "speed here",
}
_LARGEST_FIRST = ("dim", "rate")


def is_order(column: str) -> bool:
    """Whether rows can be in the order of a column."""
    return bool(column) and column in _TITLES


def columns_for(width: int, order: Order) -> tuple[Column, ...]:
    """Return the columns that fit into so many cells; the one that the rows are ordered by is among them."""
    left = width - sum(column.width for column in _ALWAYS)
    shown: set[str] = set()
    for column in sorted(_WHERE_THERE_IS_ROOM, key=lambda column: column.key != order.by):
        if column.width > left:
            break
        left -= column.width
        shown.add(column.key)
    return (*_ALWAYS, *(column for column in _WHERE_THERE_IS_ROOM if column.key in shown))


def head(column: Column, order: Order) -> Text:
    """Return a column's head, marked if the rows are ordered by it."""
    if column.key == order.by:
        descends = order.turned is not (column.key in _LARGEST_FIRST)
        title = Text.assemble((f"{column.title}{_DOWN if descends else _UP}", "underline"))
    else:
        title = Text(column.title)
    if column.right:
        title.pad_left(column.width - title.cell_len)
    return title


def ordered(entries: Iterable[Entry], order: Order, rates: Rates) -> list[Entry]:
    """Return the rows in an order; those without a value are last, whichever way round."""
    if not order.by:
        return list(entries)[:: -1 if order.turned else 1]
    value = _VALUES[order.by]
    known: list[tuple[float | str, Entry]] = []
    unknown: list[Entry] = []
    for entry in entries:
        worth = value(entry, rates)
        if worth is None or worth == "":
            unknown.append(entry)
        else:
            known.append((worth, entry))
    # Twice, as the sort keeps the order of equals: those of one family stay in the seed document's.
    known.sort(key=lambda pair: pair[0], reverse=order.turned is not (order.by in _LARGEST_FIRST))
    return [*(entry for _, entry in known), *unknown]


def _of_checkpoint(name: str) -> Callable[[Entry, Rates], float | None]:
    return lambda entry, rates: getattr(entry.checkpoint, name, None)


_VALUES: dict[str, Callable[[Entry, Rates], float | str | None]] = {
    "model": lambda entry, rates: (entry.checkpoint.slug if entry.checkpoint else entry.family.name).lower(),
    "date": lambda entry, rates: entry.family.first_public,
    "parameters": _of_checkpoint("parameters_m"),
    "weights": _of_checkpoint("weights_mb"),
    "dim": _of_checkpoint("dim"),
    "rate": lambda entry, rates: rates.get(entry.key),
}


def cells(entry: Entry, weights: Weights, rates: Rates) -> dict[str, Text]:
    """Return the cells of a row by their columns, but for its mark."""
    date = _right(entry.family.first_public[:7], "dim")
    checkpoint = entry.checkpoint
    if checkpoint is None:
        return {
            "model": Text(cut(entry.family.name, NAME), "dim"), "weights": _right("unreleased", "dim"), "date": date,
        }  # fmt: skip
    style = "" if weights.run_here(checkpoint) else "dim"
    measured = rates.get(checkpoint.slug)
    return {
        "model": Text(cut(checkpoint.slug, NAME), style),
        "text": _right(_TEXT if checkpoint.has_text_tower and takes_text(checkpoint) else "", style),
        "weights": _right(short_status(checkpoint, weights.status(checkpoint)), style),
        "parameters": _right(_millions(checkpoint.parameters_m), style),
        "dim": _right(str(checkpoint.dim or ""), style),
        "px": _right(str(checkpoint.input_size or ""), style),
        "date": _right(entry.family.first_public[:7], style),
        "rate": _right(rate(measured) if measured else "", style),
    }


def _millions(parameters: float | None) -> str:
    if parameters is None:
        return ""
    return f"{parameters:.1f}M" if parameters < 1000 else f"{parameters / 1000:.1f}B"


def _right(text: str, style: str) -> Text:
    return Text(text, style, justify="right")
