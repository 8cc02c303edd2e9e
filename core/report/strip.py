"""A strip: the query on the left, its nearest images on the right, as one picture. The figure of the seed document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from visexplore.core.catalogue import Checkpoint
from visexplore.core.messages import ModelResult, Neighbour, Query
from visexplore.core.query_mix import box_words, format_mix
from visexplore.core.text import printable

SIDE: Final = 224  # pixels of a picture's square
_GAP: Final = 12
_FRAME: Final = 4
_LINE: Final = 20
_INK, _FAINT, _PAPER, _MOUNT = "#1b1f24", "#5b6470", "#ffffff", "#eef0f3"
# Blue and orange are told apart with any colour vision, and each mark has a shape of its own.
_QUERY, _RIGHT, _WRONG = "#1b1f24", "#0072b2", "#d55e00"


@dataclass(frozen=True, slots=True)
class StripPicture:
    """One picture of a strip.

    Attributes:
        image: RGB of any size; None where there is none (a text query, a file that is gone).
        lines: what to write below it; the second is fainter.
        right: whether its label is the query's; None where that is not known.
    """

    image: Image.Image | None
    lines: tuple[str, ...]
    right: bool | None = None


def draw_strip(title: str, facts: str, query: StripPicture, neighbours: Sequence[StripPicture]) -> Image.Image:
    """Draw a strip with a heading: RGB, as wide as its pictures ask.

    Args:
        title: what is written large, such as the model.
        facts: what is written behind it, such as date and scores.
        query: the picture on the left.
        neighbours: the nearest first.
    """
    lines = max(len(one.lines) for one in (query, *neighbours))
    width = _GAP + (len(neighbours) + 1) * (SIDE + _GAP) + _GAP
    height = _GAP + 28 + _GAP + SIDE + 8 + lines * _LINE + _GAP
    strip = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(strip)
    large, small = _font(20), _font(15)
    pen.text((_GAP, _GAP), title, _INK, large)
    after = _GAP + pen.textlength(title, large) + 14
    pen.text((after, _GAP + 5), _fitted(facts, small, int(width - after - _GAP)), _FAINT, small)
    top = _GAP + 28 + _GAP
    for place, one in enumerate((query, *neighbours)):
        left = _GAP + place * (SIDE + _GAP) + (_GAP if place else 0)  # the query stands a little apart
        _draw_picture(strip, pen, one, (left, top), is_query=place == 0)
        for number, line in enumerate(one.lines):
            text = _fitted(line, small, SIDE)
            pen.text((left, top + SIDE + 8 + number * _LINE), text, _INK if number == 0 else _FAINT, small)
    return strip


def _draw_picture(
    strip: Image.Image, pen: ImageDraw.ImageDraw, one: StripPicture, corner: tuple[int, int], *, is_query: bool
) -> None:
    left, top = corner
    pen.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), fill=_MOUNT)
    if one.image is not None:
        inside = SIDE - 2 * _FRAME
        small = ImageOps.contain(one.image, (inside, inside), Image.Resampling.LANCZOS)
        strip.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
    colour = _QUERY if is_query else {True: _RIGHT, False: _WRONG, None: None}[one.right]
    if colour:
        pen.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline=colour, width=_FRAME)
    if one.right is not None and colour:
        _draw_mark(pen, left + SIDE - 30, top, colour, right=one.right)


def _draw_mark(pen: ImageDraw.ImageDraw, left: int, top: int, colour: str, *, right: bool) -> None:
    """Draw a tick or a cross, white on a badge of 30 pixels."""
    pen.rectangle((left, top, left + 29, top + 29), fill=colour)
    strokes = [[(7, 15), (13, 21), (23, 9)]] if right else [[(9, 9), (21, 21)], [(21, 9), (9, 21)]]
    for stroke in strokes:
        pen.line([(left + x, top + y) for x, y in stroke], fill="white", width=4, joint="curve")


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitted(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """Return `text` without control characters, cut with dots where it is wider than `width` pixels."""
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def strip_of(
    result: ModelResult,
    query: Query,
    query_image: Image.Image | None,
    images: Sequence[Image.Image | None],
    *,
    title: str,
    facts: str,
) -> Image.Image:
    """Draw the strip of a search result.

    Args:
        result: what the model found.
        query: what was searched with.
        query_image: its picture; None for a text.
        images: the pictures of `result.neighbours`.
        title: of the strip.
        facts: of the strip.
    """
    asked = query.text or format_mix(query.parts) or query.label or ""
    name = Path(query.image_id or query.path).name
    if query.crop:
        name = f"{name}, {box_words(query.crop)}"
    return draw_strip(
        title,
        facts,
        StripPicture(query_image, (f"query: {asked}" if asked else "query", name)),
        [
            StripPicture(
                image,
                (f"{neighbour.rank}   {neighbour.score:.3f}", neighbour.label or Path(neighbour.image_id).name),
                is_right(query, neighbour),
            )
            for neighbour, image in zip(result.neighbours, images, strict=True)
        ],
    )


def is_right(query: Query, neighbour: Neighbour) -> bool | None:
    """Whether a neighbour has the query's label; None where one of them has none."""
    if query.label is None or neighbour.label is None:
        return None
    return query.label == neighbour.label


def strip_name(model: Checkpoint | str) -> str:
    """Return the file name of a model's strip, as in the seed document: `openai_clip-vit-base-patch32_query.jpg`.

    A local folder, whose id is a path, goes by its slug; what is no checkpoint by its name.
    """
    if isinstance(model, str):
        name = model
    else:
        name = model.slug if model.folder or model.loader in ("vectors", "baseline") else model.id
        if model.pooling_choice and not model.folder:
            name = f"{name}@{model.pooling_choice}"
    return f"{re.sub(r'[^A-Za-z0-9._@+-]', '_', name)}_query.jpg"
