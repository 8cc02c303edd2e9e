from __future__ import annotations

import io
import re
import subprocess
import sys
from base64 import b64decode

import pytest
from PIL import Image
from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.console import Console

from tests.tui.fake_terminal import KITTY, run_in_terminal
from visexplore.tui.graphics import Drawing, Pictures, draw
from visexplore.tui.terminal import Color, Graphics, Terminal

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def terminal(graphics: Graphics, cell: tuple[int, int] = (10, 20), in_tmux: bool = False) -> Terminal:
    return Terminal(cell_width=cell[0], cell_height=cell[1], graphics=graphics, color=Color.TRUECOLOR, in_tmux=in_tmux)


def gradient(width: int, height: int) -> Image.Image:
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 128)))


def quarters() -> Image.Image:
    """Red and green above blue and white."""
    image = Image.new("RGB", (2, 2))
    image.putdata([RED, GREEN, BLUE, WHITE])
    return image.resize((80, 80), Image.Resampling.NEAREST)


def texts(drawing: Drawing) -> list[str]:
    return ["".join(segment.text for segment in line) for line in drawing.lines]


def pure(color: RichColor | None) -> tuple[int, ...]:
    assert color is not None
    assert color.triplet is not None
    return tuple(255 * round(channel / 255) for channel in color.triplet)


class TestPrivateParts:
    """Those of textual-image that we use: if one goes, this tells before a user does."""

    def test_they_are_there(self) -> None:
        from textual_image import _terminal

        _terminal.probe_terminal._result = _terminal.TerminalCapabilities(  # type: ignore[attr-defined]
            _terminal.CellSize(7, 13), sixel=False, tgp=False
        )
        assert _terminal.get_cell_size() == (7, 13)
        from textual_image._sixel import SixelOptions, image_to_sixels
        from textual_image._tmux import tmux_escape
        from textual_image.renderable.tgp import _NUMBER_TO_DIACRITIC

        sixels = image_to_sixels(quarters(), SixelOptions(colors=8))
        assert sixels.startswith("\x1bP0;0;0q")
        assert sixels.endswith("-\x1b\\")
        assert tmux_escape("\x1bX") == "\x1bPtmux;\x1b\x1bX\x1b\\"
        assert len(_NUMBER_TO_DIACRITIC) == 297

    def test_no_query_is_sent(self) -> None:
        code = """
            from visexplore.tui.graphics import install
            from visexplore.tui.terminal import Graphics, Terminal
            for graphics in Graphics:
                install(Terminal(graphics=graphics, cell_width=8, cell_height=17))
            import textual_image.widget
            from textual_image._terminal import get_cell_size
            report(get_cell_size())
        """
        run = run_in_terminal(code, KITTY)
        assert (run.result, run.output) == ([8, 17], b""), run.errors


def test_nothing_heavy_is_imported_with_the_module() -> None:
    code = "import sys, visexplore.tui.graphics; print({'PIL', 'numpy', 'textual_image'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("graphics", Graphics)
@pytest.mark.parametrize("cell", [(10, 20), (9, 19), (16, 32), (7, 7)])
@pytest.mark.parametrize("size", [(256, 256), (256, 100), (90, 256), (1, 1), (300, 2), (2, 300), (1600, 1200)])
def test_every_shape_fits_the_box_and_keeps_its_proportions(
    size: tuple[int, int], cell: tuple[int, int], graphics: Graphics
) -> None:
    columns, rows = 16, 8
    drawing = draw(gradient(*size), columns, rows, terminal(graphics, cell))
    assert 1 <= drawing.columns <= columns
    assert 1 <= drawing.rows <= rows
    assert len(drawing.lines) == drawing.rows
    assert {cell_len(text) for text in texts(drawing)} == {drawing.columns}
    scale = min(columns * cell[0] / size[0], rows * cell[1] / size[1])
    assert abs(drawing.columns - size[0] * scale / cell[0]) < 1.5
    assert abs(drawing.rows - size[1] * scale / cell[1]) < 1.5


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
@pytest.mark.parametrize("graphics", Graphics)
def test_every_mode_is_drawn(mode: str, graphics: Graphics) -> None:
    assert draw(gradient(20, 20).convert(mode), 8, 4, terminal(graphics)).rows == 4


