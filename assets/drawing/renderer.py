"""The camera, the lights and the backdrop: turns the parts of an object into a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visexplore.assets.drawing.paints import Part, linear, soft
from visexplore.assets.drawing.shapes import Field, Points, Shape, dot, length, rotation, vector

SIZE = 256
OVERSAMPLE = 3  # rays each way in a pixel that lies on an edge; elsewhere one is enough
CHUNK = 1 << 14  # points worked on at once: small enough that the temporaries stay in the processor's cache
REACH = 0.0015  # a ray this close to a part has met it


@dataclass(frozen=True)
class View:
    """Where the camera and the main light stand, and what is behind the object."""

    yaw: float
    pitch: float
    roll: float = 0.0
    fill: float = 0.78  # how much of the frame the object takes
    shift: tuple[float, float] = (0.0, 0.0)
    light: float = -40.0  # degrees from the camera, round the object
    warmth: float = 0.0
    exposure: float = 1.0
    backdrop: str = "#e9e7e3"


class Scene:
    """The distance to the nearest part of an object.

    It is tabulated on a coarse lattice: far from the object the table is good enough, and near it the table
    tells which few parts can be the nearest, so that the others need not be asked.
    """

    CELL = 0.044
    COUNT = 64
    ORIGIN = vector(-1.4, -0.12, -1.4)

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        ticks = np.arange(self.COUNT, dtype=np.float32) * self.CELL
        lattice = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij")).reshape(3, -1) + self.ORIGIN
        each = np.stack([np.concatenate([part.shape(c) for c in chunks(lattice)]) for part in self.parts])
        self.table: Field = each.min(0)
        # Within a cell two distances come nearer to each other by at most twice the way to its centre.
        rivals = each < self.table + 2.6 * self.CELL
        self.rivals = (rivals.astype(np.uint32) << np.arange(len(parts), dtype=np.uint32)[:, None]).sum(0)
        self.outline: Points = lattice[:, np.abs(self.table) < 0.04]

    def __call__(self, p: Points) -> Field:
        """Returns the distance from each point."""
        q = (p - self.ORIGIN) / self.CELL
        inside = np.clip(q, 0, self.COUNT - 1.001)
        low = inside.astype(np.int32)
        first = (low[0] * self.COUNT + low[1]) * self.COUNT + low[2]
        d = self.interpolated(first, inside - low)
        beyond = (q - inside) * self.CELL
        d = np.hypot(np.maximum(d, 0), length(beyond)) + np.minimum(d, 0)
        near = np.flatnonzero(d < 2.2 * self.CELL)
        if near.size:
            d[near] = self.exact(p[:, near], self.rivals[first[near]])
        return d

    def interpolated(self, first: NDArray[np.int32], share: Points) -> Field:
        """The table between its entries; `first` is the lower corner of the cell."""
        x, y, z = share
        plane, table = self.COUNT * self.COUNT, self.table

        def row(i: NDArray[np.int32]) -> Field:
            between: Field = table[i] * (1 - z) + table[i + 1] * z
            return between

        def wall(i: NDArray[np.int32]) -> Field:
            between: Field = row(i) * (1 - y) + row(i + self.COUNT) * y
            return between

        value: Field = wall(first) * (1 - x) + wall(first + plane) * x
        return value

    def exact(self, p: Points, rivals: NDArray[np.uint32]) -> Field:
        """The distance to the parts that the bits of `rivals` name."""
        d = np.full(p.shape[1], np.inf, np.float32)
        for i, part in enumerate(self.parts):
            asked = np.flatnonzero(rivals >> i & 1)
            if asked.size:
                d[asked] = np.minimum(d[asked], part.shape(p[:, asked]))
        return d


def chunks(points: Points) -> Iterable[Points]:
    """Splits points into pieces that fit the cache."""
    return (np.ascontiguousarray(points[:, i : i + CHUNK]) for i in range(0, points.shape[1], CHUNK))


def march(scene: Shape, eye: Points, rays: Points, near: Field, far: Field) -> Field:
    """Steps along rays to the first part met; infinity where there is none."""
    t, met = near.copy(), np.full(near.shape, np.inf, np.float32)
    live = np.flatnonzero(near < far)
    for _ in range(110):
        if not live.size:
            break
        d = scene(eye + rays[:, live] * t[live])
        hit = d < REACH
        met[live[hit]] = t[live[hit]]
        t[live] += np.maximum(d, REACH) * 0.85
        live = live[~hit & (t[live] < far[live])]
    return met


def shadowed(scene: Shape, p: Points, light: Points, reach: float) -> Field:
    """How much of a broad light gets to points: 1 in the open, 0 in full shadow."""
    lit, t = np.ones(p.shape[1], np.float32), np.full(p.shape[1], 0.025, np.float32)
    live = np.arange(p.shape[1])
    for _ in range(34):
        if not live.size:
            break
        d = scene(p[:, live] + light * t[live])
        lit[live] = np.minimum(lit[live], np.clip(0.5 + 4.0 * d / t[live], 0, 1))
        t[live] += np.clip(d, 0.02, 0.2)
        live = live[(lit[live] > 0.01) & (t[live] < reach)]
    return lit * lit * (3 - 2 * lit)


def open_sky(scene: Shape, p: Points, normal: Points) -> Field:
    """How open the surroundings are: small in corners and where parts touch."""
    closed = np.zeros(p.shape[1], np.float32)
    for h, weight in ((0.03, 4.0), (0.08, 2.2), (0.17, 1.2), (0.32, 0.7)):
        closed += weight * np.maximum(h - scene(p + normal * h), 0)
    return np.exp(-closed)


def normals(scene: Shape, p: Points) -> Points:
    """The directions that surfaces face, from four samples about each point."""
    total = np.zeros_like(p)
    for corner in (vector(1, -1, -1), vector(-1, -1, 1), vector(-1, 1, -1), vector(1, 1, 1)):
        total += corner * scene(p + corner * 0.004)
    return total / (length(total) + 1e-9)


def studio(direction: Points, lamps: Sequence[tuple[Points, float, float]], backdrop: Points, gloss: float) -> Points:
    """What a shiny surface mirrors: a bright room, the backdrop below, and lamps of (place, size, power).

    A lamp that stands on the horizon is a strip as high as the room, which draws an upright glint on bottles.
    """
    up = np.clip(direction[1] * 0.5 + 0.5, 0, 1)
    room: Points = backdrop * (0.35 + 0.65 * up) + 0.25 * np.maximum(direction[1], 0)
    blur = 0.03 + 0.5 * (1 - gloss)
    for place, size, power in lamps:
        strip = abs(float(place[1, 0])) < 1e-3
        angle = (
            dot(direction * vector(1, 0, 1), place) / np.hypot(direction[0], direction[2])
            if strip
            else dot(direction, place)
        )
        room = room + power * (0.2 + 0.8 * gloss) * soft(angle - math.cos(size), blur)
    return room


def look(view: View) -> tuple[Points, NDArray[np.float32]]:
    """The direction from the object to the camera, and the camera's axes as rows: right, up, forward."""
    back = rotation(0, view.yaw, 0) @ rotation(-view.pitch, 0, 0) @ vector(0, 0, 1)
    right = rotation(0, view.yaw, 0) @ vector(1, 0, 0)
    up = np.cross(back.T, right.T).T
    c, s = math.cos(math.radians(view.roll)), math.sin(math.radians(view.roll))
    return back, np.concatenate([(right * c + up * s).T, (up * c - right * s).T, -back.T]).astype(np.float32)


