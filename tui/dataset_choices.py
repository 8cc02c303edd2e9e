"""The datasets that can be offered by name: open before, embedded before, or in their usual places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visexplore.core.engine import AskDatasets, DatasetsKnown, Event
from visexplore.core.messages import KnownDataset
from visexplore.core.text import count
from visexplore.tui.asks import Asks
from visexplore.tui.session_state import Sessions


@dataclass(frozen=True, slots=True)
class Choice:
    """A dataset to open.

    Attributes:
        spec: opens it.
        title: its short name.
        about: why it is offered.
    """

    spec: str
    title: str
    about: str


class DatasetChoices:
    """What is known of datasets by now; the engine looks at the disk, not the screen."""

    def __init__(self, asks: Asks, sessions: Sessions) -> None:
        self._asks = asks
        self._sessions = sessions
        self._known: tuple[KnownDataset, ...] = ()

    def ask(self, told: Callable[[], None]) -> None:
        """Let the engine look, and call `told` when it has."""

        def take(event: Event) -> None:
            if isinstance(event, DatasetsKnown):
                self._known = event.datasets
            told()

        self._asks.ask(AskDatasets, take)

    def choices(self, *, but: str = "") -> list[Choice]:
        """Return all datasets, the one opened last first, without that of the spec `but`."""
        known = {dataset.spec: dataset for dataset in self._known}
        found = {
            state.spec: Choice(state.spec, state.title or state.spec, _about("recent", known.get(state.spec)))
            for state in self._sessions.recent()
        }
        for spec, dataset in known.items():
            found.setdefault(spec, Choice(spec, dataset.title, _about("", dataset)))
        found.setdefault("sample", Choice("sample", "sample", "the bundled pictures"))
        return [choice for spec, choice in found.items() if spec != but]


def _about(first: str, known: KnownDataset | None) -> str:
    models = f"embedded with {count(len(known.models), 'model')}" if known and known.models else ""
    return ", ".join(part for part in (first, models, known.about if known else "") if part)