class TestHalfblock:
    def test_each_cell_has_two_pixels(self) -> None:
        drawing = draw(quarters(), 2, 1, terminal(Graphics.HALFBLOCK))
        assert texts(drawing) == ["▀▀"]
        styles = [segment.style for segment in drawing.lines[0] if segment.style]
        assert [(pure(s.color), pure(s.bgcolor)) for s in styles] == [(RED, BLUE), (GREEN, WHITE)]

    def test_an_odd_last_half_row_leaves_the_background(self) -> None:
        drawing = draw(gradient(80, 50), 8, 8, terminal(Graphics.HALFBLOCK))
        assert (drawing.columns, drawing.rows) == (8, 3)
        styles = [line[0].style for line in drawing.lines]
        assert [style is not None and style.bgcolor is not None for style in styles] == [True, True, False]


class TestText:
    def test_bright_is_dense(self) -> None:
        black_and_white = Image.new("RGB", (80, 40))
        black_and_white.paste(WHITE, (40, 0, 80, 40))
        assert texts(draw(black_and_white, 8, 2, terminal(Graphics.TEXT))) == ["    ████", "    ████"]

    def test_no_colours_are_used(self) -> None:
        drawing = draw(gradient(80, 40), 8, 2, terminal(Graphics.TEXT))
        assert all(segment.style is None for line in drawing.lines for segment in line)


class TestSixel:
    @pytest.mark.parametrize("cell", [(9, 18), (9, 19), (10, 20), (8, 17)])
    def test_whole_bands_within_the_rows(self, cell: tuple[int, int]) -> None:
        drawing = draw(gradient(256, 256), 16, 8, terminal(Graphics.SIXEL, cell))
        raster = re.match(r'\x1bP0;0;0q"1;1;(\d+);(\d+)#', drawing.pixels)
        assert raster is not None
        width, height = int(raster[1]), int(raster[2])
        assert height % 6 == 0, "tmux would give a part of a band a whole cell"
        assert drawing.pixels.count("-") == height // 6 - 1, "a line feed after the last band would scroll"
        assert drawing.pixels.endswith("\x1b\\")
        assert (width <= 16 * cell[0], height <= 8 * cell[1]) == (True, True)
        assert abs(width / height - 1) < 0.02

    def test_blank_cells_below(self) -> None:
        drawing = draw(gradient(100, 100), 16, 8, terminal(Graphics.SIXEL))
        assert set(texts(drawing)) == {" " * drawing.columns}

    def test_few_enough_bytes(self) -> None:
        noise = Image.effect_noise((256, 256), 90).convert("RGB")
        assert len(draw(noise, 16, 8, terminal(Graphics.SIXEL, (9, 18))).pixels) < 50_000

    def test_no_more_colours_than_the_terminal_has(self) -> None:
        few = Terminal(graphics=Graphics.SIXEL, sixel_colors=16)
        assert len(re.findall(r"#\d+;2;", draw(gradient(256, 256), 16, 8, few).pixels)) <= 16

    def test_colour_0_is_the_background_inside_tmux(self) -> None:
        drawing = draw(gradient(256, 256), 16, 8, terminal(Graphics.SIXEL, in_tmux=True), background=(255, 51, 0))
        assert re.match(r'\x1bP0;0;0q"1;1;\d+;\d+#0;2;100;20;0#', drawing.pixels)
        assert len(re.findall(r"#0\b", drawing.pixels)) == 1


