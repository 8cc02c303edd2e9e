"""Draws the schematic picture of each family of the catalogue: what goes in, what happens, what comes out.

`drawing/diagram.py` has the shapes. The pictures have no background, so that they fit a dark and a light screen, and
they are to be told apart and understood at 40 by 12 cells.

Run it as `python assets/draw_families.py [OUT_DIR]`; it takes some seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from visexplore.assets.drawing.diagram import (
    BLUE,
    FAINT,
    GOLD,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    TEAL,
    WHITE,
    Diagram,
)


def two_towers(d: Diagram, image_tower: str, text_tower: str) -> None:
    """An image and a text, each with an encoder of its own, and the matrix of their similarities."""
    d.photo(3, 6, 17)
    d.block(3, 39, 17, 12, PURPLE, "a green\nhill", 4)
    d.arrow((21, 14.5), (26, 14.5))
    d.arrow((21, 45), (26, 45))
    d.tower(27, 4, 22, 21, BLUE, image_tower)
    d.tower(27, 34.5, 22, 21, ORANGE, text_tower)
    d.arrow((50, 14.5), (56, 14.5), (56, 30), (60, 30))
    d.arrow((50, 46.3), (66, 46.3))
    size, gap = 6, 1.2
    left, top = 68, 12
    for n in range(4):
        d.block(60, top + 3 + n * (size + gap), 5, size, BLUE, radius=0.8)
        d.block(left + n * (size + gap), top + 3 + 4 * (size + gap), size, 5, ORANGE, radius=0.8)
        for m in range(4):
            color = RED if n == m else FAINT
            d.block(left + m * (size + gap), top + 3 + n * (size + gap), size, size, color, radius=0.8)
    d.words(82, 8, "image x text", 4.4)


def clip(d: Diagram) -> None:
    """Two towers and a matrix of similarities."""
    two_towers(d, "image\nencoder", "text\nencoder")


def align(d: Diagram) -> None:
    """Two towers trained on a noisy heap of pairs from the web."""
    for step in (4, 2, 0):
        d.block(3 + step, 4 + step * 1.1, 17, 22, FAINT if step == 2 else GREY if step else "#b9c2ca", radius=1)
    d.photo(4.5, 5.5, 14)
    d.words(11.5, 22.5, "IMG_07.jpg", 3, PURPLE)
    d.words(14, 36, "1.8 billion\nnoisy pairs", 4.2)
    d.arrow((26, 15), (31, 15))
    d.arrow((26, 22), (28, 22), (28, 44), (31, 44))
    d.tower(32, 4, 25, 22, GREEN, "Efficient-\nNet", 4.4)
    d.tower(32, 33, 25, 22, ORANGE, "BERT", 4.6)
    d.arrow((58, 15), (67, 15))
    d.arrow((58, 44), (67, 44))
    d.vector(69, 5, GREEN)
    d.vector(69, 34, ORANGE)
    d.line((73, 15), (84, 29), color=RED, thick=1)
    d.line((73, 44), (84, 31), color=RED, thick=1)
    d.dot(85, 30, 6, RED)
    d.words(85, 30, "cos", 4.4, WHITE)


def vit(d: Diagram) -> None:
    """Patches become tokens of a plain transformer; the class token is the embedding."""
    d.patches(4, 16, 28, 4)
    d.arrow((33, 30), (39, 30))
    d.tokens(41, 6, [RED] + [BLUE] * 8, 4.6, 0.9, down=True)
    d.arrow((47, 30), (52, 30))
    d.block(54, 6, 22, 48, PURPLE, "trans-\nformer\nx 12", 5)
    d.arrow((77, 8.5), (85, 8.5), color=RED)
    d.vector(88, 7, RED, 8, 3.2)
    d.words(89, 42, "class\ntoken", 4.4)


def deit(d: Diagram) -> None:
    """A ViT with one more token, which learns from a convolutional teacher."""
    d.patches(3, 6, 22, 3)
    d.arrow((26, 17), (31, 17))
    d.tokens(33, 4, [RED, *[BLUE] * 5, GOLD], 4.4, 0.8, down=True)
    d.arrow((39, 21), (43, 21))
    d.block(45, 4, 20, 35.6, PURPLE, "trans-\nformer", 5)
    d.arrow((66, 6.2), (74, 6.2), color=RED)
    d.words(87, 6.2, "the label", 4.4, RED)
    d.arrow((66, 37.4), (74, 37.4), color=GOLD)
    d.words(87, 37.4, "the teacher", 4.4, GOLD)
    d.arrow((14, 29), (14, 50), (33, 50))
    d.slab(36, 50, 4, 12, GREEN)
    d.slab(44, 50, 6, 9, GREEN)
    d.slab(54, 50, 8, 6, GREEN)
    d.arrow((66, 50), (87, 50), (87, 41), color=GREEN)
    d.words(67, 57, "convolutional teacher", 4, GREEN)


def convnext(d: Diagram) -> None:
    """Stages of convolutions: maps become smaller and more."""
    d.photo(3, 18, 22)
    d.arrow((26, 29), (31, 29))
    for x, width, height in ((33, 3, 28), (46, 5, 21), (58, 8, 14), (71, 12, 9)):
        d.slab(x, 31, width, height, TEAL)
    d.arrow((86, 31), (91, 31))
    d.vector(93, 20)
    d.words(40, 52, "7 x 7 depthwise", 4.4)
    d.arrow((40, 49.5), (40, 45), color=FAINT)
    d.words(76, 43, "mean", 4.4)


def efficientnet(d: Diagram) -> None:
    """One network, and the same grown in width, depth and resolution together."""
    d.photo(2, 36, 10)
    for x, width, height in ((14.0, 1.6, 10.0), (18.5, 2.0, 8.0), (23.0, 3.0, 5.0)):
        d.slab(x, 42, width, height, TEAL)
    d.words(15, 54, "B0", 5)
    d.arrow((31, 41), (38, 37), color=ORANGE, thick=1.1)
    d.photo(41, 14, 22)
    for x, width, height in ((66.0, 3.0, 24.0), (74, 3.4, 20), (80.4, 4.4, 15), (87, 5.4, 10.5), (94, 4, 7)):
        d.slab(x, 28, width, height, TEAL)
    d.words(52, 8, "resolution", 4.2, ORANGE)
    d.words(84, 8, "width, depth", 4.2, ORANGE)
    d.words(70, 54, "B7: all three grow together", 4.6)


def masked(d: Diagram, target: str, below: str, color: str) -> None:
    """Patches of which some are hidden, a transformer, and what it has to say of those."""
    d.patches(3, 10, 30, 4, hidden=(1, 2, 6, 7, 9, 10, 11, 14))
    d.words(18, 47, "some are hidden", 4.2)
    d.arrow((34, 25), (40, 25))
    d.block(42, 8, 20, 34, PURPLE, target, 5)
    d.arrow((63, 25), (69, 25))
    d.words(83, 47, below, 4.2, color)


def beit(d: Diagram) -> None:
    """Hidden patches are guessed as visual tokens."""
    masked(d, "BEiT", "visual tokens", ORANGE)
    numbers = iter(("8", "31", "7", "19", "4", "26", "13", "5"))
    for n in range(16):
        row, column = divmod(n, 4)
        hidden = n in (1, 2, 6, 7, 9, 10, 11, 14)
        d.block(
            70 + column * 7, 10 + row * 7.7, 6.3, 7, ORANGE if hidden else FAINT, next(numbers) if hidden else "", 3.6
        )


def eva(d: Diagram) -> None:
    """Hidden patches are guessed as CLIP's features, by a very large ViT."""
    masked(d, "ViT-g\n1 billion", "CLIP's features", TEAL)
    for n in range(16):
        row, column = divmod(n, 4)
        x, y = 70 + column * 7, 10 + row * 7.7
        if n in (1, 2, 6, 7, 9, 10, 11, 14):
            for part, shade in enumerate((TEAL, "#6fb9bf", "#2b7c83")):
                d.block(x, y + part * 2.35, 6.3, 2.1, shade, radius=0.4)
        else:
            d.block(x, y, 6.3, 7, FAINT, radius=1)


