"""The same query under several models: what is asked, what is shown, where keys lead."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from tests.tui.scripted_engine import (
    LITE0,
    LITE1,
    LITE2,
    MIDDLE,
    NARROW,
    SPEC,
    ScriptedEngine,
    Session,
    explore,
    photos,
)
from tests.tui.test_evil_names import EVIL, EVIL_FILE, assert_harmless
from visexplore.core.engine import Died, SearchMany
from visexplore.core.errors import EngineDied, UserError
from visexplore.tui.screens.side_by_side import COLUMNS, ModelRows, SideBySide

THREE = (LITE0, LITE1, LITE2)


def engine(embedded: tuple[str, ...] = THREE, number: int = 12) -> ScriptedEngine:
    return ScriptedEngine(photos(number), embedded=list(embedded))


def grid(session: Session) -> ModelRows:
    return session.app.screen.query_one(ModelRows)


def head(session: Session) -> str:
    return str(session.app.screen.query_one("#side-head", Static).visual)


def asked(session: Session) -> list[str]:
    return [request.image_id for request in session.engine.asked(SearchMany)]


def marked(session: Session) -> list[int]:
    return [number for number, cell in enumerate(grid(session).cells) if cell.caption.has_class("same")]


async def test_c_shows_a_row_for_each_model_that_has_embedded_the_dataset() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c")
        [request] = session.engine.asked(SearchMany)
        assert request.models == THREE
        assert grid(session).rows == 3
        assert all(model in session.text for model in THREE)
        assert session.app.target is not None
        assert session.app.target.image_id in head(session)


async def test_before_anything_is_embedded_a_hint_says_what_to_press() -> None:
    async with explore(ScriptedEngine(photos(5000))) as session:
        await session.press("c")
        assert not isinstance(session.app.screen, SideBySide)
        assert "press e, then c" in " ".join(str(note.message) for note in session.app._notifications)


async def test_the_picture_under_the_cursor_is_marked_in_all_rows() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "right")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        under = window._at(grid(session).cursor)
        same = [n for n in range(3 * COLUMNS) if n % COLUMNS and (there := window._at(n)) and there[1] == under[1]]  # type: ignore[index]
        assert marked(session) == same
        assert grid(session).cursor in same


async def test_enter_goes_on_with_a_neighbour_and_n_and_p_with_the_next_image() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "right")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        neighbour = window._at(1)[1]  # type: ignore[index]
        await session.press("enter", "n", "p", "p")
        ids = session.engine.datasets[SPEC].image_ids
        at = ids.index(neighbour)
        assert asked(session)[1:] == [neighbour, ids[(at + 1) % 12], neighbour, ids[at - 1]]
        await session.press("escape")
        assert session.app.target is not None
        assert session.app.target.image_id == ids[at - 1]


async def test_m_goes_on_with_the_model_under_the_cursor() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "down", "m")
        assert not isinstance(session.app.screen, SideBySide)
        assert session.app.model == LITE1


async def test_models_that_do_not_fit_come_on_further_pages() -> None:
    async with explore(engine(), size=NARROW) as session:
        await session.press("c")
        rows = grid(session)
        rows.models = 1
        rows.rows = 1
        await session.press("pagedown")
        assert "models 2 to 2 of 3" in head(session)
        await session.press("end")
        assert "models 3 to 3 of 3" in head(session)
        await session.press("pagedown", "home")
        assert "models 1 to 1 of 3" in head(session)


async def test_s_puts_the_row_with_the_most_right_neighbours_first() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "s")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        right = [window._right(result) for result in window._results]
        assert right == sorted(right, reverse=True)
        await session.press("s")
        assert [result.model for result in window._results] == list(THREE)


async def test_a_failure_is_one_line_and_the_window_stays() -> None:
    scripted = engine()
    async with explore(scripted, size=MIDDLE) as session:
        scripted.fail(SearchMany, UserError("It is not embedded", "Press e."))
        await session.press("c")
        assert head(session) == "It is not embedded. Press e."
        scripted.mend()
        await session.press("n")
        assert head(session) != "It is not embedded. Press e."


async def test_an_engine_that_dies_is_told_and_searched_with_again() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(SearchMany)
        await session.press("c")
        session.engine.on_event(Died(EngineDied("The engine stopped unexpectedly", "Look into its log.")))
        await session.settle()
        assert "The engine stopped unexpectedly" in head(session)
        session.engine.release()
        await session.press("n")
        assert "The engine stopped" not in head(session)


async def test_an_answer_to_a_query_that_was_left_is_not_shown() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(SearchMany)
        await session.press("c", "n")
        session.engine.release(1)
        await session.settle()
        assert head(session).startswith("Searching for")
        session.engine.release()
        await session.settle()
        assert head(session).startswith(asked(session)[1])


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    scripted = ScriptedEngine(photos(12, labels=(EVIL, "b")), embedded=[LITE0, LITE1])
    async with explore(scripted, size=size) as session:
        await session.press("c", "right", "n")
        assert_harmless(session)
        window = session.app.screen
        assert isinstance(window, SideBySide)
        window.say(EVIL_FILE)
        await session.settle()
        assert_harmless(session)
