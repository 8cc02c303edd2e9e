"""The jobs window: the order of jobs, pauses, and what each of them is at; embedding with all models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.scripted_engine import CLIP, LITE0, LITE1, LITE2, NARROW, ScriptedEngine, Session, explore, photos
from visexplore.core.cost import KnownRates, Rate
from visexplore.core.engine import Cancel, Embed, Pause, Reorder, Resume
from visexplore.core.errors import CannotLoadModel
from visexplore.core.messages import DeviceUse
from visexplore.tui.screens.embed_all import EmbedAll
from visexplore.tui.screens.jobs import Jobs

HUGE = (200, 50)
GPU = DeviceUse("cuda:0", "NVIDIA H100", 12_300_000_000, 80_000_000_000, 0.97)
CPU = DeviceUse("cpu", "A processor", 900_000_000, 16_000_000_000, 1.8, 2)


def many(**facts: object) -> ScriptedEngine:
    """Return an engine with more images than are embedded without being asked."""
    return ScriptedEngine(photos(4000), **facts)  # type: ignore[arg-type]


async def three_jobs(session: Session) -> None:
    """Begin with lite0, lite1 and lite2, the first of them running, and open the window."""
    await session.press("e", "right_square_bracket", "e", "right_square_bracket", "e")
    session.engine.progress(1000, device=CPU)
    await session.press("J")


def rows(session: Session) -> list[tuple[str, str]]:
    """Return the state and the model of each row."""
    assert isinstance(session.app.screen, Jobs)
    session.app.screen._refresh()  # it looks twice a second
    return [(row[0], row[1]) for row in session.app.screen._shown.values()]


class TestOrder:
    async def test_what_runs_is_first_then_what_waits(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            assert rows(session) == [("running", LITE0), ("waiting", LITE1), ("waiting", LITE2)]

    @pytest.mark.parametrize("key", ["K", "shift+up"])
    async def test_one_that_waits_can_be_moved_up_and_the_cursor_goes_with_it(self, key: str) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("end", key)
            assert rows(session) == [("running", LITE0), ("waiting", LITE2), ("waiting", LITE1)]
            tickets = [job.ticket for job in session.engine.asked(Embed)]
            assert session.engine.asked(Reorder) == [Reorder((tickets[2], tickets[1]))]
            await session.press(key)
            assert len(session.engine.asked(Reorder)) == 1, "it is the first of those that wait"
            await session.press("J")
            assert [model for _, model in rows(session)] == [LITE0, LITE1, LITE2]

    async def test_the_one_that_runs_cannot_be_moved(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("J", "K")
            assert session.engine.asked(Reorder) == []

    async def test_a_new_engine_gets_them_in_that_order(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("end", "K", "escape")
            session.engine.die()
            await session.settle()
            assert [job.models[0] for job in session.engine.asked(Embed)[3:]] == [LITE0, LITE2, LITE1]

    async def test_ended_ones_come_last_and_can_be_cleared(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            session.engine.finish()
            await session.settle()
            assert rows(session) == [("waiting", LITE1), ("waiting", LITE2), ("done", LITE0)]
            await session.press("c")
            assert rows(session) == [("waiting", LITE1), ("waiting", LITE2)]

    async def test_one_that_was_cleared_is_not_begun_with_by_itself(self) -> None:
        async with explore(ScriptedEngine(photos(12))) as session:
            await session.press("e", "J", "c", "escape", "right_square_bracket", "left_square_bracket")
            assert [job.models[0] for job in session.engine.asked(Embed)] == [LITE0, LITE1]


class TestPauses:
    async def test_space_pauses_and_lets_go_on(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            session.engine.hold(Pause)
            await session.press("space")
            assert rows(session)[0] == ("pausing", LITE0)
            session.engine.release()
            await session.settle()
            assert ("paused", LITE0) in rows(session)
            assert f"photos with {LITE0}: paused at 1,000/4,000" in session.text_of("#job-in-full")
            await session.press("space")
            assert session.engine.asked(Resume) == [Resume(session.engine.asked(Pause)[0].ticket)]
            assert ("waiting", LITE0) in rows(session)
            session.engine.progress(1100)
            await session.settle()
            assert rows(session)[0] == ("running", LITE0)

    async def test_the_cursor_stays_on_the_job_while_another_runs(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("space")
            session.engine.progress(10, job=1)
            await session.settle()
            assert rows(session) == [("running", LITE1), ("paused", LITE0), ("waiting", LITE2)]
            assert LITE0 in session.text_of("#job-in-full")

    async def test_one_that_is_resumed_before_it_rested_does_not_rest(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            session.engine.hold(Pause)
            await session.press("space", "space")
            session.engine.release()
            await session.settle()
            assert ("waiting", LITE0) in rows(session)

    async def test_the_query_panel_says_how_it_goes_on(self) -> None:
        async with explore(many()) as session:
            await session.press("e", "J", "space", "escape")
            assert session.head.splitlines()[1] == f"Embedding with {LITE0} is paused: J, then space, goes on."
            assert session.status.endswith("paused")

    async def test_a_new_engine_leaves_it_paused(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("space", "escape")
            session.engine.die()
            await session.settle()
            assert [(job.models[0], job.paused) for job in session.engine.asked(Embed)[3:]] == [
                (LITE0, True),
                (LITE1, False),
                (LITE2, False),
            ]
            await session.press("J")
            assert ("paused", LITE0) in rows(session)

    async def test_a_paused_one_can_be_cancelled(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            await session.press("space", "x")
            assert len(session.engine.asked(Cancel)) == 1
            assert ("stopped", LITE0) in rows(session)


class TestWhatIsShown:
    @pytest.mark.parametrize("size", [NARROW, HUGE])
    async def test_how_far_it_is(self, size: tuple[int, int]) -> None:
        async with explore(many(), size) as session:
            await three_jobs(session)
            words = next(line for line in session.lines if "running" in line).split()
            assert {"25%", "1,000/4,000", "2:30"} <= set(words)

    async def test_a_wide_window_has_memory_and_use_of_each_job(self) -> None:
        async with explore(many(), HUGE) as session:
            await three_jobs(session)
            line = next(line for line in session.lines if "running" in line)
            assert "0.9 of 16.0 GB  1.8 of 2 cores" in line
            assert "20.0/s" in line
            assert "model" in line

    async def test_a_narrow_one_says_it_below(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            assert "cpu (A processor): 1.8 of 2 cores, 0.9 of 16.0 GB memory" in session.text_of("#job-in-full")
            session.engine.progress(1200, device=GPU)
            await session.settle()
            rows(session)
            await session.settle()
            assert "cuda:0 (NVIDIA H100): 97 % busy, 12.3 of 80.0 GB memory" in session.text_of("#job-in-full")

    async def test_a_download(self) -> None:
        async with explore(ScriptedEngine(photos(100)), HUGE, model=CLIP) as session:
            await session.press("e")
            session.engine.download(210)
            await session.press("J")
            line = " ".join(next(line for line in session.lines if "downloading" in line).split())
            assert line.endswith("34% 210/605 MB 21 MB/s 0:19 │")

    async def test_why_one_failed(self) -> None:
        async with explore(many()) as session:
            await session.press("e")
            session.engine.fail_job(CannotLoadModel("The disk is full", "Make room, then press e."))
            await session.press("J")
            assert rows(session) == [("failed", LITE0)]
            assert "The disk is full. Make room, then press e." in session.text_of("#job-in-full")

    async def test_without_jobs_it_says_how_to_begin(self) -> None:
        async with explore(many()) as session:
            await session.press("J", "space", "K", "J", "x", "c", "enter")
            assert "There is no job: e embeds with the current model" in session.text_of("#job-in-full")

    async def test_enter_goes_to_the_model(self) -> None:
        async with explore(many()) as session:
            await three_jobs(session)
            assert session.app.model == LITE2
            await session.press("j", "enter")
            assert session.app.model == LITE1
            assert not isinstance(session.app.screen, Jobs)


def rates(of_lite0: float) -> KnownRates:
    return KnownRates((Rate(LITE0, "cpu", of_lite0, work=1e9),))


class TestCosts:
    async def test_they_are_told_before_enter(self) -> None:
        engine = many()
        engine.rates = rates(5.0)
        async with explore(engine, (140, 36)) as session:
            words = "4,000 images: about 13 min, about 1.3 GB memory, 10 MB on disk, licence Apache-2.0"
            assert session.status == f"e embeds {words}"
            assert session.head.splitlines()[1] == f"Not embedded with {LITE0} yet: press e to embed {words}."
            await session.pilot.pause(0.2)  # the facts follow when the cursor rests
            assert f"e embeds {words}" in session.content_of("#facts")

    async def test_those_of_a_model_that_never_ran_here_are_a_guess(self) -> None:
        engine = many()
        engine.rates = rates(5.0)
        async with explore(engine) as session:
            await session.press("right_square_bracket")
            assert "(a guess)" in session.head

    async def test_the_choice_of_a_model_tells_the_time(self) -> None:
        engine = many()
        engine.rates = rates(5.0)
        async with explore(engine, (140, 36)) as session:
            await session.press("m", *"lite0")
            await session.app.workers.wait_for_complete()
            await session.settle()
            assert "about 13 min to embed this" in session.text

    async def test_only_missing_images_count(self) -> None:
        engine = ScriptedEngine(photos(4000), embedded={LITE0: 4000, LITE1: 1000})
        engine.rates = rates(5.0)
        async with explore(engine) as session:
            assert session.app.costs.of(session.app.catalogue.find(LITE1)).images == 3000
            assert session.app.costs.of(session.app.catalogue.find(LITE0)).images == 0


class TestEmbeddingWithAll:
    async def test_what_is_quick_is_begun_at_once(self) -> None:
        engine = ScriptedEngine(photos(2000), embedded=[LITE0])
        engine.rates = rates(1000.0)
        async with explore(engine) as session:
            await session.press("E")
            assert [job.models for job in engine.asked(Embed)] == [(LITE1,), (LITE2,)]
            assert session.notes[0].startswith("2 models embed 2,000 images: about ")

    async def test_what_takes_long_is_asked_for(self) -> None:
        engine = ScriptedEngine(photos(4000), embedded=[LITE0])
        engine.rates = rates(1.0)
        async with explore(engine) as session:
            await session.press("E")
            assert isinstance(session.app.screen, EmbedAll)
            assert engine.asked(Embed) == []
            await session.press("escape", "E", "enter")
            assert [job.models for job in engine.asked(Embed)] == [(LITE1,), (LITE2,)]

    async def test_so_is_what_takes_nobody_knows_how_long(self) -> None:
        async with explore(ScriptedEngine(photos(4000), embedded=[LITE0])) as session:
            await session.press("E")
            assert isinstance(session.app.screen, EmbedAll)

    async def test_so_is_what_has_to_be_downloaded(self) -> None:
        engine = ScriptedEngine(photos(20), embedded=[LITE0, LITE1, LITE2])
        engine.rates = rates(1000.0)
        async with explore(engine, model=CLIP) as session:
            await session.press("E")
            assert "download 605 MB" in session.text_of("#embed-all-total")
            await session.press("enter")
            assert [job.models for job in engine.asked(Embed)] == [(CLIP,)]

    async def test_nothing_is_begun_twice(self) -> None:
        engine = ScriptedEngine(photos(2000), embedded=[LITE0])
        engine.rates = rates(1000.0)
        async with explore(engine) as session:
            await session.press("E", "E")
            assert len(engine.asked(Embed)) == 2
            assert session.notes[-1] == "All models that run here have embedded this, or are about to."


async def test_evil_names_are_harmless(tmp_path: Path) -> None:
    evil = "\x1b[31m\u202e[/]\nevil"
    engine = ScriptedEngine(replace(photos(4000), title=evil), embedded=[LITE0])
    async with explore(engine) as session:
        await session.press("right_square_bracket", "e")
        engine.progress(10, device=replace(CPU, name=evil))
        await session.press("J")
        assert "\x1b" not in session.text
        assert "\\x1b[31m" in session.text_of("#job-in-full")
        await session.press("escape", "E")
        assert "\x1b" not in session.text
