"""The child's end of the engine: an Explorer that answers requests until its connection closes.

Five threads work in it: one takes the jobs (embedding, comparing), one at a time; one searches with pictures from
outside; one puts models side by side and finds where they differ; one makes maps of embeddings; the main one answers
meanwhile what can be answered at once (searches with stored embeddings, thumbnails).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visexplore.core.engine.job_queue import JobQueue
from visexplore.core.engine.protocol import (
    AskCacheStates,
    AskDatasets,
    AskDisagreements,
    AskImageFacts,
    AskPicture,
    AskProjection,
    AskQuestion,
    AskRates,
    AskSimilarities,
    AskSkipped,
    AskThumbnail,
    CacheStates,
    Cancel,
    CastVote,
    Compare,
    Compared,
    DatasetOpened,
    DatasetsKnown,
    DisagreementsFound,
    Embed,
    Event,
    Exported,
    ExportPaths,
    ExportStrips,
    Failed,
    Found,
    ImageFactsFound,
    JobDone,
    JobPaused,
    JobProgress,
    JobRequest,
    OpenDataset,
    Pause,
    PictureMade,
    Projected,
    QuestionAsked,
    RatesKnown,
    Ready,
    Reorder,
    Request,
    Resume,
    Search,
    SearchMany,
    SimilaritiesCounted,
    SkippedFound,
)
from visexplore.core.engine.resumed import Runs
from visexplore.core.errors import VisexploreError
from visexplore.core.messages import Progress, QueryResult

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from visexplore.core.blind_tournament import BlindTournament
    from visexplore.core.explorer import Explorer


STRIP = 5
"""Neighbours of a strip that is exported."""


class _Server:
    def __init__(self, connection: Connection, explorer: Explorer) -> None:
        self._connection = connection
        self._explorer = explorer
        self._sending = threading.Lock()
        self._jobs = JobQueue()
        self._runs: dict[int, Runs] = {}  # of the embedding jobs that have not ended
        self._outside = ThreadPoolExecutor(1, "outside queries")
        self._comparing = ThreadPoolExecutor(1, "comparing")
        self._projecting = ThreadPoolExecutor(1, "projecting")
        self._tournament: BlindTournament | None = None

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
            self._jobs.close()
            self._outside.shutdown(cancel_futures=True)
            self._comparing.shutdown(cancel_futures=True)
            self._projecting.shutdown(cancel_futures=True)
            worker.join()

    def _take(self, request: Request) -> None:
        if isinstance(request, JobRequest | Cancel | Pause | Resume | Reorder):
            self._take_job(request)
            return
        thread = self._thread_for(request)
        answer = partial(self._guard, request.ticket, lambda: self._tell(self._answer(request)))
        if thread is None:
            answer()
        else:
            thread.submit(answer)

    def _thread_for(self, request: Request) -> ThreadPoolExecutor | None:
        """Return the thread that answers a request; None where this one can, at once."""
        match request:
            case ExportStrips():
                return self._outside
            case Search() | SearchMany() if request.path or request.text or request.parts or request.crop:
                # May take seconds, for the address to answer and the model to load: thumbnails do not wait for it.
                return self._outside
            case AskProjection():
                return self._projecting  # a second, or minutes with UMAP
            case SearchMany() | AskDisagreements() | AskQuestion() | CastVote() | AskSimilarities() | AskDatasets():
                # The first time, all embeddings of several models are read; folders may be on a slow disk.
                return self._comparing
            case _:
                return None

    def _take_job(self, request: JobRequest | Cancel | Pause | Resume | Reorder) -> None:
        match request:
            case Cancel():
                if self._jobs.cancel(request.ticket):
                    self._runs.pop(request.ticket, None)
                    self._tell(JobDone(request.ticket, ()))
            case Pause():
                if self._jobs.pause(request.ticket):
                    self._tell(JobPaused(request.ticket))
            case Resume():
                self._jobs.resume(request.ticket)
            case Reorder():
                self._jobs.reorder(request.tickets)
            case _:
                if not self._jobs.put(request, paused=isinstance(request, Embed) and request.paused):
                    self._tell(JobDone(request.ticket, ()))

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
            case AskRates():
                return RatesKnown(request.ticket, explorer.rates())
            case AskDatasets():
                return DatasetsKnown(request.ticket, tuple(explorer.known_datasets()))
            case AskThumbnail():
                return PictureMade(request.ticket, explorer.thumbnail(request.spec, request.image_id))
            case AskPicture():
                data = self._read(request.spec, request.image_id)
                return PictureMade(request.ticket, explorer.picture(data, request.side, request.crop))
            case AskImageFacts():
                return ImageFactsFound(request.ticket, explorer.image_facts(request.spec, request.image_id))
            case AskSkipped():
                return SkippedFound(request.ticket, tuple(explorer.skipped(request.spec, request.model)))
            case ExportPaths():
                file = explorer.save_paths(request.spec, request.image_ids, Path(request.folder))
                return Exported(request.ticket, (str(file),))
            case Search():
                return Found(request.ticket, self._search(request, (request.model,), request.k)[0])
            case SearchMany():
                return Found(request.ticket, self._search(request, request.models, request.k)[0])
            case ExportStrips():
                found, image = self._search(request, request.models, STRIP)
                files = explorer.save_strips(found, request.models, Path(request.folder), image=image)
                return Exported(request.ticket, tuple(str(file) for file in files))
            case AskDisagreements():
                given_up = partial(self._jobs.is_given_up, request.ticket)
                disputed = explorer.disagreements(request.spec, request.models, k=request.k, cancelled=given_up)
                return DisagreementsFound(request.ticket, disputed)
            case AskProjection():
                positions, plane = explorer.projection(request.spec, request.model, request.method)
                return Projected(
                    request.ticket, request.model, plane.method, positions.tobytes(), plane.places.tobytes(),
                    plane.explained, plane.fitted, plane.images,
                )  # fmt: skip
            case AskSimilarities():
                counted = explorer.similarities(request.spec, request.model, request.image_id, bins=request.bins)
                return SimilaritiesCounted(request.ticket, counted)
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
            return query(request.spec, models, image=image, name=request.path, crop=request.crop, k=k), image
        if request.parts:
            return query(request.spec, models, parts=request.parts, k=k), None
        return query(request.spec, models, image_id=request.image_id, crop=request.crop, k=k), None

    @property
    def _blind(self) -> BlindTournament:
        from visexplore.core.blind_tournament import BlindTournament

        if self._tournament is None:
            self._tournament = BlindTournament(self._explorer)
        return self._tournament

    def _read(self, spec: str, name: str) -> bytes:
        if not spec:
            return self._explorer.read_outside(name)
        dataset = self._explorer.dataset(spec)
        return dataset.read(dataset.record(name))

    def _work(self) -> None:
        while (job := self._jobs.take()) is not None:
            self._guard(job.ticket, partial(self._run, job))

    def _run(self, job: JobRequest) -> None:
        """Run a job until it ends, fails, or has to rest."""
        rests = False
        try:
            ended = self._embed(job) if isinstance(job, Embed) else self._compare(job)
            rests = _is_cut_short(ended) and self._jobs.put_back(job.ticket)
        finally:
            if not rests:
                self._forget(job.ticket)
        self._tell(JobPaused(job.ticket) if rests else ended)

    def _forget(self, ticket: int) -> None:
        self._jobs.end(ticket)
        self._runs.pop(ticket, None)

    def _compare(self, job: Compare) -> JobDone | Compared:
        for step in self._explorer.compare(
            job.spec,
            job.models,
            self_retrieval=job.self_retrieval,
            cancelled=partial(self._jobs.must_stop, job.ticket),
        ):
            if not isinstance(step, Progress):
                return Compared(job.ticket, step)
            self._tell(JobProgress(job.ticket, step))
        return JobDone(job.ticket, ())

    def _embed(self, job: Embed) -> JobDone:
        runs = self._runs.setdefault(job.ticket, Runs())
        reports = []
        stop = partial(self._jobs.must_stop, job.ticket)
        for step in self._explorer.embed(job.spec, job.models, cancelled=stop):
            if isinstance(step, Progress):
                self._tell(JobProgress(job.ticket, runs.progress(step)))
            else:
                reports.append(step)
        return JobDone(job.ticket, runs.reports(reports))

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


def _is_cut_short(ended: JobDone | Compared) -> bool:
    return isinstance(ended, JobDone) and (not ended.reports or any(report.cancelled for report in ended.reports))


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
    main(int(sys.argv[1]))
