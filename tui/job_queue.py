"""The embedding jobs of a session: what was asked of the engine, in which order, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from visexplore.core.engine import (
    Cancel,
    Embed,
    Event,
    Failed,
    JobDone,
    JobPaused,
    JobProgress,
    Pause,
    Reorder,
    Resume,
)
from visexplore.core.text import printable
from visexplore.tui.asks import Sender
from visexplore.tui.jobs import Job

Change = Literal["state", "stage", "progress", "done", "failed"]
"""What is new of a job: what the user did with it, another stage, how far it is, its end."""


class JobQueue:
    """The jobs, those that are open in the order in which the engine takes them.

    Args:
        engine: does them.
        changed: is told of each change.
    """

    def __init__(self, engine: Sender, changed: Callable[[Job, Change], None]) -> None:
        self._engine = engine
        self._changed = changed
        self._jobs: dict[int, Job] = {}
        self._tried: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._jobs

    @property
    def open(self) -> list[Job]:
        """Those that have not ended, what runs first."""
        return sorted((job for job in self if job.is_open), key=lambda job: job.is_movable)

    @property
    def ended(self) -> list[Job]:
        """The others, in the order in which they were begun."""
        return [job for job in self if not job.is_open]

    def find(self, ticket: int) -> Job | None:
        """Return a job by the ticket of its request."""
        return self._jobs.get(ticket)

    def open_job(self, spec: str, model: str) -> Job | None:
        """Return the job that embeds a dataset with a model."""
        return next((job for job in self if job.is_open and (job.spec, job.model) == (spec, model)), None)

    def last_ended(self, spec: str, model: str) -> Job | None:
        """Return the last job that embedded a dataset with a model."""
        return next((job for job in reversed(self.ended) if (job.spec, job.model) == (spec, model)), None)

    def tried(self, spec: str, model: str) -> bool:
        """Whether there ever was such a job."""
        return (spec, model) in self._tried

    # ---- what the user does

    def add(self, spec: str, title: str, model: str, name: str) -> None:
        """Embed a dataset with a model after all that was asked for before."""
        job = Job(self._engine.ticket(), spec, title, model, name=name)
        self._jobs[job.ticket] = job
        self._tried.add((spec, model))
        self._send(job)
        self._changed(job, "state")

    def cancel(self, ticket: int) -> None:
        """Give a job up; what it has embedded stays."""
        job = self._jobs.get(ticket)
        if job is not None and job.is_open and job.state != "stopping":
            self._set(job, "stopping")
            self._engine.send(Cancel(ticket))

    def pause_or_resume(self, ticket: int) -> None:
        """Let a job rest at its place, or go on when its turn comes."""
        job = self._jobs.get(ticket)
        if job is None:
            return
        if job.state in ("waiting", "running"):
            self._set(job, "pausing")
            self._engine.send(Pause(ticket))
        elif job.state in ("pausing", "paused"):
            self._set(job, "waiting")
            self._engine.send(Resume(ticket))

    def move(self, ticket: int, step: int) -> None:
        """Let a job that waits change places with the next (1) or the previous (-1) that does."""
        movable = [job.ticket for job in self if job.is_movable]
        if ticket not in movable:
            return
        at = movable.index(ticket)
        if not 0 <= at + step < len(movable):
            return
        movable[at], movable[at + step] = movable[at + step], movable[at]
        others = [other for other in self._jobs if other not in movable]
        self._jobs = {one: self._jobs[one] for one in (*others, *movable)}
        self._engine.send(Reorder(tuple(movable)))

    def clear(self) -> None:
        """Forget what has ended."""
        self._jobs = {ticket: job for ticket, job in self._jobs.items() if job.is_open}

    # ---- what the engine says

    def take(self, event: Event) -> bool:
        """Take an event in; False if it is about no job of these."""
        if not isinstance(event, JobProgress | JobPaused | JobDone | Failed):
            return False
        job = self._jobs.get(event.ticket)
        if job is None:
            return False
        match event:
            case JobProgress():
                before, job.progress = job.progress, event.progress
                if job.state == "waiting":
                    job.state = "running"
                same = before is not None and before.stage == event.progress.stage
                self._changed(job, "progress" if same else "stage")
            case JobPaused():
                if job.state == "pausing":  # else it was resumed meanwhile
                    self._set(job, "paused")
            case JobDone():
                job.report = event.reports[0] if event.reports else None
                # Stopped while it waited or downloaded, it has nothing to report.
                job.state = "cancelled" if job.report is None or job.report.cancelled else "done"
                self._changed(job, "done")
            case Failed():
                job.state, job.problem = "failed", printable(str(event.error))
                self._changed(job, "failed")
        return True

    def send_again(self) -> None:
        """Tell a new engine what the one that died had to do, in its order; what was paused stays so."""
        for job in self:
            if job.state == "stopping":
                job.state = "cancelled"
            elif job.state in ("pausing", "paused"):
                job.state = "paused"
                self._send(job)
            elif job.is_open:
                job.state, job.progress = "waiting", None
                self._send(job)

    def fail_all(self, problem: str) -> None:
        """Give all up that is open: there is no engine to do it."""
        for job in self:
            if job.is_open:
                job.state, job.problem = "failed", problem

    def _set(self, job: Job, state: Literal["pausing", "paused", "waiting", "stopping"]) -> None:
        job.state = state
        self._changed(job, "state")

    def _send(self, job: Job) -> None:
        self._engine.send(Embed(job.ticket, job.spec, (job.name,), paused=job.state == "paused"))
