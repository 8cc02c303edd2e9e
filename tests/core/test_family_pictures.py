"""The schematic pictures of the families: there for each, small, and drawn by the script beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from visexplore.assets import draw_families
from visexplore.assets.drawing.diagram import HEIGHT, SCALE, WIDTH
from visexplore.core.catalogue import load_catalogue

ROOT = Path(draw_families.__file__).parent / "families"


def opened(family: str) -> Image.Image:
    with Image.open(ROOT / f"{family}.png") as picture:
        return picture.convert("RGBA")


def test_every_family_of_the_catalogue_has_one() -> None:
    families = {family.id for family in load_catalogue().families}
    assert set(draw_families.FAMILIES) == families
    assert {path.stem for path in ROOT.iterdir()} == families


def test_they_are_small() -> None:
    sizes = [path.stat().st_size for path in ROOT.iterdir()]
    assert max(sizes) <= 12_000
    assert sum(sizes) <= 200_000


@pytest.mark.parametrize("family", list(draw_families.FAMILIES))
def test_drawing_again_gives_the_bundled_picture(family: str) -> None:
    drawn = np.asarray(draw_families.draw(family).convert("RGBA"), np.float32)
    bundled = np.asarray(opened(family), np.float32)
    # What versions of the font and the palette may differ in; the two families most alike differ by 7.
    assert np.abs(drawn - bundled).mean() < 2.0


def test_no_two_look_alike() -> None:
    pictures = [opened(family).convert("RGB") for family in draw_families.FAMILIES]
    for number, one in enumerate(pictures):
        for other in pictures[:number]:
            assert np.asarray(ImageChops.difference(one, other)).mean() > 2


@pytest.mark.parametrize("background", [(16, 20, 24), (251, 251, 248)])
@pytest.mark.parametrize("family", list(draw_families.FAMILIES))
def test_they_are_seen_on_dark_and_on_light(family: str, background: tuple[int, int, int]) -> None:
    picture = opened(family)
    assert picture.size == (WIDTH * SCALE, HEIGHT * SCALE)
    pixels = np.asarray(picture, np.float32)
    drawn = pixels[..., 3] > 200
    assert 0.1 < drawn.mean() < 0.7, "most of it is background"
    distance = np.abs(pixels[..., :3][drawn] - np.float32(background)).max(1)
    assert (distance > 48).mean() > 0.9
