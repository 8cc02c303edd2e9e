from __future__ import annotations

import gc
import re
import tracemalloc
from typing import Any

import pytest
from PIL import Image
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Static

from tests.tui.fake_terminal import SIXEL_XTERM, run_in_terminal
from visexplore.tui.graphics import Drawing
from visexplore.tui.terminal import Color, Graphics, Terminal
from visexplore.tui.widgets import picture as picture_module
from visexplore.tui.widgets.picture import Picture

RED, BLUE = (255, 0, 0), (0, 0, 255)
SIXEL = re.compile(r'\x1bP0;0;0q"1;1;(\d+);(\d+)#')


def terminal(graphics: Graphics) -> Terminal:
    return Terminal(cell_width=10, cell_height=20, graphics=graphics, color=Color.TRUECOLOR)


def plain(color: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color)


class PictureApp(App[None]):
    CSS = "Picture { width: 12; height: 6; } Static { width: 20; height: 2; } Horizontal { height: 9; }"

    def __init__(self, graphics: Graphics) -> None:
        super().__init__()
        self.picture = Picture(terminal(graphics))

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield self.picture
            yield Static("beside it")
        yield Static("below it")

    def rows(self) -> list[list[Segment]]:
        """What the rows of the picture send to the terminal."""
        region = self.picture.region
        strips = self.screen._compositor.render_strips()[region.y : region.bottom]
        return [list(strip.crop(region.x, region.right)) for strip in strips]

    def text(self) -> list[str]:
        return ["".join(segment.text for segment in row) for row in self.rows()]

    def sent(self) -> str:
        """All that the picture would write, sixels too."""
        size = self.picture.outer_size
        return "".join(segment.text for row in self.picture.render_lines(size.region) for segment in row)

    def color(self, x: int, y: int) -> tuple[int, ...] | None:
        for segment in self.rows()[y]:
            if x < segment.cell_length:
                assert segment.style is not None
                color = segment.style.color if segment.text[x] == "▀" else segment.style.bgcolor
                return tuple(color.triplet) if color is not None and color.triplet else None
            x -= segment.cell_length
        return None


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Graphics]:
    """How each picture was drawn, in order."""
    log: list[Graphics] = []
    draw = picture_module.draw

    def logging_draw(image: Any, columns: int, rows: int, where: Terminal, *rest: Any) -> Drawing:
        log.append(rest[0])
        return draw(image, columns, rows, where, *rest)

    monkeypatch.setattr(picture_module, "draw", logging_draw)
    return log


