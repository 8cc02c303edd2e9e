"""Embedding from the screen: when it starts, what is said meanwhile, how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    WIDE,
    ScriptedEngine,
    Session,
    catalogue,
    explore,
    photos,
    put_on_disk,
)
from visexplore.core.catalogue import LIBRARIES, Checkpoint, Family
from visexplore.core.engine import AskCacheStates, Cancel, Embed
from visexplore.core.errors import CannotLoadModel
from visexplore.core.messages import SkippedImage
from visexplore.tui.base_app import AUTO_EMBED_AT_START, AUTO_EMBED_ON_SWITCH

SPACE = "The disk is full"


class TestStartingByItself:
    async def test_a_small_dataset_is_embedded_at_the_start(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_AT_START))) as session:
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE0,)]
            assert "neighbours appear as soon as there are some" in session.head

    async def test_a_large_one_is_not(self) -> None:
        async with explore(ScriptedEngine(photos(AUTO_EMBED_AT_START + 1))) as session:
            assert session.engine.asked(Embed) == []
            assert session.head.splitlines()[1] == (
                f"Not embedded with {LITE0} yet: press e to embed 3,001 images: "
                "about 1.3 GB memory, 7.7 MB on disk, licence Apache-2.0."
            )

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

    async def test_a_large_model_is_begun_with_on_fewer_images(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        most = AUTO_EMBED_AT_START * 10 // 151  # it has 151 million parameters
        async with explore(ScriptedEngine(photos(most)), model=CLIP) as session:
            assert [job.models for job in session.engine.asked(Embed)] == [(CLIP,)]
        async with explore(ScriptedEngine(photos(most + 1)), model=CLIP) as session:
            assert session.engine.asked(Embed) == []

    async def test_a_large_model_that_is_passed_by_is_not_begun_with(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        async with explore(ScriptedEngine(photos(100), embedded=[LITE0])) as session:
            await session.press("left_square_bracket")
            assert session.app.model == CLIP
            assert session.engine.asked(Embed) == []
            assert session.head.splitlines()[1] == (
                f"Not embedded with {CLIP} yet: press e to embed 100 images: "
                "about 1.9 GB memory, 102 kB on disk, licence MIT."
            )

    async def test_nothing_is_begun_or_said_to_be_missing_before_it_is_known_what_is_embedded(self) -> None:
        engine = ScriptedEngine(photos(12), embedded=[LITE0, LITE1])
        engine.hold(AskCacheStates)
        async with explore(engine) as session:
            assert session.head.splitlines()[1] == "Looking up what is embedded ..."
            await session.press("right_square_bracket")
            assert engine.asked(Embed) == []
            engine.release()
            await session.settle()
            assert len(session.neighbours) == 5
            assert engine.asked(Embed) == []

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

    async def test_the_jobs_window_tells_of_the_one_under_the_cursor_in_full(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            await session.press("e", "right_square_bracket", "e")
            session.engine.fail_job(CannotLoadModel("The weights are not here: " + "nobody answers " * 5, "Go online."))
            await session.press("J")
            assert session.text_of("#job-in-full").strip() == f"photos with {LITE1}: waits for its turn"
            await session.press("j")
            words = " ".join(session.text_of("#job-in-full").split())
            assert words.startswith(f"photos with {LITE0}: The weights are not here: nobody answers")
            assert words.endswith("Go online.")

    async def test_the_jobs_window_follows_it(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            await session.press("J")
            session.engine.progress(25)
            await session.settle()
            session.app.screen._refresh()  # type: ignore[attr-defined] - it looks twice a second
            await session.settle()
            assert "25/100  20.0/s" in session.text_of("#jobs")


def row_of_clip(session: Session) -> str:
    """Return what the list of models says of CLIP."""
    return next(line for line in session.text_of("#models").splitlines() if CLIP in line)


class TestDownloading:
    """A model that is not on this machine is fetched first, by the same job."""

    @staticmethod
    async def begin(session: Session) -> None:
        """Choose the model to download and start."""
        await session.press("e")
        assert isinstance(session.engine, ScriptedEngine)
        session.engine.download(210)
        await session.settle()

    async def test_the_status_line_tells_bytes_rate_and_time_left(self) -> None:
        async with explore(ScriptedEngine(photos(100)), MIDDLE, model=CLIP) as session:
            await self.begin(session)
            assert session.status == f"downloading {CLIP}  ██████░░░░░░░░░░░░░░  210 of 605 MB  21 MB/s  0:19 left"

    async def test_80_columns_have_room_for_all_that(self) -> None:
        async with explore(ScriptedEngine(photos(100)), NARROW, model=CLIP) as session:
            await self.begin(session)
            assert f"downloading {CLIP}  ██░░░░  210 of 605 MB  21 MB/s  0:19 left" in session.text_of("#status")

    async def test_loading_and_embedding_follow(self) -> None:
        async with explore(ScriptedEngine(photos(100)), MIDDLE, model=CLIP) as session:
            await self.begin(session)
            assert session.head.splitlines()[1].startswith(f"Downloading {CLIP}, then embedding: neighbours appear")
            session.engine.progress(0, stage="loading")
            await session.settle()
            assert session.status == f"embedding photos with {CLIP}  loading the model"
            assert session.head.splitlines()[1].startswith(f"Embedding with {CLIP}: neighbours appear")
            session.engine.progress(25)
            await session.settle()
            assert "25/100  20.0/s" in session.status

    async def test_it_can_be_stopped(self) -> None:
        async with explore(ScriptedEngine(photos(100)), model=CLIP) as session:
            await self.begin(session)
            session.engine.hold(Cancel)
            await session.press("e")
            assert session.status == f"downloading {CLIP}  stopping"
            session.engine.stop_download()
            await session.settle()
            assert session.status == f"photos with {CLIP}: stopped: what was downloaded is kept"
            assert "download 605 MB" in session.head
            assert "e Embed" in session.lines[-1]

    async def test_the_jobs_window_tells_it_too(self) -> None:
        async with explore(ScriptedEngine(photos(100)), model=CLIP) as session:
            await self.begin(session)
            await session.press("J")
            assert f"photos with {CLIP}: downloading 210 of 605 MB  21 MB/s  0:19 left" in session.text_of("#jobs")

    async def test_when_it_has_ended_the_list_and_the_facts_say_on_disk(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        async with explore(ScriptedEngine(photos(100)), WIDE, model=CLIP) as session:
            await asyncio.sleep(0.3)  # the facts follow when the cursor rests
            await self.begin(session)
            assert "605 MB" in row_of_clip(session)
            assert "605 MB, to download" in session.content_of("#facts")
            put_on_disk(monkeypatch, tmp_path)
            session.engine.progress(0, stage="loading")
            await session.settle()
            assert "on disk" in row_of_clip(session)
            assert "605 MB, on disk" in session.content_of("#facts")

    async def test_and_it_is_one_of_the_models_to_switch_between(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        async with explore(ScriptedEngine(photos(100), embedded=[LITE0])) as session:
            await session.press("1", "home", "enter", "e")
            put_on_disk(monkeypatch, tmp_path)
            session.engine.finish()
            await session.settle()
            assert CLIP in [c.slug for c in session.app.catalogue.checkpoints if session.app._weights.run_here(c)]
            assert len(session.neighbours) == 5

    async def test_without_a_network_the_sentence_says_so(self) -> None:
        offline = CannotLoadModel("The weights of clip-vit-b32 cannot be fetched: there is no network", "Go online.")
        async with explore(ScriptedEngine(photos(100)), WIDE, model=CLIP) as session:
            await session.press("e")
            session.engine.fail_job(offline)
            await session.settle()
            told = "The weights of clip-vit-b32 cannot be fetched: there is no network. Go online."
            assert (session.head.splitlines()[1], session.status, session.notes) == (told, told, [told])
            assert "605 MB" in row_of_clip(session)

    async def test_a_model_fetched_meanwhile_by_another_program_is_seen_when_it_is_chosen(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        async with explore(ScriptedEngine(photos(600), embedded=[LITE0]), WIDE) as session:
            put_on_disk(monkeypatch, tmp_path)
            await session.press("1", "home", "enter")
            assert session.head.splitlines()[1].startswith(
                f"Not embedded with {CLIP} yet: press e to embed 600 images:"
            )
            assert "on disk" in row_of_clip(session)

    async def test_a_library_that_is_missing_is_told_before_anything_is_downloaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(LIBRARIES, "transformers", "no_such_library")
        async with explore(ScriptedEngine(photos(100)), model=CLIP) as session:
            assert session.head.splitlines()[1] == f"{CLIP} needs no_such_library, which is not installed."

    async def test_what_is_not_known_is_not_told(self) -> None:
        nameless = Checkpoint(id="a/b", loader="transformers", slug="mine", family="mine")
        models = catalogue(Family(id="mine", checkpoints=(nameless,)))
        async with explore(ScriptedEngine(photos(100)), MIDDLE, models=models, model="mine") as session:
            assert session.head.splitlines()[1] == (
                "mine is not on this machine: press e to download it and embed 100 images: a download of unknown size."
            )
            await session.press("e")
            session.engine.download(0, bytes_total=0, bytes_per_second=0.0, eta_seconds=None)
            await session.settle()
            assert session.status == "downloading mine  waiting for the hub"
            session.engine.download(3, bytes_total=0, bytes_per_second=0.0, eta_seconds=None)
            await session.settle()
            assert session.status == "downloading mine  3 MB"


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

    async def test_half_precision_is_named(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.finish(precision="bfloat16")
            await session.settle()
            assert session.status == f"photos with {LITE0}: 100 images embedded, 20.0/s in bfloat16"

    async def test_what_was_decided_at_loading_is_told_once(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.finish(remarks=("It embeds in float32.", "Its size was derived."))
            await session.settle()
            assert session.notes == [f"{LITE0}: It embeds in float32. Its size was derived."]
            await session.press("e")
            session.engine.finish(remarks=("It embeds in float32.", "Something new."))
            await session.settle()
            assert session.notes[1:] == [f"{LITE0}: Something new."]

    async def test_the_models_and_the_images_say_so(self) -> None:
        async with explore(ScriptedEngine(photos(100)), WIDE) as session:
            assert session.content_of("#cache-states") == f"{LITE0} none of 100 embedded"
            session.engine.finish()
            await session.settle()
            assert session.content_of("#cache-states") == f"{LITE0} all 100 embedded"
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
            assert session.content_of("#cache-states") == f"{LITE0} 40 embedded, 60 missing (e)"


class TestModelsOutsideTheCatalogue:
    async def test_the_engine_is_asked_by_the_name_that_finds_it(self) -> None:
        name = "timm:resnet18.a1_in1k"
        engine = ScriptedEngine(photos(12), instantly=True)
        async with explore(engine, model=name) as session:
            assert session.app.model == "timm-resnet18-a1-in1k"
            assert engine.asked(Embed) == [], "it has to be downloaded"
            assert session.head.splitlines()[1] == (
                "Not embedded with timm-resnet18-a1-in1k yet: press e to download its weights, unless they are here, "
                "and embed 12 images."
            )
            await session.press("e")
            assert engine.asked(Embed)[0].models == (name,)

    async def test_it_is_one_of_those_to_switch_between(self) -> None:
        engine = ScriptedEngine(photos(12), embedded=[LITE0])
        async with explore(engine, model="timm:resnet18.a1_in1k") as session:
            await session.press("right_square_bracket")
            assert session.app.model == LITE0
            await session.press("left_square_bracket")
            assert session.app.model == "timm-resnet18-a1-in1k"
