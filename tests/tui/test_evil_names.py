"""Names that do harm where a terminal or a markup parser takes them at their word, in every part of the screen."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandPalette
from textual.widget import Widget
from textual.widgets import Input

from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    NARROW,
    WIDE,
    Photos,
    ScriptedEngine,
    Session,
    catalogue,
    explore,
    photos,
    put_on_disk,
)
from visexplore.core.catalogue import Checkpoint, Family, Link, Paper, SeedEntry
from visexplore.core.engine import AskPicture, OpenDataset, Search
from visexplore.core.errors import NoTextTower, UnreadableImage, VisexploreError
from visexplore.core.messages import CacheState, SkippedImage
from visexplore.core.text import printable
from visexplore.tui.terminal import Graphics

EVIL = "a\x1b[2J\x1b]0;t\x07\x9b31m\u202e\u200b\nz[red]r[/][/b][@click=app.quit]q[/]\udcff[x"
"""Escape sequences, a bell, a C1 control, a right-to-left override, a zero-width space, a line feed, markup that opens,
closes what was not opened and runs an action, half a file name that is no Unicode, and a bracket that stays open."""
EVIL_FILE = EVIL.replace("/", "|") + ".jpg"
"""The same as the name of a file, which may hold no slash."""
HOSTILE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def assert_harmless(session: Session) -> None:
    """Fail if anything that is on the screen could reach the terminal as more than a character."""
    for line in session.lines:
        hostile = [char for char in line if unicodedata.category(char) in HOSTILE]
        assert not hostile, f"{hostile} in {line!r}"
    assert session.app.is_running
    session.text.encode()


def assert_literal(session: Session, place: str | Widget = "") -> None:
    """Fail unless the markup in the name is to be read as it stands."""
    shown = session.text_of(place) if place else session.text
    assert "[red]" in "".join(shown.split())


@pytest.fixture
def evil() -> ScriptedEngine:
    """An engine with a dataset of which every word is evil."""
    ids = tuple(f"{EVIL.replace('/', '|')}{n}/{EVIL_FILE}" for n in range(12))
    data = Photos(
        ids, tuple(f"{EVIL}{n % 3}" for n in range(12)), title=EVIL, problems=(f"{EVIL}: {EVIL}",),
        unreadable={ids[1]: EVIL, ids[2]: EVIL},
    )  # fmt: skip
    return ScriptedEngine(data, embedded=[LITE0])


def plain() -> ScriptedEngine:
    """Return an engine with a dataset that does no harm."""
    return ScriptedEngine(photos(12), embedded=[LITE0])


def evil_family() -> Family:
    """Return an entry as a user's own catalogue file may have it: only its slugs are checked."""
    return Family(
        id="evil", name=EVIL, organisation=EVIL, kind=EVIL, remark=EVIL, first_public="2020", venue=EVIL,
        training_data=EVIL, licence_code=EVIL, corrections=(EVIL,), code=(EVIL,),
        papers=(Paper(title=EVIL, venue=EVIL, url=EVIL),),
        seed=SeedEntry(title=EVIL, date=EVIL, data=(EVIL,), remarks=(EVIL,), models=(Link(label=EVIL, url=EVIL),)),
        checkpoints=(
            Checkpoint(id=EVIL, loader="timm", slug="evil", family="evil", pooling=EVIL, licence=EVIL, notes=EVIL),
        ),
    )  # fmt: skip


