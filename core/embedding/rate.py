"""What a model costs when it embeds: measured on the batches of a run, and kept beside the embeddings."""

from __future__ import annotations

import contextlib
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from visexplore.core.catalogue import Catalogue
from visexplore.core.cost import KnownRates, Rate, work
from visexplore.core.encoders import Encoder
from visexplore.core.errors import UnknownModel
from visexplore.core.messages import Bottleneck

_FILE = "cost.json"
_ENOUGH = 8  # batches; a run of fewer does not replace what an earlier one measured


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of a model alone: reading, decoding and writing are not in it.

    Attributes:
        images_per_second: of the model on ready pixels.
        device: that it ran on.
        precision: that it ran in.
        parameters: of what embeds images; None where there are none to count.
        device_memory: bytes, the most that was in use at once; None on a CPU.
        batches: how many were timed.
        model: slug of the checkpoint.
        overall: images a second of the whole run, reading, decoding and writing included; None where that is not known.
        bottleneck: what set the pace of that.
    """

    images_per_second: float
    device: str
    precision: str
    parameters: int | None
    device_memory: int | None
    batches: int
    model: str = ""
    overall: float | None = None
    bottleneck: Bottleneck = ""


def measured(encoder: Encoder, seconds_per_image: list[float]) -> Measured | None:
    """Return what the timed batches say; None without any.

    The first quarter of the fastest batches counts: the others shared the device with decoding and with other models,
    and the first one of all warmed it up.
    """
    if not seconds_per_image:
        return None
    fastest = sorted(seconds_per_image)[: max(1, len(seconds_per_image) // 4)]
    return Measured(
        images_per_second=encoder.parallel_batches / max(statistics.median(fastest), 1e-9),
        device=encoder.device,
        precision=encoder.precision,
        parameters=encoder.parameters,
        device_memory=encoder.device_memory(),
        batches=len(seconds_per_image),
        model=encoder.checkpoint.slug,
    )


def keep(folder: Path, found: Measured) -> None:
    """Write a measurement into a store, unless one of more batches is there; one that cannot be written is no error."""
    before = read(folder)
    if before and found.batches < min(_ENOUGH, before.batches):
        return
    fresh = folder / f"{_FILE}.part"
    with contextlib.suppress(OSError):
        fresh.write_text(json.dumps(asdict(found)), "utf-8")
        fresh.replace(folder / _FILE)


def read(folder: Path) -> Measured | None:
    """Return what was measured when a store was filled; None where nothing was."""
    try:
        return Measured(**json.loads((folder / _FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def known_rates(home: Path, catalogue: Catalogue, device: str) -> KnownRates:
    """Return how fast which models embedded on a device of this machine, on whatever dataset, the latest first.

    Args:
        home: where the stores are.
        catalogue: tells how much work a model is.
        device: `cpu`, `cuda`, `cuda:0`; `auto` is the one that was used last.
    """
    files = []
    for file in home.glob(f"embeddings/*/*/{_FILE}"):
        with contextlib.suppress(OSError):
            files.append((file.stat().st_mtime, file.parent))
    found = [measured for _, folder in sorted(files, reverse=True) if (measured := read(folder)) is not None]
    return KnownRates.on(device, [_rate(measured, catalogue) for measured in found])


def _rate(found: Measured, catalogue: Catalogue) -> Rate:
    try:
        of_an_image = work(catalogue.resolve(found.model))
    except UnknownModel:  # outside the catalogue, where its slug does not find it
        of_an_image = None
    return Rate(
        model=found.model,
        device=found.device,
        model_rate=found.images_per_second,
        overall_rate=found.overall,
        bottleneck=found.bottleneck,
        device_memory=found.device_memory,
        work=of_an_image,
    )