def tone(light: Points) -> Points:
    """Film-like: keeps the middle as it is and rolls off the highlights."""
    x = np.maximum(light, 0)
    x = np.where(x < 0.6, x, 0.6 + 0.4 * (1 - np.exp(-(x - 0.6) / 0.4)))
    shown: Points = np.clip(x, 0, 1) ** (1 / 2.2)
    return shown


def render(scene: Scene, view: View, size: int = SIZE, oversample: int = OVERSAMPLE) -> Image.Image:
    """Draws one picture of an object."""
    around = scene.outline
    middle = (around.max(1, keepdims=True) + around.min(1, keepdims=True)) / 2
    radius = float(length(around - middle).max())
    back, axes = look(view)
    eye = middle + back * (4.2 * radius)
    x, y, depth = axes @ (around - eye)
    framed = np.stack([x / depth, y / depth])
    centre = (framed.max(1) + framed.min(1)) / 2
    zoom = float((framed.max(1) - framed.min(1)).max()) / 2 / view.fill

    base = vector(*linear(view.backdrop))
    key = rotation(0, view.yaw + view.light, 0) @ rotation(-48, 0, 0) @ vector(0, 0, 1)
    tint = view.exposure * vector(1 + 0.1 * view.warmth, 1 + 0.01 * view.warmth, 1 - 0.12 * view.warmth)

    def light_at(u: Field, v: Field) -> Points:
        flat = np.stack([u * zoom, v * zoom, np.ones_like(u)])
        flat[:2] += (centre - 2 * zoom * np.array(view.shift, np.float32))[:, None]
        rays = axes.T @ (flat / length(flat))
        behind = base * (1.06 - 0.13 * (u * u + v * v) + 0.05 * v)
        pieces = zip(chunks(rays), chunks(behind), strict=True)
        seen: Points = np.concatenate([shade_rays(scene, view, around, eye, *piece, key) for piece in pieces], 1)
        seen *= tint
        return seen

    u, v = (grid.ravel() for grid in np.meshgrid(*pixel_centres(size)))
    coarse = light_at(u, v)
    fine = edges(tone(coarse).reshape(3, size, size)).ravel()
    offsets = (np.arange(oversample) + 0.5) / oversample * 2 - 1
    samples = [tone(light_at(u[fine] + float(i) / size, v[fine] + float(j) / size)) for i in offsets for j in offsets]
    shown = tone(coarse)
    shown[:, fine] = np.mean(samples, 0)
    return Image.fromarray((shown.reshape(3, size, size).transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8))


