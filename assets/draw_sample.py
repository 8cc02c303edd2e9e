"""Draws the bundled dataset `sample`: four views each of some fifty made-up products.

The catalogue below says what the products are and `views` says how each is photographed; `drawing`, next to
this file, has the shapes, the paints and the renderer. Nothing is downloaded, and every run draws the same.

Run it as `python assets/draw_sample.py [OUT_DIR]`; it takes some minutes on one core.
"""

from __future__ import annotations

import logging
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from visexplore.assets.drawing.paints import (
    BLACK,
    CREAM,
    DARK,
    OAK,
    WALNUT,
    WHITE,
    Paint,
    Part,
    bands,
    between,
    ceramic,
    dots,
    flecks,
    glass,
    grain,
    matt,
    metal,
    mixed,
    plain,
    sectors,
    soft,
    waves,
    wheel,
)
from visexplore.assets.drawing.products import (
    backpack,
    bicycle,
    bottle,
    chair,
    clock,
    guitar,
    headphones,
    lamp,
    mug,
    plant,
    sneaker,
    sofa,
    teapot,
    umbrella,
)
from visexplore.assets.drawing.renderer import Scene, View, render

log = logging.getLogger("draw_sample")

VIEWS = (1, 2, 3, 4)
QUALITY = 88

RED, BLUE, NAVY, SKY, TEAL = "#c8372f", "#2f6fb8", "#26395f", "#7db4d8", "#1f8a86"
GREEN, SAGE, YELLOW, ORANGE, PINK = "#3f8a4c", "#9db596", "#edb92f", "#e07a35", "#e79aa6"

