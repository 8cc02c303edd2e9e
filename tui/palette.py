"""What the command palette finds beside actions: models to use, datasets to open."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape

from visexplore.core.text import cut_front, printable
from visexplore.tui.screens.model_picker import about

if TYPE_CHECKING:
    from visexplore.tui.app import VisexploreApp

_SHOWN = 6  # datasets before anything is typed
_WIDEST = 60  # cells


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    about: str
    run: Callable[[], None]


class _Commands(Provider):
    """Finds commands by a part of their names; none while a window covers what they are about."""

    @property
    def explorer(self) -> VisexploreApp:
        """The app."""
        return cast("VisexploreApp", self.app)

    @abstractmethod
    def commands(self) -> Iterator[_Command]:
        """Yield all commands."""

    def _possible(self) -> Iterator[_Command]:
        if self.screen is self.app.screen_stack[0]:
            yield from self.commands()

    async def search(self, query: str) -> Hits:
        """Yield what matches the typed text."""
        matcher = self.matcher(query)
        for command in self._possible():
            if (score := matcher.match(command.name)) > 0:
                yield Hit(score, matcher.highlight(escape(command.name)), command.run, help=escape(command.about))


class ModelCommands(_Commands):
    """Offers to use each model of the catalogue."""

    def commands(self) -> Iterator[_Command]:
        """Yield a command for each model."""
        app = self.explorer
        for family in app.catalogue.families:
            for checkpoint in family.checkpoints:
                name = printable(f"Model: {checkpoint.slug}  {family.name}")
                use = partial(app.use_model, checkpoint.slug)
                yield _Command(name, printable(about(family, checkpoint, app.weights, app.costs)), use)


class DatasetCommands(_Commands):
    """Offers to open the datasets that were open before, are embedded, or lie in their usual places."""

    async def startup(self) -> None:
        """Let the engine look; each key that is typed searches in what it has told by then.

        Nothing waits for it: a key that is typed meanwhile would make Textual give this provider up.
        """
        self.explorer.dataset_choices.ask(lambda: None)

    def commands(self) -> Iterator[_Command]:
        """Yield a command for each dataset but the open one."""
        app = self.explorer
        for choice in app.dataset_choices.choices(but=app.spec):
            name = printable(f"Dataset: {choice.title}  {cut_front(choice.spec, _WIDEST)}")
            yield _Command(name, printable(choice.about), partial(app.open_dataset, choice.spec))

    async def discover(self) -> Hits:
        """Yield the first few before anything is typed."""
        for command in [*self._possible()][:_SHOWN]:
            yield DiscoveryHit(escape(command.name), command.run, help=escape(command.about))
