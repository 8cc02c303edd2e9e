"""How the dataset browser and its windows look. As `test_snapshots`, in a file of their own."""

from __future__ import annotations

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, MIDDLE, NARROW, ScriptedEngine, make_app, photos
from visexplore.tui.app import VisexploreApp

NESTED = ("fruit/apple/gala", "fruit/apple/smith", "fruit/kiwi", "milk/oat")


def app() -> VisexploreApp:
    """Return the app on nested labels, with an image that cannot be read."""
    unreadable = {"fruit/apple/gala/001.jpg": "It is cut off", "milk/oat/071.jpg": "The file is empty"}
    engine = ScriptedEngine(photos(80, NESTED, unreadable=unreadable), embedded={LITE0: 60, LITE1: 80})
    engine.unreadable["/photos", LITE0] = 2
    return make_app(engine)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_labels_and_marks(looks_as_before: Look, size: tuple[int, int]) -> None:
    keys = ("2", "right", "space", "right", "space", "2", "down", "down", "left")
    assert looks_as_before(app(), size, *keys)


def test_filter(looks_as_before: Look) -> None:
    assert looks_as_before(app(), NARROW, "2", "slash", *"apple -gala")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_details(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "2", "i", "n", "space")


def test_details_in_the_light_theme(looks_as_before: Look) -> None:
    assert looks_as_before(app(), MIDDLE, "2", "i", theme="visexplore-light")


def test_unreadable(looks_as_before: Look) -> None:
    assert looks_as_before(app(), NARROW, "2", "U")
