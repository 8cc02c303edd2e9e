"""The model catalogue: a list to choose from, and all facts of the entry under the cursor."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from visexplore.core.catalogue import Catalogue, Checkpoint, Family
from visexplore.core.messages import CacheState
from visexplore.core.text import count, cut, printable
from visexplore.tui.costs import Costs
from visexplore.tui.messages import ModelChosen
from visexplore.tui.model_facts import checkpoint_facts, family_facts
from visexplore.tui.panels.panel import Panel
from visexplore.tui.text_search import takes_text
from visexplore.tui.weights import Weights, short_status
from visexplore.tui.widgets.row_list import RowList

_NAME = 23  # cells
_TEXT = "t"  # like the key
_REST = 0.12  # seconds that the cursor stays on a row before its facts are shown


def _millions(parameters: float | None) -> str:
    if parameters is None:
        return ""
    return f"{parameters:.1f}M" if parameters < 1000 else f"{parameters / 1000:.1f}B"


def _row(slug: str) -> str:
    """Return the key of the row that stands for a model: all its poolings share one."""
    return slug.partition("@")[0]


def _right(text: str, style: str) -> Text:
    return Text(text, style, justify="right")


class ModelTable(RowList):
    """The list of checkpoints, one row each, and of families that have none."""


class CataloguePanel(Panel):
    """Lists the models; Enter makes one the current model."""

    PARTS = ("#models", "#model-facts")

    def __init__(self, catalogue: Catalogue, weights: Weights, costs: Costs) -> None:
        super().__init__(id="catalogue")
        self.border_title = "1 Models"
        self._catalogue = catalogue
        self._weights = weights
        self._costs = costs
        self._model = ""
        self._states: dict[str, CacheState] = {}
        self._facts_due: Timer | None = None
        self._facts_of = ""
        self._entries: dict[str, tuple[Family, Checkpoint | None]] = {}
        self._rows: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Lay the filter over the list over the facts."""
        yield Input(placeholder="filter: words, e.g. clip large", id="model-filter", select_on_focus=False)
        with Container(id="listing"):
            yield ModelTable(id="models", cell_padding=0)
            with VerticalScroll(id="model-facts", can_focus=True):
                yield Static(id="facts", markup=False)

    def on_mount(self) -> None:
        """Fill the list: with the first paint if it is seen then, else right after it."""
        self.query_one("#model-filter", Input).cursor_blink = False
        table = self.query_one(ModelTable)
        table.add_column("", width=3, key="mark")
        table.add_column("Model", width=_NAME, key="model")
        table.add_column(f" {_TEXT}", width=2, key="text")
        # What matters most comes first: a narrow panel cuts off what is at the right.
        table.add_column("   Weights", width=11, key="weights")
        table.add_column(" Params", width=7, key="parameters")
        table.add_column("  Dim", width=5, key="dim")
        table.add_column("  Px", width=4, key="px")
        if self.display:
            self._fill("")
        else:
            self.call_after_refresh(self._fill, "")

    def on_resize(self, event: events.Resize) -> None:
        """Put the facts beside the list where there is room, else below."""
        self.set_class(event.size.width >= 100, "roomy")

    def begin_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#model-filter", Input)
        field.add_class("shown")
        field.focus()

    def show_model(self, model: str) -> None:
        """Mark the current model and put the cursor on it."""
        old, self._model = _row(self._model), model
        row = _row(model)
        for key in (old, row):
            self._remark(key)
        table = self.query_one(ModelTable)
        if row in self._rows:
            table.move_cursor(row=table.get_row_index(row), animate=False)

    def show_weights(self, checkpoint: Checkpoint) -> None:
        """Show where the weights of a checkpoint are now."""
        table = self.query_one(ModelTable)
        for key, (_, listed) in self._entries.items():
            if listed is not None and listed.weights == checkpoint.weights:
                for column, cell in self._cells(listed).items():
                    table.update_cell(key, column, cell)
                if key == self._facts_of:
                    self._show_facts(key)

    def show_costs(self) -> None:
        """Show anew what embedding with the model costs whose facts are shown."""
        if self._facts_of:
            self._show_facts(self._facts_of)

    def show_states(self, states: dict[str, CacheState]) -> None:
        """Mark the models under which the dataset is embedded."""
        changed = {slug for slug in {*states, *self._states} if states.get(slug) != self._states.get(slug)}
        self._states = states
        for slug in changed:
            self._remark(slug)
        if self._facts_of in changed:
            self.show_costs()

    def _remark(self, slug: str) -> None:
        if slug in self._rows:
            mark = self._mark(slug)
            if self._rows[slug] != mark:
                self._rows[slug] = mark
                self.query_one(ModelTable).update_cell(slug, "mark", Text(mark, "bold"))

    def _mark(self, slug: str) -> str:
        state = self._states.get(slug)
        cached = (
            "" if state is None or not state.embedded else "+" if state.embedded + state.failed >= state.total else "~"
        )
        return (">" if slug == _row(self._model) else " ") + (cached or " ")

    def _fill(self, words: str) -> None:
        table = self.query_one(ModelTable)
        table.clear()
        self._entries.clear()
        self._rows.clear()
        families = self._catalogue.filter(words)
        for family in families:
            for checkpoint in family.checkpoints:
                self._add(checkpoint.slug, family, checkpoint)
            if not family.checkpoints:
                self._add(family.id, family, None)
        shown = sum(checkpoint is not None for _, checkpoint in self._entries.values())
        self.border_subtitle = f"{count(shown, 'model')} of {len(families)} families"
        if _row(self._model) in self._rows:
            table.move_cursor(row=table.get_row_index(_row(self._model)), animate=False)

    def _add(self, key: str, family: Family, checkpoint: Checkpoint | None) -> None:
        self._entries[key] = family, checkpoint
        self._rows[key] = self._mark(key)
        if checkpoint is None:
            cells = {"model": Text(cut(family.name, _NAME), "dim"), "weights": _right("unreleased", "dim")}
        else:
            cells = self._cells(checkpoint)
        columns = ("model", "text", "weights", "parameters", "dim", "px")
        row = (cells.get(column, Text("")) for column in columns)
        self.query_one(ModelTable).add_row(Text(self._rows[key], "bold"), *row, key=key)

    def _cells(self, checkpoint: Checkpoint) -> dict[str, Text]:
        style = "" if self._weights.run_here(checkpoint) else "dim"
        return {
            "model": Text(cut(checkpoint.slug, _NAME), style),
            "text": _right(_TEXT if checkpoint.has_text_tower and takes_text(checkpoint) else "", style),
            "weights": _right(short_status(checkpoint, self._weights.status(checkpoint)), style),
            "parameters": _right(_millions(checkpoint.parameters_m), style),
            "dim": _right(str(checkpoint.dim or ""), style),
            "px": _right(str(checkpoint.input_size or ""), style),
        }

    @on(DataTable.RowHighlighted, "#models")
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        # Facts fill half a screen: they follow when the cursor rests, so that a held key moves it at full speed.
        if self._facts_due is not None:
            self._facts_due.stop()
        self._facts_due = self.set_timer(_REST, lambda key=event.row_key.value: self._show_facts(str(key)))

    def _show_facts(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        family, checkpoint = entry
        of_checkpoint: Iterable[Content] = ()
        if checkpoint is not None:
            cost = self._costs.of(checkpoint)
            of_checkpoint = checkpoint_facts(
                checkpoint, self._weights.status(checkpoint), cost.line() if cost.images else ""
            )
        self.query_one("#facts", Static).update(Content("\n").join([*of_checkpoint, *family_facts(family)]))
        if key != self._facts_of:
            self.query_one("#model-facts").scroll_home(animate=False)
        self._facts_of = key

    @on(DataTable.RowSelected, "#models")
    def _choose(self, event: DataTable.RowSelected) -> None:
        entry = self._entries.get(str(event.row_key.value))
        if entry is None:
            return
        family, checkpoint = entry
        if checkpoint is None:
            self.notify(
                printable(f"{family.name} has no weights to load: {family.unreleased or 'never released'}."),
                severity="warning", markup=False, timeout=8,
            )  # fmt: skip
            return
        self.post_message(ModelChosen(checkpoint.slug))

    @on(Input.Changed, "#model-filter")
    def _filter(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted, "#model-filter")
    def _filtered(self) -> None:
        self.query_one(ModelTable).focus()

    def key_escape(self) -> None:
        """Leave the filter, and clear it."""
        field = self.query_one("#model-filter", Input)
        if field.has_class("shown"):
            field.value = ""
            field.remove_class("shown")
            self.query_one(ModelTable).focus()
