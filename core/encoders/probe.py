"""A few pictures that are always here, to try an encoder on: those of the bundled sample."""

from __future__ import annotations

from functools import cache

from PIL.Image import Image

from visexplore.core.datasets import open_dataset
from visexplore.core.images import decode


@cache
def probe_pictures(count: int = 8) -> tuple[Image, ...]:
    """Return `count` RGB pictures of different objects of the bundled sample, the same each time."""
    sample = open_dataset("sample")
    step = max(1, len(sample.records) // count)
    return tuple(decode(sample.read(record)) for record in sample.records[::step][:count])
