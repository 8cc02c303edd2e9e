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
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL.Image import Image

from visexplore.core import hub
from visexplore.core.catalogue import BASELINES, Catalogue, Checkpoint, WeightsStatus, load_catalogue, weights_status
from visexplore.core.comparison import Comparison, Cost, score_title
from visexplore.core.cost import EmbeddingCost, KnownRates, embedding_cost
from visexplore.core.datasets import KINDS, Dataset, open_dataset
from visexplore.core.datasets.listing import usual_folder
from visexplore.core.embedding import rate
from visexplore.core.embedding.bench import Rates, bench
from visexplore.core.embedding.lane import TICK, Lane
from visexplore.core.embedding.pipeline import Pipeline
from visexplore.core.embedding.store import Store, StoreInfo, list_stores, storage_error, store_path
from visexplore.core.embedding.vectors_file import read_vectors
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
from visexplore.core.encoders.device import AUTO, choose_device
from visexplore.core.encoders.loaded import LoadedEncoders
from visexplore.core.errors import CannotLoadModel, NotEmbedded, StorageError, StoreBusy, UnreadableImage, UserError
from visexplore.core.evaluation.background import background_of
from visexplore.core.evaluation.disputed import disagreements
from visexplore.core.evaluation.projection import Method, Projection
from visexplore.core.evaluation.proxies import PERTURBATIONS, perturb, self_retrieval
from visexplore.core.evaluation.searchable import Searchable
from visexplore.core.evaluation.similarities import MOST, cosines, similarities
from visexplore.core.evaluation.space import EmbeddingSpace, Space
from visexplore.core.evaluation.verdict import KS, MAIN, Contender, cost_together, judge
from visexplore.core.evaluation.virtual import Virtual, build, parse
from visexplore.core.image_facts import Copies, image_facts, write_paths
from visexplore.core.images import ThumbnailCache, decode, thumbnail
from visexplore.core.messages import (
    Bottleneck,
    Box,
    CacheState,
    Disagreements,
    EmbedReport,
    ImageFacts,
    KnownDataset,
    ModelResult,
    Neighbour,
    Picture,
    Progress,
    Query,
    QueryPart,
    QueryResult,
    Similarities,
    SkippedImage,
)
from visexplore.core.query_image import read_query_image
from visexplore.core.query_mix import query_of
from visexplore.core.report.strip import strip_name, strip_of
from visexplore.core.search.index import Index, open_index
from visexplore.core.search.query_vector import QueryVector, cropped
from visexplore.core.settings import Settings

