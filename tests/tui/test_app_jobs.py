"""Embedding from the screen: when it starts, what is said meanwhile, how it ends."""

from __future__ import annotations

import pytest

from tests.tui.scripted_engine import CLIP, LITE0, LITE1, MIDDLE, NARROW, WIDE, ScriptedEngine, explore, photos
from visexplore.core.engine import AskCacheStates, Cancel, Embed
from visexplore.core.errors import CannotLoadModel
from visexplore.core.messages import SkippedImage
from visexplore.tui.app import AUTO_EMBED_AT_START, AUTO_EMBED_ON_SWITCH

SPACE = "The disk is full"


class TestStartingByItself:
    async def test_a_small_dataset_is_embedded_at_the_start(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_AT_START))) as session:
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE0,)]
            assert "neighbours appear as soon as there are some" in session.head

    async def test_a_large_one_is_not(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_AT_START + 1))) as session:
            assert session.engine.asked(Embed) == []
            assert session.head.splitlines()[1] == f"Not embedded with {LITE0} yet: press e to embed 3,001 images."

    async def test_one_that_is_embedded_is_left_alone(self) -> None:
        async with explore(ScriptedEngine(photos(12), embedded=[LITE0])) as session:
            assert session.engine.asked(Embed) == []

    async def test_one_whose_files_were_all_written_anew_is_embedded_again(self) -> None:
        engine = ScriptedEngine(photos(12), embedded=[LITE0])
        engine.embedded = dict.fromkeys(engine.embedded, 0)
        async with explore(engine) as session:
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE0,)]

    async def test_a_model_that_has_to_be_downloaded_waits_to_be_asked_for(self) -> None:
        async with explore(ScriptedEngine(photos(12)), model=CLIP) as session:
            assert session.engine.asked(Embed) == []
            assert "press e" in session.head

    async def test_not_again_after_it_was_stopped(self) -> None:
        async with explore(ScriptedEngine(photos(12))) as session:
            await session.press("e")
            assert len(session.engine.asked(Cancel)) == 1
            await session.press("right_square_bracket", "left_square_bracket")
            assert [job.models[0] for job in session.engine.asked(Embed)] == [LITE0, LITE1]

    async def test_another_model_is_begun_with_on_a_very_small_dataset(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_ON_SWITCH), embedded=[LITE0])) as session:
            await session.press("right_square_bracket")
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE1,)]

    async def test_but_not_on_a_larger_one(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_ON_SWITCH + 1), embedded=[LITE0])) as session:
            await session.press("right_square_bracket")
            assert session.engine.asked(Embed) == []

    async def test_a_larger_one_that_was_stopped_is_not_begun_with_another_model(self) -> None:
        async with explore(ScriptedEngine(photos(2000))) as session:
            session.engine.hold(Cancel)
            await session.press("e", "right_square_bracket")
            session.engine.release()
            await session.settle()
            assert [job.models[0] for job in session.engine.asked(Embed)] == [LITE0]


