"""The jobs of the engine: those that wait, in their order, and the one that runs.

A job that is paused keeps its place and holds nothing: its run ends as if it was cancelled, what it embedded is
committed, its lock is released, and its model stays loaded as long as there is room. Resumed, it is run again, and does
what is missing. So other jobs run meanwhile without anything that a paused one could keep from them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from visexplore.core.engine.protocol import JobRequest


@dataclass(slots=True)
class _Entry:
    """A job that has not ended.

    Attributes:
        job: what was asked for.
        paused: it is not to be run before it is resumed.
        cancelled: it is running and to be given up.
        running: it was taken.
        interrupted: its run was told to stop, and may have done so although it has been resumed since.
    """

    job: JobRequest
    paused: bool = False
    cancelled: bool = False
    running: bool = False
    interrupted: bool = False


class JobQueue:
    """Hands jobs to the one thread that runs them; all else may be called from any thread."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}  # in the order in which they are run
        self._given_up: set[int] = set()  # tickets of jobs that were cancelled before they came
        self._changed = threading.Condition()
        self._closed = False

    def put(self, job: JobRequest, *, paused: bool = False) -> bool:
        """Add a job at the end, waiting or paused; False if it was cancelled before it came."""
        with self._changed:
            if job.ticket in self._given_up:
                return False
            self._entries[job.ticket] = _Entry(job, paused=paused)
            self._changed.notify()
            return True

    def take(self) -> JobRequest | None:
        """Wait for the first job that is not paused, and take it; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                entry = next((entry for entry in self._entries.values() if not entry.paused), None)
                if entry is not None:
                    entry.running, entry.interrupted = True, False
                    return entry.job
                self._changed.wait()
            return None

    def must_stop(self, ticket: int) -> bool:
        """Whether the run of a job has to end now; asked by the run, again and again."""
        with self._changed:
            entry = self._entries.get(ticket)
            if self._closed or entry is None:
                return True
            if entry.paused or entry.cancelled:
                entry.interrupted = True
            return entry.interrupted

    def is_given_up(self, ticket: int) -> bool:
        """Whether a request that is answered outside the queue was cancelled, or nobody waits for anything any more."""
        with self._changed:
            return self._closed or ticket in self._given_up

    def put_back(self, ticket: int) -> bool:
        """Let a job whose run was told to stop wait again at its place; False if there is nothing to go on with."""
        with self._changed:
            entry = self._entries.get(ticket)
            if self._closed or entry is None or entry.cancelled or not entry.interrupted:
                return False
            entry.running = False
            return True

    def end(self, ticket: int) -> None:
        """Forget a job."""
        with self._changed:
            self._entries.pop(ticket, None)

    def pause(self, ticket: int) -> bool:
        """Keep a job from running until it is resumed; True if it was waiting, False if its run has to end first."""
        with self._changed:
            entry = self._entries.get(ticket)
            if entry is None:
                return False
            entry.paused = True
            return not entry.running

    def resume(self, ticket: int) -> None:
        """Let a paused job wait for its turn, at the place that it had."""
        with self._changed:
            if (entry := self._entries.get(ticket)) is not None:
                entry.paused = False
                self._changed.notify()

    def cancel(self, ticket: int) -> bool:
        """Give a job up; True if that is all, False if its run has to end first or it has not come yet."""
        with self._changed:
            entry = self._entries.get(ticket)
            if entry is None:
                self._given_up.add(ticket)
                return False
            if entry.running:
                entry.cancelled = True
                return False
            del self._entries[ticket]
            return True

    def reorder(self, tickets: Sequence[int]) -> None:
        """Put the jobs that do not run into an order; those that it does not name follow in the order they had."""
        with self._changed:
            place = {ticket: number for number, ticket in enumerate(tickets)}
            # Stable: what is not named keeps its order, and the running job stays in front.
            order = sorted(
                self._entries.items(), key=lambda item: -1 if item[1].running else place.get(item[0], len(place))
            )
            self._entries = dict(order)

    def close(self) -> None:
        """Let the run end, and nothing more be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()
