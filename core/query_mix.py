"""Queries written as an expression: images and words with weights, and parts of images.

    2:cat + ./pool.jpg - fruit
    mug/1.jpg[0.1,0.2,0.6,0.9] + 0.5:"red and white"

Parts are joined by `+` or `-` with spaces around it. A part may begin with its weight and a colon. It is an image if it
is an image id of the dataset, an existing file, an http(s) address, or looks like a path (`./`, `/`, `~/`); an image
may end with the edges of the part of it that counts, left, top, right and bottom in brackets. Everything else is words.
Double quotes keep a part as it is, with whatever `+`, `-`, `:` and brackets are in it (a backslash goes before a quote
or a backslash inside); `text:` before a part makes words of what would be taken for an image.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Literal

from visexplore.core.errors import UserError
from visexplore.core.messages import Box, Query, QueryPart

Kind = Literal["id", "path", "text"]
KindOf = Callable[[str], Kind]
"""What a name in an expression means."""

EXAMPLE = "2:cat + ./pool.jpg - fruit"
_ADDRESSES = ("http://", "https://", "file://")
_LIKE_A_PATH = (*_ADDRESSES, "./", "../", "/", "~/")
_WEIGHT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*:\s*")
_WORDS = "text:"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_CROP = re.compile(r"\[([\d.,%\seE+-]*)\]$")
_MOST_WEIGHT = 1e6


def kinds_in(image_ids: Container[str]) -> KindOf:
    """Return what tells ids of the dataset, pictures outside of it and words apart."""

    def kind(name: str) -> Kind:
        if name in image_ids:
            return "id"
        if name.startswith(_LIKE_A_PATH) or _is_file(name):
            return "path"
        return "text"

    return kind


def _is_file(name: str) -> bool:
    try:
        return os.path.isfile(os.path.expanduser(name))  # noqa: PTH111, PTH113 - Path fails where `~name` is unknown
    except ValueError:
        return False


def parse_box(text: str) -> Box:
    """Return the part of a picture that `L,T,R,B` means: fractions of 0 to 1, or percent.

    Numbers are percent with a sign behind them, and all of them where one is larger than 1.

    Raises:
        UserError: these are not the edges of a part of a picture.
    """
    names = [name.strip() for name in text.split(",")]
    try:
        numbers = [float(name.removesuffix("%")) for name in names]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise UserError(
            f"'{text}' is no part of a picture",
            "Give its left, top, right and bottom edge as fractions or percent, such as 0.1,0.2,0.6,0.9.",
        )
    percent = any(number > 1 for number in numbers)
    scaled = [n / 100 if percent or name.endswith("%") else n for n, name in zip(numbers, names, strict=True)]
    return Box(*scaled)


def format_box(box: Box) -> str:
    """Return what `parse_box` makes that box of."""
    return ",".join(f"{edge:g}" if float(f"{edge:g}") == edge else repr(edge) for edge in _edges(box))


def box_words(box: Box) -> str:
    """Say which part of a picture it is, for people: `part 25-75 % x 10-60 %`."""
    left, top, right, bottom = (round(100 * edge) for edge in _edges(box))
    return f"part {left}-{right} x {top}-{bottom} %"


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def parse_mix(expression: str, kind: KindOf) -> tuple[QueryPart, ...]:
    """Return the parts that an expression is made of.

    Args:
        expression: as the user wrote it.
        kind: tells names of images from words, see `kinds_in`.

    Raises:
        UserError: it cannot be understood; the sentence says what of it.
    """
    parts = []
    for sign, written in _split(expression):
        part = _parse_part(written, kind)
        parts.append(replace(part, weight=sign * part.weight))
    return tuple(parts)


def _split(expression: str) -> list[tuple[int, str]]:
    """Return the parts as they are written, each with its sign: split at signs between spaces, outside of quotes."""
    parts: list[tuple[int, str]] = []
    sign, start, at, text = 1, 0, 0, expression.strip()
    if re.match(r"[+-]\s", text):
        sign, start, at = -1 if text[0] == "-" else 1, 1, 1
    while at < len(text):
        if text[at] == '"' and (at == start or text[at - 1].isspace() or text[at - 1] == ":"):
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                raise UserError(
                    "A quotation mark of the mix is not closed", 'Close it, or write \\" for a mark inside of quotes.'
                )
            at = quoted.end()
        elif text[at] in "+-" and text[at - 1 : at].isspace() and (at + 1 == len(text) or text[at + 1].isspace()):
            parts.append((sign, text[start:at].strip()))
            sign = -1 if text[at] == "-" else 1
            start = at = at + 1
        else:
            at += 1
    return [*parts, (sign, text[start:].strip())]


def _parse_part(written: str, kind: KindOf) -> QueryPart:
    if kind(written) == "id":  # whatever is in it
        return QueryPart(image_id=written)
    found = _WEIGHT.match(written)
    weight = float(found[1]) if found else 1.0
    if abs(weight) > _MOST_WEIGHT:
        raise UserError(f"The weight of '{written}' is too large", "Weights of 0.1 to 10 are usual.")
    body = written[found.end() :] if found else written
    if body.startswith(_WORDS):
        return _part(_literal(body.removeprefix(_WORDS).lstrip()), "text", weight)
    cropped = _CROP.search(body)
    if cropped and kind(body) != "id":
        name = _literal(body[: cropped.start()].rstrip())
        if (means := kind(name)) != "text":
            return _part(name, means, weight, parse_box(cropped[1]))
    name = _literal(body)
    return _part(name, kind(name), weight)


def _literal(body: str) -> str:
    quoted = _QUOTED.fullmatch(body)
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else body


def _part(name: str, kind: Kind, weight: float, crop: Box | None = None) -> QueryPart:
    if not name.strip():
        raise UserError("A part of the mix is empty", f"Write for example {EXAMPLE}.")
    match kind:
        case "id":
            return QueryPart(weight, image_id=name, crop=crop)
        case "path":
            return QueryPart(weight, path=name, crop=crop)
        case "text":
            return QueryPart(weight, text=name)


def format_mix(parts: Sequence[QueryPart], kind: KindOf | None = None) -> str:
    """Return the expression that these parts are written as, as short as it can be.

    Args:
        parts: with their weights.
        kind: with it `parse_mix` makes the same parts of the expression; without it, it is for reading only.
    """
    out = ""
    for part in parts:
        minus = part.weight < 0
        out += (" - " if minus else " + ") if out else ("- " if minus else "")
        out += _format_part(replace(part, weight=abs(part.weight)), kind)
    return out


def _format_part(part: QueryPart, kind: KindOf | None) -> str:
    name = part.image_id or part.path or part.text
    weight = "" if part.weight == 1 else f"{_number(part.weight)}:"
    crop = f"[{format_box(part.crop)}]" if part.crop else ""
    plain = f"{weight}{name}{crop}"
    if kind is None or _reads_as(plain, part, kind):
        return plain
    quoted = f"{weight}{_quoted(name)}{crop}"
    if _reads_as(quoted, part, kind):
        return quoted
    if part.text:
        return f"{weight}{_WORDS}{_quoted(name)}"
    # The name of an outside file that is an image id too, or of one that is gone.
    absolute = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - Path fails where `~name` is unknown
    return f"{weight}{_quoted(absolute)}{crop}"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _reads_as(written: str, part: QueryPart, kind: KindOf) -> bool:
    try:
        # Between others, as a sign at its start or end reads otherwise there.
        return parse_mix(f"x + {written} + x", kind)[1:-1] == (part,)
    except UserError:
        return False


def _number(weight: float) -> str:
    return f"{weight:g}" if float(f"{weight:g}") == weight else repr(weight)


def query_of(parts: Sequence[QueryPart]) -> Query:
    """Return the query of these parts: one image or text alone is no mix."""
    if len(parts) == 1 and parts[0].weight > 0:
        [part] = parts
        return Query(image_id=part.image_id, path=part.path, text=part.text, crop=part.crop)
    return Query(parts=tuple(parts))


def with_part(parts: Sequence[QueryPart], more: QueryPart) -> tuple[QueryPart, ...]:
    """Return the parts with one more; the same image or words again change its weight, down to nothing."""
    found, out = False, []
    for part in parts:
        if replace(part, weight=more.weight) == more:
            found, part = True, replace(part, weight=part.weight + more.weight)
        if part.weight:
            out.append(part)
    return tuple(out if found else [*out, more])


def query_words(query: Query) -> str:
    """Return what is searched with, in a line for people."""
    if query.parts:
        return format_mix(query.parts)
    if query.text:
        return f"“{query.text}”"
    name = query.image_id or query.path
    return f"{name}, {box_words(query.crop)}" if query.crop else name
