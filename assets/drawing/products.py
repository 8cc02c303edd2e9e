"""The products: each function builds the parts of one kind of object, standing on the floor and facing +z."""

from __future__ import annotations

import math

import numpy as np

from visexplore.assets.drawing.paints import (
    BLACK,
    BRASS,
    WHITE,
    Colour,
    Paint,
    Part,
    bands,
    between,
    flecks,
    matt,
    metal,
    mixed,
    plain,
    sectors,
    soft,
)
from visexplore.assets.drawing.shapes import (
    Field,
    Points,
    Shape,
    at,
    baked,
    both,
    box,
    carve,
    common,
    cylinder,
    ellipsoid,
    extrude,
    join,
    mirror,
    revolve,
    ring,
    rotation,
    torus,
    tube,
    turn,
    vector,
)


def mug(
    body: Paint,
    inside: str,
    handle: Paint,
    height: float = 1.0,
    r: float = 0.44,
    flare: float = 0.0,
    drink: str | None = None,
) -> list[Part]:
    """A cup with a handle on its right."""
    top, wall = r + flare, 0.045
    profile = [
        (0, 0), (r * 0.88, 0), (r, 0.09), (top, height), (top - wall, height), (r - wall, 0.13),
        (0, 0.1),
    ]  # fmt: skip
    cup = revolve(profile, smooth=False, edge=0.014)

    def hollow(p: Points) -> Field:
        d: Field = np.hypot(p[0], p[2]) - (r - wall / 2 + flare * p[1] / height)
        return d

    glaze = mixed(body.colour, inside, lambda p: soft(-hollow(p)) * soft(p[1] - 0.1))
    upper, far, lower = r + 0.8 * flare - 0.02, r + 0.3, r + 0.2 * flare - 0.02
    knots = [
        (upper, 0.8 * height, 0), (far - 0.05, 0.8 * height, 0),
        (far, 0.5 * height, 0), (lower, 0.2 * height, 0),
    ]  # fmt: skip
    parts = [
        Part(cup, Paint(glaze, body.gloss, body.metal)),
        Part(carve(tube(knots, 0.06, steps=14), hollow), handle),
    ]
    if drink:
        parts.append(Part(at(cylinder(top - wall, 0.02, 0.005), y=0.82 * height), Paint(plain(drink), 0.9)))
    return parts


def teapot(body: Paint, lid: Paint, handle: Paint, squat: float = 1.0, wicker: bool = False) -> list[Part]:
    """A round pot with its spout on the right; `wicker` puts a hoop over the top instead of a side handle."""
    h = 0.86 * squat
    profile = [(0, 0), (0.34, 0), (0.34, 0), (0.55, 0.32 * h), (0.52, 0.66 * h), (0.3, 0.95 * h), (0, h)]
    cover = [
        (0, 0.9 * h), (0.345, 0.91 * h), (0.345, 0.96 * h), (0.2, 1.07 * h), (0.05, 1.13 * h),
        (0, 1.13 * h),
    ]  # fmt: skip
    knob = join(revolve(cover), at(ellipsoid(0.075, 0.065, 0.075), y=1.13 * h + 0.05), soft=0.04)
    spout = tube([(0.42, 0.3 * h, 0), (0.68, 0.42 * h, 0), (0.78, 0.72 * h, 0), (0.93, 0.9 * h, 0)], 0.13, 0.055)
    mouth = at(turn(cylinder(0.035, 0.2, 0.0), rz=-40), 0.95, 0.93 * h)
    if wicker:
        hoop = [
            (-0.4, 0.8 * h, 0), (-0.42, 1.25 * h, 0), (0, 1.6 * h, 0), (0.42, 1.25 * h, 0),
            (0.4, 0.8 * h, 0),
        ]  # fmt: skip
    else:
        hoop = [(-0.42, 0.82 * h, 0), (-0.8, 0.86 * h, 0), (-0.84, 0.5 * h, 0), (-0.48, 0.24 * h, 0)]
    pot = carve(join(revolve(profile), spout, soft=0.08), mouth)
    return [Part(pot, body), Part(knob, lid), Part(tube(hoop, 0.045, steps=12), handle)]


