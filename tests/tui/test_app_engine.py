"""What the screen makes of the engine: datasets of all kinds, sizes of the terminal, and an engine that dies."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.tui.scripted_engine import (
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    WIDE,
    Photos,
    ScriptedEngine,
    drawn,
    explore,
    photos,
)
from visexplore.core.engine import (
    AskPicture,
    AskThumbnail,
    DatasetOpened,
    Embed,
    OpenDataset,
    PictureMade,
    Search,
)
from visexplore.core.errors import EmptyDataset, StorageError
from visexplore.core.messages import Neighbour
from visexplore.tui.base_app import SMALLEST
from visexplore.tui.pictures import Pictures


def embedded(number: int = 12, **facts: object) -> ScriptedEngine:
    """Return an engine with a dataset that is embedded with lite0 and lite1."""
    return ScriptedEngine(photos(number, **facts), embedded=[LITE0, LITE1])  # type: ignore[arg-type]


class TestOpening:
    async def test_the_screen_is_there_before_the_engine_has_answered(self) -> None:
        engine = embedded()
        engine.hold(OpenDataset)
        async with explore(engine) as session:
            assert session.status == "Opening /photos ..."
            await session.press("1", "down", "2", "n", "z", "e", "r", "J", "escape")
            assert session.app.is_running
            engine.release()
            await session.settle()
            assert len(session.neighbours) == 5

    async def test_an_empty_folder_says_so_where_the_images_would_be(self) -> None:
        engine = embedded()
        engine.fail(OpenDataset, EmptyDataset("/photos holds no images", "Images end in .jpg."))
        async with explore(engine, WIDE) as session:
            assert session.content_of("#cache-states") == "/photos holds no images. Images end in .jpg."
            assert session.notes == ["/photos holds no images. Images end in .jpg."]

    async def test_folders_that_cannot_be_read_are_told(self) -> None:
        async with explore(embedded(problems=("/photos/secret: Permission denied",)), WIDE) as session:
            assert session.notes == ["/photos/secret: Permission denied"]
            assert session.content_of("#cache-states").startswith("1 problem. ")

    async def test_the_images_of_a_label_are_counted(self) -> None:
        async with explore(embedded(), WIDE) as session:
            rows = [line.split() for line in session.text_of("#labels").splitlines() if line.strip()]
            assert rows[:4] == [["All", "12"], ["bag", "4"], ["chair", "4"], ["mug", "4"]]


class TestSmallAndUnlabelled:
    async def test_without_labels_nothing_is_right_or_wrong(self) -> None:
        async with explore(embedded(labels=()), WIDE) as session:
            assert "right" not in session.head
            assert not {"✓", "✗"} & set("".join(session.neighbours))
            assert session.neighbours[0].splitlines()[::2] == ["1 0.940", "001.jpg"]
            assert not session.app.screen.query_one("#labels").display

    async def test_with_labels_each_neighbour_is_marked(self) -> None:
        async with explore(embedded()) as session:
            assert [caption.splitlines()[0][-1] for caption in session.neighbours] == ["✓", "✓", "✓", "✗", "✗"]
            assert "3 of 5 right" in session.head

    async def test_three_images_have_two_neighbours(self) -> None:
        async with explore(embedded(3, labels=())) as session:
            assert len(session.neighbours) == 2
            assert [cell.picture._image is not None for cell in session.strip.cells] == [True] * 3 + [False] * 3
            await session.press("right", "right", "right", "right")
            assert session.strip.cursor == 2

    async def test_a_single_image_has_none(self) -> None:
        async with explore(embedded(1, labels=())) as session:
            assert session.neighbours == []
            assert "1 image searched" in session.head
            await session.press("n", "p", "r", "right", "enter", "z", "right", "escape")
            assert session.query == "000.jpg"
            assert session.status == "1 image, no labels. Pictures: text"

    async def test_fewer_neighbours_than_before_leave_nothing_behind(self) -> None:
        engine = embedded()
        async with explore(engine) as session:
            engine.neighbours = lambda request: (Neighbour(1, "mug/011.jpg", "", 0.5, "mug"),)
            await session.press("n")
            assert [caption.splitlines()[::2] for caption in session.neighbours] == [["1 0.500 ✗", "mug"]]
            assert [cell.picture._image is not None for cell in session.strip.cells] == [True, True] + [False] * 4


class TestPicturesThatCannotBeShown:
    async def test_the_reason_stands_in_their_place(self) -> None:
        data = photos(12, unreadable={"bag/001.jpg": "cut off after 12 kB"})
        async with explore(ScriptedEngine(data, embedded=[LITE0]), WIDE) as session:
            assert "cut off" in session.text_of("#strip")
            assert "cut off" in session.text_of("#thumbnails")
            assert session.neighbours[0].splitlines()[::2] == ["1 0.940 ✓", "bag"]
            assert session.notes == []

    async def test_a_page_left_is_not_asked_for_any_more(self) -> None:
        engine = embedded(1000)
        async with explore(engine, WIDE) as session:
            engine.hold(AskThumbnail)
            before = len(engine.asked(AskThumbnail))
            await session.press("2", *["pagedown"] * 10)
            assert len(engine.asked(AskThumbnail)) <= before + 4
            engine.release()
            await session.settle()
            page = session.thumbnails.capacity
            asked = {request.image_id for request in engine.asked(AskThumbnail)}
            shown = session.captions(session.thumbnails)
            assert {int(image_id[-7:-4]) for image_id in asked} >= {int(caption[:3]) for caption in shown}
            assert len(asked) < 8 * page

    async def test_a_late_picture_of_a_page_left_is_not_put_on_another(self) -> None:
        engine = embedded(100)
        async with explore(engine, MIDDLE) as session:
            await session.press("2")
            engine.hold(AskThumbnail)
            await session.press("pagedown", "pagedown")
            engine.release()
            await session.settle()
            first = 2 * session.thumbnails.capacity
            expected = Image.frombytes("RGB", (drawn(f"bag/{first:03}.jpg", 48).width, drawn(f"bag/{first:03}.jpg", 48).height), drawn(f"bag/{first:03}.jpg", 48).pixels)  # fmt: skip  # noqa: E501
            assert session.captions(session.thumbnails)[0] == f"{first:03}.jpg"
            assert session.thumbnails.cells[0].picture._image is not None
            assert session.thumbnails.cells[0].picture._image.tobytes() == expected.tobytes()

    def test_256_pictures_are_kept_at_most(self) -> None:
        engine = ScriptedEngine(photos(400))
        pictures = Pictures(engine)
        engine.on_event = lambda event: (
            (pictures.made(event.ticket, event.picture) if isinstance(event, PictureMade) else None) and None
        )
        engine.hold(AskThumbnail)
        got: list[object] = []
        for image_id in engine.datasets["/photos"].image_ids:
            pictures.get("/photos", image_id, got.append)
            engine.release(1)
        assert len(got) == 400
        assert len(pictures._kept) == 256
        pictures.get("/photos", engine.datasets["/photos"].image_ids[-1], got.append)
        assert len(engine.asked(AskThumbnail)) == 400, "the last ones are at hand"


class TestSizes:
    @pytest.mark.parametrize(
        ("size", "panels"),
        [(NARROW, ["query"]), ((139, 40), ["query"]), ((140, 40), ["catalogue", "dataset", "query"])],
    )
    async def test_three_panels_from_140_columns(self, size: tuple[int, int], panels: list[str]) -> None:
        async with explore(embedded(), size) as session:
            assert session.visible_panels == panels

    async def test_resizing_keeps_query_model_and_cursor(self) -> None:
        async with explore(embedded(), NARROW) as session:
            await session.press("n", "right_square_bracket", "right", "right")
            for size in (WIDE, NARROW, MIDDLE):
                await session.resize(*size)
                assert session.query == "bag/001.jpg"
                assert session.head.splitlines()[1].startswith(LITE1)
                assert (session.strip.cursor, session.marked(session.strip)) == (2, [2])
                assert session.focus == "strip"
                assert all(cell.picture._image is not None for cell in session.strip.cells)

    async def test_resizing_keeps_the_cursor_on_its_thumbnail(self) -> None:
        async with explore(embedded(100), WIDE) as session:
            await session.press("2", "pagedown", *["right"] * 10)
            at = session.captions(session.thumbnails)[session.thumbnails.cursor]
            for size in (NARROW, MIDDLE, (90, 60), WIDE):
                await session.resize(*size)
                assert session.captions(session.thumbnails)[session.thumbnails.cursor] == at
                assert session.marked(session.thumbnails) == [session.thumbnails.cursor]

    async def test_a_panel_that_was_hidden_opens_where_the_query_is(self) -> None:
        async with explore(embedded(100), NARROW) as session:
            await session.press("p", "2")
            assert "099.jpg" in session.captions(session.thumbnails)

    async def test_too_small_a_terminal_says_so_and_comes_back(self) -> None:
        async with explore(embedded(), NARROW) as session:
            await session.press("n", "right")
            await session.resize(SMALLEST[0] - 1, 24)
            assert "59 x 24 is too small:" in session.text
            assert "bag" not in session.text
            await session.resize(*NARROW)
            assert "too small" not in session.text
            assert session.query == "bag/001.jpg"
            await session.press("right")
            assert session.strip.cursor == 2

    async def test_a_terminal_that_is_too_low_says_so(self) -> None:
        async with explore(embedded(), (80, SMALLEST[1] - 1)) as session:
            assert "80 x 17 is too small:" in session.text

    async def test_the_smallest_terminal_shows_all_pictures(self) -> None:
        async with explore(embedded(), SMALLEST) as session:
            assert all(cell.picture.size.height >= 2 for cell in session.strip.cells)
            assert session.strip.cells[-1].region.bottom <= SMALLEST[1]

    async def test_leaving_works_where_it_is_too_small(self) -> None:
        async with explore(embedded(), (40, 10)) as session:
            await session.press("q")
            assert session.app._exit


class TestAnEngineThatDies:
    async def test_it_is_told_and_started_again(self) -> None:
        async with explore(embedded()) as session:
            session.engine.die()
            await session.settle()
            assert session.engine.starts == 2
            assert session.notes == [
                "The engine stopped unexpectedly (it was ended by signal 9). The machine may have run out of memory. "
                "Starting it again."
            ]
            assert len(session.engine.asked(OpenDataset)) == 2

    async def test_nothing_on_the_screen_is_lost(self) -> None:
        async with explore(embedded(100)) as session:
            await session.press("n", "right_square_bracket", "2", "2", "home", "down", "enter", "right", "right")

            def shown() -> tuple[object, ...]:
                grid = session.thumbnails
                return session.content_of("#page"), session.captions(grid), grid.cursor, session.head, session.focus

            before = shown()
            session.engine.die()
            await session.settle()
            assert shown() == before
            assert session.query == "bag/001.jpg"

    async def test_the_job_goes_on(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            session.engine.progress(25)
            session.engine.die()
            await session.settle()
            first, second = session.engine.asked(Embed)
            assert first == second
            assert session.status.endswith("waits for its turn")
            session.engine.progress(50)
            await session.settle()
            assert "50/100" in session.status

    async def test_a_job_that_was_being_stopped_does_not(self) -> None:
        from visexplore.core.engine import Cancel

        async with explore(ScriptedEngine(photos(4000))) as session:
            session.engine.hold(Cancel)
            await session.press("e", "e")
            session.engine.die()
            await session.settle()
            assert len(session.engine.asked(Embed)) == 1
            assert "e Embed" in session.lines[-1]

    async def test_a_search_on_its_way_is_asked_again(self) -> None:
        async with explore(embedded()) as session:
            session.engine.hold(Search)
            await session.press("n")
            session.engine.die()
            session.engine.release()
            await session.settle()
            assert session.head.startswith("bag/001.jpg")
            assert len(session.neighbours) == 5

    async def test_pictures_on_their_way_are_asked_again(self) -> None:
        async with explore(embedded(100)) as session:
            session.engine.hold(AskThumbnail)
            await session.press("p")
            session.engine.die()
            session.engine.release()
            await session.settle()
            assert all(cell.picture._image is not None for cell in session.strip.cells)

    async def test_an_outside_picture_on_its_way_is_asked_again(self) -> None:
        async with explore(embedded()) as session:
            session.engine.hold(AskPicture)
            await session.press("o", *"cat", "enter")
            session.engine.die()
            session.engine.release()
            await session.settle()
            assert session.strip.cells[0].picture._image is not None
            assert len(session.neighbours) == 5

    async def test_a_zoom_that_waits_says_why_nothing_comes(self) -> None:
        async with explore(embedded()) as session:
            session.engine.hold(AskPicture)
            await session.press("z")
            session.engine.die()
            await session.settle()
            assert "stopped unexpectedly" in session.text_of("#zoom")

    async def test_before_the_dataset_was_opened_it_is_opened_after_all(self) -> None:
        engine = embedded()
        engine.hold(OpenDataset)
        async with explore(engine) as session:
            await session.press("question_mark")
            engine.die()
            engine.release()
            await session.settle()
            assert len(session.neighbours) == 5

    async def test_four_deaths_within_a_minute_are_enough(self) -> None:
        async with explore(ScriptedEngine(photos(100))) as session:
            for _ in range(4):
                session.engine.die()
                await session.settle()
            assert session.engine.starts == 4
            assert session.notes[-1].endswith("It stopped 4 times within a minute: giving up.")
            assert session.status == "The engine is down: press e to start it again."
            assert not any(job.is_open for job in session.app.jobs)

    async def test_keys_are_answered_all_the_same(self) -> None:
        async with explore(embedded(100)) as session:
            await session.press("question_mark")
            for _ in range(4):
                session.engine.die()
                await session.settle()
            await session.press("escape", "1", "down", "2", "right", "J", "escape")
            assert session.thumbnails.cursor == 1

    async def test_the_user_can_start_it_once_more(self) -> None:
        async with explore(ScriptedEngine(photos(4000))) as session:
            for _ in range(4):
                session.engine.die()
                await session.settle()
            await session.press("e")
            assert session.engine.starts == 5
            session.engine.finish()
            await session.settle()
            assert len(session.neighbours) == 5

    async def test_deaths_long_ago_do_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(embedded()) as session:
            for _ in range(5):
                session.app._deaths = [then - 61 for then in session.app._deaths]
                session.engine.die()
                await session.settle()
            assert session.engine.starts == 6

    async def test_one_that_cannot_be_started_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(embedded()) as session:

            def start() -> None:
                raise StorageError("engine.log cannot be written (No space left on device)")

            monkeypatch.setattr(session.engine, "start", start)
            session.engine.die()
            await session.settle()
            assert session.notes[-1] == "engine.log cannot be written (No space left on device)."
            assert session.status == "The engine is down: press e to start it again."


class TestALargeDataset:
    """100,000 images in 20,000 labels: the app's own loop has to stay free.

    Measured in CPU time of the app's thread, without Python's garbage collector, the best of three: what is left is
    what the app does itself.
    """

    LONGEST = 0.1

    @pytest.fixture(scope="class")
    def many(self) -> Photos:
        return photos(100_000, labels=[f"class-{number:05}" for number in range(20_000)])

    @pytest.fixture(autouse=True)
    def no_garbage_collection(self) -> Iterator[None]:
        gc.disable()
        yield
        gc.enable()

    async def test_it_opens_without_a_stall(self, many: Photos) -> None:
        engine = ScriptedEngine(many, embedded=[LITE0])
        async with explore(engine, NARROW) as session:
            opened = engine._open(engine.asked(OpenDataset)[0])
            assert isinstance(opened, DatasetOpened)
            longest = []
            for number in range(3):
                again = opened._replace(spec=f"/{number}")
                engine.datasets[again.spec] = many
                engine.on_event(again)
                longest.append(await session.settle())
            assert min(longest) < self.LONGEST

    async def test_its_labels_are_all_listed(self, many: Photos) -> None:
        async with explore(ScriptedEngine(many, embedded=[LITE0]), NARROW) as session:
            await session.press("2", "2", "end", "enter")
            assert "5 images, page 1 of 1" in session.text

    async def test_its_pages_turn_fast(self, many: Photos) -> None:
        async with explore(ScriptedEngine(many, embedded=[LITE0]), NARROW) as session:
            await session.press("2")
            for action in ("turn({})", "end({})"):
                longest = []
                for step in (1, -1, 1):
                    await session.app.run_action(action.format(step), session.thumbnails)
                    longest.append(await session.settle())
                assert min(longest) < self.LONGEST, action

    async def test_its_queries_follow_each_other_fast(self, many: Photos) -> None:
        async with explore(ScriptedEngine(many, embedded=[LITE0]), NARROW) as session:
            longest = []
            for _ in range(3):
                session.app.action_step(-1)
                longest.append(await session.settle())
            assert min(longest) < self.LONGEST
            assert session.query == "class-19999/99997.jpg"
