"""Pictures as what a terminal understands: cells of text, sixels, or kitty's graphics protocol.

The one place that touches textual-image's insides: its sixel encoder and its table of kitty's diacritics. Its
own widgets are not used: they ask the terminal at import, free nothing in kitty, write past Textual's output
thread, and lay the screen out again for each picture. PIL, numpy and textual-image take 0.3 s to import, so
none of them is imported with this module: call `install` after the first paint.
"""

from __future__ import annotations

import importlib
import io
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from random import randrange
from typing import TYPE_CHECKING

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import ControlType, Segment
from rich.style import Style

from visexplore.tui.terminal import Graphics, Terminal

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, ConsoleOptions, RenderResult

# Rich and Textual leave a control's text as it is and count no cells for it; which control is of no matter.
CONTROL = ((ControlType.CURSOR_FORWARD, 0),)

# The palette is made from a small copy, so there is time for the best of Pillow's quantisers: 64 colours look
# as good as 128 of its fast one (31 dB), with a third less to send: 15 ms, 25 kB for a picture of 16x8 cells.
_SIXEL_COLORS = 64
_PALETTE_SAMPLE = (32, 32)
_BAND = 6  # pixels: sixels are sent in rows of this height
_SHADES = " ░▒▓█"
_KITTY_BITS = 6  # per channel: cannot be told from 8, and the PNG is a third smaller
_KITTY_CHUNK = 4096
_MOST_CELLS = 297  # as many diacritics has kitty to number rows and columns with
_PLACEHOLDER = "\U0010eeee"
# Ids are shared by all programs in the terminal and have to fit a 24-bit colour: start anywhere, then count.
_kitty_ids = count(randrange(1 << 16, 1 << 23))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture made ready for a box of cells.

    Attributes:
        columns: how many cells of the box it takes across.
        rows: and down.
        lines: its rows as text, each `columns` wide.
        pixels: what paints it over its (blank) lines, written with the cursor in their upper left cell.
        send: what the terminal has to be sent once, before the lines.
        release: what frees the terminal's memory of it.
    """

    columns: int
    rows: int
    lines: list[list[Segment]] = field(repr=False)
    pixels: str = field(default="", repr=False)
    send: str = field(default="", repr=False)
    release: str = ""


def install(terminal: Terminal) -> None:
    """Import what drawing needs, and tell textual-image what we know so that it never asks the terminal.

    Takes up to 0.3 s the first time; without it the first picture does.
    """
    from textual_image import _terminal

    cell = _terminal.CellSize(terminal.cell_width, terminal.cell_height)
    known = _terminal.TerminalCapabilities(cell, sixel=False, tgp=False)
    setattr(_terminal.probe_terminal, "_result", known)  # noqa: B010 - to mypy a function has no attributes
    importlib.import_module("PIL.Image")
    if terminal.graphics is Graphics.SIXEL:
        importlib.import_module("textual_image._sixel")
    elif terminal.graphics is Graphics.KITTY:
        importlib.import_module("textual_image.renderable.tgp")


def draw(
    image: Image,
    columns: int,
    rows: int,
    terminal: Terminal,
    graphics: Graphics | None = None,
    background: tuple[int, int, int] = (0, 0, 0),
) -> Drawing:
    """Return `image` drawn as large as a box of cells allows, in its own proportions.

    Args:
        image: a picture; best RGB and not much larger than the box in pixels. A palette of few colours is kept.
        columns: the width of the box in cells, at least 1.
        rows: its height.
        terminal: where it will be shown.
        graphics: how to draw it, by default the terminal's best way.
        background: the colour of the cells around it.
    """
    columns, rows = min(columns, _MOST_CELLS), min(rows, _MOST_CELLS)
    palette = image if image.mode == "P" else None
    if image.mode != "RGB":
        image = image.convert("RGB")
    match graphics or terminal.graphics:
        case Graphics.KITTY:
            return _draw_kitty(image, columns, rows, terminal)
        case Graphics.SIXEL:
            return _draw_sixel(image, columns, rows, terminal, background, palette)
        case Graphics.HALFBLOCK:
            return _draw_halfblock(image, columns, rows, terminal)
        case Graphics.TEXT:
            return _draw_text(image, columns, rows, terminal)


def _fit(image: Image, columns: int, rows: int, terminal: Terminal) -> tuple[float, float]:
    """Return the size in pixels that fills the box and keeps the proportions."""
    scale = min(columns * terminal.cell_width / image.width, rows * terminal.cell_height / image.height)
    return image.width * scale, image.height * scale


def _resize(image: Image, width: int, height: int) -> Image:
    from PIL.Image import Resampling

    return image.resize((max(1, width), max(1, height)), Resampling.LANCZOS, reducing_gap=2.0)


def _draw_text(image: Image, columns: int, rows: int, terminal: Terminal) -> Drawing:
    from PIL import Image as PILImage
    from PIL import ImageOps

    width, height = _fit(image, columns, rows, terminal)
    across = max(1, round(width / terminal.cell_width))
    down = max(1, round(height / terminal.cell_height))
    grey = ImageOps.autocontrast(_resize(image, across, down).convert("L"), cutoff=1)
    shades = PILImage.new("P", (1, 1))
    steps = len(_SHADES) - 1
    shades.putpalette([step * 255 // steps for step in range(steps + 1) for _ in "rgb"])
    # Dithered, as five shades alone leave a photo's even parts blank.
    levels = grey.convert("RGB").quantize(palette=shades, dither=PILImage.Dither.FLOYDSTEINBERG).tobytes()
    text = "".join(_SHADES[level] for level in levels)
    lines = [[Segment(text[start : start + across])] for start in range(0, across * down, across)]
    return Drawing(across, down, lines)


def _draw_halfblock(image: Image, columns: int, rows: int, terminal: Terminal) -> Drawing:
    width, height = _fit(image, columns, rows, terminal)
    across = max(1, round(width / terminal.cell_width))
    halves = max(1, round(2 * height / terminal.cell_height))
    data = _resize(image, across, halves).tobytes()
    colors = [Color.from_triplet(ColorTriplet(*data[i : i + 3])) for i in range(0, len(data), 3)]
    colors_of_row = [colors[start : start + across] for start in range(0, len(colors), across)]
    lines = []
    for upper in range(0, halves, 2):
        # Below an odd last row of half cells the background shows.
        lower = colors_of_row[upper + 1] if upper + 1 < halves else [None] * across
        lines.append(
            [
                Segment("▀", Style.from_color(top, bottom))
                for top, bottom in zip(colors_of_row[upper], lower, strict=True)
            ]
        )
    return Drawing(across, len(lines), lines)


def _draw_sixel(
    image: Image,
    columns: int,
    rows: int,
    terminal: Terminal,
    background: tuple[int, int, int],
    palette: Image | None = None,
) -> Drawing:
    from PIL.Image import Dither, Quantize
    from textual_image._sixel import SixelOptions, image_to_sixels

    width, height = _fit(image, columns, rows, terminal)
    if height >= _BAND:
        # Whole bands only: tmux gives a part of one a whole cell, and so eats the row below the picture.
        bands = int(height / _BAND)
        width, height = width * bands * _BAND / height, bands * _BAND
    pixels = _resize(image, round(width), round(height))
    colors = min(_SIXEL_COLORS, terminal.sixel_colors)
    if palette is None or len(palette.getcolors() or ()) > colors:
        palette = _resize(image, *_PALETTE_SAMPLE).quantize(colors, Quantize.MAXCOVERAGE)
    pixels = pixels.quantize(palette=palette, dither=Dither.NONE)
    sixels = image_to_sixels(pixels, SixelOptions(colors=colors))
    # The line feed after the last band goes: it would scroll the screen if the picture ends on its last row.
    sixels = sixels.removesuffix("-\x1b\\") + "\x1b\\"
    if terminal.in_tmux:
        # tmux fills what the picture leaves of its last cells with colour 0: let that be the background's.
        red, green, blue = (round(channel / 2.55) for channel in background)
        start, body = re.sub(r"#0(?!\d)", f"#{colors}", sixels).split("#", 1)
        sixels = f"{start}#0;2;{red};{green};{blue}#{body}"
    across, down = -(-pixels.width // terminal.cell_width), -(-pixels.height // terminal.cell_height)
    return Drawing(across, down, [[Segment(" " * across)]] * down, pixels=sixels)


def _draw_kitty(image: Image, columns: int, rows: int, terminal: Terminal) -> Drawing:
    from PIL import ImageOps

    width, height = _fit(image, columns, rows, terminal)
    across, down = ceil(width / terminal.cell_width), ceil(height / terminal.cell_height)
    if width < image.width:  # otherwise kitty enlarges it, in the same proportions
        image = _resize(image, round(width), round(height))
    png = io.BytesIO()
    ImageOps.posterize(image, _KITTY_BITS).save(png, "png", compress_level=2)
    number = next(_kitty_ids) & 0xFFFFFF or next(_kitty_ids)
    data = b64encode(png.getvalue()).decode("ascii")
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    head = f"a=T,U=1,i={number},c={across},r={down},f=100,q=2,"
    send = "".join(
        _kitty_command(f"{'' if i else head}m={int(i + 1 < len(chunks))};{chunk}", terminal)
        for i, chunk in enumerate(chunks)
    )
    style = Style(color=Color.from_rgb(number >> 16, number >> 8 & 255, number & 255))
    marks = _kitty_marks(terminal)
    # Each cell says which part of the picture it is, so any part of a row may be written alone.
    lines = [
        [Segment("".join(f"{_PLACEHOLDER}{marks[row]}{marks[column]}" for column in range(across)), style)]
        for row in range(down)
    ]
    release = _kitty_command(f"a=d,d=I,i={number},q=2", terminal)
    return Drawing(across, down, lines, send=send, release=release)


def _kitty_command(body: str, terminal: Terminal) -> str:
    from textual_image._tmux import tmux_escape

    command = f"\x1b_G{body}\x1b\\"
    return tmux_escape(command) if terminal.in_tmux else command


def _kitty_marks(terminal: Terminal) -> list[str]:
    install(terminal)  # before the import, which would ask the terminal
    from textual_image.renderable.tgp import _NUMBER_TO_DIACRITIC

    return [chr(code) for code in _NUMBER_TO_DIACRITIC]


class Pictures:
    """Pictures side by side, for a Rich console: the command line's way to show what the screens show.

    Print them alone, not inside a table or a panel: Rich would drop the sixels there.
    """

    def __init__(
        self, images: Sequence[Image], terminal: Terminal, columns: int = 16, rows: int = 8, gap: int = 1
    ) -> None:
        """Draw each of `images` in a box of `columns` by `rows` cells, with `gap` cells between."""
        self._images = images
        self._terminal = terminal
        self._columns = columns
        self._rows = rows
        self._gap = gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the rows of text, then the sixels that are painted over them."""
        drawings = [draw(image, self._columns, self._rows, self._terminal) for image in self._images]
        for drawing in drawings:
            if drawing.send:
                yield Segment(drawing.send, None, CONTROL)
        height = max((drawing.rows for drawing in drawings), default=0)
        for row in range(height):
            for drawing in drawings:
                if row < drawing.rows:
                    yield from drawing.lines[row]
                taken = drawing.columns if row < drawing.rows else 0
                yield Segment(" " * (self._columns + self._gap - taken))
            yield Segment.line()
        for place, drawing in enumerate(drawings):
            if drawing.pixels:
                column = place * (self._columns + self._gap) + 1
                yield Segment(f"\x1b7\x1b[{height}A\x1b[{column}G{drawing.pixels}\x1b8", None, CONTROL)
