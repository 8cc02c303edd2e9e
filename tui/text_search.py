"""Which models can be searched with words, and what is said of those that cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from visexplore.core.catalogue import OUTSIDE, Checkpoint
from visexplore.core.messages import CacheState
from visexplore.core.text import printable
from visexplore.tui.weights import Weights, download_size

_NAMED = 2  # models that a sentence names


def takes_text(checkpoint: Checkpoint) -> bool:
    """Whether a text can be searched with; of models outside the catalogue that is known only once they are loaded."""
    if checkpoint.pooling_choice not in ("", "projected"):
        return False
    return checkpoint.has_text_tower or checkpoint.family == OUTSIDE


def why_not(checkpoint: Checkpoint) -> str:
    """Begin a sentence about a model that no text can be searched with."""
    slug = printable(checkpoint.slug)
    if checkpoint.pooling_choice not in ("", "projected"):
        return f"{slug} keeps vectors that no text can be compared with"
    return f"{slug} embeds images only and cannot search by text"


class TextModels:
    """The models that can be searched with words, the most convenient first.

    That is: those that answer at once, then those that run here, then those to download, the smallest first.

    Args:
        checkpoints: among which to look.
        states: how much of the dataset is embedded, by slug.
        weights: where the models are.
    """

    def __init__(self, checkpoints: Iterable[Checkpoint], states: Mapping[str, CacheState], weights: Weights) -> None:
        self._states = states
        self._weights = weights
        able = (c for c in checkpoints if c.has_text_tower and takes_text(c) and not c.unreleased)
        self._models = sorted(able, key=self._inconvenience)

    def _inconvenience(self, checkpoint: Checkpoint) -> tuple[bool, bool, float]:
        state = self._states.get(checkpoint.slug)
        is_embedded = state is not None and state.embedded > 0
        if self._weights.run_here(checkpoint):
            return False, not is_embedded, 0.0
        return True, not is_embedded, checkpoint.weights_mb or float("inf")

    @property
    def first(self) -> Checkpoint | None:
        """The most convenient one; None if there is none at all."""
        return self._models[0] if self._models else None

    def advice(self) -> str:
        """Return the rest of a sentence: who can, and how to get there."""
        here = [printable(c.slug) for c in self._models if self._weights.run_here(c)]
        if here:
            names = here if len(here) <= _NAMED + 1 else [*here[:_NAMED], f"{len(here) - _NAMED} more"]
            *before, last = names
            return (
                f"{', '.join(before)} and {last} can and run here: press m"
                if before
                else f"{last} can and runs here: press m"
            )
        if self.first is None:
            return "no model of the catalogue can"
        size = f" ({download_size(self.first)} to download)" if self.first.weights_mb else ""
        return f"the smallest that can is {printable(self.first.slug)}{size}: press m"

    def offer(self) -> str:
        """Say of the most convenient one what it has to recommend it."""
        if self.first is None:
            return ""
        state = self._states.get(self.first.slug)
        if not self._weights.run_here(self.first):
            size = download_size(self.first)
            return f"the smallest that can ({size} to download)" if size else "which has to be downloaded"
        return "which has embedded these images" if state and state.embedded else "which runs here"