def bottle(body: Paint, cap: Paint, label: Colour | None, form: str = "wine") -> list[Part]:
    """A wine bottle, a drinking flask or a soap dispenser."""
    if form == "wine":
        radius, low, high = 0.27, 0.3, 0.8
        above = [
            (0.27, 0.95), (0.235, 1.1), (0.12, 1.25), (0.09, 1.38), (0.088, 1.5), (0.088, 1.7),
            (0.088, 1.7), (0, 1.7),
        ]  # fmt: skip
        top = at(cylinder(0.098, 0.34, 0.01), y=1.56)
    elif form == "flask":
        radius, low, high = 0.27, 0.3, 0.6
        above = [
            (0.27, 0.8), (0.27, 1.08), (0.245, 1.22), (0.17, 1.3), (0.16, 1.38), (0.16, 1.38),
            (0, 1.38),
        ]  # fmt: skip
        top = join(at(cylinder(0.17, 0.2, 0.03), y=1.47), at(turn(torus(0.09, 0.022), rx=90), y=1.6))
    else:
        radius, low, high = 0.33, 0.18, 0.6
        above = [
            (0.33, 0.6), (0.32, 0.72), (0.24, 0.83), (0.11, 0.87), (0.1, 0.92), (0.1, 0.92), (0, 0.92),
        ]  # fmt: skip
        spout = tube([(-0.08, 1.25, 0), (0.26, 1.25, 0), (0.32, 1.19, 0)], 0.045, 0.03)
        top = join(at(cylinder(0.12, 0.1), y=0.95), at(cylinder(0.03, 0.3), y=1.1), spout)
    foot = [(0, 0), (radius - 0.03, 0), (radius - 0.03, 0), (radius, 0.03), (radius, 0.28)]
    parts = [Part(revolve(foot + above), body), Part(top, cap)]
    if label:
        sleeve = at(cylinder(radius + 0.008, high - low, 0.004), y=(low + high) / 2)
        parts.append(Part(sleeve, matt(label, 0.25)))
    return parts


def shade(bottom: float, top: float, height: float, y: float) -> Shape:
    """A thin open cone."""
    skin = 0.02
    profile = [(bottom - skin, 0), (bottom, 0), (top, height), (top - skin, height)]
    cone = baked(tuple(profile), False)
    return lambda p: cone(np.hypot(p[0], p[2]), p[1] - y)


def lamp(form: str, stand: Paint, cover: Paint) -> list[Part]:
    """A table lamp with a cloth shade, a mushroom lamp, a jointed desk lamp or a tripod lamp."""
    if form == "desk":
        arm = join(
            tube([(0, 0.06, 0), (-0.42, 0.75, 0)], 0.03),
            tube([(-0.42, 0.75, 0), (0.25, 1.28, 0)], 0.026),
            at(ellipsoid(0.06, 0.06, 0.06), -0.42, 0.75),
        )
        head = at(turn(shade(0.3, 0.1, 0.32, -0.16), rz=35), 0.36, 1.2)
        back = at(turn(join(cylinder(0.1, 0.12, 0.03), at(ellipsoid(0.09, 0.09, 0.09), y=-0.22)), rz=35), 0.26, 1.34)
        bulb = at(ellipsoid(0.1, 0.1, 0.1), 0.37, 1.18)
        return [
            Part(join(at(cylinder(0.3, 0.06, 0.02), y=0.03), arm), stand),
            Part(join(head, back), cover),
            Part(bulb, Paint(plain("#ffe9b8"), 0.2, glow=1.3)),
        ]
    if form == "mushroom":
        stem = revolve([(0, 0), (0.3, 0), (0.3, 0.04), (0.13, 0.14), (0.1, 0.4), (0.14, 0.75), (0, 0.78)])
        dome = revolve([(0, 0.7), (0.52, 0.66), (0.56, 0.72), (0.42, 0.98), (0.2, 1.1), (0, 1.12)])
        return [Part(stem, stand), Part(dome, cover)]
    if form == "tripod":
        legs = ring(tube([(0.05, 1.02, 0), (0.46, 0.03, 0)], 0.032, 0.022, 1), 3, 30)
        plate = at(cylinder(0.1, 0.06), y=1.04)
        return [Part(join(legs, plate), stand), Part(shade(0.42, 0.36, 0.46, 1.05), cover)]
    body = revolve([(0, 0), (0.2, 0), (0.22, 0.04), (0.32, 0.28), (0.26, 0.52), (0.08, 0.64), (0.05, 0.72), (0, 0.72)])
    rod = at(cylinder(0.03, 0.4, 0.005), y=0.85)
    return [Part(body, stand), Part(rod, metal(BRASS)), Part(shade(0.5, 0.3, 0.52, 0.82), cover)]


