"""The same query under several models: what is asked, what is shown, where keys lead."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from tests.tui.scripted_engine import (
    CLIP,
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
    put_on_disk,
)
from tests.tui.test_evil_names import EVIL, EVIL_FILE, assert_harmless
from visexplore.core.engine import AskPicture, Died, SearchMany
from visexplore.core.errors import EngineDied, UserError
from visexplore.core.messages import Query
from visexplore.tui.row_order import right_of
from visexplore.tui.screens.side_by_side import IN_ALL, PIN, SideBySide
from visexplore.tui.screens.zoom import Zoom
from visexplore.tui.widgets.picture_rows import NEIGHBOURS, PictureRows

THREE = (LITE0, LITE1, LITE2)


def engine(embedded: tuple[str, ...] = THREE, number: int = 12) -> ScriptedEngine:
    return ScriptedEngine(photos(number), embedded=list(embedded))


def grid(session: Session) -> PictureRows:
    return session.app.screen.query_one(PictureRows)


def head(session: Session) -> str:
    return str(session.app.screen.query_one("#side-head", Static).visual)


def row_head(session: Session, row: int) -> str:
    return str(grid(session).heads[row].visual)


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
        same = [n for n in range(3 * NEIGHBOURS) if (there := window._at(n)) and there[1] == under[1]]  # type: ignore[index]
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
        grid(session).rows = 1
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
        label = session.engine.datasets[SPEC].labels[0]
        right = [right_of(result, label) for result in window._results]
        assert right == sorted(right, reverse=True)
        await session.press("s")
        assert [result.model for result in window._results] == list(THREE)


async def test_the_order_of_the_rows_is_said_and_holds_for_the_next_query_and_the_next_time() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "s")
        assert "most right first" in head(session)
        await session.press("n")
        assert "most right first" in head(session)
        await session.press("escape", "c")
        assert "most right first" in head(session)


async def test_space_pins_a_row_to_the_top_for_all_queries_and_lets_it_go() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "down", "down", "right", "space")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        assert [result.model for result in window._results] == [LITE2, LITE0, LITE1]
        assert grid(session).cursor == 1  # the cursor went with it
        assert row_head(session, 0).startswith(f"{PIN}{LITE2}  pinned")
        await session.press("n", "s")
        assert window._results[0].model == LITE2
        await session.press("escape", "c")
        assert row_head(session, 0).startswith(f"{PIN}{LITE2}")
        await session.press("home", "space")
        assert row_head(session, 0).startswith(f" {LITE0}") or row_head(session, 0).startswith(f" {LITE1}")


async def test_a_pinned_row_stays_while_pages_turn() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "down", "space")
        grid(session).rows = 2
        await session.press("pagedown")
        assert "models 3 to 3 of 3" in head(session)
        assert [row_head(session, row).split()[0] for row in (0, 1)] == [f"{PIN}{LITE1}", LITE2]


async def test_each_row_says_how_many_neighbours_it_shares_with_the_first_and_with_all() -> None:
    async with explore(engine(number=31), size=(200, 50)) as session:
        await session.press("c")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        found = [{neighbour.image_id for neighbour in result.neighbours} for result in window._results]
        common = set.intersection(*found)
        for row, ids in enumerate(found):
            assert f"{len(ids & common)} of 5 in all rows" in row_head(session, row)
            assert (f"{len(ids & found[0])} of 5 as in the first row" in row_head(session, row)) == (row > 0)
        marked_in_all = [number for number, text in enumerate(session.captions(grid(session))) if f" {IN_ALL}" in text]
        assert marked_in_all == [
            number for number in range(3 * NEIGHBOURS) if (at := window._at(number)) is not None and at[1] in common
        ]


async def test_in_a_narrow_window_the_same_is_said_shorter() -> None:
    async with explore(engine(), size=NARROW) as session:
        await session.press("c")
        assert grid(session).rows == 3
        assert "/5 as first" in row_head(session, 1)
        assert "…" not in session.text.replace("Esc l…", "")


async def test_one_model_alone_is_compared_with_none() -> None:
    async with explore(engine((LITE0,)), size=MIDDLE) as session:
        await session.press("c")
        assert "rows" not in row_head(session, 0)
        assert "right" in row_head(session, 0)


async def test_z_shows_the_picture_under_the_cursor_beside_the_query_and_comes_back_to_it() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c", "down", "right", "z")
        assert isinstance(session.app.screen, Zoom)
        assert LITE1 in session.text
        asked_for = [request.image_id for request in session.engine.asked(AskPicture)]
        await session.press("right", "escape")
        assert isinstance(session.app.screen, SideBySide)
        assert grid(session).cursor == NEIGHBOURS + 2
        window = session.app.screen
        assert asked_for == [session.query, window._at(NEIGHBOURS + 1)[1]]  # type: ignore[index]


async def test_clicks_choose_and_the_wheel_turns_pages() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c")
        window = session.app.screen
        assert isinstance(window, SideBySide)
        await session.click(grid(session).cells[NEIGHBOURS + 2])
        assert grid(session).cursor == NEIGHBOURS + 2
        image_id = window._at(NEIGHBOURS + 2)[1]  # type: ignore[index]
        await session.click(grid(session).cells[NEIGHBOURS + 2], times=2)
        assert asked(session)[-1] == image_id


async def test_moving_the_cursor_paints_no_picture() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("c")
        looks = [cell.picture._look for cell in grid(session).cells]
        drawn = []
        for cell in grid(session).cells:
            cell.picture.refresh = lambda *regions, **options: drawn.append(regions)  # type: ignore[method-assign]
        await session.press("right", "down", "left", "up")
        assert not drawn
        assert [cell.picture._look for cell in grid(session).cells] == looks


# ---- queries from outside


async def test_an_outside_picture_is_searched_with_under_all_models() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("o", *"/new.jpg", "enter", "c")
        [request] = session.engine.asked(SearchMany)
        assert (request.path, request.image_id, request.models) == ("/new.jpg", "", THREE)
        assert "/new.jpg" in head(session)
        await session.press("escape")
        assert session.query == "/new.jpg"


async def test_a_text_is_searched_with_under_the_models_that_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_on_disk(monkeypatch, tmp_path)
    async with explore(engine((LITE0, CLIP)), size=MIDDLE, model=CLIP) as session:
        await session.press("t", *"mug", "enter", "c")
        [request] = session.engine.asked(SearchMany)
        assert (request.text, request.image_id, request.models) == ("mug", "", (CLIP,))
        assert "1 of 2 models can search with this" in head(session)
        await session.press("z")
        assert isinstance(session.app.screen, Zoom)
        await session.press("escape", "enter")  # from a text to an image: all models again
        assert session.engine.asked(SearchMany)[-1].models == (LITE0, CLIP)
        assert grid(session).rows == 2


async def test_n_after_a_text_goes_on_in_the_dataset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_on_disk(monkeypatch, tmp_path)
    async with explore(engine((CLIP,)), size=MIDDLE, model=CLIP) as session:
        await session.press("n", "n", "t", *"mug", "enter", "c", "n")
        assert asked(session)[-1] == session.engine.datasets[SPEC].image_ids[3]


async def test_where_no_model_can_search_with_a_text_it_is_said_which_can() -> None:
    async with explore(engine((LITE0, LITE1)), size=MIDDLE, model=CLIP) as session:
        session.app._set_target(Query(text="mug"))
        await session.settle()
        await session.press("c")
        assert not isinstance(session.app.screen, SideBySide)
        assert "No model that has embedded this can search by text" in session.notes[-1]


async def test_a_model_whose_weights_are_not_here_is_not_asked_with_an_outside_picture() -> None:
    async with explore(engine((CLIP,)), size=MIDDLE, model=CLIP) as session:
        await session.press("o", *"/new.jpg", "enter", "c")
        assert not isinstance(session.app.screen, SideBySide)
        assert "press e to download" in session.notes[-1]


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
