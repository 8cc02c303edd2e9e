"""The query view: mixes, parts of pictures, history, copying, what scores say, a large query, empty states."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual._compositor import ChopsUpdate
from textual.driver import Driver
from textual.geometry import Region
from textual.widgets import Input

from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    ScriptedEngine,
    Session,
    explore,
    photos,
    put_on_disk,
)
from tests.tui.test_evil_names import EVIL, assert_harmless
from visexplore.core.engine import AskPicture, ExportStrips, OpenDataset, Search
from visexplore.core.errors import NotEmbedded, UnreadableImage, UserError
from visexplore.core.messages import Box, Neighbour, QueryPart
from visexplore.tui.panels.query import QueryPanel
from visexplore.tui.screens.ask import Ask
from visexplore.tui.screens.crop import SMALLEST, STEP, Crop, grown, moved, resized
from visexplore.tui.terminal import Graphics
from visexplore.tui.widgets.picture import Picture

LARGE = (200, 50)


def engine(number: int = 12, **facts: Any) -> ScriptedEngine:
    return ScriptedEngine(photos(number, **facts), embedded=[LITE0, LITE1])


def last(session: Session, kind: type = Search) -> Any:
    return session.engine.asked(kind)[-1]


def field(session: Session) -> Input:
    return session.app.screen.query_one(Input)


# ---- mixes


class TestAdding:
    async def test_a_begins_with_the_present_query_as_an_expression(self) -> None:
        async with explore(engine()) as session:
            await session.press("n", "a")
            assert isinstance(session.app.screen, Ask)
            assert field(session).value == "bag/001.jpg"
            await session.type(" - mug/009.jpg")
            assert field(session).value == "bag/001.jpg - mug/009.jpg"
            await session.press("enter")
            assert last(session).parts == (QueryPart(image_id="bag/001.jpg"), QueryPart(-1.0, image_id="mug/009.jpg"))

    async def test_the_head_shows_the_mix_and_the_cell_its_first_picture(self) -> None:
        async with explore(engine()) as session:
            await session.press("a", *" + mug/009.jpg", "enter")
            assert session.head.splitlines()[0] == "bag/000.jpg + mug/009.jpg  (mix)"
            assert session.captions(session.strip)[0] == "MIX\n000.jpg\n2 parts"
            assert session.strip.cells[0].picture._image is not None

    async def test_a_mix_of_words_alone_stands_in_the_place_of_a_picture(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        async with explore(ScriptedEngine(photos(12), embedded=[CLIP]), model=CLIP) as session:
            await session.press("t", *"a bag", "enter", "a", *" - red", "enter")
            assert "“a bag - red”" in " ".join(session.text_of(session.strip.cells[0].picture).split())

    async def test_what_cannot_be_understood_is_told_and_changes_nothing(self) -> None:
        async with explore(engine()) as session:
            await session.press("a", *" + ", "enter")
            assert "A part of the mix is empty" in session.notes[-1]
            assert session.query == "bag/000.jpg"

    async def test_one_image_alone_is_a_query_as_any_other(self) -> None:
        async with explore(engine()) as session:
            await session.press("a")
            field(session).value = "mug/009.jpg"
            await session.press("enter")
            assert session.query == "mug/009.jpg"
            assert session.app.target is not None
            assert session.app.target.label == "mug"

    async def test_words_under_a_model_without_a_text_tower_say_who_can(self) -> None:
        async with explore(engine()) as session:
            await session.press("a", *" + red", "enter")
            assert "cannot search by text" in session.head
            assert "press m" in session.head

    async def test_plus_and_minus_take_the_neighbour_under_the_cursor(self) -> None:
        async with explore(engine()) as session:
            await session.press("right", "plus")
            assert last(session).parts == (QueryPart(image_id="bag/000.jpg"), QueryPart(image_id="bag/001.jpg"))
            await session.press("right", "right", "right")
            before = session.app.query_one(QueryPanel).image_under_cursor
            await session.press("minus")
            assert last(session).parts[-1] == QueryPart(-1.0, image_id=before)

    async def test_on_the_query_itself_they_say_what_to_do(self) -> None:
        async with explore(engine()) as session:
            searches = len(session.engine.asked(Search))
            await session.press("plus")
            assert "Put the cursor on a neighbour first" in session.notes[-1]
            assert len(session.engine.asked(Search)) == searches

    async def test_a_mix_is_searched_with_under_the_next_model_too(self) -> None:
        async with explore(engine()) as session:
            await session.press("right", "plus", "right_square_bracket")
            assert last(session).model == LITE1
            assert len(last(session).parts) == 2

    async def test_it_is_exported(self) -> None:
        async with explore(engine()) as session:
            await session.press("right", "plus", "x")
            assert len(last(session, ExportStrips).parts) == 2
            assert "Written: " in session.notes[-1]


# ---- parts of a picture


class TestCropping:
    async def test_enter_searches_with_the_part(self) -> None:
        async with explore(engine()) as session:
            await session.press("C", "l", "J", "enter")
            box = Box(0.225, 0.2, 0.825, 0.825)
            assert (last(session).image_id, last(session).crop) == ("bag/000.jpg", box)
            assert last(session, AskPicture).crop == box
            assert session.captions(session.strip)[0].startswith("PART\nbag\npart 22-82")
            assert "(part 22-82 x 20-82 %)" in session.head

    @pytest.mark.parametrize("key", ["escape", "q"])
    async def test_it_is_left_without_a_search(self, key: str) -> None:
        async with explore(engine()) as session:
            searches = len(session.engine.asked(Search))
            await session.press("C", "l", key)
            assert len(session.engine.asked(Search)) == searches
            assert session.app.target is not None
            assert session.app.target.crop is None

    async def test_it_begins_with_the_part_and_0_is_the_whole_picture_again(self) -> None:
        async with explore(engine()) as session:
            await session.press("C", "l", "enter", "C")
            window = session.app.screen
            assert isinstance(window, Crop)
            assert window.box.left == pytest.approx(0.2 + STEP)
            await session.press("0", "enter")
            assert last(session).crop is None

    async def test_words_have_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        put_on_disk(monkeypatch, tmp_path)
        async with explore(ScriptedEngine(photos(12), embedded=[CLIP]), model=CLIP) as session:
            await session.press("t", *"a bag", "enter", "C")
            assert "Words have no part" in session.notes[-1]

    async def test_of_an_outside_picture(self) -> None:
        async with explore(engine()) as session:
            await session.press("o", *"cat.jpg", "enter", "C", "enter")
            assert (last(session).path, last(session).crop) == ("cat.jpg", Box(0.2, 0.2, 0.8, 0.8))

    async def test_of_the_first_picture_of_a_mix(self) -> None:
        async with explore(engine()) as session:
            await session.press("right", "plus", "C", "enter")
            assert [part.crop is not None for part in last(session).parts] == [True, False]

    async def test_an_unreadable_picture_shows_the_reason(self) -> None:
        async with explore(engine()) as session:
            session.engine.fail(AskPicture, UnreadableImage("Not an image"))
            await session.press("C", "l")
            assert "Not an image" in session.text

    async def test_many_keys_at_once_draw_the_picture_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine(), graphics=Graphics.HALFBLOCK) as session:
            await session.press("C")
            window = session.app.screen
            assert isinstance(window, Crop)
            shown: list[object] = []
            show = Picture.show
            monkeypatch.setattr(Picture, "show", lambda self, image: (shown.append(image), show(self, image)))
            for _ in range(5):
                window.action_move(1, 0)
            await session.settle()
            assert len(shown) == 1

    async def test_the_part_is_drawn_bright_and_the_rest_dim(self) -> None:
        async with explore(engine(), graphics=Graphics.HALFBLOCK) as session:
            await session.press("C")
            picture = session.app.screen.query_one(Picture)
            assert picture._image is not None
            inside = picture._image.getpixel((picture._image.width // 2, picture._image.height // 2))
            await session.press("0")
            assert picture._image.getpixel((picture._image.width // 2, picture._image.height // 2)) == inside
            bright = picture._image.getpixel((1, 1))
            await session.press("minus", "minus", "minus")
            dim = picture._image.getpixel((1, 1))
            assert isinstance(bright, tuple)
            assert isinstance(dim, tuple)
            assert sum(dim) < sum(bright) * 0.5

    async def test_evil_names_are_harmless(self) -> None:
        async with explore(engine(labels=(EVIL, "b")), size=MIDDLE) as session:
            await session.press("C")
            assert_harmless(session)
            await session.press("enter", "a")
            assert_harmless(session)
            await session.press(*" + b/006.jpg", "enter")
            assert len(last(session).parts) == 2
            assert_harmless(session)
            await session.press("right", "y", "Y")
            assert_harmless(session)


fractions = st.integers(0, 39).map(lambda number: number / 40)
boxes = st.tuples(fractions, fractions, st.floats(SMALLEST, 1), st.floats(SMALLEST, 1)).map(
    lambda edges: Box(edges[0], edges[1], min(1, edges[0] + edges[2]), min(1, edges[1] + edges[3]))
)
steps = st.sampled_from([-STEP, 0, STEP])


@given(boxes, steps, steps, st.sampled_from([moved, resized]))
def test_a_box_stays_in_the_picture_whatever_keys_do(box: Box, right: float, down: float, change: Any) -> None:
    after = change(box, right, down)
    if change is moved:
        assert after.right - after.left == pytest.approx(box.right - box.left, abs=2e-4)
    assert min(after.right - after.left, after.bottom - after.top) > 0


@given(boxes, st.integers(-3, 3))
def test_growing_and_shrinking_keeps_a_box_in_the_picture(box: Box, steps: int) -> None:
    after = grown(box, steps * STEP)
    if steps > 0:
        assert after.left <= box.left + 1e-4
        assert after.right >= box.right - 1e-4


# ---- history


class TestHistory:
    async def test_b_goes_back_and_f_forward(self) -> None:
        async with explore(engine()) as session:
            await session.press("n", "n", "b")
            assert session.query == "bag/001.jpg"
            await session.press("b", "f", "f")
            assert session.query == "bag/002.jpg"

    async def test_the_model_stays(self) -> None:
        async with explore(engine()) as session:
            await session.press("n", "right_square_bracket", "b")
            assert (session.query, session.app.model) == ("bag/000.jpg", LITE1)
            assert last(session).model == LITE1

    async def test_at_its_ends_it_says_so(self) -> None:
        async with explore(engine()) as session:
            await session.press("b", "f")
            assert session.notes == ["There is no query before this one.", "There is no query after this one."]

    async def test_parts_and_mixes_come_back(self) -> None:
        async with explore(engine()) as session:
            await session.press("C", "enter", "n", "right", "plus", "n", "b")
            assert len(last(session).parts) == 2
            await session.press("b", "b")
            assert last(session).crop is not None

    async def test_next_goes_on_from_where_one_went_back_to(self) -> None:
        async with explore(engine()) as session:
            await session.press("n", "n", "n", "b", "b", "n")
            assert session.query == "bag/002.jpg"

    async def test_another_dataset_begins_another(self) -> None:
        other = photos(5, spec="/other", title="other")
        scripted = ScriptedEngine(photos(12), other, embedded=[LITE0])
        async with explore(scripted) as session:
            await session.press("n")
            scripted.send(OpenDataset(scripted.ticket(), "/other"))
            await session.settle()
            await session.press("b")
            assert session.notes[-1] == "There is no query before this one."


# ---- copying and revealing


class TestCopying:
    async def test_y_copies_the_path_of_the_picture_under_the_cursor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine()) as session:
            written: list[str] = []
            assert isinstance(session.app._driver, Driver)
            monkeypatch.setattr(session.app._driver, "write", written.append)
            await session.press("right", "y")
            assert session.notes[-1] == "/photos/1"
            code = base64.b64encode(b"/photos/1").decode()
            assert f"\x1b]52;c;{code}\a" in "".join(written)

    async def test_of_the_query_it_is_its_own(self) -> None:
        async with explore(engine()) as session:
            await session.press("o", *"~/cat.jpg", "enter", "y")
            assert session.notes[-1] == "~/cat.jpg"

    async def test_capital_y_goes_there_among_the_images(self) -> None:
        async with explore(engine(100)) as session:
            for _ in range(40):
                session.app.action_step(1)
            await session.settle()
            await session.press("right", "Y")
            assert session.panel == "dataset"
            grid = session.thumbnails
            assert session.captions(grid)[grid.cursor] == "041.jpg"

    async def test_it_gives_up_a_filter_that_hides_it(self) -> None:
        async with explore(engine(100)) as session:
            await session.press("2", "slash", *"mug", "enter", "3", "right", "Y")
            grid = session.thumbnails
            assert session.captions(grid)[grid.cursor] == "001.jpg"

    async def test_an_outside_picture_is_nowhere_among_them(self) -> None:
        async with explore(engine()) as session:
            await session.press("o", *"cat.jpg", "enter", "Y")
            assert session.panel == "query"
            assert session.notes[-1] == "That is no image of the dataset."

    async def test_where_the_cursor_is_not_seen_they_do_nothing(self) -> None:
        async with explore(engine()) as session:
            await session.press("2", "y", "Y", "plus")
            assert session.notes == []


# ---- what scores say


class TestScores:
    @staticmethod
    def spread(request: Search) -> tuple[Neighbour, ...]:
        scores = (0.91, 0.9, 0.7, 0.69, 0.68)
        return tuple(
            Neighbour(rank, f"bag/00{rank}.jpg", "", score, "bag", 99.9 - rank)
            for rank, score in enumerate(scores, start=1)
        )

    @pytest.mark.parametrize("size", [NARROW, MIDDLE, LARGE])
    async def test_each_neighbour_has_rank_score_mark_percentile_and_bar(self, size: tuple[int, int]) -> None:
        scripted = engine()
        scripted.neighbours = self.spread
        async with explore(scripted, size) as session:
            first, *_, fifth = session.neighbours
            assert first.splitlines()[0] == "1 0.910 ✓"
            assert "98.90 %" in first
            assert first.count("█") > fifth.count("█")
            shown = session.text_of(session.strip.cells[1].caption)
            assert "98.90 %" in shown
            assert "1 0.910 ✓" in shown

    async def test_the_note_names_the_largest_gap(self) -> None:
        scripted = engine()
        scripted.neighbours = self.spread
        async with explore(scripted) as session:
            assert "gap after 2: 0.20" in session.head


# ---- a large query


class TestLargeQuery:
    @pytest.mark.parametrize("size", [MIDDLE, LARGE])
    async def test_where_there_is_room_the_query_is_larger_than_its_neighbours(self, size: tuple[int, int]) -> None:
        async with explore(engine(), size) as session:
            query, *others = (cell.picture.size for cell in session.strip.cells)
            assert len(others) == 5
            assert all(query.height >= 1.4 * other.height for other in others)
            for cell in session.strip.cells:
                assert session.strip.region.contains_region(cell.region)
            assert "bag/000.jpg" in session.text_of(".facts")
            assert "chair/005.jpg" in session.text_of(".facts")

    async def test_down_leads_to_the_neighbours_and_up_back(self) -> None:
        async with explore(engine(), MIDDLE) as session:
            seen = []
            for key in ("down", "right", "up", "down", "down"):
                await session.press(key)
                seen.append(session.strip.cursor)
            assert seen == [1, 2, 0, 1, 1]

    async def test_a_smaller_terminal_brings_six_cells_back(self) -> None:
        async with explore(engine(), MIDDLE) as session:
            await session.resize(*NARROW)
            assert len({cell.picture.size for cell in session.strip.cells}) == 1
            assert len(session.neighbours) == 5
            await session.resize(*MIDDLE)
            assert session.strip.large_width
            assert len(session.neighbours) == 5


# ---- economy


class TestEconomy:
    @staticmethod
    def painted(session: Session, monkeypatch: pytest.MonkeyPatch) -> set[int]:
        """Return the cells whose pictures are written to the terminal from now on."""
        cells: set[int] = set()
        regions = [cell.picture.region for cell in session.strip.cells]

        def display(app: object, screen: object, update: Any) -> None:
            if update is not None:
                assert isinstance(update, ChopsUpdate), "the whole screen is written"
                for y, left, right in update.spans:
                    cells.update(n for n, at in enumerate(regions) if Region(left, y, right - left, 1).overlaps(at))

        monkeypatch.setattr(type(session.app), "_display", display)
        return cells

    @pytest.mark.parametrize("graphics", [Graphics.SIXEL, Graphics.KITTY, Graphics.HALFBLOCK])
    @pytest.mark.parametrize("size", [NARROW, LARGE])
    async def test_the_query_is_not_sent_again_when_only_the_model_changes(
        self, size: tuple[int, int], graphics: Graphics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with explore(engine(), size, graphics=graphics) as session:
            painted = self.painted(session, monkeypatch)
            await session.press("right_square_bracket", "left_square_bracket")
            assert painted == {1, 2, 3, 4, 5}

    async def test_a_neighbour_that_stays_in_its_place_is_not_sent_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted = engine()
        found = [
            tuple(Neighbour(rank, f"{name}.jpg", "", 0.9, None) for rank, name in enumerate(names, start=1))
            for names in (("bag/001", "bag/002"), ("bag/001", "bag/003"))
        ]
        scripted.neighbours = lambda request: found[request.model == LITE1]
        async with explore(scripted, graphics=Graphics.SIXEL) as session:
            painted = self.painted(session, monkeypatch)
            await session.press("right_square_bracket")
            assert painted == {2}

    @pytest.mark.parametrize("size", [NARROW, LARGE])
    async def test_a_cursor_key_sends_no_picture(self, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine(), size, graphics=Graphics.SIXEL) as session:
            painted = self.painted(session, monkeypatch)
            await session.press("right", "right", "down", "up")
            assert painted == set()


# ---- nothing to show


class TestEmptyStates:
    async def test_nothing_embedded_says_e(self) -> None:
        async with explore(ScriptedEngine(photos(5000))) as session:
            assert "press e" in session.head

    async def test_an_only_image_says_what_to_do(self) -> None:
        async with explore(ScriptedEngine(photos(1), embedded=[LITE0])) as session:
            assert "nothing else is embedded yet: e embeds, D opens another folder" in session.head

    @pytest.mark.parametrize(
        ("error", "advice"),
        [
            (UnreadableImage("bag/000.jpg is cut off"), "n goes on to the next image"),
            (NotEmbedded("Nothing is embedded", "Run: visexplore embed"), "press e to embed"),
            (UserError("The parts cancel each other out", "Change the weights."), "a changes the query"),
        ],
    )
    async def test_a_search_that_fails_says_what_to_press(self, error: Exception, advice: str) -> None:
        scripted = engine()
        scripted.fail(Search, error)  # type: ignore[arg-type]
        async with explore(scripted) as session:
            assert advice in session.head

    async def test_a_dataset_that_cannot_be_opened_says_what_to_press(self) -> None:
        async with explore(engine(), spec="/nowhere") as session:
            assert "press D to open another" in session.head.replace("Press", "press")