class TestPanels:
    @pytest.mark.parametrize("size", [NARROW, WIDE])
    async def test_all_of_them(self, evil: ScriptedEngine, size: tuple[int, int]) -> None:
        async with explore(evil, size) as session:
            assert_harmless(session)
            assert_literal(session)
            for key in ("1", "2", "2", "3"):
                await session.press(key)
                assert_harmless(session)

    @pytest.mark.parametrize("graphics", [Graphics.TEXT, Graphics.HALFBLOCK])
    async def test_reasons_in_the_place_of_pictures(self, evil: ScriptedEngine, graphics: Graphics) -> None:
        async with explore(evil, WIDE, graphics=graphics) as session:
            assert_harmless(session)
            assert_literal(session, session.strip.cells[1].picture)

    async def test_moving_through_them(self, evil: ScriptedEngine) -> None:
        async with explore(evil, WIDE) as session:
            await session.press("n", "p", "right", "enter", "2", "right", "enter")
            assert_harmless(session)

    async def test_choosing_a_label(self, evil: ScriptedEngine) -> None:
        async with explore(evil, WIDE) as session:
            await session.press("2", "2", "end", "enter")
            assert_harmless(session)
            assert session.content_of("#page").startswith("4 images, page 1 of")

    async def test_a_model_of_the_store_that_nobody_knows(self, evil: ScriptedEngine) -> None:
        evil.embedded["/photos", EVIL] = 3
        async with explore(evil, WIDE) as session:
            assert_harmless(session)
            assert printable("\x1b") in session.content_of("#cache-states")

    async def test_a_model_in_an_answer(self, evil: ScriptedEngine) -> None:
        found = evil._search
        evil._search = lambda request: replace(  # type: ignore[method-assign]
            found(request), results=(replace(found(request).results[0], model=EVIL),)
        )
        async with explore(evil, WIDE) as session:
            assert_harmless(session)
            assert_literal(session, "#query-note")


class TestWindows:
    @pytest.mark.parametrize("key", ["z", "J", "o", "D", "question_mark", "m", "ctrl+p"])
    async def test_each_of_them(self, evil: ScriptedEngine, key: str) -> None:
        async with explore(evil, WIDE) as session:
            await session.press("right", key)
            await session.app.workers.wait_for_complete()
            await session.settle()
            assert len(session.app.screen_stack) == 2
            assert_harmless(session)

    @pytest.mark.parametrize("keys", ["o", "t", "m", "D", "1 slash"])
    async def test_what_is_pasted_into_a_field(self, evil: ScriptedEngine, keys: str) -> None:
        async with explore(evil, WIDE) as session:
            await session.press(*keys.split())
            session.app.post_message(events.Paste(f"one{EVIL}two"))
            await session.settle()
            assert_harmless(session)
            field = session.app.focused
            assert isinstance(field, Input)
            assert field.value.startswith("onea [2J ]0;t")
            assert field.value.endswith("two"), "of several lines, all"

    async def test_zoom_shows_names_and_reasons(self, evil: ScriptedEngine) -> None:
        async with explore(evil, WIDE) as session:
            evil.fail(AskPicture, UnreadableImage(EVIL))
            await session.press("right", "z", "right")
            assert_harmless(session)
            assert_literal(session, "#zoom")

    async def test_jobs_show_titles_and_failures(self, evil: ScriptedEngine) -> None:
        evil.embedded.clear()
        async with explore(evil, WIDE) as session:
            evil.fail_job(VisexploreError(EVIL, EVIL))
            await session.press("J")
            assert_harmless(session)
            assert printable("\x1b") in session.text_of("#jobs")


class TestMessages:
    async def test_a_dataset_that_cannot_be_opened(self) -> None:
        engine = ScriptedEngine(photos(3))
        engine.fail(OpenDataset, VisexploreError(EVIL, EVIL))
        async with explore(engine, WIDE) as session:
            assert_harmless(session)
            assert_literal(session, "#dataset")
            assert len(session.notes) == 1

    async def test_the_path_while_it_is_opened(self) -> None:
        engine = ScriptedEngine(replace(photos(3), spec=f"/{EVIL}"))
        engine.hold(OpenDataset)
        async with explore(engine, WIDE) as session:
            assert_harmless(session)
            assert "[red]" in session.status

    async def test_a_search_that_fails(self, evil: ScriptedEngine) -> None:
        evil.fail(Search, VisexploreError(EVIL, EVIL))
        async with explore(evil, WIDE) as session:
            assert_harmless(session)
            assert_literal(session, "#query-note")

    async def test_a_running_job_one_that_fails_and_one_that_skips(self, evil: ScriptedEngine) -> None:
        evil.embedded.clear()
        async with explore(evil, WIDE) as session:
            evil.progress(3)
            await session.settle()
            assert_harmless(session)
            assert printable("\x1b") in session.status
            evil.fail_job(VisexploreError(EVIL))
            await session.settle()
            assert_harmless(session)
            await session.press("e")
            evil.finish(skipped=(SkippedImage(EVIL_FILE, EVIL),))
            await session.settle()
            assert_harmless(session)

    async def test_an_engine_that_dies(self, evil: ScriptedEngine) -> None:
        async with explore(evil, WIDE) as session:
            evil.die(EVIL)
            await session.settle()
            assert_harmless(session)

    async def test_an_outside_picture(self, evil: ScriptedEngine) -> None:
        async with explore(evil, WIDE) as session:
            evil.fail(AskPicture, UnreadableImage(EVIL))
            session.app._set_target(replace(session.app.target, image_id="", path=EVIL, label=None))  # type: ignore[type-var]
            await session.settle()
            assert_harmless(session)
            await session.press("z")
            assert_harmless(session)


