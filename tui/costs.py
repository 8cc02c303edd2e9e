"""What embedding the dataset on the screen costs under each model."""

from __future__ import annotations

from collections.abc import Mapping

from visexplore.core.catalogue import Checkpoint
from visexplore.core.cost import EmbeddingCost, KnownRates, embedding_cost
from visexplore.core.messages import CacheState
from visexplore.tui.weights import Weights


class Costs:
    """Reckons costs from what the app knows by now.

    Attributes:
        rates: that were measured on this machine.
        images: of the dataset.
        states: how much of it is embedded, by model.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.rates = KnownRates()
        self.images = 0
        self.states: Mapping[str, CacheState] = {}

    def of(self, checkpoint: Checkpoint) -> EmbeddingCost:
        """Return what it costs to embed the images that are not embedded with a model yet."""
        state = self.states.get(checkpoint.slug)
        missing = self.images if state is None else max(0, state.total - state.embedded - state.failed)
        return embedding_cost(checkpoint, self._weights.status(checkpoint), missing, self.rates)