def windows(d: Diagram, x: float, y: float, shift: int) -> None:
    """Eight by eight patches in windows of four by four, shifted by so many."""
    palette = (BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, GOLD, GREY, BLUE)
    rows = [
        [palette[((row + shift) // 4) * 3 + (column + shift) // 4 if shift else (row // 4) * 2 + column // 4]
         for column in range(8)]
        for row in range(8)
    ]  # fmt: skip
    d.grid(x, y, rows, 4, 0.5)


def swinv2(d: Diagram) -> None:
    """Attention inside windows, which shift from layer to layer."""
    windows(d, 6, 8, 0)
    d.arrow((45, 25.5), (54, 25.5), thick=1.1)
    windows(d, 57, 8, 2)
    d.words(24, 51, "windows", 4.8)
    d.words(75, 51, "shifted windows", 4.8)


def maxvit(d: Diagram) -> None:
    """A convolution, attention inside blocks, and attention over a sparse grid."""
    d.slab(3, 28, 8, 22, TEAL)
    d.words(9, 51, "MBConv", 4.4)
    d.arrow((18, 27), (23, 27))
    palette = (BLUE, ORANGE, GREEN, PURPLE)
    d.grid(25, 13, [[palette[row // 3 * 2 + column // 3] for column in range(6)] for row in range(6)], 4.2, 0.5)
    d.words(39, 51, "block attention", 4.4)
    d.arrow((55, 27), (61, 27))
    d.grid(63, 13, [[palette[row % 2 * 2 + column % 2] for column in range(6)] for row in range(6)], 4.2, 0.5)
    d.words(77, 51, "grid attention", 4.4)


def davit(d: Diagram) -> None:
    """Attention over windows of space in turns with attention over groups of channels."""
    palette = (BLUE, ORANGE, GREEN, PURPLE)
    d.grid(6, 12, [[palette[row // 3 * 2 + column // 3] for column in range(6)] for row in range(6)], 4.8, 0.5)
    d.words(22, 51, "windows of space", 4.6)
    d.arrow((42, 24), (52, 24), thick=1)
    d.arrow((52, 32), (42, 32), thick=1)
    for n, color in enumerate((BLUE, BLUE, ORANGE, ORANGE, GREEN, GREEN)):
        x, y = 78 - n * 3.6, 8 + n * 2.6
        d.block(x - 0.5, y - 0.5, 18, 24, WHITE, radius=1)
        d.block(x, y, 17, 23, color, radius=0.8)
    d.words(78, 51, "groups of channels", 4.6)


def flava(d: Diagram) -> None:
    """An image encoder, a text encoder, and a third one over both."""
    d.photo(3, 5, 17)
    d.block(3, 39, 17, 12, PURPLE, "a green\nhill", 4)
    d.arrow((21, 13.5), (27, 13.5))
    d.arrow((21, 45), (27, 45))
    d.block(28, 4, 20, 19, BLUE, "image\nencoder", 4.4)
    d.block(28, 36, 20, 19, ORANGE, "text\nencoder", 4.4)
    d.arrow((49, 17), (55, 25))
    d.arrow((49, 41), (55, 34))
    d.block(56, 20, 20, 19, GREEN, "both:\nmulti-\nmodal", 3.8)
    d.arrow((49, 9), (84, 9), color=BLUE)
    d.arrow((77, 29.5), (84, 29.5), color=GREEN)
    d.arrow((49, 50), (84, 50), color=ORANGE)
    d.vector(88, 3, BLUE, 4)
    d.vector(88, 23, GREEN, 4)
    d.vector(88, 43, ORANGE, 4)


def stable_diffusion(d: Diagram) -> None:
    """A VAE makes a small latent; a UNet takes the noise out of it."""
    d.photo(2, 7, 16)
    d.arrow((19, 15), (22, 15))
    d.tower(23, 4, 14, 22, BLUE, "VAE", 4.6)
    d.arrow((38, 15), (42, 15))
    tints = ("#6fb9bf", "#b8a24a", "#35979f", "#8b6fc0", "#c9837f", "#5f8fc9", "#a0a95a", "#4a7f86")
    d.grid(44, 9, [[tints[(row * 5 + column * 3) % 8] for column in range(4)] for row in range(4)], 2.7, 0.3)
    d.words(50, 26, "latent + noise", 3.6)
    d.arrow((57, 15), (62, 15))
    for x, height in ((63, 24), (68, 17), (73, 10), (78, 17), (83, 24)):
        d.block(x, 16 - height / 2 + (24 - height) / 2, 4, height, ORANGE, radius=0.8)
    d.words(75, 33, "UNet", 5, ORANGE)
    d.arrow((88, 15), (93, 15), (93, 42), (56, 42), (56, 30), color=FAINT)
    d.words(75, 46, "again and again", 4)
    d.arrow((44, 20), (42, 20), (42, 46), (38, 46))
    d.shape([(37, 36), (37, 56), (23, 52), (23, 40)], BLUE)
    d.words(30, 46, "VAE", 4.6, WHITE)
    d.arrow((22, 46), (19, 46))
    d.photo(2, 38, 16)


def internimage(d: Diagram) -> None:
    """A convolution whose nine points move to where the thing is."""
    for x, title in ((4, "convolution"), (56, "deformable")):
        d.frame(x, 6, 40, 40, FAINT)
        d.words(x + 20, 52, title, 4.8)
        d.shape([(x + 8, 40), (x + 14, 17), (x + 22, 11), (x + 31, 16), (x + 33, 30), (x + 24, 41)], "#7fb894")
    spots = [(dx * 7.0, dy * 7.0) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    moves = ((-1, -2), (0, -5), (5, -3), (-4, 2), (0, 0), (5, 1), (-5, 6), (1, 6), (-1, 3))
    d.arrow((46, 26), (54, 26), thick=1.1)
    for (dx, dy), (mx, my) in zip(spots, moves, strict=True):
        d.dot(24 + dx, 26 + dy, 1.7, RED)
        if mx or my:
            d.line((76 + dx, 26 + dy), (76 + dx + mx, 26 + dy + my), color=GREY, thick=0.6)
            d.dot(76 + dx, 26 + dy, 0.8, GREY)
        d.dot(76 + dx + mx, 26 + dy + my, 1.7, RED)


def simvlm(d: Diagram) -> None:
    """A prefix of patches and words goes in, the sentence goes on."""
    d.patches(3, 5, 20, 3)
    d.block(3, 33, 20, 9, PURPLE, "a photo", 4.2)
    d.words(13, 48, "prefix", 4.6)
    d.arrow((24, 15), (30, 20))
    d.arrow((24, 37), (30, 30))
    d.block(31, 8, 22, 34, BLUE, "encoder", 4.8)
    d.arrow((54, 25), (60, 25))
    d.block(61, 8, 20, 34, ORANGE, "decoder", 4.8)
    for n, word in enumerate(("of a", "green", "hill")):
        d.arrow((82, 14 + n * 11), (85, 14 + n * 11), color=FAINT)
        d.words(92, 14 + n * 11, word, 4.2, PURPLE)
    d.words(71, 48, "goes on", 4.6)


def vilt(d: Diagram) -> None:
    """Words and raw patches go into one transformer."""
    d.block(3, 5, 22, 9, PURPLE, "a green hill", 3.8)
    d.patches(4, 24, 20, 3)
    d.arrow((26, 9.5), (35, 9.5))
    d.arrow((25, 34), (35, 34))
    d.tokens(37, 4, [PURPLE] * 3, 4.4, 0.9, down=True)
    d.tokens(37, 21.5, [BLUE] * 6, 4.4, 0.9, down=True)
    d.arrow((43, 28), (49, 28))
    d.block(51, 4, 26, 49, TEAL, "one\ntransformer\nfor both", 4.4)
    d.arrow((78, 28), (85, 28))
    d.vector(89, 18)


def vit_gpt2(d: Diagram) -> None:
    """A ViT looks, GPT-2 writes."""
    d.photo(3, 17, 22)
    d.arrow((26, 28), (30, 28))
    d.tower(31, 10, 20, 36, BLUE, "ViT", 5.6)
    d.arrow((52, 28), (56, 28))
    d.block(57, 14, 20, 28, ORANGE, "GPT-2", 5.2)
    d.arrow((78, 28), (81, 28))
    for n, word in enumerate(("a green", "hill in", "the sun")):
        d.words(90.5, 20 + n * 8, word, 4.2, PURPLE)
    d.arrow((41, 44), (41, 52), color=RED)
    d.words(41, 55.5, "embedding", 4.2, RED)


def dalle_dvae(d: Diagram) -> None:
    """An image becomes a grid of numbered tokens, and an image again."""
    d.photo(2, 16, 18)
    d.arrow((21, 25), (24, 25))
    d.tower(25, 10, 13, 30, BLUE, "en-\ncoder", 3.8)
    d.arrow((39, 25), (42, 25))
    palette = (ORANGE, GREEN, PURPLE, TEAL, GOLD)
    numbers = ("17", "804", "5", "331", "62", "17", "940", "8", "271", "5", "62", "76", "331", "17", "8", "503")
    for n, number in enumerate(numbers):
        row, column = divmod(n, 4)
        d.block(43 + column * 5.4, 14.5 + row * 5.4, 5, 5, palette[int(number) % 5], number, 2.2, radius=0.6)
    d.words(54, 42, "tokens of 8192", 4.2)
    d.arrow((65, 25), (68, 25))
    d.shape([(69, 16), (79, 10), (79, 40), (69, 34)], BLUE)
    d.words(74, 25, "de-\ncoder", 3.6, WHITE)
    d.arrow((80, 25), (82.5, 25))
    d.photo(83, 17, 15)


def coca(d: Diagram) -> None:
    """An image encoder, a text decoder, and a second decoder that writes captions."""
    d.photo(2, 5, 17)
    d.block(2, 39, 17, 12, PURPLE, "a green\nhill", 4)
    d.arrow((20, 13.5), (25, 13.5))
    d.arrow((20, 45), (25, 45))
    d.block(26, 4, 21, 19, BLUE, "image\nencoder", 4.4)
    d.block(26, 36, 21, 19, ORANGE, "text\ndecoder", 4.4)
    d.arrow((36, 24), (36, 35), color=RED)
    d.arrow((36, 35), (36, 24), color=RED)
    d.words(44, 29.5, "contrast", 3.8, RED)
    d.arrow((48, 13.5), (64, 13.5), (64, 35))
    d.words(75, 22, "attends", 3.8)
    d.arrow((48, 45), (54, 45))
    d.block(55, 36, 21, 19, GREEN, "caption\ndecoder", 4.4)
    d.arrow((77, 45), (81, 45))
    for n, word in enumerate(("a green", "hill in", "the sun")):
        d.words(90.5, 38 + n * 7, word, 4, PURPLE)


def florence(d: Diagram) -> None:
    """An image and a task go in; a sentence, boxes or regions come out as text."""
    d.photo(2, 5, 18)
    d.block(2, 40, 18, 10, PURPLE, "<caption>", 3.4)
    d.arrow((21, 14), (25, 14))
    d.tower(26, 4, 18, 21, BLUE, "DaViT", 4.6)
    d.arrow((45, 14), (50, 20))
    d.arrow((21, 45), (50, 38))
    d.block(51, 10, 20, 38, ORANGE, "one\nsequence\nto another", 3.8)
    for n in range(3):
        d.arrow((72, 14 + n * 15), (76, 14 + n * 15), color=FAINT)
    d.words(88, 14, "a green hill", 3.8, PURPLE)
    d.photo(80, 22, 14)
    d.frame(81, 26.5, 8, 9, RED, 0.8)
    d.words(88, 44, "words, boxes", 3.6)
    d.arrow((35, 22), (35, 30), color=RED)
    d.words(35, 33.5, "embedding", 3.8, RED)


FAMILIES: dict[str, Callable[[Diagram], None]] = {
    "clip": clip,
    "vit": vit,
    "convnext": convnext,
    "beit": beit,
    "swinv2": swinv2,
    "maxvit": maxvit,
    "flava": flava,
    "deit": deit,
    "eva": eva,
    "stable-diffusion": stable_diffusion,
    "align": align,
    "internimage": internimage,
    "simvlm": simvlm,
    "vilt": vilt,
    "vit-gpt2": vit_gpt2,
    "dalle-dvae": dalle_dvae,
    "coca": coca,
    "davit": davit,
    "florence": florence,
    "efficientnet": efficientnet,
}


def draw(family: str) -> Image.Image:
    """Draws the schematic of a family of the catalogue."""
    diagram = Diagram()
    FAMILIES[family](diagram)
    return diagram.picture()


def write(folder: Path) -> None:
    """Draws every family into `folder/<id>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        draw(family).save(folder / f"{family}.png", optimize=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "families")
