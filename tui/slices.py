"""Work of the screen's own process that may take long, done in slices between which keys are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

IMAGES = 2048
"""How many images a step of such work looks at: a millisecond, so that the clock is looked at often enough."""
_SECONDS = 0.004


async def in_slices[T](steps: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its result; whenever it has run for 4 ms, let others have their turn."""
    until = time.perf_counter() + _SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _SECONDS