class TestHalfblock:
    async def test_its_pixels_are_on_the_screen(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            assert app.text() == ["▀" * 12] * 6
            assert {app.color(x, y) for x in range(12) for y in range(6)} == {RED}

    async def test_a_wide_one_is_in_the_middle_and_not_stretched(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED, (120, 40)))
            await pilot.pause()
            blank = " " * 12
            assert app.text() == [blank, blank, "▀" * 12, "▀" * 12, blank, blank]

    async def test_a_high_one_after_a_wide_one_leaves_nothing_behind(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED, (120, 40)))
            await pilot.pause()
            app.picture.show(plain(BLUE, (40, 120)))
            await pilot.pause()
            assert app.text() == [" " * 4 + "▀" * 4 + " " * 4] * 6
            assert app.color(4, 2) == BLUE
            assert app.color(0, 2) == app.color(11, 0) not in (RED, BLUE)

    async def test_cleared_is_blank(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            for clear in (app.picture.clear, lambda: app.picture.show(None)):
                app.picture.show(plain(RED))
                await pilot.pause()
                clear()
                await pilot.pause()
                assert app.text() == [" " * 12] * 6
                assert app.color(0, 0) != RED

    async def test_raw_pixels(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.show_rgb(bytes(RED) * 6, (3, 2))
            await pilot.pause()
            assert app.color(6, 3) == RED

    async def test_a_partly_covered_row_is_cut_at_the_right_cell(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            part = app.picture.render_lines(app.picture.region.reset_offset.shrink((1, 2, 1, 3)))
            assert [strip.text for strip in part] == ["▀" * 7] * 4


@pytest.mark.parametrize("graphics", list(Graphics))
async def test_taken_off_the_screen_it_is_blank_where_it_is_painted_once_more(graphics: Graphics) -> None:
    app = PictureApp(graphics)
    async with app.run_test() as pilot:
        app.picture.show(plain(RED))
        await pilot.pause()
        await app.picture.remove()
        assert app.sent().strip() == ""


class TestNotes:
    @pytest.mark.parametrize("graphics", Graphics)
    async def test_waiting(self, graphics: Graphics) -> None:
        app = PictureApp(graphics)
        async with app.run_test() as pilot:
            app.picture.wait()
            await pilot.pause()
            assert "".join(app.text()).strip() == "…"

    async def test_a_reason_is_wrapped_and_made_printable(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.fail("not an image: \x1b]0;evil\x07 日本語日本語 [red]x[/")
            await pilot.pause()
            text = app.text()
            assert not any(ord(char) < 32 for char in "".join(text))
            assert [line.strip() for line in text][:2] == ["not an", "image: \\x1b]"]
            assert "日本語" in "".join(text)
            assert "[red]x[/" in "".join(text)
            assert [row.cell_length for row in app.picture.render_lines(app.picture.outer_size.region)] == [12] * 6

    async def test_a_picture_replaces_a_note(self) -> None:
        app = PictureApp(Graphics.HALFBLOCK)
        async with app.run_test() as pilot:
            app.picture.fail("broken")
            await pilot.pause()
            app.picture.show(plain(RED))
            await pilot.pause()
            assert app.text() == ["▀" * 12] * 6


class TestText:
    async def test_it_needs_no_colours(self) -> None:
        app = PictureApp(Graphics.TEXT)
        async with app.run_test() as pilot:
            image = plain((0, 0, 0))
            image.paste((255, 255, 255), (32, 0, 64, 64))
            app.picture.show(image)
            await pilot.pause()
            assert app.text() == [" " * 6 + "█" * 6] * 6


class TestEconomy:
    async def test_nothing_is_drawn_while_hidden(self, drawn: list[Graphics]) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.display = False
            await pilot.pause()
            for _ in range(5):
                app.picture.show(plain(RED))
                await pilot.pause()
            assert drawn == []
            app.picture.display = True
            await pilot.pause()
            assert drawn == [Graphics.SIXEL]

    async def test_the_same_picture_is_not_painted_again(
        self, drawn: list[Graphics], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            image = plain(RED)
            pixels = bytes(BLUE) * 4
            for show in (
                lambda: app.picture.show(image),
                lambda: app.picture.show_rgb(bytes(pixels), (2, 2)),
            ):
                show()
                await pilot.pause()
                refreshed: list[object] = []
                with monkeypatch.context() as patch:
                    patch.setattr(app.picture, "refresh", lambda *a, log=refreshed, **k: log.append(a))
                    show()
                assert refreshed == []
            assert len(drawn) == 2

    async def test_a_repaint_draws_nothing_anew(self, drawn: list[Graphics]) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            for _ in range(3):
                app.screen.refresh()
                await pilot.pause()
            assert drawn == [Graphics.SIXEL]

    async def test_a_change_lays_nothing_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            await pilot.pause(0.1)
            layouts: list[object] = []
            monkeypatch.setattr(type(app.screen), "_refresh_layout", lambda *a, **k: layouts.append(a))
            app.picture.show(plain(RED))
            await pilot.pause()
            app.picture.set_graphics(Graphics.HALFBLOCK)
            await pilot.pause()
            app.picture.clear()
            await pilot.pause()
            assert layouts == []

    @pytest.mark.parametrize("graphics", Graphics)
    async def test_many_swaps_leave_nothing_in_memory(self, graphics: Graphics) -> None:
        app = PictureApp(graphics)
        async with app.run_test() as pilot:

            async def swap(times: int) -> None:
                for number in range(times):
                    app.picture.show(plain((number % 256, number // 3 % 256, 0)))
                    await pilot.pause()
                gc.collect()

            await swap(20)
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await swap(50)
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert len(app.picture.children) == 0
            assert grown < 1_000_000, "Textual's own style caches may grow, pictures may not"


class TestSixel:
    async def test_it_is_painted_after_the_last_row_and_over_the_first(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            rows = app.picture.render_lines(app.picture.outer_size.region)
            assert [row.text for row in rows[:-1]] == [" " * 12] * 5
            last = rows[-1].text
            assert last.startswith(" " * 12 + "\x1b[1;1H\x1bP")
            assert last.endswith("\x1b\\\x1b[6;13H")
            assert {row.cell_length for row in rows} == {12}

    async def test_it_follows_its_place(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED, (40, 120)))
            await pilot.pause()
            assert "\x1b[1;5H\x1bP" in app.sent(), "in the middle of its box"
            app.picture.styles.offset = (7, 3)
            await pilot.pause()
            assert "\x1b[4;12H\x1bP" in app.sent()

    async def test_another_size_is_another_drawing(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            app.picture.styles.width, app.picture.styles.height = 6, 3
            await pilot.pause()
            found = SIXEL.search(app.sent())
            assert found is not None
            assert found.groups() == ("60", "60")
            assert len(app.picture._drawings) == 1

    async def test_it_keeps_off_the_last_row_of_the_screen(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test(size=(40, 6)) as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            found = SIXEL.search(app.sent())
            assert found is not None
            assert int(found[2]) <= 5 * 20
            await pilot.resize_terminal(40, 20)
            await pilot.pause()
            found = SIXEL.search(app.sent())
            assert found is not None
            assert int(found[2]) > 5 * 20

    async def test_half_blocks_stand_in_behind_a_modal_screen(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            await app.push_screen(ModalScreen())
            await pilot.pause()
            assert "▀" * 12 in app.sent()
            assert not SIXEL.search(app.sent())
            await app.pop_screen()
            await pilot.pause()
            assert SIXEL.search(app.sent())

    async def test_half_blocks_stand_in_beneath_a_toast(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test(size=(20, 10), notifications=True) as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            assert SIXEL.search(app.sent())
            app.notify("1\n2\n3\n4\n5")
            await pilot.pause()
            assert not SIXEL.search(app.sent())
            app.clear_notifications()
            await pilot.pause()
            assert SIXEL.search(app.sent())

    async def test_the_protocol_can_be_changed_live(self) -> None:
        app = PictureApp(Graphics.SIXEL)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            app.picture.set_graphics(Graphics.HALFBLOCK)
            await pilot.pause()
            assert app.text() == ["▀" * 12] * 6
            app.picture.set_graphics(Graphics.SIXEL)
            await pilot.pause()
            assert SIXEL.search(app.sent())


class TestKitty:
    @pytest.fixture
    def written(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What goes straight to the terminal."""
        log: list[str] = []
        monkeypatch.setattr(Picture, "_write", lambda self, text: log.append(text) if text else None)
        return log

    async def test_sent_once_and_freed_when_replaced(self, written: list[str]) -> None:
        app = PictureApp(Graphics.KITTY)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            app.screen.refresh()
            await pilot.pause()
            assert len(written) == 1
            number = re.search(r"a=T,U=1,i=(\d+),c=12,r=6,", written[0])
            assert number is not None
            app.picture.show(plain(BLUE))
            await pilot.pause()
            await pilot.pause()
            assert written[2:] == [f"\x1b_Ga=d,d=I,i={number[1]},q=2\x1b\\"], "after the next one was sent"

    @pytest.mark.parametrize("leave", ["clear", "remove", "exit", "halfblock"])
    async def test_freed_when_gone(self, written: list[str], leave: str) -> None:
        app = PictureApp(Graphics.KITTY)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            match leave:
                case "clear":
                    app.picture.clear()
                case "remove":
                    await app.picture.remove()
                case "halfblock":
                    app.picture.set_graphics(Graphics.HALFBLOCK)
            await pilot.pause()
            await pilot.pause()
        assert len(written) == 2
        assert "a=d,d=I" in written[1]

    async def test_half_blocks_stand_in_behind_a_modal_screen(self, written: list[str]) -> None:
        app = PictureApp(Graphics.KITTY)
        async with app.run_test() as pilot:
            app.picture.show(plain(RED))
            await pilot.pause()
            assert "\U0010eeee" in app.sent()
            await app.push_screen(ModalScreen())
            await pilot.pause()
            assert "▀" * 12 in app.sent()
            await app.pop_screen()
            await pilot.pause()
            assert "\U0010eeee" in app.sent()
            assert len(written) == 1, "the terminal still has it"


LIVE = """
    from visexplore.tui.terminal import apply_color, detect
    terminal = detect()
    apply_color(terminal.color)
    from PIL import Image
    from textual.app import App
    from textual.containers import Horizontal
    from textual.widgets import Static
    from visexplore.tui.widgets.picture import Picture

    class Live(App):
        CSS = "Picture { width: 12; height: 6; } Static { width: 20; height: 2; }"

        def compose(self):
            with Horizontal():
                yield Picture(terminal)
                yield Static("caption")

        async def on_mount(self):
            self.picture = self.query_one(Picture)
            self.image = Image.new("RGB", (64, 64), "red")
            self.set_timer(0.5, self.start)

        def mark(self, name):
            self._driver.write(f"<{name}>")

        def start(self):
            self.mark("start")
            self.picture.show(self.image)
            self.set_timer(0.3, self.again)

        def again(self):
            self.mark("same")
            self.picture.show(self.image)
            self.query_one(Static).update("other caption")
            self.set_timer(0.3, self.swap)

        def swap(self):
            self.mark("swap")
            self.picture.show(Image.new("RGB", (40, 120), "blue"))
            self.set_timer(0.3, self.toast)

        def toast(self):
            self.mark("toast")
            self.notify("1\\n2\\n3\\n4\\n5\\n6")
            self.set_timer(0.5, self.untoast)

        def untoast(self):
            self.mark("untoast")
            self.clear_notifications()
            self.set_timer(0.5, self.leave)

        def leave(self):
            self.mark("leave")
            self.exit()

    Live().run()
    report(str(terminal.graphics))
"""


def test_what_a_terminal_gets() -> None:
    script = LIVE.replace("Live().run()", "import os; os.dup2(1, 2); Live().run()")  # Textual writes to stderr
    run = run_in_terminal(script, SIXEL_XTERM, size=(24, 10))
    assert run.result == "sixel", run.errors
    _, *names_and_outputs = re.split(r"<(start|same|swap|toast|untoast|leave)>", run.output.decode())
    outputs = dict(zip(names_and_outputs[::2], names_and_outputs[1::2], strict=True))
    sixels = {name: len(SIXEL.findall(output)) for name, output in outputs.items()}
    assert sixels == {"start": 1, "same": 0, "swap": 1, "toast": 0, "untoast": 1, "leave": 0}
    assert "▀" in outputs["toast"], "a covered picture is drawn in cells"
    assert len(outputs["same"]) < 500
