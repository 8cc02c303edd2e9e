"""The parts that the panels are made of, each in an app of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

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

from tests.tui.scripted_engine import press, put_on_disk, settle, terminal
from visexplore.core.catalogue import POOLINGS, Checkpoint, Family, WeightsStatus, load_catalogue
from visexplore.core.cost import KnownRates, embedding_cost
from visexplore.core.messages import CacheState, EmbedReport, Progress
from visexplore.tui.jobs import Job, duration, progress_sentence
from visexplore.tui.label_tree import LabelTree
from visexplore.tui.model_costs import Here
from visexplore.tui.model_facts import facts
from visexplore.tui.panels.panel import Panel
from visexplore.tui.terminal import Graphics
from visexplore.tui.text_search import TextModels, takes_text
from visexplore.tui.theme import DARK
from visexplore.tui.weights import Weights
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture import Picture, Words
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
            app.widget.show(12, LabelTree([("bag", 5), ("mug", 7)]))  # type: ignore[attr-defined]
            await settle(pilot)
            assert [line.split() for line in app.lines()[:3]] == [["All", "12"], ["bag", "5"], ["mug", "7"]]

    async def test_of_a_long_label_the_end_is_shown(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(20, 6)) as pilot:
            app.widget.show(1, LabelTree([("animals-mammals-whales-blue", 1)]))  # type: ignore[attr-defined]
            await settle(pilot)
            assert app.lines()[1].split()[0].endswith("whales-blue")

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
            app.widget.show(1, LabelTree(self.COUNTS))  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, *keys.split())
            assert app.heard.labels == [chosen]

    async def test_the_cursor_stays_in_sight(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, LabelTree(self.COUNTS))  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, *["down"] * 20)
            assert any("label-19" in line for line in app.lines())

    async def test_a_click_chooses(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, LabelTree(self.COUNTS))  # type: ignore[attr-defined]
            await settle(pilot)
            await pilot.click(offset=(3, 2))
            await settle(pilot)
            assert app.heard.labels == ["label-01"]

    async def test_another_dataset_begins_at_the_top(self) -> None:
        app = One(LabelList())
        async with app.run_test(size=(24, 6)) as pilot:
            app.widget.show(1, LabelTree(self.COUNTS))  # type: ignore[attr-defined]
            app.widget.focus()
            await press(pilot, "end")
            app.widget.show(1, LabelTree([("bag", 1)]))  # type: ignore[attr-defined]
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
        ("size", "columns"), [((78, 18), 3), ((118, 24), 3), ((150, 14), 6), ((40, 50), 2), ((20, 60), 2)]
    )
    async def test_six_cells_are_arranged_so_that_they_are_large(self, size: tuple[int, int], columns: int) -> None:
        strip = Strip(terminal(), caption_lines=2)
        app = One(strip)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            assert (strip.columns, strip.capacity) == (columns, 6)
            for cell in strip.cells:
                assert strip.region.contains_region(cell.region)


class TestWords:
    """A text in the place of a picture."""

    @staticmethod
    async def rows(text: str, graphics: Graphics = Graphics.TEXT, size: tuple[int, int] = (12, 4)) -> list[str]:
        picture = Picture(terminal(graphics))
        picture.styles.width, picture.styles.height = size
        app = One(picture)
        async with app.run_test(size=size) as pilot:
            picture.show(Image.new("RGB", (8, 8), "red"))
            await settle(pilot)
            picture.say(Words(text))
            await settle(pilot)
            return app.lines()

    async def test_they_stand_in_the_middle(self) -> None:
        assert await self.rows("a red bag") == [" " * 12, "“a red bag” ", " " * 12, " " * 12]

    async def test_they_are_broken_between_words(self) -> None:
        assert await self.rows("a red leather bag") == [" " * 12, "   “a red   ", "leather bag”", " " * 12]

    async def test_wide_characters_take_two_cells(self) -> None:
        assert await self.rows("赤い革のかばん") == [" " * 12, "“赤い革のか ", "   ばん”    ", " " * 12]

    async def test_what_does_not_fit_is_cut_off(self) -> None:
        rows = await self.rows("one two three four five six seven eight nine ten")
        assert [row.strip() for row in rows] == ["“one two", "three four", "five six", "seven eigh…"]

    @pytest.mark.parametrize("graphics", list(Graphics))
    async def test_they_are_characters_however_pictures_are_drawn(self, graphics: Graphics) -> None:
        assert (await self.rows("bag", graphics))[1].strip() == "“bag”"


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

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            (140, "downloading clip  █████░░░░░░░░░░░░░░░  151 of 605 MB  9.5 MB/s  0:48 left"),
            (80, "downloading clip  █░░░░░  151 of 605 MB  9.5 MB/s  0:48 left"),
        ],
    )
    async def test_a_download_is_told_as_the_room_allows(self, columns: int, words: str) -> None:
        line = StatusLine()
        app = One(line)
        progress = Progress("clip", "downloading", bytes_done=151_250_000, bytes_total=605_000_000,
                            bytes_per_second=9.51e6, eta_seconds=47.7)  # fmt: skip
        async with app.run_test(size=(columns, 3)) as pilot:
            line.show_job(self.job(progress=progress), 0)
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
        report = EmbedReport("clip", "/photos", 20, embedded, 0, (), 5.0, 4.0, "model", "/store", cancelled=cancelled)
        job = Job(1, "/photos", "photos", "clip", "cancelled" if cancelled else "done", report=report)
        assert job.sentence() == words
        assert not job.is_open

    def test_progress_says_only_what_is_known(self) -> None:
        assert progress_sentence(Progress("clip", "embedding", 0, 20)) == "0/20"
        assert progress_sentence(Progress("clip", "loading")) == "loading the model"
        assert progress_sentence(Progress("clip", "downloading")) == "waiting for the hub"

    @pytest.mark.parametrize(
        ("done", "total", "rate", "words"),
        [
            (1_234_567_890, 4_546_000_000, 21_400_000, "1,235 of 4,546 MB  21 MB/s"),
            (210_400, 1_650_000, 88_000, "0.2 of 1.6 MB  88 kB/s"),
            (0, 605_000_000, 0, "0 of 605 MB"),
        ],
    )
    def test_bytes_are_told_in_megabytes(self, done: int, total: int, rate: int, words: str) -> None:
        progress = Progress("clip", "downloading", bytes_done=done, bytes_total=total, bytes_per_second=rate)
        assert progress_sentence(progress) == words

    def test_one_that_was_stopped_before_it_embedded_anything(self) -> None:
        assert Job(1, "/photos", "photos", "clip", "cancelled").sentence() == "stopped"
        downloading = Progress("clip", "downloading", bytes_done=1, bytes_total=2)
        job = Job(1, "/photos", "photos", "clip", "cancelled", progress=downloading)
        assert job.sentence() == "stopped: what was downloaded is kept"


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


class TestFacts:
    """What the list of models says of the entry under the cursor."""

    @staticmethod
    def of(name: str, status: WeightsStatus = WeightsStatus.TO_DOWNLOAD) -> list[str]:
        checkpoint = load_catalogue().find(name)
        here = Here(status, embedding_cost(checkpoint, status, 0, KnownRates()))
        return [str(line) for line in facts(Family(id="any"), checkpoint, here)]

    def test_they_tell_licence_pooling_text_tower_and_where_the_weights_are(self) -> None:
        lines = self.of("clip-vit-b32")
        assert "text tower yes: t searches with words" in lines
        assert "weights 605 MB, to download" in lines
        assert any(line.startswith("licence MIT (") for line in lines)
        assert any(line.startswith("pooling pooled CLS token") for line in lines)
        assert "weights 605 MB, on disk" in self.of("clip-vit-b32", WeightsStatus.ON_DISK)

    def test_they_tell_what_other_poolings_are(self) -> None:
        lines = self.of("clip-vit-b32")
        assert "m chooses another: clip-vit-b32@gem, for example; each is a model of its own" in lines
        for name, meaning in POOLINGS.items():
            assert f"@{name} {meaning}" in lines

    def test_a_model_of_images_only_has_no_projection(self) -> None:
        lines = self.of("efficientnet-lite0", WeightsStatus.BUNDLED)
        assert "text tower no: images only" in lines
        assert any(line.startswith("weights ") and line.endswith(" MB, bundled") for line in lines)
        assert not [line for line in lines if line.startswith(("@projected", "@unprojected"))]


class TestTextModels:
    """Who is recommended to somebody who wants to search with words."""

    @staticmethod
    def model(slug: str, megabytes: float = 1.0, **facts: Any) -> Checkpoint:
        return Checkpoint(**{"id": f"a/{slug}", "loader": "transformers", "slug": slug, "weights_mb": megabytes,
                             "has_text_tower": True, "family": "a"} | facts)  # fmt: skip

    @pytest.mark.parametrize(
        ("here", "advice"),
        [
            ("", "the smallest that can is b (5 MB to download): press m"),
            ("a", "a can and runs here: press m"),
            ("ab", "a and b can and run here: press m"),
            ("abc", "a, b and c can and run here: press m"),
            ("abcd", "a, b and 2 more can and run here: press m"),
        ],
    )
    def test_those_that_run_here_come_first(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, here: str, advice: str
    ) -> None:
        models = [self.model(slug, size) for slug, size in (("a", 9), ("b", 5), ("c", 7), ("d", 6))]
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        for slug in here:
            put_on_disk(monkeypatch, tmp_path, models["abcd".index(slug)])
        assert TextModels(models, {}, Weights()).advice() == advice

    def test_one_that_has_embedded_the_images_comes_before_one_that_has_not(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        models = [self.model("a"), self.model("b")]
        for model in models:
            put_on_disk(monkeypatch, tmp_path, model)
        found = TextModels(models, {"b": CacheState("b", 3, 0, 3)}, Weights())
        assert found.first == models[1]
        assert found.offer() == "which has embedded these images"

    def test_those_without_a_text_tower_or_without_weights_are_none(self) -> None:
        models = [
            self.model("images", has_text_tower=False),
            self.model("never", unreleased="never released"),
            self.model("pooled", pooling_choice="cls"),
        ]
        assert TextModels(models, {}, Weights()).first is None

    def test_of_a_model_outside_the_catalogue_it_is_not_known_before_it_is_loaded(self) -> None:
        outside = load_catalogue().resolve("hf:someone/model")
        assert takes_text(outside)
        assert not takes_text(load_catalogue().resolve("hf:someone/model@mean"))
        assert TextModels([outside], {}, Weights()).first is None


def test_the_protocols_go_round() -> None:
    seen = [Graphics.KITTY]
    while (following := graphics_after(seen[-1])) not in seen:
        seen.append(following)
    assert set(seen) == set(Graphics)
