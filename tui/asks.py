"""Questions to the engine, each with who takes the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from visexplore.core.engine import Cancel, Died, Event, JobProgress, Ready, Request

Take = Callable[[Event], None]


class Sender(Protocol):
    """The engine as far as it is asked."""

    def ticket(self) -> int:
        """Return a number that no request has had."""

    def send(self, request: Request) -> None:
        """Send a request."""


class Asks:
    """What was asked of the engine and is not answered yet."""

    def __init__(self, engine: Sender) -> None:
        self._engine = engine
        self._takers: dict[int, Take] = {}

    def ask(self, request: Callable[[int], Request], take: Take) -> int:
        """Send a request and hand everything that the engine says to it to `take`, `Failed` and `Died` included.

        Args:
            request: makes the request from its ticket.
            take: takes the answer, and any number of `JobProgress` before it.

        Returns:
            The ticket.
        """
        ticket = self._engine.ticket()
        self._takers[ticket] = take
        self._engine.send(request(ticket))
        return ticket

    def forget(self, ticket: int) -> None:
        """Take no answer to a request any more."""
        self._takers.pop(ticket, None)

    def give_up(self, ticket: int) -> None:
        """Let the engine end a job, whose answer nobody takes any more."""
        self.forget(ticket)
        self._engine.send(Cancel(ticket))

    def answered(self, event: Event) -> bool:
        """Hand an event to who asked for it; False if nobody did."""
        if isinstance(event, Ready | Died):
            return False
        take = self._takers.get(event.ticket)
        if take is None:
            return False
        if not isinstance(event, JobProgress):
            del self._takers[event.ticket]
        take(event)
        return True

    def lost(self, event: Died) -> None:
        """Tell all who wait that the engine died."""
        takers, self._takers = self._takers, {}
        for take in takers.values():
            take(event)
