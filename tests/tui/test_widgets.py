"""The parts that the panels are made of, each in an app of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from PIL import Image
from rich.text import Text
from textual import on
from textual._compositor import Compositor
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Static

from tests.tui.scripted_engine import press, settle, terminal
from visexplore.core.messages import EmbedReport, Progress
from visexplore.tui.jobs import Job, duration, progress_sentence
from visexplore.tui.panels.panel import Panel
from visexplore.tui.terminal import Graphics
from visexplore.tui.theme import DARK
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture_grid import PictureGrid, Strip, graphics_after
from visexplore.tui.widgets.row_list import RowList
from visexplore.tui.widgets.status import StatusLine


@dataclass
class Heard:
    """What a widget said to the app."""

    labels: list[str | None] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    pages: list[tuple[int, bool]] = field(default_factory=list)


class One(App[None]):
    """An app with one widget."""

    CSS = "Screen { layout: vertical; }"

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.register_theme(DARK)
        self.theme = DARK.name
        self.widget = widget
        self.heard = Heard()

    def compose(self) -> ComposeResult:
        yield self.widget

    @on(LabelList.Chosen)
    def _label(self, event: LabelList.Chosen) -> None:
        self.heard.labels.append(event.label)

    @on(PictureGrid.Chosen)
    def _cell(self, event: PictureGrid.Chosen) -> None:
        self.heard.cells.append(event.index)

    @on(PictureGrid.Left)
    def _page(self, event: PictureGrid.Left) -> None:
        self.heard.pages.append((event.pages, event.to_end))

    def lines(self) -> list[str]:
        """The screen, row by row."""
        return [strip.text for strip in self.screen._compositor.render_strips()]


class TestLabelList:
    COUNTS: ClassVar = [(f"label-{number:02}", 1000 + number) for number in range(50)]

    async def test_all_images_come_first(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(12, [("bag", 5), ("mug", 7)])  # type: ignore[attr-defined]
            await settle(pilot)
            assert [line.split() for line in app.lines()[:3]] == [["All", "12"], ["bag", "5"], ["mug", "7"]]

    async def test_of_a_long_label_the_end_is_shown(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(20, 6)) as pilot:
            app.widget.show(1, [("animals/mammals/whales/blue", 1)])  # type: ignore[attr-defined]
            await settle(pilot)
            assert app.lines()[1].strip() == "…mmals/whales/blue 1"[-18:] or app.lines()[1].split()[0].endswith(
                "whales/blue"
            )

    @pytest.mark.parametrize(
        ("keys", "chosen"),
        [
            ("enter", None),
            ("down enter", "label-00"),
            ("j j k enter", "label-00"),
            ("end enter", "label-49"),
            ("end home enter", None),
            ("pagedown enter", "label-04"),
            ("end pageup enter", "label-44"),
            ("up up enter", None),
            ("end down enter", "label-49"),
        ],
    )
    async def test_keys_move_and_choose(self, keys: str, chosen: str | None) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, self.COUNTS)  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, *keys.split())
            assert app.heard.labels == [chosen]

    async def test_the_cursor_stays_in_sight(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, self.COUNTS)  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, *["down"] * 20)
            assert any("label-19" in line for line in app.lines())

    async def test_a_click_chooses(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, self.COUNTS)  # type: ignore[attr-defined]
            await settle(pilot)
            await pilot.click(offset=(3, 2))
            await settle(pilot)
            assert app.heard.labels == ["label-01"]

    async def test_another_dataset_begins_at_the_top(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, self.COUNTS)  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, "end")
            app.widget.show(1, [("bag", 1)])  # type: ignore[attr-defined]
            await press(pilot, "enter")
            assert app.heard.labels == [None]

    async def test_an_empty_list_chooses_nothing(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.focus()
            await press(pilot, "down", "end", "enter")
            assert app.heard.labels == []


class TestRowList:
    async def test_keys_of_vim_and_both_ends(self) -> None:
        table = RowList()
        app = One(table)
        async with app.run_test(size=(24, 6)) as pilot:
            table.add_column("name")
            for number in range(30):
                table.add_row(Text(f"{number}"))
            table.focus()
            seen = []
            for key in ("j", "j", "k", "end", "home"):
                await press(pilot, key)
                seen.append(table.cursor_row)
            assert seen == [1, 2, 1, 29, 0]


class TestPictureGrid:
    @staticmethod
    def fill(grid: PictureGrid, number: int) -> None:
        """Put pictures of one colour on a page."""
        grid.begin_page(number)
        for index in range(number):
            grid.fill(index, Image.new("RGB", (8, 8), "red"), Content(f"{index}"))

    async def test_pictures_that_do_not_fit_are_left_out(self) -> None:
        grid = PictureGrid(terminal(), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            await settle(pilot)
            self.fill(grid, grid.capacity + 5)
            await settle(pilot)
            assert [str(cell.caption.visual) for cell in grid.cells] == [str(n) for n in range(grid.capacity)]

    async def test_cells_fill_the_room_and_keep_in_it(self) -> None:
        for size in ((30, 10), (80, 24), (200, 60), (16, 40), (120, 6)):
            grid = PictureGrid(terminal(), caption_lines=1)
            app = One(grid)
            async with app.run_test(size=size) as pilot:
                await settle(pilot)
                assert grid.cells
                for cell in grid.cells:
                    assert grid.region.contains_region(cell.region), size

    async def test_a_cursor_with_nothing_under_it_is_not_seen(self) -> None:
        grid = PictureGrid(terminal(), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            grid.focus()
            await settle(pilot)
            assert not grid.query(".cursor")
            self.fill(grid, 1)
            await settle(pilot)
            assert len(grid.query(".cursor")) == 1

    async def test_moving_the_cursor_paints_no_picture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        grid = PictureGrid(terminal(Graphics.HALFBLOCK), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            grid.focus()
            await settle(pilot)
            self.fill(grid, grid.capacity)
            await settle(pilot)
            painted: list[Region] = []
            paint = Compositor.render_partial_update

            def note_and_paint(compositor: Compositor) -> object:
                painted.extend(compositor._dirty_regions)
                return paint(compositor)

            monkeypatch.setattr(Compositor, "render_partial_update", note_and_paint)
            await press(pilot, "right")
            assert grid.cursor == 1
            assert set(painted) == {cell.caption.region for cell in grid.cells[:2]}

    async def test_it_says_when_the_cursor_wants_to_leave_the_page(self) -> None:
        grid = PictureGrid(terminal(), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            grid.focus()
            await settle(pilot)
            self.fill(grid, grid.capacity)
            await press(pilot, "left", "pagedown", "pageup", "home", "end")
            assert app.heard.pages == [(-1, False), (1, False), (-1, False), (-1, True), (1, True)]

    async def test_a_new_page_drops_what_the_old_one_still_had_to_show(self) -> None:
        grid = PictureGrid(terminal(), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            await settle(pilot)
            self.fill(grid, grid.capacity)
            self.fill(grid, 1)
            await settle(pilot)
            assert [str(cell.caption.visual) for cell in grid.cells] == ["0", *[""] * (grid.capacity - 1)]

    async def test_enter_on_an_empty_page_chooses_nothing(self) -> None:
        grid = PictureGrid(terminal(), caption_lines=1)
        app = One(grid)
        async with app.run_test(size=(60, 20)) as pilot:
            grid.focus()
            grid.begin_page(0)
            await press(pilot, "enter")
            assert app.heard.cells == []


class TestStrip:
    @pytest.mark.parametrize(
        ("size", "columns"), [((78, 18), 3), ((118, 34), 3), ((150, 14), 6), ((40, 50), 2), ((20, 60), 2)]
    )
    async def test_six_cells_are_arranged_so_that_they_are_large(self, size: tuple[int, int], columns: int) -> None:
        strip = Strip(terminal(), caption_lines=2)
        app = One(strip)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            assert (strip.columns, strip.capacity) == (columns, 6)
            for cell in strip.cells:
                assert strip.region.contains_region(cell.region)


class TestStatusLine:
    @staticmethod
    def job(**facts: object) -> Job:
        """A job that runs."""
        progress = Progress("clip", "embedding", 5, 20, images_per_second=3.25, eta_seconds=4.6, bottleneck="decoding")
        return Job(1, "/photos", "photos", "clip", **({"state": "running", "progress": progress} | facts))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            (140, "embedding photos with clip  █████░░░░░░░░░░░░░░░  5/20  3.2/s  0:05 left  pace: decoding"),
            (80, "clip  █░░░░░  5/20  3.2/s  0:05 left  pace: decoding"),
        ],
    )
    async def test_a_job_is_told_as_the_room_allows(self, columns: int, words: str) -> None:
        line = StatusLine()
        app = One(line)
        async with app.run_test(size=(columns, 3)) as pilot:
            line.show_job(self.job(), 0)
            await settle(pilot)
            assert app.lines()[0].strip() == words

    async def test_a_job_without_progress_waits(self) -> None:
        line = StatusLine()
        app = One(line)
        async with app.run_test(size=(80, 3)) as pilot:
            line.show_job(self.job(state="waiting", progress=None), 2)
            await settle(pilot)
            assert app.lines()[0].strip() == "embedding photos with clip  waits for its turn  (+2 waiting: J)"

    async def test_the_same_words_again_paint_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = StatusLine()
        app = One(line)
        async with app.run_test(size=(80, 3)) as pilot:
            line.show_job(self.job(), 0)
            await settle(pilot)
            updates: list[object] = []
            monkeypatch.setattr(line, "update", lambda content, **options: updates.append(content))
            line.show_job(self.job(), 0)
            assert updates == []


class TestJob:
    def test_durations(self) -> None:
        assert [duration(seconds) for seconds in (0, 7.6, 59.6, 750, 11_100)] == [
            "0:00",
            "0:08",
            "1:00",
            "12:30",
            "3:05:00",
        ]

    @pytest.mark.parametrize(
        ("cancelled", "embedded", "words"),
        [
            (False, 20, "20 images embedded, 4.0/s"),
            (True, 1, "stopped: 1 image embedded, 4.0/s"),
            (False, 0, "0 images embedded"),
        ],
    )
    def test_what_is_said_at_its_end(self, cancelled: bool, embedded: int, words: str) -> None:
        report = EmbedReport("clip", "/photos", 20, embedded, 0, (), 5.0, 4.0, "model", "/store", cancelled)
        job = Job(1, "/photos", "photos", "clip", "cancelled" if cancelled else "done", report=report)
        assert job.sentence() == words
        assert not job.is_open

    def test_progress_says_only_what_is_known(self) -> None:
        assert progress_sentence(Progress("clip", "embedding", 0, 20)) == "0/20"
        assert progress_sentence(Progress("clip", "loading")) == "loading the model"


class TestPanel:
    async def test_its_parts_follow_each_other(self) -> None:
        class Two(Panel):
            PARTS = ("#a", "#b", "#c")

            def compose(self) -> ComposeResult:
                for name in "abc":
                    part = Static(name, id=name)
                    part.can_focus = True
                    yield part

        panel = Two()
        app = One(panel)
        async with app.run_test() as pilot:
            panel.query_one("#b").display = False
            panel.focus_content()
            seen = []
            for _ in range(3):
                await settle(pilot)
                seen.append(app.focused.id if app.focused else None)
                panel.focus_next_part()
            assert seen == ["a", "c", "a"]


def test_the_protocols_go_round() -> None:
    seen = [Graphics.KITTY]
    while (following := graphics_after(seen[-1])) not in seen:
        seen.append(following)
    assert set(seen) == set(Graphics)