_VIRTUAL_KEPT = 16  # virtual models whose space stays in memory
_WORTH_A_GPU = 400_000_000  # similarities: 20,000 queries in as many images


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
        self._searchables: dict[tuple[str, str], Searchable] = {}
        self._virtual: dict[tuple[str, str], tuple[Space, dict[str, Searchable]]] = {}
        self._stores: dict[Path, Store] = {}
        self._disagreements: tuple[Dataset, object, Disagreements] | None = None  # the last ones, and of what
        self._copies = Copies()
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
        if weights_status(checkpoint) is WeightsStatus.BUNDLED or checkpoint.folder or checkpoint.loader == "vectors":
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
        rescan: bool = True,
    ) -> Iterator[Progress | EmbedReport]:
        """Embed what is new or changed in a dataset; yields progress, at the end a report for each model.

        Images are decoded once for all models. What is embedded when the iterator is closed, cancelled or fails
        stays embedded.

        Args:
            spec: names the dataset.
            models: catalogue names or ids outside it.
            limit: look at the first so many images only.
            cancelled: asked several times a second.
            wait: for another process that embeds the same; if not, it is an error.
            rescan: list the dataset afresh.

        Raises:
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError, StoreBusy: see there.
        """
        checkpoints = self._distinct(models)
        dataset = self.dataset(spec, rescan=rescan)
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
            overall = None
            if not cancelled():
                pipeline = Pipeline(dataset, records, lanes, cancelled)
                yield from pipeline.run()
                bottleneck, overall = pipeline.bottleneck, pipeline.images_per_second
        finally:
            writer.shutdown()
            for lock in locks:
                lock.release()
        seconds = time.monotonic() - started
        for lane in lanes:
            if (found := lane.measured) is not None:
                rate.keep(lane.store.path, replace(found, overall=overall, bottleneck=bottleneck))
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
        parts: Sequence[QueryPart] = (),
        crop: Box | None = None,
        k: int = 5,
    ) -> QueryResult:
        """Return the `k` nearest images of a dataset to one of its own, to an outside picture, a text, or a mix.

        An image of the dataset is left out of its own neighbours, and of those of a part or a mix of it; all of it
        uses its stored embedding: no model is loaded for it. How a mix is searched with: `search.query_vector.mix`.

        Args:
            spec: names the dataset.
            models: catalogue names or ids outside it.
            image_id: of an image of the dataset; or
            image: bytes of a picture file, and
            name: what to call that picture in the result; or
            text: what the images should show, in words; or
            parts: images and words with weights, as `query_mix.parse_mix` makes them of an expression.
            crop: search with this part of the picture alone.
            k: how many neighbours.

        Raises:
            UnknownImage, UnreadableImage: the query is not there or is no picture.
            UserError: there is nothing to search with, or the parts of a mix cancel each other out.
            NotEmbedded: nothing of the dataset is embedded under a model.
            NoTextTower: a model cannot search by text.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError: see there.
        """
        dataset = self.dataset(spec)
        if image_id is None and image is None and not text.strip() and not parts:
            raise UserError("There is nothing to search with", "Give an image id, the bytes of a picture, or a text.")
        if crop is not None and image_id is None and image is None:
            raise UserError(
                "Only a picture can be searched with in part", "In a mix write the part behind it: cat.jpg[0,0,0.5,1]."
            )
        if image_id is not None or image is not None:
            query = Query(image_id or "", name, crop=crop)
        else:
            query = Query(text=text) if text.strip() else query_of([self._located(dataset, part) for part in parts])
        if query.image_id:
            record = dataset.record(query.image_id)
            query = replace(query, path=record.path, label=record.label)
        vector = self._query_vector(dataset, query, image)
        if query.image_id and query.is_stored:
            results = [
                self._search_virtual(dataset, model, query.image_id, k)
                if isinstance(model, Virtual)
                else self._search(dataset, model, query, vector, k)
                for model in self.asked(models)
            ]
        else:
            checkpoints = self._distinct(models)
            for checkpoint in checkpoints if query.has_text else ():
                check_text_tower(checkpoint)
            results = [self._search(dataset, checkpoint, query, vector, k) for checkpoint in checkpoints]
        return QueryResult(dataset.spec, query, tuple(results))

    @staticmethod
    def _located(dataset: Dataset, part: QueryPart) -> QueryPart:
        return replace(part, path=dataset.record(part.image_id).path) if part.image_id else part

    def _query_vector(self, dataset: Dataset, query: Query, image: bytes | None) -> QueryVector:
        def read(name: str) -> bytes:
            return self.read_outside(name) if image is None else image

        return QueryVector(dataset, query, read)

    def read_outside(self, name: str) -> bytes:
        """Return the bytes of a picture outside of datasets, as `read_query_image`."""
        return read_query_image(name, offline=self.settings.offline)

    def _search(
        self, dataset: Dataset, checkpoint: Checkpoint, query: Query, vector: QueryVector, k: int
    ) -> ModelResult:
        searchable = self._embedded(dataset, checkpoint)
        index = searchable.index
        if vector.needs_model(index):
            self._encoders.get(checkpoint)
        started = time.perf_counter()
        embedding = vector.under(index, lambda: self._encoders.get(checkpoint))
        own = vector.own
        positions, scores = index.search(embedding, k + len(own))
        others = ~np.isin(positions, own)
        positions, scores = positions[others][:k], scores[others][:k]
        seconds = time.perf_counter() - started
        # Texts are further from all images than images are from each other, and a mean of images is nearer.
        percentiles = None if query.has_text or query.parts else searchable.background.percentile(scores)
        return ModelResult(
            model=checkpoint.slug,
            recipe=searchable.recipe,
            dim=index.dim,
            seconds=seconds,
            gallery=len(index),
            neighbours=_neighbours(dataset, positions, scores, percentiles),
        )

    def _search_virtual(self, dataset: Dataset, model: Virtual, image_id: str, k: int) -> ModelResult:
        space, parts = self._virtual_space(dataset, model)
        started = time.perf_counter()
        row = space.rows(np.array([dataset.position_of[image_id]]))
        if row[0] < 0:
            raise NotEmbedded(f"{model} has no embedding of '{image_id}'", "Choose another image, or one of its parts.")
        gallery = np.arange(len(space.positions))
        k = min(k, len(gallery) - 1)
        found = space.nearest(row, gallery, (np.zeros(1, np.int64), row), k)[0]
        scores = space.between(row, found)[0]
        background = background_of(space.vectors) if isinstance(space, EmbeddingSpace) else None
        return ModelResult(
            model=str(model),
            recipe="+".join(part.recipe for part in parts.values()),
            dim=space.dim or 0,
            seconds=time.perf_counter() - started,
            gallery=len(gallery),
            neighbours=_neighbours(
                dataset, space.positions[found], scores, background.percentile(scores) if background else None
            ),
        )

    def projection(self, spec: str, model: str, method: Method = "pca") -> tuple[NDArray[np.int64], Projection]:
        """Return a map of a dataset's embeddings; it is kept until more is embedded.

        Args:
            spec: names the dataset.
            model: a catalogue name or an id outside it.
            method: `pca` or `umap`.

        Returns:
            The positions in the dataset of the images on the map, (m,) int64, and the map.

        Raises:
            NotEmbedded: nothing of the dataset is embedded under the model.
            UserError: UMAP is not installed, or there are too few images for it.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError: see there.
        """
        searchable = self._named(self.dataset(spec), model)
        found = searchable.projection(method)
        return searchable.index.positions[found.rows], found

    def similarities(self, spec: str, model: str, image_id: str, *, bins: int = 60, k: int = 5) -> Similarities:
        """Return how near an image of the dataset is to all others under a model, in bins, and its `k` nearest.

        Raises:
            UnknownImage: the dataset has no such image.
            NotEmbedded: it, or nothing of the dataset, is embedded under the model.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError: see there.
        """
        dataset = self.dataset(spec)
        record, own = dataset.record(image_id), dataset.position_of[image_id]
        searchable = self._named(dataset, model)
        index = searchable.index
        vector = index.vector(own)
        if vector is None:
            raise NotEmbedded(
                f"{image_id} is not embedded with {searchable.model}",
                "Choose another image, or embed again if it was added since.",
            )
        rows = np.flatnonzero(index.positions != own)
        others = len(rows)
        if others > MOST:
            rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
        same = None
        if record.label is not None:
            labels = [dataset.records[position].label for position in index.positions[rows].tolist()]
            same = np.array([label == record.label for label in labels], bool)
        positions, marks = index.search(vector, k, leave_out=own)
        neighbours = _neighbours(dataset, positions, marks, searchable.background.percentile(marks))
        return similarities(
            cosines(index.vectors[rows], vector), same, searchable.background,
            neighbours=neighbours, bins=bins, images=others,
        )  # fmt: skip

    def bench(
        self,
        spec: str,
        model: str,
        *,
        limit: int = 400,
        repeats: int = 3,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Rates | None:
        """Measure how fast `model` embeds the first images of a dataset, stage by stage; as `embedding.bench`."""
        return bench(self.dataset(spec), self.encoder(model), limit=limit, repeats=repeats, cancelled=cancelled)

    def compare(
        self,
        spec: str,
        models: Sequence[str],
        *,
        ks: Sequence[int] = KS,
        split: str | None = None,
        main: str = MAIN,
        duplicates: bool = True,
        baselines: bool = True,
        self_retrieval: int = 0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Progress | Comparison]:
        """Judge models on a dataset; embeds first what is missing. Yields progress, the verdict at the end.

        Where no image has a label there are no scores: models are compared by how far they agree.

        Args:
            spec: names the dataset; it is listed afresh.
            models: catalogue names, ids outside it, files of vectors, or virtual models.
            ks: K of Recall@K.
            split: which images take part, as for `Dataset.evaluation`.
            main: the score that decides: `recall@K`, `map_at_r`, `r_precision` or `knn_accuracy`.
            duplicates: also score without near-duplicates.
            baselines: let chance, colours and a perceptual hash take part.
            self_retrieval: of how many changed pictures to look whether the original is nearest; the models are
                loaded for it.
            cancelled: asked several times a second; ends without a verdict.

        Raises:
            UserError: there is no such split or score, or no query has an answer.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError, StoreBusy: see there.
        """
        asked = self.asked([*models, *(f"baseline:{name}" for name in BASELINES if baselines)])
        dataset = self.dataset(spec, rescan=True)
        labelled = bool(dataset.label_counts)
        chosen = dataset.evaluation(split, labelled=labelled)
        to_embed = [
            checkpoint.key
            for checkpoint in self.asked([name for one in asked for name in _parts(one)])
            if isinstance(checkpoint, Checkpoint) and checkpoint.loader != "vectors"
        ]
        for step in self.embed(spec, to_embed, cancelled=cancelled) if to_embed else ():
            if isinstance(step, Progress):
                yield step
        if cancelled():
            return
        dataset = self.dataset(spec)
        device = self._device_to_compare_on(len(chosen.queries) * len(chosen.gallery))
        contenders = []
        for one in asked:
            contender = self._contender(dataset, one, device)
            if self_retrieval and isinstance(one, Checkpoint) and one.loader != "vectors":
                yield Progress(one.slug, "loading")
                contender = replace(
                    contender, self_retrieval=self._self_retrieval(dataset, one, self_retrieval, cancelled)
                )
            contenders.append(contender)
        if not cancelled():
            yield judge(
                dataset,
                chosen,
                contenders,
                ks=ks,
                main=main,
                labelled=labelled,
                duplicates=duplicates,
                content_keys=self._content_keys(dataset, to_embed[0]) if to_embed else (),
                cancelled=cancelled,
                notes=[f"{problem.path}: {problem.reason}." for problem in dataset.problems],
            )

    def _contender(self, dataset: Dataset, asked: Checkpoint | Virtual, device: str) -> Contender:
        if isinstance(asked, Virtual):
            space, parts = self._virtual_space(dataset, asked)
            costs = [self._cost(dataset, self.checkpoint(name), part.index.dim) for name, part in parts.items()]
            return Contender(
                kind="virtual",
                title=", ".join(part.model for part in parts.values()),
                recipe="+".join(part.recipe for part in parts.values()),
                revision="+".join(part.revision for part in parts.values()),
                space=space,
                cost=cost_together(costs, space),
            )
        searchable = self._embedded(dataset, asked)
        space = searchable.space(device)
        return Contender(
            kind={"vectors": "vectors", "baseline": "baseline"}.get(asked.loader, "model"),  # type: ignore[arg-type]
            title=asked.hub_id or asked.id,
            recipe=searchable.recipe,
            revision=searchable.revision,
            space=space,
            cost=self._cost(dataset, asked, searchable.index.dim),
        )

    def _cost(self, dataset: Dataset, checkpoint: Checkpoint, dim: int) -> Cost:
        found = None
        if checkpoint.loader != "vectors":
            found = rate.read(self._store(dataset, checkpoint, recipe_of(checkpoint, self._precision)).path)
        known = checkpoint.image_tower_parameters_m or checkpoint.parameters_m
        return Cost(
            dim=dim,
            bytes_per_million=2 * dim * 1_000_000,
            parameters=(found and found.parameters) or (round(known * 1e6) if known else None),
            images_per_second=found.images_per_second if found else None,
            device=found.device if found else "",
            precision=found.precision if found else "",
            device_memory=found.device_memory if found else None,
            licence=checkpoint.licence,
        )

    def _content_keys(self, dataset: Dataset, model: str) -> list[str]:
        checkpoint = self.checkpoint(model)
        store = self._store(dataset, checkpoint, recipe_of(checkpoint, self._precision))
        return [known.content_key if (known := store.known(record)) else "" for record in dataset.records]

    def _device_to_compare_on(self, similarities: int) -> str:
        """Return where to multiply: a GPU is worth the seconds that importing torch takes for many images only."""
        if similarities < _WORTH_A_GPU or self._device == "cpu":
            return "cpu"
        return choose_device(self._device)

    def _self_retrieval(
        self, dataset: Dataset, checkpoint: Checkpoint, images: int, cancelled: Callable[[], bool]
    ) -> dict[str, float]:
        """Return the share of changed pictures whose original is nearest, by kind of change."""
        space = self._embedded(dataset, checkpoint).space()
        encoder = self._encoders.get(checkpoint)
        drawn = np.random.default_rng(0).permutation(space.positions)
        pictures: dict[int, Image] = {}
        for position in drawn.tolist():
            if len(pictures) == images or cancelled():
                break
            picture = self._picture_of(dataset, dataset.records[position].image_id)
            if picture is not None:
                pictures[position] = picture
        originals = np.array(list(pictures), np.int64)
        found: dict[str, float] = {}
        for kind in PERTURBATIONS if pictures else ():
            pixels = [encoder.preprocess(perturb(picture, kind)) for picture in pictures.values()]
            step = encoder.batch_size
            vectors = [encoder.embed_images(np.stack(pixels[at : at + step])) for at in range(0, len(pixels), step)]
            found[kind] = float(self_retrieval(space, originals, np.concatenate(vectors)).mean())
        return found

    def disagreements(
        self, spec: str, models: Sequence[str], *, k: int = 5, cancelled: Callable[[], bool] = lambda: False
    ) -> Disagreements:
        """Return the queries on which models differ, the most disputed first; as `evaluation.disputed`.

        The same question is answered at once until the dataset or what is embedded of it changes.

        Args:
            spec: names the dataset.
            models: catalogue names, ids outside it, or virtual models: two at least.
            k: how many neighbours to compare.
            cancelled: asked again and again; then no query is returned.

        Raises:
            UserError: fewer than two models, or no image with neighbours under all of them.
            NotEmbedded, UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError: see there.
        """
        dataset = self.dataset(spec)
        names = {name: one for name in models for one in self.asked([name])}
        opened = [self._named(dataset, name) for one in names.values() for name in _parts(one)]
        key = (tuple(names), k, *((one.recipe, one.stamp) for one in opened))
        known = self._disagreements
        if known is not None and known[0] is dataset and known[1] == key:
            return known[2]
        covered = {
            name: (
                self._virtual_space(dataset, one)[0].positions
                if isinstance(one, Virtual)
                else self._embedded(dataset, one).index.positions
            )
            for name, one in names.items()
        }
        found = disagreements(dataset, covered, lambda name: self.space(spec, name), k, cancelled)
        if not cancelled():
            self._disagreements = dataset, key, found
        return found

    def space(self, spec: str, model: str) -> Space:
        """Return what a comparison takes of a model: how near any two images of the dataset are under it.

        Args:
            spec: names the dataset.
            model: a catalogue name, an id outside it, or a virtual model such as `pca:128:efficientnet-lite0`.

        Raises:
            NotEmbedded: nothing of the dataset is embedded under it.
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel, StorageError, UserError: see there.
        """
        dataset = self.dataset(spec)
        [asked] = self.asked([model])
        if isinstance(asked, Virtual):
            return self._virtual_space(dataset, asked)[0]
        return self._embedded(dataset, asked).space()

    def _virtual_space(self, dataset: Dataset, model: Virtual) -> tuple[Space, dict[str, Searchable]]:
        """Return a virtual model's space, made anew when one of its parts has changed, and those parts."""
        key = (dataset.spec, str(model))
        with self._lock:
            space, parts = self._virtual.get(key, (None, {}))
            if space is None or any(self._named(dataset, name) is not part for name, part in parts.items()):
                parts = {}

                def space_of(name: str) -> Space:
                    parts[name] = self._named(dataset, name)
                    return parts[name].space()

                space = build(model, space_of)
                while len(self._virtual) >= _VIRTUAL_KEPT:
                    del self._virtual[next(iter(self._virtual))]
                self._virtual[key] = (space, parts)
            return space, parts

    def _named(self, dataset: Dataset, model: str) -> Searchable:
        return self._embedded(dataset, self.checkpoint(model))

    def strips(
        self, found: QueryResult, models: Sequence[str], *, image: bytes | None = None, scores: Comparison | None = None
    ) -> list[tuple[str, Image]]:
        """Return one picture a model: the query and its nearest images side by side, with a name for its file.

        Args:
            found: a result of `query`,
            models: and the models that it was asked of.
            image: the bytes of an outside picture that was searched with.
            scores: a comparison whose scores are written behind the model's name.

        Raises:
            UnreadableImage: the query's picture cannot be read.
        """
        dataset = self.dataset(found.dataset)
        shown = found.query.picture
        asked = None if shown is None else self._query_vector(dataset, found.query, image).picture(shown)
        pictures: dict[str, Image | None] = {}
        drawn = []
        for model, result in zip(self.asked(models), found.results, strict=True):
            for neighbour in result.neighbours:
                if neighbour.image_id not in pictures:
                    pictures[neighbour.image_id] = self._picture_of(dataset, neighbour.image_id)
            facts = [self._origin(model)]
            if scores is not None:
                row = scores.row(result.model).scores
                facts += [
                    f"{score_title(name)} {row[name].value:.3f}" for name in (scores.main, "map_at_r") if name in row
                ]
            facts += [f"{result.dim:,} numbers"] if result.dim else []
            facts.append(f"{result.gallery:,} images")
            strip = strip_of(
                result,
                found.query,
                asked,
                [pictures[neighbour.image_id] for neighbour in result.neighbours],
                title=result.model,
                facts="   ".join(facts),
            )
            drawn.append((strip_name(model if isinstance(model, Checkpoint) else str(model)), strip))
        return drawn

    def _origin(self, model: Checkpoint | Virtual) -> str:
        if isinstance(model, Virtual):
            return "made of others"
        family = next((family for family in self.catalogue.families if family.id == model.family), None)
        return f"{family.name}, {family.first_public}" if family else model.id

    def save_strips(
        self, found: QueryResult, models: Sequence[str], folder: Path, *, image: bytes | None = None
    ) -> list[Path]:
        """Write the strips of a query as JPEG files, `folder/<dataset>/<checkpoint id with _ for />_query.jpg`.

        One that is there is replaced.

        Args:
            found: a result of `query`,
            models: and the models that it was asked of.
            folder: where to; it is made where it is missing.
            image: the bytes of an outside picture that was searched with.

        Raises:
            UnreadableImage: the query's picture cannot be read.
            StorageError: a file cannot be written.
        """
        written = []
        for name, strip in self.strips(found, models, image=image):
            file = folder / self.dataset(found.dataset).slug / name
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
        for model, store in self._stores_of(dataset):
            known = [entry for record in dataset.records if (entry := store.known(record))]
            embedded = sum(entry.ok for entry in known)
            states.append(CacheState(model, embedded, len(known) - embedded, len(dataset)))
        return states

    def _stores_of(self, dataset: Dataset) -> Iterator[tuple[str, Store]]:
        for info in self.stores():
            # Specs that differ only in which column is the label have one folder: a new label embeds nothing anew.
            if info.path.parent.name == dataset.slug and self._is_current(info):
                yield info.model, self._opened(info.path, dataset, info.model, info.recipe)

    def image_facts(self, spec: str, image_id: str) -> ImageFacts:
        """Return all that is known of an image of the dataset; one that cannot be read is told of too.

        Raises:
            UnknownImage, UnknownDataset, EmptyDataset: see there.
        """
        dataset = self.dataset(spec)
        return image_facts(dataset, dataset.record(image_id), list(self._stores_of(dataset)), self._copies)

    def save_paths(self, spec: str, image_ids: Sequence[str], folder: Path) -> Path:
        """Write the paths of images to `folder/<dataset>.txt`, a line each; one that is there is replaced.

        Of an image that is no file of its own, as in a table or a tar, the id is written.

        Raises:
            UnknownImage, UnknownDataset, EmptyDataset: see there.
            StorageError: the file cannot be written.
        """
        dataset = self.dataset(spec)
        records = [dataset.record(image_id) for image_id in image_ids]
        return write_paths(dataset, records, folder)

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

    def picture(self, data: bytes, side: int, crop: Box | None = None) -> Picture:
        """Return a picture file or a part of it, made to fit a square of `side` pixels.

        Raises:
            UnreadableImage: it is no picture.
        """
        image = thumbnail(cropped(decode(data, shortest_side=side if crop is None else None), crop), side)
        return Picture(image.width, image.height, image.tobytes())

    def rates(self) -> KnownRates:
        """Return how fast which models embedded on this machine, on the device that this explorer uses."""
        return rate.known_rates(self.settings.home, self.catalogue, self._device)

    def cost(
        self, spec: str, model: str, *, limit: int | None = None, rates: KnownRates | None = None
    ) -> EmbeddingCost:
        """Return what embedding the images of a dataset costs that are not embedded under a model yet.

        Args:
            spec: names the dataset.
            model: a catalogue name or an id outside it.
            limit: look at the first so many images only.
            rates: the result of `rates`, where it is known already.

        Raises:
            UnknownModel, UnknownDataset, EmptyDataset, CannotLoadModel: see there.
        """
        dataset, checkpoint = self.dataset(spec), self.checkpoint(model)
        missing = self._store(dataset, checkpoint, recipe_of(checkpoint, self._precision)).missing(
            dataset.records[:limit]
        )
        return embedding_cost(checkpoint, weights_status(checkpoint), len(missing), rates or self.rates())

    def stores(self) -> list[StoreInfo]:
        """Return what is stored below the home folder."""
        return list_stores(self.settings.home)

    def known_datasets(self) -> list[KnownDataset]:
        """Return the datasets that are embedded, and the published ones that lie in their usual places."""
        models: dict[str, list[str]] = {}
        titles: dict[str, str] = {}
        for store in self.stores():
            models.setdefault(store.dataset, [])
            if not store.model.startswith("baseline-"):
                models[store.dataset].append(store.model)
            titles[store.dataset] = store.title
        found = [KnownDataset(spec, titles[spec], tuple(dict.fromkeys(under))) for spec, under in models.items()]
        for kind in KINDS.values():
            folder = usual_folder(kind)
            if folder is not None and f"{kind.prefix}:{folder}" not in models:
                found.append(KnownDataset(f"{kind.prefix}:{folder}", kind.title, about=f"in {folder}"))
        return found

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

    def asked(self, models: Sequence[str]) -> list[Checkpoint | Virtual]:
        """Return what names of models mean, each model once: checkpoints and virtual models.

        Raises:
            UnknownModel, CannotLoadModel: there is no such model, or its weights are on no hub.
            UserError: none is named.
        """
        found: dict[str, Checkpoint | Virtual] = {}
        for name in models:
            virtual = parse(name)
            if virtual is None:
                checkpoint = self.checkpoint(name)
                found[checkpoint.key] = checkpoint
            else:
                found[str(virtual)] = virtual
        if not found:
            raise UserError("No model is named", "Name one with -m: visexplore models lists them.")
        return list(found.values())

    def row_name(self, model: str) -> str:
        """Return what a model is called in results: the slug of a checkpoint, the name of a virtual model."""
        [asked] = self.asked([model])
        return asked.slug if isinstance(asked, Checkpoint) else str(asked)

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

    def _embedded(self, dataset: Dataset, checkpoint: Checkpoint) -> Searchable:
        """Return what there is to search.

        Raises:
            NotEmbedded: nothing.
        """
        searchable = self._searchable(dataset, checkpoint)
        if len(searchable.index) == 0:
            raise NotEmbedded(
                f"{dataset.title} is not embedded with {checkpoint.slug} yet",
                f"Run: visexplore embed {dataset.spec} -m {checkpoint.slug}",
            )
        return searchable

    def _searchable(self, dataset: Dataset, checkpoint: Checkpoint) -> Searchable:
        recipe = recipe_of(checkpoint, self._precision)
        store = None if checkpoint.loader == "vectors" else self._store(dataset, checkpoint, recipe)
        key = (dataset.spec, checkpoint.key)
        with self._lock:
            known = self._searchables.get(key)
            # Before the index is made: a shard written meanwhile makes it anew next time.
            stamp = recipe.revision if store is None else store.stamp()
            if known is None or known.dataset is not dataset or known.stamp != stamp:
                if store is None:
                    own = read_vectors(Path(checkpoint.id), dataset)
                    index = Index(own.vectors.astype(np.float16), own.positions)
                else:
                    index = open_index(store, dataset)
                known = Searchable(
                    checkpoint.slug, dataset, index, recipe=recipe.digest, revision=recipe.revision, stamp=stamp
                )
                self._searchables[key] = known
            return known


def _parts(asked: Checkpoint | Virtual) -> tuple[str, ...]:
    """Return the names of the models that embed for one that was asked for."""
    return asked.models if isinstance(asked, Virtual) else (asked.key,)


def _neighbours(
    dataset: Dataset,
    positions: NDArray[np.int64],
    scores: NDArray[np.float32],
    percentiles: NDArray[np.float64] | None,
) -> tuple[Neighbour, ...]:
    found = []
    for rank, (hit, score) in enumerate(zip(positions.tolist(), scores.tolist(), strict=True), start=1):
        record = dataset.records[hit]
        percentile = None if percentiles is None or np.isnan(percentiles[rank - 1]) else float(percentiles[rank - 1])
        found.append(Neighbour(rank, record.image_id, record.path, score, record.label, percentile))
    return tuple(found)


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
