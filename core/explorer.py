"""The one object that ties catalogue, datasets, encoders, embeddings and search together.

The command line, the engine process and Python programs call it:

    explorer = Explorer(load_settings())
    for progress in explorer.embed("~/photos", ["efficientnet-lite0"]): ...
    result = explorer.query("~/photos", ["efficientnet-lite0"], image_id="cats/7.jpg")
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from PIL.Image import Image

from visexplore.core import hub
from visexplore.core.catalogue import Catalogue, Checkpoint, WeightsStatus, load_catalogue, weights_status
from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.embedding.lane import TICK, Lane
from visexplore.core.embedding.pipeline import Pipeline
from visexplore.core.embedding.store import Store, StoreInfo, list_stores, storage_error, store_path
from visexplore.core.encoders import (
    STANDARD,
    Encoder,
    Recipe,
    check_library,
    check_text_tower,
    load_encoder,
    locate,
    recipe_of,
)
from visexplore.core.encoders.device import AUTO
from visexplore.core.encoders.loaded import LoadedEncoders
from visexplore.core.errors import CannotLoadModel, NotEmbedded, StorageError, StoreBusy, UnreadableImage, UserError
from visexplore.core.images import ThumbnailCache, decode, thumbnail
from visexplore.core.messages import (
    Bottleneck,
    CacheState,
    EmbedReport,
    ModelResult,
    Neighbour,
    Picture,
    Progress,
    Query,
    QueryResult,
    SkippedImage,
)
from visexplore.core.report.strip import strip_name, strip_of
from visexplore.core.search.index import Index, open_index
from visexplore.core.settings import Settings


@dataclass(slots=True)
class _Searchable:
    """A store and its index, valid while the store's stamp and the dataset stay as they are."""

    store: Store
    dataset: Dataset
    index: Index
    stamp: str