class TestWhileItRuns:
    async def test_the_status_line_tells_rate_time_left_and_what_sets_the_pace(self) -> None:
        async with explore(ScriptedEngine(photos(100)), MIDDLE) as session:
            session.engine.progress(25)
            await session.settle()
            assert session.status == (
                f"embedding photos with {LITE0}  █████░░░░░░░░░░░░░░░  25/100  20.0/s  0:04 left  pace: model"
            )

    async def test_80_columns_have_room_for_all_that(self) -> None:
        async with explore(ScriptedEngine(photos(3000)), NARROW) as session:
            session.engine.progress(1234)
            await session.settle()
            assert "1,234/3,000  20.0/s  1:28 left  pace: model" in session.text_of("#status")

    async def test_unreadable_images_are_counted(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.progress(25, failed=3)
            await session.settle()
            assert session.status.endswith("3 unreadable")

    @pytest.mark.parametrize(
        ("stage", "words"),
        [("loading", "loading the model"), ("waiting", "another process is embedding this: waiting for it")],
    )
    async def test_before_the_first_image_it_says_what_it_waits_for(self, stage: str, words: str) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.progress(0, stage=stage)
            await session.settle()
            assert session.status.endswith(words)

    async def test_neighbours_appear_before_it_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.app._asked_states -= 6  # the app looks every five seconds
            session.engine.progress(10)
            await session.settle()
            assert len(session.neighbours) == 5
            assert "10 images searched" in session.head

    async def test_they_are_searched_again_as_more_is_embedded(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            for done in (10, 50):
                session.app._asked_states -= 6
                session.engine.progress(done)
                await session.settle()
            assert "50 images searched" in session.head

    async def test_the_engine_is_not_asked_with_every_progress(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            asked = len(session.engine.asked(AskCacheStates))
            for done in range(1, 20):
                session.engine.progress(done)
            await session.settle()
            assert len(session.engine.asked(AskCacheStates)) == asked

    async def test_the_screen_stays_of_use(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.progress(10)
            await session.press("n", "2", "pagedown")
            assert session.query == "bag/001.jpg"
            assert session.captions(session.thumbnails)[0] != "000.jpg"

    async def test_others_that_wait_are_counted(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            await session.press("right_square_bracket")
            session.engine.progress(25)
            await session.settle()
            assert session.status.startswith(LITE0)
            assert session.status.endswith("(+1 waiting: J)")

    async def test_the_jobs_window_follows_it(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            await session.press("J")
            session.engine.progress(25)
            await session.settle()
            session.app.screen._refresh()  # type: ignore[attr-defined] - it looks twice a second
            await session.settle()
            assert "25/100  20.0/s" in session.text_of("#jobs")


class TestHowItEnds:
    async def test_the_status_line_says_what_was_done(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.finish()
            await session.settle()
            assert session.status == f"photos with {LITE0}: 100 images embedded, 20.0/s"
            assert len(session.neighbours) == 5

    async def test_unreadable_images_are_named(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.finish(skipped=(SkippedImage("bag/007.jpg", "cut off after 12 kB"),))
            await session.settle()
            assert session.notes == ["1 of 100 images could not be read, first bag/007.jpg: cut off after 12 kB"]
            assert session.status.endswith("99 images embedded, 20.0/s, 1 unreadable")

    async def test_the_models_and_the_images_say_so(self) -> None:
        async with explore(ScriptedEngine(photos(100)), WIDE) as session:
            assert session.content_of("#cache-states") == "embedded: nothing yet: press e"
            session.engine.finish()
            await session.settle()
            assert session.content_of("#cache-states") == f"embedded: {LITE0} all"
            assert f">+ {LITE0}" in session.text_of("#models")

    async def test_a_failure_is_told_in_one_sentence(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.fail_job(CannotLoadModel(SPACE, "Make room, then press e."))
            await session.settle()
            told = f"{SPACE}. Make room, then press e."
            assert session.notes == [told]
            assert session.status == told
            assert session.head.splitlines()[1] == told

    async def test_after_a_failure_it_can_be_tried_again(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.fail_job(CannotLoadModel(SPACE))
            await session.press("e")
            session.engine.finish()
            await session.settle()
            assert len(session.neighbours) == 5
            assert len(session.engine.asked(Embed)) == 2

    async def test_the_failure_of_a_model_left_is_not_told_of_the_current_one(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            await session.press("right_square_bracket")
            session.engine.fail_job(CannotLoadModel(SPACE))
            await session.settle()
            assert SPACE not in session.head

    async def test_what_was_embedded_before_a_stop_is_searched(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.progress(40)
            await session.press("e")
            assert session.status == f"photos with {LITE0}: stopped: 40 images embedded, 20.0/s"
            assert "40 images searched" in session.head
            assert session.content_of("#cache-states") == f"embedded: {LITE0} 40/100"


class TestModelsOutsideTheCatalogue:
    async def test_the_engine_is_asked_by_the_name_that_finds_it(self) -> None:
        name = "timm:resnet18.a1_in1k"
        engine = ScriptedEngine(photos(12), instantly=True)
        async with explore(engine, model=name) as session:
            assert session.app.model == "timm-resnet18-a1-in1k"
            assert engine.asked(Embed) == [], "it has to be downloaded"
            await session.press("e")
            assert engine.asked(Embed)[0].models == (name,)

    async def test_it_is_one_of_those_to_switch_between(self) -> None:
        engine = ScriptedEngine(photos(12), embedded=[LITE0])
        async with explore(engine, model="timm:resnet18.a1_in1k") as session:
            await session.press("right_square_bracket")
            assert session.app.model == LITE0
            await session.press("left_square_bracket")
            assert session.app.model == "timm-resnet18-a1-in1k"
