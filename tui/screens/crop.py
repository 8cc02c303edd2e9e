"""The part of a picture to search with: a box on it that keys move and resize."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Center, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.messages import Box
from visexplore.core.query_mix import box_words
from visexplore.core.text import cut_front
from visexplore.tui.terminal import Graphics, Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.picture import Picture, Words

if TYPE_CHECKING:
    from PIL.Image import Image
    from textual.timer import Timer

WHOLE = Box(0, 0, 1, 1)
STEP = 0.025
SMALLEST = 0.05  # a side of the box: less is a few pixels of most photos
_FIRST = Box(0.2, 0.2, 0.8, 0.8)
# Each key draws the box anew. Of a picture of 60x30 cells, half blocks take 15 ms and 70 kB for that, sixels 200 ms and
# 450 kB: they wait until the box rests. Sizes in pixels that keep a key below 30 ms, and what rests below a fourth of a
# second.
_MOST_PIXELS = {Graphics.SIXEL: 250_000, Graphics.KITTY: 400_000, Graphics.HALFBLOCK: 400_000, Graphics.TEXT: 600_000}
_REST = 0.35
_DIMMED = [value * 2 // 5 for value in range(256)] * 3
_FRAME = (255, 175, 95)
_LINES = 4  # below the picture, with its margin


def moved(box: Box, right: float, down: float) -> Box:
    """Return the box moved by fractions of the picture, as far as it goes."""
    right = min(max(right, -box.left), 1 - box.right)
    down = min(max(down, -box.top), 1 - box.bottom)
    return _rounded(box.left + right, box.top + down, box.right + right, box.bottom + down)


def resized(box: Box, right: float, down: float) -> Box:
    """Return the box with its right and its lower edge moved, between the smallest box and the picture's edges."""
    return _rounded(
        box.left,
        box.top,
        max(min(box.left + SMALLEST, 1), min(1, box.right + right)),
        max(min(box.top + SMALLEST, 1), min(1, box.bottom + down)),
    )


def grown(box: Box, by: float) -> Box:
    """Return the box with all edges moved outwards, or with a negative number inwards."""

    def side(low: float, high: float) -> tuple[float, float]:
        if high - low + 2 * by < SMALLEST:
            return low, high
        return max(0.0, low - by), min(1.0, high + by)

    (left, right), (top, bottom) = side(box.left, box.right), side(box.top, box.bottom)
    return _rounded(left, top, right, bottom)


