"""An Explorer in a child process, spoken to by messages, so that heavy work never holds up the screen.

The child is a fresh interpreter (never a fork), its output goes to a log file, it ignores Ctrl-C and leaves when its
connection closes. Three threads work in it: one takes the embedding jobs, one at a time; one searches with pictures
from outside; the main one answers meanwhile what can be answered at once (searches with stored embeddings, thumbnails).
The parent's reader thread hands every event to a callback.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from array import array
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any

from visexplore.core.errors import EngineDied, StorageError, VisexploreError
from visexplore.core.messages import (
    CacheState,
    EmbedReport,
    Picture,
    Progress,
    QueryResult,
)
from visexplore.core.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from visexplore.core.explorer import Explorer


# ---- requests: what the screen asks. `ticket` comes back in the answer.


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """List a dataset."""

    ticket: int
    spec: str


@dataclass(frozen=True, slots=True)
class AskCacheStates:
    """How much of a dataset is embedded under which models."""

    ticket: int
    spec: str


@dataclass(frozen=True, slots=True)
class AskThumbnail:
    """A small picture of an image of the dataset."""

    ticket: int
    spec: str
    image_id: str


@dataclass(frozen=True, slots=True)
class AskPicture:
    """A picture of up to `side` pixels: of an image of the dataset, or of an outside file if `spec` is empty."""

    ticket: int
    spec: str
    image_id: str
    side: int


@dataclass(frozen=True, slots=True)
class Search:
    """The nearest images under one model: to an image of the dataset, to the outside file at `path`, or to a text."""

    ticket: int
    spec: str
    model: str
    image_id: str = ""
    path: str = ""
    text: str = ""
    k: int = 5


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed a dataset: a job, done when the ones before it are."""

    ticket: int
    spec: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give a job up; what it has embedded stays."""

    ticket: int


# ---- events: what the engine answers.


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine takes requests."""


@dataclass(frozen=True, slots=True)
class DatasetOpened:
    """A dataset's images, column by column: a million of them are received without holding up the screen.

    Attributes:
        ticket: of the request.
        spec: what opens the dataset again.
        title: short name.
        image_ids: in the dataset's order.
        labels: the names of the labels, sorted; empty without labels.
        label_numbers: int32 array as bytes: for each image the position of its label in `labels`, or -1.
        problems: places that could not be listed.
    """

    ticket: int
    spec: str
    title: str
    image_ids: tuple[str, ...]
    labels: tuple[str, ...]
    label_numbers: bytes
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CacheStates:
    """The answer to `AskCacheStates`."""

    ticket: int
    spec: str
    states: tuple[CacheState, ...]


@dataclass(frozen=True, slots=True)
class PictureMade:
    """The answer to `AskThumbnail` and `AskPicture`."""

    ticket: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to `Search`."""

    ticket: int
    result: QueryResult


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Where a job stands."""

    ticket: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job ended: one report a model."""

    ticket: int
    reports: tuple[EmbedReport, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A request could not be served."""

    ticket: int
    error: VisexploreError


@dataclass(frozen=True, slots=True)
class Died:
    """The engine ended unexpectedly; the requests that it had not answered are lost."""

    error: EngineDied


Request = OpenDataset | AskCacheStates | AskThumbnail | AskPicture | Search | Embed | Cancel
Event = Ready | DatasetOpened | CacheStates | PictureMade | Found | JobProgress | JobDone | Failed | Died


# ---- the parent's side


