"""The dataset browser: the tree of labels, filters, marks, details of an image, what is unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import SystemCommand
from textual.widgets import DataTable, Input, Static

from tests.tui.scripted_engine import (
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    SPEC,
    WIDE,
    Photos,
    ScriptedEngine,
    Session,
    explore,
    photos,
)
from tests.tui.test_evil_names import EVIL, EVIL_FILE, assert_harmless
from visexplore.core.engine import AskImageFacts, AskPicture, AskThumbnail, Died, ExportPaths, OpenDataset
from visexplore.core.errors import EngineDied, StorageError, UserError
from visexplore.core.messages import ImageFacts, ImageUnderModel
from visexplore.tui.messages import MarksChanged
from visexplore.tui.panels.datasets import DatasetPanel
from visexplore.tui.screens.image_details import ImageDetails, facts_table
from visexplore.tui.screens.unreadable import Unreadable
from visexplore.tui.widgets.label_list import LabelList

NESTED = ("fruit/apple/gala", "fruit/apple/smith", "fruit/kiwi", "milk/oat")
"""Of three images each."""


def nested(**facts: object) -> ScriptedEngine:
    return ScriptedEngine(photos(12, NESTED, **facts), embedded=[LITE0])


def many(labels: int = 60) -> ScriptedEngine:
    """Return an engine with so many nested labels that not all are unfolded at first."""
    return ScriptedEngine(photos(2 * labels, tuple(f"kind-{n % 3}/sort-{n:02}" for n in range(labels))))


def panel(session: Session) -> DatasetPanel:
    return session.app.screen_stack[0].query_one(DatasetPanel)


def labels(session: Session) -> list[str]:
    """The rows of the list of labels that are not empty, without the blanks around them."""
    lines = session.text_of("#labels").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


def place(session: Session) -> str:
    return session.content_of("#page")


def names(session: Session) -> list[str]:
    return [caption for caption in session.captions(session.thumbnails) if caption]


class TestLabelTree:
    async def test_nested_labels_are_a_tree_with_the_images_of_all_that_is_inside(self) -> None:
        async with explore(nested()) as session:
            await session.press("2")
            assert labels(session) == [
                "All 12", "- fruit 9", "- apple 6", "gala 3", "smith 3", "kiwi 3", "- milk 3", "oat 3",
            ]  # fmt: skip

    async def test_left_folds_and_right_unfolds(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "2", "down", "left")
            assert labels(session)[:3] == ["All 12", "+ fruit 9", "- milk 3"]
            await session.press("right")
            assert labels(session)[:3] == ["All 12", "- fruit 9", "- apple 6"]

    async def test_h_and_l_do_the_same(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "2", "down", "h")
            assert labels(session)[1] == "+ fruit 9"
            await session.press("l")
            assert labels(session)[1] == "- fruit 9"

    async def test_they_lead_out_of_a_label_and_into_it(self) -> None:
        async with explore(nested()) as session:
            rows = session.app.screen.query_one(LabelList)
            await session.press("2", "2", "down", "right", "right")
            assert rows.cursor == 3
            await session.press("right", "left")
            assert rows.cursor == 2
            await session.press("left", "left")
            assert rows.cursor == 1

    async def test_enter_shows_the_images_of_all_that_is_inside(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "2", "down", "enter")
            assert place(session).startswith("9 images, page 1 of")
            assert place(session).endswith("label fruit")
            await session.press("2", "down", "enter")
            assert place(session).startswith("6 images")
            assert session.focus == "thumbnails"

    async def test_with_many_labels_only_the_outer_ones_are_unfolded_at_first(self) -> None:
        async with explore(many()) as session:
            await session.press("2")
            assert labels(session) == ["All 120", "+ kind-0 40", "+ kind-1 40", "+ kind-2 40"]

    async def test_a_click_on_the_sign_folds(self) -> None:
        async with explore(nested()) as session:
            await session.press("2")
            rows = session.app.screen.query_one(LabelList)
            await session.pilot.click(rows, offset=(1, 1))
            await session.settle()
            assert labels(session)[1] == "+ fruit 9"
            assert place(session).startswith("12 images")

    async def test_listed_afresh_the_cursor_stays_and_what_is_folded_stays_folded(self) -> None:
        engine = nested()
        async with explore(engine) as session:
            await session.press("2", "2", "down", "left", "down", "down")
            before = labels(session)
            engine.datasets[SPEC] = photos(16, NESTED)
            session.app.engine.send(OpenDataset(session.app.engine.ticket(), SPEC))
            await session.settle()
            assert [row.split()[:-1] for row in labels(session)] == [row.split()[:-1] for row in before]
            await session.press("enter")
            assert place(session).startswith("4 images")
            assert place(session).endswith("label milk/oat")

    async def test_listed_afresh_the_chosen_label_and_the_image_under_the_cursor_stay(self) -> None:
        engine = nested()
        async with explore(engine) as session:
            await session.press("2", "2", "down", "enter", "right", "right")
            under = panel(session).under_cursor
            engine.datasets[SPEC] = Photos(
                ("a/new.jpg", *engine.datasets[SPEC].image_ids), ("fruit/new", *engine.datasets[SPEC].labels)
            )
            session.app.engine.send(OpenDataset(session.app.engine.ticket(), SPEC))
            await session.settle()
            assert panel(session).under_cursor == under
            assert place(session).startswith("10 images")


class TestFilter:
    @pytest.mark.parametrize(
        ("typed", "images"),
        [("gala", 3), ("label:apple", 6), ("name:apple", 0), ("apple -gala", 3), ("name:00", 10), ("-label:fruit", 3)],
    )
    async def test_words_are_looked_for_in_names_and_labels(self, typed: str, images: int) -> None:
        async with explore(nested()) as session:
            await session.press("2", "slash", *typed)
            assert place(session).startswith(f"{images} image")

    async def test_the_list_of_labels_has_the_numbers_of_what_was_found(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "slash", *"apple")
            assert labels(session) == ["All 6", "- fruit 6", "- apple 6", "gala 3", "smith 3"]
            await session.press("escape")
            assert labels(session)[0] == "All 12"

    async def test_escape_keeps_the_cursor_on_the_image_that_was_found(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "slash", *"oat", "enter", "right", "escape")
            assert panel(session).under_cursor == "milk/oat/010.jpg"
            assert place(session).startswith("12 images")

    async def test_pictures_stay_where_they_are_while_it_is_open(self) -> None:
        async with explore(nested(), WIDE) as session:
            await session.press("2")
            before = session.thumbnails.region
            await session.press("slash")
            assert session.focus == "image-filter"
            assert session.thumbnails.region == before

    async def test_typing_on_and_going_back_finds_the_same(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "slash", *"app")
            found = place(session)
            await session.press(*"le -smith")
            assert place(session).startswith("3 images")
            session.app.screen.query_one("#image-filter", Input).value = "app"
            await session.settle()
            assert place(session) == found


class TestMarks:
    async def test_space_marks_with_a_sign_and_unmarks(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "right", "space")
            assert names(session)[1] == "* 001.jpg"
            assert place(session).endswith("1 marked")
            assert panel(session).marks == ("fruit/apple/gala/001.jpg",)
            await session.press("space")
            assert names(session)[1] == "001.jpg"
            assert panel(session).marks == ()

    async def test_it_changes_a_caption_and_no_picture(self) -> None:
        async with explore(nested()) as session:
            await session.press("2")
            before = [cell.picture._rows for cell in session.thumbnails.cells]
            await session.press("space")
            assert all(cell.picture._rows is rows for cell, rows in zip(session.thumbnails.cells, before, strict=True))

    async def test_star_shows_the_marked_alone_and_again_all(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "right", "right", "space", "left", "space", "asterisk")
            assert names(session) == ["* 001.jpg", "* 002.jpg"]
            assert "only the marked" in place(session)
            await session.press("asterisk")
            assert place(session).startswith("12 images")
            assert panel(session).under_cursor == "fruit/apple/gala/001.jpg"

    async def test_what_is_unmarked_among_them_stays_until_they_are_listed_anew(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "space", "right", "space", "asterisk", "space")
            assert len(names(session)) == 2
            await session.press("asterisk", "asterisk")
            assert len(names(session)) == 1

    async def test_without_marks_star_says_what_to_press(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "asterisk")
            assert session.notes == ["No image is marked: space marks the one under the cursor."]
            assert place(session).startswith("12 images")

    async def test_u_unmarks_all_and_brings_them_back(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "space", "right", "space")
            marks = panel(session).marks
            await session.press("u")
            assert panel(session).marks == ()
            assert session.notes == ["2 images unmarked: u brings the marks back."]
            await session.press("u")
            assert panel(session).marks == marks

    async def test_changes_are_told(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "space")
            panel(session).set_marks(["milk/oat/009.jpg", "fruit/kiwi/006.jpg"])
            await session.settle()
            told = [message.marks for message in session.messages if isinstance(message, MarksChanged)]
            assert ("fruit/apple/gala/000.jpg",) in told
            assert told[-1] == ("milk/oat/009.jpg", "fruit/kiwi/006.jpg") == panel(session).marks

    async def test_in_the_query_view_space_marks_the_neighbour_under_the_cursor(self) -> None:
        async with explore(nested(), WIDE) as session:
            await session.press("right", "space")
            assert panel(session).marks == ("fruit/apple/gala/001.jpg",)
            assert names(session)[1] == "* 001.jpg"

    async def test_another_dataset_has_none(self) -> None:
        async with explore(ScriptedEngine(photos(12), photos(3, spec="/other"))) as session:
            await session.press("2", "space", "D", *"/other", "enter")
            assert panel(session).marks == ()

    async def test_their_paths_are_written_and_it_is_said_where(self) -> None:
        async with explore(nested()) as session:
            assert not [command for command in commands(session) if "Write the paths" in command.title]
            await session.press("2", "space")
            [write] = [command for command in commands(session) if "Write the paths" in command.title]
            write.callback()
            await session.settle()
            [request] = session.engine.asked(ExportPaths)
            assert request.image_ids == ("fruit/apple/gala/000.jpg",)
            assert Path(request.folder) == Path.cwd() / "visexplore-marks"
            assert session.notes == [f"Written: {request.folder}/photos.txt"]

    async def test_a_folder_that_cannot_be_written_is_told(self) -> None:
        async with explore(nested()) as session:
            session.engine.fail(ExportPaths, StorageError("It cannot be written", "Choose another place."))
            await session.press("2", "space")
            session.app.action_write_marks()
            await session.settle()
            assert session.notes == ["It cannot be written. Choose another place."]


def commands(session: Session) -> list[SystemCommand]:
    return list(session.app.get_system_commands(session.app.screen))


def details(session: Session) -> ImageDetails:
    window = session.app.screen
    assert isinstance(window, ImageDetails)
    return window


def facts(session: Session) -> str:
    return str(session.app.screen.query_one("#details-facts", Static).visual)


class TestDetails:
    async def test_i_shows_the_image_under_the_cursor_with_its_facts(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "right", "i")
            assert details(session).image_id == "fruit/apple/gala/001.jpg"
            text = session.text
            for words in (
                "fruit/apple/gala",
                "96 x 72 pixels",
                "JPEG, RGB",
                "123 kB",
                "Testcam 1",
                "train",
                "0123abcd",
            ):
                assert words in text
            assert f"✓ {LITE0}" in text

    @pytest.mark.parametrize(("forward", "back"), [("n", "p"), ("right", "left"), ("l", "h")])
    async def test_keys_go_through_the_images_shown(self, forward: str, back: str) -> None:
        async with explore(nested()) as session:
            await session.press("2", "slash", *"oat", "enter", "i", forward)
            assert details(session).image_id == "milk/oat/010.jpg"
            await session.press(forward, forward)
            assert details(session).image_id == "milk/oat/011.jpg"
            await session.press(back)
            assert details(session).image_id == "milk/oat/010.jpg"

    async def test_left_it_has_the_cursor_on_what_was_looked_at_last(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "i", "n", "n", "escape")
            assert panel(session).under_cursor == "fruit/apple/gala/002.jpg"

    async def test_space_marks_there_too(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "i", "n", "space")
            assert "* fruit/apple/gala/001.jpg" in session.text
            await session.press("escape")
            assert panel(session).marks == ("fruit/apple/gala/001.jpg",)
            assert names(session)[1] == "* 001.jpg"

    async def test_in_the_query_view_it_begins_with_the_neighbour_under_the_cursor(self) -> None:
        async with explore(nested()) as session:
            await session.press("right", "right", "i")
            assert details(session).image_id == "fruit/apple/gala/002.jpg"
            await session.press("p", "escape")
            assert session.strip.cursor == 1

    async def test_a_model_that_has_begun_with_nothing_is_listed_too(self) -> None:
        async with explore(nested(), model=LITE1) as session:
            session.app.jobs.cancel(session.engine.jobs[0].ticket)
            await session.press("2", "i")
            assert f"✗ {LITE1}: no" in session.text
            assert f"✓ {LITE0}" in session.text

    async def test_an_unreadable_image_shows_the_reason(self) -> None:
        engine = nested(unreadable={"fruit/apple/gala/000.jpg": "It is cut off"})
        async with explore(engine, MIDDLE) as session:
            await session.press("2", "i")
            assert f"✗ {LITE0}: unreadable: It is cut off" in session.text
            assert session.text.count("It is cut off") >= 3

    async def test_an_answer_about_an_image_that_was_left_is_not_shown(self) -> None:
        async with explore(nested()) as session:
            session.engine.hold(AskImageFacts, AskPicture)
            await session.press("2", "i", "n")
            session.engine.release(2)
            await session.settle()
            assert "Reading ..." in session.text
            session.engine.release()
            await session.settle()
            assert "96 x 72 pixels" in session.text

    async def test_a_failure_is_one_line(self) -> None:
        async with explore(nested()) as session:
            session.engine.fail(AskImageFacts, UserError("It is gone", "Open the dataset again."))
            await session.press("2", "i")
            assert facts(session) == "It is gone. Open the dataset again."

    async def test_an_engine_that_dies_is_told(self) -> None:
        async with explore(nested()) as session:
            session.engine.hold(AskImageFacts)
            await session.press("2", "i")
            session.engine.on_event(Died(EngineDied("The engine stopped", "Look into its log.")))
            await session.settle()
            assert facts(session) == "The engine stopped. Look into its log."

    def test_copies_are_listed_and_the_rest_counted(self) -> None:
        known = ImageFacts(
            "a", "/p/a", 5, None, None, None, (), copies=tuple(f"copy-{n}" for n in range(12)),
            models=(ImageUnderModel(LITE0, embedded=True),),
        )  # fmt: skip
        text = str(facts_table(known, LITE0, 60))
        assert "copy-7" in text
        assert "and 4 others" in text

    def test_long_facts_stay_in_their_column(self) -> None:
        known = ImageFacts("a", "/very/long/path" * 9, 5, None, "label", None, ())
        lines = str(facts_table(known, LITE0, 40)).splitlines()
        assert all(len(line) <= 40 for line in lines)
        assert "".join(line[12:] for line in lines if line.startswith(("path", " "))).startswith("/very/long/path/very")


class TestUnreadable:
    UNREADABLE: dict[str, str] = {"fruit/kiwi/006.jpg": "It is cut off", "milk/oat/009.jpg": "It is empty"}  # noqa: RUF012

    async def test_capital_u_lists_them_with_the_reasons(self) -> None:
        async with explore(nested(unreadable=self.UNREADABLE), MIDDLE) as session:
            await session.press("2", "U")
            assert isinstance(session.app.screen, Unreadable)
            assert session.app.screen.query_one(DataTable).row_count == 2
            for words in (*self.UNREADABLE, *self.UNREADABLE.values(), "2 images"):
                assert words in session.text

    async def test_enter_shows_the_image(self) -> None:
        async with explore(nested(unreadable=self.UNREADABLE), MIDDLE) as session:
            await session.press("2", "U", "down", "enter")
            assert details(session).image_id == "milk/oat/009.jpg"

    async def test_without_any_it_says_so(self) -> None:
        async with explore(nested()) as session:
            await session.press("2", "U")
            assert "Every image that was tried could be read." in session.text
            await session.press("escape")
            assert not isinstance(session.app.screen, Unreadable)


class TestStates:
    @pytest.mark.parametrize(
        ("embedded", "failed", "words"),
        [
            (0, 0, "none of 100 embedded: press e"),
            (40, 0, "40 embedded, 60 missing (e)"),
            (100, 0, "all 100 embedded"),
            (98, 2, "98 embedded, 2 unreadable (U)"),
            (38, 2, "38 embedded, 60 missing (e), 2 unreadable (U)"),
        ],
    )
    async def test_the_current_model_is_told_in_full(self, embedded: int, failed: int, words: str) -> None:
        engine = ScriptedEngine(photos(100), embedded={LITE0: embedded, LITE1: 100})
        engine.unreadable[SPEC, LITE0] = failed
        async with explore(engine, WIDE) as session:
            if not embedded:
                await session.press("e")
            assert session.content_of("#cache-states") == f"{LITE0} {words}  also: {LITE1} all"

    async def test_while_it_embeds_no_key_is_named_that_would_stop_it(self) -> None:
        async with explore(ScriptedEngine(photos(100)), WIDE) as session:
            assert session.content_of("#cache-states") == f"{LITE0} none of 100 embedded"


class TestPaging:
    async def test_pages_passed_by_are_not_asked_for(self) -> None:
        async with explore(ScriptedEngine(photos(1000), embedded=[LITE0])) as session:
            await session.press("2")
            session.engine.hold(AskThumbnail)
            before = len(session.engine.asked(AskThumbnail))
            await session.press(*["pagedown"] * 20)
            assert len(session.engine.asked(AskThumbnail)) - before == 4
            session.engine.release()
            await session.settle()
            first = 20 * session.thumbnails.capacity
            assert names(session)[0] == f"{first:03}.jpg"

    async def test_turning_the_page_keeps_the_pictures_that_the_query_view_waits_for(self) -> None:
        async with explore(ScriptedEngine(photos(1000), embedded=[LITE0]), WIDE, settled=False) as session:
            session.engine.hold(AskThumbnail)
            await session.settle()
            await session.press("2", "pagedown")
            session.engine.release()
            await session.settle()
            assert all(cell.picture._image is not None for cell in session.strip.cells)

    async def test_the_next_page_is_made_while_nothing_is_done(self) -> None:
        async with explore(ScriptedEngine(photos(1000), embedded=[LITE0])) as session:
            await session.press("2")
            await session.pilot.pause(0.6)
            await session.settle()
            asked = {request.image_id for request in session.engine.asked(AskThumbnail)}
            page = session.thumbnails.capacity
            assert {f"bag/{n:03}.jpg" for n in range(2 * page)} <= asked
            before = len(session.engine.asked(AskThumbnail))
            session.engine.hold(AskThumbnail)
            await session.press("pagedown")
            assert len(session.engine.asked(AskThumbnail)) == before
            assert names(session)[0] == f"{page:03}.jpg"

    async def test_a_picture_that_is_late_takes_that_of_the_page_before_away(self) -> None:
        async with explore(ScriptedEngine(photos(1000), embedded=[LITE0])) as session:
            await session.press("2")
            session.engine.hold(AskThumbnail)
            await session.press("end")
            await session.pilot.pause(0.4)
            await session.settle()
            assert names(session)[-1] == "999.jpg"
            assert all(cell.picture._image is None for cell in session.thumbnails.cells)


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    ids = tuple(f"{EVIL.replace('/', '|')}{n}/{EVIL_FILE}" for n in range(12))
    engine = ScriptedEngine(
        Photos(ids, tuple(f"{EVIL}{n % 3}" for n in range(12)), title=EVIL, unreadable={ids[1]: EVIL}), embedded=[LITE0]
    )
    engine.unreadable[SPEC, LITE0] = 1
    async with explore(engine, size) as session:
        for key in ("2", "space", "2", "down", "right", "down", "enter", "2", "left", "i", "n", "p", "escape", "U"):
            await session.press(key)
            assert_harmless(session)
        await session.press("enter")
        assert isinstance(session.app.screen, ImageDetails)
        assert_harmless(session)