class TestKitty:
    def commands(self, drawing: Drawing) -> list[tuple[dict[str, str], str]]:
        bodies = re.findall(r"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\", drawing.send)
        return [(dict(part.split("=") for part in keys.split(",")), data) for keys, data in bodies]

    def test_the_picture_is_sent_in_chunks_and_placed_unseen(self) -> None:
        drawing = draw(gradient(256, 128), 16, 8, terminal(Graphics.KITTY))
        (first, _), *rest = commands = self.commands(drawing)
        assert first.items() >= {"a": "T", "U": "1", "c": "16", "r": "4", "f": "100", "q": "2"}.items()
        assert all(len(data) <= 4096 for _, data in commands)
        assert [keys["m"] for keys, _ in commands] == ["1"] * len(rest) + ["0"]
        image = Image.open(io.BytesIO(b64decode("".join(data for _, data in commands))))
        assert image.size == (160, 80)

    def test_a_small_picture_is_enlarged_by_kitty(self) -> None:
        drawing = draw(gradient(20, 10), 16, 8, terminal(Graphics.KITTY))
        image = Image.open(io.BytesIO(b64decode("".join(data for _, data in self.commands(drawing)))))
        assert (image.size, drawing.columns, drawing.rows) == ((20, 10), 16, 4)

    def test_its_cells_name_it_by_their_colour(self) -> None:
        drawing = draw(gradient(100, 100), 4, 2, terminal(Graphics.KITTY))
        number = int(self.commands(drawing)[0][0]["i"])
        style = drawing.lines[0][0].style
        assert style is not None
        assert style.color is not None
        assert style.color.triplet is not None
        red, green, blue = style.color.triplet
        assert number == red << 16 | green << 8 | blue
        first, second = "\u0305", "\u030d"
        assert texts(drawing)[1].startswith(f"\U0010eeee{second}{first}\U0010eeee{second}{second}")

    def test_each_is_another_and_is_really_freed(self) -> None:
        one, two = (draw(gradient(9, 9), 4, 2, terminal(Graphics.KITTY)) for _ in range(2))
        numbers = [self.commands(drawing)[0][0]["i"] for drawing in (one, two)]
        assert numbers[0] != numbers[1]
        assert one.release == f"\x1b_Ga=d,d=I,i={numbers[0]},q=2\x1b\\"

    def test_all_is_wrapped_inside_tmux(self) -> None:
        drawing = draw(gradient(256, 256), 16, 8, terminal(Graphics.KITTY, in_tmux=True))
        assert drawing.send.startswith("\x1bPtmux;\x1b\x1b_Ga=T,")
        assert drawing.send.count("\x1bPtmux;") == drawing.send.count("_G")
        assert drawing.release.startswith("\x1bPtmux;\x1b\x1b_Ga=d,d=I,")

    def test_a_box_beyond_its_numbers_is_cut_down(self) -> None:
        drawing = draw(gradient(40, 10), 500, 400, terminal(Graphics.KITTY, (2, 4)))
        assert drawing.columns <= 297


class TestPictures:
    def printed(self, pictures: Pictures) -> str:
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
        console.print(pictures)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_side_by_side_in_columns_of_one_width(self) -> None:
        wide, high = gradient(100, 25), gradient(40, 100)
        lines = self.printed(Pictures([wide, high], terminal(Graphics.TEXT), 10, 5)).splitlines()
        assert len(lines) == 5
        assert {len(line) for line in lines} == {22}
        assert lines[4][:11].isspace()
        assert not lines[4][11:].isspace()

    def test_sixels_are_painted_over_their_columns(self) -> None:
        output = self.printed(Pictures([gradient(9, 9)] * 2, terminal(Graphics.SIXEL), 10, 5))
        assert re.findall(r"\x1b7\x1b\[5A\x1b\[(\d+)G\x1bP0;0;0q", output) == ["1", "12"]
        assert output.count("\x1b8") == 2

    def test_kitty_is_sent_the_pictures_first(self) -> None:
        output = self.printed(Pictures([gradient(9, 9)], terminal(Graphics.KITTY), 10, 5))
        assert output.index("a=T,U=1") < output.index("\U0010eeee")

    def test_none(self) -> None:
        assert self.printed(Pictures([], terminal(Graphics.SIXEL))).strip() == ""


def test_sixels_of_a_picture_with_a_palette_have_exactly_its_colours() -> None:
    image = Image.new("RGB", (40, 40), (16, 20, 24))
    image.paste((200, 100, 50), (10, 10, 30, 30))
    drawn = draw(
        image.quantize(4), 4, 2, Terminal(graphics=Graphics.SIXEL, sixel_colors=64, cell_width=10, cell_height=20)
    )
    told = set(re.findall(r"#\d+;2;(\d+;\d+;\d+)", drawn.pixels))
    assert {"6;8;9", "78;39;20"} <= told
