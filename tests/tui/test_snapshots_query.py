"""How the query view's windows look: parts of pictures, mixes, a large query. See `test_snapshots.py`."""

from __future__ import annotations

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, MIDDLE, NARROW, ScriptedEngine, make_app, photos
from visexplore.tui.app import VisexploreApp


def app() -> VisexploreApp:
    """Return the app on a dataset that is embedded with two models."""
    return make_app(ScriptedEngine(photos(12), embedded=[LITE0, LITE1]))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_the_part_of_a_picture(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "C", "l", "J", "minus")


def test_a_part_as_the_query_in_the_light_theme(looks_as_before: Look) -> None:
    assert looks_as_before(app(), MIDDLE, "C", "enter", "right", theme="visexplore-light")


def test_a_mix(looks_as_before: Look) -> None:
    assert looks_as_before(app(), NARROW, "right", "right", "plus")


def test_the_question_what_to_add(looks_as_before: Look) -> None:
    assert looks_as_before(app(), NARROW, "a", *" - mug/009.jpg")
