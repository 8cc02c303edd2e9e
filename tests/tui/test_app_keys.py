"""Every key of the explorer, one behaviour a test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual import events
from textual.binding import Binding
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList

from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    LITE1,
    LITE2,
    NARROW,
    UNRELEASED,
    WIDE,
    ScriptedEngine,
    Session,
    catalogue,
    explore,
    make_app,
    photos,
    put_on_disk,
    settle,
)
from visexplore.core.catalogue import Catalogue, Checkpoint, Family, runs_here
from visexplore.core.engine import AskPicture, Cancel, Embed, OpenDataset, Search
from visexplore.core.errors import NoTextTower, UnreadableImage
from visexplore.tui.app import VisexploreApp
from visexplore.tui.screens.ask import Ask
from visexplore.tui.screens.help import Help
from visexplore.tui.screens.jobs import Jobs
from visexplore.tui.screens.zoom import Zoom
from visexplore.tui.terminal import Graphics
from visexplore.tui.widgets.picture import Picture


def two_models(number: int = 12) -> ScriptedEngine:
    """Return an engine with a dataset that is embedded with lite0 and lite1."""
    return ScriptedEngine(photos(number), embedded=[LITE0, LITE1])


def row_of(session: Session, table: str) -> str:
    """Return the key of the row under the cursor of a table."""
    widget = session.app.screen.query_one(table, DataTable)
    return str(widget.coordinate_to_cell_key(widget.cursor_coordinate).row_key.value)


async def choose_found(session: Session) -> None:
    """Choose the first thing that the command palette has found."""
    await session.app.workers.wait_for_complete()
    await session.settle()
    await session.press("enter")
    if isinstance(session.app.screen, CommandPalette):
        await session.press("enter")  # the first one only moved from the field to the list


class TestPanels:
    @pytest.mark.parametrize("size", [NARROW, WIDE])
    def test_the_query_is_the_first_panel(self, size: tuple[int, int]) -> None:
        app, focus = make_app(two_models()), []

        async def look(pilot: Pilot[int]) -> None:
            await settle(pilot)
            focus.append(app.focused.id if app.focused else None)
            app.exit()

        # As users run it: `run_test` begins with another order of events.
        app.run(headless=True, auto_pilot=look, size=size)
        assert focus == ["strip"]

    @pytest.mark.parametrize("size", [NARROW, WIDE])
    async def test_numbers_go_to_a_panel(self, size: tuple[int, int]) -> None:
        async with explore(two_models(), size) as session:
            for key, panel, focus in (
                ("1", "catalogue", "models"),
                ("2", "dataset", "thumbnails"),
                ("3", "query", "strip"),
            ):
                await session.press(key)
                assert (session.panel, session.focus) == (panel, focus)

    async def test_tab_goes_round_the_panels(self) -> None:
        async with explore(two_models()) as session:
            seen = []
            for _ in range(3):
                await session.press("tab")
                seen.append(session.panel)
            assert seen == ["catalogue", "dataset", "query"]

    async def test_shift_tab_goes_round_the_other_way(self) -> None:
        async with explore(two_models()) as session:
            seen = []
            for _ in range(3):
                await session.press("shift+tab")
                seen.append(session.panel)
            assert seen == ["dataset", "catalogue", "query"]

    async def test_the_number_of_the_active_panel_goes_on_to_its_other_part(self) -> None:
        async with explore(two_models()) as session:
            seen = []
            for key in "111222233":
                await session.press(key)
                seen.append(session.focus)
            assert seen == [
                "models",
                "model-facts",
                "models",
                "thumbnails",
                "labels",
                "thumbnails",
                "labels",
                "strip",
                "strip",
            ]

    async def test_without_labels_there_is_no_other_part(self) -> None:
        async with explore(ScriptedEngine(photos(5, labels=()), embedded=[LITE0])) as session:
            await session.press("2", "2")
            assert session.focus == "thumbnails"

    async def test_the_top_line_marks_the_active_panel(self) -> None:
        async with explore(two_models()) as session:
            top = session.app.screen.query_one("#top")
            await session.press("2")
            bold = [span for span in top.visual.spans if "bold" in str(span.style) and "background" in str(span.style)]
            assert [str(top.visual)[span.start : span.end] for span in bold] == [" 2 Images "]

    async def test_a_click_makes_a_panel_the_active_one(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.click(session.app.screen.query_one("#models"))
            assert session.panel == "catalogue"


class TestModelFilter:
    async def test_slash_filters_the_models(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "slash")
            assert session.focus == "model-filter"
            await session.type("lite1")
            table = session.app.screen.query_one("#models", DataTable)
            assert [str(key.value) for key in table.rows] == [LITE1]

    async def test_slash_outside_the_images_leads_to_the_models(self) -> None:
        async with explore(two_models(), NARROW) as session:
            await session.press("slash")
            assert (session.panel, session.focus) == ("catalogue", "model-filter")

    async def test_letters_typed_into_it_are_no_commands(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "slash")
            await session.type("qnprmoezgJD123?/[]")
            field = session.app.screen.query_one("#model-filter", Input)
            assert field.value == "qnprmoezgJD123?/[]"
            assert session.app.is_running
            assert session.query == "bag/000.jpg"
            assert len(session.app.screen_stack) == 1

    async def test_enter_leads_to_what_it_left(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "slash", *"lite1", "enter")
            assert session.focus == "models"
            await session.press("enter")
            assert session.app.model == LITE1

    async def test_escape_leaves_and_clears_it(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "slash", *"lite1", "escape")
            assert session.focus == "models"
            assert not session.app.screen.query_one("#model-filter").display
            assert session.app.screen.query_one("#models", DataTable).row_count == 5

    async def test_escape_clears_it_from_the_list_too(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "slash", *"lite1", "enter", "escape")
            assert session.app.screen.query_one("#models", DataTable).row_count == 5

    async def test_the_example_in_the_empty_field_finds_something(self) -> None:
        from visexplore.core.catalogue import load_catalogue

        async with explore(two_models()) as session:
            example = session.app.screen.query_one("#model-filter", Input).placeholder.partition("e.g. ")[2]
            assert load_catalogue().filter(example)


class TestImageFilter:
    async def test_slash_filters_the_images(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "slash")
            assert session.focus == "image-filter"
            await session.type("chair 5")
            assert session.captions(session.thumbnails)[:2] == ["005.jpg", ""]
            assert "1 image, page 1 of 1" in session.text

    async def test_letters_typed_into_it_are_no_commands(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "slash")
            await session.type("qnprz?]")
            assert session.app.screen.query_one("#image-filter", Input).value == "qnprz?]"
            assert session.app.is_running
            assert session.query == "bag/000.jpg"

    async def test_enter_leads_to_the_pictures(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "slash", *"chair", "enter")
            assert session.focus == "thumbnails"
            await session.press("right", "enter")
            assert session.query == "chair/005.jpg"

    async def test_escape_leaves_and_clears_it(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "slash", *"chair", "escape")
            assert session.focus == "thumbnails"
            assert session.captions(session.thumbnails)[0] == "000.jpg"

    async def test_it_keeps_to_the_chosen_label(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "2", "home", "down", "down", "enter")
            await session.press("slash", *"5")
            assert [caption for caption in session.captions(session.thumbnails) if caption] == ["005.jpg"]

    async def test_nothing_found_shows_no_picture_and_chooses_none(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "slash", *"nowhere", "enter", "enter")
            assert not any(session.captions(session.thumbnails))
            assert session.query == "bag/000.jpg"


class TestEnter:
    async def test_on_a_model_makes_it_the_current_one(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "down", "enter")
            assert session.app.model == LITE1
            assert session.head.splitlines()[1].startswith(LITE1)
            assert session.query == "bag/000.jpg"

    async def test_on_a_model_leads_to_the_query_where_only_one_panel_is_seen(self) -> None:
        async with explore(two_models(), NARROW) as session:
            await session.press("1", "down", "enter")
            assert (session.panel, session.focus) == ("query", "strip")

    async def test_on_a_model_stays_in_the_list_where_both_are_seen(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.press("1", "down", "enter")
            assert (session.panel, session.focus) == ("catalogue", "models")

    async def test_on_a_model_that_is_not_here_tells_what_it_costs_and_waits(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "home", "enter")
            assert session.app.model == CLIP
            assert session.head.splitlines()[1] == (
                "clip-vit-b32 is not on this machine: press e to download it and embed 12 images: "
                "about 1.9 GB memory, 12 kB on disk, download 605 MB, licence MIT."
            )
            assert session.engine.asked(Embed) == []
            await session.press("e")
            assert session.engine.asked(Embed)[-1].models == (CLIP,)
            assert session.head.splitlines()[1].startswith("Downloading clip-vit-b32, then embedding: neighbours")

    async def test_on_a_family_without_weights_says_why_not(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "end", "enter")
            assert session.app.model == LITE0
            assert session.notes == ["SecretNet has no weights to load: its weights were never released."]

    async def test_on_a_label_shows_its_images_alone(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "2", "home", "down", "down", "enter")
            assert [c for c in session.captions(session.thumbnails) if c] == [f"00{n}.jpg" for n in range(4, 8)]
            assert session.focus == "thumbnails"

    async def test_on_a_thumbnail_makes_it_the_query(self) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "right", "right", "enter")
            assert session.query == "bag/002.jpg"
            assert session.panel == "query"

    async def test_on_a_neighbour_makes_it_the_query(self) -> None:
        async with explore(two_models()) as session:
            await session.press("right", "right", "enter")
            assert session.query == "bag/002.jpg"
            assert session.neighbours[0].endswith("bag")
            assert session.engine.asked(Search)[-1].image_id == "bag/002.jpg"

    async def test_on_the_query_itself_changes_nothing(self) -> None:
        async with explore(two_models()) as session:
            searches = len(session.engine.asked(Search))
            await session.press("enter")
            assert session.query == "bag/000.jpg"
            assert len(session.engine.asked(Search)) == searches


class TestSwitchingModels:
    async def test_the_next_model_answers_the_same_query(self) -> None:
        async with explore(two_models()) as session:
            await session.press("n", "right_square_bracket")
            assert session.app.model == LITE1
            assert session.query == "bag/001.jpg"
            last = session.engine.asked(Search)[-1]
            assert last == Search(last.ticket, "/photos", LITE1, "bag/001.jpg")
            assert LITE1 in session.head
            assert session.neighbours[0].splitlines()[::2] == ["1 0.940 ✓", "bag"]
            assert session.neighbours[1].splitlines()[::2] == ["2 0.890 ✗", "chair"]

    async def test_they_go_round(self) -> None:
        async with explore(two_models()) as session:
            seen = []
            for _ in range(3):
                await session.press("right_square_bracket")
                seen.append(session.app.model)
            assert seen == [LITE1, LITE2, LITE0]
            await session.press("left_square_bracket")
            assert session.app.model == LITE2

    async def test_only_models_that_run_here_take_part(self) -> None:
        assert not runs_here(catalogue().find(CLIP))
        async with explore(two_models()) as session:
            await session.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
            assert session.app.model == LITE0

    async def test_and_those_that_the_dataset_is_embedded_with(self) -> None:
        async with explore(ScriptedEngine(photos(12), embedded=[LITE0, CLIP])) as session:
            await session.press("left_square_bracket")
            assert session.app.model == CLIP

    async def test_and_the_poolings_that_it_is_embedded_with(self) -> None:
        engine = ScriptedEngine(photos(12), embedded=[LITE0, LITE1, LITE2, f"{LITE0}@gem", "unknown@gem", "gone"])
        async with explore(engine) as session:
            await session.press("left_square_bracket")
            assert session.app.model == f"{LITE0}@gem"
            assert engine.asked(Search)[-1].model == f"{LITE0}@gem"
            await session.press("left_square_bracket")
            assert session.app.model == LITE2

    async def test_the_list_marks_the_current_model_and_what_is_embedded(self) -> None:
        engine = ScriptedEngine(photos(12), embedded={LITE0: 12, LITE1: 5})
        async with explore(engine, WIDE) as session:
            await session.press("right_square_bracket")
            marks = {
                line.split()[1]: line.split()[0] for line in session.text_of("#models").splitlines() if "lite" in line
            }
            assert marks[LITE0] == "+"
            assert marks[LITE1] == ">~"
            assert row_of(session, "#models") == LITE1

    async def test_an_answer_from_the_model_left_is_not_shown(self) -> None:
        async with explore(two_models()) as session:
            session.engine.hold(Search)
            await session.press("right_square_bracket", "left_square_bracket")
            session.engine.release()
            await session.settle()
            assert session.app.model == LITE0
            assert session.head.splitlines()[1].startswith(LITE0)

    async def test_late_answers_do_not_replace_newer_ones(self) -> None:
        async with explore(two_models()) as session:
            session.engine.hold(Search)
            await session.press("n", "n")
            session.engine.release()
            await session.settle()
            assert session.head.startswith("bag/002.jpg")
            assert session.strip.cells[0].caption.visual.plain == "QUERY\nbag"

    async def test_an_answer_is_not_shown_under_a_model_that_is_not_embedded(self) -> None:
        engine = ScriptedEngine(photos(600), embedded=[LITE0, LITE1])
        async with explore(engine) as session:
            engine.hold(Search)
            await session.press("right_square_bracket", "right_square_bracket")
            engine.release()
            await session.settle()
            assert session.app.model == LITE2
            assert "Not embedded with efficientnet-lite2 yet: press e" in session.head

    async def test_back_from_a_model_that_is_not_embedded_shows_the_neighbours_again(self) -> None:
        engine = ScriptedEngine(photos(600), embedded=[LITE0])
        async with explore(engine) as session:
            await session.press("right_square_bracket")
            assert "Not embedded" in session.head
            await session.press("left_square_bracket")
            assert session.head.splitlines()[1].startswith(LITE0)
            assert len(session.neighbours) == 5


class TestChoosingAModel:
    async def test_m_offers_all_models(self) -> None:
        async with explore(two_models()) as session:
            await session.press("m")
            assert isinstance(session.app.screen, CommandPalette)
            options = session.app.screen.query_one(OptionList)
            assert {str(option.prompt).split()[0] for option in options.options} == {CLIP, LITE0, LITE1, LITE2}

    async def test_a_part_of_the_name_is_enough(self) -> None:
        async with explore(two_models()) as session:
            await session.press("m", *"lite1")
            await choose_found(session)
            assert session.app.model == LITE1
            assert session.head.splitlines()[1].startswith(LITE1)

    async def test_it_tells_what_a_model_costs(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.press("m", *"clip")
            await session.app.workers.wait_for_complete()
            await session.settle()
            assert "OpenAI 2021-02-26, 605 MB, texts too" in session.text

    @pytest.mark.parametrize(
        ("name", "slug"),
        [("efficientnet-lite0@gem", "efficientnet-lite0@gem"), ("timm:resnet18.a1_in1k", "timm-resnet18-a1-in1k")],
    )
    async def test_what_is_not_listed_is_chosen_by_its_whole_id(self, name: str, slug: str) -> None:
        async with explore(two_models()) as session:
            await session.press("m", *name)
            await choose_found(session)
            assert session.app.model == slug
            await session.press("e")
            assert session.engine.asked(Embed)[-1].models == (name,)

    @pytest.mark.parametrize("half", ["timm:x:~nobody-of-that-name/a", "timm:x:" + "a" * 300, "hf:", "@", "~", "./"])
    async def test_half_an_id_does_no_harm(self, half: str) -> None:
        async with explore(two_models()) as session:
            await session.press("m")
            session.app.screen.query_one(Input).value = half
            await session.app.workers.wait_for_complete()
            await session.settle()
            await session.press("escape")
            assert session.app.is_running
            assert (len(session.app.screen_stack), session.app.model) == (1, LITE0)

    async def test_a_folder_is_not_taken_for_a_model_before_it_is_named_as_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "lite").mkdir()
        (tmp_path / "lite" / "config.json").write_text('{"architecture": "resnet18"}')
        monkeypatch.chdir(tmp_path)
        async with explore(two_models()) as session:
            await session.press("m", *"lite")
            await session.app.workers.wait_for_complete()
            await session.settle()
            options = session.app.screen.query_one(OptionList).options
            assert {str(option.prompt).split()[0] for option in options} == {LITE0, LITE1, LITE2}
            await session.press("escape", "m", *"./lite")
            await choose_found(session)
            assert session.app.model == "lite"

    async def test_the_list_marks_the_model_whose_pooling_is_chosen(self) -> None:
        async with explore(two_models(), WIDE, model=f"{LITE1}@gem") as session:
            row = next(line for line in session.text_of("#models").splitlines() if LITE1 in line)
            assert row.split()[:2] == [">+", LITE1]
            assert row_of(session, "#models") == LITE1

    async def test_escape_leaves_everything_as_it_was(self) -> None:
        async with explore(two_models()) as session:
            await session.press("m", "escape")
            assert len(session.app.screen_stack) == 1
            assert (session.app.model, session.focus) == (LITE0, "strip")


class TestMovingThroughQueries:
    async def test_n_is_the_next_image(self) -> None:
        async with explore(two_models()) as session:
            await session.press("n")
            assert session.query == "bag/001.jpg"
            assert session.head.startswith("bag/001.jpg")

    async def test_p_is_the_previous_one_and_the_first_follows_the_last(self) -> None:
        async with explore(two_models()) as session:
            await session.press("p")
            assert session.query == "mug/011.jpg"
            await session.press("n")
            assert session.query == "bag/000.jpg"

    async def test_r_is_any(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("visexplore.tui.app.random", SimpleNamespace(randrange=lambda number: number - 2))
        async with explore(two_models()) as session:
            await session.press("r")
            assert session.query == "mug/010.jpg"

    async def test_the_thumbnails_turn_to_the_query(self) -> None:
        async with explore(two_models(100), WIDE) as session:
            await session.press("p")
            last = session.captions(session.thumbnails)
            assert "099.jpg" in last

    async def test_a_user_who_browses_is_left_alone(self) -> None:
        async with explore(two_models(100), WIDE) as session:
            await session.press("2", "p")
            assert session.captions(session.thumbnails)[0] == "000.jpg"


class TestOutsidePictures:
    @pytest.mark.parametrize("name", ["/tmp/cat.jpg", "https://example.org/cat.jpg"])
    async def test_o_takes_a_path_or_an_address(self, name: str) -> None:
        async with explore(two_models()) as session:
            await session.press("o")
            assert isinstance(session.app.screen, Ask)
            session.app.screen.query_one(Input).value = name
            await session.press("enter")
            assert session.query == name
            assert session.panel == "query"
            assert session.engine.asked(Search)[-1].path == name
            assert session.engine.asked(AskPicture)[-1].image_id == name
            assert "(outside picture)" in session.head
            assert len(session.neighbours) == 5

    async def test_it_gets_no_marks_for_right_and_wrong(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", *"cat", "enter")
            assert "right" not in session.head
            assert not {"✓", "✗"} & set("".join(session.neighbours))

    async def test_an_empty_line_changes_nothing(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", "space", "enter")
            assert session.query == "bag/000.jpg"
            assert len(session.app.screen_stack) == 1

    async def test_escape_changes_nothing(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", *"cat", "escape")
            assert session.query == "bag/000.jpg"

    async def test_letters_typed_into_it_are_no_commands(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o")
            await session.type("qnpz?")
            assert session.app.screen.query_one(Input).value == "qnpz?"

    async def test_an_unreadable_one_says_so(self) -> None:
        async with explore(two_models()) as session:
            session.engine.fail(AskPicture, UnreadableImage("No such file"))
            session.engine.fail(Search, UnreadableImage("cat.jpg cannot be read (No such file)"))
            await session.press("o", *"cat.jpg", "enter")
            assert session.head.splitlines()[1] == (
                "cat.jpg cannot be read (No such file). n goes on to the next image, o opens another, b goes back."
            )
            assert session.strip.cells[0].picture._note == "No such file"
            assert session.neighbours == []

    async def test_next_and_previous_lead_back_to_where_one_was(self) -> None:
        async with explore(two_models()) as session:
            await session.press("n", "n", "o", *"cat", "enter", "n")
            assert session.query == "bag/003.jpg"
            await session.press("o", *"cat", "enter", "p")
            assert session.query == "bag/002.jpg"

    async def test_the_same_picture_again_is_searched_again(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", *"cat", "enter")
            await session.press("o", *"cat", "enter")
            assert len(session.neighbours) == 5

    async def test_the_picture_of_one_left_is_not_shown_for_another(self) -> None:
        async with explore(two_models()) as session:
            session.engine.hold(AskPicture)
            await session.press("o", *"one", "enter")
            await session.press("o", *"two", "enter")
            session.engine.release(1)
            await session.settle()
            assert session.strip.cells[0].picture._image is None
            session.engine.release()
            await session.settle()
            assert session.strip.cells[0].picture._image is not None

    async def test_models_are_switched_on_it_too(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", *"cat", "enter", "right_square_bracket")
            last = session.engine.asked(Search)[-1]
            assert (last.model, last.path) == (LITE1, "cat")
            assert session.head.splitlines()[1].startswith(LITE1)
            assert session.strip.cells[0].picture._image is not None


class TestTextQueries:
    @pytest.fixture
    def engine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedEngine:
        """A dataset that is embedded with lite0 and CLIP, which is on this machine and has a text tower."""
        put_on_disk(monkeypatch, tmp_path)
        return ScriptedEngine(photos(20), embedded=[LITE0, CLIP])

    async def test_t_searches_with_words(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t")
            assert isinstance(session.app.screen, Ask)
            assert "Enter searches with clip-vit-b32" in session.text
            await session.press(*"red bag", "enter")
            last = engine.asked(Search)[-1]
            assert last == Search(last.ticket, "/photos", CLIP, text="red bag")
            assert session.head.splitlines()[0] == "“red bag”  (text)"
            assert session.head.splitlines()[1].startswith("clip-vit-b32  1280-d  20 images searched")
            assert len(session.neighbours) == 5
            assert session.panel == "query"

    async def test_the_words_stand_in_the_place_of_the_picture(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"a red bag on a long wooden table", "enter")
            shown = " ".join(session.text_of(session.strip.cells[0]).split())
            assert shown == "“a red bag on a long wooden table” QUERY text"

    async def test_a_text_gets_no_marks_for_right_and_wrong(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"bag", "enter")
            assert "right" not in session.head
            assert not {"✓", "✗"} & set("".join(session.neighbours))

    async def test_a_model_without_a_text_tower_says_so_at_once_and_who_goes_on(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=LITE0) as session:
            await session.press("t")
            words = " ".join(session.text_of("#ask").replace("│", " ").split())
            assert "efficientnet-lite0 embeds images only and cannot search by text." in words
            assert "Enter goes on with clip-vit-b32, which has embedded these images." in words

    async def test_then_enter_searches_with_the_model_that_has_one(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=LITE0) as session:
            await session.press("t", *"bag", "enter")
            assert session.app.model == CLIP
            assert "under clip-vit-b32" in session.text_of("#top")
            assert [search.model for search in engine.asked(Search) if search.text] == [CLIP]
            assert len(session.neighbours) == 5

    async def test_one_that_runs_here_is_preferred_to_one_to_download(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        smaller = Checkpoint(id="a/b", loader="transformers", slug="tiny", weights_mb=5, has_text_tower=True)
        models = catalogue(Family(id="tiny", checkpoints=(smaller,)))
        async with explore(ScriptedEngine(photos(600), embedded=[LITE0, "tiny"]), models=models) as session:
            await session.press("t")
            assert "clip-vit-b32, which runs here." in " ".join(session.text_of("#ask").replace("│", " ").split())

    async def test_if_none_is_here_it_names_the_smallest_to_download(self) -> None:
        async with explore(two_models()) as session:
            await session.press("t")
            words = " ".join(session.text_of("#ask").replace("│", " ").split())
            assert "clip-vit-b32, the smallest that can (605 MB to download)" in words
            await session.press(*"bag", "enter")
            assert session.app.model == CLIP
            assert session.query == "bag"
            assert session.head.splitlines()[1] == (
                "clip-vit-b32 is not on this machine: press e to download it and embed 12 images: "
                "about 1.9 GB memory, 12 kB on disk, download 605 MB, licence MIT."
            )
            assert session.engine.asked(Embed) == []

    async def test_if_the_catalogue_has_none_nothing_is_asked(self) -> None:
        models = catalogue()
        models = Catalogue(tuple(family for family in models.families if family.id != "clip"))
        async with explore(two_models(), models=models) as session:
            await session.press("t")
            assert len(session.app.screen_stack) == 1
            assert session.notes == [
                "efficientnet-lite0 embeds images only and cannot search by text; no model of the catalogue can."
            ]

    async def test_switching_models_keeps_the_text(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"bag", "enter", "right_square_bracket")
            assert (session.app.model, session.query) == (LITE0, "bag")
            assert session.head.splitlines() == [
                "“bag”  (text)",
                "efficientnet-lite0 embeds images only and cannot search by text; "
                "clip-vit-b32 can and runs here: press m.",
            ]
            assert session.neighbours == []
            await session.press("left_square_bracket")
            assert session.head.splitlines()[1].startswith("clip-vit-b32  1280-d")
            assert [search.model for search in engine.asked(Search) if search.text] == [CLIP, CLIP]

    async def test_choosing_a_model_keeps_the_text(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"bag", "enter", "m", *"lite1")
            await choose_found(session)
            assert (session.app.model, session.query) == (LITE1, "bag")
            assert "cannot search by text" in session.head

    async def test_another_pooling_shares_no_space_with_texts(self, engine: ScriptedEngine) -> None:
        engine.embedded["/photos", "clip-vit-b32@cls"] = 20
        async with explore(engine, model="clip-vit-b32@cls") as session:
            await session.press("t", "escape", "n")
            session.app._search_text("bag", session.app.model)
            await session.settle()
            assert session.head.splitlines()[1].startswith("clip-vit-b32@cls keeps vectors that no text can be")

    @pytest.mark.parametrize(("key", "query"), [("n", "bag/003.jpg"), ("p", "bag/001.jpg"), ("r", "mug/018.jpg")])
    async def test_images_are_one_key_away(
        self, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, key: str, query: str
    ) -> None:
        monkeypatch.setattr("visexplore.tui.app.random", SimpleNamespace(randrange=lambda number: number - 2))
        async with explore(engine, model=CLIP) as session:
            await session.press("n", "n", "t", *"bag", "enter", key)
            assert session.query == query
            assert session.strip.cells[0].picture._image is not None
            assert {"✓", "✗"} & set("".join(session.neighbours))

    @pytest.mark.parametrize("keys", [("space", "enter"), ("b", "escape")])
    async def test_an_empty_line_and_escape_change_nothing(self, engine: ScriptedEngine, keys: tuple[str, ...]) -> None:
        async with explore(engine, model=LITE0) as session:
            await session.press("t", *keys)
            assert (session.query, session.app.model) == ("bag/000.jpg", LITE0)
            assert len(session.app.screen_stack) == 1

    async def test_letters_typed_into_it_are_no_commands(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t")
            await session.type("tqnpz?")
            assert session.app.screen.query_one(Input).value == "tqnpz?"

    async def test_the_last_words_can_be_changed_or_typed_over(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"bag", "enter", "t", "end", *"s", "enter")
            assert session.query == "bags"
            await session.press("t", *"mug", "enter")
            assert session.query == "mug"

    async def test_zoom_shows_the_words(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            await session.press("t", *"red bag", "enter", "z")
            assert session.text_of(session.app.screen.query_one("#zoom-query Picture")).strip() == "“red bag”"
            assert engine.asked(AskPicture) == []
            await session.press("right")
            assert "1  0.940" in session.text_of("#zoom-hit")

    async def test_a_search_that_takes_long_says_what_it_waits_for(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            engine.hold(Search)
            await session.press("t", *"bag", "enter")
            assert session.head.splitlines()[1].startswith("Searching with clip-vit-b32 ...")
            await asyncio.sleep(0.4)
            await session.settle()
            assert session.head.splitlines()[1].endswith("the first time, it has to be loaded.")
            engine.release()
            await session.settle()
            assert len(session.neighbours) == 5

    async def test_models_passed_by_are_not_loaded_for_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        others = tuple(
            Checkpoint(id=f"a/{name}", loader="transformers", slug=name, has_text_tower=True) for name in ("one", "two")
        )
        engine = ScriptedEngine(photos(20), embedded=[CLIP, "one", "two"])
        for other in others:
            put_on_disk(monkeypatch, tmp_path, other)
        async with explore(engine, model=CLIP, models=catalogue(Family(id="x", checkpoints=others))) as session:
            engine.hold(Search)
            await session.press("t", *"bag", "enter", "left_square_bracket", "left_square_bracket")
            assert session.app.model == "one"
            engine.release()
            await session.settle()
            assert [search.model for search in engine.asked(Search) if search.text] == [CLIP, "one"]
            assert session.head.splitlines()[1].startswith("one  1280-d")

    async def test_an_image_asked_for_meanwhile_is_answered_at_once(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            engine.hold(Search)
            await session.press("t", *"bag", "enter")
            engine.hold()
            await session.press("n")
            assert session.head.startswith("bag/001.jpg\nclip-vit-b32  ")
            assert len(session.neighbours) == 5
            engine.release()
            await session.settle()
            assert session.head.startswith("bag/001.jpg")

    async def test_a_model_that_turns_out_to_have_no_text_tower_says_so(self, engine: ScriptedEngine) -> None:
        name = "hf:facebook/dinov2-base"
        engine.embedded["/photos", "hf-facebook-dinov2-base"] = 20
        engine.fail(Search, NoTextTower("hf-facebook-dinov2-base cannot search by text", "visexplore models"))
        async with explore(engine, model=name) as session:
            await session.press("t", *"bag", "enter")
            assert session.head.splitlines()[1] == (
                "hf-facebook-dinov2-base cannot search by text; clip-vit-b32 can and runs here: press m."
            )

    async def test_a_model_that_is_no_longer_here_has_to_be_downloaded_for_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        engine = ScriptedEngine(photos(20), embedded=[CLIP])
        async with explore(engine, model=CLIP) as session:
            assert len(session.neighbours) == 5
            await session.press("t", *"bag", "enter")
            assert session.head.splitlines()[1] == (
                "The images are embedded with clip-vit-b32, but a query from outside needs the model itself: "
                "press e to download 605 MB (licence: MIT)."
            )
            await session.press("e")
            assert session.head.splitlines()[1] == "Downloading clip-vit-b32: neighbours appear when it is here."
            put_on_disk(monkeypatch, tmp_path)
            engine.finish()
            await session.settle()
            assert len(session.neighbours) == 5

    async def test_an_engine_that_died_is_asked_again(self, engine: ScriptedEngine) -> None:
        async with explore(engine, model=CLIP) as session:
            engine.hold(Search)
            await session.press("t", *"bag", "enter")
            engine.die()
            engine.release()
            await session.settle()
            assert session.query == "bag"
            assert len(session.neighbours) == 5


class TestZoom:
    async def test_z_shows_the_query_alone_at_first(self) -> None:
        async with explore(two_models()) as session:
            await session.press("z")
            assert isinstance(session.app.screen, Zoom)
            assert "bag/000.jpg" in session.text
            assert not session.app.screen.query_one("#zoom-hit").display
            assert session.app.screen.query_one("#zoom-query Picture", Picture)._image is not None

    async def test_it_begins_with_the_neighbour_under_the_cursor(self) -> None:
        async with explore(two_models()) as session:
            await session.press("right", "right", "z")
            assert "2  0.890" in session.text
            assert "bag/002.jpg" in session.text

    @pytest.mark.parametrize(("forward", "back"), [("right", "left"), ("l", "h"), ("j", "k"), ("n", "p")])
    async def test_keys_go_through_the_neighbours(self, forward: str, back: str) -> None:
        async with explore(two_models()) as session:
            await session.press("z", forward, forward, forward)
            assert "3  0.840" in session.text
            await session.press(back)
            assert "2  0.890" in session.text

    async def test_it_stops_at_both_ends(self) -> None:
        async with explore(two_models()) as session:
            await session.press("z", "left", *["right"] * 9)
            assert "5  0.740" in session.text

    @pytest.mark.parametrize("key", ["escape", "z", "enter", "q"])
    async def test_leaving_puts_the_cursor_on_what_was_looked_at_last(self, key: str) -> None:
        async with explore(two_models()) as session:
            await session.press("z", "right", "right", "right", key)
            assert len(session.app.screen_stack) == 1
            assert session.strip.cursor == 3
            assert session.marked(session.strip) == [3]

    async def test_a_late_picture_does_not_replace_the_one_looked_at(self) -> None:
        async with explore(two_models()) as session:
            await session.press("z")
            session.engine.hold(AskPicture)
            await session.press("right", "right")
            session.engine.release(1)
            await session.settle()
            picture = session.app.screen.query_one("#zoom-hit Picture", Picture)
            assert picture._image is None
            session.engine.release()
            await session.settle()
            assert picture._image is not None

    async def test_an_answer_after_it_was_closed_does_no_harm(self) -> None:
        async with explore(two_models()) as session:
            session.engine.hold(AskPicture)
            await session.press("z", "escape")
            session.engine.release()
            await session.press("n")
            assert session.query == "bag/001.jpg"

    async def test_an_unreadable_picture_shows_the_reason(self) -> None:
        async with explore(two_models()) as session:
            session.engine.fail(AskPicture, UnreadableImage("cut off after 12 kB"))
            await session.press("z")
            assert "cut off after 12 kB" in session.text

    async def test_an_outside_query_is_shown_by_its_path(self) -> None:
        async with explore(two_models()) as session:
            await session.press("o", *"cat.jpg", "enter", "z")
            assert session.engine.asked(AskPicture)[-1].spec == ""
            assert session.engine.asked(AskPicture)[-1].image_id == "cat.jpg"
            assert "cat.jpg" in session.text


class TestGraphics:
    async def test_g_goes_round_all_four_ways(self) -> None:
        async with explore(two_models(), graphics=Graphics.TEXT) as session:
            seen = []
            for _ in range(4):
                await session.press("g")
                seen.append(session.app.terminal.graphics)
                assert {cell.picture._terminal.graphics for cell in session.strip.cells} == {seen[-1]}
            assert seen == [Graphics.KITTY, Graphics.SIXEL, Graphics.HALFBLOCK, Graphics.TEXT]
            assert session.notes[-1] == "Pictures: text"

    async def test_the_status_line_names_it(self) -> None:
        async with explore(two_models(), graphics=Graphics.SIXEL) as session:
            assert session.status == "12 images, 3 labels. Pictures: sixel"
            await session.press("g")
            assert session.status == "12 images, 3 labels. Pictures: halfblock"


class TestEmbedding:
    async def test_e_starts_and_e_stops(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            assert session.engine.asked(Embed) == []
            await session.press("e")
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE0,)]
            await session.press("e")
            assert [cancel.ticket for cancel in session.engine.asked(Cancel)] == [session.engine.asked(Embed)[0].ticket]
            assert session.status.startswith("photos with efficientnet-lite0: stopped: 0 images embedded")

    async def test_the_keys_line_says_what_e_does(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            assert "e Embed" in session.lines[-1]
            await session.press("e")
            assert "e Stop" in session.lines[-1]
            session.engine.finish()
            await session.settle()
            assert "e Embed" in session.lines[-1]

    async def test_it_is_of_the_current_model(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            await session.press("e", "right_square_bracket", "e")
            assert [job.models for job in session.engine.asked(Embed)] == [(LITE0,), (LITE1,)]

    async def test_a_job_that_stops_is_not_stopped_twice(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            await session.press("e")
            session.engine.hold(Cancel)
            await session.press("e", "e")
            assert "stopping" in session.status
            assert len(session.engine.asked(Cancel)) == 1


class TestJobs:
    async def test_capital_j_lists_them(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            await session.press("e", "right_square_bracket", "e", "J")
            assert isinstance(session.app.screen, Jobs)
            rows = [line for line in session.lines if "efficientnet-lite" in line and "waits" in line]
            assert len(rows) >= 2

    @pytest.mark.parametrize("key", ["x", "delete"])
    async def test_x_cancels_the_one_under_the_cursor(self, key: str) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            await session.press("e", "right_square_bracket", "e", "J", "j", key)
            first, second = session.engine.asked(Embed)
            assert [cancel.ticket for cancel in session.engine.asked(Cancel)] == [second.ticket]
            assert first in session.engine.jobs

    @pytest.mark.parametrize("key", ["escape", "q"])
    async def test_it_is_left_by(self, key: str) -> None:
        async with explore(two_models()) as session:
            await session.press("J", key)
            assert len(session.app.screen_stack) == 1
            assert session.app.is_running

    async def test_without_jobs_x_does_nothing(self) -> None:
        async with explore(two_models()) as session:
            await session.press("J", "x", "j", "k", "escape")
            assert session.engine.asked(Cancel) == []


class TestOpeningADataset:
    async def test_capital_d_opens_another(self) -> None:
        other = photos(5, labels=(), spec="/other", title="other")
        engine = ScriptedEngine(photos(12), other, embedded=[LITE0])
        engine.embedded["/other", LITE0] = 5
        async with explore(engine) as session:
            await session.press("D", *"/other", "enter")
            assert session.engine.asked(OpenDataset)[-1].spec == "/other"
            assert "other" in session.text_of("#top")
            assert session.query == "000.jpg"
            assert len(session.neighbours) == 4
            assert "5 images" in session.status

    async def test_a_dataset_with_the_same_names_gets_its_own_neighbours(self) -> None:
        engine = ScriptedEngine(photos(12), photos(12, spec="/other", title="other"), embedded=[LITE0])
        engine.embedded["/other", LITE0] = 12
        async with explore(engine) as session:
            await session.press("D", *"/other", "enter")
            assert session.engine.asked(Search)[-1].spec == "/other"

    async def test_a_wrong_path_says_so_and_keeps_the_old_one(self) -> None:
        async with explore(two_models()) as session:
            await session.press("D", *"/nowhere", "enter")
            assert session.notes == ["There is no dataset '/nowhere'. Name a folder of images."]
            assert "photos" in session.text_of("#top")
            await session.press("n")
            assert session.query == "bag/001.jpg"
            assert len(session.neighbours) == 5

    async def test_the_home_of_nobody_says_so(self) -> None:
        async with explore(two_models()) as session:
            await session.press("D", *"~nobody-of-that-name/photos", "enter")
            assert session.app.is_running
            assert "nobody-of-that-name" in session.notes[-1]

    async def test_a_relative_path_is_taken_from_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        async with explore(two_models()) as session:
            await session.press("D", *"here", "enter")
            assert session.engine.asked(OpenDataset)[-1].spec == str(tmp_path / "here")

    async def test_an_empty_line_changes_nothing(self) -> None:
        async with explore(two_models()) as session:
            await session.press("D", "enter")
            assert len(session.engine.asked(OpenDataset)) == 1


class TestHelp:
    async def test_it_lists_every_key(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.press("question_mark")
            assert isinstance(session.app.screen, Help)
            listed = str(session.app.screen.query_one("#help Static").visual)
            words = " ".join(listed.split())
            for binding in VisexploreApp.BINDINGS:
                assert isinstance(binding, Binding)
                assert binding.tooltip in words
            keys = {line.split("  ")[1] for line in listed.splitlines() if line.startswith("  ")}
            expected = {"1", "2", "3", "Tab", "Shift-Tab", "[", "]", *"mnpretzo/gJD?q", "Ctrl-P"}
            assert expected <= keys

    @pytest.mark.parametrize("key", ["escape", "q", "question_mark", "enter"])
    async def test_it_is_left_by(self, key: str) -> None:
        async with explore(two_models()) as session:
            await session.press("question_mark", key)
            assert len(session.app.screen_stack) == 1
            assert session.app.is_running

    async def test_it_scrolls_where_it_does_not_fit(self) -> None:
        async with explore(two_models(), NARROW) as session:
            await session.press("question_mark")
            assert "cosine" not in session.text
            await session.press("end")
            await asyncio.sleep(0.3)  # scrolling begins when the screen is at rest
            await session.settle()
            assert "cosine" in session.text


class TestPalette:
    async def test_it_has_every_action(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.press("ctrl+p")
            assert isinstance(session.app.screen, CommandPalette)
            await session.app.workers.wait_for_complete()
            await session.settle()
            offered = {
                str(option.prompt).splitlines()[0].lower()
                for option in session.app.screen.query_one(OptionList).options
            }
            stopping = "stop embedding; what is done stays"
            wanted = {binding.tooltip.lower() for binding in VisexploreApp.BINDINGS if isinstance(binding, Binding)}
            assert wanted - offered == {stopping}, "nothing is being embedded"
            assert "use another theme" in offered

    async def test_a_command_is_run_by_a_part_of_its_name(self) -> None:
        async with explore(two_models()) as session:
            await session.press("ctrl+p", *"previous image")
            await choose_found(session)
            assert session.query == "mug/011.jpg"


class TestLeaving:
    async def test_q_quits(self) -> None:
        async with explore(two_models()) as session:
            await session.press("q")
            assert session.app._exit

    async def test_q_quits_before_the_engine_has_said_anything(self) -> None:
        engine = two_models()
        engine.hold(OpenDataset)
        async with explore(engine) as session:
            await session.press("q")
            assert session.app._exit


class TestMovingTheCursor:
    @pytest.mark.parametrize(("down", "up"), [("down", "up"), ("j", "k")])
    async def test_in_the_models(self, down: str, up: str) -> None:
        async with explore(two_models()) as session:
            await session.press("1", down)
            assert row_of(session, "#models") == LITE1
            await session.press(up, up)
            assert row_of(session, "#models") == CLIP
            await asyncio.sleep(0.3)  # the facts follow when the cursor rests
            await session.settle()
            assert CLIP in session.content_of("#facts")

    async def test_home_and_end_in_the_models(self) -> None:
        async with explore(two_models()) as session:
            await session.press("1", "end")
            assert row_of(session, "#models") == UNRELEASED
            await session.press("home")
            assert row_of(session, "#models") == CLIP

    @pytest.mark.parametrize(("down", "up"), [("down", "up"), ("j", "k")])
    async def test_in_the_labels(self, down: str, up: str) -> None:
        async with explore(two_models()) as session:
            await session.press("2", "2", "home", down, down, up, "enter")
            assert "4 images" in session.text

    @pytest.mark.parametrize("keys", ["right down left up", "l j h k"])
    async def test_among_the_thumbnails(self, keys: str) -> None:
        right, down, left, up = keys.split()
        async with explore(two_models(100)) as session:
            await session.press("2")
            columns = session.thumbnails.columns
            for key, cell in ((right, 1), (down, 1 + columns), (left, columns), (up, 0)):
                await session.press(key)
                assert session.thumbnails.cursor == cell
                assert session.marked(session.thumbnails) == [cell]

    @pytest.mark.parametrize("keys", ["right down left up", "l j h k"])
    async def test_among_the_neighbours(self, keys: str) -> None:
        right, down, left, up = keys.split()
        async with explore(two_models()) as session:
            columns = session.strip.columns
            assert columns == 3
            for key, cell in ((right, 1), (down, 1 + columns), (left, columns), (up, 0)):
                await session.press(key)
                assert session.strip.cursor == cell

    async def test_the_cursor_is_seen_from_the_start(self) -> None:
        async with explore(two_models()) as session:
            assert session.marked(session.strip) == [0]

    async def test_the_cursor_is_seen_only_where_the_focus_is(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.press("2")
            assert (session.marked(session.strip), session.marked(session.thumbnails)) == ([], [0])

    async def test_it_stays_among_the_neighbours(self) -> None:
        async with explore(two_models()) as session:
            await session.press("left", "up", *["right"] * 9, "down")
            assert session.strip.cursor == 5


class TestPaging:
    async def test_page_down_and_up(self) -> None:
        async with explore(two_models(100)) as session:
            await session.press("2")
            page = session.thumbnails.capacity
            await session.press("pagedown")
            assert session.captions(session.thumbnails)[0] == f"{page:03}.jpg"
            await session.press("pageup")
            assert session.captions(session.thumbnails)[0] == "000.jpg"

    async def test_end_and_home(self) -> None:
        async with explore(two_models(100)) as session:
            await session.press("2", "end", "enter")
            assert session.query == "mug/099.jpg"
            await session.press("2", "home", "enter")
            assert session.query == "bag/000.jpg"

    async def test_the_ends_hold(self) -> None:
        async with explore(two_models(100)) as session:
            await session.press("2", "pageup", "left", "up")
            assert session.captions(session.thumbnails)[0] == "000.jpg"
            await session.press("end", "pagedown", "right", "down", "enter")
            assert session.query == "mug/099.jpg"

    async def test_arrows_cross_from_page_to_page(self) -> None:
        async with explore(two_models(100)) as session:
            await session.press("2", "pagedown", "left", "enter")
            page = session.thumbnails.capacity
            assert session.query == f"bag/{page - 1:03}.jpg"
            await session.press("2", "right", "enter")
            assert session.query == f"bag/{page:03}.jpg" or session.query.endswith(f"/{page:03}.jpg")

    async def test_the_frame_tells_the_page(self) -> None:
        async with explore(two_models(100), WIDE) as session:
            await session.press("2", "pagedown")
            pages = -(-100 // session.thumbnails.capacity)
            assert f"100 images, page 2 of {pages}" in session.text

    async def test_the_wheel_turns_pages(self) -> None:
        async with explore(two_models(100)) as session:
            await session.press("2")
            page = session.thumbnails.capacity
            await self.scroll(session, events.MouseScrollDown)
            assert session.captions(session.thumbnails)[0] == f"{page:03}.jpg"
            await self.scroll(session, events.MouseScrollUp)
            assert session.captions(session.thumbnails)[0] == "000.jpg"

    @staticmethod
    async def scroll(session: Session, kind: type[events.MouseScrollDown | events.MouseScrollUp]) -> None:
        await session.pilot._post_mouse_events([kind], session.thumbnails.cells[0])
        await session.settle()


class TestMouse:
    async def test_a_click_puts_the_cursor_on_a_picture(self) -> None:
        async with explore(two_models()) as session:
            await session.click(session.strip.cells[4])
            assert session.strip.cursor == 4
            assert session.query == "bag/000.jpg"

    async def test_a_double_click_on_a_neighbour_makes_it_the_query(self) -> None:
        async with explore(two_models()) as session:
            await session.click(session.strip.cells[4], times=2)
            assert session.query == "chair/004.jpg"

    async def test_a_double_click_on_a_thumbnail_makes_it_the_query(self) -> None:
        async with explore(two_models(), WIDE) as session:
            await session.click(session.thumbnails.cells[3], times=2)
            assert session.query == "bag/003.jpg"
            assert session.panel == "query"

    async def test_a_click_on_an_empty_cell_does_nothing(self) -> None:
        async with explore(ScriptedEngine(photos(3), embedded=[LITE0])) as session:
            await session.click(session.strip.cells[5], times=2)
            assert session.strip.cursor == 0
            assert session.query == "bag/000.jpg"
