"""The explorer without its keys: panels, engine, and the dataset, the query and the model that are looked at."""

from __future__ import annotations

import gc
import os
import threading
import time
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from textual import events, on
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widgets import Static

from visexplore.core.catalogue import (
    OUTSIDE,
    POOLINGS,
    Catalogue,
    Checkpoint,
    WeightsStatus,
)
from visexplore.core.engine import (
    AskCacheStates,
    AskRates,
    CacheStates,
    DatasetOpened,
    Died,
    Event,
    Failed,
    Found,
    JobDone,
    JobPaused,
    JobProgress,
    OpenDataset,
    PictureMade,
    RatesKnown,
    Search,
)
from visexplore.core.errors import UnknownModel, VisexploreError
from visexplore.core.messages import CacheState, EmbedReport, Query
from visexplore.core.settings import Settings
from visexplore.core.text import count, cut, printable
from visexplore.tui.asks import Asks, Sender
from visexplore.tui.costs import Costs
from visexplore.tui.gallery import Gallery
from visexplore.tui.history import History
from visexplore.tui.job_queue import Change, JobQueue
from visexplore.tui.jobs import Job
from visexplore.tui.keys import PANEL_ACTIONS, STRIP_ACTIONS
from visexplore.tui.messages import EngineEvent, ImageChosen, MarksChanged, ModelChosen
from visexplore.tui.panels.catalogue import CataloguePanel
from visexplore.tui.panels.datasets import DatasetPanel
from visexplore.tui.panels.panel import Panel
from visexplore.tui.panels.query import QueryPanel
from visexplore.tui.pictures import Pictures, ask_picture
from visexplore.tui.query_notes import after_failure
from visexplore.tui.row_order import RowOrder
from visexplore.tui.session_state import Sessions, SessionState
from visexplore.tui.terminal import Terminal
from visexplore.tui.text_search import TextModels, takes_text, why_not
from visexplore.tui.theme import MUTED, THEMES, theme_for
from visexplore.tui.weights import Weights, what_a_query_from_outside_costs, what_embedding_costs
from visexplore.tui.widgets.keys_line import KeysLine
from visexplore.tui.widgets.status import StatusLine

if TYPE_CHECKING:
    from PIL.Image import Image

    from visexplore.core.comparison import Comparison
    from visexplore.tui.dataset_choices import DatasetChoices
    from visexplore.tui.guide import Guide


_FOCUS_OF = {"catalogue": "#models", "dataset": "#thumbnails", "query": "#strip"}
"""What has the focus at the start, by the panel that is active then."""
# Datasets up to this size are embedded without being asked, with a small model: it takes a minute on two cores.
AUTO_EMBED_AT_START = 3000
AUTO_EMBED_ON_SWITCH = 500
# A model with ten times as many parameters (in millions) gets a tenth of that. Not exact: it is no more than a guess.
_SMALL_MODEL = 10.0
_UNKNOWN_SIZE = 100.0
WIDE_FROM = 140
SMALLEST = (60, 18)
_QUERY_PIXELS = 512
_MOST_RESTARTS = 3
_REMEMBER_EVERY = 1.0  # seconds
_SLOW = 0.3  # seconds after which a search says what it waits for


class _Main(Screen[object]):
    # The focus shows in borders and cursors, which paint themselves: Textual would paint all pictures again.
    focused = Reactive(None, repaint=False)


class EngineLink(Sender, Protocol):
    """The engine as far as the app uses it."""

    def start(self) -> None:
        """Start it, again after it died."""


