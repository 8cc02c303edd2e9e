"""How the explorer looks: every panel and window as pictures (SVG) under `__snapshots__`.

After a wanted change of the look: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at the pictures.
They show no real photo, because decoders and resizing differ between versions of Pillow, and mostly text instead of
colours, because a picture of coloured half blocks is a hundred kilobytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    ScriptedEngine,
    make_app,
    photos,
    put_on_disk,
)
from visexplore.core.errors import CannotLoadModel
from visexplore.tui.app import VisexploreApp
from visexplore.tui.terminal import Graphics


def app(graphics: Graphics = Graphics.TEXT, number: int = 12, **engine: Any) -> VisexploreApp:
    """Return the app on a dataset that is embedded with two models."""
    return make_app(ScriptedEngine(photos(number), **({"embedded": [LITE0, LITE1]} | engine)), graphics=graphics)


class TestVerdict:
    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_scores(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "v")

    def test_pairs_in_the_light_theme(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), MIDDLE, "v", "tab", "tab", theme="visexplore-light")


class TestSideBySide:
    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_two_models(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "c", "right")

    def test_light_theme(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), MIDDLE, "c", "down", "right", theme="visexplore-light")


class TestPanels:
    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_query(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "right")

    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_images(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(number=100), size, "2", "pagedown")

    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_models(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "1", "home")

    def test_labels(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "2", "2", "down", "down")

    def test_filter(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "1", "slash", *"lite")

    def test_halfblock_pictures(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(Graphics.HALFBLOCK), NARROW)

    def test_light_theme(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, theme="visexplore-light")

    def test_unlabelled(self, looks_as_before: Look) -> None:
        engine = ScriptedEngine(photos(4, labels=()), embedded=[LITE0])
        assert looks_as_before(make_app(engine), NARROW)


class TestTextQueries:
    @pytest.fixture(autouse=True)
    def clip_is_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Let a model with a text tower run here."""
        put_on_disk(monkeypatch, tmp_path)

    @staticmethod
    def explorer(model: str = CLIP, graphics: Graphics = Graphics.TEXT) -> VisexploreApp:
        """Return the app on a dataset that is embedded with that model."""
        return make_app(ScriptedEngine(photos(20), embedded=[LITE0, CLIP]), model=model, graphics=graphics)

    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_neighbours_of_a_text(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(self.explorer(), size, "t", *"a red bag on a table", "enter")

    def test_light_theme(self, looks_as_before: Look) -> None:
        keys = ("t", *"a red bag", "enter")
        assert looks_as_before(self.explorer(), NARROW, *keys, theme="visexplore-light")

    def test_between_halfblock_pictures(self, looks_as_before: Look) -> None:
        assert looks_as_before(self.explorer(graphics=Graphics.HALFBLOCK), NARROW, "t", *"a red bag", "enter")

    def test_the_question(self, looks_as_before: Look) -> None:
        assert looks_as_before(self.explorer(), NARROW, "t", *"a red")

    def test_the_question_under_a_model_without_a_text_tower(self, looks_as_before: Look) -> None:
        assert looks_as_before(self.explorer(LITE0), NARROW, "t")

    def test_a_model_without_a_text_tower(self, looks_as_before: Look) -> None:
        keys = ("t", *"a red bag", "enter", "right_square_bracket")
        assert looks_as_before(self.explorer(), NARROW, *keys)

    def test_zoom(self, looks_as_before: Look) -> None:
        assert looks_as_before(self.explorer(), NARROW, "t", *"a red bag", "enter", "right", "z")


class TestStates:
    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_a_model_that_is_not_here(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "1", "home", "enter")

    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
    def test_downloading(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        explorer = app()

        async def run(pilot: Pilot[Any]) -> None:
            engine = explorer.engine
            assert isinstance(engine, ScriptedEngine)
            engine.download(210)

        assert looks_as_before(explorer, size, "1", "home", "enter", "e", steps=run)

    def test_opening(self, looks_as_before: Look) -> None:
        from visexplore.core.engine import OpenDataset

        engine = ScriptedEngine(photos(12))
        engine.hold(OpenDataset)
        assert looks_as_before(make_app(engine), NARROW)

    def test_not_embedded(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(number=4000, embedded=()), NARROW)

    def test_running_job(self, looks_as_before: Look) -> None:
        explorer = app(number=100, embedded=())

        async def run(pilot: Pilot[Any]) -> None:
            engine = explorer.engine
            assert isinstance(engine, ScriptedEngine)
            explorer._asked_states -= 6
            engine.progress(40, failed=1)

        assert looks_as_before(explorer, NARROW, steps=run)

    def test_failed_job(self, looks_as_before: Look) -> None:
        explorer = app(number=100, embedded=())

        async def fail(pilot: Pilot[Any]) -> None:
            engine = explorer.engine
            assert isinstance(engine, ScriptedEngine)
            engine.fail_job(CannotLoadModel("The weights are not here", "Go online once."))

        assert looks_as_before(explorer, NARROW, steps=fail)

    def test_unreadable_picture(self, looks_as_before: Look) -> None:
        data = photos(12, unreadable={"bag/001.jpg": "cut off after 12 kB"})
        assert looks_as_before(make_app(ScriptedEngine(data, embedded=[LITE0])), NARROW)

    def test_too_small(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), (50, 12))


class TestWindows:
    def test_zoom(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "right", "z")

    def test_zoom_of_the_query_alone(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "z")

    def test_help(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), MIDDLE, "question_mark")

    def test_jobs(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(number=4000, embedded=()), NARROW, "e", "right_square_bracket", "e", "J")

    def test_model_picker(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "m", *"lite")

    def test_palette(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "ctrl+p", *"side by")

    def test_open_picture(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), NARROW, "o", *"cat")
