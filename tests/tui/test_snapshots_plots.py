"""How the plots look; the pictures are under `__snapshots__`, as for `test_snapshots.py`."""

from __future__ import annotations

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, MIDDLE, ScriptedEngine, make_app, photos
from visexplore.tui.app import VisexploreApp

every_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())


def app(number: int = 120) -> VisexploreApp:
    """Return the app on a dataset that is embedded with two models."""
    return make_app(ScriptedEngine(photos(number), embedded=[LITE0, LITE1]))


@every_size
def test_projection(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "P", "right", "down")


@every_size
def test_similarities(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "P", "tab")


@every_size
def test_quality_and_cost_in_the_verdict(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "v", "tab")


def test_projection_in_the_light_theme(looks_as_before: Look) -> None:
    assert looks_as_before(app(), MIDDLE, "P", "right", theme="visexplore-light")