class Explorer:
    """Embeds datasets and answers queries; one instance may be used from several threads.

    Args:
        settings: where files are and whether the network may be used.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `float32`, `bf16` or `fp16`; `auto` is float32 on a CPU, and on a GPU half precision where a probe
            shows that it stays within cosine 0.999 of float32.
        batch_size: images of a batch; None leaves it to the encoder.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        device: str = "auto",
        precision: str = AUTO,
        batch_size: int | None = None,
    ) -> None:
        self.settings = settings
        self._device = device
        self._precision = precision
        self._batch_size = batch_size
        self._datasets: dict[str, Dataset] = {}
        self._encoders = LoadedEncoders(self._load)
        self._searchables: dict[tuple[str, str], _Searchable] = {}
        self._stores: dict[Path, Store] = {}
        self._catalogue: Catalogue | None = None
        self._lock = threading.RLock()  # of the dictionaries above
        self._thumbnails = ThumbnailCache(settings.thumbnails, settings.thumbnails_mb * 1_000_000)

    @property
    def catalogue(self) -> Catalogue:
        """The bundled catalogue and the user's own entries.

        Raises:
            CatalogueError: the user's file does not follow the schema.
        """
        if self._catalogue is None:
            self._catalogue = load_catalogue(self.settings.models_file)
        return self._catalogue

    def dataset(self, spec: str, *, rescan: bool = False) -> Dataset:
        """Return the dataset that `spec` names, listed once unless a rescan is asked for.

        Raises:
            UnknownDataset, EmptyDataset: as `open_dataset`.
        """
        with self._lock:
            if rescan or spec not in self._datasets:
                self._datasets[spec] = open_dataset(spec, offline=self.settings.offline)
            return self._datasets[spec]

    def recipe(self, model: str) -> Recipe:
        """Return the recipe under which `model` embeds here; nothing is loaded.

        Raises:
            UnknownModel, CannotLoadModel, UserError: there is no such model, loader or precision.
        """
        return recipe_of(self.checkpoint(model), self._precision)

    def checkpoint(self, model: str) -> Checkpoint:
        """Return the catalogue entry that `model` means, or an entry made for an id outside the catalogue.

        Raises:
            UnknownModel, CannotLoadModel: there is no such model, or its weights are on no hub.
        """
        return locate(self.catalogue.resolve(model))

    def encoder(self, model: str) -> Encoder:
        """Return the loaded encoder of `model`; those used last stay loaded as long as there is room.

        Raises:
            UnknownModel, CannotLoadModel, UserError: as `load_encoder`.
        """
        return self._encoders.get(self.checkpoint(model))

    def _load(self, checkpoint: Checkpoint) -> Encoder:
        encoder = load_encoder(
            checkpoint, device=self._device, precision=self._precision, trusted_code=self.settings.trusted_code
        )
        if self._batch_size:
            encoder.batch_size = self._batch_size
        return encoder

    def fetch(self, models: Sequence[str], *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Download the weights that are not on this machine yet; yields progress, for each model once at the end.

        Args:
            models: catalogue names or ids outside it.
            cancelled: asked several times a second; what has come by then is kept and not fetched again.

        Raises:
            UnknownModel: there is no such model.
            CannotLoadModel: its weights cannot be had: the sentence says why.
            StorageError: the hub's cache cannot be written, or its disk is full.
        """
        for checkpoint in self._distinct(models):
            yield from self._fetch(checkpoint, cancelled)

    def _fetch(self, checkpoint: Checkpoint, cancelled: Callable[[], bool]) -> Iterator[Progress]:
        if weights_status(checkpoint) is WeightsStatus.BUNDLED or checkpoint.folder:
            return
        trusted = checkpoint.hub_id in self.settings.trusted_code
        # Code that has become trusted since may still have to be fetched.
        if hub.snapshot(checkpoint) and (not trusted or self.settings.offline):
            return
        recipe_of(checkpoint, self._precision)  # nothing is fetched for what could not be embedded with
        check_library(checkpoint)
        for transfer in hub.fetch(
            checkpoint, offline=self.settings.offline, cancelled=cancelled, trust_remote_code=trusted
        ):
            yield Progress(
                checkpoint.slug,
                "downloading",
                eta_seconds=transfer.eta_seconds,
                bytes_done=transfer.done,
                bytes_total=transfer.total,
                bytes_per_second=transfer.bytes_per_second,
            )

    def embed(
        self,
        spec: str,
        models: Sequence[str],
        *,
        limit: int | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        wait: bool = True,
    ) -> Iterator[Progress | EmbedReport]:
        """Embed what is new or changed in a dataset; yields progress, at the end a report for each model.

        Images are decoded once for all models. What is embedded when the iterator is closed, cancelled or fails
        stays embedded.

        Args:
            spec: names the dataset; it is listed afresh.
            models: catalogue names or ids outside it.
            limit: look at the first so many images only.
            cancelled: asked several times a second.
            wait: for another process that embeds the same; if not, it is an error.

        Raises:
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError, StoreBusy: see there.
        """
        checkpoints = self._distinct(models)
        dataset = self.dataset(spec, rescan=True)
        for checkpoint in checkpoints:
            yield from self._fetch(checkpoint, cancelled)
        recipes = [recipe_of(checkpoint, self._precision) for checkpoint in checkpoints]
        records = dataset.records[:limit]
        started = time.monotonic()
        locks = []
        writer = ThreadPoolExecutor(1, "writer")
        try:
            lanes = [
                Lane(
                    checkpoint.slug,
                    self._store(dataset, checkpoint, recipe),
                    lambda c=checkpoint: self._encoders.get(c),  # type: ignore[misc]
                    writer,
                )
                for checkpoint, recipe in zip(checkpoints, recipes, strict=True)
            ]
            # In the same order in every process: two that want the same locks must not wait for each other.
            for lane in sorted(lanes, key=lambda lane: lane.store.path):
                if lane.store.missing(records):
                    lock = yield from _take_lock(lane.store, lane.model, cancelled, wait)
                    if lock is not None:
                        locks.append(lock)
            bottleneck: Bottleneck = ""
            if not cancelled():
                pipeline = Pipeline(dataset, records, lanes, cancelled)
                yield from pipeline.run()
                bottleneck = pipeline.bottleneck
        finally:
            writer.shutdown()
            for lock in locks:
                lock.release()
        seconds = time.monotonic() - started
        for lane in lanes:
            known = {record.image_id: entry for record in records if (entry := lane.store.known(record))}
            skipped = [SkippedImage(image_id, entry.error) for image_id, entry in known.items() if not entry.ok]
            yield EmbedReport(
                model=lane.model,
                dataset=dataset.spec,
                images=len(records),
                embedded=lane.embedded,
                reused=len(known) - len(skipped) - lane.embedded,
                skipped=tuple(skipped),
                seconds=seconds,
                images_per_second=lane.embedded / seconds if lane.embedded else 0.0,
                bottleneck=bottleneck,
                store=str(lane.store.path),
                precision=lane.precision,
                remarks=lane.remarks,
                cancelled=cancelled(),
            )

    def query(
        self,
        spec: str,
        models: Sequence[str],
        *,
        image_id: str | None = None,
        image: bytes | None = None,
        name: str = "",
        text: str = "",
        k: int = 5,
    ) -> QueryResult:
        """Return the `k` nearest images of a dataset to one of its own, to an outside picture, or to a text.

        An image of the dataset is left out of its own neighbours and uses its stored embedding: no model is
        loaded for it.

        Args:
            spec: names the dataset.
            models: catalogue names or ids outside it.
            image_id: of an image of the dataset; or
            image: bytes of a picture file, and
            name: what to call that picture in the result; or
            text: what the images should show, in words.
            k: how many neighbours.

        Raises:
            UnknownImage, UnreadableImage: the query is not there or is no picture.
            NotEmbedded: nothing of the dataset is embedded under a model.
            NoTextTower: a model cannot search by text.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError: see there.
        """
        dataset = self.dataset(spec)
        if image_id is not None:
            record = dataset.record(image_id)
            query = Query(record.image_id, record.path, record.label)
        elif image is not None:
            query = Query(path=name)
        elif text.strip():
            query = Query(text=text)
        else:
            raise UserError("There is nothing to search with", "Give an image id, the bytes of a picture, or a text.")
        checkpoints = self._distinct(models)
        for checkpoint in checkpoints if query.text else ():
            check_text_tower(checkpoint)
        results = [self._search(dataset, checkpoint, image_id, image, text, k) for checkpoint in checkpoints]
        return QueryResult(dataset.spec, query, tuple(results))

    def _search(
        self, dataset: Dataset, checkpoint: Checkpoint, image_id: str | None, image: bytes | None, text: str, k: int
    ) -> ModelResult:
        searchable = self._searchable(dataset, checkpoint)
        index = searchable.index
        if len(index) == 0:
            raise NotEmbedded(
                f"{dataset.title} is not embedded with {checkpoint.slug} yet",
                f"Run: visexplore embed {dataset.spec} -m {checkpoint.slug}",
            )
        position = None if image_id is None else dataset.position_of[image_id]
        started = time.perf_counter()
        vector = None if position is None else index.vector(position)
        if vector is None:
            encoder = self._encoders.get(checkpoint)
            started = time.perf_counter()
            if image is None and image_id is None:
                vector = encoder.embed_texts([text])[0]
            else:
                picture = decode(image if image is not None else dataset.read(dataset.record(image_id or "")))
                vector = encoder.embed_images(encoder.preprocess(picture)[None])[0]
        positions, scores = index.search(vector, k, leave_out=position)
        neighbours = []
        for rank, (hit, score) in enumerate(zip(positions, scores, strict=True), start=1):
            record = dataset.records[int(hit)]
            neighbours.append(Neighbour(rank, record.image_id, record.path, float(score), record.label))
        return ModelResult(
            model=checkpoint.slug,
            recipe=searchable.store.recipe.digest,
            dim=index.dim,
            seconds=time.perf_counter() - started,
            gallery=len(index),
            neighbours=tuple(neighbours),
        )

    def save_strips(
        self, found: QueryResult, models: Sequence[str], folder: Path, *, image: bytes | None = None
    ) -> list[Path]:
        """Write one JPEG a model: the query and its nearest images side by side.

        The files are `folder/<dataset>/<checkpoint id with _ for />_query.jpg`; one that is there is replaced.

        Args:
            found: a result of `query`,
            models: and the models that it was asked of.
            folder: where to; it is made where it is missing.
            image: the bytes of an outside picture that was searched with.

        Raises:
            UnreadableImage: the query's picture cannot be read.
            StorageError: a file cannot be written.
        """
        dataset = self.dataset(found.dataset)
        asked = None
        if not found.query.text:
            asked = decode(dataset.read(dataset.record(found.query.image_id)) if image is None else image)
        written = []
        for checkpoint, result in zip(self._distinct(models), found.results, strict=True):
            family = next((family for family in self.catalogue.families if family.id == checkpoint.family), None)
            public = f"{family.name}, {family.first_public}" if family else checkpoint.id
            strip = strip_of(
                result,
                found.query,
                asked,
                [self._picture_of(dataset, neighbour.image_id) for neighbour in result.neighbours],
                title=checkpoint.slug,
                facts=f"{public}   {result.dim:,} numbers   {result.gallery:,} images",
            )
            file = folder / dataset.slug / strip_name(checkpoint)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                strip.save(file, quality=92)
            except OSError as error:
                raise StorageError(
                    f"{file} cannot be written ({error.strerror or error})", "Name another folder or free some space."
                ) from error
            written.append(file)
        return written

    def _picture_of(self, dataset: Dataset, image_id: str) -> Image | None:
        try:
            return decode(dataset.read(dataset.record(image_id)))
        except UnreadableImage:  # it was readable when it was embedded: the strip leaves its place empty
            return None

    def cache_states(self, spec: str) -> list[CacheState]:
        """Return how much of the dataset is embedded, for each model that has begun with it."""
        dataset = self.dataset(spec)
        states = []
        for info in self.stores():
            # Specs that differ only in which column is the label have one folder: a new label embeds nothing anew.
            if info.path.parent.name != dataset.slug or not self._is_current(info):
                continue
            store = self._opened(info.path, dataset, info.model, info.recipe)
            known = [entry for record in dataset.records if (entry := store.known(record))]
            embedded = sum(entry.ok for entry in known)
            states.append(CacheState(info.model, embedded, len(known) - embedded, len(dataset)))
        return states

    def skipped(self, spec: str, model: str) -> list[SkippedImage]:
        """Return the images that could not be embedded, with the reasons."""
        dataset = self.dataset(spec)
        checkpoint = self.checkpoint(model)
        store = self._store(dataset, checkpoint, recipe_of(checkpoint, self._precision))
        return [
            SkippedImage(record.image_id, known.error)
            for record in dataset.records
            if (known := store.known(record)) and not known.ok
        ]

    def thumbnail(self, spec: str, image_id: str) -> Picture:
        """Return a small picture of an image of the dataset.

        Raises:
            UnknownImage, UnreadableImage: it is not there or is no picture.
        """
        dataset = self.dataset(spec)
        image = self._thumbnails.get(dataset.read(dataset.record(image_id)))
        return Picture(image.width, image.height, image.tobytes())

    def picture(self, data: bytes, side: int) -> Picture:
        """Return a picture file, made to fit a square of `side` pixels.

        Raises:
            UnreadableImage: it is no picture.
        """
        image = thumbnail(decode(data, shortest_side=side), side)
        return Picture(image.width, image.height, image.tobytes())

    def stores(self) -> list[StoreInfo]:
        """Return what is stored below the home folder."""
        return list_stores(self.settings.home)

    def remove_store(self, store: StoreInfo) -> None:
        """Delete the embeddings of one dataset under one recipe.

        Raises:
            StoreBusy: another process is embedding into it.
            StorageError: the folder cannot be deleted.
        """
        try:
            with FileLock(store.path / ".lock", timeout=0):
                shutil.rmtree(store.path)
        except Timeout as error:
            raise StoreBusy(
                f"Another process is embedding {store.title} with {store.model}",
                "Wait for it to end, then start again.",
            ) from error
        except OSError as error:
            raise storage_error(error, store.path) from error
        with self._lock:
            self._stores.pop(store.path, None)
            self._searchables.clear()

    def _distinct(self, models: Sequence[str]) -> list[Checkpoint]:
        by_key = {(checkpoint := self.checkpoint(model)).key: checkpoint for model in models}
        if not by_key:
            raise UserError("No model is named", "Name one with -m: visexplore models lists them.")
        return list(by_key.values())

    def _is_current(self, info: StoreInfo) -> bool:
        """Whether a store's recipe is what its model would be embedded with now."""
        pooling = "" if info.recipe.pooling == STANDARD else f"@{info.recipe.pooling}"
        try:
            return self.recipe(f"{info.recipe.checkpoint}{pooling}") == info.recipe
        except (UserError, CannotLoadModel):
            return False

    def _store(self, dataset: Dataset, checkpoint: Checkpoint, recipe: Recipe) -> Store:
        path = store_path(self.settings.home, dataset, checkpoint.slug, recipe)
        return self._opened(path, dataset, checkpoint.slug, recipe)

    def _opened(self, path: Path, dataset: Dataset, model: str, recipe: Recipe) -> Store:
        with self._lock:
            store = self._stores.get(path)
            if store is None:
                store = self._stores[path] = Store(path, dataset, model, recipe)
            else:
                store.refresh()
            return store

    def _searchable(self, dataset: Dataset, checkpoint: Checkpoint) -> _Searchable:
        store = self._store(dataset, checkpoint, recipe_of(checkpoint, self._precision))
        key = (dataset.spec, checkpoint.key)
        with self._lock:
            known = self._searchables.get(key)
            stamp = store.stamp()  # before the index is made: a shard written meanwhile makes it anew next time
            if known is None or known.dataset is not dataset or known.stamp != stamp:
                known = _Searchable(store, dataset, open_index(store, dataset), stamp)
                self._searchables[key] = known
            return known


def _take_lock(
    store: Store, model: str, cancelled: Callable[[], bool], wait: bool
) -> Generator[Progress, None, FileLock | None]:
    """Take the store's lock; while another process has it, yield progress and try again. Returns the lock."""
    while not cancelled():
        try:
            return store.lock()
        except StoreBusy:
            if not wait:
                raise
        yield Progress(model, "waiting")
        time.sleep(TICK)
    return None
