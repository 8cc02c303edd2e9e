"""Embedding with all models that run here: what it costs, and whether it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.catalogue import Checkpoint
from visexplore.core.cost import EmbeddingCost, size_in_words, time_in_words, total
from visexplore.core.text import count, cut
from visexplore.tui.widgets.row_list import RowList

LONG = 600.0
"""Seconds of embedding that are not begun without a question."""


class Plan:
    """The models to embed with, and what each of them costs.

    Args:
        costs: of all models that could be; those that have nothing to embed are left out.
    """

    def __init__(self, costs: Sequence[tuple[Checkpoint, EmbeddingCost]]) -> None:
        self.costs = [
            (model, cost) for model, cost in costs if cost.images and model.loader not in ("baseline", "vectors")
        ]
        self._total = total([cost for _, cost in self.costs])

    @property
    def models(self) -> list[Checkpoint]:
        """The models, in the order in which they embed."""
        return [model for model, _ in self.costs]

    @property
    def is_cheap(self) -> bool:
        """Whether it need not be asked: nothing is downloaded, and it is known not to take long."""
        seconds = self._total.seconds
        return not self.costs or (seconds is not None and seconds <= LONG and self._total.download == 0)

    def sentence(self) -> str:
        """Say what all of it costs."""
        if not self.costs:
            return "All models that run here have embedded this, or are about to."
        return (
            f"{count(len(self.costs), 'model')} embed {count(self.costs[0][1].images, 'image')}: {self._total.words()}"
        )


class EmbedAll(ModalScreen[bool]):
    """Asks whether to embed with all models of a plan.

    Args:
        plan: the models and their costs.
        title: of the dataset.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q,E", "dismiss(False)", "Back", show=False, tooltip="leave, and embed nothing", id="embed_all_leave"
        ),
    ]

    def __init__(self, plan: Plan, title: str) -> None:
        super().__init__()
        self._plan = plan
        self._title = title

    def compose(self) -> ComposeResult:
        """Lay the total over the models."""
        with Vertical(id="embed-all") as box:
            box.border_title = Content(f"Embed {cut(self._title, 40)} with all models that run here")
            yield Static(self._plan.sentence(), id="embed-all-total", markup=False)
            yield RowList(id="embed-all-models")
            yield Static("Enter begins, one job a model. Esc leaves.", classes="hint", markup=False)

    def on_mount(self) -> None:
        """List the models."""
        table = self.query_one(RowList)
        downloads = any(cost.download != 0 for _, cost in self._plan.costs)
        for head in ("Model", " Time", "", " Memory", " Disk", *([" Download"] if downloads else []), "Licence"):
            table.add_column(_cell(head))
        for model, cost in self._plan.costs:
            row = (
                cut(model.slug, 30),
                " unknown" if cost.seconds is None else f" {time_in_words(cost.seconds)}",
                "a guess" if cost.is_guess else "",
                *(f" {_size(size)}" for size in (cost.memory, cost.disk, *([cost.download] if downloads else []))),
                cut(cost.licence, 20),
            )
            table.add_row(*map(_cell, row))

    @on(RowList.RowSelected)
    def _begin(self) -> None:
        self.dismiss(True)


def _cell(text: str) -> Text:
    """Return a cell, aligned to the right if its text begins with a space."""
    return Text(text.strip(), justify="right" if text.startswith(" ") else "left")


def _size(size: int | None) -> str:
    return "unknown" if size is None else size_in_words(size) if size else "none"
