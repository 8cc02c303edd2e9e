"""One image, large, beside all that is known of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.engine import AskImageFacts, AskPicture, Died, Event, Failed, ImageFactsFound
from visexplore.core.messages import ImageFacts, ImageUnderModel
from visexplore.core.text import count, cut, printable
from visexplore.tui.asks import Asks
from visexplore.tui.gallery import Gallery
from visexplore.tui.pictures import hand_picture
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_PIXELS = 1400
_NAMES = 12  # cells of the column of names
_COPIES = 8  # that are listed by name


class ImageDetails(ModalScreen[int]):
    """Shows images one after the other; the result is which of them was looked at last.

    Args:
        terminal: how to draw.
        asks: the engine.
        gallery: the dataset.
        positions: in the dataset, of the images to go through.
        start: which of them to look at first.
        model: slug of the current model.
        marks: the marked images now, and what marks an image or takes its mark away.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i,enter", "back", "Back", show=False, tooltip="leave", id="details_leave"),
        Binding("right,l,n", "step(1)", "Next", show=False, tooltip="the next image", id="details_next"),
        Binding("left,h,p", "step(-1)", "Previous", show=False, tooltip="the image before", id="details_previous"),
        Binding("space", "mark", "Mark", show=False, tooltip="mark the image, or unmark it", id="details_mark"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        asks: Asks,
        gallery: Gallery,
        positions: Sequence[int],
        start: int,
        model: str,
        marks: tuple[Callable[[], tuple[str, ...]], Callable[[str], None]],
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._asks = asks
        self._gallery = gallery
        self._positions = positions
        self._at = start
        self._model = model
        self._marks, self._toggle_mark = marks
        self._facts: ImageFacts | None = None
        self._asked: list[int] = []

    def compose(self) -> ComposeResult:
        """Lay the picture beside the facts."""
        with Vertical(id="details"):
            yield Static("", id="details-head", markup=False)
            with Container(id="details-body"):
                yield Picture(self._terminal, id="details-picture")
                with VerticalScroll(id="details-scroll"):
                    yield Static("", id="details-facts", markup=False)
            yield Static(
                "n p: next, previous. space: mark. Up, Down: more facts. Esc leaves.", classes="hint", markup=False
            )

    def on_mount(self) -> None:
        """Ask for the first image; up and down scroll its facts."""
        self.query_one("#details-scroll").focus()
        self._show()

    @property
    def image_id(self) -> str:
        """The image that is looked at."""
        return self._gallery.image_ids[self._positions[self._at]]

    def action_step(self, step: int) -> None:
        """Look at the next or the previous image."""
        at = max(0, min(len(self._positions) - 1, self._at + step))
        if at != self._at:
            self._at = at
            self._show()

    def action_mark(self) -> None:
        """Mark the image, or take its mark away."""
        self._toggle_mark(self.image_id)
        self._show_head()

    def action_back(self) -> None:
        """Leave, and tell what was looked at last."""
        self.dismiss(self._at)

    def _show(self) -> None:
        self._facts = None
        for ticket in self._asked:
            self._asks.forget(ticket)
        image_id, spec = self.image_id, self._gallery.spec
        self._show_head()
        self._say("Reading ...")
        self.query_one("#details-scroll").scroll_home(animate=False)
        self._asked = [
            self._asks.ask(lambda ticket: AskImageFacts(ticket, spec, image_id), self._take),
            self._asks.ask(
                lambda ticket: AskPicture(ticket, spec, image_id, _PIXELS), partial(hand_picture, self._show_picture)
            ),
        ]

    def _show_head(self) -> None:
        mark = ("* ", "bold $accent") if self.image_id in self._marks() else ""
        place = f"  {self._at + 1:,} of {len(self._positions):,}"
        self.query_one("#details-head", Static).update(
            Content.assemble(mark, (printable(self.image_id), "bold"), (place, MUTED)), layout=False
        )

    def _show_picture(self, picture: Image | str) -> None:
        if not self.is_mounted:
            return
        box = self.query_one(Picture)
        if isinstance(picture, str):
            box.fail(picture)
        else:
            box.show(picture)

    def _take(self, event: Event) -> None:
        if not self.is_mounted:
            return
        match event:
            case ImageFactsFound():
                self._facts = event.facts
                self._show_facts()
            case Failed() | Died():
                self._say(printable(str(event.error)))

    def on_resize(self) -> None:
        """Break the facts into lines of another length, once that is known."""
        self.call_after_refresh(self._show_facts)

    def _show_facts(self) -> None:
        width = self.query_one("#details-scroll").scrollable_content_region.width
        if self._facts is not None and width:
            self.query_one("#details-facts", Static).update(facts_table(self._facts, self._model, width))

    def _say(self, text: str) -> None:
        self.query_one("#details-facts", Static).update(Content.styled(text, MUTED))


def facts_table(facts: ImageFacts, model: str, width: int) -> Content:
    """Return what is known of an image, in two columns; what is not known is left out."""
    rows: list[tuple[str, Content]] = []

    def add(name: str, value: str, style: str = "") -> None:
        if value:
            rows.append((name, Content.styled(printable(value), style)))

    add("problem", facts.problem, "$text-error")
    add("label", facts.label or "none", "bold $accent" if facts.label else MUTED)
    add("split", facts.split or "")
    for name, value in facts.attributes:
        add(name, value)
    if facts.width:
        megapixels = facts.width * facts.height / 1e6
        add(
            "size", f"{facts.width:,} x {facts.height:,} pixels" + (f", {megapixels:.1f} MP" if megapixels >= 1 else "")
        )
    add("format", ", ".join(part for part in (facts.format, facts.mode) if part))
    add("file", _bytes(facts.file_bytes))
    if facts.modified is not None:
        add("changed", time.strftime("%Y-%m-%d %H:%M", time.localtime(facts.modified)))
    for name, value in facts.exif:
        add(name, value)
    add("path", facts.path)
    add("content", facts.content_key)
    for name, value in zip(["same bytes", *[""] * _COPIES], facts.copies[:_COPIES], strict=False):
        add(name, value, "$text-warning")
    if len(facts.copies) > _COPIES:
        add("", f"and {count(len(facts.copies) - _COPIES, 'other')}", "$text-warning")
    lines = [line for name, value in rows for line in _row(name, value, max(8, width - _NAMES))]
    models = {one.model: one for one in (ImageUnderModel(model, embedded=False), *facts.models)}
    lines += [Content(""), Content.styled("embedded with", MUTED)]
    return Content("\n").join([*lines, *(_model_row(one) for one in models.values())])


def _row(name: str, value: Content, width: int) -> list[Content]:
    parts = value.wrap(width)
    names = [f"{cut(name, _NAMES - 1):<{_NAMES}}", *[" " * _NAMES] * len(parts)]
    return [Content.assemble((name, MUTED), part) for name, part in zip(names, parts, strict=False)]


def _model_row(one: ImageUnderModel) -> Content:
    if one.embedded:
        return Content.assemble(("✓ ", "bold $text-success"), cut(one.model, 40))
    why = f": unreadable: {printable(one.problem)}" if one.problem else ": no"
    return Content.assemble(("✗ ", "bold $text-error"), cut(one.model, 40), (why, "$text-warning"))


def _bytes(number: int) -> str:
    if number < 1000:
        return count(number, "byte")
    return f"{number / 1000:,.0f} kB" if number < 1_000_000 else f"{number / 1e6:,.1f} MB"
