"""Dataset x encoders -> stores: read, decode, embed and write at the same time.

    records --threads--> read, hash, decode once, preprocess for each encoder --batches--> embed --> shards

One decode serves all encoders. The slowest stage sets the pace, and the progress names it. Every few seconds the
finished rows of each encoder are written as one shard, so a kill loses no more than that. A worker of a cluster runs
this very pipeline on its own part of the records: shards are named by their images, and what exists is skipped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.embedding.lane import TICK, Lane
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.device_use import DeviceMeter
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.errors import UnreadableImage
from visexplore.core.images import content_key, decode
from visexplore.core.messages import Bottleneck, Progress

_RATE_WINDOW = 8.0  # seconds over which the rate is taken
_MAX_DECODERS = 32
_SHORTEST = 1.0  # seconds of a run whose rate means something


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An image after reading and decoding: pixels for each lane that has to embed it."""

    record: ImageRecord
    key: str
    error: str
    pixels: dict[int, Pixels]
    reading: float
    decoding: float


class Pipeline:
    """One run over those `records` of a dataset that any of the lanes is missing."""

    def __init__(
        self,
        dataset: Dataset,
        records: Sequence[ImageRecord],
        lanes: Sequence[Lane],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._dataset = dataset
        self._lanes = lanes
        self._cancelled = cancelled
        missing = [{record.image_id for record in lane.store.missing(records)} for lane in lanes]
        self._wanted_by = {
            record.image_id: wanting
            for record in records
            if (wanting := [number for number, ids in enumerate(missing) if record.image_id in ids])
        }
        self._records = [record for record in records if record.image_id in self._wanted_by]
        self._to_do = [len(ids) for ids in missing]
        self._reused = len(records) - len(self._records)
        self._reading = self._decoding = self._waited_for_input = 0.0
        self._history: deque[tuple[float, int]] = deque()
        self._told = 0.0
        self._began = self._ended = 0.0
        self._meter = DeviceMeter()

    @property
    def images_per_second(self) -> float | None:
        """Of a run with one model, from the first image on, so without loading it; None if it was too short to tell."""
        seconds = self._ended - self._began
        if len(self._lanes) > 1 or not self._began or seconds < _SHORTEST:
            return None
        return self._lanes[0].embedded / seconds or None

    @property
    def bottleneck(self) -> Bottleneck:
        """The stage that the run has waited for the longest."""
        input_stage: Bottleneck = "reading" if self._reading > self._decoding else "decoding"
        waits: dict[Bottleneck, float] = {
            input_stage: self._waited_for_input,
            "model": sum(lane.waited_for_model for lane in self._lanes),
            "writing": sum(lane.waited_for_writing for lane in self._lanes),
        }
        slowest = max(waits, key=lambda stage: waits[stage])
        return slowest if waits[slowest] > 0 else ""

    def run(self) -> Iterator[Progress]:
        """Embed what is missing; yield progress about ten times a second.

        Closing the iterator, a cancel and an error all keep what is embedded so far.

        Raises:
            StorageError: the disk is full or cannot be written.
            CannotLoadModel: an encoder cannot be loaded or ran out of memory.
        """
        if not self._records:
            return
        workers = min(usable_cores(), _MAX_DECODERS)
        decoders = ThreadPoolExecutor(workers, "decoder")
        cut_short = True
        try:
            for prepared in self._prepared(decoders, workers):
                if prepared is None:
                    yield self._progress()
                    continue
                self._began = self._began or time.monotonic()
                for number in self._wanted_by[prepared.record.image_id]:
                    lane = self._lanes[number]
                    lane.add(prepared.record, prepared.key, prepared.error, prepared.pixels.get(number))
                    for _ in lane.advance():
                        yield self._progress()
                if time.monotonic() - self._told > TICK:
                    yield self._progress()
            for lane in self._lanes:
                lane.submit()
            for lane in self._lanes:
                for _ in lane.collect():
                    yield self._progress()
            yield self._progress()
            cut_short = False
        finally:
            decoders.shutdown(cancel_futures=True)
            self._close(cut_short)
            self._ended = time.monotonic()

    def _close(self, cut_short: bool) -> None:
        problem: Exception | None = None
        for lane in self._lanes:
            try:
                lane.close(cut_short=cut_short)
            except Exception as error:
                problem = problem or error  # the other lanes write what they have first
        if problem is not None and not cut_short:
            raise problem

    def _prepared(self, decoders: ThreadPoolExecutor, workers: int) -> Iterator[_Prepared | None]:
        """Yield prepared images in order, read ahead by a bounded number, and None every tick of waiting."""
        ahead: deque[Future[_Prepared]] = deque()
        records = iter(self._records)
        while not self._cancelled():
            # Enough that the decoders have work while a batch is collected, not so much that memory grows.
            limit = 2 * workers + 2 * max(lane.batch_size for lane in self._lanes)
            while len(ahead) < limit and (record := next(records, None)) is not None:
                ahead.append(decoders.submit(self._prepare, record))
            if not ahead:
                return
            started = time.monotonic()
            while not ahead[0].done() and not self._cancelled():
                try:
                    ahead[0].result(timeout=TICK)
                except NotYet:
                    if any(lane.loading for lane in self._lanes):
                        started = time.monotonic()
                    yield None
            if self._cancelled():
                return
            self._waited_for_input += time.monotonic() - started
            prepared = ahead.popleft().result()
            self._reading += prepared.reading
            self._decoding += prepared.decoding
            yield prepared

    def _prepare(self, record: ImageRecord) -> _Prepared:
        started = time.perf_counter()
        try:
            data = self._dataset.read(record)
        except UnreadableImage as error:
            return _Prepared(record, "", error.message, {}, time.perf_counter() - started, 0.0)
        key = content_key(data)
        reading = time.perf_counter() - started
        numbers = self._wanted_by[record.image_id]
        encoders = {n: self._lanes[n].encoder for n in numbers if not self._lanes[n].store.known_content(key)}
        if not encoders:
            return _Prepared(record, key, "", {}, reading, 0.0)
        started = time.perf_counter()
        try:
            image = decode(data)
            pixels = {number: encoder.preprocess(image) for number, encoder in encoders.items()}
            problem = ""
        except UnreadableImage as error:
            pixels, problem = {}, error.message
        return _Prepared(record, key, problem, pixels, reading, time.perf_counter() - started)

    def _progress(self) -> Progress:
        self._told = now = time.monotonic()
        left, number = max((self._to_do[n] - lane.finished, n) for n, lane in enumerate(self._lanes))
        lane, total = self._lanes[number], self._to_do[number]
        loading = next((lane for lane in self._lanes if lane.loading), None)
        if loading is not None:
            use = self._meter.use("cpu")
            return Progress(loading.model, "loading", lane.finished, total, self._reused, device=use)
        self._history.append((now, left))  # it shrinks steadily, whichever lane is behind
        while now - self._history[0][0] > _RATE_WINDOW:
            self._history.popleft()
        then, before = self._history[0]
        rate = (before - left) / (now - then) if now > then else 0.0
        return Progress(
            model=lane.model,
            stage="embedding",
            done=lane.finished,
            total=total,
            reused=self._reused,
            failed=lane.failed,
            images_per_second=rate,
            eta_seconds=left / rate if rate > 0 else None,
            bottleneck=self.bottleneck,
            device=self._meter.use(lane.device),
        )
