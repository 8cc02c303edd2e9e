"""One model's way through the pipeline: batches in, shards out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visexplore.core.datasets import ImageRecord
from visexplore.core.embedding.rate import Measured, measured
from visexplore.core.embedding.store import Row, Store
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.encoder import Embeddings, Pixels
from visexplore.core.errors import StorageError, VisexploreError

SHARD_SECONDS = 4.0
SHARD_ROWS = 8192
TICK = 0.1  # seconds between two looks at whether to go on waiting


@dataclass(eq=False, slots=True)
class _Pending:
    """A row on its way: it can be written once it has a vector, an error, or a place to copy from."""

    record: ImageRecord
    key: str
    error: str = ""
    vector: NDArray[np.float16] | None = None
    copy_of: _Pending | None = None  # the same content came earlier in this run
    stored: bool = False  # the same content is in a shard

    def ready(self) -> bool:
        if self.copy_of is not None:
            return self.copy_of.ready()
        return self.stored or bool(self.error) or self.vector is not None


class Lane:
    """An encoder, loaded when the first image needs it, and the store that it fills.

    Attributes:
        model: slug of the checkpoint.
        store: where the shards go.
        embedded: images that went through the encoder.
        finished: images that are through, skipped and reused ones included.
        failed: images that could not be read.
        waited_for_model: seconds that the caller spent in waiting for the encoder.
        waited_for_writing: seconds that the caller spent in waiting for the disk.
        loading: whether the encoder is being loaded right now.
        seconds_per_image: of each full batch in the encoder.
    """

    def __init__(self, model: str, store: Store, load: Callable[[], Encoder], writer: ThreadPoolExecutor) -> None:
        self.model = model
        self.store = store
        self.embedded = self.finished = self.failed = 0
        self.waited_for_model = self.waited_for_writing = 0.0
        self.loading = False
        self.seconds_per_image: list[float] = []
        self._load = load
        self._load_lock = threading.Lock()
        self._encoder: Encoder | VisexploreError | None = None
        self._forward: ThreadPoolExecutor | None = None
        self._batch: list[tuple[_Pending, Pixels]] = []
        self._running: deque[tuple[Future[Embeddings], list[_Pending]]] = deque()
        self._rows: deque[_Pending] = deque()  # in the order of the dataset, until they are written
        self._by_content: dict[str, _Pending] = {}
        self._writer = writer
        self._writing: Future[None] | None = None
        self._committed = time.monotonic()

    @property
    def encoder(self) -> Encoder:
        """The encoder; loads it on first use, in whichever thread that is.

        Raises:
            CannotLoadModel: it cannot be loaded, now or when it was first tried.
            StorageError: it prepares images differently than when the store was begun.
        """
        with self._load_lock:
            if self._encoder is None:
                self.loading = True
                try:
                    self._encoder = self._load()
                    self._check_preprocessing(self._encoder)
                except VisexploreError as error:
                    self._encoder = error
                finally:
                    self.loading = False
            if isinstance(self._encoder, VisexploreError):
                raise self._encoder
            return self._encoder

    @property
    def batch_size(self) -> int:
        """Images of a batch; 1 until the encoder is loaded."""
        return self._encoder.batch_size if isinstance(self._encoder, Encoder) else 1

    @property
    def precision(self) -> str:
        """The arithmetic that the encoder uses; empty while none is loaded."""
        return self._encoder.precision if isinstance(self._encoder, Encoder) else ""

    @property
    def device(self) -> str:
        """What the encoder runs on; `cpu` while none is loaded."""
        return self._encoder.device if isinstance(self._encoder, Encoder) else "cpu"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the encoder has to say of itself; empty while none is loaded."""
        return self._encoder.remarks if isinstance(self._encoder, Encoder) else ()

    def _check_preprocessing(self, encoder: Encoder) -> None:
        info = self.store.info()
        if info and info.preprocessing != encoder.preprocessing:
            raise StorageError(
                f"{self.model} prepares images differently than when {self.store.path} was written",
                f"Remove those embeddings and start again: visexplore cache rm {self.store.path}",
            )

    def add(self, record: ImageRecord, key: str, error: str, pixels: Pixels | None) -> None:
        """Take an image: its pixels, or why it has none, or nothing where its content is stored already."""
        row = _Pending(record, key, error)
        if error:
            self.failed += 1
            known = self.store.known(record)
            if not key and known and known.error == error:  # still cannot be read, as the store says already
                self.finished += 1
                return
        elif (twin := self._by_content.get(key)) is not None:
            row.copy_of = twin
        elif pixels is None or self.store.known_content(key):
            row.stored = True
        else:
            self._by_content[key] = row
            self._batch.append((row, pixels))
            self._rows.append(row)
            return
        self._rows.append(row)
        self.finished += 1

    def advance(self) -> Iterator[None]:
        """Send a full batch on its way, take finished ones in, write what is due; yields while it waits."""
        if len(self._batch) >= max(1, self.batch_size) and self._batch:
            # A batch for each parallel stream and one more, so that none is idle while this thread collects.
            yield from self.collect(leave_running=self.encoder.parallel_batches)
            self.submit()
        if time.monotonic() - self._committed > SHARD_SECONDS or len(self._rows) >= 2 * SHARD_ROWS:
            self._take_finished()
            self._commit()

    def submit(self) -> None:
        """Send what is collected to the encoder, as one batch."""
        if not self._batch:
            return
        encoder = self.encoder
        if self._forward is None:
            self._forward = ThreadPoolExecutor(encoder.parallel_batches, "model", encoder.prepare_thread)
        rows = [row for row, _ in self._batch]
        pixels = np.stack([pixels for _, pixels in self._batch])
        self._batch = []
        self._running.append((self._forward.submit(self._timed, encoder, pixels), rows))

    def _timed(self, encoder: Encoder, pixels: Pixels) -> Embeddings:
        size = encoder.batch_size
        started = time.perf_counter()
        vectors = encoder.embed_images(pixels)
        if len(pixels) == size == encoder.batch_size:  # it shrinks where it did not fit
            self.seconds_per_image.append((time.perf_counter() - started) / size)
        return vectors

    @property
    def measured(self) -> Measured | None:
        """What the encoder cost in this run; None where it did not embed a full batch."""
        return measured(self._encoder, self.seconds_per_image) if isinstance(self._encoder, Encoder) else None

    def collect(self, leave_running: int = 0) -> Iterator[None]:
        """Wait until at most `leave_running` batches are on their way; yields every tenth of a second."""
        started = time.monotonic()
        while len(self._running) > leave_running:
            wait([self._running[0][0]], timeout=TICK)
            if self._running[0][0].done():
                self._take_finished()
            else:
                yield
        self.waited_for_model += time.monotonic() - started

    def _take_finished(self) -> None:
        while self._running and self._running[0][0].done() and not self._running[0][0].cancelled():
            future, rows = self._running.popleft()
            for row, vector in zip(rows, self._result(future).astype(np.float16), strict=True):
                row.vector = vector
            self.embedded += len(rows)
            self.finished += len(rows)

    def _result(self, future: Future[Embeddings]) -> Embeddings:
        try:
            return future.result()
        except VisexploreError:
            raise
        except Exception as error:  # torch, its kernels and drivers raise what they like
            lines = str(error).strip().splitlines()
            reason = lines[0].rstrip(".") if lines else type(error).__name__
            raise VisexploreError(
                f"{self.model} failed while it embedded a batch ({reason})", "What was embedded before is kept."
            ) from error

    def _commit(self) -> None:
        """Hand the ready rows at the front of the queue to the writer."""
        if self._writing is not None:
            started = time.monotonic()
            writing, self._writing = self._writing, None
            writing.result()
            self.waited_for_writing += time.monotonic() - started
        ready: list[_Pending] = []
        while self._rows and len(ready) < SHARD_ROWS and self._rows[0].ready():
            ready.append(self._rows.popleft())
        if ready:
            self._writing = self._writer.submit(self._write, ready)
        self._committed = time.monotonic()

    def _write(self, rows: list[_Pending]) -> None:
        self._copy_stored([row for row in rows if row.stored])
        rows = [row for row in rows if row.error or (row.copy_of or row).vector is not None]
        info = None if isinstance(self._encoder, Encoder) else self.store.info()
        source = info or self.encoder
        self.store.write_shard(
            [Row(row.record, row.key, None if row.error else (row.copy_of or row).vector, row.error) for row in rows],
            dim=source.dim,
            preprocessing=source.preprocessing,
        )
        for row in rows:
            self._by_content.pop(row.key, None)

    def _copy_stored(self, rows: list[_Pending]) -> None:
        known = [self.store.known_content(row.key) for row in rows]
        vectors = iter(self.store.embeddings([entry.place for entry in known if entry and entry.ok]))
        for row, entry in zip(rows, known, strict=True):
            if entry and entry.ok:
                row.vector = next(vectors)
            elif entry:
                row.error = entry.error
                self.failed += 1

    def close(self, *, cut_short: bool) -> None:
        """Write what is finished and end the threads.

        Args:
            cut_short: drop the batches that have not begun.
        """
        if self._forward is not None:
            self._forward.shutdown(cancel_futures=cut_short)
        try:
            self._take_finished()
        finally:  # the rows before a batch that failed are good
            while self._rows and self._rows[0].ready():
                self._commit()
            if self._writing is not None:
                self._writing.result()
