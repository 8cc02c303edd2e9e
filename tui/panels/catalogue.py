"""The model catalogue: a list or a timeline to choose from, and all facts of the entry under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Region, Size
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from visexplore.core.catalogue import Catalogue, Checkpoint, Family
from visexplore.core.messages import CacheState
from visexplore.core.text import count, printable
from visexplore.tui.costs import Costs
from visexplore.tui.messages import ModelChosen
from visexplore.tui.model_costs import Here
from visexplore.tui.model_facts import facts
from visexplore.tui.model_rows import Column, Entry, Order, cells, columns_for, head, is_order, ordered
from visexplore.tui.panels.panel import Panel
from visexplore.tui.schematics import schematic
from visexplore.tui.terminal import Graphics, Terminal
from visexplore.tui.weights import Weights
from visexplore.tui.widgets.picture import Picture
from visexplore.tui.widgets.row_list import RowList
from visexplore.tui.widgets.timeline import Timeline

_REST = 0.12  # seconds that the cursor stays on a row before its facts are shown
_ROOMY = 100  # columns from which on the facts are beside the list
# Rows of the panel from which on there is room for a schematic picture: over the facts, beside or below the list.
_PICTURED_BESIDE, _PICTURED_BELOW = 24, 40
_USUAL_WIDTH = 55  # cells for the list before the panel has been laid out


def _row(slug: str) -> str:
    """Return the key of the row that stands for a model: all its poolings share one."""
    return slug.partition("@")[0]


class ModelTable(RowList):
    """The list of checkpoints, one row each, and of families that have none."""


class CataloguePanel(Panel):
    """Lists the models; Enter makes one the current model."""

    PARTS = ("#models", "#timeline", "#model-facts")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "timeline", "Timeline", show=False, tooltip="timeline of the systems, or table", id="timeline"),
        Binding("s", "sort", "Sort", show=False, tooltip="sort the models by the next column", id="sort_models"),
        Binding("S", "turn_round", "Reverse", show=False, tooltip="reverse the order of the models", id="turn_models"),
        Binding("i", "card", "Card", show=False, tooltip="all about the model, on the whole screen", id="model_card"),
    ]

    def __init__(self, catalogue: Catalogue, weights: Weights, costs: Costs, terminal: Terminal) -> None:
        super().__init__(id="catalogue")
        self.border_title = "1 Models"
        self._catalogue = catalogue
        self._weights = weights
        self._costs = costs
        self._terminal = terminal
        self._model = ""
        self._states: dict[str, CacheState] = {}
        self._shown_rates: dict[str, float] = {}
        self._facts_due: Timer | None = None
        self._facts_of = ""
        self._facts = ""
        self._families: list[Family] = []
        self._entries: dict[str, Entry] = {}  # by the keys of their rows, in the rows' order
        self._marks: dict[str, str] = {}
        self._columns: tuple[Column, ...] = ()
        self._order = Order()

    def compose(self) -> ComposeResult:
        """Lay the filter over the lists over the facts."""
        yield Input(placeholder="filter: words, e.g. clip large", id="model-filter", select_on_focus=False)
        with Container(id="listing"):
            with Vertical(id="lists"):
                yield ModelTable(id="models", cell_padding=0)
                timeline = Timeline(id="timeline")
                timeline.display = False
                yield timeline
            with Vertical(id="about"):
                yield Picture(self._terminal, id="schematic")
                with VerticalScroll(id="model-facts", can_focus=True):
                    yield Static(id="facts", markup=False)

    def on_mount(self) -> None:
        """Fill the list: with the first paint if it is seen then, else right after it."""
        self.query_one("#model-filter", Input).cursor_blink = False
        self.app.theme_changed_signal.subscribe(self, self._theme_changed)
        if self.display:
            self._filter("")
        else:
            self.call_after_refresh(self._filter, "")

    def on_resize(self, event: events.Resize) -> None:
        """Put the facts beside the list where there is room, else below; show a picture where there is room."""
        roomy = event.size.width >= _ROOMY
        self.set_class(roomy, "roomy")
        self._make_room(event.size)
        self.call_after_refresh(self._fit)

    def on_show(self) -> None:
        """Draw what was not drawn while nobody saw it."""
        self.call_after_refresh(self._show_schematic)

    def _make_room(self, size: Size) -> None:
        """Show a picture if there is room, and more than characters to draw it with: nobody could tell what it is."""
        rows = _PICTURED_BESIDE if self.has_class("roomy") else _PICTURED_BELOW
        self.set_class(size.height >= rows and self._terminal.graphics is not Graphics.TEXT, "pictured")

    # ---- what the app tells

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw in another way."""
        self._terminal = terminal
        self.query_one(Picture).set_terminal(terminal)
        self._make_room(self.size)
        self.call_after_refresh(self._fit)

    def show_model(self, model: str) -> None:
        """Mark the current model and put the cursor on it."""
        old, self._model = _row(self._model), model
        self._remark((old, _row(model)))
        self._go_to(_row(model))

    def show_weights(self, checkpoint: Checkpoint) -> None:
        """Show where the weights of a checkpoint are now."""
        for key, entry in self._entries.items():
            if entry.checkpoint is not None and entry.checkpoint.weights == checkpoint.weights:
                self._update_cells(entry)
                if key == self._facts_of:
                    self._show_facts(key)

    def show_states(self, states: dict[str, CacheState]) -> None:
        """Mark the models under which the dataset is embedded."""
        changed = {slug for slug in {*states, *self._states} if states.get(slug) != self._states.get(slug)}
        self._states = states
        self._remark(changed)
        self.show_costs()

    def show_costs(self) -> None:
        """Show what models cost here, where that has changed."""
        before, self._shown_rates = self._shown_rates, self._rates
        changed = {slug for slug in {*before, *self._shown_rates} if before.get(slug) != self._shown_rates.get(slug)}
        if changed and self._order.by == "rate":
            self._fill()
        for slug in changed & self._entries.keys():
            self._update_cells(self._entries[slug])
        self._show_facts(self._facts_of)

    # ---- the lists

    @property
    def _table(self) -> ModelTable:
        return self.query_one(ModelTable)

    @property
    def _timeline(self) -> Timeline:
        return self.query_one(Timeline)

    @property
    def _list(self) -> RowList:
        """The one of the two that is shown."""
        return self._timeline if self._timeline.display else self._table

    @property
    def _rates(self) -> dict[str, float]:
        return {rate.model: rate.model_rate for rate in reversed(self._costs.rates.measured)}

    @property
    def _under_cursor(self) -> str:
        """The key of the entry under the cursor; empty if nothing is listed."""
        if self._timeline.display:
            return self._stands_for(self._timeline.under_cursor)
        keys = list(self._entries)
        return keys[self._table.cursor_row] if self._table.cursor_row < len(keys) else ""

    def _stands_for(self, family: str) -> str:
        """Return the key of the entry that a system is chosen with: its first that runs here, or else its first."""
        listed = next((one for one in self._families if one.id == family), None)
        if listed is None:
            return ""
        models = listed.checkpoints
        return next((one.slug for one in models if self._weights.run_here(one)), models[0].slug if models else family)

    def _fit(self) -> None:
        """Show the columns that there is room for by now."""
        if self._timeline.display:
            self._fill_timeline()
        if columns_for(self._room, self._order) != self._columns:
            self._fill()
        self._show_schematic()

    @property
    def _room(self) -> int:
        """The cells that a row has."""
        width = self._list.region.width
        return width - 1 if width else _USUAL_WIDTH  # a column is the scroll bar's

    def _filter(self, words: str) -> None:
        self._families = self._catalogue.filter(words)
        self._fill()
        if self._timeline.display:
            self._fill_timeline()

    def _fill(self) -> None:
        """Fill the table."""
        under = self._under_cursor or _row(self._model)
        listed = [
            Entry(family, checkpoint) for family in self._families for checkpoint in family.checkpoints or (None,)
        ]
        self._entries = {entry.key: entry for entry in ordered(listed, self._order, self._rates)}
        self._columns = columns_for(self._room, self._order)
        table = self._table
        table.clear(columns=True)
        for column in self._columns:
            table.add_column(head(column, self._order), width=column.width, key=column.key)
        self._marks = {key: self._mark(key) for key in self._entries}
        for key, entry in self._entries.items():
            row = cells(entry, self._weights, self._rates)
            shown = (row.get(column.key, Text("")) for column in self._columns[1:])
            table.add_row(Text(self._marks[key], "bold"), *shown, key=key)
        models = count(sum(entry.checkpoint is not None for entry in listed), "model")
        order = f", {self._order.title}" if self._order.title else ""
        self._say(f"{models} of {len(self._families)} families{order}")
        self._go_to(under if under in self._entries else _row(self._model))

    def _say(self, text: str) -> None:
        """Write into the frame's last row, and paint that alone: Textual's own way paints the picture again."""
        self._border_subtitle = Content(text)
        width, height = self.outer_size
        self.refresh(Region(0, height - 1, width, 1).translate(-self.content_offset))  # it takes places in the content

    def _fill_timeline(self) -> None:
        faint = [family.id for family in self._families if not any(map(self._weights.run_here, family.checkpoints))]
        marks = {family.id: self._mark_of_family(family) for family in self._families}
        self._timeline.show(self._families, marks, faint, self._room)

    def _update_cells(self, entry: Entry) -> None:
        row = cells(entry, self._weights, self._rates)
        for column in self._columns:
            if column.key in row:
                self._table.update_cell(entry.key, column.key, row[column.key])

    def _go_to(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is not None:
            self._table.move_cursor(row=self._table.get_row_index(key), animate=False)
            self._timeline.go_to(entry.family.id)

    def _remark(self, slugs: Iterable[str]) -> None:
        for slug in slugs:
            if slug in self._marks and self._marks[slug] != (mark := self._mark(slug)):
                self._marks[slug] = mark
                self._table.update_cell(slug, "mark", Text(mark, "bold"))
        if self._timeline.display:
            for family in self._families:
                self._timeline.update_cell(family.id, "mark", Text(self._mark_of_family(family), "bold"))

    def _mark(self, slug: str) -> str:
        state = self._states.get(slug)
        cached = (
            "" if state is None or not state.embedded else "+" if state.embedded + state.failed >= state.total else "~"
        )
        return (">" if slug == _row(self._model) else " ") + (cached or " ")

    def _mark_of_family(self, family: Family) -> str:
        marks = [self._mark(checkpoint.slug) for checkpoint in family.checkpoints]
        return "".join(
            next((sign for sign in signs if any(sign in mark for mark in marks)), " ") for signs in (">", "+~")
        )

    # ---- the facts

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        # Facts fill half a screen: they follow when the cursor rests, so that a held key moves it at full speed.
        if event.data_table is not self._list:
            return
        if self._facts_due is not None:
            self._facts_due.stop()
        self._facts_due = self.set_timer(_REST, lambda: self._show_facts(self._under_cursor))

    def _about(self, key: str) -> tuple[str, Content]:
        """Return the id of an entry's family and all facts of it."""
        entry = self._entries[key]
        here = None
        if entry.checkpoint is not None:
            here = Here(
                self._weights.status(entry.checkpoint), self._costs.of(entry.checkpoint), self._costs.rates.of(key),
                is_open=self._costs.images > 0,
            )  # fmt: skip
        return entry.family.id, Content("\n").join(facts(entry.family, entry.checkpoint, here))

    def _show_facts(self, key: str) -> None:
        if key not in self._entries:
            return
        _, about = self._about(key)
        if about.plain != self._facts:
            self._facts = about.plain
            self.query_one("#facts", Static).update(about)
        if key != self._facts_of:
            self.query_one("#model-facts").scroll_home(animate=False)
        self._facts_of = key
        self._show_schematic()

    def _show_schematic(self) -> None:
        picture = self.query_one(Picture)
        entry = self._entries.get(self._facts_of)
        if entry is None or not picture.region:
            return
        picture.show(schematic(entry.family.id, picture.background_colors[1].rgb))

    def _theme_changed(self, theme: Theme) -> None:
        if self._timeline.display:
            self._fill_timeline()
        self.call_after_refresh(self._show_schematic)

    # ---- what the user does

    def focus_content(self) -> None:
        """Put the focus on the list that is shown."""
        self.screen.set_focus(self._list)

    def begin_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#model-filter", Input)
        field.add_class("shown")
        field.focus()

    def action_timeline(self) -> None:
        """Show the timeline instead of the table, or the table again."""
        table, timeline = self._table, self._timeline
        under = self._under_cursor
        had_focus = self._list.has_focus
        if not timeline.display:
            self._fill_timeline()
        timeline.display = not timeline.display
        table.display = not timeline.display
        self._go_to(under)
        if had_focus:
            self.screen.set_focus(self._list)

    def action_sort(self) -> None:
        """Order the models by the next column."""
        self._set_order(self._order.next())

    def action_turn_round(self) -> None:
        """Turn the order of the models round."""
        self._set_order(replace(self._order, turned=not self._order.turned))

    def _set_order(self, order: Order) -> None:
        self._order = order
        self._fill()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the timeline be in the order of time."""
        return not (action in ("sort", "turn_round") and self._timeline.display)

    @on(DataTable.HeaderSelected, "#models")
    def _sort_by(self, event: DataTable.HeaderSelected) -> None:
        column = str(event.column_key.value)
        if is_order(column):
            self._set_order(Order(column, turned=column == self._order.by and not self._order.turned))

    def action_card(self) -> None:
        """Show all about the model under the cursor on the whole screen."""
        if not self._under_cursor:
            return
        from visexplore.tui.screens.model_card import ModelCard  # not before the first paint

        card = ModelCard(self._terminal, list(self._entries), self._under_cursor, self._about)

        def left(model: str | None) -> None:
            self._go_to(card.key)
            if model:
                self._use(model)

        self.app.push_screen(card, left)

    @on(DataTable.RowSelected)
    def _choose(self, event: DataTable.RowSelected) -> None:
        self._use(self._under_cursor)

    def _use(self, key: str) -> None:
        """Make an entry's model the current one, or say why it cannot be."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.checkpoint is None:
            reason = entry.family.unreleased or "never released"
            self.notify(
                printable(f"{entry.family.name} has no weights to load: {reason}."),
                severity="warning", markup=False, timeout=8,
            )  # fmt: skip
            return
        self.post_message(ModelChosen(entry.checkpoint.slug))

    @on(Input.Changed, "#model-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._filter(event.value)

    @on(Input.Submitted, "#model-filter")
    def _filtered(self) -> None:
        self.focus_content()

    def key_escape(self) -> None:
        """Leave the filter, and clear it."""
        field = self.query_one("#model-filter", Input)
        if field.has_class("shown"):
            field.value = ""
            field.remove_class("shown")
            self.focus_content()
