"""Which key is suggested next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.scripted_engine import LITE0, LITE1, ScriptedEngine, Session, explore, photos
from visexplore.core.engine import OpenDataset
from visexplore.core.settings import Settings, load_settings
from visexplore.tui.hints import Situation, fit, hint
from visexplore.tui.keymap import key_called
from visexplore.tui.session_state import Sessions

NEIGHBOURS = Situation(has_neighbours=True, embedded=1, models=3)


def line(now: Situation, used: Collection[str] = ()) -> str:
    return "   ".join(hint(now, used, lambda name: key_called(name, {})))


class TestChoice:
    def test_while_the_engine_works_nothing_has_to_be_pressed(self) -> None:
        assert line(Situation(is_working=True)) == "Neighbours come by themselves."

    def test_with_the_first_neighbours_other_models_come_first(self) -> None:
        assert line(NEIGHBOURS).startswith("[ ] other models on this query   n next image")

    def test_side_by_side_and_the_verdict_need_two_models(self) -> None:
        assert "side by side" not in line(NEIGHBOURS)
        both = line(replace(NEIGHBOURS, embedded=2))
        assert "c models side by side" in both
        assert "v which model is best" in both

    def test_a_model_that_has_nothing_embedded_can_embed(self) -> None:
        assert "e embed with this model" in line(Situation(embedded=1, models=3))

    def test_what_was_used_is_not_suggested_again(self) -> None:
        assert "n next image" not in line(NEIGHBOURS, {"next_image"})
        assert "other models" not in line(NEIGHBOURS, {"previous_model"})

    def test_the_panel_of_models_says_what_enter_does(self) -> None:
        assert line(replace(NEIGHBOURS, panel="catalogue")).startswith("Enter uses the model under the cursor")
        assert "Enter" not in line(replace(NEIGHBOURS, panel="catalogue"), {"choose/catalogue"})

    def test_who_has_used_all_is_left_alone(self) -> None:
        every = [
            "embed",
            "next_model",
            "next_image",
            "side_by_side",
            "verdict",
            "models",
            "images",
            "zoom",
            "open_dataset",
            "help",
        ]
        assert line(replace(NEIGHBOURS, embedded=2), every) == ""

    @given(st.lists(st.text(min_size=1, max_size=30), max_size=6), st.integers(-5, 120))
    def test_what_is_shown_fits(self, parts: list[str], width: int) -> None:
        assert len(fit(parts, width)) <= max(0, width)


def settings(**changes: object) -> Settings:
    return replace(load_settings(), **changes)  # type: ignore[arg-type]


class TestOnScreen:
    async def test_it_changes_with_the_situation(self) -> None:
        engine = ScriptedEngine(photos(12))
        engine.hold(OpenDataset)
        async with explore(engine, settings=settings()) as session:
            assert "Neighbours come by themselves." in session.status
            engine.release()
            await session.settle()
            assert "[ ] other models" not in session.status
            engine.finish()
            await session.settle()
            assert "[ ] other models on this query" in session.status

    async def test_after_a_key_was_used_it_goes(self) -> None:
        async with explore(two(), settings=settings()) as session:
            assert "n next image" in session.status
            await session.press("n")
            assert "n next image" not in session.status

    async def test_it_is_not_suggested_at_the_next_start_either(self) -> None:
        sessions = Sessions()
        async with explore(two(), settings=settings(), sessions=sessions) as session:
            await session.press("n")
        async with explore(two(), settings=settings(), sessions=sessions) as session:
            assert "n next image" not in session.status

    async def test_it_can_be_turned_off(self) -> None:
        async with explore(two(), settings=settings(hints=False)) as session:
            assert session.status == "12 images, 3 labels. Pictures: text"

    async def test_it_shows_the_users_own_keys(self) -> None:
        async with explore(two(), settings=settings(keys={"next_image": "f5"})) as session:
            assert "F5 next image" in session.status
            before = session.query
            await session.press("f5")
            assert session.query != before

    async def test_an_error_is_never_pushed_away(self) -> None:
        async with explore(two(), settings=settings()) as session:
            for _ in range(4):
                engine_of(session).die()
                await session.settle()
            assert session.status.startswith("The engine is down")

    async def test_on_a_wide_terminal_it_stands_beside_the_facts(self) -> None:
        async with explore(two(), (160, 40), settings=settings()) as session:
            assert session.status.startswith("12 images, 3 labels.")
            assert "n next image" in session.status


def two() -> ScriptedEngine:
    return ScriptedEngine(photos(12), embedded=[LITE0, LITE1])


def engine_of(session: Session) -> ScriptedEngine:
    return session.engine
