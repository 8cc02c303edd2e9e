"""The blind tournament: two unnamed strips for one query, and which of them is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.engine import AskQuestion, CastVote, Died, Event, Failed, QuestionAsked
from visexplore.core.evaluation.votes import Outcome, Vote
from visexplore.core.report.tournament_words import progress_sentence, standing_sentences
from visexplore.core.standing import Rating, Standing, plain_name
from visexplore.core.text import cell_width, count, cut_front, printable
from visexplore.tui.asks import Asks
from visexplore.tui.gallery import Gallery
from visexplore.tui.pictures import Pictures
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture_grid import PictureGrid
from visexplore.tui.widgets.picture_rows import NEIGHBOURS, PictureRows, QuerySide

if TYPE_CHECKING:
    from PIL.Image import Image

_HEADS = (("A", "better: Up, Left, h"), ("B", "better: Down, Right, l"))
_HINT = "= Space: tie. s: skip query. u: take back. n: names, ratings. Esc leaves."
_HINT_STANDINGS = "n: back to the strips. u: take the last vote back. Esc leaves."
_WIDEST_NAME, _WIDEST_BAR, _NARROWEST_BAR = 40, 60, 10
_STEPS = {"ahead": "surely ahead of the next", "same": "as good as the next", "open": "not surely ahead of the next"}


class Tournament(ModalScreen[None]):
    """Asks for votes between unnamed strips until the order of the models is settled, then says which is which.

    Args:
        terminal: how to draw.
        pictures: thumbnails.
        asks: the engine, which keeps the votes.
        gallery: the dataset.
        models: what the engine knows the models by.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,T", "dismiss", "Back", show=False, tooltip="leave", id="tournament_back"),
        Binding("left,up,h,k", "vote('left')", "A", show=False, tooltip="A, the upper strip, is better", id="vote_a"),
        Binding(
            "right,down,l,j", "vote('right')", "B", show=False, tooltip="B, the lower strip, is better", id="vote_b"
        ),
        Binding("equals_sign,space", "vote('tie')", "Tie", show=False, tooltip="both are equally good", id="vote_tie"),
        Binding("s", "vote('skip')", "Skip", show=False, tooltip="ask about another query", id="vote_skip"),
        Binding("u", "undo", "Undo", show=False, tooltip="take the last vote back", id="vote_undo"),
        Binding("n", "names", "Names", show=False, tooltip="names and ratings, or the strips again", id="vote_names"),
    ]

    def __init__(
        self, terminal: Terminal, pictures: Pictures, asks: Asks, gallery: Gallery, models: tuple[str, ...]
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._pictures = pictures
        self._asks = asks
        self._gallery = gallery
        self._models = models
        self._round: QuestionAsked | None = None
        self._is_asking = False
        self._generation = 0

    def compose(self) -> ComposeResult:
        """Lay the query beside the two strips, or the standings in their place."""
        with Vertical(id="tournament"):
            yield Static("", id="tournament-head", markup=False)
            with Horizontal(id="tournament-body"):
                yield QuerySide(self._terminal, id="tournament-query")
                rows = PictureRows(self._terminal, 2, least=2, most_caption_lines=1, id="tournament-rows")
                rows.can_focus = False  # it is the window that takes the arrows
                yield rows
            with VerticalScroll(id="tournament-standings", can_focus=False):
                yield Static("", id="standings", markup=False)
            yield Static(_HINT, id="tournament-hint", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Go on where the votes left off."""
        self.query_one("#tournament-standings").display = False
        self._ask()

    def _ask(self) -> None:
        self.say(f"Looking for queries on which {len(self._models)} models differ ...")
        self._is_asking = True
        spec, models = self._gallery.spec, self._models
        self._asks.ask(lambda ticket: AskQuestion(ticket, spec, models), self._take)

    def _take(self, event: Event) -> None:
        self._is_asking = False
        if not self.is_mounted:
            return
        match event:
            case QuestionAsked():
                before, self._round = self._round, event
                is_new = event.standing.settled and (before is None or not before.standing.settled)
                self._show_standings(shown=is_new or event.question is None or self._shows_standings)
                self._show_question()
            case Failed():
                self.say(str(event.error))
            case Died():
                self._round = None
                self.say(f"{event.error} Any vote asks again; all that was cast is kept.")

    def say(self, text: str) -> None:
        """Show a line above the strips: what is going on, or why there are none."""
        if self.is_attached:
            self.query_one("#tournament-head", Static).update(printable(text), layout=False)

    # ---- the strips

    def _show_question(self) -> None:
        """Show both strips: ranks, and nothing that could tell which model is which."""
        grid, asked = self.query_one(PictureRows), self._round
        if asked is None or not grid.capacity:
            return
        self._generation += 1
        if asked.question is None or asked.left is None or asked.right is None:
            grid.begin_page(0)
            return
        self._show_query(asked.question.query)
        grid.begin_page(2 * NEIGHBOURS)
        for row, ((name, keys), strip) in enumerate(zip(_HEADS, (asked.left, asked.right), strict=True)):
            grid.say(row, Content.assemble((f" {name} ", "bold $background on $primary"), (f"  {keys}", MUTED)))
            for column in range(NEIGHBOURS):
                cell = row * NEIGHBOURS + column
                if column < len(strip.neighbours):
                    self._fill(cell, strip.neighbours[column].image_id, Content.styled(str(column + 1), MUTED))
                else:
                    grid.fill(cell, None, Content(""))

    def _show_query(self, image_id: str) -> None:
        generation, side = self._generation, self.query_one(QuerySide)

        def made(picture: Image | str) -> None:
            if generation == self._generation and self.is_mounted:
                side.show(picture)

        self._pictures.get(self._gallery.spec, image_id, made)
        name = printable(PurePosixPath(image_id).name)
        side.say(Content("\n").join([Content.styled("QUERY", "bold $accent"), Content.styled(name, MUTED)]))

    def _fill(self, cell: int, image_id: str, caption: Content) -> None:
        generation, grid = self._generation, self.query_one(PictureRows)

        def made(picture: Image | str) -> None:
            if generation == self._generation and self.is_mounted:
                grid.fill(cell, picture, caption)

        self._pictures.get(self._gallery.spec, image_id, made)

    # ---- names and ratings

    @property
    def _shows_standings(self) -> bool:
        return bool(self.query_one("#tournament-standings").display)

    def _show_standings(self, *, shown: bool) -> None:
        """Show who is who in the place of the strips, or the strips again."""
        self.query_one("#tournament-body").display = not shown
        self.query_one("#tournament-standings").display = shown
        self.query_one("#tournament-hint", Static).update(_HINT_STANDINGS if shown else _HINT)
        if self._round is None:
            return
        title, facts = "Which row is better?", progress_sentence(self._round.standing)
        if shown:
            title, facts = "Names and ratings", ""
            if self._round.question is None:
                facts = "All queries on which the models differ were asked."
            words = [Content(sentence) for sentence in standing_sentences(self._round.standing)]
            table = standings_table(self._round.standing, self.size.width - 2)
            lines = [*words, Content(""), *table, Content(""), *_NOTES] if self._round.standing.votes else words
            self.query_one("#standings", Static).update(Content("\n").join(lines))
        self.query_one("#tournament-head", Static).update(Content.assemble((title, "bold"), f"  {facts}"), layout=False)

    # ---- keys and mouse

    def action_vote(self, outcome: Outcome) -> None:
        """Say which strip is better, or that none is, or nothing of this query."""
        if self._is_asking:
            return  # nobody has seen the strips yet that it would be about
        if self._round is None:
            self._ask()
            return
        question = self._round.question
        if question is None or self._shows_standings:
            return
        self._send(Vote(question.query, question.left, question.right, outcome))

    def action_undo(self) -> None:
        """Take the last vote back."""
        if not self._is_asking and self._round is not None:
            self._send(None)

    def _send(self, vote: Vote | None) -> None:
        self._is_asking = True
        spec, models = self._gallery.spec, self._models
        self._asks.ask(lambda ticket: CastVote(ticket, spec, models, vote), self._take)

    def action_names(self) -> None:
        """Show names and ratings, or the strips again."""
        if self._round is not None:
            self._show_standings(shown=not self._shows_standings)
            self._show_question()

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        self._show_question()

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        self.action_vote("right" if event.index >= NEIGHBOURS else "left")

    @on(PictureGrid.Left)
    def _stay(self, event: PictureGrid.Left) -> None:
        event.stop()  # there is one page


_NOTES = (
    Content.styled("Elo points, 95 % intervals: 400 points more are ten wins to one; the mean of all is 0.", MUTED),
    Content.styled("They are of the queries on which the models differ most.", MUTED),
)


def standings_table(standing: Standing, width: int) -> list[Content]:
    """Return a line a model: its name, its rating, and the interval as a bar on the scale of all of them."""
    names = [cut_front(plain_name(rating.model), _WIDEST_NAME) for rating in standing.ratings]
    widest = max(map(cell_width, names), default=0)
    numbers = [f"{round(one.rating):+5d}  {round(one.low):+5d} to {round(one.high):+5d}" for one in standing.ratings]
    votes = [count(one.votes, "vote") for one in standing.ratings]
    steps = [*(_STEPS[step] for step in standing.steps), ""]
    taken = 4 + widest + 2 + max(map(len, numbers), default=0) + 2 + 2 + max(map(len, votes), default=0)
    with_steps = taken + _NARROWEST_BAR + 2 + max(map(len, steps)) <= width
    room = width - taken - (2 + max(map(len, steps)) if with_steps else 0)
    bar = max(_NARROWEST_BAR, min(_WIDEST_BAR, room))
    lines = []
    for place, (rating, name, figures, times, step) in enumerate(
        zip(standing.ratings, names, numbers, votes, steps, strict=True), start=1
    ):
        lines.append(
            Content.assemble(
                (f"{place:>2}  ", MUTED),
                (name + " " * (widest - cell_width(name)), "bold $primary"),
                f"  {figures}  ",
                (interval_bar(rating, standing.ratings, bar), "$accent"),
                (f"  {times:>{max(map(len, votes))}}", MUTED),
                (f"  {step}" if with_steps and step else "", MUTED),
            )
        )
    return lines


def interval_bar(rating: Rating, ratings: Sequence[Rating], width: int) -> str:
    """Return the interval of a rating on the scale of all of them, `├──█──┤`, in so many cells."""
    lowest, highest = min(one.low for one in ratings), max(one.high for one in ratings)
    scale = (width - 1) / max(1e-9, highest - lowest)
    low, at, high = (round((value - lowest) * scale) for value in (rating.low, rating.rating, rating.high))
    cells = [" "] * width
    cells[low : high + 1] = "─" * (high - low + 1)
    cells[low], cells[high] = "├", "┤"
    cells[at] = "█"
    return "".join(cells)
