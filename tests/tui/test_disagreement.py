"""Going through the queries on which models differ most."""

from __future__ import annotations

import pytest

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
from tests.tui.test_side_by_side import asked, grid, head
from visexplore.core.engine import AskDisagreements, Cancel, SearchMany
from visexplore.core.errors import UserError
from visexplore.core.messages import Disagreements
from visexplore.tui.screens.disagreement import DisagreementQueue

TWO = (LITE0, LITE1)


def engine(embedded: tuple[str, ...] = TWO, labels: tuple[str, ...] = ("bag", "chair", "mug")) -> ScriptedEngine:
    return ScriptedEngine(photos(12, labels=labels), embedded=list(embedded))


def ids(session: Session) -> tuple[str, ...]:
    return session.engine.datasets[SPEC].image_ids


async def test_d_shows_the_most_disputed_query_first_and_says_how_disputed_it_is() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("d")
        [request] = session.engine.asked(AskDisagreements)
        assert request.models == TWO
        assert asked(session) == [ids(session)[11]]
        assert "disagreement 0.90, 1 of 4" in head(session)
        assert "mean 0.31" in head(session)


async def test_n_and_p_follow_the_queue_and_not_the_dataset() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("d", "n", "n", "p", "p", "p")
        assert asked(session) == [ids(session)[place] for place in (11, 8, 5, 8, 11, 2)]
        assert "4 of 4" in head(session)


async def test_a_neighbour_can_be_looked_at_and_n_goes_on_in_the_queue() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("d", "enter")
        assert "disagreement" not in head(session)
        await session.press("n")
        assert asked(session)[-1] == ids(session)[8]


async def test_it_is_of_use_without_labels() -> None:
    async with explore(engine(labels=()), size=MIDDLE) as session:
        await session.press("d")
        assert "disagreement 0.90" in head(session)
        assert "in all rows" in session.text
        assert "right" not in session.text.split("Enter")[0]


async def test_that_only_a_sample_was_looked_at_is_said() -> None:
    scripted = engine()
    scripted.images = 50_000
    async with explore(scripted, size=MIDDLE) as session:
        await session.press("d")
        assert "a sample: 12 of 50,000 images" in head(session)


@pytest.mark.parametrize("embedded", [(), (LITE0,)])
async def test_with_fewer_than_two_models_a_sentence_says_what_to_press(embedded: tuple[str, ...]) -> None:
    async with explore(ScriptedEngine(photos(5000), embedded=list(embedded))) as session:
        await session.press("d")
        assert not isinstance(session.app.screen, DisagreementQueue)
        assert "press e, then d" in session.notes[-1]


async def test_models_that_always_agree_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = engine((LITE0, LITE1, LITE2))
    monkeypatch.setattr(scripted, "_disagreements", lambda r: Disagreements(r.models, 5, (), 12, 12, 0.0, 1.0))
    async with explore(scripted, size=MIDDLE) as session:
        await session.press("d", "n", "s", "space", "z", "m")
        assert "The 3 models agree: the same 5 neighbours for 12 queries." in head(session)
        assert not session.engine.asked(SearchMany)
        target = session.query
        await session.press("escape")
        assert session.query == target


async def test_leaving_makes_the_query_that_was_looked_at_the_query() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("d", "n", "d")
        assert not isinstance(session.app.screen, DisagreementQueue)
        assert session.query == ids(session)[8]


async def test_leaving_before_there_is_an_answer_gives_the_search_up() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskDisagreements)
        before = session.query
        await session.press("d")
        assert head(session).startswith("Looking for the queries on which 2 models differ most")
        await session.press("escape")
        [request] = session.engine.asked(AskDisagreements)
        assert request.ticket in [cancel.ticket for cancel in session.engine.asked(Cancel)]
        session.engine.release()
        await session.settle()
        assert session.query == before


async def test_a_failure_is_one_line_and_n_looks_again() -> None:
    scripted = engine()
    async with explore(scripted, size=MIDDLE) as session:
        scripted.fail(AskDisagreements, UserError("There is no image", "Embed the rest first."))
        await session.press("d")
        assert head(session) == "There is no image. Embed the rest first. n looks again."
        scripted.mend()
        await session.press("n")
        assert "1 of 4" in head(session)


async def test_an_engine_that_dies_is_told_and_asked_again() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskDisagreements)
        await session.press("d")
        session.engine.die()
        await session.settle()
        assert "stopped unexpectedly" in head(session)
        session.engine.release()
        await session.press("n")
        assert "1 of 4" in head(session)


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    scripted = ScriptedEngine(photos(12, labels=(EVIL, "b")), embedded=list(TWO))
    async with explore(scripted, size=size) as session:
        await session.press("d", "right", "n", "space", "s")
        assert grid(session).rows == 2
        assert_harmless(session)
