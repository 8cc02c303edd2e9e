"""The blind tournament on screen: what is asked, what is hidden, what votes lead to."""

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
from tests.tui.test_evil_names import EVIL, assert_harmless
from visexplore.core.engine import AskQuestion, CastVote
from visexplore.core.errors import UserError
from visexplore.core.evaluation.votes import Outcome
from visexplore.core.standing import Rating, Standing
from visexplore.tui.screens.tournament import Tournament, interval_bar, standings_table
from visexplore.tui.widgets.picture_rows import NEIGHBOURS, PictureRows

THREE = (LITE0, LITE1, LITE2)


def engine(embedded: tuple[str, ...] = THREE, number: int = 12) -> ScriptedEngine:
    return ScriptedEngine(photos(number), embedded=list(embedded))


def head(session: Session) -> str:
    return str(session.app.screen.query_one("#tournament-head", Static).visual)


def outcomes(session: Session) -> list[Outcome]:
    return [vote.outcome for vote in session.engine.votes]


def shows_names(session: Session) -> bool:
    return any(model in session.text for model in THREE)


async def test_shift_t_asks_about_two_strips_and_names_no_model() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T")
        [request] = session.engine.asked(AskQuestion)
        assert request.models == THREE
        assert isinstance(session.app.screen, Tournament)
        assert not shows_names(session)
        rows = session.app.screen.query_one(PictureRows)
        assert session.captions(rows) == ["1", "2", "3", "4", "5"] * 2
        assert [str(row.visual).split()[0] for row in rows.heads] == ["A", "B"]


async def test_nothing_on_the_screen_tells_a_strip_from_its_twin_but_the_pictures() -> None:
    """No score, no label, no mark for right or wrong: any of them may tell who is who."""
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T")
        for hint in ("0.9", "✓", "✗", "bag", "chair", "mug"):
            assert hint not in session.text


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        (("left", "h", "up", "k"), "left"),
        (("right", "l", "down", "j"), "right"),
        (("=", "space"), "tie"),
        (("s",), "skip"),
    ],
)
async def test_keys_cast_votes(keys: tuple[str, ...], outcome: Outcome) -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", *keys)
        assert outcomes(session) == [outcome] * len(keys)
        assert len({vote.query for vote in session.engine.votes}) == len(keys)


async def test_a_vote_names_both_models_as_they_were_asked_about() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", "left")
        [vote] = session.engine.votes
        assert (vote.left, vote.right) == (f"{LITE0}#0123abcd", f"{LITE1}#0123abcd")
        assert vote.query == session.engine.datasets[SPEC].image_ids[0]


async def test_a_second_click_on_a_strip_is_a_vote_for_it() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T")
        cells = session.app.screen.query_one(PictureRows).cells
        await session.click(cells[NEIGHBOURS + 1])
        assert outcomes(session) == []
        await session.click(cells[NEIGHBOURS + 1], times=2)
        assert outcomes(session) == ["right"]


async def test_u_takes_the_last_vote_back_and_asks_the_same_again() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", "left", "right", "u", "u", "left")
        assert outcomes(session) == ["left"]
        assert session.engine.votes[0].query == session.engine.datasets[SPEC].image_ids[0]


async def test_no_vote_is_cast_on_strips_that_nobody_has_seen() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskQuestion, CastVote)
        await session.press("T", "left", "left", "u")
        assert not session.engine.asked(CastVote)
        session.engine.release(1)
        await session.settle()
        await session.press("left", "left", "right")
        assert len(session.engine.asked(CastVote)) == 1


async def test_progress_stands_above_the_strips() -> None:
    async with explore(engine(), size=NARROW) as session:
        await session.press("T", "left", "=")
        assert head(session).endswith("2 votes (1 tie): 2 of 2 places in the order are open.")
        assert "…" not in session.lines[0]


async def test_n_shows_names_and_ratings_and_the_strips_again() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", "left", "n")
        assert shows_names(session)
        assert "+50" in session.text
        assert "█" in session.text
        await session.press("left", "s")  # no strip is seen that they could be about
        assert outcomes(session) == ["left"]
        await session.press("n")
        assert not shows_names(session)
        await session.press("right")
        assert outcomes(session) == ["left", "right"]


