"""What a model costs when it embeds: measured on the batches of a run, and kept beside the embeddings."""

from __future__ import annotations

import contextlib
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from visexplore.core.encoders import Encoder

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
    """

    images_per_second: float
    device: str
    precision: str
    parameters: int | None
    device_memory: int | None
    batches: int


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
