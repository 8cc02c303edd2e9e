"""The verdict: which model is best on the dataset, how sure that is, what it costs, and where models differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.comparison import Comparison, Judged, score_title
from visexplore.core.engine import Compare, Compared, Died, Event, Failed, JobProgress
from visexplore.core.text import cut, cut_front, printable
from visexplore.tui.asks import Asks
from visexplore.tui.jobs import progress_sentence
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.cost_plot import CostPlot
from visexplore.tui.widgets.row_list import RowList

_WIDEST, _WIDEST_WHERE_NARROW = 40, 30  # columns of a name
_HIGH = 30  # rows from which there is room for words above a plot
_IMAGES = ("image", "query")  # columns of image ids, whose ends tell most
_LEGEND = " Ranges: 95 %. A letter in common: a tie. ◆: not beaten in quality, speed and size."


@dataclass(frozen=True, slots=True)
class View:
    """One table of the verdict.

    Attributes:
        title: what it is about.
        columns: heads; those that begin with a space are aligned to the right.
        rows: cells.
        images: for each row the image that Enter makes the query; empty where there is none.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    images: Sequence[str] = ()


PLOT = View("Plot", (), ())
"""Stands among the tables for the plot of quality against cost."""


class VerdictScreen(ModalScreen[str]):
    """Shows a comparison in tables; the result is the image that was chosen as the next query, or nothing.

    Args:
        asks: the engine.
        spec: of the dataset.
        models: what the engine knows the models by.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab,right_square_bracket",
            "turn(1)",
            "Next table",
            show=False,
            priority=True,
            tooltip="the next table",
            id="verdict_next",
        ),
        Binding(
            "shift+tab,left_square_bracket",
            "turn(-1)",
            "Table before",
            show=False,
            priority=True,
            tooltip="the table before",
            id="verdict_previous",
        ),
        Binding("escape,q,v", "back", "Back", show=False, tooltip="leave", id="verdict_leave"),
        Binding("c", "turn_axis", "Another cost", show=False, tooltip="another cost in the plot", id="verdict_cost"),
    ]

    def __init__(self, asks: Asks, spec: str, models: tuple[str, ...]) -> None:
        super().__init__()
        self._asks = asks
        self._spec = spec
        self._models = models
        self._ticket = 0
        self._views: list[View] = []
        self._at = 0
        self.comparison: Comparison | None = None

    def compose(self) -> ComposeResult:
        """Lay the words over the table."""
        with Vertical(id="verdict") as box:
            box.border_title = Content("Verdict")
            yield Static("Comparing ...", id="verdict-words", markup=False)
            yield Static("", id="verdict-tables", markup=False)
            yield RowList(id="verdict-table")
            yield CostPlot(id="verdict-plot")
            yield Static("Esc leaves.", classes="hint", id="verdict-hint", markup=False)

    def on_mount(self) -> None:
        """Ask for the verdict, and hide table and plot until there is one."""
        self.query_one(RowList).display = self.query_one(CostPlot).display = False
        self._ticket = self._asks.ask(lambda ticket: Compare(ticket, self._spec, self._models), self._take)

    def _take(self, event: Event) -> None:
        match event:
            case Compared():
                self._show(event.comparison)
            case JobProgress():
                self.say(f"Comparing: {event.progress.model} {progress_sentence(event.progress)}")
            case Failed():
                self.say(str(event.error))
            case Died():
                self.say(f"{event.error} Esc leaves; v compares again.")

    def say(self, text: str) -> None:
        """Show how far it is, or why there is no verdict."""
        if self.is_mounted and not self._views:
            self.query_one("#verdict-words", Static).update(printable(text))

    def _show(self, found: Comparison) -> None:
        from visexplore.core.report.verdict_words import verdict_sentences

        self.comparison = found
        self._views = views(found)
        self.query_one("#verdict-words", Static).update("\n".join(verdict_sentences(found)[:4]))
        self.query_one(CostPlot).show(found)
        self._show_view()

    def _show_view(self) -> None:
        view = self._views[self._at]
        bar = self.query_one("#verdict-tables", Static)
        bar.update(tab_bar([view.title for view in self._views], self._at, self.app.size.width - 4))
        table, plot = self.query_one(RowList), self.query_one(CostPlot)
        table.display, plot.display = view is not PLOT, view is PLOT
        self.query_one("#verdict-words").display = view is not PLOT or self.app.size.height >= _HIGH
        if view is not PLOT:
            self._fill(view)
            table.focus()
        self._show_hint()

    def _fill(self, view: View) -> None:
        table = self.query_one(RowList)
        table.clear(columns=True)
        table.fixed_columns = 1 if view is self._views[0] else 0  # whose scores they are stays to be seen
        for column in view.columns:
            table.add_column(Text(printable(column.strip()), justify="right" if column.startswith(" ") else "left"))
        widest = _WIDEST if self.app.size.width >= 100 else _WIDEST_WHERE_NARROW
        for row in view.rows:
            cells = []
            for cell, column in zip(row, view.columns, strict=True):
                text = cut_front(cell, widest) if column in _IMAGES else cut(cell, widest)
                cells.append(Text(text, justify="right" if column.startswith(" ") else "left"))
            table.add_row(*cells)

    def _show_hint(self) -> None:
        """Say what keys do here, and what signs mean."""
        view = self._views[self._at]
        said = "Tab: the next table. "
        if view is PLOT:
            said += "c: another cost. "
        elif view.images:
            said += "Enter: that image as the query. "
        else:
            said += "Left, Right: more columns. "
        said += "Esc leaves."
        if self._at == 0 and self.comparison is not None and self.comparison.labelled:
            said += _LEGEND
        self.query_one("#verdict-hint", Static).update(said)

    def action_turn(self, step: int) -> None:
        """Go to the next or the previous table."""
        if self._views:
            self._at = (self._at + step) % len(self._views)
            self._show_view()

    def action_turn_axis(self) -> None:
        """Plot quality against another cost."""
        if self._views and self._views[self._at] is PLOT:
            self.query_one(CostPlot).turn_axis()

    def action_back(self) -> None:
        """Leave; without a verdict yet, it is given up."""
        if not self._views:
            self._asks.give_up(self._ticket)
        self.dismiss("")

    @on(RowList.RowSelected)
    def _choose(self, event: RowList.RowSelected) -> None:
        images = self._views[self._at].images
        if event.cursor_row < len(images) and images[event.cursor_row]:
            self.dismiss(images[event.cursor_row])


def views(found: Comparison) -> list[View]:
    """Return the tables of a comparison, without empty ones, and the plot of its scores as the second."""
    every = [_scores(found) if found.labelled else _proxies(found), _pairs(found), _agreement(found), _contested(found)]
    every += [_wins(found), _confused(found), _only_right(found), _suspected(found)]
    tables = [view for view in every if view.rows]
    return [*tables[:1], PLOT, *tables[1:]] if found.labelled else tables


def tab_bar(titles: Sequence[str], at: int, width: int) -> Content:
    """Return titles side by side, one of them marked; where there is no room, those from the left are left out."""
    first = 0
    while first < at and sum(len(title) + 3 for title in titles[first : at + 1]) + 2 * (first > 0) > width:
        first += 1
    tabs = [
        Content.styled(f" {title} ", "bold $background on $primary" if number == at else MUTED)
        for number, title in enumerate(titles)
    ]
    return Content(" ").join([*([Content.styled("…", MUTED)] if first else []), *tabs[first:]])


def _cost(row: Judged) -> tuple[str, ...]:
    cost = row.cost
    return (
        "" if cost.images_per_second is None else f"{cost.images_per_second:,.0f}",
        "" if cost.parameters is None else f"{cost.parameters / 1e6:,.1f} M",
        f"{cost.bytes_per_million / 1e9:.2f}",
    )


def _more_cost(row: Judged) -> tuple[str, ...]:
    cost = row.cost
    return (
        "" if cost.device_memory is None else f"{cost.device_memory / 1e9:.1f} GB",
        "" if cost.dim is None else f"{cost.dim:,}",
        cost.licence,
    )


_COSTS = (" images/s", " params", " GB/million")
_MORE_COSTS = (" memory", " numbers", "licence")


def _scores(found: Comparison) -> View:
    names = [found.main, *(name for name in found.models[0].scores if name != found.main)]
    rows = [
        (
            row.model,
            row.group,
            "◆" if row.pareto else "",
            *(f"{one.value:.3f} {one.low:.3f}-{one.high:.3f}" for one in (row.scores[names[0]],)),
            *_cost(row),
            *(f"{row.scores[name].value:.3f}" for name in names[1:]),
            *_more_cost(row),
        )
        for row in found.models
    ]
    # What decides comes first: the columns to the right are out of sight on a narrow terminal.
    scores = [f" {score_title(name)}" for name in names]
    return View("Scores", ("model", "tie", "", scores[0], *_COSTS, *scores[1:], *_MORE_COSTS), rows)


def _proxies(found: Comparison) -> View:
    rows = [
        (
            row.model,
            f"{row.hubness:.2f}",
            "" if row.effective_rank is None else f"{row.effective_rank:.0f}",
            *_cost(row),
            *_more_cost(row),
        )
        for row in found.models
    ]
    return View("Proxies", ("model", " hubness", " effective rank", *_COSTS, *_MORE_COSTS), rows)


def _pairs(found: Comparison) -> View:
    words = {"better": "is better than", "worse": "is worse than", "tie": "is a tie with"}
    rows = [
        (
            pair.a,
            words[pair.verdict],
            pair.b,
            f"{pair.difference:+.3f}",
            f"{pair.low:+.3f} to {pair.high:+.3f}",
            f"{pair.p_holm:.3g}",
        )
        for pair in found.pairs
    ]
    return View("Pairs", ("model", "", "other", " difference", " 95 % interval", " p (Holm)"), rows)


def _agreement(found: Comparison) -> View:
    rows = [
        (pair.a, pair.b, f"{pair.overlap:.0%}", f"{pair.rank_biased_overlap:.2f}")
        for pair in sorted(found.agreement, key=lambda pair: pair.overlap)
    ]
    return View("Agreement", ("model", "other", f" of {found.k} shared", " rank-biased overlap"), rows)


def _contested(found: Comparison) -> View:
    rows = [(one.image_id, one.label or "", f"{one.disagreement:.2f}") for one in found.contested]
    return View("Contested", ("query", "label", " disagreement"), rows, [one.image_id for one in found.contested])


def _wins(found: Comparison) -> View:
    models = list(found.slices[0].means) if found.slices else []
    rows = [
        (
            part.by,
            part.name,
            f"{part.queries:,}",
            (part.winner + (" surely" if part.sure else "")) if part.winner else "",
            *(f"{part.means[model]:.2f}" for model in models),
        )
        for part in found.slices
    ]
    return View("Wins", ("by", "part", " queries", "best", *(f" {model}" for model in models)), rows)


def _confused(found: Comparison) -> View:
    rows = [(one.model, one.label, one.taken_for, f"{one.count} of {one.of}") for one in found.mistaken]
    return View("Confused", ("model", "label", "taken for", " queries"), rows, [one.query for one in found.mistaken])


def _only_right(found: Comparison) -> View:
    rows = [(one.model, one.image_id, one.label) for one in found.only_right]
    return View("Only one right", ("model", "query", "label"), rows, [one.image_id for one in found.only_right])


def _suspected(found: Comparison) -> View:
    rows = [(one.image_id, one.label, one.suggested, f"{one.share:.0%}") for one in found.suspected]
    return View(
        "Doubtful labels",
        ("image", "label", "all models say", " neighbours"),
        rows,
        [one.image_id for one in found.suspected],
    )
