"""An Explorer in a child process, spoken to by messages, so that heavy work never holds up the screen.

The child is a fresh interpreter (never a fork), its output goes to a log file, it ignores Ctrl-C and leaves when its
connection closes. Four threads work in it: one takes the jobs (embedding, comparing), one at a time; one searches with
pictures from outside; one puts models side by side; the main one answers meanwhile what can be answered at once
(searches with stored embeddings, thumbnails). The parent's reader thread hands every event to a callback.
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
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visexplore.core.comparison import Comparison
from visexplore.core.errors import EngineDied, StorageError, VisexploreError
from visexplore.core.messages import (
    CacheState,
    EmbedReport,
    ModelResult,
    Picture,
    Progress,
    QueryResult,
)
from visexplore.core.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from visexplore.core.blind_tournament import BlindTournament
    from visexplore.core.evaluation.tournament import Question, Standing
    from visexplore.core.evaluation.votes import Vote
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
class SearchMany:
    """The nearest images under several models: to an image of the dataset, to an outside file, or to a text."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    image_id: str = ""
    path: str = ""
    text: str = ""
    k: int = 5


@dataclass(frozen=True, slots=True)
class ExportStrips:
    """Write one picture a model, the query beside its nearest images, below `folder`."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    folder: str
    image_id: str = ""
    path: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class AskQuestion:
    """What the blind tournament between models asks next."""

    ticket: int
    spec: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CastVote:
    """A vote in that tournament, None to take back the last one; answered with the next question."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    vote: Vote | None


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed a dataset: a job, done when the ones before it are."""

    ticket: int
    spec: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Judge models on a dataset: a job like `Embed`, which embeds first what is missing."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    self_retrieval: int = 0


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
    """The answer to `Search` and `SearchMany`."""

    ticket: int
    result: QueryResult


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Where a job stands."""

    ticket: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class JobDone:
    """A job ended: one report a model; none of a comparison that was given up."""

    ticket: int
    reports: tuple[EmbedReport, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison ended."""

    ticket: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Exported:
    """Strips were written."""

    ticket: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The next question of the blind tournament and the strips to show; all None where nothing is left to ask."""

    ticket: int
    question: Question | None
    standing: Standing
    left: ModelResult | None
    right: ModelResult | None


@dataclass(frozen=True, slots=True)
class Failed:
    """A request could not be served."""

    ticket: int
    error: VisexploreError


@dataclass(frozen=True, slots=True)
class Died:
    """The engine ended unexpectedly; the requests that it had not answered are lost."""

    error: EngineDied


JobRequest = Embed | Compare
Request = (
    OpenDataset | AskCacheStates | AskThumbnail | AskPicture | Search | SearchMany | ExportStrips | AskQuestion
    | CastVote | JobRequest | Cancel
)  # fmt: skip
Event = (
    Ready | DatasetOpened | CacheStates | PictureMade | Found | Compared | Exported | QuestionAsked | JobProgress
    | JobDone | Failed | Died
)  # fmt: skip


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

STRIP = 5
"""Neighbours of a strip that is exported."""


class _Server:
    def __init__(self, connection: Connection, explorer: Explorer) -> None:
        self._connection = connection
        self._explorer = explorer
        self._sending = threading.Lock()
        self._jobs: deque[JobRequest] = deque()
        self._wake = threading.Condition()
        self._outside = ThreadPoolExecutor(1, "outside queries")
        self._comparing = ThreadPoolExecutor(1, "comparing")
        self._tournament: BlindTournament | None = None
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
            self._comparing.shutdown(cancel_futures=True)
            worker.join()

    def _take(self, request: Request) -> None:
        if isinstance(request, Embed | Compare):
            with self._wake:
                self._jobs.append(request)
                self._wake.notify()
        elif isinstance(request, Cancel):
            self._given_up.add(request.ticket)
        elif isinstance(request, ExportStrips) or (
            isinstance(request, Search | SearchMany) and (request.path or request.text)
        ):
            # May take seconds, for the address to answer and the model to load: thumbnails do not wait for it.
            self._outside.submit(self._guard, request.ticket, lambda: self._tell(self._answer(request)))
        elif isinstance(request, SearchMany | AskQuestion | CastVote):
            # The first time, all embeddings of several models are read.
            self._comparing.submit(self._guard, request.ticket, lambda: self._tell(self._answer(request)))
        else:
            self._guard(request.ticket, lambda: self._tell(self._answer(request)))

    def _answer(self, request: Request) -> Event:
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
                return Found(request.ticket, self._search(request, (request.model,), request.k)[0])
            case SearchMany():
                if request.image_id:
                    found = explorer.query(request.spec, request.models, image_id=request.image_id, k=request.k)
                else:
                    found, _ = self._search(request, request.models, request.k)
                return Found(request.ticket, found)
            case ExportStrips():
                found, image = self._search(request, request.models, STRIP)
                files = explorer.save_strips(found, request.models, Path(request.folder), image=image)
                return Exported(request.ticket, tuple(str(file) for file in files))
            case AskQuestion():
                asked = self._blind.ask(request.spec, request.models)
                return QuestionAsked(request.ticket, asked.question, asked.standing, asked.left, asked.right)
            case CastVote():
                asked = self._blind.vote(request.spec, request.models, request.vote)
                return QuestionAsked(request.ticket, asked.question, asked.standing, asked.left, asked.right)
            case _:
                raise TypeError(f"{type(request).__name__} is no question")

    def _search(
        self, request: Search | SearchMany | ExportStrips, models: tuple[str, ...], k: int
    ) -> tuple[QueryResult, bytes | None]:
        """Return what is found, and the bytes of the picture from outside that was searched with."""
        query = self._explorer.query
        if request.text:
            return query(request.spec, models, text=request.text, k=k), None
        if request.path:
            image = self._read("", request.path)
            return query(request.spec, models, image=image, name=request.path, k=k), image
        return query(request.spec, models, image_id=request.image_id, k=k), None

    @property
    def _blind(self) -> BlindTournament:
        from visexplore.core.blind_tournament import BlindTournament

        if self._tournament is None:
            self._tournament = BlindTournament(self._explorer)
        return self._tournament

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
            run = partial(self._embed, job) if isinstance(job, Embed) else partial(self._compare, job)
            self._guard(job.ticket, run)

    def _is_given_up(self, ticket: int) -> bool:
        return self._leaving or ticket in self._given_up

    def _compare(self, job: Compare) -> None:
        for step in self._explorer.compare(
            job.spec,
            job.models,
            self_retrieval=job.self_retrieval,
            cancelled=partial(self._is_given_up, job.ticket),
        ):
            if isinstance(step, Progress):
                self._tell(JobProgress(job.ticket, step))
            else:
                self._tell(Compared(job.ticket, step))
                return
        self._tell(JobDone(job.ticket, ()))

    def _embed(self, job: Embed) -> None:
        reports = []
        for step in self._explorer.embed(job.spec, job.models, cancelled=partial(self._is_given_up, job.ticket)):
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
