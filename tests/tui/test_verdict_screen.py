"""The verdict on screen, and strips written from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.core.report.samples import comparison
from tests.tui.scripted_engine import LITE0, LITE1, MIDDLE, NARROW, SPEC, ScriptedEngine, Session, explore, photos
from tests.tui.test_evil_names import EVIL, EVIL_FILE, assert_harmless
from visexplore.core.comparison import Contested
from visexplore.core.engine import Cancel, Compare, Compared, Died, ExportStrips, JobProgress
from visexplore.core.errors import EngineDied, UserError
from visexplore.core.messages import Progress
from visexplore.tui.screens.verdict import VerdictScreen, views
from visexplore.tui.widgets.row_list import RowList


def engine(number: int = 12, embedded: tuple[str, ...] = (LITE0, LITE1)) -> ScriptedEngine:
    return ScriptedEngine(photos(number), embedded=list(embedded))


def words(session: Session) -> str:
    return str(session.app.screen.query_one("#verdict-words", Static).visual)


def is_open(session: Session) -> bool:
    return isinstance(session.app.screen, VerdictScreen)


async def test_v_compares_all_models_that_have_embedded_the_dataset() -> None:
    async with explore(engine()) as session:
        await session.press("v")
        assert [job.models for job in session.engine.asked(Compare)] == [(LITE0, LITE1)]
        best = comparison().models[0]
        assert best.model in words(session)
        assert "Scores" in session.text
        assert f"{best.scores['recall@1'].value:.3f}" in session.text


async def test_baselines_that_are_stored_are_not_asked_for_twice() -> None:
    async with explore(engine(embedded=(LITE0, LITE1, "baseline-colour"))) as session:
        await session.press("v")
        assert [job.models for job in session.engine.asked(Compare)] == [(LITE0, LITE1)]


async def test_before_anything_is_embedded_a_hint_says_what_to_press() -> None:
    async with explore(ScriptedEngine(photos(5000))) as session:
        await session.press("v")
        assert not is_open(session)
        assert session.engine.asked(Compare) == []
        assert "press e, then v" in " ".join(str(note.message) for note in session.app._notifications)


async def test_progress_is_shown_until_there_is_a_verdict() -> None:
    async with explore(engine()) as session:
        session.engine.hold(Compare)
        await session.press("v")
        [job] = session.engine.asked(Compare)
        session.engine.on_event(JobProgress(job.ticket, Progress("baseline-colour", "embedding", 3, 12)))
        await session.settle()
        assert words(session) == "Comparing: baseline-colour 3/12"
        session.engine.release()
        await session.settle()
        assert "Comparing" not in words(session)


async def test_leaving_before_the_verdict_gives_it_up() -> None:
    async with explore(engine()) as session:
        session.engine.hold(Compare)
        await session.press("v")
        [job] = session.engine.asked(Compare)
        await session.press("escape")
        assert not is_open(session)
        assert [cancel.ticket for cancel in session.engine.asked(Cancel)] == [job.ticket]
        session.engine.on_event(Compared(job.ticket, comparison()))  # it was on its way
        await session.settle()
        assert not is_open(session)


async def test_why_there_is_no_verdict_is_said_in_the_window() -> None:
    async with explore(engine()) as session:
        session.engine.fail(Compare, UserError("No query has an answer", "Give coarser labels."))
        await session.press("v")
        assert words(session) == "No query has an answer. Give coarser labels."
        await session.press("escape")
        assert not is_open(session)


async def test_an_engine_that_dies_meanwhile_is_told() -> None:
    async with explore(engine()) as session:
        session.engine.hold(Compare)
        await session.press("v")
        session.engine.on_event(Died(EngineDied("The engine stopped unexpectedly", "Look into its log.")))
        await session.settle()
        assert "The engine stopped unexpectedly" in words(session)
        assert "v compares again" in words(session)


async def test_tab_and_brackets_turn_through_the_tables_and_round() -> None:
    async with explore(engine()) as session:
        await session.press("v")
        table = session.app.screen.query_one(RowList)

        def first_column() -> list[str]:
            return [str(column.label) for column in table.columns.values()] if table.display else ["the plot"]

        seen = [first_column()]
        for _ in views(comparison())[1:]:
            await session.press("tab")
            seen.append(first_column())
        assert len({tuple(columns) for columns in seen}) == len(seen)
        await session.press("tab")
        assert first_column() == seen[0]
        await session.press("[")
        assert first_column() == seen[-1]


async def test_enter_makes_an_image_of_the_verdict_the_query() -> None:
    scripted = engine()
    image_id = scripted.datasets[SPEC].image_ids[7]
    scripted.comparison = replace(comparison(), contested=(Contested(image_id, "mug", 0.9),))
    async with explore(scripted) as session:
        await session.press("v", "tab", "tab", "tab", "tab", "enter")
        assert not is_open(session)
        assert session.app.target is not None
        assert session.app.target.image_id == image_id


async def test_enter_on_a_model_stays() -> None:
    async with explore(engine()) as session:
        await session.press("v", "enter")
        assert is_open(session)


def test_tables_without_rows_are_left_out() -> None:
    bare = replace(comparison(), pairs=(), slices=(), mistaken=(), only_right=(), suspected=(), contested=())
    assert [view.title for view in views(bare)] == ["Scores", "Plot", "Agreement"]


def test_without_labels_proxies_stand_for_scores() -> None:
    rows = tuple(replace(row, scores={}, group="", pareto=False) for row in comparison().models)
    assert views(replace(comparison(), main="", models=rows, pairs=()))[0].title == "Proxies"


@pytest.mark.parametrize("size", [NARROW, MIDDLE])
async def test_evil_names_are_harmless_in_every_table(size: tuple[int, int]) -> None:
    scripted = engine()
    plain = comparison()
    scripted.comparison = replace(
        plain,
        models=tuple(replace(row, model=EVIL, title=EVIL) for row in plain.models[:1]),
        contested=(Contested(EVIL_FILE, EVIL, 0.5),),
        slices=tuple(replace(one, name=EVIL, means={EVIL: 0.5}, winner=EVIL) for one in plain.slices[:1]),
        suspected=tuple(replace(one, image_id=EVIL_FILE, label=EVIL) for one in plain.suspected),
        mistaken=tuple(replace(one, label=EVIL, model=EVIL) for one in plain.mistaken),
        pairs=(),
        agreement=(),
    )
    async with explore(scripted, size=size) as session:
        await session.press("v")
        for _ in views(scripted.comparison):
            assert_harmless(session)
            await session.press("tab")


async def test_x_writes_the_query_on_screen_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with explore(engine()) as session:
        await session.press("n", "x")
        [asked] = session.engine.asked(ExportStrips)
        assert session.app.target is not None
        assert (asked.models, asked.image_id) == ((LITE0,), session.app.target.image_id)
        assert asked.folder == str(tmp_path / "visexplore-strips")
        assert "Written:" in " ".join(str(note.message) for note in session.app._notifications)


async def test_x_before_anything_is_embedded_says_so() -> None:
    async with explore(ScriptedEngine(photos(5000))) as session:
        await session.press("x")
        assert session.engine.asked(ExportStrips) == []
