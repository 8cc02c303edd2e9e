"""The explorer: what its keys do."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import Provider
from textual.screen import Screen

from visexplore.core.catalogue import (
    DEFAULT_MODEL,
    Catalogue,
    load_catalogue,
)
from visexplore.core.engine import (
    Engine,
    Event,
    Exported,
    ExportPaths,
    ExportStrips,
    Failed,
)
from visexplore.core.errors import UnknownModel, UserError
from visexplore.core.messages import Box, Query, QueryPart
from visexplore.core.query_mix import query_words
from visexplore.core.settings import Settings
from visexplore.core.text import printable
from visexplore.tui.base_app import BaseApp
from visexplore.tui.gallery import Gallery
from visexplore.tui.keys import KEYS, PANEL_ACTIONS
from visexplore.tui.panels.catalogue import CataloguePanel
from visexplore.tui.panels.datasets import DatasetPanel
from visexplore.tui.panels.query import QueryPanel
from visexplore.tui.pictures import ask_picture
from visexplore.tui.query_changes import expression_of, read_expression, with_crop, with_image
from visexplore.tui.session_state import Sessions, SessionState
from visexplore.tui.terminal import Terminal, drain
from visexplore.tui.text_search import takes_text, why_not
from visexplore.tui.theme import THEMES
from visexplore.tui.weights import what_a_query_from_outside_costs
from visexplore.tui.widgets.picture import Words
from visexplore.tui.widgets.picture_grid import graphics_after

if TYPE_CHECKING:
    from PIL.Image import Image

    from visexplore.tui.screens.side_by_side import SideBySide


# The windows of tui.screens are imported where they are opened: none is open at the first paint.

_ZOOM_PIXELS = 1400


def _model_commands() -> type[Provider]:
    from visexplore.tui.palette import ModelCommands

    return ModelCommands


def _dataset_commands() -> type[Provider]:
    from visexplore.tui.palette import DatasetCommands

    return DatasetCommands


class VisexploreApp(BaseApp):
    """The explorer: models, images, a query with its neighbours, and windows that keys open."""

    BINDINGS: ClassVar[list[BindingType]] = list(KEYS)
    COMMANDS = BaseApp.COMMANDS | {_model_commands, _dataset_commands}

    def action_switch_model(self, step: int) -> None:
        """Use the next or the previous model for the same query."""
        models = self._models_at_hand()
        slug = models[(models.index(self.model) + step) % len(models)]
        self._use_model(self._names.get(slug, slug))

    def action_choose_model(self) -> None:
        """Choose a model by typing a part of its name, or the id of one that is not listed."""
        from textual.command import CommandPalette

        from visexplore.tui.screens.model_picker import ModelProvider

        models = ModelProvider(self.screen, self.catalogue, self._weights, self.costs, self._use_model)
        placeholder = "Model: a part of its name, NAME@POOLING, or timm:NAME, hf:REPO, a folder"
        # As Textual's own `search_commands` does it: the provider is called as its class would be.
        self.push_screen(CommandPalette(providers=[models], placeholder=placeholder))  # type: ignore[list-item]

    # ---- the query

    def action_step(self, step: int) -> None:
        """Make the next or the previous image the query."""
        if self.gallery is None or self.target is None:
            return
        self._choose_query(self.gallery.position_of.get(self.target.image_id, self._place) + step)

    def action_random(self) -> None:
        """Make any image the query."""
        if self.gallery is not None and len(self.gallery):
            self._choose_query(random.randrange(len(self.gallery)))

    def action_text_query(self) -> None:
        """Ask for words as the query, and say at once which model will be searched with."""
        checkpoint = self._checkpoints[self.model]
        slug = checkpoint.slug
        hint = f"What the images should show, in a few words.\nEnter searches with {printable(slug)}, Esc leaves."
        if not takes_text(checkpoint):
            models = self._text_models()
            if models.first is None:
                self.notify(f"{why_not(checkpoint)}; {models.advice()}.", severity="warning", markup=False, timeout=8)
                return
            slug = models.first.slug
            hint = f"{why_not(checkpoint)}.\nEnter goes on with {printable(slug)}, {models.offer()}. Esc leaves."

        def typed(text: str | None) -> None:
            if text:
                self._search_text(text, slug)

        from visexplore.tui.screens.ask import Ask

        before = self.target.text if self.target is not None else ""
        self.push_screen(Ask("Search by text", hint, "a red shoe on white ground", before), typed)

    def _search_text(self, text: str, slug: str) -> None:
        if slug == self.model:
            self._set_target(Query(text=text))
        else:
            self.target = Query(text=text)
            self._show_query_alone("")
            self._use_model(self._names.get(slug, slug))
        self._show_panel(self._panel(QueryPanel))

    def action_open_picture(self) -> None:
        """Ask for a picture from outside as the query."""

        def opened(name: str | None) -> None:
            if name:
                self._set_target(Query(path=name))
                self._show_panel(self._panel(QueryPanel))

        from visexplore.tui.screens.ask import Ask

        self.push_screen(
            Ask(
                "Open a picture as query",
                "A path on this machine or an http(s) address. Enter opens, Esc leaves.",
                "~/photos/cat.jpg",
            ),
            opened,
        )

    def action_add_to_query(self) -> None:
        """Ask what to add to the query, which is written as an expression."""
        gallery, target = self.gallery, self.target
        if gallery is None or target is None:
            return
        expression = expression_of(target, gallery)

        def typed(text: str | None) -> None:
            if not text or self.gallery is not gallery:
                return
            # A name that cannot be shown as it is stands there in another way.
            shown = printable(expression)
            whole = f"{expression}{text.removeprefix(shown)}" if text.startswith(shown) else text
            self._try_query(lambda: read_expression(whole, gallery))

        from visexplore.tui.screens.ask import Ask

        self.push_screen(
            Ask(
                "Add to the query",
                "Write + or - and words, an image of the dataset, or ./a/file.jpg; 2: before a part doubles it.\n"
                'Quotes "..." keep a part together. Enter searches, Esc leaves.',
                value=expression, selected=False,
            ),
            typed,
        )  # fmt: skip

    def _try_query(self, make: Callable[[], Query]) -> None:
        """Search with a query that may turn out to make no sense."""
        try:
            target = make()
        except UserError as error:
            self.notify(printable(str(error)), severity="warning", markup=False, timeout=8)
            return
        self._set_target(target)
        self._show_panel(self._panel(QueryPanel))

    def action_mix_in(self, weight: int) -> None:
        """Add the neighbour under the cursor to the query, or subtract it."""
        gallery, target, under = self.gallery, self.target, self._panel(QueryPanel).under_cursor
        if gallery is None or target is None:
            return
        if under is None:
            self.notify("Put the cursor on a neighbour first: + adds it, - subtracts it.", markup=False)
            return
        self._try_query(lambda: with_image(target, under.image_id, weight, gallery))

    def action_history(self, step: int) -> None:
        """Go back to the query before, or forward again; the model stays."""
        target = self._history.step(step)
        if target is None:
            self.notify(f"There is no query {'before' if step < 0 else 'after'} this one.", markup=False, timeout=3)
        else:
            self._set_target(target)

    def action_crop(self) -> None:
        """Choose the part of the query's picture to search with."""
        target = self.target
        part = target.picture if target is not None else None
        if target is None or part is None:
            self.notify("Words have no part: press n for an image, or o to open one.", markup=False)
            return

        def chosen(answer: tuple[Box | None] | None) -> None:
            if answer is not None and target is self.target:
                self._set_target(with_crop(target, part, answer[0]))

        from visexplore.tui.screens.crop import Crop

        name = part.image_id or part.path
        load = partial(ask_picture, self._asks, self.spec, replace(part, crop=None), _ZOOM_PIXELS)
        self.push_screen(Crop(self.terminal, name, part.crop, load), chosen)

    def action_copy_path(self) -> None:
        """Copy the path of the picture under the cursor, or the words, to the terminal's clipboard."""
        path = self._panel(QueryPanel).path_under_cursor
        if not path:
            self.notify("There is nothing to copy yet.", markup=False)
            return
        self.copy_to_clipboard(path.encode("utf-8", "replace").decode())
        self.notify(printable(path), title="Copied", markup=False, timeout=8)

    def action_reveal(self) -> None:
        """Go to the picture under the cursor among the images."""
        image_id = self._panel(QueryPanel).image_under_cursor
        if self.gallery is None or image_id not in self.gallery.position_of:
            self.notify("That is no image of the dataset.", markup=False)
            return
        panel = self._panel(DatasetPanel)
        panel.reveal(self.gallery.position_of[image_id])
        self._show_panel(panel)

    def action_open_dataset(self) -> None:
        """Ask for another dataset."""
        from visexplore.tui.screens.open_dataset import OpenDataset

        self.push_screen(
            OpenDataset(self.dataset_choices, self.spec), lambda spec: self.open_dataset(spec) if spec else None
        )

    def open_dataset(self, spec: str) -> None:
        """Open another dataset, of any kind; a relative path begins here."""
        self._remember()
        is_path = spec.startswith((".", "/", "~")) or not (spec == "sample" or ":" in spec)
        self._open(os.path.abspath(os.path.expanduser(spec)) if is_path else spec)  # noqa: PTH100, PTH111

    # ---- embedding

    def action_embed_all(self) -> None:
        """Embed with all models that run here and have not, once it is clear what that costs."""
        if self.gallery is None or self._is_new or self._engine_is_down:
            return
        from visexplore.tui.screens.embed_all import EmbedAll, Plan

        gallery, spec = self.gallery, self.spec
        models = [self.catalogue.resolve(name) for name in self._named(self._models_at_hand())]
        plan = Plan([(model, self.costs.of(model)) for model in models if self._open_job(model.slug) is None])

        def begin(wanted: bool | None) -> None:
            for model in plan.models if wanted else ():
                self._checkpoints.setdefault(model.slug, model)
                self.jobs.add(spec, gallery.title, model.slug, self._names.get(model.slug, model.slug))

        if plan.is_cheap:
            self.notify(plan.sentence(), markup=False, timeout=8)
            begin(True)
        else:
            self.push_screen(EmbedAll(plan, gallery.title), begin)

    def action_stop_embedding(self) -> None:
        """Stop embedding with the current model; what is done stays."""
        job = self._open_job(self.model)
        if job is not None:
            self.jobs.cancel(job.ticket)

    # ---- windows

    def action_zoom(self) -> None:
        """Look at the query and a neighbour as large as the terminal allows."""
        if self.target is None:
            return
        from visexplore.tui.screens.zoom import Subject, Zoom

        panel = self._panel(QueryPanel)
        whole = self.target.image_id if self.target.is_stored else ""
        subjects = [Subject(whole, "Query", f"{self.target.label or ''}  {query_words(self.target)}".strip())]
        for neighbour in panel.neighbours:
            facts = f"{neighbour.label or ''}  {neighbour.image_id}".strip()
            subjects.append(Subject(neighbour.image_id, f"{neighbour.rank}  {neighbour.score:.3f}", facts))
        under = panel.under_cursor
        self.push_screen(
            Zoom(self.terminal, subjects, under.rank if under else 0, self._load_large),
            lambda cell: panel.move_cursor(cell or 0),
        )

    def _load_large(self, image_id: str, done: Callable[[Image | Words | str], None]) -> None:
        part = QueryPart(image_id=image_id) if image_id else self.target.picture if self.target else None
        if part is not None:
            ask_picture(self._asks, self.spec, part, _ZOOM_PIXELS, done)
        elif self.target is not None:
            words = self.target.text or query_words(self.target)
            self.call_later(done, Words(words))  # not before who asks is ready for an answer

    def action_side_by_side(self) -> None:
        """Show what all models that have the dataset embedded find for the query."""
        gallery, target, models = self.gallery, self.target, self._embedded_models()
        if gallery is None or target is None or not models:
            self.notify("Nothing is embedded yet: press e, then c.", severity="warning", markup=False)
            return
        able = models if target.is_stored else self._able_to_search(target, models)
        if not able:
            return
        from visexplore.tui.screens.side_by_side import SideBySide

        self._push_side_by_side(
            SideBySide(
                self.terminal, self._pictures, self._asks, gallery, self._named(models), target, self._row_order,
                outside_models=self._named(able), place=self._place,
            ),
            gallery,
        )  # fmt: skip

    def action_disagreement(self) -> None:
        """Go through the queries on which the models differ most."""
        gallery, target, models = self.gallery, self.target, self._embedded_models()
        if gallery is None or target is None or self._lacks_models("d", "differ"):
            return
        from visexplore.tui.screens.disagreement import DisagreementQueue

        self._push_side_by_side(
            DisagreementQueue(
                self.terminal, self._pictures, self._asks, gallery, self._named(models), target, self._row_order
            ),
            gallery,
        )

    def _push_side_by_side(self, window: SideBySide, gallery: Gallery) -> None:
        def left(model: str | None) -> None:
            image_id = window.query_asked.image_id
            if self.gallery is gallery and image_id and self.target is not None and image_id != self.target.image_id:
                self._choose_query(gallery.position_of[image_id])
            if model:
                self._use_model(self._names.get(model, model))

        self.push_screen(window, left)

    def _able_to_search(self, target: Query, models: Sequence[str]) -> list[str]:
        """Return the models that a query from outside can be searched with here; where there is none, say why."""
        known = {model: self.catalogue.resolve(self._names.get(model, model)) for model in models}
        able = [model for model, checkpoint in known.items() if not target.has_text or takes_text(checkpoint)]
        here = [model for model in able if self._weights.run_here(known[model])]
        if not able:
            self.notify(
                f"No model that has embedded this can search by text; {self._text_models().advice()}.",
                severity="warning", markup=False, timeout=8,
            )  # fmt: skip
        elif not here:
            first = known[able[0]]
            self.notify(what_a_query_from_outside_costs(first), severity="warning", markup=False, timeout=8)
        return here

    def action_tournament(self) -> None:
        """Ask which of two unnamed models is better, query by query."""
        gallery = self.gallery
        if gallery is None or self._lacks_models("T", "compete"):
            return
        from visexplore.tui.screens.tournament import Tournament

        models = self._named(self._embedded_models())
        self.push_screen(Tournament(self.terminal, self._pictures, self._asks, gallery, models))

    def _lacks_models(self, key: str, what: str) -> bool:
        """Whether fewer than two models have embedded the dataset; then say what to press."""
        models = self._embedded_models()
        if len(models) < 2:
            only = f"only {printable(models[0])} has" if models else "none has"
            self.notify(
                f"It takes two models that have embedded these images to {what}, and {only}: "
                f"choose another with [ or ], press e, then {key}.",
                severity="warning", markup=False, timeout=8,
            )  # fmt: skip
        return len(models) < 2

    def _named(self, slugs: Iterable[str]) -> tuple[str, ...]:
        """Return what the engine knows models by."""
        return tuple(self._names.get(slug, slug) for slug in slugs)

    def action_verdict(self) -> None:
        """Compare all models that have the dataset embedded, and show which is best."""
        models = self._embedded_models()
        if self.gallery is None or not models:
            self.notify("Nothing is embedded yet: press e, then v.", severity="warning", markup=False)
            return
        if len(models) == 1:
            self.notify(
                f"Only {printable(models[0])} has embedded this: [ and ] go to other models, e embeds.", markup=False
            )
        from visexplore.tui.screens.verdict import VerdictScreen

        spec = self.spec

        def left(image_id: str | None) -> None:
            if window.comparison is not None:
                self._compared = (spec, window.comparison)
            if image_id and self.gallery is not None and image_id in self.gallery.position_of:
                self._choose_query(self.gallery.position_of[image_id])
                self._show_panel(self._panel(QueryPanel))

        window = VerdictScreen(self._asks, self.spec, self._named(models))
        self.push_screen(window, left)

    def action_plots(self) -> None:
        """Show plots of the dataset under the current model, or under one that has embedded it."""
        gallery, models = self.gallery, self._named(self._embedded_models())
        if gallery is None or not models:
            self.notify("Nothing is embedded yet: press e, then P.", severity="warning", markup=False)
            return
        from visexplore.tui.screens.plots import Plots

        model = self._model_name if self._model_name in models else models[0]
        image_id = self.target.image_id if self.target is not None else ""
        spec, comparison = self._compared
        window = Plots(
            self.terminal, self._pictures, self._asks, gallery, models, model, image_id,
            comparison if spec == gallery.spec else None,
        )  # fmt: skip

        def left(_: None) -> None:
            if self.gallery is gallery and window.image_id and window.image_id != image_id:
                self._choose_query(gallery.position_of[window.image_id])
            if window.model != model:
                self._use_model(window.model)

        self.push_screen(window, left)

    def action_export(self) -> None:
        """Write the query and its neighbours under the current model as a picture."""
        if self.target is None or self.model not in self.states:
            self.notify("There is nothing to write yet: press e to embed.", severity="warning", markup=False)
            return
        target, spec, model = self.target, self.spec, self._model_name
        folder = str(Path.cwd() / "visexplore-strips")

        self._asks.ask(
            lambda ticket: ExportStrips(
                ticket, spec, (model,), folder,
                image_id=target.image_id, path="" if target.image_id else target.path, text=target.text,
                parts=target.parts, crop=target.crop,
            ),
            self._tell_written,
        )  # fmt: skip

    def _tell_written(self, event: Event) -> None:
        if isinstance(event, Exported):
            self.notify(printable(f"Written: {', '.join(event.files)}"), markup=False, timeout=8)
        elif isinstance(event, Failed):
            self.notify(printable(str(event.error)), severity="error", markup=False, timeout=10)

    # ---- images of the dataset: details, marks, what is unreadable

    def action_details(self) -> None:
        """Look at an image and all that is known of it: of the dataset's page, or of the query and its neighbours."""
        gallery, panel = self.gallery, self._panel(DatasetPanel)
        if gallery is None or not len(gallery):
            return
        if self._active != "query" and panel.under_cursor is not None:
            self._show_details(gallery, panel.shown, panel.cursor, panel.go_to)
            return
        query = self._panel(QueryPanel)
        first = 1 if self.target is not None and self.target.image_id else 0
        ids = [self.target.image_id] if self.target is not None and first else []
        positions = [gallery.position_of[image_id] for image_id in (*ids, *(n.image_id for n in query.neighbours))]
        start = query.under_cursor.rank - 1 + first if query.under_cursor is not None else 0
        if positions:
            self._show_details(gallery, positions, start, lambda at: query.move_cursor(at + 1 - first))

    def _show_details(
        self, gallery: Gallery, positions: Sequence[int], start: int, left: Callable[[int], None]
    ) -> None:
        from visexplore.tui.screens.image_details import ImageDetails

        panel = self._panel(DatasetPanel)
        marks = (lambda: panel.marks, panel.toggle_mark)
        window = ImageDetails(self.terminal, self._asks, gallery, positions, start, self.model, marks)
        self.push_screen(window, lambda at: left(at or 0))

    def action_mark(self) -> None:
        """Mark the image under the cursor, or take its mark away."""
        panel, query = self._panel(DatasetPanel), self._panel(QueryPanel)
        image_id = panel.under_cursor
        if self._active == "query" and self.target is not None:
            image_id = query.under_cursor.image_id if query.under_cursor else self.target.image_id
        if image_id:
            panel.toggle_mark(image_id)

    def action_only_marked(self) -> None:
        """Show the marked images alone, or all again."""
        self._panel(DatasetPanel).show_only_marked()

    def action_unmark(self) -> None:
        """Take all marks away, or bring them back."""
        self._panel(DatasetPanel).unmark_all()

    def action_write_marks(self) -> None:
        """Write the paths of the marked images to a text file."""
        marks, spec = self._panel(DatasetPanel).marks, self.spec
        if not marks:
            self.notify("No image is marked: space marks the one under the cursor.", markup=False)
            return
        folder = str(Path.cwd() / "visexplore-marks")
        self._asks.ask(lambda ticket: ExportPaths(ticket, spec, marks, folder), self._tell_written)

    def action_unreadable(self) -> None:
        """List the images that could not be embedded with the current model, and why."""
        gallery = self.gallery
        if gallery is None:
            return
        from visexplore.tui.screens.unreadable import Unreadable

        def chosen(image_id: str | None) -> None:
            if image_id and image_id in gallery.position_of:
                position = gallery.position_of[image_id]
                self._show_details(gallery, [position], 0, lambda _: None)

        self.push_screen(Unreadable(self._asks, self.spec, self._model_name, self.model), chosen)

    # ---- the screen

    def action_filter(self) -> None:
        """Filter the models, or the images where their panel is active."""
        panel = self._panel(DatasetPanel) if self._active == "dataset" else self._panel(CataloguePanel)
        self._show_panel(panel)
        self.call_after_refresh(panel.begin_filter)

    def action_cycle_graphics(self) -> None:
        """Draw pictures by the next protocol."""
        self.terminal = replace(self.terminal, graphics=graphics_after(self.terminal.graphics))
        self._panel(CataloguePanel).set_terminal(self.terminal)
        self._panel(DatasetPanel).set_terminal(self.terminal)
        self._panel(QueryPanel).set_terminal(self.terminal)
        self._show_status()
        self.notify(f"Pictures: {self.terminal.graphics.value}", timeout=2, markup=False)

    def action_jobs(self) -> None:
        """Show the embedding jobs; the model of the chosen one becomes the current model."""
        from visexplore.tui.screens.jobs import Jobs

        def left(ticket: int | None) -> None:
            job = self.jobs.find(ticket or 0)
            if job is None:
                return
            if job.spec != self.spec:
                self._open(job.spec)
            self._use_model(job.name)

        self.push_screen(Jobs(self.jobs), left)

    def action_help(self) -> None:
        """Show all keys."""
        from visexplore.tui.screens.help import Help

        self.push_screen(Help(self._active, self._own_keys))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Put every action into the command palette."""
        from visexplore.tui.keymap import called, keys_by_id

        keys = keys_by_id(KEYS, self._own_keys)
        for binding in KEYS:
            action = binding.action.split("(")[0]
            if self._is_possible(action) and (screen is self.screen_stack[0] or action not in PANEL_ACTIONS):
                yield SystemCommand(
                    binding.tooltip[:1].upper() + binding.tooltip[1:],
                    f"key {' '.join(called(key) for key in keys[binding.id or ''])}",
                    lambda action=binding.action: self.call_later(self.run_action, action),
                )
        for name, theme in THEMES.items():
            yield SystemCommand(f"Use the {name.words} theme", "", partial(setattr, self, "theme", theme.name))
        if self._panel(DatasetPanel).marks:
            yield SystemCommand(
                "Write the paths of the marked images", "below visexplore-marks", self.action_write_marks
            )
        yield SystemCommand("Use another theme", "all that Textual has", self.action_change_theme)

    async def run_action(self, action: Any, *arguments: Any, **more: Any) -> bool:  # noqa: ANN401 - as Textual has it
        """Do what a key asks for, and suggest that key no more."""
        done = await super().run_action(action, *arguments, **more)
        if done and isinstance(action, str) and self._guide is not None and self._guide.learn(action, self._active):
            self._show_hint()
        return done


def run(settings: Settings, spec: str, terminal: Terminal, model: str, device: str = "auto") -> int:
    """Open the explorer and stay until the user leaves; returns the exit code.

    Without a `model` it begins with the one that the dataset was left with.

    Raises:
        UnknownModel, SettingsError, CatalogueError, StorageError: before the screen is taken.
    """
    catalogue = load_catalogue(settings.models_file)
    engine = Engine(settings, lambda event: None, device)
    sessions = Sessions(settings.sessions)
    model = model or _first_model(settings, catalogue, sessions.recall(spec))
    app = VisexploreApp(engine, catalogue, terminal, spec, model, settings=settings, sessions=sessions)
    engine.on_event = app.receive
    engine.check_log()
    if not terminal.answered:
        drain()  # replies that come late would be taken for keys
    try:
        return app.run() or 0
    finally:
        sessions.close()
        engine.stop()


def _first_model(settings: Settings, catalogue: Catalogue, session: SessionState | None) -> str:
    """Return the model that the dataset was left with, if there still is one of that name, or the usual one."""
    if session is not None and session.model:
        try:
            catalogue.resolve(session.model)
        except UnknownModel:
            pass
        else:
            return session.model
    return settings.model or DEFAULT_MODEL
