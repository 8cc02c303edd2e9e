"""One picture in a box of cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Offset, Region, Size
from textual.strip import Strip
from textual.widget import Widget

from visexplore.core.text import cell_width, cut, printable
from visexplore.tui.graphics import CONTROL, Drawing, draw
from visexplore.tui.terminal import Graphics, Terminal

if TYPE_CHECKING:
    from PIL.Image import Image

_ANYWHERE = Offset(0, 0)
_PLAIN = Style.null()
_DIM = Style(dim=True)
_BOLD = Style(bold=True)


@dataclass(frozen=True, slots=True)
class Words:
    """A text that stands in the place of a picture, because it is what is searched with."""

    text: str


class _Look(NamedTuple):
    """All that the rows of a picture depend on, besides the picture itself."""

    graphics: Graphics
    size: Size
    height: int  # of the part to draw in
    place: Offset
    style: Style


class Picture(Widget, can_focus=False):
    """Shows one picture as large as its box allows, in its own proportions and in the middle.

    Give it its size in cells by CSS, and neither border nor padding. Changing what it shows repaints it once
    and lays nothing out again; while it is not on the screen nothing is drawn.

    Sixels hold only while none of their cells is written, kitty's pictures only while no colour of theirs is
    tinted. So half blocks stand in for them while a modal screen dims the picture or something covers it.
    """

    DEFAULT_CSS = """
    Picture {
        width: 16;
        height: 8;
    }
    """
    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(
        self,
        terminal: Terminal,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - as Textual names it
        classes: str | None = None,
    ) -> None:
        """Make a picture that shows nothing yet, for `terminal`."""
        super().__init__(name=name, id=id, classes=classes)
        self._terminal = terminal
        self._image: Image | None = None
        self._pixels: tuple[bytes, tuple[int, int]] | None = None
        self._note = ""
        self._words: Words | None = None
        self._drawings: dict[tuple[Graphics, int], Drawing] = {}
        self._look: _Look | None = None
        self._rows: list[Strip] = []
        self._releases = ""
        self._is_covered = False

    def show(self, image: Image | None) -> None:
        """Show `image`, best RGB and not much larger than the box in pixels; None clears."""
        self._become(image, "")

    def show_rgb(self, rgb: bytes, size: tuple[int, int]) -> None:
        """Show the picture of `size` whose pixels are `rgb`, three bytes each, row by row."""
        if self._pixels == (rgb, size):
            return
        from PIL import Image as PILImage  # takes 60 ms, and no picture is shown before the first paint

        self._become(PILImage.frombuffer("RGB", size, rgb), "")
        self._pixels = rgb, size

    def wait(self) -> None:
        """Show that a picture is on its way."""
        self._become(None, "…")

    def fail(self, reason: str) -> None:
        """Show a short `reason` in place of a picture."""
        self._become(None, reason)

    def say(self, words: Words) -> None:
        """Show words, as large a part of them as there is room for."""
        self._become(None, "", words)

    def clear(self) -> None:
        """Show nothing."""
        self._become(None, "")

    def set_graphics(self, graphics: Graphics) -> None:
        """Draw in another way from now on."""
        self.set_terminal(replace(self._terminal, graphics=graphics))

    def set_terminal(self, terminal: Terminal) -> None:
        """Draw for another terminal: in another way, or with cells of another size."""
        if terminal != self._terminal:
            self._terminal = terminal
            self._forget_drawings()
            self.refresh()

    def _become(self, image: Image | None, note: str, words: Words | None = None) -> None:
        if image is self._image and note == self._note and words == self._words:
            return
        self._image, self._note, self._words, self._pixels = image, note, words, None
        self._forget_drawings()
        self.refresh()

    def _forget_drawings(self) -> None:
        self._releases += "".join(drawing.release for drawing in self._drawings.values())
        self._drawings.clear()
        self._look = None

    def _release(self) -> None:
        self._write(self._releases)
        self._releases = ""

    def on_unmount(self) -> None:
        """Free the terminal's memory of the picture."""
        self._forget_drawings()
        self._release()

    def _write(self, sequences: str) -> None:
        # By the driver's own thread: written past it, they would end up in the middle of other sequences.
        driver = self.app._driver
        if sequences and driver is not None:
            driver.write(sequences)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return those rows of the picture that Textual asks for.

        Overridden instead of `render`, because sixels can only be placed knowing where on the screen they go.
        """
        if not self.is_attached:  # taken off the screen, which is painted once more before it is laid out without it
            return [Strip.blank(crop.width)] * crop.height
        size = self.outer_size
        if self._look is not None and self._look.size != size:
            self._forget_drawings()
        graphics, place = self._choose_graphics()
        height = size.height
        if graphics is Graphics.SIXEL and place.y + height >= self.app.size.height:
            height -= 1  # sixels in the last row of the screen would scroll it
        look = _Look(graphics, size, height, place, self.rich_style)
        if look != self._look:
            self._look = look
            self._rows = self._make_rows(look)
            if self._releases:  # not before the new rows are on the screen, or there would be a gap
                self.call_after_refresh(self._release)
        rows = self._rows[crop.y : crop.bottom]
        return rows if crop.column_span == (0, size.width) else [row.crop(*crop.column_span) for row in rows]

    def _choose_graphics(self) -> tuple[Graphics, Offset]:
        """Return how to draw right now, and where on the screen if that matters."""
        graphics = self._terminal.graphics
        if graphics in (Graphics.KITTY, Graphics.SIXEL) and not self.screen.is_active:
            return Graphics.HALFBLOCK, _ANYWHERE
        if graphics is not Graphics.SIXEL:
            return graphics, _ANYWHERE
        region = self._uncovered_region()
        if (region is None) is not self._is_covered:
            # Textual paints only what the cover takes or leaves: paint all of it right after.
            self._is_covered = region is None
            self.refresh()
        elif region is not None:
            return graphics, region.offset
        return Graphics.HALFBLOCK, _ANYWHERE

    def _uncovered_region(self) -> Region | None:
        """Return where on the screen the picture is; None if a toast, say, covers a part of it."""
        visible = self.screen._compositor.visible_widgets
        if self not in visible:
            return None
        ours, our_clip = visible[self]
        if not our_clip.contains_region(ours):
            return None
        for widget, (region, clip) in visible.items():  # from the front to the back
            if widget is self:
                break
            if region.intersection(clip).overlaps(ours):
                return None
        return ours

    def _make_rows(self, look: _Look) -> list[Strip]:
        width, height = look.size
        blank = Strip([Segment(" " * width, look.style)], width)
        rows = [blank] * height
        drawing = self._draw(look)
        left, top = (width - drawing.columns) // 2, (height - drawing.rows) // 2
        right = width - left - drawing.columns
        for y, line in enumerate(drawing.lines, top):
            segments = [*_spaces(left), *line, *_spaces(right)]
            rows[y] = Strip(Segment.apply_style(segments, look.style), width)
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            rows = [row.apply_filter(line_filter, background) for row in rows]
        if drawing.pixels:
            # After the last row, because each row that is written clears the sixels in its cells.
            x, y = look.place
            over = [
                Control.move_to(x + left, y + top).segment.text,
                drawing.pixels,
                Control.move_to(x + width, y + height - 1).segment.text,
            ]
            rows[-1] = Strip([*rows[-1], *(Segment(text, _PLAIN, CONTROL) for text in over)], width)
        return rows

    def _draw(self, look: _Look) -> Drawing:
        width, height = look.size.width, look.height
        if not (width and height):
            return Drawing(0, 0, [])
        if self._words is not None:
            return _draw_words(self._words, width, height)
        if self._image is None:
            lines = [cut(line, width) for line in wrap(printable(self._note), width)[:height]]
            columns = max(map(cell_width, lines), default=0)
            padded = [line + " " * (columns - cell_width(line)) for line in lines]
            return Drawing(columns, len(lines), [[Segment(line, _DIM)] for line in padded])
        drawing = self._drawings.get((look.graphics, height))
        if drawing is None:
            background = self.background_colors[1].rgb
            drawing = draw(self._image, width, height, self._terminal, look.graphics, background)
            self._drawings[look.graphics, height] = drawing
            self._write(drawing.send)
        return drawing


def _draw_words(words: Words, width: int, height: int) -> Drawing:
    """Break a text into lines of cells, not of characters, each in the middle."""
    lines = [line.plain.strip() for line in Content(f"“{printable(words.text)}”").wrap(width)]
    if len(lines) > height:
        lines = [*lines[: height - 1], cut(f"{lines[height - 1]} {lines[height]}", width - 1).rstrip("…") + "…"]
    rows = []
    for line in (cut(line, width) for line in lines):
        before = (width - cell_width(line)) // 2
        rows.append([*_spaces(before), Segment(line, _BOLD), *_spaces(width - before - cell_width(line))])
    return Drawing(width, len(rows), rows)


def _spaces(number: int) -> list[Segment]:
    return [Segment(" " * number)] if number else []