def chair(form: str, seat: Paint, legs: Paint) -> list[Part]:
    """A slatted kitchen chair, a moulded shell, a padded dining chair or a bar stool."""
    if form == "stool":
        feet = ring(tube([(0.2, 1.0, 0), (0.33, 0.02, 0)], 0.035, 0.03, 1), 4, 45)
        rest = at(torus(0.29, 0.02), y=0.35)
        return [Part(join(feet, rest), legs), Part(at(cylinder(0.34, 0.12, 0.05), y=1.05), seat)]
    foot = tube([(0.26, 0.52, 0.24), (0.35, 0.02, 0.34)], 0.035, 0.022, 1)
    feet = mirror(mirror(foot), 2)
    if form == "shell":
        bowl = carve(at(ellipsoid(0.46, 0.55, 0.46), 0, 1.02), at(ellipsoid(0.42, 0.56, 0.44), 0, 1.09, 0.06), 0.03)
        cut = at(turn(box(2, 1.4, 2, 0.01), rx=32), 0, 1.38, 0.62)
        return [Part(feet, legs), Part(carve(bowl, cut, 0.06), seat)]
    base = at(box(0.74, 0.07 if form == "slats" else 0.13, 0.7, 0.03), 0, 0.56)
    post = tube([(0.32, 0.5, -0.3), (0.32, 0.95, -0.34), (0.31, 1.38, -0.42)], 0.033, 0.026)
    if form == "slats":
        slats = join(
            *(at(box(0.66, 0.09, 0.035, 0.015), 0, y, z) for y, z in ((0.86, -0.335), (1.07, -0.36), (1.28, -0.4)))
        )
        return [Part(feet, legs), Part(join(mirror(post), slats), legs), Part(base, seat)]
    pad = at(
        turn(
            extrude(
                [(-0.3, -0.32), (0.3, -0.32), (0.34, 0.2), (0.2, 0.38), (-0.2, 0.38), (-0.34, 0.2)],
                0.12,
                0.05,
            ),
            rx=-8,
        ),
        0,
        1.08,
        -0.36,
    )
    return [
        Part(feet, legs),
        Part(mirror(tube([(0.2, 0.5, -0.28), (0.2, 0.95, -0.4)], 0.03)), legs),
        Part(join(base, soft=0.02), seat),
        Part(pad, seat),
    ]


