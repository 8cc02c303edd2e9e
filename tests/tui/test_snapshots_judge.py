"""How the windows look in which models are judged on one query: pictures (SVG) under `__snapshots__`."""

from __future__ import annotations

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, LITE2, MIDDLE, NARROW, ScriptedEngine, make_app, photos
from visexplore.tui.app import VisexploreApp


def app() -> VisexploreApp:
    """Return the app on a dataset that is embedded with three models."""
    return make_app(ScriptedEngine(photos(31), embedded=[LITE0, LITE1, LITE2]))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_disagreement(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "d", "down", "space", "right")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_tournament(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "T", "left", "=")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_names_and_ratings(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "T", *["left"] * 6)


def test_side_by_side_at_three_models_in_a_small_window(looks_as_before: Look) -> None:
    assert looks_as_before(app(), NARROW, "c", "right")


def test_disagreement_in_the_light_theme(looks_as_before: Look) -> None:
    assert looks_as_before(app(), MIDDLE, "d", "space", theme="visexplore-light")