class BaseApp(App[int]):
    """Shows models, images, and a query with its neighbours, and follows what the engine tells.

    Args:
        engine: does the work; its events come in through `receive`.
        catalogue: the models.
        terminal: how pictures are drawn.
        spec: of the dataset to open.
        model: name of the first model.
        settings: look, keys and hints; without them the defaults, and no hints.
        sessions: what is remembered of datasets.

    Raises:
        UnknownModel: there is no model of that name.
    """

    TITLE = "visexplore"
    CSS_PATH = str(files("visexplore.assets").joinpath("visexplore.tcss"))
    ENABLE_COMMAND_PALETTE = True
    # Not the first widget, as Textual has it: we would follow the focus to its panel.
    AUTO_FOCUS = "#strip, ModalScreen *"

    def __init__(
        self,
        engine: EngineLink,
        catalogue: Catalogue,
        terminal: Terminal,
        spec: str,
        model: str,
        *,
        settings: Settings | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.terminal = terminal
        self.catalogue = catalogue
        self.spec = spec
        checkpoint = catalogue.resolve(model)
        self.model = checkpoint.slug
        self._names = {self.model: model}  # a slug alone does not find a model outside the catalogue
        self._checkpoints = {self.model: checkpoint}  # of the models that were chosen
        self.gallery: Gallery | None = None
        self.target: Query | None = None
        self.states: dict[str, CacheState] = {}
        self.jobs = JobQueue(engine, self._job_changed)
        self._pictures = Pictures(engine)
        self._search = self._states_ticket = 0
        self._outside_search = 0  # ticket of the unanswered search with a query from outside
        self._history = History()
        self._place = -1  # in the dataset, of the last query that was one of its images
        self.weights = self._weights = Weights()
        self.costs = Costs(self._weights)
        self.sessions = sessions or Sessions()
        self._remarks: set[tuple[str, str]] = set()  # that were told
        self._answered: tuple[str, Query, int] | None = None
        self._asks = Asks(engine)
        self._own_keys = settings.keys if settings else {}
        self._wants_hints = settings is not None and settings.hints
        self._guide: Guide | None = None  # from the first paint on, where hints are wanted
        self._row_order = RowOrder()
        self._compared: tuple[str, Comparison | None] = ("", None)  # the last verdict, with the spec of its dataset
        self._asked_states = 0.0
        self._deaths: list[float] = []
        self._shows_stop = False  # in the footer
        session = self.sessions.recall(spec)
        self._active = session.panel if session and session.panel in _FOCUS_OF else "query"  # panel with the focus
        self._engine_is_down = False
        self._is_new = True  # the dataset: nothing is known yet of what is embedded
        for theme in THEMES.values():
            self.register_theme(theme)
        # Here, because a change of it later makes the whole style sheet anew.
        self.theme = theme_for(settings.theme if settings else "auto", terminal.color).name
        if settings is not None and settings.keys:
            from visexplore.tui.keymap import keymap

            self.set_keymap(keymap(settings))

    @cached_property
    def dataset_choices(self) -> DatasetChoices:
        """The datasets that can be offered by name."""
        from visexplore.tui.dataset_choices import DatasetChoices

        return DatasetChoices(self._asks, self.sessions)

    # The terminal's focus: Textual would paint the whole screen, with all pictures, each time it comes or goes.
    app_focus = Reactive(True, compute=False, repaint=False)

    # ---- start

    def get_default_screen(self) -> Screen[object]:
        """Begin with the layout that fits, which is cheaper than changing to it."""
        screen = _Main(id="_default", classes="wide" if self.terminal.columns >= WIDE_FROM else "narrow")
        screen.AUTO_FOCUS = _FOCUS_OF[self._active]  # type: ignore[misc]  # of this one screen
        return screen

    def compose(self) -> ComposeResult:
        """Lay the panels between a line of state above and below."""
        yield Static("", id="top", markup=False)
        with Horizontal(id="panels"):
            for panel in (
                CataloguePanel(self.catalogue, self._weights, self.costs, self.terminal),
                DatasetPanel(self.terminal, self._pictures),
                QueryPanel(self.terminal, self._pictures),
            ):
                panel.display = self.terminal.columns >= WIDE_FROM or panel.id == self._active
                yield panel
        yield StatusLine()
        yield KeysLine()
        yield Static("", id="too-small", markup=False)

    def on_mount(self) -> None:
        """Let the engine begin once the first frame is painted."""
        self.animation_level = "none"
        self._panel(CataloguePanel).show_model(self.model)
        self._show_top()
        self._status_line.show_text("Starting the engine ...")
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        from visexplore.tui import graphics

        if not gc.isenabled():  # turned off by the command line, for the time to the first frame
            gc.enable()
            gc.freeze()
            # What is painted is kept in ten thousands of small objects: looking through them all takes 40 ms, and with
            # Python's own thresholds that happens every few seconds, in the middle of a key.
            gc.set_threshold(20_000, 50, 100)
        if self._wants_hints:
            from visexplore.tui.guide import Guide

            self._guide = Guide(self.sessions, self._own_keys)
        # Only now: where cores are few, a starting engine holds up the first frame.
        self._start_engine()
        # Imports what pictures need, which takes too long to do it between two keys.
        threading.Thread(target=graphics.install, args=(self.terminal,), daemon=True).start()
        threading.Thread(target=self.sessions.read_all, daemon=True).start()
        self.set_interval(_REMEMBER_EVERY, self._remember)

    def receive(self, event: Event) -> None:
        """Take an event of the engine, from whichever thread."""
        self.post_message(EngineEvent(event))

    async def on_event(self, event: events.Event) -> None:
        """Take what is pasted without the characters that a terminal obeys: fields write what they hold."""
        if isinstance(event, events.Paste) and not event.is_forwarded:
            event = events.Paste("".join(char if printable(char) == char else " " for char in event.text))
        await super().on_event(event)

    def on_resize(self, event: events.Resize) -> None:
        """Show three panels or one, or say that there is no room."""
        width, height = event.size
        small = width < SMALLEST[0] or height < SMALLEST[1]
        screen = self.screen_stack[0]
        if screen.has_class("too-small") and not small:
            active = screen.query_one(f"#{self._active}", Panel)
            self.call_after_refresh(active.focus_content)  # what is hidden loses the focus
        screen.set_class(small, "too-small")
        screen.set_class(width >= WIDE_FROM, "wide")
        screen.set_class(width < WIDE_FROM, "narrow")
        self._show_panels()
        if small:
            screen.query_one("#too-small", Static).update(
                f"{width} x {height} is too small:\nvisexplore needs {SMALLEST[0]} x {SMALLEST[1]} cells.\n"
                "Enlarge the terminal, or press q to leave."
            )

    # ---- panels

    def _panel[P: Panel](self, kind: type[P]) -> P:
        return self.screen_stack[0].query_one(kind)

    @property
    def _status_line(self) -> StatusLine:
        return self.screen_stack[0].query_one(StatusLine)

    @on(events.DescendantFocus)
    def _follow_focus(self, event: events.DescendantFocus) -> None:
        for node in event.widget.ancestors_with_self:
            if isinstance(node, Panel):
                self._set_active(node)

    def _set_active(self, panel: Panel) -> None:
        self._active = panel.id or ""
        self._show_panels()
        self._show_top()
        self._show_hint()

    def _show_panels(self) -> None:
        """Show all panels where there is room, else the active one.

        Which one is active is no class of the panel: Textual would lay all that is in it out again, and paint it.
        """
        screen = self.screen_stack[0]
        for panel in screen.query(Panel):
            panel.display = screen.has_class("wide") or panel.id == self._active

    def action_panel(self, name: str) -> None:
        """Go to a panel."""
        panel = self.screen_stack[0].query_one(f"#{name}", Panel)
        if panel.id == self._active and panel.has_focus_within:
            panel.focus_next_part()
            return
        self._show_panel(panel)

    def _show_panel(self, panel: Panel) -> None:
        if panel.id != self._active:
            screen = self.screen_stack[0]
            if screen.has_class("narrow"):
                # What has the focus is hidden now: Textual would give it to a neighbour, which we would follow.
                screen.set_focus(None)
            self._set_active(panel)
        self.call_after_refresh(panel.focus_content)

    def action_next_panel(self, step: int) -> None:
        """Go to the next or the previous panel."""
        panels = list(self.screen_stack[0].query(Panel))
        at = next((n for n, panel in enumerate(panels) if panel.id == self._active), 0)
        self._show_panel(panels[(at + step) % len(panels)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done now; a window on top takes the keys of the panels."""
        if len(self.screen_stack) > 1 and action in PANEL_ACTIONS:
            return False
        return self._is_possible(action)

    def _is_possible(self, action: str) -> bool:
        if action == "embed":
            return self._open_job(self.model) is None
        if action == "stop_embedding":
            return self._open_job(self.model) is not None
        return action not in STRIP_ACTIONS or self._active == "query"  # whose cursor is on the screen

    def _show_top(self) -> None:
        parts: list[Content] = []
        for number, panel in enumerate(self.screen_stack[0].query(Panel), start=1):
            style = "bold $background on $primary" if panel.id == self._active else MUTED
            name = {"catalogue": "Models", "dataset": "Images", "query": "Query"}[panel.id or ""]
            parts.append(Content.styled(f" {number} {name} ", style))
        title = cut(self.gallery.title if self.gallery else Path(self.spec).name, 30)
        parts.append(
            Content.assemble("  ", (title, "bold"), (" under ", MUTED), (cut(self.model, 40), "bold $primary"))
        )
        self.screen_stack[0].query_one("#top", Static).update(Content("").join(parts), layout=False)

    # ---- events of the engine

    def on_engine_event(self, message: EngineEvent) -> None:
        """Hand an event to whom it concerns."""
        self._route(message.event)

    def _route(self, event: Event) -> None:
        if self._asks.answered(event):
            return
        match event:
            case DatasetOpened():
                self._opened(event)
            case CacheStates():
                self._take_states(event)
            case PictureMade():
                self._pictures.made(event.ticket, event.picture)
            case Found():
                self._take_result(event)
            case JobProgress() | JobPaused() | JobDone():
                self.jobs.take(event)
            case Failed():
                self._failed(event)
            case Died():
                self._engine_died(event)

    def _opened(self, event: DatasetOpened) -> None:
        known = self.gallery
        self.spec = event.spec
        self.gallery = gallery = Gallery(event)
        self._panel(DatasetPanel).show_gallery(gallery)
        self.costs.images, self.costs.states = len(gallery), {}
        self._panel(CataloguePanel).show_costs()
        self._show_top()
        for problem in event.problems[:3]:
            self.notify(printable(problem), severity="warning", markup=False)
        self._answered = None
        target = self.target
        if known is None or known.spec != gallery.spec or target is None:
            self.states = {}
            self._is_new = True
            self._history = History()
            self._choose_first_query()
        elif any(part.image_id and part.image_id not in gallery.position_of for part in target.components):
            self._choose_query(0)
        else:
            self._ask_query_picture(target)
        self._ask_states()
        self._ask_rates()

    def _take_states(self, event: CacheStates) -> None:
        if event.spec != self.spec:
            return
        most = AUTO_EMBED_AT_START if self._is_new else AUTO_EMBED_ON_SWITCH
        self._is_new = False
        self.states = self.costs.states = {state.model: state for state in event.states}
        self._panel(CataloguePanel).show_states(self.states)
        self._auto_embed(most)
        self._show_states()
        self._ask_neighbours()

    def _take_result(self, event: Found) -> None:
        if self._was_left_meanwhile(event.ticket) or event.ticket != self._search or self.target is None:
            return  # the answer to a question that nobody asks any more
        self._search = 0
        self._answered = (self.model, self.target, event.result.results[0].gallery)
        self._panel(QueryPanel).show_result(self.target, event.result)
        self._show_hint()

    def _was_left_meanwhile(self, ticket: int) -> bool:
        """Whether an answer is to a query from outside that nobody asks any more; the one that waited for it is asked.

        The engine is asked for one at a time: each may have to load a model first, and it answers them in turn.
        """
        if ticket != self._outside_search:
            return False
        self._outside_search = 0
        if ticket == self._search:
            return False
        if self.target is not None and not self.target.is_stored:
            self._ask_neighbours()
        return True

    def _job_changed(self, job: Job, change: Change) -> None:
        is_current = (job.model, job.spec) == (self.model, self.spec)
        if change in ("stage", "done", "failed"):
            self._look_at_weights(self._checkpoints[job.model])
        if change == "done" and job.report is not None:
            self._tell_report(job.report)
        self._show_status()
        self._show_keys()
        if is_current and change in ("state", "stage", "failed"):
            self._panel(QueryPanel).say(job.problem or self._why_no_neighbours())
        # Neighbours among what is embedded so far: the screen is of use before the job ends.
        is_due = is_current and job.progress and job.progress.done and time.monotonic() - self._asked_states > 5
        if job.spec == self.spec and (change == "done" or (change in ("stage", "progress") and is_due)):
            self._ask_states()
        if change == "done":
            self._ask_rates()

    def _look_at_weights(self, checkpoint: Checkpoint) -> None:
        """Find out where the weights of a model are by now, and show it."""
        before = self._weights.status(checkpoint)
        self._weights.forget(checkpoint)
        if self._weights.status(checkpoint) is not before:
            self._panel(CataloguePanel).show_weights(checkpoint)

    def _tell_report(self, report: EmbedReport) -> None:
        if report.skipped:
            first = report.skipped[0]
            self.notify(
                f"{len(report.skipped):,} of {report.images:,} images could not be read, "
                f"first {cut(first.image_id, 60)}: {printable(first.reason)}",
                severity="warning", markup=False, timeout=10,
            )  # fmt: skip
        remarks = [remark for remark in report.remarks if (report.model, remark) not in self._remarks]
        self._remarks.update((report.model, remark) for remark in remarks)
        if remarks:
            self.notify(printable(f"{report.model}: {' '.join(remarks)}"), markup=False, timeout=10)

    def _failed(self, event: Failed) -> None:
        text = printable(str(event.error))
        if self._was_left_meanwhile(event.ticket):
            return
        if event.ticket == self._search:
            self._search = 0
            self._show_query_alone(after_failure(event.error, self._text_models().advice()))
            return
        elif self._pictures.made(event.ticket, printable(event.error.message)):
            return
        elif not self.jobs.take(event) and self.gallery is None:
            self._panel(DatasetPanel).show_problem(text)
            self._panel(QueryPanel).say(f"{text} Press D to open another folder.")
        self.notify(text, severity="error", markup=False, timeout=10)

    def _engine_died(self, event: Died) -> None:
        now = time.monotonic()
        self._deaths = [*(then for then in self._deaths if now - then < 60), now]
        self._pictures.forget_asked()
        self._outside_search = 0
        text = printable(str(event.error))
        self._asks.lost(event)
        if len(self._deaths) > _MOST_RESTARTS:
            self._give_up(f"{text} It stopped {len(self._deaths)} times within a minute: giving up.")
            return
        self.notify(f"{text} Starting it again.", severity="error", markup=False, timeout=10)
        self._start_engine()

    def _start_engine(self) -> None:
        try:
            self.engine.start()
        except VisexploreError as error:
            self._give_up(printable(str(error)))
            return
        self._engine_is_down = False
        self._open(self.spec)
        self.jobs.send_again()
        self._show_status()
        self._show_keys()

    def _give_up(self, text: str) -> None:
        self._engine_is_down = True
        self.jobs.fail_all(text)
        self.notify(text, severity="error", markup=False, timeout=30)
        self._show_status()
        self._show_keys()

    # ---- dataset, query, model

    def _open(self, spec: str) -> None:
        self.engine.send(OpenDataset(self.engine.ticket(), spec))
        if self.gallery is None:
            self._status_line.show_text(f"Opening {spec} ...")

    def _ask_states(self) -> None:
        self._asked_states = time.monotonic()
        self._states_ticket = self.engine.ticket()
        self.engine.send(AskCacheStates(self._states_ticket, self.spec))

    def _ask_rates(self) -> None:
        """Find out how fast models are here, to tell what embedding costs."""

        def known(event: Event) -> None:
            if isinstance(event, RatesKnown) and event.rates != self.costs.rates:
                self.costs.rates = event.rates
                self._panel(CataloguePanel).show_costs()
                self._panel(QueryPanel).say(self._why_no_neighbours())
                self._show_status()

        self._asks.ask(AskRates, known)

    def _choose_query(self, position: int) -> None:
        if self.gallery is None or not len(self.gallery):
            return
        position = position % len(self.gallery)
        self._set_target(Query(image_id=self.gallery.image_ids[position], label=self.gallery.label(position)))

    def _choose_first_query(self) -> None:
        """Go on where the dataset was left, as far as that is still there."""
        gallery = self.gallery
        session = self.sessions.recall(gallery.spec) if gallery else None
        if gallery is None or session is None:
            self._choose_query(0)
            return
        browser = self._panel(DatasetPanel)
        browser.set_marks(session.strings("marks"))
        browser.browse(session.label, session.words, session.image_id)
        if session.text and takes_text(self._checkpoints[self.model]):
            self._set_target(Query(text=session.text))
        elif session.path:
            self._set_target(Query(path=session.path))
        else:
            self._choose_query(gallery.position_of.get(session.image_id, 0))

    def _remember(self) -> None:
        """Keep where the user is, for the next start."""
        gallery, target = self.gallery, self.target or Query()
        if gallery is None or not self.is_running:
            return
        known = self.sessions.recall(gallery.spec)
        browser = self._panel(DatasetPanel)
        path = "" if target.image_id else target.path
        if path and not path.startswith(("http:", "https:")):
            path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - Path fails for unknown users
        self.sessions.keep(
            SessionState(
                gallery.spec,
                gallery.title,
                self._model_name,
                target.picture.image_id if target.picture else "",
                path,
                target.text,
                self._active,
                browser.label,
                browser.words,
                known.others if known else {},
            )
        )

    @on(MarksChanged)
    def _remember_marks(self, message: MarksChanged) -> None:
        if self.gallery is not None:
            self.sessions.keep_other(self.gallery.spec, "marks", list(message.marks))

    def exit(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - as Textual has it
        """Leave, and keep where the user was."""
        self._remember()
        super().exit(*arguments, **more)

    def _set_target(self, target: Query) -> None:
        self.target = target
        self._history.visit(target)
        if target.picture is not None and not target.picture.is_stored:
            self._show_query_alone("Reading the picture ...")
            self._ask_query_picture(target)
        elif not target.is_stored:
            self._show_query_alone(f"Searching with {self.model} ...")
        self._ask_neighbours()
        if target.image_id and self.gallery is not None:
            self._place = self.gallery.position_of[target.image_id]
            self._panel(DatasetPanel).show_query(self._place)

    def _ask_query_picture(self, target: Query) -> None:
        """Ask for the picture of a query that is no whole image of the dataset."""
        part = target.picture
        if part is None or part.is_stored:
            return

        def made(picture: Image | str) -> None:
            if target is self.target:
                self._panel(QueryPanel).show_outside_picture(picture)

        ask_picture(self._asks, self.spec, part, _QUERY_PIXELS, made)

    def _ask_neighbours(self) -> None:
        """Search with the query under the current model, unless that is on the screen already."""
        if self.target is None or self.gallery is None:
            return
        self._search = 0  # an answer still on its way is to another question
        self._show_status()
        if note := self._why_no_neighbours():
            self._show_query_alone(note)
            return
        target = self.target
        if self._answered == (self.model, target, self.states[self.model].embedded):
            return
        if not target.is_stored:
            self._say_if_slow()
            if self._outside_search:
                return  # until that is answered
        self._search = self.engine.ticket()
        if not target.is_stored:
            self._outside_search = self._search
        self.engine.send(
            Search(
                self._search, self.spec, self._model_name, image_id=target.image_id,
                path="" if target.image_id else target.path, text=target.text, parts=target.parts, crop=target.crop,
            )
        )  # fmt: skip

    def _say_if_slow(self) -> None:
        """Say what a search waits for, unless its answer comes at once: what is on the screen is another's."""
        asked = (self.model, self.target)

        def say() -> None:
            if self._outside_search and (self.model, self.target) == asked:
                self._show_query_alone(f"Searching with {self.model} ... the first time, it has to be loaded.")

        self.set_timer(_SLOW, say)

    def _show_query_alone(self, note: str) -> None:
        self._answered = None
        if self.target is not None:
            self._panel(QueryPanel).show_query(self.spec, self.target, note)

    def _why_no_neighbours(self) -> str:
        """Say why the query cannot be searched with under the current model; empty if it can."""
        checkpoint = self._checkpoints[self.model]
        target = self.target
        if target is not None and target.has_text and not takes_text(checkpoint):
            return f"{why_not(checkpoint)}; {self._text_models().advice()}."
        state, job = self.states.get(self.model), self._open_job(self.model)
        if self._is_new and job is None:
            return "Looking up what is embedded ..."
        status = self._weights.status(checkpoint)
        if state is None or not state.embedded:
            if job is None:
                return what_embedding_costs(checkpoint, status, self.costs.of(checkpoint))
            if job.state in ("pausing", "paused"):
                return f"Embedding with {self.model} is paused: J, then space, goes on."
            waits_for_weights = job.is_downloading if job.progress else status is WeightsStatus.TO_DOWNLOAD
            doing = f"Downloading {self.model}, then embedding" if waits_for_weights else f"Embedding with {self.model}"
            return f"{doing}: neighbours appear as soon as there are some."
        if (
            target is None
            or target.is_stored
            or status is not WeightsStatus.TO_DOWNLOAD
            or checkpoint.family == OUTSIDE
        ):
            return ""
        if job is not None:
            return f"Downloading {self.model}: neighbours appear when it is here."
        return what_a_query_from_outside_costs(checkpoint)

    def _text_models(self) -> TextModels:
        known = {c.slug: c for c in self.catalogue.checkpoints} | self._checkpoints
        return TextModels(known.values(), self.states, self._weights)

    @on(ImageChosen)
    def _image_chosen(self, message: ImageChosen) -> None:
        if self.gallery is not None and message.image_id in self.gallery.position_of:
            self._choose_query(self.gallery.position_of[message.image_id])
            self._show_panel(self._panel(QueryPanel))

    @on(ModelChosen)
    def _model_chosen(self, message: ModelChosen) -> None:
        self._use_model(message.model)
        if self.screen_stack[0].has_class("narrow"):
            self._show_panel(self._panel(QueryPanel))  # what the choice leads to is nowhere else to be seen

    def use_model(self, model: str) -> None:
        """Make a model the current one."""
        self._use_model(model)

    def _use_model(self, model: str) -> None:
        try:
            checkpoint = self.catalogue.resolve(model)
        except UnknownModel as error:
            self.notify(printable(str(error)), severity="error", markup=False, timeout=8)
            return
        self.model = checkpoint.slug
        self._names.setdefault(self.model, model)
        self._checkpoints.setdefault(self.model, checkpoint)
        self._look_at_weights(checkpoint)
        self._auto_embed(AUTO_EMBED_ON_SWITCH)
        self._ask_neighbours()  # first, so that the engine searches while the rest is painted
        self._panel(CataloguePanel).show_model(self.model)
        self._show_states()
        self._show_top()
        self._show_keys()

    @property
    def _model_name(self) -> str:
        """What the engine knows the current model by."""
        return self._names[self.model]

    def _models_at_hand(self) -> list[str]:
        """The models to switch between: what runs here, what the dataset is embedded with, what was named."""
        listed = [
            c.slug
            for c in self.catalogue.checkpoints
            if self._weights.run_here(c) or c.slug in self.states or c.slug in self._names
        ]
        pooled = [slug for slug in self.states if self._is_pooling(slug)]
        return list(dict.fromkeys([*listed, *pooled, *self._names]))

    def _is_pooling(self, slug: str) -> bool:
        """Whether it is another pooling of a model of the catalogue, which its slug is enough to find."""
        base, at, choice = slug.rpartition("@")
        return bool(at) and choice in POOLINGS and any(c.slug == base for c in self.catalogue.checkpoints)

    # ---- embedding

    def _show_keys(self) -> None:
        """Show whether `e` starts or stops; the footer is made anew only if that changed."""
        embedding = self._open_job(self.model) is not None
        if embedding != self._shows_stop:
            self._shows_stop = embedding
            self.refresh_bindings()
            self._show_states()

    def _show_states(self) -> None:
        embedding = self._open_job(self.model) is not None
        self._panel(DatasetPanel).show_states(self.states, self.model, embedding=embedding)

    def _open_job(self, model: str) -> Job | None:
        return self.jobs.open_job(self.spec, model)

    def _auto_embed(self, most: int) -> None:
        """Embed a small dataset without being asked, if the model needs no download and nobody stopped it before."""
        state = self.states.get(self.model)
        # A store of which no image is as it was (the files were written anew) is as good as none: what has the same
        # bytes is taken from it without the model.
        checkpoint = self._checkpoints[self.model]
        parameters = checkpoint.image_tower_parameters_m or checkpoint.parameters_m or _UNKNOWN_SIZE
        most = int(most * _SMALL_MODEL / max(_SMALL_MODEL, parameters))
        if (
            self._is_new
            or self.gallery is None
            or len(self.gallery) > most
            or (state and state.embedded + state.failed)
        ):
            return
        if not self.jobs.tried(self.spec, self.model) and self._weights.run_here(checkpoint):
            self.action_embed()

    def action_embed(self) -> None:
        """Embed the dataset with the current model."""
        if self._engine_is_down:
            self._deaths.clear()
            self._start_engine()
        if self._engine_is_down or self.gallery is None or self._open_job(self.model) is not None:
            return
        self.jobs.add(self.spec, self.gallery.title, self.model, self._model_name)

    def _show_status(self) -> None:
        self._show_hint()
        line = self._status_line
        if self._engine_is_down:
            line.show_text("The engine is down: press e to start it again.", "$text-error")
            return
        if open_jobs := self.jobs.open:
            line.show_job(open_jobs[0], len(open_jobs) - 1)
            return
        ended = self.jobs.last_ended(self.spec, self.model)
        if ended is not None and ended.state == "failed":
            line.show_text(ended.sentence(), "$text-error")
        elif ended is not None:
            line.show_text(f"{ended.title} with {self.model}: {ended.sentence()}")
        elif self.gallery is not None and not self._is_new and self.model not in self.states:
            line.show_text(f"e embeds {self.costs.of(self._checkpoints[self.model]).line()}")
        elif self.gallery is not None:
            images, labels = count(len(self.gallery), "image"), count(len(self.gallery.labels), "label")
            line.show_text(
                f"{images}, {labels if self.gallery.labels else 'no labels'}. Pictures: {self.terminal.graphics.value}"
            )

    def _embedded_models(self) -> list[str]:
        return [slug for slug, state in self.states.items() if state.embedded and not slug.startswith("baseline-")]

    # ---- hints

    def _show_hint(self) -> None:
        if self._guide is None:
            return
        from visexplore.tui.hints import Situation

        neighbours, job = self._panel(QueryPanel).neighbours, self._open_job(self.model)
        now = Situation(
            panel=self._active,
            has_neighbours=bool(neighbours),
            is_working=self.gallery is None or self._is_new or job is not None,
            embedded=len(self._embedded_models()),
            models=len(self._models_at_hand()) if neighbours else 1,
            is_outside=self.target is not None and not self.target.image_id,
        )
        self._status_line.show_hint(self._guide.hint(now))