def sofa(cloth: Paint, legs: Paint, pillow: Paint, width: float = 1.9, round_arms: bool = False) -> list[Part]:
    """A sofa, or an armchair when narrow."""
    w, seats = width, max(1, round(width / 0.75))
    plinth = at(box(w, 0.2, 0.82, 0.05), 0, 0.28)
    back = at(turn(box(w - 0.1, 0.6, 0.22, 0.09), rx=-8), 0, 0.62, -0.34)
    arm = at(box(0.2, 0.48, 0.84, 0.07), w / 2 - 0.04, 0.44)
    if round_arms:
        arm = join(arm, at(turn(cylinder(0.15, 0.86, 0.05), rx=90), w / 2 - 0.02, 0.66), soft=0.06)
    inner = w - 0.3
    each = inner / seats

    def repeated(shape: Shape) -> Shape:
        def shifted(p: Points) -> Field:
            q = p.copy()
            q[0] -= each * np.clip(np.round(p[0] / each - (seats + 1) % 2 / 2), -(seats // 2), (seats - 1) // 2)
            q[0] -= each / 2 * ((seats + 1) % 2)
            return shape(q)

        return shifted

    cushions = repeated(at(box(each - 0.01, 0.17, 0.72, 0.07), 0, 0.46, 0.06))
    backs = repeated(at(turn(box(each - 0.02, 0.42, 0.2, 0.09), rx=-12), 0, 0.7, -0.2))
    foot = mirror(mirror(at(turn(cylinder(0.035, 0.24, 0.01), rz=8), w / 2 - 0.12, 0.1, 0.32)), 2)
    throw = at(turn(ellipsoid(0.23, 0.2, 0.09), rx=-20, rz=12), w / 2 - 0.36, 0.7, 0.0)
    return [
        Part(join(plinth, back, mirror(arm), soft=0.03), cloth),
        Part(join(cushions, backs), cloth),
        Part(foot, legs),
        Part(throw, pillow),
    ]


def sneaker(upper: Colour, sole: str, flash: Colour, lace: str, high: bool = False) -> list[Part]:
    """A shoe with its toe to the right."""
    top = 0.86 if high else 0.6
    side = [
        (-0.78, 0.1), (-0.84, 0.35), (-0.8, top), (-0.72, top + 0.06), (-0.45, top - 0.06),
        (-0.2, top - 0.02), (-0.1, top - 0.06), (0.25, 0.4), (0.6, 0.3), (0.82, 0.22), (0.86, 0.1),
        (0.6, 0.06), (-0.5, 0.06),
    ]  # fmt: skip
    plan = [
        (-0.84, 0.0), (-0.78, 0.2), (-0.5, 0.25), (-0.1, 0.22), (0.3, 0.3), (0.6, 0.29), (0.85, 0.1),
        (0.88, -0.02), (0.76, -0.2), (0.5, -0.26), (0.0, -0.22), (-0.5, -0.25), (-0.78, -0.2),
    ]  # fmt: skip
    foot = turn(extrude(plan, 3.0, 0.0), rx=90)
    body = common(extrude(side, 0.62, 0.0), foot, 0.16)
    leaning = lambda p: np.abs(p[2]) - (0.31 - 0.22 * np.clip(p[1], 0, 1))  # noqa: E731
    body = common(body, leaning, 0.08)
    hollow = at(turn(ellipsoid(0.27, 0.42, 0.13), rz=-12), -0.46, top + 0.1)
    slope, step = (1.14, 0.075) if high else (0.4, 0.085)

    def vamp(x: float) -> float:
        return top - 0.07 - slope * (x + 0.1)

    tilt = -math.degrees(math.atan(slope))
    tongue = at(turn(box(0.34, 0.06, 0.2, 0.028), rz=tilt), -0.16, vamp(-0.16) + 0.01)
    rows = [-0.05 + i * step for i in range(4)]
    laces = join(
        *(
            tube([(x, vamp(x) - 0.05, -0.15), (x + 0.01, vamp(x) + 0.02, 0), (x, vamp(x) - 0.05, 0.15)], 0.022)
            for x in rows
        )
    )
    base = at(turn(extrude(plan, 0.15, 0.03), rx=90), 0, 0.075)
    tread = mixed(sole, "#5b5b5b", between(0.035, 0.05))
    leather = mixed(
        upper,
        flash,
        lambda p: np.maximum(
            soft(0.07 - np.abs(p[1] - 0.3 - 0.35 * (p[0] + 0.1) ** 2 + 0.4 * p[0]), 0.02)
            * soft(0.32 - np.abs(p[0] + 0.08), 0.02),
            soft(-0.64 - p[0], 0.02) * soft(p[1] - 0.3, 0.02),
        ),
    )
    leather = mixed(leather, sole, lambda p: soft(p[0] - 0.6 + 0.5 * p[1], 0.015)) if high else leather
    return [
        Part(carve(body, hollow, 0.04), matt(leather, 0.3)),
        Part(base, matt(tread, 0.3)),
        Part(tongue, matt(flash)),
        Part(laces, matt(lace)),
    ]


def backpack(main: Colour | str, pocket: Colour | str, trim: str, tall: float = 1.25, flap: bool = False) -> list[Part]:
    """A pack with its pocket to the front and straps behind."""
    w = 0.42
    front = [
        (-w, 0.0), (-w - 0.02, 0.4), (-w + 0.02, tall - 0.25), (-w + 0.16, tall), (w - 0.16, tall),
        (w - 0.02, tall - 0.25), (w + 0.02, 0.4), (w, 0.0),
    ]  # fmt: skip
    body = at(extrude(front, 0.44, 0.09), 0, 0.09)
    bag = at(
        extrude([(-0.32, 0), (-0.34, 0.3), (-0.26, 0.48), (0.26, 0.48), (0.34, 0.3), (0.32, 0)], 0.2, 0.06),
        0,
        0.14,
        0.25,
    )
    side = mirror(at(box(0.12, 0.4, 0.28, 0.05), w + 0.1, 0.3))
    loop = tube(
        [
            (-0.13, tall + 0.12, -0.12),
            (-0.1, tall + 0.28, -0.12),
            (0.1, tall + 0.28, -0.12),
            (0.13, tall + 0.12, -0.12),
        ],
        0.03,
        steps=5,
    )
    strap = mirror(
        tube(
            [(0.16, tall + 0.05, -0.2), (0.26, tall - 0.1, -0.4), (0.3, 0.6, -0.42), (0.3, 0.16, -0.2)],
            0.05,
            steps=5,
        )
    )
    zips = mixed(main, trim, lambda p: soft(0.014 - np.abs(p[2] - 0.05), 0.01) * soft(p[1] - 0.5, 0.02))
    tag = at(box(0.16, 0.1, 0.03, 0.01), 0, 0.46, 0.36)
    parts = [
        Part(body, matt(zips)),
        Part(join(bag, side), matt(pocket)),
        Part(join(loop, strap), matt(trim)),
        Part(tag, matt("#a06a3c", 0.3)),
    ]
    if flap:
        lid = common(at(extrude(front, 0.56, 0.1), 0, 0.12, 0.03), lambda p: tall * 0.62 - p[1], 0.03)
        belt = mirror(
            join(
                at(box(0.06, 0.5, 0.03, 0.01), 0.2, tall * 0.55, 0.36),
                at(box(0.1, 0.1, 0.04, 0.01), 0.2, tall * 0.42, 0.37),
            )
        )
        parts += [Part(lid, matt(main)), Part(belt, matt("#a06a3c", 0.4))]
    else:
        zipper = at(box(0.5, 0.02, 0.02, 0.005), 0, 0.52, 0.36)
        parts.append(Part(zipper, metal("#b9b9b9")))
    return parts


def clock(face: str, rim: Paint, marks: str, hand: str, form: str = "alarm", time: float = 10.15) -> list[Part]:
    """A clock that stands and looks forward: with bells, a plain round one or a square one."""

    def dial(p: Points) -> Field:
        r, turns = np.hypot(p[0], p[1] - 0.6), np.arctan2(p[0], p[1] - 0.6) * (6 / math.pi)
        off = np.abs(turns - np.round(turns)) * r * (math.pi / 6)
        long = np.where(np.round(turns) % 3 == 0, 0.3, 0.34)
        ticks = soft(0.018 - off, 0.012) * soft(r - long, 0.012) * soft(0.4 - r, 0.012)
        return np.asarray(np.where(p[2] > 0, ticks, 0), np.float32)

    def pointer(turns: float, length: float, width: float, z: float, code: str) -> Part:
        arm = at(box(width, length + 0.06, 0.014, 0.004), 0, length / 2 - 0.03)
        return Part(at(turn(arm, rz=-360 * turns), 0, 0.6, z), matt(code, 0.3))

    z = 0.11
    parts = [
        Part(at(turn(cylinder(0.45, 0.2, 0.01), rx=90), 0, 0.6), matt(mixed(face, marks, dial), 0.25)),
        pointer(time / 12, 0.23, 0.045, z, hand),
        pointer(time % 1, 0.35, 0.03, z + 0.015, hand),
        pointer(0.62, 0.36, 0.012, z + 0.025, "#d8402f"),
        Part(at(turn(cylinder(0.03, 0.06, 0.01), rx=90), 0, 0.6, z + 0.02), matt(hand)),
    ]
    if form == "square":
        frame = carve(at(box(1.12, 1.12, 0.32, 0.12), 0, 0.58), at(turn(cylinder(0.44, 1, 0.02), rx=90), 0, 0.6, 0.56))
        return [*parts, Part(frame, rim)]
    case = join(
        at(turn(torus(0.47, 0.055), rx=90), 0, 0.6, 0.09),
        at(turn(cylinder(0.47, 0.24, 0.05), rx=90), 0, 0.6, -0.05),
    )
    feet = mirror(tube([(0.24, 0.24, 0), (0.34, 0.03, 0.0)], 0.05, 0.035))
    parts.append(Part(join(case, feet), rim))
    plate = at(turn(cylinder(0.17, 0.04, 0.01), rx=90), 0, 0.6, -0.18)
    knobs = mirror(at(turn(cylinder(0.05, 0.1, 0.015), rx=90), 0.27, 0.6, -0.2))
    parts.append(Part(join(plate, knobs), metal()))
    if form == "alarm":
        bell = at(turn(common(ellipsoid(0.2, 0.19, 0.2), lambda p: -p[1], 0.02), rz=-32), 0.3, 1.1)
        hoop = tube([(-0.16, 1.2, 0), (-0.1, 1.4, 0), (0.1, 1.4, 0), (0.16, 1.2, 0)], 0.025)
        hammer = join(tube([(0, 1.05, 0), (0, 1.2, 0)], 0.02), at(ellipsoid(0.06, 0.05, 0.05), y=1.23))
        parts.append(Part(join(mirror(bell), hoop, hammer), metal(BRASS if hand == BLACK else "#d5d8dc")))
    return parts


def bicycle(frame: Paint, tyre: str, saddle: str, form: str = "road", basket: str | None = None) -> list[Part]:
    """A bicycle seen from its right: a racer with drop bars or a step-through city bicycle with mudguards."""
    r, rear, front = 0.42, -0.66, 0.66
    wheel = turn(torus(r - 0.03, 0.035), rx=90)
    spokes = turn(ring(tube([(0.03, 0, 0), (r - 0.05, 0, 0)], 0.006, steps=1), 16), rx=90)
    rim = turn(torus(r - 0.065, 0.014), rx=90)
    bottom, seat, head, low = (-0.12, 0.36, 0), (-0.27, 0.98, 0), (0.42, 1.0, 0), (0.46, 0.84, 0)
    through = form == "city"
    beam = [(0.42, 0.92, 0), (0.16, 0.5, 0), (-0.16, 0.46, 0)] if through else [(-0.25, 0.88, 0), (0.42, 0.94, 0)]
    rods = [
        tube([bottom, seat], 0.028),
        tube(beam, 0.028, steps=5),
        tube([head, low, (front, r, 0)], 0.027, steps=3),
        mirror(tube([bottom, (rear, r, 0.06)], 0.018), 2),
        mirror(tube([(-0.24, 0.84, 0), (rear, r, 0.05)], 0.016), 2),
    ]
    rods.append(tube([low, bottom], 0.028))
    if through:
        bars = [(0.4, 1.12, 0), (0.38, 1.16, 0.14), (0.2, 1.18, 0.28), (0.1, 1.16, 0.3)]
    else:
        bars = [(0.42, 1.05, 0), (0.44, 1.06, 0.2), (0.6, 1.04, 0.22), (0.58, 0.88, 0.22), (0.46, 0.86, 0.22)]
    grip = join(mirror(tube(bars, 0.024, steps=4), 2), tube([(0.42, 0.95, 0), bars[0]], 0.022))
    crank = join(
        at(turn(cylinder(0.12, 0.02, 0.005), rx=90), *bottom[:2], 0.06),
        tube([(-0.12, 0.36, 0.08), (-0.02, 0.2, 0.08)], 0.018),
        tube([(-0.12, 0.36, -0.08), (-0.22, 0.52, -0.08)], 0.018),
        at(box(0.14, 0.03, 0.12), -0.02, 0.2, 0.14),
        at(box(0.14, 0.03, 0.12), -0.22, 0.52, -0.14),
    )
    perch = join(
        at(ellipsoid(0.17, 0.045, 0.11), -0.34, 1.05),
        at(ellipsoid(0.17, 0.035, 0.045), -0.2, 1.05),
        soft=0.05,
    )
    tyres = join(at(wheel, rear, r), at(wheel, front, r))
    shiny = join(at(join(spokes, rim), rear, r), at(join(spokes, rim), front, r), crank)
    parts = [
        Part(tyres, matt(tyre)),
        Part(shiny, metal("#c4c8cc", 0.6)),
        Part(join(*rods), frame),
        Part(perch, matt(saddle, 0.35)),
        Part(grip, metal("#b9bdc2") if through else matt(saddle)),
    ]
    if through:
        guard = common(turn(torus(r + 0.03, 0.03), rx=90), lambda p: 0.1 - p[1])
        parts.append(Part(join(at(turn(guard, rz=15), rear, r), at(turn(guard, rz=15), front, r)), frame))
    if basket:
        crate = carve(box(0.34, 0.3, 0.44, 0.03), at(box(0.29, 0.3, 0.39, 0.02), y=0.06))
        weave = mixed(basket, "#6f4a26", bands(0.06, 0.25))
        parts.append(Part(at(crate, 0.66, 1.08), matt(weave)))
    return parts


def guitar(top: Colour, rim: str, neck: str, form: str = "acoustic") -> list[Part]:
    """An acoustic guitar, a ukulele or an electric guitar, upright."""
    if form == "electric":
        outline = [
            (0, 0.0), (0.34, 0.08), (0.38, 0.32), (0.26, 0.56), (0.34, 0.84), (0.3, 0.98), (0.14, 0.8),
            (0, 0.76), (-0.12, 0.84), (-0.3, 1.08), (-0.38, 0.98), (-0.28, 0.6), (-0.4, 0.34),
            (-0.34, 0.08),
        ]  # fmt: skip
    else:
        outline = [
            (0, 0), (0.3, 0.05), (0.42, 0.28), (0.36, 0.5), (0.25, 0.64), (0.3, 0.84), (0.26, 0.98),
            (0.1, 1.05), (-0.1, 1.05), (-0.26, 0.98), (-0.3, 0.84), (-0.25, 0.64), (-0.36, 0.5),
            (-0.42, 0.28), (-0.3, 0.05),
        ]  # fmt: skip
    deep, k = (0.12, 1.0) if form == "electric" else (0.22, 1.0)
    reach = 1.55 if form == "ukulele" else 2.0
    face = mixed(rim, top, lambda p: soft(p[2] - deep / 2 + 0.012, 0.006))
    front = deep / 2
    fret = mixed(neck, "#d6d6d6", bands(0.09, 0.12))
    hand = at(box(0.12, reach - 0.85, 0.06), 0, (reach + 0.85) / 2, front)
    head = at(
        extrude([(-0.07, 0), (0.07, 0), (0.11, 0.08), (0.1, 0.3), (-0.1, 0.3), (-0.11, 0.08)], 0.05, 0.01),
        0,
        reach,
        front - 0.02,
    )
    pegs = mirror(join(*(at(ellipsoid(0.04, 0.025, 0.02), 0.15, reach + y, front - 0.02) for y in (0.1, 0.18, 0.26))))

    def strings(p: Points) -> Field:
        q = p.copy()
        q[0] -= 0.018 * np.clip(np.round(p[0] / 0.018), -2, 2)
        return wire(q)

    wire = at(box(0.005, reach - 0.2, 0.005, 0.001), 0, (reach + 0.32) / 2, front + 0.045)
    bridge = at(box(0.26, 0.05, 0.05, 0.01), 0, 0.26, front + 0.015)
    parts = [
        Part(extrude(outline, deep, 0.015), Paint(face, 0.7)),
        Part(hand, matt(fret, 0.3)),
        Part(strings, metal()),
        Part(join(head, at(box(0.09, 0.5, 0.04), 0, reach - 0.1, front - 0.02)), matt(rim, 0.4)),
        Part(pegs, metal("#d8d3c4")),
    ]
    if form == "electric":
        guard = at(
            extrude(
                [
                    (0.1, 0.14),
                    (0.26, 0.24),
                    (0.16, 0.5),
                    (0.2, 0.72),
                    (-0.06, 0.72),
                    (-0.14, 0.5),
                    (-0.1, 0.2),
                ],
                0.02,
                0.003,
            ),
            0,
            0,
            front + 0.02,
        )
        coils = join(*(at(box(0.18, 0.07, 0.06, 0.01), 0, y, front + 0.02) for y in (0.36, 0.5, 0.64)))
        return [*parts, Part(guard, matt(WHITE, 0.5)), Part(join(coils, bridge), matt(BLACK, 0.5))]
    hole = at(turn(cylinder(0.12 * k, 0.02, 0.004), rx=90), 0, 0.68, front + 0.008)
    rose = at(turn(torus(0.135 * k, 0.012), rx=90), 0, 0.68, front + 0.01)
    return [*parts, Part(bridge, matt(neck)), Part(hole, matt("#15100c")), Part(rose, matt("#5b3a22"))]


def umbrella(panels: Colour, handle: Paint, deep: float = 0.62) -> list[Part]:
    """An open umbrella that leans on its rim."""
    ribs = 8

    def canopy(p: Points) -> Field:
        turns = np.arctan2(p[2], p[0]) * (ribs / (2 * math.pi))
        mid = 1 - 2 * np.abs(turns - np.round(turns))  # 1 on a rib, 0 half way between two
        r = np.hypot(p[0], p[2])
        sag = (1 - mid) * (0.12 * r * r)
        roof = np.sqrt(r * r + (p[1] + 1.0 - deep + sag) ** 2) - 1.0
        cloth: Field = np.maximum(np.abs(roof) - 0.011, -p[1] + 0.1 * (1 - mid))
        return cloth * 0.75  # the folds make it an estimate that can be too long

    rod = tube([(0, deep + 0.09, 0), (0, -0.55, 0)], 0.018, steps=1)
    grip = tube([(0, -0.5, 0), (0, -0.72, 0), (0.08, -0.84, 0), (0.18, -0.8, 0), (0.2, -0.72, 0)], 0.036, steps=4)
    spokes = ring(tube([(0.02, 0.1, 0), (0.5, 0.36 * deep / 0.62, 0)], 0.008, steps=1), ribs)

    def leaning(shape: Shape) -> Shape:
        return at(turn(shape, rz=62), 0.3, 0.87)

    return [
        Part(leaning(canopy), matt(lambda p: panels(rotation(0, 0, -62) @ (p - vector(0.3, 0.87, 0))), 0.2)),
        Part(leaning(join(rod, spokes)), metal()),
        Part(leaning(grip), handle),
    ]


def headphones(band: Paint, cups: Paint, pads: str, slim: bool = False) -> list[Part]:
    """Headphones that stand on their cups."""
    y = 0.34
    arc = [
        (0.5, y + 0.1, 0), (0.53, y + 0.42, 0), (0.36, y + 0.8, 0), (0, y + 0.95, 0),
        (-0.36, y + 0.8, 0), (-0.53, y + 0.42, 0), (-0.5, y + 0.1, 0),
    ]  # fmt: skip
    bow = tube(arc, 0.035 if slim else 0.06, steps=8)
    cushion = tube([(x * 0.93, h - 0.04, 0) for x, h, _ in arc[2:5]], 0.065)
    flat = join(*(at(s, z=z) for s, z in ((bow, -0.05), (bow, 0.05)))) if not slim else bow
    size = 0.27 if slim else 0.33
    cup = mirror(at(turn(cylinder(size, 0.15, 0.06), rz=90), 0.52, y))
    plate = mirror(at(turn(cylinder(size * 0.62, 0.04, 0.015), rz=90), 0.6, y))
    pad = mirror(at(turn(torus(size * 0.72, 0.1), rz=90), 0.41, y))
    return [
        Part(flat, band),
        Part(cushion, matt(pads)),
        Part(cup, cups),
        Part(plate, metal("#c9ccd0") if slim else band),
        Part(pad, matt(pads)),
    ]


def leaf(length: float, width: float, rise: float, droop: float) -> Shape:
    """A thin blade that starts at the origin towards +x and bends down by `droop`."""
    # Two circles overlap in the blade's outline.
    circle = (length * length + width * width) / (4 * width)

    def bent(p: Points) -> Field:
        x, z = np.clip(p[0], 0, length), np.minimum(np.abs(p[2]), width)
        across = np.hypot(p[0] - length / 2, np.abs(p[2]) + circle - width / 2) - circle
        up = np.abs(p[1] - rise * x + droop * x * x - 0.25 * z) - 0.01
        return both(across, up) * (0.9 / (1 + 0.6 * abs(rise)))

    return bent


def plant(form: str, pot: Paint, green: str, vein: str) -> list[Part]:
    """A pot with a cactus, a snake plant, a rubber plant or a palm-like plant."""
    vessel = revolve(
        [(0, 0), (0.27, 0), (0.29, 0.03), (0.38, 0.56), (0.38, 0.6), (0.33, 0.6), (0.31, 0.5), (0, 0.5)],
        smooth=False,
        edge=0.012,
    )
    soil = at(cylinder(0.33, 0.06), y=0.5)
    parts = [Part(vessel, pot), Part(soil, matt(flecks("#3b2a20", "#5f4634", 0.5, 0.02)))]
    if form == "cactus":

        def ribbed(radius: float, height: float) -> Shape:
            core = ellipsoid(radius, height, radius)
            return lambda p: (core(p) - 0.02 * np.cos(np.arctan2(p[2], p[0]) * 12)) * 0.8

        arm = join(
            tube([(0.15, 0.9, 0), (0.4, 0.92, 0), (0.42, 1.25, 0)], 0.1, 0.09),
            tube([(-0.15, 1.05, 0), (-0.36, 1.08, 0), (-0.38, 1.34, 0)], 0.085, 0.075),
        )
        bloom = at(ellipsoid(0.07, 0.06, 0.07), 0, 1.62)
        skin = mixed(green, vein, sectors(12, 0.2))
        return [
            *parts,
            Part(join(at(ribbed(0.24, 0.62), y=1.0), arm, soft=0.05), matt(skin)),
            Part(bloom, matt("#e2639a")),
        ]
    if form == "snake":

        def blade(height: float, tilt: float, x: float, z: float, yaw: float) -> Shape:
            outline = [
                (0, 0), (0.07, 0.05), (0.1, height * 0.45), (0.07, height * 0.8), (0, height),
                (-0.07, height * 0.8), (-0.1, height * 0.45), (-0.07, 0.05),
            ]  # fmt: skip
            return at(turn(extrude(outline, 0.03, 0.012), rx=tilt, ry=yaw), x, 0.5, z)

        blades = join(
            *(
                blade(h, t, x, z, w)
                for h, t, x, z, w in (
                    (1.15, 3, 0, 0, 20),
                    (0.95, 10, 0.12, 0.08, 60),
                    (0.9, 10, -0.14, 0.06, -50),
                    (0.7, 16, 0.04, 0.16, 5),
                    (0.8, -10, 0.1, -0.12, -25),
                    (0.6, 20, -0.05, 0.1, -95),
                    (0.72, 12, -0.12, -0.1, 130),
                )
            )
        )
        skin = mixed(green, vein, lambda p: soft(np.sin(p[1] * 28 + 2 * np.sin(p[0] * 20)) - 0.45, 0.5))
        return [*parts, Part(blades, matt(skin, 0.35))]
    if form == "palm":
        tiers = [
            at(ring(leaf(ln, 0.17, rise, droop), n, off), y=y)
            for n, ln, rise, droop, y, off in (
                (7, 0.8, 0.9, 0.95, 0.62, 0),
                (6, 0.75, 1.5, 1.2, 0.68, 25),
                (4, 0.5, 2.4, 1.4, 0.74, 10),
            )
        ]
        stem = at(cylinder(0.05, 0.3), y=0.6)
        return [
            *parts,
            Part(stem, matt("#6f5a3a")),
            Part(join(*tiers), matt(mixed(green, vein, lambda p: soft(np.sin(p[1] * 30) - 0.6, 0.6)), 0.4)),
        ]
    stem = tube([(0, 0.5, 0), (0.03, 0.9, 0.02), (-0.02, 1.4, 0)], 0.03, 0.02)
    tiers = [
        at(turn(ring(leaf(0.52, 0.34, rise, 0.7), 3), ry=off), y=y)
        for y, rise, off in ((0.72, 0.35, 0), (0.95, 0.5, 55), (1.18, 0.7, 10), (1.36, 1.2, 70))
    ]
    return [
        *parts,
        Part(stem, matt("#5d4a2c")),
        Part(
            join(*tiers),
            matt(mixed(green, vein, lambda p: soft(np.sin(p[0] * 14 + p[2] * 11) - 0.55, 0.6)), 0.6),
        ),
    ]