class TestTextQueries:
    @pytest.fixture
    def clip(self, evil: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedEngine:
        """The same engine, with a model that has a text tower."""
        put_on_disk(monkeypatch, tmp_path)
        evil.embedded["/photos", CLIP] = 12
        return evil

    @pytest.mark.parametrize("graphics", [Graphics.TEXT, Graphics.HALFBLOCK])
    async def test_the_words_and_their_neighbours(self, clip: ScriptedEngine, graphics: Graphics) -> None:
        async with explore(clip, WIDE, graphics=graphics, model=CLIP) as session:
            session.app._search_text(EVIL, CLIP)
            await session.settle()
            assert_harmless(session)
            assert_literal(session, session.strip.cells[0].picture)
            assert "[red]" in session.content_of("#query-head")
            await session.press("z")
            assert_harmless(session)
            assert_literal(session, session.app.screen.query_one("#zoom-query Picture"))

    async def test_a_search_that_fails(self, clip: ScriptedEngine) -> None:
        clip.fail(Search, NoTextTower(EVIL, EVIL))
        async with explore(clip, WIDE, model=CLIP) as session:
            session.app._search_text(EVIL, CLIP)
            await session.settle()
            assert_harmless(session)
            assert_literal(session, "#query-note")

    async def test_the_last_words_in_the_field(self, clip: ScriptedEngine) -> None:
        async with explore(clip, WIDE, model=CLIP) as session:
            session.app._search_text(EVIL, CLIP)
            await session.press("t")
            assert_harmless(session)


class TestTheUsersOwnCatalogue:
    async def test_the_list_and_the_facts(self) -> None:
        async with explore(
            ScriptedEngine(photos(12), embedded=[LITE0]), WIDE, models=catalogue(evil_family())
        ) as session:
            await session.press("1", "end")
            await asyncio.sleep(0.3)  # the facts follow when the cursor rests
            await session.settle()
            assert_harmless(session)
            assert_literal(session, "#model-facts")

    async def test_a_family_without_weights(self) -> None:
        family = replace(evil_family(), checkpoints=(), unreleased=EVIL)
        async with explore(plain(), WIDE, models=catalogue(family)) as session:
            await session.press("1", "end", "enter")
            assert len(session.notes) == 1
            assert_harmless(session)
            assert_literal(session)

    async def test_what_a_model_costs(self) -> None:
        async with explore(plain(), WIDE, models=catalogue(evil_family()), model="evil") as session:
            assert "is not on this machine" in session.head
            assert_harmless(session)
            assert "[red]" in session.content_of("#query-note")

    async def test_what_was_decided_at_loading(self) -> None:
        engine = ScriptedEngine(photos(12))
        async with explore(engine, WIDE) as session:
            engine.finish(remarks=(EVIL,), precision=EVIL)
            await session.settle()
            assert len(session.notes) == 1
            assert_harmless(session)

    @pytest.mark.parametrize("words", ["", "red"])
    async def test_the_model_picker(self, words: str) -> None:
        async with explore(
            ScriptedEngine(photos(12), embedded=[LITE0]), WIDE, models=catalogue(evil_family())
        ) as session:
            await session.press("m", *words)
            await session.app.workers.wait_for_complete()
            await session.settle()
            assert isinstance(session.app.screen, CommandPalette)
            assert_harmless(session)
            assert_literal(session)

    async def test_the_filter(self) -> None:
        async with explore(
            ScriptedEngine(photos(12), embedded=[LITE0]), WIDE, models=catalogue(evil_family())
        ) as session:
            await session.press("1", "slash", *"[red]")
            assert_harmless(session)
            assert "1 model of 1 families" in session.text or "1 model of 1 family" in session.text


def test_the_state_of_a_store_is_a_plain_value() -> None:
    assert CacheState(EVIL, 1, 0, 2).model == EVIL, "nothing before the screen makes it printable"
