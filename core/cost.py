"""What embedding a dataset with a model will cost: time, memory, disk, download. Arithmetic alone, nothing is loaded.

Time comes from rates that were measured on this machine. That of a model which never ran here is guessed from the model
that comes nearest to it in work: transformers and convolutional networks use most of their parameters once for each
patch of the input, so the work for an image is about parameters x (side of the input / side of a patch)^2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from visexplore.core.catalogue import Checkpoint, WeightsStatus
from visexplore.core.text import count, printable

ALLOWANCE = 1_300_000_000
"""Bytes of memory for what is no parameter: the libraries, pictures on their way, a batch inside the network.

The engine takes 1.3 to 1.4 GB of main memory with EfficientNet-Lite0, whose parameters are 20 MB of that.
"""

_BYTES_OF_A_NUMBER = 2  # embeddings are stored as float16
_BYTES_OF_A_PARAMETER, _ON_A_GPU = 4, 2  # float32; half precision, where a probe allows it
_PATCH = 16  # pixels of its side, where the name tells no other; convolutional networks come near to it too
_PATCH_IN_NAME = re.compile(r"patch(\d+)|-[bslhg](\d\d)\b")
_SMALLEST_PATCH = 8  # smaller ones are merged inside the network


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a model embedded on this machine.

    Attributes:
        model: slug of the checkpoint.
        device: `cpu`, `cuda:0`.
        model_rate: images a second of the model alone, on ready pixels.
        overall_rate: with reading, decoding and writing; None where it was not measured.
        bottleneck: what set the pace of that.
        device_memory: bytes of the device, at most; None on a CPU.
        work: of the model for an image, as `work` has it; None where that is not known.
    """

    model: str
    device: str
    model_rate: float
    overall_rate: float | None = None
    bottleneck: str = ""
    device_memory: int | None = None
    work: float | None = None


@dataclass(frozen=True, slots=True)
class KnownRates:
    """The rates that were measured on one device of this machine, the latest first."""

    measured: tuple[Rate, ...] = ()

    @classmethod
    def on(cls, device: str, measured: Sequence[Rate]) -> KnownRates:
        """Return those of a device, the latest first; `auto` is the device that was used last."""
        if device == "auto" and measured:
            device = measured[0].device
        kind = device.partition(":")[0]
        return cls(tuple(rate for rate in measured if rate.device.partition(":")[0] == kind))

    def of(self, model: str) -> Rate | None:
        """Return the latest rate of a model; all its poolings are as fast."""
        name = model.partition("@")[0]
        return next((rate for rate in self.measured if rate.model.partition("@")[0] == name), None)

    @property
    def of_input(self) -> float | None:
        """Images a second that are read and decoded here, as far as any model was fast enough to tell."""
        held_up = [rate.overall_rate for rate in self.measured if rate.bottleneck in ("reading", "decoding")]
        return next((rate for rate in held_up if rate), None)


@dataclass(frozen=True, slots=True)
class EmbeddingCost:
    """What it takes to embed so many images with a model; None where that is not known.

    Attributes:
        images: to embed.
        seconds: of the embedding itself.
        is_guess: the seconds come from another model.
        memory: bytes, an estimate unless it was measured.
        disk: bytes of the embeddings.
        download: bytes of the weights, 0 if they are here, None if it is not known how many.
        licence: of the weights; empty where unknown.
    """

    images: int
    seconds: float | None
    is_guess: bool
    memory: int | None
    disk: int | None
    download: int | None
    licence: str

    def words(self) -> str:
        """Return for example `about 14 min, about 3.1 GB memory, 5 MB on disk, download 1.2 GB, licence MIT`."""
        return ", ".join(self._parts())

    def time_in_words(self) -> str:
        """Return for example `about 14 min (a guess)`; empty where it is not known."""
        if self.seconds is None:
            return ""
        return f"about {time_in_words(self.seconds)}" + (" (a guess)" if self.is_guess else "")

    def _parts(self) -> Iterator[str]:
        if self.seconds is not None:
            yield self.time_in_words()
        if self.memory is not None:
            yield f"about {size_in_words(self.memory)} memory"
        if self.disk is not None:
            yield f"{size_in_words(self.disk)} on disk"
        if self.download is None:
            yield "a download of unknown size"
        elif self.download:
            yield f"download {size_in_words(self.download)}"
        if self.licence:
            yield f"licence {printable(self.licence)}"

    def line(self) -> str:
        """Return for example `713 images: about 14 min, 5 MB on disk`."""
        words = self.words()
        return count(self.images, "image") + (f": {words}" if words else "")


