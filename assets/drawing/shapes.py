"""Shapes as signed distances, and the ways to move, repeat and combine them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]  # one number per point
Points = NDArray[np.floating[Any]]  # shape (3, n): x to the right, y up, z towards the viewer; the floor is y = 0
Shape = Callable[[Points], Field]
Path2 = Sequence[tuple[float, float]]
Path3 = Sequence[tuple[float, float, float]]


def vector(x: float, y: float, z: float) -> Points:
    """Returns one point as a column, so that it broadcasts against many."""
    return np.array([[x], [y], [z]], np.float32)


def dot(a: Points, b: Points) -> Field:
    """The scalar product of directions, column by column."""
    product: Field = (a * b).sum(0)
    return product


def length(v: Points) -> Field:
    """The length of each column."""
    return np.sqrt(dot(v, v))


def both(u: Field, v: Field) -> Field:
    """The distance to what two shapes share whose surfaces meet at right angles, out of their distances."""
    outside: Field = np.hypot(np.maximum(u, 0), np.maximum(v, 0))
    return outside + np.minimum(np.maximum(u, v), 0)


def box(width: float, height: float, depth: float, edge: float = 0.02) -> Shape:
    """A box about the origin whose edges are rounded by `edge`."""
    half = vector(width / 2 - edge, height / 2 - edge, depth / 2 - edge)

    def shape(p: Points) -> Field:
        q = np.abs(p) - half
        inside: Field = np.minimum(q.max(0), 0)
        return length(np.maximum(q, 0)) + inside - edge

    return shape


def ellipsoid(rx: float, ry: float, rz: float) -> Shape:
    """An ellipsoid about the origin; the distance is a close estimate."""
    radii = vector(rx, ry, rz)

    def shape(p: Points) -> Field:
        q = p / radii
        scaled: Field = length(q)
        return scaled * (scaled - 1) / (length(q / radii) + 1e-6)

    return shape


def cylinder(radius: float, height: float, edge: float = 0.02) -> Shape:
    """An upright cylinder about the origin."""

    def shape(p: Points) -> Field:
        u = np.hypot(p[0], p[2]) - (radius - edge)
        v = np.abs(p[1]) - (height / 2 - edge)
        return both(u, v) - edge

    return shape


def torus(radius: float, thickness: float) -> Shape:
    """A ring lying flat about the origin."""
    return lambda p: np.hypot(np.hypot(p[0], p[2]) - radius, p[1]) - thickness


def spline(knots: Sequence[tuple[float, ...]], steps: int, closed: bool) -> NDArray[np.float64]:
    """Points on a Catmull-Rom curve through the knots; a knot given twice makes a corner."""
    k = np.array(knots, np.float64)
    k = np.concatenate([k[-1:], k, k[:2]]) if closed else np.concatenate([k[:1], k, k[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = k[:-3, None], k[1:-2, None], k[2:-1, None], k[3:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    points = curve.reshape(-1, k.shape[1])
    return points if closed else np.concatenate([points, k[-2:-1]])


def tube(knots: Path3, start: float, end: float | None = None, steps: int = 6) -> Shape:
    """A round rod along a smooth curve, as thick as `start` to `end`; `steps=1` keeps it angular."""
    joints = spline(knots, steps, closed=False)
    radii = np.linspace(start, start if end is None else end, len(joints))
    kept = (np.diff(joints, axis=0) ** 2).sum(1) > 1e-9
    a, along = joints[:-1][kept], np.diff(joints, axis=0)[kept]
    length = (along**2).sum(1)

    def column(values: NDArray[np.float64]) -> Field:
        return np.asarray(values[:, None], np.float32)

    # All limbs at once: two small matrix products replace a loop over limbs.
    feet, feet_sq, axes = (
        a.astype(np.float32),
        column((a**2).sum(1)),
        (along / length[:, None]).astype(np.float32),
    )
    before, size = column((a * along).sum(1) / length), column(length)
    radius, growth = column(radii[:-1][kept]), column(np.diff(radii)[kept])

    def shape(p: Points) -> Field:
        reach = axes @ p - before
        h = np.clip(reach, 0, 1)
        squared = dot(p, p) + feet_sq - 2 * (feet @ p) + h * size * (h - 2 * reach)
        d: Field = (np.sqrt(np.maximum(squared, 0)) - (radius + growth * h)).min(0)
        return d

    return shape


@lru_cache(maxsize=256)
def baked(knots: tuple[tuple[float, float], ...], smooth: bool) -> Callable[[Field, Field], Field]:
    """The signed distance to a closed outline in the plane, read from a table as outlines have many sides."""
    a = spline(knots, 8, closed=True) if smooth else np.array(knots, np.float64)
    b = np.roll(a, -1, axis=0)
    low, high = a.min(0) - 0.08, a.max(0) + 0.08
    cell = float((high - low).max()) / 320
    n, m = (math.ceil(s / cell) + 1 for s in (high - low))
    u, v = np.meshgrid(low[0] + cell * np.arange(n), low[1] + cell * np.arange(m), indexing="ij")
    nearest, inside = np.full(u.shape, np.inf), np.zeros(u.shape, bool)
    for (ax, ay), (bx, by) in zip(a, b, strict=True):
        ex, ey = bx - ax, by - ay
        h = np.clip(((u - ax) * ex + (v - ay) * ey) / max(ex * ex + ey * ey, 1e-12), 0, 1)
        np.minimum(nearest, np.hypot(u - ax - ex * h, v - ay - ey * h), out=nearest)
        if ay != by:
            inside ^= ((ay > v) != (by > v)) & (u < ax + (v - ay) * ex / (by - ay))
    table = np.where(inside, -nearest, nearest).astype(np.float32)
    u0, v0 = float(low[0]), float(low[1])

    def distance(u: Field, v: Field) -> Field:
        x, y = np.clip((u - u0) / cell, 0, n - 1.001), np.clip((v - v0) / cell, 0, m - 1.001)
        i, j = x.astype(np.int32), y.astype(np.int32)
        f, g = x - i, y - j
        left = table[i, j] * (1 - g) + table[i, j + 1] * g
        right = table[i + 1, j] * (1 - g) + table[i + 1, j + 1] * g
        d = (left * (1 - f) + right * f).astype(np.float32)
        beyond = np.hypot(u - u0 - x * cell, v - v0 - y * cell).astype(np.float32)
        # Off the table the outline lies behind its edge, so the two legs meet at an obtuse angle.
        around: Field = np.where(beyond > 1e-5, np.hypot(d, beyond), d)
        return around

    return distance


def revolve(profile: Path2, smooth: bool = True, edge: float = 0.0) -> Shape:
    """Turns a profile of (radius, height) points, from the axis back to the axis, about the upright axis."""
    mirrored = [(-r, y) for r, y in reversed(profile) if r > 0]
    distance = baked(tuple(profile) + tuple(mirrored), smooth)
    return lambda p: distance(np.hypot(p[0], p[2]), p[1]) - edge


def extrude(outline: Path2, depth: float, edge: float = 0.02, smooth: bool = True) -> Shape:
    """Gives an outline in the x-y plane a depth along z, with rounded edges (which grow it by `edge`)."""
    distance = baked(tuple(outline), smooth)

    def shape(p: Points) -> Field:
        u, v = distance(p[0], p[1]), np.abs(p[2]) - (depth / 2 - edge)
        return both(u, v) - edge

    return shape


def at(shape: Shape, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
    """Moves a shape."""
    offset = vector(x, y, z)
    return lambda p: shape(p - offset)


def rotation(rx: float, ry: float, rz: float) -> NDArray[np.float32]:
    """The matrix that turns about x, then y, then z, in degrees."""
    (cx, cy, cz), (sx, sy, sz) = ([f(math.radians(angle)) for angle in (rx, ry, rz)] for f in (math.cos, math.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    matrix: NDArray[np.float32] = (about_z @ about_y @ about_x).astype(np.float32)
    return matrix


def turn(shape: Shape, rx: float = 0.0, ry: float = 0.0, rz: float = 0.0) -> Shape:
    """Turns a shape about the origin by degrees about x, then y, then z."""
    back = np.ascontiguousarray(rotation(rx, ry, rz).T)
    return lambda p: shape(back @ p)


def mirror(shape: Shape, axis: int = 0) -> Shape:
    """Repeats the positive side of a shape on the negative side."""

    def mirrored(p: Points) -> Field:
        q = p.copy()
        np.abs(q[axis], out=q[axis])
        return shape(q)

    return mirrored


def ring(shape: Shape, count: int, offset: float = 0.0) -> Shape:
    """Repeats a shape that points along +x `count` times about the upright axis."""
    step = 2 * math.pi / count

    def repeated(p: Points) -> Field:
        angle = np.arctan2(p[2], p[0]) - math.radians(offset)
        angle -= np.round(angle / step) * step
        radius = np.hypot(p[0], p[2])
        return shape(np.stack([radius * np.cos(angle), p[1], radius * np.sin(angle)]))

    return repeated


def join(*shapes: Shape, soft: float = 0.0) -> Shape:
    """The union of shapes, melted together over the length `soft`."""

    def shape(p: Points) -> Field:
        d = shapes[0](p)
        for other in shapes[1:]:
            e = other(p)
            gap = np.abs(d - e)
            d = np.minimum(d, e)
            if soft:
                d = d - np.maximum(soft - gap, 0) ** 2 / (4 * soft)
        return d

    return shape


def common(a: Shape, b: Shape, soft: float = 0.0) -> Shape:
    """What two shapes share."""
    joined = join(lambda p: -a(p), lambda p: -b(p), soft=soft)
    return lambda p: -joined(p)


def carve(a: Shape, b: Shape, soft: float = 0.0) -> Shape:
    """The first shape without the second."""
    return common(a, lambda p: -b(p), soft)