CATALOGUE: dict[str, Callable[[], list[Part]]] = {
    # Two close blues: the pair is meant to be mistaken for each other.
    "mug/sky-blue": lambda: mug(ceramic("#6fa8d6"), WHITE, ceramic("#6fa8d6")),
    "mug/cornflower": lambda: mug(ceramic("#5b8fd0"), WHITE, ceramic("#5b8fd0"), r=0.46),
    "mug/red-stripes": lambda: mug(ceramic(mixed(WHITE, RED, bands(0.22))), WHITE, ceramic(WHITE), drink="#3a2115"),
    "mug/yellow-dots": lambda: mug(ceramic(mixed(YELLOW, WHITE, dots(9, 0.2, 0.06, 0.44))), WHITE, ceramic(YELLOW)),
    "mug/stoneware": lambda: mug(
        matt(flecks("#cdbfa6", "#7b6a54", 0.25, 0.03), 0.5),
        "#5d7a78",
        matt("#cdbfa6", 0.5),
        height=0.8,
        r=0.42,
        flare=0.12,
    ),
    "teapot/white-porcelain": lambda: teapot(ceramic("#f0efea"), ceramic("#f0efea"), ceramic("#f0efea")),
    "teapot/blue-waves": lambda: teapot(
        ceramic(mixed("#f2f1ec", BLUE, waves(bands(0.19, 0.4), 0.03, 8))), ceramic(BLUE), ceramic(BLUE)
    ),
    "teapot/cast-iron": lambda: teapot(
        matt(mixed("#2b2e33", "#3c4047", sectors(30, 0.5)), 0.45),
        matt("#2b2e33", 0.45),
        matt("#1d1f22", 0.4),
        0.85,
        wicker=True,
    ),
    "teapot/sage": lambda: teapot(ceramic(SAGE), matt(OAK), matt(OAK), 0.9, wicker=True),
    "bottle/red-wine": lambda: bottle(
        glass("#2c4a2a"), matt("#8b1f2b", 0.5), mixed(CREAM, "#8b1f2b", between(0.62, 0.7)), "wine"
    ),
    "bottle/white-wine": lambda: bottle(
        glass("#8fa043"), matt("#c9a13b", 0.6), mixed(WHITE, "#3d5a3a", between(0.4, 0.5)), "wine"
    ),
    "bottle/steel-flask": lambda: bottle(metal("#b9bec4", 0.6), matt(BLACK, 0.4), None, "flask"),
    "bottle/teal-flask": lambda: bottle(
        matt(mixed(TEAL, "#c7c9c6", between(0.0, 0.05)), 0.4), metal("#b9bec4", 0.6), None, "flask"
    ),
    "bottle/soap-amber": lambda: bottle(
        glass("#a0561c"), matt(BLACK, 0.5), mixed(CREAM, DARK, between(0.4, 0.46)), "soap"
    ),
    "lamp/linen-shade": lambda: lamp("table", ceramic("#e9e4d8"), Paint(plain("#efe0c0"), 0.05, glow=0.35)),
    "lamp/navy-ceramic": lambda: lamp("table", ceramic(NAVY), Paint(plain("#f3efe4"), 0.05, glow=0.3)),
    "lamp/red-desk": lambda: lamp("desk", matt(RED, 0.6), matt(RED, 0.6)),
    "lamp/mushroom": lambda: lamp("mushroom", ceramic(ORANGE), Paint(plain("#f08a3c"), 0.8, glow=0.25)),
    "lamp/tripod": lambda: lamp("tripod", matt(grain(OAK), 0.3), Paint(plain("#d9d6cf"), 0.05, glow=0.2)),
    "chair/oak-slats": lambda: chair("slats", matt(grain(OAK), 0.3), matt(grain(OAK), 0.3)),
    "chair/walnut-green": lambda: chair("dining", matt("#4e7a5c"), matt(grain(WALNUT), 0.3)),
    "chair/white-shell": lambda: chair("shell", matt("#efeeea", 0.5), matt(grain(OAK), 0.3)),
    "chair/yellow-shell": lambda: chair("shell", matt(YELLOW, 0.5), matt(BLACK, 0.4)),
    "chair/bar-stool": lambda: chair("stool", matt("#8a4a2f", 0.4), metal("#55585c", 0.5)),
    "sofa/grey-three-seat": lambda: sofa(matt("#83888f", 0.08), matt(OAK), matt(YELLOW)),
    "sofa/teal-two-seat": lambda: sofa(matt("#2c7a7b", 0.12), matt(WALNUT), matt(CREAM), 1.55, round_arms=True),
    "sofa/blush-armchair": lambda: sofa(matt("#dca6a0", 0.12), matt(OAK), matt("#8c3f4b"), 1.05, round_arms=True),
    "sneaker/red-runner": lambda: sneaker(plain(RED), "#f4f3ef", plain(WHITE), WHITE),
    "sneaker/navy-runner": lambda: sneaker(plain(NAVY), "#f4f3ef", plain(ORANGE), ORANGE),
    "sneaker/black-high": lambda: sneaker(plain("#26272b"), "#efece2", plain("#26272b"), WHITE, high=True),
    "sneaker/yellow-high": lambda: sneaker(plain(YELLOW), "#efece2", plain("#d9a01c"), WHITE, high=True),
    "backpack/blue-school": lambda: backpack(BLUE, "#27589a", DARK),
    "backpack/canvas-flap": lambda: backpack("#b79b6c", "#a58a5d", "#6b4a2c", 1.15, flap=True),
    "backpack/pink-stripes": lambda: backpack(mixed(PINK, "#f6dede", bands(0.18)), "#c9607a", "#8c3f5b", 1.05),
    "clock/red-alarm": lambda: clock(WHITE, ceramic(RED), BLACK, BLACK),
    "clock/mint-alarm": lambda: clock("#fbf7ea", ceramic("#8cc9b4"), DARK, DARK, time=8.35),
    "clock/oak-round": lambda: clock(WHITE, matt(grain(OAK), 0.3), DARK, DARK, "round", 1.85),
    "clock/black-square": lambda: clock("#26272b", matt(BLACK, 0.5), WHITE, WHITE, "square", 10.1),
    "bicycle/red-road": lambda: bicycle(ceramic(RED), BLACK, BLACK),
    "bicycle/blue-road": lambda: bicycle(ceramic(BLUE), BLACK, "#8a5a33"),
    "bicycle/mint-city": lambda: bicycle(ceramic("#7fc4ae"), "#3a352f", "#8a5a33", "city", basket="#c79a5d"),
    "guitar/spruce-acoustic": lambda: guitar(grain("#e0b06a", 0.12, 1), "#6d3a20", "#33211a"),
    "guitar/sunburst-electric": lambda: guitar(
        mixed("#d98a2b", "#4a1a10", lambda p: soft(np.hypot(p[0] / 0.42, (p[1] - 0.46) / 0.55) - 0.75, 0.5)),
        "#3a1610",
        "#d5a869",
        "electric",
    ),
    "guitar/seafoam-electric": lambda: guitar(plain("#7cc7b5"), "#7cc7b5", "#d5a869", "electric"),
    "guitar/ukulele": lambda: guitar(grain("#b0713d", 0.25, 1), "#8a5229", "#4a2c1a", "ukulele"),
    "umbrella/rainbow": lambda: umbrella(
        wheel(RED, ORANGE, YELLOW, GREEN, SKY, BLUE, "#7a4fa0", PINK),
        matt(OAK),
    ),
    "umbrella/red-white": lambda: umbrella(wheel(*[RED, WHITE] * 4), matt(WALNUT, 0.4)),
    "umbrella/navy": lambda: umbrella(plain(NAVY), matt(WALNUT, 0.5), 0.55),
    "headphones/black-studio": lambda: headphones(matt(BLACK, 0.5), matt("#2b2d31", 0.5), "#1a1a1c"),
    "headphones/white-rose": lambda: headphones(ceramic("#f0ede8"), ceramic("#f0ede8"), "#d9a79c"),
    "headphones/red-slim": lambda: headphones(metal("#c9ccd0"), ceramic(RED), DARK, slim=True),
    "plant/cactus": lambda: plant("cactus", matt("#c4693f", 0.2), "#4d8a50", "#b8cf9a"),
    "plant/snake-plant": lambda: plant("snake", ceramic(WHITE), "#7fa650", "#2f5a35"),
    "plant/rubber-plant": lambda: plant("rubber", ceramic("#39424e"), "#2c6b3c", "#3f8a4c"),
    "plant/palm": lambda: plant(
        "palm", matt(mixed("#d9c7a3", "#a98a5a", bands(0.09, 0.4)), 0.15), "#58a046", "#3c8038"
    ),
}