def embedding_cost(checkpoint: Checkpoint, status: WeightsStatus, images: int, rates: KnownRates) -> EmbeddingCost:
    """Return what embedding so many images with a model costs.

    Args:
        checkpoint: the model.
        status: where its weights are.
        images: that are not embedded yet.
        rates: measured on the device that it would run on.
    """
    measured = rates.of(checkpoint.slug)
    seconds = _seconds(checkpoint, images, rates)
    download: int | None = 0
    if status is WeightsStatus.TO_DOWNLOAD:
        download = round(checkpoint.weights_mb * 1e6) if checkpoint.weights_mb else None
    return EmbeddingCost(
        images=images,
        seconds=seconds,
        is_guess=seconds is not None and measured is None,
        memory=(measured and measured.device_memory) or _memory(checkpoint, rates),
        disk=images * checkpoint.dim * _BYTES_OF_A_NUMBER if checkpoint.dim else None,
        download=download,
        licence=checkpoint.licence,
    )


def total(costs: Sequence[EmbeddingCost]) -> EmbeddingCost:
    """Return what several models cost one after the other; seconds are None as soon as those of one are."""
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    downloads = [cost.download for cost in costs if cost.download is not None]
    return EmbeddingCost(
        images=sum(cost.images for cost in costs),
        seconds=sum(seconds) if len(seconds) == len(costs) else None,
        is_guess=any(cost.is_guess for cost in costs),
        memory=max((cost.memory for cost in costs if cost.memory is not None), default=None),
        disk=sum(cost.disk or 0 for cost in costs),
        download=sum(downloads) if len(downloads) == len(costs) else None,
        licence="",
    )


def _seconds(checkpoint: Checkpoint, images: int, rates: KnownRates) -> float | None:
    measured = rates.of(checkpoint.slug)
    if measured is not None and measured.overall_rate:
        return images / measured.overall_rate
    model_rate = measured.model_rate if measured is not None else _guessed_rate(checkpoint, rates)
    if not model_rate:
        return None
    return images / min(model_rate, rates.of_input or math.inf)


def _guessed_rate(checkpoint: Checkpoint, rates: KnownRates) -> float | None:
    """Return the rate of the measured model that is nearest in work, scaled to the work of this one."""
    own = work(checkpoint)
    known = [(rate.model_rate, rate.work) for rate in rates.measured if rate.work]
    if own is None or not known:
        return None
    rate, others = min(known, key=lambda pair: abs(math.log(pair[1] / own)))
    return rate * others / own


def work(checkpoint: Checkpoint) -> float | None:
    """Return roughly how many multiplications a model needs for an image; None where it is not known."""
    parameters, side = _parameters(checkpoint), checkpoint.input_size
    if parameters is None or side is None:
        return None
    named = _PATCH_IN_NAME.search(f"{checkpoint.id} {checkpoint.slug}")
    patch = int(named[1] or named[2]) if named else _PATCH
    return parameters * (side / (patch if patch >= _SMALLEST_PATCH else _PATCH)) ** 2


def _parameters(checkpoint: Checkpoint) -> float | None:
    millions = checkpoint.image_tower_parameters_m or checkpoint.parameters_m
    return None if millions is None else millions * 1e6


def _memory(checkpoint: Checkpoint, rates: KnownRates) -> int | None:
    parameters = _parameters(checkpoint)
    if parameters is None:
        return None
    on_a_gpu = bool(rates.measured) and rates.measured[0].device != "cpu"
    return round(parameters * (_ON_A_GPU if on_a_gpu else _BYTES_OF_A_PARAMETER)) + ALLOWANCE


def time_in_words(seconds: float) -> str:
    """Return for example `5 s`, `14 min`, `3.5 h` or `2 days`: as exact as an estimate is."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds)) if seconds < 10 else math.ceil(seconds / 5) * 5} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        hours = seconds / 3600
        return f"{hours:.1f} h" if hours < 9.95 else f"{hours:.0f} h"
    return f"{seconds / 86400:,.0f} days"


def size_in_words(size: int) -> str:
    """Return for example `30 kB`, `5 MB` or `1.2 GB` (powers of ten)."""
    if size < 999_500:
        return f"{max(1, round(size / 1e3)) if size else 0} kB"
    if size < 999_500_000:
        return f"{size / 1e6:.1f} MB" if size < 9_950_000 else f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:,.1f} GB"
