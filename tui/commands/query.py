"""`visexplore query`: the nearest images of a dataset, with pictures where the terminal shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visexplore.core.catalogue import DEFAULT_MODEL, OUTSIDE, Checkpoint
from visexplore.core.encoders import check_text_tower
from visexplore.core.errors import UnreadableImage, UserError, VisexploreError
from visexplore.core.evaluation.virtual import Virtual, parse
from visexplore.core.explorer import Explorer
from visexplore.core.messages import EmbedReport, ModelResult, Neighbour, Picture, Query, QueryResult
from visexplore.core.query_image import read_query_image
from visexplore.core.query_mix import kinds_in, parse_box, parse_mix, query_of, query_words
from visexplore.core.text import cell_width, count, cut, cut_front, percentile
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.embed import embed
from visexplore.tui.commands.fetch import fetch_missing, named_model
from visexplore.tui.commands.output import Column, Output

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.text import Text

_PICTURE_SIDE = 256  # pixels: the size of thumbnails
_GAP = 1  # cells between two pictures
_BOXES = 6  # the query, if it is a picture, and its first neighbours stand side by side
_WITH_PERCENTILE = 18  # columns of a caption that has room for it
_BOX_COLUMNS = (8, 24)  # of one picture: the least that shows something, the most that a thumbnail is sharp in


def run(
    options: Globals,
    spec: str,
    models: Sequence[str] | None,
    *,
    image: str | None,
    image_id: str | None,
    text: str | None,
    mix: str | None,
    crop: str | None,
    k: int,
    device: str,
    precision: str,
    strips: str | None,
    as_json: bool,
) -> int:
    """Search and print; embeds first what is not embedded yet."""
    if sum(given is not None for given in (image, image_id, text, mix)) != 1:
        raise UserError(
            "A query is either a picture of yours, an image of the dataset, words, or a mix of them",
            "Give one of --image PATH, --id ID, --text WORDS and --mix EXPRESSION.",
        )
    if crop is not None and (text is not None or mix is not None):
        raise UserError(
            "--crop takes a part of the picture of --image or --id",
            "In a mix write the part behind the picture: --mix 'cat.jpg[0,0,0.5,1] + red'.",
        )
    box = None if crop is None else parse_box(crop)
    if text is not None and not text.strip():
        raise UserError("The text to search with is empty", "Say what the images should show: --text 'a red mug'.")
    settings = options.settings()
    output = Output(options, settings, pictures=True)
    explorer = Explorer(settings, device=device, precision=precision)
    # Whatever is wrong with the models or the query is told now, not after minutes of embedding.
    asked = [(name, parse(name)) for name in models or [DEFAULT_MODEL]]
    checkpoints = [named_model(explorer, part) for name, virtual in asked for part in _parts(name, virtual)]
    for virtual in (virtual for _, virtual in asked if virtual is not None and (image_id is None or box)):
        raise UserError(
            f"{virtual} searches with whole images of the dataset only",
            "Give one of them with --id, or name the models that it is made of.",
        )
    models = [named_model(explorer, name).key if virtual is None else str(virtual) for name, virtual in asked]
    for checkpoint in checkpoints:
        explorer.recipe(checkpoint.key)
    dataset = explorer.dataset(spec)
    data = None if image is None else read_query_image(image, offline=settings.offline)
    parts = () if mix is None else parse_mix(mix, kinds_in(dataset.position_of))
    query = query_of(parts) if parts else Query(image_id or "", image or "", text=text or "", crop=box)
    picture = _query_picture(explorer, spec, query, data)
    missing = _not_embedded(explorer, spec, checkpoints)
    if query.has_text:
        _check_text_towers(explorer, checkpoints, missing, options, silent=as_json)
    if missing:
        _check_embedded(embed(explorer, spec, missing, options, silent=as_json), dataset.title)
    result = explorer.query(
        spec, models, image_id=image_id, image=data, name=image or "", text=text or "", parts=parts, crop=box, k=k
    )
    if as_json:
        output.json(result.as_json())
    elif output.is_tty:
        _show(output, explorer, spec, picture, result)
    else:
        _print(output, result)
    if strips is not None:
        for file in explorer.save_strips(result, models, Path(strips).expanduser(), image=data):
            output.note(f"strip written: {file}")
    return 0


def _check_text_towers(
    explorer: Explorer,
    checkpoints: Sequence[Checkpoint],
    missing: Sequence[str],
    options: Globals,
    *,
    silent: bool,
) -> None:
    """Refuse words that a model cannot search with before a dataset is embedded for them.

    Raises:
        NoTextTower: a model embeds images only.
    """
    for checkpoint in checkpoints:
        check_text_tower(checkpoint)
    # Of ids outside the catalogue only the model itself knows.
    unknown = [checkpoint for checkpoint in checkpoints if checkpoint.family == OUTSIDE and checkpoint.key in missing]
    fetch_missing(explorer, unknown, options, silent=silent)
    for checkpoint in unknown:
        explorer.encoder(checkpoint.key).embed_texts(["a picture"])


def _query_picture(explorer: Explorer, spec: str, query: Query, data: bytes | None) -> Picture | None:
    """Return the first picture of a query, None if there are only words, after trying to read all of them."""
    dataset = explorer.dataset(spec)
    first = None
    for part in query.components:
        if part.text:
            continue
        name = part.image_id or part.path
        record = dataset.record(name) if part.image_id else None
        try:
            read = dataset.read(record) if record else explorer.read_outside(name) if data is None else data
            shown = explorer.picture(read, _PICTURE_SIDE, part.crop)
        except UnreadableImage as error:
            raise UnreadableImage(f"'{name}' cannot be read as a picture ({error.message})", error.hint) from error
        first = first or shown
    return first


def _parts(name: str, virtual: Virtual | None) -> Sequence[str]:
    """Return the names of the models that embed for one that was asked for."""
    return (name,) if virtual is None else virtual.models


def _not_embedded(explorer: Explorer, spec: str, checkpoints: Sequence[Checkpoint]) -> list[str]:
    complete = {state.model for state in explorer.cache_states(spec) if state.embedded + state.failed == state.total}
    return [one.key for one in checkpoints if one.slug not in complete and one.loader != "vectors"]


def _check_embedded(reports: Sequence[EmbedReport], title: str) -> None:
    if any(report.cancelled for report in reports):
        raise KeyboardInterrupt
    for report in reports:
        if len(report.skipped) == report.images:
            raise VisexploreError(
                f"None of the {count(report.images, 'image')} of {title} can be read",
                f"The first one, {report.skipped[0].image_id}: {report.skipped[0].reason}.",
            )


def _facts(result: ModelResult) -> str:
    return (
        f"{result.model}: {result.gallery:,} images searched"
        + (f", {result.dim:,} numbers an embedding" if result.dim else "")
        + f", {result.seconds * 1000:,.1f} ms"
    )


def _describe(query: Query) -> str:
    name = f'"{query.text}"' if query.text else query_words(query)
    return f"query {name}" + (f"  ({query.label})" if query.label else "")


def _mark(query: Query, neighbour: Neighbour) -> str:
    """Return `✓` or `✗` where both labels are known."""
    if query.label is None or neighbour.label is None:
        return ""
    return "✓" if neighbour.label == query.label else "✗"


# ---- plain


def _print(output: Output, result: QueryResult) -> None:
    output.line(_describe(result.query))
    for of_model in result.results:
        output.line()
        output.line(_facts(of_model))
        unusual = any(n.percentile is not None for n in of_model.neighbours)
        columns = [Column("rank", right=True), Column("score", right=True)]
        columns += [Column("percentile", right=True)] if unusual else []
        columns += [Column(""), Column("label"), Column("image")]
        output.table(
            columns,
            [
                (
                    str(n.rank),
                    f"{n.score:.4f}",
                    *([percentile(n.percentile)] if unusual else []),
                    _mark(result.query, n),
                    n.label or "",
                    n.image_id,
                )
                for n in of_model.neighbours
            ],
        )


# ---- on a terminal


def _show(output: Output, explorer: Explorer, spec: str, query: Picture | None, result: QueryResult) -> None:
    from visexplore.tui.graphics import install

    install(output.terminal)
    output.line(_describe(result.query), style="bold")
    width = _box_columns(output.terminal.columns)
    for of_model in result.results:
        output.line()
        output.line(_facts(of_model), style="dim")
        boxes = [(_image(query), _query_caption(result.query, width))] if query else []
        boxes += [
            (_image(_neighbour_picture(explorer, spec, neighbour)), _caption(result.query, neighbour, width))
            for neighbour in of_model.neighbours
        ]
        for start in range(0, len(boxes), _BOXES):
            _show_row(output, boxes[start : start + _BOXES], width)


def _box_columns(columns: int) -> int:
    least, most = _BOX_COLUMNS
    return min(most, max(least, (columns - 1) // _BOXES - _GAP))


def _image(picture: Picture) -> Image:
    from PIL import Image

    return Image.frombytes("RGB", (picture.width, picture.height), picture.pixels)


def _neighbour_picture(explorer: Explorer, spec: str, neighbour: Neighbour) -> Picture:
    try:
        return explorer.thumbnail(spec, neighbour.image_id)
    except UnreadableImage:  # it was readable when it was embedded: a grey box says that it no longer is
        return Picture(1, 1, b"\x80\x80\x80")


type _Caption = Sequence[tuple[str, str]]  # lines with their styles


def _query_caption(query: Query, width: int) -> _Caption:
    shown = query.picture
    path = (shown.image_id or shown.path) if shown else ""
    head = "mix" if query.parts else "part" if query.crop else "query"
    name = cut_front(os.path.basename(path), width)  # noqa: PTH119 - an id is no path
    return [(head, "bold"), (cut_front(query.label or "", width), "bold"), (name, "dim")]


def _caption(query: Query, neighbour: Neighbour, width: int) -> _Caption:
    mark = _mark(query, neighbour)
    style = {"✓": "green", "✗": "red"}.get(mark, "")
    name = cut_front(os.path.basename(neighbour.image_id), width)  # noqa: PTH119 - an id is no path
    label = cut_front(neighbour.label or "", width)
    unusual = percentile(neighbour.percentile) if width >= _WITH_PERCENTILE else ""
    head = " ".join(part for part in (f"{neighbour.rank}  {neighbour.score:.3f}", unusual, mark) if part)
    return [(head, style), (label, style), (name, "dim")]


def _show_row(output: Output, boxes: Sequence[tuple[Image, _Caption]], width: int) -> None:
    from visexplore.tui.graphics import Pictures

    pictures = [image for image, _ in boxes]
    output.console.print(Pictures(pictures, output.terminal, columns=width, rows=width // 2, gap=_GAP), end="")
    for line in zip(*(caption for _, caption in boxes), strict=True):
        output.console.print(_side_by_side(line, width), no_wrap=True, overflow="ignore", crop=False)
    output.line()


def _side_by_side(parts: Sequence[tuple[str, str]], width: int) -> Text:
    from rich.text import Text

    line = Text()
    for text, style in parts:
        shown = cut(text, width)
        line.append(shown, style)
        line.append(" " * (width + _GAP - cell_width(shown)))
    line.rstrip()
    return line
