"""Flat diagrams of networks: blocks, tokens, arrows and words on nothing, so that they fit any background.

The renderer of the sample pictures is for solid things in light; what a schematic says is in its outlines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

# Of middle brightness: they are seen on dark and on light.
GREY, FAINT, BLUE, ORANGE, GREEN = "#84909c", "#a2acb5", "#4a8fd6", "#df8438", "#3f9f69"
PURPLE, RED, TEAL, GOLD, WHITE = "#9672d2", "#d65f5a", "#35979f", "#c59a22", "#ffffff"

WIDTH, HEIGHT = 100, 60  # units: all places and lengths are in them, x to the right and y down
SCALE = 8  # pixels of a unit
OVERSAMPLE = 3
COLORS = 48

Point = tuple[float, float]


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)


class Diagram:
    """A drawing that grows by what is put on it."""

    def __init__(self) -> None:
        self._unit = SCALE * OVERSAMPLE
        self._image = Image.new("RGBA", (WIDTH * self._unit, HEIGHT * self._unit), (0, 0, 0, 0))
        self._pen = ImageDraw.Draw(self._image)

    def picture(self) -> Image.Image:
        """Return what is drawn, with a palette."""
        small = self._image.resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.BOX)
        return small.quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    def _box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        unit = self._unit
        return x * unit, y * unit, (x + width) * unit - 1, (y + height) * unit - 1

    def _points(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._unit, y * self._unit) for x, y in points]

    def words(self, x: float, y: float, text: str, size: float = 4.2, color: str = GREY, anchor: str = "mm") -> None:
        """Write with the middle at a point, unless the anchor is another."""
        font = _font(round(size * self._unit))
        self._pen.text((x * self._unit, y * self._unit), text, color, font, anchor, align="center")

    def block(
        self, x: float, y: float, width: float, height: float, color: str, text: str = "", size: float = 4.2,
        radius: float = 1.6,
    ) -> None:  # fmt: skip
        """Fill a rectangle with round corners, and write into it."""
        self._pen.rounded_rectangle(self._box(x, y, width, height), radius * self._unit, color)
        if text:
            self.words(x + width / 2, y + height / 2, text, size, WHITE)

    def frame(self, x: float, y: float, width: float, height: float, color: str, thick: float = 0.7) -> None:
        """Outline a rectangle."""
        self._pen.rounded_rectangle(
            self._box(x, y, width, height), self._unit, None, color, max(1, round(thick * self._unit))
        )

    def shape(self, points: Sequence[Point], color: str) -> None:
        """Fill a polygon."""
        self._pen.polygon(self._points(points), color)

    def tower(self, x: float, y: float, width: float, height: float, color: str, text: str, size: float = 4.2) -> None:
        """Draw an encoder: it narrows from left to right."""
        self.shape([(x, y), (x + width, y + height * 0.2), (x + width, y + height * 0.8), (x, y + height)], color)
        self.words(x + width / 2, y + height / 2, text, size, WHITE)

    def line(self, *points: Point, color: str = GREY, thick: float = 0.7) -> None:
        """Draw a line."""
        self._pen.line(self._points(points), color, max(1, round(thick * self._unit)), "curve")

    def arrow(self, *points: Point, color: str = GREY, thick: float = 0.8) -> None:
        """Draw a line with a head at its end."""
        (ax, ay), (bx, by) = points[-2:]
        length = math.hypot(bx - ax, by - ay)
        u, v = (bx - ax) / length, (by - ay) / length
        head = 2.2
        self.line(*points[:-1], (bx - u * head / 2, by - v * head / 2), color=color, thick=thick)
        left = (bx - u * head - v * head * 0.6, by - v * head + u * head * 0.6)
        right = (bx - u * head + v * head * 0.6, by - v * head - u * head * 0.6)
        self.shape([(bx, by), left, right], color)

    def dot(self, x: float, y: float, radius: float, color: str) -> None:
        """Fill a circle about a point."""
        self._pen.ellipse(self._box(x - radius, y - radius, 2 * radius, 2 * radius), color)

    def tokens(
        self, x: float, y: float, colors: Sequence[str], size: float = 4, gap: float = 1, down: bool = False
    ) -> None:
        """Draw a row of tokens, or a column."""
        for number, color in enumerate(colors):
            step = number * (size + gap)
            self.block(x + (0 if down else step), y + (step if down else 0), size, size, color, radius=0.8)

    def grid(self, x: float, y: float, rows: Sequence[Sequence[str]], cell: float, gap: float = 0.5) -> None:
        """Draw rows of cells, each of its colour."""
        for number, row in enumerate(rows):
            self.tokens(x, y + number * (cell + gap), row, cell, gap)

    def photo(self, x: float, y: float, size: float) -> None:
        """Draw a small landscape: what goes in."""
        self.block(x, y, size, size, "#8ec3e6", radius=size * 0.06)
        self.dot(x + size * 0.74, y + size * 0.25, size * 0.12, "#f2c94c")
        hills = (((0, 1), (0, 0.72), (0.32, 0.36), (0.66, 1)), ((0.34, 1), (0.7, 0.54), (1, 0.8), (1, 1)))
        for hill, color in zip(hills, (GREEN, "#2f7d51"), strict=True):
            self.shape([(x + size * right, y + size * down) for right, down in hill], color)

    def patches(self, x: float, y: float, size: float, count: int, hidden: Sequence[int] = ()) -> None:
        """Draw the landscape cut into patches; those that are hidden are grey."""
        small = Diagram()
        small.photo(0, 0, HEIGHT)
        whole = small._image.crop((0, 0, HEIGHT * self._unit, HEIGHT * self._unit))
        gap, unit = 0.7, self._unit
        cell = (size - gap * (count - 1)) / count
        side = whole.width / count
        for number in range(count * count):
            row, column = divmod(number, count)
            left, top = x + column * (cell + gap), y + row * (cell + gap)
            if number in hidden:
                self.block(left, top, cell, cell, FAINT, radius=0.5)
                continue
            edges = (column * side, row * side, (column + 1) * side, (row + 1) * side)
            part = whole.crop((round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])))
            pixels = round(cell * unit)
            part = part.resize((pixels, pixels), Image.Resampling.BOX)
            self._image.paste(part, (round(left * unit), round(top * unit)), part)

    def slab(self, x: float, middle: float, width: float, height: float, color: str) -> None:
        """Draw a stack of feature maps, seen from the side: as high as they are, as wide as they are many."""
        top, bottom, right = middle - height / 2, middle + height / 2, x + width
        deep, up = height * 0.17, height * 0.14
        lid = [(x, top), (x + deep, top - up), (right + deep, top - up), (right, top)]
        side = [(right, top), (right + deep, top - up), (right + deep, bottom - up), (right, bottom)]
        self.shape(lid, _mixed(color, WHITE, 0.35))
        self.shape([(x, top), (right, top), (right, bottom), (x, bottom)], color)
        self.shape(side, _mixed(color, "#000000", 0.25))

    def vector(self, x: float, y: float, color: str = RED, cells: int = 6, size: float = 3) -> None:
        """Draw the embedding: a column of numbers."""
        shades = (0.0, 0.35, 0.15, 0.5, 0.25, 0.1, 0.4, 0.2)
        self.tokens(x, y, [_mixed(color, WHITE, shades[n % len(shades)]) for n in range(cells)], size, 0.4, down=True)


def _mixed(color: str, other: str, share: float) -> str:
    one, two = ([int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in (color, other))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))