def pixel_centres(size: int) -> tuple[Field, Field]:
    """Where the columns and the rows of a picture lie in a frame from -1 to 1."""
    line: Field = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    return line, -line


def edges(picture: Points) -> NDArray[np.bool_]:
    """The pixels that differ from a neighbour, which one ray cannot do justice."""
    rough = np.zeros(picture.shape[1:], bool)
    for axis in (1, 2):
        jump = (np.abs(np.diff(picture, axis=axis)) > 0.025).any(0)
        before, after = (rough[:-1], rough[1:]) if axis == 1 else (rough[:, :-1], rough[:, 1:])
        before |= jump
        after |= jump
    return rough


def shade_rays(
    scene: Scene, view: View, around: Points, eye: Points, rays: Points, behind: Points, key: Points
) -> Points:
    """The light that comes along rays: from the object, from the floor under it, or from the backdrop."""
    low, high = around.min(1, keepdims=True) - 0.06, around.max(1, keepdims=True) + 0.06
    safe = np.where(np.abs(rays) < 1e-6, 1e-6, rays)
    one, two = (low - eye) / safe, (high - eye) / safe
    near, far = np.minimum(one, two).max(0), np.maximum(one, two).min(0)
    t = march(scene, eye, rays, near.astype(np.float32), far.astype(np.float32))
    light = behind.copy()
    reach = float((high - low).max()) * 1.2

    ground = -eye[1] / np.where(rays[1] < -1e-4, rays[1], np.nan)
    floor = eye + rays * ground
    away = np.hypot(floor[0] - (low + high)[0] / 2, floor[2] - (low + high)[2] / 2)
    close = (away < 1.2 * reach) & np.isinf(t)  # no shadow falls further off
    if close.any():
        p = np.ascontiguousarray(floor[:, close], np.float32)
        shadow = shadowed(scene, p, key, reach)
        sky = open_sky(scene, p, vector(0, 1, 0))
        light[:, close] *= 1 - (1 - (0.62 + 0.38 * shadow) * (0.35 + 0.65 * sky)) * vector(1.0, 0.97, 0.93)

    hit = np.flatnonzero(np.isfinite(t))
    if hit.size:
        met = eye + rays[:, hit] * t[hit]
        light[:, hit] = shade_surface(scene, view, met, rays[:, hit], behind[:, hit], key, reach)
    return light


def shade_surface(
    scene: Scene, view: View, p: Points, rays: Points, behind: Points, key: Points, reach: float
) -> Points:
    """The light that leaves surface points towards the camera."""
    normal = normals(scene, p)
    facing = np.clip(-dot(normal, rays), 0, 1)
    sky = open_sky(scene, p, normal)
    shadow = shadowed(scene, p + normal * 0.012, key, reach)
    backdrop = vector(*linear(view.backdrop))
    sun = np.maximum(dot(normal, key), 0) * shadow
    fill = np.maximum(dot(normal, rotation(0, view.yaw - view.light, 0) @ vector(0, 0.5, 0.86)), 0)
    diffuse = 0.95 * sun + sky * (0.34 + 0.16 * normal[1] + 0.16 * fill)
    diffuse = diffuse * vector(1.02, 1.0, 0.97) + backdrop * sky * (0.1 - 0.1 * normal[1])
    mirrored = rays + 2 * facing * normal
    side = rotation(0, view.yaw - view.light * 1.3, 0) @ vector(0, 0.35, 0.94)
    left, right = (rotation(0, view.yaw + math.copysign(turn, view.light), 0) @ vector(0, 0, 1) for turn in (75, -120))
    lamps = ((key, 0.38, 3.2), (side, 0.2, 1.3), (left, 0.26, 1.7), (right, 0.2, 1.1))

    owner = np.argmin(np.stack([part.shape(p) for part in scene.parts]), 0)
    light = np.zeros_like(p)
    for i, part in enumerate(scene.parts):
        mine = owner == i
        if not mine.any():
            continue
        paint, f = part.paint, facing[mine]
        albedo = paint.colour(p[:, mine])
        room = studio(mirrored[:, mine], lamps, backdrop, paint.gloss) * (0.25 + 0.75 * sky[mine])
        fresnel = 0.04 + 0.9 * paint.gloss * (1 - f) ** 5
        matt_light = albedo * diffuse[:, mine] * (1 - 0.85 * paint.metal)
        if paint.glass:
            through = behind[:, mine] * np.sqrt(albedo) * (0.35 + 0.65 * f)
            matt_light = matt_light * (1 - paint.glass) + through * albedo * 1.6 * paint.glass
        shine = (albedo * paint.metal + fresnel * (1 - paint.metal) * paint.gloss) * room
        light[:, mine] = matt_light + shine + albedo * paint.glow
    return light
