"""The choice of a model by typing: of the catalogue by a part of its name, of any other by its whole id."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.command import Hit, Hits, SimpleCommand, SimpleProvider
from textual.markup import escape
from textual.screen import Screen

from visexplore.core.catalogue import OUTSIDE, Catalogue, Checkpoint, Family
from visexplore.core.errors import UnknownModel
from visexplore.core.text import printable
from visexplore.tui.costs import Costs
from visexplore.tui.text_search import takes_text
from visexplore.tui.weights import Weights, short_status


class ModelProvider(SimpleProvider):
    """Offers the models of the catalogue, and what is typed where that is another model's id or pooling.

    Args:
        screen: on which the palette is opened.
        catalogue: the models.
        weights: where they are.
        costs: of embedding with them.
        use: is called with the name of the chosen one.
    """

    def __init__(
        self,
        screen: Screen[Any],
        catalogue: Catalogue,
        weights: Weights,
        costs: Costs,
        use: Callable[[str], None],
    ) -> None:
        commands = [
            SimpleCommand(
                escape(printable(f"{checkpoint.slug}  {family.name}")),
                partial(use, checkpoint.slug),
                escape(printable(about(family, checkpoint, weights, costs))),
            )
            for family in catalogue.families
            for checkpoint in family.checkpoints
        ]
        super().__init__(screen, [*commands])
        self._catalogue = catalogue
        self._use = use

    async def search(self, query: str) -> Hits:
        """Yield what matches the typed text."""
        if (checkpoint := self._named_in_full(query)) is not None:
            about = f"loaded by {checkpoint.loader}" if checkpoint.family == OUTSIDE else checkpoint.pooling
            yield Hit(1.0, escape(printable(checkpoint.slug)), partial(self._use, query), help=escape(printable(about)))
        async for hit in super().search(query):
            yield hit

    def _named_in_full(self, name: str) -> Checkpoint | None:
        """Return the checkpoint of an id that the list does not have."""
        if not {":", "@", "/"} & set(name):  # of a part of a name: do not look for a folder of that name
            return None
        try:
            checkpoint = self._catalogue.resolve(name)
        except UnknownModel:
            return None
        return checkpoint if checkpoint.family == OUTSIDE or checkpoint.pooling_choice else None


def about(family: Family, checkpoint: Checkpoint, weights: Weights, costs: Costs) -> str:
    """Say in a few words who made a model, where its weights are, whether it takes texts, how long it would embed."""
    made = " ".join(part for part in (family.organisation, family.first_public) if part)
    status = short_status(checkpoint, weights.status(checkpoint))
    text = "texts too" if checkpoint.has_text_tower and takes_text(checkpoint) else ""
    cost = costs.of(checkpoint)
    time = f"{cost.time_in_words()} to embed this" if cost.images and cost.seconds is not None else ""
    return ", ".join(part for part in (made, status, text, time) if part)
