"""Colours, patterns and finishes of surfaces."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from visexplore.assets.drawing.shapes import Field, Points, Shape, vector

Colour = Callable[[Points], Points]
Mask = Callable[[Points], Field]


@dataclass(frozen=True)
class Paint:
    """How a surface looks: its colour, how mirror-like it is, whether it is metal, and whether it glows."""

    colour: Colour
    gloss: float = 0.3
    metal: float = 0.0
    glow: float = 0.0
    glass: float = 0.0


@dataclass(frozen=True)
class Part:
    """One piece of an object."""

    shape: Shape
    paint: Paint


def linear(code: str) -> tuple[float, float, float]:
    """The light of a colour written as `#rrggbb`."""
    r, g, b = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return r**2.2, g**2.2, b**2.2


def plain(code: str) -> Colour:
    """One colour everywhere."""
    value = vector(*linear(code))
    return lambda p: np.broadcast_to(value, p.shape)


def mixed(base: Colour | str, mark: Colour | str, mask: Mask) -> Colour:
    """The colour `mark` where the mask is 1, on `base`."""
    a = plain(base) if isinstance(base, str) else base
    b = plain(mark) if isinstance(mark, str) else mark

    def colour(p: Points) -> Points:
        m = mask(p)
        return a(p) * (1 - m) + b(p) * m

    return colour


def soft(value: Field, width: float = 0.02) -> Field:
    """A step from 0 to 1 at zero, over a width that keeps pattern edges smooth."""
    step: Field = np.clip(value / width + 0.5, 0, 1)
    return step


def bands(period: float, share: float = 0.5, axis: int = 1, shift: float = 0.0) -> Mask:
    """Stripes across an axis, of which `share` is marked."""
    return lambda p: soft(share / 2 - np.abs((p[axis] + shift) / period - np.round((p[axis] + shift) / period)), 0.05)


def between(low: float, high: float, axis: int = 1) -> Mask:
    """One band across an axis."""
    return lambda p: soft(np.minimum(p[axis] - low, high - p[axis]), 0.01)


def sectors(count: int, share: float = 0.5) -> Mask:
    """Stripes that run up a round body."""

    def mask(p: Points) -> Field:
        turns = np.arctan2(p[2], p[0]) * (count / (2 * math.pi))
        return soft(share / 2 - np.abs(turns - np.round(turns)), 0.06)

    return mask


def wheel(*codes: str) -> Colour:
    """One colour after the other around, as on the panels of an umbrella."""
    table = np.array([linear(code) for code in codes], np.float32).T

    def colour(p: Points) -> Points:
        turns = np.arctan2(p[2], p[0]) / (2 * math.pi) + 1 + 0.5 / len(codes)
        return table[:, (turns * len(codes)).astype(np.int32) % len(codes)]

    return colour


def dots(count: int, pitch: float, size: float, radius: float) -> Mask:
    """Dots in staggered rows on a round body of about the given radius."""

    def mask(p: Points) -> Field:
        row = np.round(p[1] / pitch)
        turns = np.arctan2(p[2], p[0]) * (count / (2 * math.pi)) + 0.5 * (row % 2)
        across = (turns - np.round(turns)) * (2 * math.pi * radius / count)
        return soft(size - np.hypot(across, p[1] - row * pitch), 0.02)

    return mask


def waves(mask: Mask, height: float, count: int) -> Mask:
    """Bends a mask of level bands up and down as it goes round."""

    def bent(p: Points) -> Field:
        q = p.copy()
        q[1] += height * np.sin(np.arctan2(p[2], p[0]) * count)
        return mask(q)

    return bent


def grain(code: str, depth: float = 0.25, axis: int = 0) -> Colour:
    """Wood: the colour with darker veins along an axis."""
    value = vector(*linear(code))

    def colour(p: Points) -> Points:
        u, v = (p[i] for i in range(3) if i != axis)
        vein = np.sin(26 * u + 3 * np.sin(9 * v + 2 * p[axis])) * 0.5 + np.sin(61 * v + 4 * p[axis]) * 0.3
        wood: Points = value * (1 - depth * (0.5 + 0.5 * vein))
        return wood

    return colour


def flecks(base: str, mark: str, amount: float = 0.3, size: float = 0.05) -> Colour:
    """Small irregular flecks, as on stoneware or melange cloth."""
    k = 1 / size

    def mask(p: Points) -> Field:
        x, y, z = p * k
        noise = np.sin(x + 1.7 * np.sin(1.3 * y)) + np.sin(1.1 * y + 1.9 * np.sin(1.2 * z))
        return soft(noise + np.sin(1.3 * z + 1.6 * np.sin(0.9 * x)) - 3 + 3 * amount, 0.5)

    return mixed(base, mark, mask)


def ceramic(colour: Colour | str) -> Paint:
    """Glazed."""
    return Paint(plain(colour) if isinstance(colour, str) else colour, gloss=0.85)


def matt(colour: Colour | str, gloss: float = 0.15) -> Paint:
    """Cloth, wood, rubber."""
    return Paint(plain(colour) if isinstance(colour, str) else colour, gloss=gloss)


def metal(code: str = "#c9ccd0", gloss: float = 0.8) -> Paint:
    """Polished or brushed metal."""
    return Paint(plain(code), gloss=gloss, metal=1.0)


def glass(code: str) -> Paint:
    """Tinted glass, which shows the backdrop through it."""
    return Paint(plain(code), gloss=1.0, glass=0.55)


BLACK, DARK, WHITE, CREAM = "#1c1d20", "#35373c", "#f2f1ec", "#efe6d2"
OAK, WALNUT, BRASS = "#c89b66", "#7b4e31", "#d9b25f"
