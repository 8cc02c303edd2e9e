"""Where the weights of models are, and what a user would have to spend to embed with one."""

from __future__ import annotations

import importlib.util

from visexplore.core.catalogue import LIBRARIES, OUTSIDE, Checkpoint, WeightsStatus, runs_here, weights_status
from visexplore.core.cost import EmbeddingCost
from visexplore.core.text import count, printable


class Weights:
    """Where the weights of each checkpoint were when it was last looked at.

    Looking is cheap once and not seventy times a key: each look goes through folders of the hub's cache.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[WeightsStatus, bool]] = {}

    def status(self, checkpoint: Checkpoint) -> WeightsStatus:
        """Return where its weights are."""
        return self._look(checkpoint)[0]

    def run_here(self, checkpoint: Checkpoint) -> bool:
        """Whether it can embed on this machine at once."""
        return self._look(checkpoint)[1]

    def forget(self, checkpoint: Checkpoint) -> None:
        """Look again when it is asked for next: its weights may have come."""
        self._known.pop(checkpoint.weights, None)

    def _look(self, checkpoint: Checkpoint) -> tuple[WeightsStatus, bool]:
        known = self._known.get(checkpoint.weights)  # which all its poolings share
        if known is None:
            status = weights_status(checkpoint)
            is_here = status in (WeightsStatus.BUNDLED, WeightsStatus.ON_DISK) and runs_here(checkpoint)
            known = self._known[checkpoint.weights] = status, is_here
        return known


def download_size(checkpoint: Checkpoint) -> str:
    """Return for example `605 MB`; empty where it is not known beforehand."""
    return f"{checkpoint.weights_mb:,.0f} MB" if checkpoint.weights_mb else ""


def short_status(checkpoint: Checkpoint, status: WeightsStatus) -> str:
    """Return `bundled`, `on disk`, `unreleased`, or what has to be downloaded."""
    if status is WeightsStatus.TO_DOWNLOAD:
        return download_size(checkpoint) or "to download"
    return status.value


def what_embedding_costs(checkpoint: Checkpoint, status: WeightsStatus, cost: EmbeddingCost) -> str:
    """Say what has to be spent to see neighbours under a model, and that `e` does it."""
    slug = printable(checkpoint.slug)
    library = LIBRARIES[checkpoint.loader]
    if importlib.util.find_spec(library) is None:  # better said before a download than after it
        extra = ": install visexplore[diffusion]" if library == "diffusers" else ""
        return f"{slug} needs {library}, which is not installed{extra}."
    if status is not WeightsStatus.TO_DOWNLOAD:
        return f"Not embedded with {slug} yet: press e to embed {cost.line()}."
    if checkpoint.family == OUTSIDE:  # a name may be short for a repository that only the loading library knows
        return (
            f"Not embedded with {slug} yet: press e to download its weights, unless they are here, "
            f"and embed {count(cost.images, 'image')}."
        )
    return f"{slug} is not on this machine: press e to download it and embed {cost.line()}."


def what_a_query_from_outside_costs(checkpoint: Checkpoint) -> str:
    """Say why a model that the images are embedded with cannot take a new picture or a text, and what `e` does."""
    return (
        f"The images are embedded with {printable(checkpoint.slug)}, but a query from outside needs the model itself: "
        f"press e to download {_parcel(checkpoint)}."
    )


def _parcel(checkpoint: Checkpoint) -> str:
    size = download_size(checkpoint) or "its weights"
    return f"{size} (licence: {printable(checkpoint.licence)})" if checkpoint.licence else size
