"""What a model costs on this machine, in words: its memory, its speed, its time for the opened dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from visexplore.core.catalogue import WeightsStatus
from visexplore.core.cost import EmbeddingCost, Rate, size_in_words


@dataclass(frozen=True, slots=True)
class Here:
    """What this machine knows of a model.

    Attributes:
        status: where its weights are.
        cost: of embedding those images of the opened dataset that are not embedded with it.
        measured: how fast it was when it embedded; None if it never did.
        is_open: whether there is a dataset.
    """

    status: WeightsStatus
    cost: EmbeddingCost
    measured: Rate | None = None
    is_open: bool = False


def costs(here: Here) -> Iterator[tuple[str, str]]:
    """Yield names and values; what was measured and what is estimated say so."""
    if here.status is WeightsStatus.UNRELEASED:
        return
    measured, cost = here.measured, here.cost
    if measured is not None and measured.device_memory is not None:
        yield "memory", f"{size_in_words(measured.device_memory)} of {measured.device} at most, measured"
    elif cost.memory is not None:
        yield "memory", f"about {size_in_words(cost.memory)} (an estimate)"
    if measured is not None:
        yield "speed", f"{rate(measured.model_rate)} images/s, measured on {measured.device}"
    else:
        yield "speed", "not measured here yet: embedding measures it"
    if here.is_open:
        yield ("e embeds", cost.line()) if cost.images else ("this dataset", "all of it is embedded")


def rate(images_per_second: float) -> str:
    """Return for example `143` or `2.7`."""
    return f"{images_per_second:,.0f}" if images_per_second >= 10 else f"{images_per_second:.1f}"
