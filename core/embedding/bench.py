"""How fast each stage of embedding is alone, how fast all of them are together, and what the best possible would be."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.embedding.lane import Lane
from visexplore.core.embedding.pipeline import Pipeline
from visexplore.core.embedding.store import Store
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.errors import UnreadableImage, UserError
from visexplore.core.images import content_key, decode


@dataclass(frozen=True, slots=True)
class Rates:
    """Images a second of one model, each the median of some repeats in the same run.

    Attributes:
        model: slug.
        device: that the model ran on.
        precision: that it ran in.
        images: that were measured.
        batch_size: images of a batch.
        cores: that reading and decoding may use.
        repeats: how often each stage was measured.
        reading: bytes from the disk, warm after the first time, and their digest.
        decoding: bytes to a picture to the model's input.
        model_alone: ready input to embeddings, with batches in turn or side by side, whichever is faster.
        pipeline: everything together, embeddings written.
        ceiling: the least of reading, decoding and model; where they share the same cores, what those cores could do
            for all of them together.
        ratio: of the pipeline to the slowest stage alone.
        parameters: of the model.
        device_memory: bytes, the most that the model took; None on a CPU.
    """

    model: str
    device: str
    precision: str
    images: int
    batch_size: int
    cores: int
    repeats: int
    reading: float
    decoding: float
    model_alone: float
    pipeline: float
    ceiling: float
    ratio: float
    parameters: int | None
    device_memory: int | None


def bench(
    dataset: Dataset,
    encoder: Encoder,
    *,
    limit: int = 400,
    repeats: int = 3,
    cancelled: Callable[[], bool] = lambda: False,
) -> Rates | None:
    """Measure an encoder on the first images of a dataset that can be read; None where it was cancelled.

    The stages are measured in turn, again and again, so that what else the machine does falls on all of them. What is
    embedded is written to a folder of its own and deleted.

    Raises:
        UserError: none of the images can be read.
        OutOfDeviceMemory: not even one image fits the device.
    """
    records = _readable(dataset, limit, encoder)
    if not records:
        raise UserError(f"None of the first images of {dataset.title} can be read", "Choose another dataset.")
    data = [dataset.read(record) for record in records]
    pixels = _in_threads(lambda item: encoder.preprocess(decode(item)), data)
    batches = [np.stack(pixels[at : at + encoder.batch_size]) for at in range(0, len(pixels), encoder.batch_size)]
    _side_by_side(encoder, batches[: 2 * encoder.parallel_batches])  # warm it up
    stages: dict[str, Callable[[], object]] = {
        "reading": lambda: _in_threads(lambda record: content_key(dataset.read(record)), records),
        "decoding": lambda: _in_threads(lambda item: encoder.preprocess(decode(item)), data),
        "in turn": lambda: [encoder.embed_images(batch) for batch in batches],
        "side by side": lambda: _side_by_side(encoder, batches),
        "pipeline": lambda: _pipeline(dataset, records, encoder),
    }
    if encoder.parallel_batches == 1:
        del stages["side by side"]
    rates: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(repeats):
        for name, work in stages.items():
            if cancelled():
                return None
            started = time.perf_counter()
            work()
            rates[name].append(len(records) / (time.perf_counter() - started))
    median = {name: statistics.median(found) for name, found in rates.items()}
    model = max(median["in turn"], median.get("side by side", 0.0))
    slowest = min(median["reading"], median["decoding"], model)
    shared = 1 / (1 / median["decoding"] + 1 / model)
    return Rates(
        model=encoder.checkpoint.slug,
        device=encoder.device,
        precision=encoder.precision,
        images=len(records),
        batch_size=encoder.batch_size,
        cores=usable_cores(),
        repeats=repeats,
        reading=median["reading"],
        decoding=median["decoding"],
        model_alone=model,
        pipeline=median["pipeline"],
        ceiling=min(slowest, shared) if encoder.device == "cpu" else slowest,
        ratio=median["pipeline"] / slowest,
        parameters=encoder.parameters,
        device_memory=encoder.device_memory(),
    )


def _readable(dataset: Dataset, limit: int, encoder: Encoder) -> list[ImageRecord]:
    found: list[ImageRecord] = []
    for record in dataset.records:
        if len(found) == limit:
            break
        try:
            encoder.preprocess(decode(dataset.read(record)))
        except UnreadableImage:
            continue
        found.append(record)
    return found


def _in_threads[Item, Result](work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, items))


def _side_by_side(encoder: Encoder, batches: Sequence[Pixels]) -> None:
    with ThreadPoolExecutor(encoder.parallel_batches, initializer=encoder.prepare_thread) as pool:
        list(pool.map(encoder.embed_images, batches))


def _pipeline(dataset: Dataset, records: Sequence[ImageRecord], encoder: Encoder) -> None:
    with tempfile.TemporaryDirectory(prefix="visexplore-bench-") as folder, ThreadPoolExecutor(1) as writer:
        store = Store(Path(folder, "store"), dataset, encoder.checkpoint.slug, encoder.recipe)
        store.path.mkdir()
        for _ in Pipeline(dataset, records, [Lane(encoder.checkpoint.slug, store, lambda: encoder, writer)]).run():
            pass