class Engine:
    """The parent's end: starts the child, sends requests, hands events to `on_event` from a thread of its own.

    A child that ends unexpectedly is reported as `Died`; `start` makes a new one.
    """

    def __init__(self, settings: Settings, on_event: Callable[[Event], None], device: str = "auto") -> None:
        self.settings = settings
        self.on_event = on_event
        self._device = device
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._tickets = 0
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the child; it takes requests at once and answers `Ready` when it can.

        Raises:
            StorageError: its log file cannot be written.
        """
        output = self._open_log()
        ours, theirs = socket.socketpair()
        threads = str(max(1, (os.cpu_count() or 1) - 1))
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "PYTHONFAULTHANDLER": "1",
        }
        with output, theirs:
            self._child = subprocess.Popen(
                # -P: a file in the current folder must not pass for a module of the same name.
                [sys.executable, "-P", "-m", "visexplore.core.engine", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[theirs.fileno()], env=environment, start_new_session=True,
            )  # fmt: skip
        from multiprocessing.connection import Connection  # 8 ms, and the first frame comes before the engine

        self._connection = Connection(ours.detach())
        self._closing = False
        self._connection.send((self.settings, self._device))
        threading.Thread(target=self._receive, args=(self._connection, self._child), daemon=True).start()

    def check_log(self) -> None:
        """Find out before there is a screen whether `start` will be able to write its log.

        Raises:
            StorageError: it will not.
        """
        self._open_log().close()

    def _open_log(self) -> FileIO:
        log = self.settings.engine_log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            return log.open("ab", buffering=0)
        except OSError as error:
            raise StorageError(
                f"{log} cannot be written ({error.strerror})",
                "Choose another place with --home DIR or VISEXPLORE_HOME.",
            ) from error

    def ticket(self) -> int:
        """Return a number that no request has had."""
        self._tickets += 1
        return self._tickets

    def send(self, request: Request) -> None:
        """Send a request; one that a dead engine does not get is lost, as `Died` says."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            if self._connection is not None:
                self._connection.send(request)

    def stop(self) -> None:
        """End the child. Embedding that was going on is kept up to the last shard."""
        self._closing = True
        if self._connection is not None:
            with self._sending, contextlib.suppress(OSError):
                self._connection.send(None)
        if self._child is not None:
            try:
                self._child.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _receive(self, connection: Connection, child: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                event = connection.recv()
            except (EOFError, OSError):
                break
            self.on_event(event)
        connection.close()
        code = child.wait()
        if not self._closing:
            reason = f"it was ended by signal {-code}" if code < 0 else f"exit code {code}"
            hint = (
                "The machine may have run out of memory."
                if code == -9
                else f"Its last words are in {self.settings.engine_log}."
            )
            self.on_event(Died(EngineDied(f"The engine stopped unexpectedly ({reason})", hint)))


# ---- the child's side


class _Server:
    def __init__(self, connection: Connection, explorer: Explorer) -> None:
        self._connection = connection
        self._explorer = explorer
        self._sending = threading.Lock()
        self._jobs: deque[Embed] = deque()
        self._wake = threading.Condition()
        self._outside = ThreadPoolExecutor(1, "outside queries")
        self._given_up: set[int] = set()
        self._leaving = False

    def serve(self) -> None:
        """Answer requests until the connection closes."""
        worker = threading.Thread(target=self._work, name="jobs")
        worker.start()
        self._tell(Ready())
        try:
            while (request := self._connection.recv()) is not None:
                self._take(request)
        except (EOFError, OSError):
            pass  # the screen is gone
        finally:
            with self._wake:
                self._leaving = True
                self._wake.notify()
            self._outside.shutdown(cancel_futures=True)
            worker.join()

    def _take(self, request: Request) -> None:
        if isinstance(request, Embed):
            with self._wake:
                self._jobs.append(request)
                self._wake.notify()
        elif isinstance(request, Cancel):
            self._given_up.add(request.ticket)
        elif isinstance(request, Search) and (request.path or request.text):
            # May take seconds, for the address to answer and the model to load: thumbnails do not wait for it.
            self._outside.submit(self._guard, request.ticket, lambda: self._tell(self._answer(request)))
        else:
            self._guard(request.ticket, lambda: self._tell(self._answer(request)))

    def _answer(self, request: OpenDataset | AskCacheStates | AskThumbnail | AskPicture | Search) -> Event:
        explorer = self._explorer
        match request:
            case OpenDataset():
                dataset = explorer.dataset(request.spec, rescan=True)
                labels = tuple(dataset.label_counts)
                number_of = {label: number for number, label in enumerate(labels)}
                return DatasetOpened(
                    ticket=request.ticket,
                    spec=dataset.spec,
                    title=dataset.title,
                    image_ids=tuple(record.image_id for record in dataset.records),
                    labels=labels,
                    label_numbers=array("i", (number_of.get(r.label or "", -1) for r in dataset.records)).tobytes(),
                    problems=tuple(f"{problem.path}: {problem.reason}" for problem in dataset.problems),
                )
            case AskCacheStates():
                return CacheStates(request.ticket, request.spec, tuple(explorer.cache_states(request.spec)))
            case AskThumbnail():
                return PictureMade(request.ticket, explorer.thumbnail(request.spec, request.image_id))
            case AskPicture():
                data = self._read(request.spec, request.image_id)
                return PictureMade(request.ticket, explorer.picture(data, request.side))
            case Search():
                if request.text:
                    found = explorer.query(request.spec, [request.model], text=request.text, k=request.k)
                elif request.path:
                    image = self._read("", request.path)
                    found = explorer.query(request.spec, [request.model], image=image, name=request.path, k=request.k)
                else:
                    found = explorer.query(request.spec, [request.model], image_id=request.image_id, k=request.k)
                return Found(request.ticket, found)

    def _read(self, spec: str, name: str) -> bytes:
        from visexplore.core.query_image import read_query_image

        if not spec:
            return read_query_image(name, offline=self._explorer.settings.offline)
        dataset = self._explorer.dataset(spec)
        return dataset.read(dataset.record(name))

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._leaving:
                    self._wake.wait()
                if self._leaving:
                    return
                job = self._jobs.popleft()
            self._guard(job.ticket, lambda job=job: self._embed(job))  # type: ignore[misc]

    def _embed(self, job: Embed) -> None:
        reports = []
        for step in self._explorer.embed(
            job.spec, job.models, cancelled=lambda: self._leaving or job.ticket in self._given_up
        ):
            if isinstance(step, Progress):
                self._tell(JobProgress(job.ticket, step))
            else:
                reports.append(step)
        self._tell(JobDone(job.ticket, tuple(reports)))

    def _guard(self, ticket: int, action: Callable[[], None]) -> None:
        try:
            action()
        except VisexploreError as error:
            self._tell(Failed(ticket, error))
        except Exception as error:  # a fault of ours must not end the engine: its text is in the log
            import traceback

            traceback.print_exc()
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            self._tell(
                Failed(
                    ticket,
                    VisexploreError(
                        f"Something went wrong in the engine ({reason})",
                        f"More in {self._explorer.settings.engine_log}.",
                    ),
                )
            )

    def _tell(self, event: Event) -> None:
        with self._sending, contextlib.suppress(OSError):
            self._connection.send(event)


def _limit_threads() -> None:
    """Leave a core to the screen. What an import sets later is per thread and keeps to these."""
    import faiss

    faiss.omp_set_num_threads(max(1, (os.cpu_count() or 1) - 1))


def main(descriptor: int) -> None:
    """Serve the connection on an inherited socket until it closes."""
    import signal
    from multiprocessing.connection import Connection

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # the screen comes first where cores are few
    connection: Any = Connection(descriptor)
    settings, device = connection.recv()
    from visexplore.core.explorer import Explorer

    _limit_threads()
    _Server(connection, Explorer(settings, device=device)).serve()


if __name__ == "__main__":
    # Pickled messages name their classes `visexplore.core.engine...`, so serve from the module of that name.
    from visexplore.core import engine

    engine.main(int(sys.argv[1]))
