"""Side by side through the queries on which models differ most."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from visexplore.core.engine import AskDisagreements, Died, DisagreementsFound, Event, Failed
from visexplore.core.messages import Disagreement, Disagreements
from visexplore.core.text import count
from visexplore.tui.screens.side_by_side import SideBySide


class DisagreementQueue(SideBySide):
    """Shows the most disputed query first; n and p go through the others in the order of how much models differ."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "back", "Back", show=False, tooltip="leave", id="disagreement_back"),
    ]

    _ticket = 0
    _queue: Disagreements | None = None
    _at_place = 0

    def _begin(self) -> None:
        self.say(f"Looking for the queries on which {len(self._models)} models differ most ...")
        spec, models = self._gallery.spec, self._models
        self._ticket = self._asks.ask(lambda ticket: AskDisagreements(ticket, spec, models), self._take_queue)

    def _take_queue(self, event: Event) -> None:
        self._ticket = 0
        match event:
            case DisagreementsFound():
                self._queue = event.found
                if event.found.queries:
                    self.action_step(0)
                else:
                    self.say(
                        f"The {len(self._models)} models agree: the same {event.found.k} neighbours for "
                        f"{count(event.found.looked_at, 'query', 'queries')}. Esc leaves."
                    )
            case Failed():
                self.say(f"{event.error} n looks again.")
            case Died():
                self.say(f"{event.error} n looks again.")

    @property
    def _entry(self) -> Disagreement | None:
        """What is known of the query that is looked at, if it is of the queue."""
        if self._queue is None or not self._queue.queries:
            return None
        entry = self._queue.queries[self._at_place]
        return entry if entry.image_id == self.query_asked.image_id else None

    def _where(self) -> str:
        queue, entry = self._queue, self._entry
        if queue is None or entry is None:
            return ""
        where = f"disagreement {entry.disagreement:.2f}, {self._at_place + 1:,} of {len(queue.queries):,}"
        sample = f" (a sample: {queue.looked_at:,} of {queue.images:,} images)"
        # What is said on top is about one query: the mean says whether such a query is the rule.
        mean = f" (mean {queue.disagreement:.2f})"
        return where + (sample if queue.looked_at < queue.images else mean)

    def action_step(self, step: int) -> None:
        """Go to the next or the previous query of the queue."""
        if self._queue is None:
            if not self._ticket:
                self._begin()
        elif self._queue.queries:
            self._at_place = (self._at_place + step) % len(self._queue.queries)
            self._ask_image(self._queue.queries[self._at_place].image_id)

    def action_back(self) -> None:
        """Leave; a queue that is not there yet is given up."""
        if self._ticket:
            self._asks.give_up(self._ticket)
        super().action_back()
