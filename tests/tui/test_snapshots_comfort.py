"""How the help, the window that opens datasets, hints and the other themes look: pictures under `__snapshots__`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, MIDDLE, NARROW, ScriptedEngine, make_app, photos
from visexplore.core.settings import load_settings
from visexplore.tui.app import VisexploreApp
from visexplore.tui.session_state import Sessions, SessionState
from visexplore.tui.terminal import Color


def app(**options: Any) -> VisexploreApp:
    """Return the app on a dataset that is embedded with two models."""
    return make_app(ScriptedEngine(photos(12), embedded=[LITE0, LITE1]), **options)


@pytest.mark.parametrize("size", [SIZES["80x24"], SIZES["200x50"]], ids=["80x24", "200x50"])
def test_help(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(), size, "2", "question_mark")


@pytest.mark.parametrize("size", [SIZES["80x24"], SIZES["120x40"]], ids=["80x24", "120x40"])
def test_hints(looks_as_before: Look, size: tuple[int, int]) -> None:
    assert looks_as_before(app(settings=load_settings()), size)


def test_opening_a_dataset(looks_as_before: Look) -> None:
    sessions = Sessions()
    sessions.keep(SessionState("/data/clothing", "clothing"))
    sessions.keep(SessionState("hf:cats/dogs:train", "dogs"))
    assert looks_as_before(app(sessions=sessions), NARROW, "D", "down", "down")


def test_high_contrast(looks_as_before: Look) -> None:
    assert looks_as_before(app(settings=replace(load_settings(theme="high-contrast-dark"), hints=False)), NARROW, "2")


def test_help_in_the_light_theme(looks_as_before: Look) -> None:
    assert looks_as_before(app(settings=load_settings(theme="light")), MIDDLE, "question_mark")


def test_no_colour(looks_as_before: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert looks_as_before(app(color=Color.NONE), NARROW, "2", "right")
