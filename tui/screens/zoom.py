"""The query and one neighbour, as large as the terminal allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.text import cut_front
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Picture, Words

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Subject:
    """What to look at: the picture of `image_id` in the dataset, or where that is empty the query from outside."""

    image_id: str
    title: str
    facts: str


class Zoom(ModalScreen[int]):
    """Shows the query beside the neighbour that the cursor is on; the result is the cell looked at last.

    Args:
        terminal: how to draw.
        subjects: the query, then its neighbours by rank.
        start: which of them to look at first.
        load: asks for a large picture of an image id, or for the words of a text query, and calls back with it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,down,l,j,n", "step(1)", "Next", show=False, tooltip="the next neighbour", id="zoom_next"),
        Binding("left,up,h,k,p", "step(-1)", "Previous", show=False, tooltip="the one before", id="zoom_previous"),
        Binding("escape,q,z,enter", "back", "Back", show=False, tooltip="leave", id="zoom_leave"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        subjects: list[Subject],
        start: int,
        load: Callable[[str, Callable[[Image | Words | str], None]], None],
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._subjects = subjects
        self._at = start
        self._load = load
        self._loaded: dict[int, Image | Words | str] = {}

    def compose(self) -> ComposeResult:
        """Lay two large pictures side by side, each over its facts."""
        with Horizontal(id="zoom"):
            for side in ("query", "hit"):
                with Vertical(classes="zoomed", id=f"zoom-{side}"):
                    yield Picture(self._terminal)
                    yield Static("", markup=False)

    def on_mount(self) -> None:
        """Load what is looked at."""
        self._show()

    def action_step(self, step: int) -> None:
        """Look at the next or the previous neighbour."""
        at = max(0, min(len(self._subjects) - 1, self._at + step))
        if at != self._at:
            self._at = at
            self._show()

    def action_back(self) -> None:
        """Close, and tell what was looked at last."""
        self.dismiss(self._at)

    def _show(self) -> None:
        self.set_class(self._at == 0, "single")
        self._place("query", 0)
        if self._at:
            self._place("hit", self._at)

    def _place(self, side: str, number: int) -> None:
        subject = self._subjects[number]
        box = self.query_one(f"#zoom-{side}")
        caption = Content.assemble((subject.title, "bold"), "\n", (cut_front(subject.facts, 120), MUTED))
        box.query_one(Static).update(caption, layout=False)
        picture = box.query_one(Picture)
        if number in self._loaded:
            self._fill(picture, self._loaded[number])
            return
        picture.wait()

        def done(image: Image | Words | str) -> None:
            self._loaded[number] = image
            if self.is_mounted and (side == "query" or number == self._at):
                self._fill(picture, image)

        self._load(subject.image_id, done)

    @staticmethod
    def _fill(picture: Picture, image: Image | Words | str) -> None:
        if isinstance(image, Words):
            picture.say(image)
        elif isinstance(image, str):
            picture.fail(image)
        else:
            picture.show(image)
