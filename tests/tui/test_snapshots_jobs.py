"""How the jobs window and the question before embedding with all models look."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.looks import SIZES, Look, Steps
from tests.tui.scripted_engine import LITE0, MIDDLE, NARROW, ScriptedEngine, make_app, photos, press, settle
from visexplore.core.cost import KnownRates, Rate
from visexplore.core.errors import CannotLoadModel
from visexplore.core.messages import DeviceUse
from visexplore.tui.app import VisexploreApp
from visexplore.tui.screens.jobs import Jobs

THREE_JOBS = ("e", "right_square_bracket", "e", "right_square_bracket", "e")


def app() -> VisexploreApp:
    """Return the app on a dataset of which nothing is embedded, with rates that were measured."""
    engine = ScriptedEngine(photos(4000))
    engine.rates = KnownRates((Rate(LITE0, "cpu", 5.0, work=660e6),))
    return make_app(engine)


def busy(explorer: VisexploreApp) -> Steps:
    """Let the first job run, the second fail and the third be paused, with the window open."""

    async def run(pilot: Pilot[Any]) -> None:
        engine = explorer.engine
        assert isinstance(engine, ScriptedEngine)
        engine.progress(1234, device=DeviceUse("cpu", "AMD EPYC 9654", 1_300_000_000, 25_300_000_000, 1.8, 2))
        engine.fail_job(CannotLoadModel("The disk is full", "Make room, then press e."), job=1)
        await settle(pilot)
        await press(pilot, "J", "end", "up", "space", "home")
        explorer.clear_notifications()
        assert isinstance(explorer.screen, Jobs)
        explorer.screen._refresh()  # it looks twice a second

    return run


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_jobs(looks_as_before: Look, size: tuple[int, int]) -> None:
    explorer = app()
    assert looks_as_before(explorer, size, *THREE_JOBS, steps=busy(explorer))


def test_jobs_in_the_light_theme(looks_as_before: Look) -> None:
    explorer = app()
    assert looks_as_before(explorer, NARROW, *THREE_JOBS, steps=busy(explorer), theme="visexplore-light")


def test_embedding_with_all_models(looks_as_before: Look) -> None:
    assert looks_as_before(app(), MIDDLE, "E")