def _rounded(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(round(left, 4), round(top, 4), round(right, 4), round(bottom, 4))


class _Canvas:
    """A picture at the size in which it is drawn, with any box on it.

    Args:
        image: RGB.
        width: in pixels.
        height: in pixels.
        line: width of the frame in pixels.
    """

    def __init__(self, image: Image, width: int, height: int, line: int) -> None:
        self._bright = image.resize((max(1, width), max(1, height)), reducing_gap=2.0)
        self._dim = self._bright.point(_DIMMED)
        self._line = line

    def draw(self, box: Box) -> Image:
        """Return the picture: bright and framed inside of the box, dim outside."""
        from PIL import ImageDraw

        if box == WHOLE:
            return self._bright
        left, top, right, bottom = box.pixels(*self._bright.size)
        drawn = self._dim.copy()
        drawn.paste(self._bright.crop((left, top, right, bottom)), (left, top))
        ImageDraw.Draw(drawn).rectangle((left, top, right - 1, bottom - 1), outline=_FRAME, width=self._line)
        return drawn


class Crop(ModalScreen[tuple[Box | None] | None]):
    """Shows a picture with a box on it; the result is the part that was chosen, `(None,)` for the whole, or None.

    Args:
        terminal: how to draw.
        name: of the picture.
        crop: the part to begin with.
        load: asks for the whole picture, and calls back with it or with why there is none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,C", "dismiss(None)", "Back", show=False, tooltip="leave as it was", id="crop_leave"),
        Binding("enter", "use", "Search", show=False, tooltip="search with this part", id="crop_use"),
        Binding("left,h", "move(-1, 0)", "Left", show=False, tooltip="move the box", id="crop_left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, tooltip="move the box", id="crop_right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, tooltip="move the box", id="crop_up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, tooltip="move the box", id="crop_down"),
        Binding("shift+left,H", "resize(-1, 0)", "Narrower", show=False, tooltip="resize it", id="crop_narrower"),
        Binding("shift+right,L", "resize(1, 0)", "Wider", show=False, tooltip="resize it", id="crop_wider"),
        Binding("shift+up,K", "resize(0, -1)", "Lower", show=False, tooltip="resize it", id="crop_lower"),
        Binding("shift+down,J", "resize(0, 1)", "Higher", show=False, tooltip="resize it", id="crop_higher"),
        Binding("plus,equals_sign", "grow(1)", "Grow", show=False, tooltip="let the box grow", id="crop_grow"),
        Binding("minus", "grow(-1)", "Shrink", show=False, tooltip="let it shrink", id="crop_shrink"),
        Binding("0", "whole", "Whole", show=False, tooltip="the whole picture", id="crop_whole"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        name: str,
        crop: Box | None,
        load: Callable[[Callable[[Image | Words | str], None]], None],
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._picture_name = name
        self._load = load
        self._image: Image | None = None
        self._coarse: _Canvas | None = None  # a pixel for each half of a cell
        self._fine: _Canvas | None = None
        self._drawn: Box | None = None
        self._rest: Timer | None = None
        self.box = crop or _FIRST

    def compose(self) -> ComposeResult:
        """Lay the picture over what the box is and what keys do."""
        with Vertical(id="crop"):
            with Center(id="crop-picture"):
                yield Picture(self._terminal)
            yield Static("", id="crop-box", markup=False)
            yield Static(
                "arrows hjkl: move. Shift+arrows HJKL: resize. + -: grow, shrink. 0: whole.\n"
                "Enter searches with this part, Esc leaves.",
                classes="hint",
                markup=False,
            )

    def on_mount(self) -> None:
        """Ask for the picture."""
        self._tell()
        self.query_one(Picture).wait()
        self._load(self._loaded)

    def _loaded(self, picture: Image | Words | str) -> None:
        if not self.is_mounted:
            return
        if isinstance(picture, str):
            self.query_one(Picture).fail(picture)
        elif not isinstance(picture, Words):
            self._image = picture
            self._fit()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the picture into the new size."""
        self._fit()

    def _fit(self) -> None:
        """Give the picture as many cells as it fills, and make it as large as it is drawn."""
        if self._image is None:
            return
        cell_width, cell_height = self._terminal.cell_width, self._terminal.cell_height
        columns, rows = max(4, self.app.size.width - 2), max(2, self.app.size.height - _LINES)
        scale = min(columns * cell_width / self._image.width, rows * cell_height / self._image.height)
        pixels = self._image.width * self._image.height * scale**2
        scale *= min(1.0, sqrt(_MOST_PIXELS[self._terminal.graphics] / pixels))
        width, height = max(1, round(self._image.width * scale)), max(1, round(self._image.height * scale))
        columns, rows = ceil(width / cell_width), ceil(height / cell_height)
        picture = self.query_one(Picture)
        picture.styles.width, picture.styles.height = columns, rows
        self._coarse = _Canvas(self._image, columns, 2 * rows, line=1)
        self._fine = _Canvas(self._image, width, height, line=3) if self._has_pixels else None
        self.call_after_refresh(self._sharpen)

    @property
    def _has_pixels(self) -> bool:
        return self._terminal.graphics in (Graphics.SIXEL, Graphics.KITTY)

    def _draw(self) -> None:
        """Draw the box in a few milliseconds."""
        if self._coarse is None or self._drawn == self.box or not self.is_mounted:
            return
        self._drawn = self.box
        picture = self.query_one(Picture)
        if self._has_pixels:
            picture.set_graphics(Graphics.HALFBLOCK)
        picture.show(self._coarse.draw(self.box))
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(_REST, self._sharpen) if self._has_pixels else None

    def _sharpen(self) -> None:
        """Draw the box as well as the terminal can."""
        if self._fine is None:
            self._drawn = None
            self._draw()
        elif self.is_mounted:
            self._drawn = self.box
            picture = self.query_one(Picture)
            picture.set_terminal(self._terminal)
            picture.show(self._fine.draw(self.box))

    def _become(self, box: Box) -> None:
        if box != self.box:
            self.box = box
            self._tell()
            self.call_later(self._draw)  # once for the keys that are waiting

    def _tell(self) -> None:
        what = "whole picture" if self.box == WHOLE else box_words(self.box)
        self.query_one("#crop-box", Static).update(
            Content.assemble((what, "bold $accent"), "  ", (cut_front(self._picture_name, 100), MUTED)), layout=False
        )

    def action_move(self, right: int, down: int) -> None:
        """Move the box by a step."""
        self._become(moved(self.box, right * STEP, down * STEP))

    def action_resize(self, right: int, down: int) -> None:
        """Move the right or the lower edge by a step."""
        self._become(resized(self.box, right * STEP, down * STEP))

    def action_grow(self, steps: int) -> None:
        """Move all edges by a step."""
        self._become(grown(self.box, steps * STEP))

    def action_whole(self) -> None:
        """Take the whole picture."""
        self._become(WHOLE)

    def action_use(self) -> None:
        """Search with this part."""
        self.dismiss((None if self.box == WHOLE else self.box,))
