"""A real encoder that needs no torch: the colours of a 4 x 4 grid. Its embeddings can be compared bit by bit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visexplore.core.catalogue import Checkpoint
from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.embedding.lane import Lane
from visexplore.core.embedding.pipeline import Pipeline
from visexplore.core.embedding.store import Store, store_path
from visexplore.core.encoders import Encoder, Recipe
from visexplore.core.encoders.encoder import Embeddings, Pixels, normalise
from visexplore.core.messages import Progress


class GridEncoder(Encoder):
    """Mean colours of a 4 x 4 grid; counts the pictures that it prepares and embeds."""

    def __init__(self, name: str = "grid", batch_size: int = 4, parallel_batches: int = 2) -> None:
        self.checkpoint = Checkpoint(id=name, loader="timm")
        self.recipe = Recipe(f"test:{name}", "1", "16 x 16", "mean")
        self.preprocessing = "16 x 16 box"
        self.dim = 48
        self.device = "cpu"
        self.batch_size = batch_size
        self.parallel_batches = parallel_batches
        self.prepared = 0
        self.embedded = 0
        self.batches: list[int] = []
        self._counting = threading.Lock()

    def preprocess(self, image: Image.Image) -> Pixels:
        with self._counting:
            self.prepared += 1
        return np.asarray(image.resize((16, 16), Image.Resampling.BOX)).transpose(2, 0, 1).copy()

    def embed_images(self, batch: Pixels) -> Embeddings:
        with self._counting:
            self.embedded += len(batch)
            self.batches.append(len(batch))
        # Sums of integers: the same whatever else is in the batch.
        sums = batch.astype(np.int64).reshape(len(batch), 3, 4, 4, 4, 4).sum(axis=(3, 5))
        return normalise(sums.reshape(len(batch), -1) + 1.0)


def grid_store(home: Path, dataset: Dataset, encoder: Encoder) -> Store:
    """Open the store of a dataset under an encoder, as the explorer does."""
    name = encoder.checkpoint.slug
    return Store(store_path(home, dataset, name, encoder.recipe), dataset, name, encoder.recipe)


@dataclass(frozen=True)
class Run:
    """What came of one `embed`."""

    lanes: list[Lane]
    progress: list[Progress]
    bottleneck: str

    @property
    def store(self) -> Store:
        return self.lanes[0].store


def embed(
    dataset: Dataset,
    home: Path,
    *encoders: Encoder,
    records: Sequence[ImageRecord] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Run:
    """Embed a dataset with loaded encoders into the stores below `home`."""
    writer = ThreadPoolExecutor(1, "writer")
    stores = [grid_store(home, dataset, encoder) for encoder in encoders]
    locks = []
    try:
        locks = [store.lock() for store in stores]
        lanes = [
            Lane(encoder.checkpoint.slug, store, lambda e=encoder: e, writer)
            for encoder, store in zip(encoders, stores, strict=True)
        ]
        pipeline = Pipeline(dataset, dataset.records if records is None else records, lanes, cancelled)
        progress = []
        for step in pipeline.run():
            progress.append(step)
            on_progress(step)
    finally:
        writer.shutdown()
        for lock in locks:
            lock.release()
    return Run(lanes, progress, pipeline.bottleneck)


def contents(store: Store, dataset: Dataset) -> dict[str, bytes | str | None]:
    """Return for each image its embedding's bytes, or the reason why it has none, or None if it was not tried."""
    found: dict[str, bytes | str | None] = {}
    for record in dataset.records:
        known = store.known(record)
        if known is None:
            found[record.image_id] = None
        elif not known.ok:
            found[record.image_id] = known.error
        else:
            found[record.image_id] = store.embeddings([known.place])[0].tobytes()
    return found