async def test_once_the_order_is_settled_the_winner_is_named() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", *["left"] * 6)
        assert f"{LITE2} is preferred to all others, surely." in session.text
        assert "6 votes: the order is settled." in session.text
        await session.press("n", "left")  # who likes may go on
        assert len(outcomes(session)) == 7
        assert not shows_names(session)


async def test_it_goes_on_where_it_was_left() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", "left", "right", "escape")
        assert not isinstance(session.app.screen, Tournament)
        await session.press("T")
        assert "2 votes" in head(session)
        await session.press("left")
        assert session.engine.votes[-1].query == session.engine.datasets[SPEC].image_ids[2]


async def test_when_all_queries_were_asked_the_ratings_are_shown() -> None:
    async with explore(engine((LITE0, LITE1), number=3), size=MIDDLE) as session:
        await session.press("T", "s", "s", "left", "left")
        assert outcomes(session) == ["skip", "skip", "left"]
        assert "All queries on which the models differ were asked." in head(session)
        assert shows_names(session)


@pytest.mark.parametrize("embedded", [(), (LITE0,)])
async def test_with_fewer_than_two_models_a_sentence_says_what_to_press(embedded: tuple[str, ...]) -> None:
    async with explore(ScriptedEngine(photos(5000), embedded=list(embedded))) as session:
        await session.press("T")
        assert not isinstance(session.app.screen, Tournament)
        assert "press e, then T" in session.notes[-1]


async def test_a_vote_that_cannot_be_kept_is_said_so_and_can_be_cast_again() -> None:
    scripted = engine()
    async with explore(scripted, size=MIDDLE) as session:
        await session.press("T")
        scripted.fail(CastVote, UserError("The vote cannot be written", "Free some space."))
        await session.press("left")
        assert head(session) == "The vote cannot be written. Free some space."
        scripted.mend()
        await session.press("left")
        assert "1 vote" in head(session)


async def test_an_engine_that_dies_is_told_and_the_next_vote_asks_again() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("T", "left")
        session.engine.hold(CastVote)
        await session.press("left")
        session.engine.die()
        await session.settle()
        assert "all that was cast is kept" in head(session)
        session.engine.release()
        await session.press("left")
        assert "1 vote" in head(session)
        await session.press("left")
        assert len(outcomes(session)) == 2


async def test_a_window_of_another_size_shows_the_same_question() -> None:
    async with explore(engine(number=31), size=MIDDLE) as session:
        await session.press("T", "left")
        await session.resize(*NARROW)
        rows = session.app.screen.query_one(PictureRows)
        assert rows.rows == 2
        assert session.captions(rows) == ["1", "2", "3", "4", "5"] * 2


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    scripted = ScriptedEngine(photos(12, labels=(EVIL, "b")), embedded=[LITE0, LITE1])
    async with explore(scripted, size=size) as session:
        await session.press("T", "left")
        assert_harmless(session)
        await session.press("n")
        assert_harmless(session)
        window = session.app.screen
        assert isinstance(window, Tournament)
        await session.press("n")
        window.say(EVIL)
        await session.settle()
        assert_harmless(session)


def test_evil_models_and_long_names_fit_into_the_table() -> None:
    ratings = tuple(Rating(f"{name}#12", 0.0, -10.0, 10.0, 3) for name in (EVIL, "x" * 80))
    for width in (58, 78, 200):
        for line in standings_table(Standing(ratings, ("open",), 3, 0), width):
            assert "\x1b" not in str(line)
            assert len(str(line).rstrip()) <= max(width, 92)


def test_a_bar_spans_the_interval_on_the_scale_of_all() -> None:
    ratings = (Rating("a", 50.0, 0.0, 100.0, 1), Rating("b", -50.0, -100.0, 0.0, 1))
    assert [interval_bar(one, ratings, 21) for one in ratings] == ["          ├────█────┤", "├────█────┤          "]