BACKDROPS = (
    "#eceae6",
    "#dfe3e8",
    "#e8ddd0",
    "#ecd9d4",
    "#d3e0e6",
    "#d8e0d2",
    "#ddd8e6",
    "#f0e2bd",
    "#c9ccd1",
    "#f5f4f2",
)
# Behind the dim pictures.
DUSK = ("#7d8390", "#8f8076", "#6f8086")
# For each kind of object: the side it shows best, how far the camera goes round it, and how high it stands.
STANCES = {
    "backpack": (22, 50, 12),
    "bicycle": (12, 45, 10),
    "bottle": (15, 70, 12),
    "chair": (30, 60, 16),
    "clock": (15, 45, 10),
    "guitar": (15, 45, 6),
    "headphones": (30, 50, 14),
    "lamp": (10, 60, 8),
    "mug": (20, 60, 22),
    "plant": (10, 80, 14),
    "sneaker": (12, 60, 20),
    "sofa": (20, 50, 16),
    "teapot": (10, 55, 18),
    "umbrella": (-25, 50, 12),
}


def views(name: str) -> Iterator[View]:
    """The four views of an object: two tidy ones, one from another side, and one that is hard."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    front, sweep, pitch = STANCES[name.split("/")[0]]
    colours = [str(c) for c in random.permutation(BACKDROPS)]

    def some(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    yield View(front + some(-8, 8), pitch + some(-2, 3), light=-40, backdrop=colours[0], fill=0.8)
    side = float(random.choice([-1, 1]))
    yield View(
        front - side * sweep * some(0.7, 1),
        pitch + some(-4, 6),
        fill=some(0.66, 0.8),
        light=some(20, 60),
        shift=(some(-0.06, 0.06), some(-0.04, 0.04)),
        warmth=some(-0.3, 0.3),
        backdrop=colours[1],
    )
    yield View(
        front + side * sweep * some(0.6, 1.1),
        pitch + some(10, 20),
        roll=some(-4, 4),
        fill=some(0.6, 0.78),
        shift=(some(-0.1, 0.1), some(-0.06, 0.06)),
        light=some(-80, -30),
        warmth=some(-0.2, 0.7),
        exposure=some(0.85, 1.1),
        backdrop=colours[2],
    )
    hard = str(random.choice(["back", "crop", "dim"]))
    back, crop, dim = (hard == kind for kind in ("back", "crop", "dim"))
    yield View(
        front + (180 + some(-40, 40) if back else some(-1, 1) * sweep),
        pitch + some(-4, 14),
        roll=some(-9, 9),
        fill=some(1.25, 1.5) if crop else some(0.5, 0.74),
        shift=(some(-0.3, 0.3), some(-0.25, 0.25)) if crop else (some(-0.15, 0.15), some(-0.08, 0.08)),
        light=some(-90, 90),
        warmth=1.0 if dim else some(-0.6, 0.6),
        exposure=0.68 if dim else some(0.85, 1.05),
        backdrop=str(random.choice(DUSK)) if dim else colours[3],
    )


@lru_cache(maxsize=2)
def scene_of(name: str) -> Scene:
    """An object of the catalogue, such as `mug/sky-blue`."""
    return Scene(CATALOGUE[name]())


def draw(name: str, number: int) -> Image.Image:
    """Draws one view, numbered from 1, of an object of the catalogue."""
    return render(scene_of(name), list(views(name))[number - 1])


def write(folder: Path) -> None:
    """Draws every view of every object into `folder/<category>/<object>/<view>.jpg`."""
    for name in CATALOGUE:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in VIEWS:
            draw(name, number).save(folder / name / f"{number}.jpg", quality=QUALITY, subsampling=0, optimize=True)
        log.info("%s", name)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample")
