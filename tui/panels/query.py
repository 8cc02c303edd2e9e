"""The query view: a picture, a text or a mix of them, and its five nearest neighbours under the current model."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from visexplore.core.messages import ModelResult, Neighbour, Query, QueryResult
from visexplore.core.query_mix import box_words, format_mix
from visexplore.core.text import count, cut, cut_front, percentile, printable
from visexplore.tui.messages import ImageChosen
from visexplore.tui.panels.panel import Panel
from visexplore.tui.pictures import Pictures
from visexplore.tui.scores import bar, largest_gap, mark
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Words
from visexplore.tui.widgets.picture_grid import PictureGrid, Strip

if TYPE_CHECKING:
    from PIL.Image import Image

_PERCENTILE = 8  # cells that it takes, with the space before it
_LEAST_BAR = 3


class QueryPanel(Panel):
    """Shows a query and its top-5; Enter on a neighbour makes it the query."""

    PARTS = ("#strip",)

    def __init__(self, terminal: Terminal, pictures: Pictures) -> None:
        super().__init__(id="query")
        self.border_title = "3 Query"
        self._terminal = terminal
        self._pictures = pictures
        self._spec = ""
        self._query: Query | None = None
        self._result: ModelResult | None = None
        self._found: Query | None = None  # the query with the paths of its pictures
        self._outside: Image | str | None = None
        self._generation = 0
        self._note = ""

    def compose(self) -> ComposeResult:
        """Lay the query's name and what is known or missing over six pictures."""
        yield Static("", id="query-head", markup=False)
        yield Static("", id="query-note", markup=False)
        yield Strip(self._terminal, caption_lines=3, id="strip")

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw the pictures in another way."""
        self._terminal = terminal
        self.query_one(Strip).set_terminal(terminal)

    @property
    def under_cursor(self) -> Neighbour | None:
        """The neighbour under the cursor, or None where that is the query."""
        cursor = self.query_one(Strip).cursor
        neighbours = self.neighbours
        return neighbours[cursor - 1] if 0 < cursor <= len(neighbours) else None

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """The neighbours on the screen."""
        return self._result.neighbours if self._result else ()

    @property
    def image_under_cursor(self) -> str:
        """The id of the image under the cursor; empty where that is no image of the dataset."""
        if self.query_one(Strip).cursor == 0:
            part = self._query.picture if self._query else None
            return part.image_id if part else ""
        return self.under_cursor.image_id if self.under_cursor else ""

    @property
    def path_under_cursor(self) -> str:
        """The path of the picture under the cursor, or the words that are searched with."""
        if self.under_cursor is not None:
            return self.under_cursor.path
        query = self._found or self._query
        if query is None:
            return ""
        part = query.picture
        if part is None:
            return query.text or format_mix(query.parts)
        return query.path or part.path or part.image_id

    def move_cursor(self, cell: int) -> None:
        """Put the cursor on a cell: 0 is the query, then the neighbours by rank."""
        self.query_one(Strip).cursor = cell

    def show_outside_picture(self, picture: Image | str) -> None:
        """Take the picture of a query that is no thumbnail of the dataset, or why it cannot be shown."""
        self._outside = picture
        if self._query is not None and (part := self._query.picture) and not part.is_stored:
            self.query_one(Strip).fill(0, picture, self._query_caption())

    def show_query(self, spec: str, query: Query, note: str) -> None:
        """Show a query that has no neighbours yet, and say why or what is going on."""
        if (spec, query) != (self._spec, self._query):
            self._outside = None
        self._spec, self._query = spec, query
        self._result, self._found, self._note = None, None, note
        self._show()

    def say(self, note: str) -> None:
        """Change the note of a query that has no neighbours yet."""
        if self._result is None and note != self._note:
            self._note = note
            self._show_head()

    def show_result(self, query: Query, found: QueryResult) -> None:
        """Show a query with its neighbours under the first model."""
        self._spec, self._query = found.dataset, query
        self._result, self._found = found.results[0], found.query
        self._show()

    def _show(self) -> None:
        if self._query is None:
            return
        strip = self.query_one(Strip)
        self._show_head()
        self._generation += 1
        strip.begin_page(1 + len(self.neighbours))
        self._fill_query(strip)
        for neighbour in self.neighbours:
            self._fill(strip, neighbour.rank, neighbour.image_id, self._caption(neighbour))
        strip.show_facts(self._facts_beside(strip.facts_width))

    def _fill_query(self, strip: Strip) -> None:
        assert self._query is not None
        part, caption = self._query.picture, self._query_caption()
        if part is None:
            strip.fill(0, Words(self._query.text or format_mix(self._query.parts)), caption)
        elif part.is_stored:
            self._fill(strip, 0, part.image_id, caption)
        else:
            strip.fill(0, self._outside, caption)

    def _fill(self, strip: Strip, cell: int, image_id: str, caption: Content) -> None:
        generation = self._generation

        def made(picture: Image | str) -> None:
            if generation == self._generation:
                strip.fill(cell, picture, caption)

        self._pictures.get(self._spec, image_id, made)

    # ---- the lines above the pictures

    def _show_head(self) -> None:
        self.query_one("#query-head", Static).update(self._head(), layout=False)
        self.query_one("#query-note", Static).update(self._facts(), layout=False)

    def _head(self) -> Content:
        query = self._query
        if query is None:
            return Content("")
        if query.parts:
            return Content.assemble((cut(format_mix(query.parts), 200), "bold"), ("  (mix)", MUTED))
        if query.text:
            return Content.assemble((f"“{cut(query.text, 200)}”", "bold"), ("  (text)", MUTED))
        kinds = [] if query.image_id else ["outside picture"]
        kinds += [box_words(query.crop)] if query.crop else []
        name = cut_front(query.image_id or query.path, 70)
        return Content.assemble((name, "bold"), (f"  ({', '.join(kinds)})" if kinds else "", MUTED))

    def _facts(self) -> Content:
        if self._query is None or self._result is None:
            return Content.styled(self._note, "$text-warning")
        result = self._result
        parts = [Content.styled(printable(result.model), "bold $primary")]
        right = [neighbour.label == self._query.label for neighbour in result.neighbours]
        if self._query.label is not None and right:
            style = "$text-success" if all(right) else "$text-warning" if any(right) else "$text-error"
            parts.append(Content.styled(f"{sum(right)} of {len(right)} right", style))
        if not result.neighbours:
            parts.append(
                Content.styled("nothing else is embedded yet: e embeds, D opens another folder", "$text-warning")
            )
        parts += [
            Content(f"{result.dim}-d"),
            Content(f"{count(result.gallery, 'image')} searched in {max(1, round(result.seconds * 1000))} ms"),
        ]
        line = Content("  ").join(parts)
        if gap := largest_gap(result.neighbours):
            words = f"gap after {gap[0]}: {gap[1]:.2f}"
            fits = line.cell_length + 2 + len(words) <= self.query_one("#query-note").size.width
            line = Content.assemble(line, "  " if fits else "\n", words)
        return line

    # ---- captions

    def _kind(self) -> str:
        assert self._query is not None
        return "MIX" if self._query.parts else "PART" if self._query.crop else "QUERY"

    def _query_caption(self) -> Content:
        query, strip = self._query, self.query_one(Strip)
        assert query is not None
        part, width = query.picture, max(4, strip.caption_width)
        kind = Content.styled(self._kind(), "bold $accent")
        name = "text" if part is None else query.label or PurePosixPath(part.image_id or part.path).name
        if strip.large_width:  # whose facts stand beside it
            return Content.assemble(kind, "  ", cut_front(name, strip.large_width - 8))
        facts = box_words(query.crop) if query.crop else count(len(query.parts), "part") if query.parts else ""
        lines = [kind, Content(cut_front(name, width)), Content.styled(cut(facts, width), MUTED)]
        return Content("\n").join(lines if facts else lines[:2])

    def _caption(self, neighbour: Neighbour) -> Content:
        width = max(4, self.query_one(Strip).caption_width)
        name = cut_front(neighbour.label or PurePosixPath(neighbour.image_id).name, width)
        return Content("\n").join(
            [self._rank(neighbour), self._spread(neighbour, min(width, 20)), Content.styled(name, MUTED)]
        )

    def _rank(self, neighbour: Neighbour) -> Content:
        line = Content.assemble((f"{neighbour.rank} ", "bold"), f"{neighbour.score:.3f}")
        sign = mark(self._query.label if self._query else None, neighbour)
        return Content.assemble(line, " ", sign) if sign else line

    def _spread(self, neighbour: Neighbour, width: int) -> Content:
        """Return the percentile, and a bar as long as the score is high among those on the screen."""
        unusual = percentile(neighbour.percentile)
        room = width - (_PERCENTILE if unusual else 0)
        drawn = bar(neighbour.score, self.neighbours, room) if room >= _LEAST_BAR else ""
        right = f"{unusual:>{_PERCENTILE}}" if unusual else ""
        return Content.assemble((f"{drawn:<{max(0, room)}}", "$primary"), (right, MUTED))

    def _facts_beside(self, width: int) -> Content:
        """Return what stands beside a large query: what it is, and its neighbours by name."""
        query = self._query
        if query is None or not width:
            return Content("")
        lines = [Content.styled(self._kind(), "bold $accent")]
        if query.label is not None:
            lines.append(Content.styled(cut_front(query.label, width), "bold"))
        for part in query.components:
            weight = f"{part.weight:+g}  " if query.parts else ""
            name = f"“{part.text}”" if part.text else cut_front(part.image_id or part.path, width - len(weight))
            lines.append(Content.assemble((weight, "bold"), cut(name, width - len(weight))))
            if part.crop:
                lines.append(Content.styled(cut(box_words(part.crop), width), MUTED))
        gap = largest_gap(self.neighbours)
        for neighbour in self.neighbours:
            rank = self._rank(neighbour)
            spread = self._spread(neighbour, max(0, min(width, 60) - 11))
            lines += [
                Content(""),
                Content.assemble(rank, " " * (11 - rank.cell_length), spread),
                Content.styled(cut_front(neighbour.image_id, width), MUTED),
            ]
            if gap and gap[0] == neighbour.rank:
                lines.append(Content.styled(f"gap of {gap[1]:.3f}", "$text-warning"))
        return Content("\n").join(lines)

    @on(PictureGrid.Reshaped)
    def _reshaped(self) -> None:
        self._show()

    @on(PictureGrid.Chosen)
    def _choose(self, event: PictureGrid.Chosen) -> None:
        event.stop()
        neighbour = self.under_cursor
        if neighbour is not None:
            self.post_message(ImageChosen(neighbour.image_id))
