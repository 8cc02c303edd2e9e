"""Pages on disk: the verdict with example strips, and the seed document's result pages on the user's own datasets."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from visexplore.core.catalogue import Checkpoint
from visexplore.core.comparison import Comparison
from visexplore.core.datasets import Dataset
from visexplore.core.errors import StorageError, UnreadableImage, UserError
from visexplore.core.explorer import Explorer
from visexplore.core.images import decode, thumbnail
from visexplore.core.messages import Progress
from visexplore.core.report.seed_page import DatasetStrips, Page, StripFile, seed_page_html, seed_page_markdown
from visexplore.core.report.verdict_page import Example, pictured, verdict_page

EXAMPLES = 4
"""Most contested queries on the page of a verdict."""
QUERIES = 3
"""Queries of a report, unless told."""

_MODELS = 8  # of which the page of a verdict shows strips
_QUALITY = 90  # of JPEG
_SIDE = 128  # pixels of the pictures beside confused classes and suspected labels


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a report, relative to nothing: absolute or as `out` was given.

    Attributes:
        markdown: the page in Markdown, which refers to the strips.
        html: the page with the strips inside.
        strips: the pictures.
    """

    markdown: Path
    html: Path
    strips: tuple[Path, ...]


def write_verdict_page(explorer: Explorer, models: Sequence[str], found: Comparison, file: Path) -> None:
    """Write a verdict as one web page, with the strips of the queries on which the models differ most.

    Args:
        explorer: that compared.
        models: what was compared, as it was named.
        found: the verdict.
        file: where to; one that is there is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    best = {row.model for row in [row for row in found.models if row.kind != "baseline"][:_MODELS]}
    shown = [name for name in models if explorer.row_name(name) in best]
    examples = []
    for contested in found.contested[:EXAMPLES] if shown else ():
        result = explorer.query(found.dataset, shown, image_id=contested.image_id)
        strips = [_jpeg(strip) for _, strip in explorer.strips(result, shown, scores=found)]
        named = [of_model.model for of_model in result.results]
        examples.append(
            Example(contested.label or contested.image_id, contested.image_id, list(zip(named, strips, strict=True)))
        )
    dataset = explorer.dataset(found.dataset)
    pictures = {}
    for image_id in pictured(found):
        with contextlib.suppress(UnreadableImage):  # the page goes without it
            pictures[image_id] = _jpeg(thumbnail(decode(dataset.read(dataset.record(image_id))), _SIDE))
    write(file, verdict_page(found, examples, pictures=pictures).encode())


def write_report(
    explorer: Explorer,
    specs: Sequence[str],
    models: Sequence[str],
    out: Path,
    *,
    queries: Sequence[str] = (),
    split: str | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Progress | Written]:
    """Write the seed document's pages anew: the catalogue, and example queries of each dataset under each model.

    Strips are `out/<dataset>/<hub id with _ for />_query.jpg`; those of further queries end in `_query_2.jpg` and so
    on. Yields progress, at the end what was written; what is missing is embedded first.

    Args:
        explorer: does the work.
        specs: names of the datasets.
        models: what to show, as for `Explorer.compare`.
        out: folder for pages and strips.
        queries: image ids, or one number: how many to take, of labels that are spread over all of them.
        split: which images the scores are of.
        cancelled: asked several times a second; ends without pages.

    Raises:
        UserError: there are no models.
        UnknownImage: no dataset has an image of one of the ids.
        StorageError: a file cannot be written.
    """
    if not models:
        raise UserError("No model is named", "Name one with -m: visexplore models lists them.")
    listed = [explorer.dataset(spec) for spec in specs]
    for image_id in _ids(queries):
        if not any(image_id in dataset.position_of for dataset in listed):
            listed[0].record(image_id)  # says what is close to it
    datasets, files = [], []
    for spec in specs:
        found = None
        for step in explorer.compare(spec, models, split=split, baselines=False, cancelled=cancelled):
            if isinstance(step, Comparison):
                found = step
            else:
                yield step
        if found is None:
            return
        dataset = explorer.dataset(spec)
        chosen = _queries(dataset, queries)
        strips = []
        for number, image_id in enumerate(chosen, start=1):
            strips += _strips_of(explorer, dataset, models, image_id, number, found)
        for strip in strips:
            write(out / strip.path, strip.jpeg)
        files += [out / strip.path for strip in strips]
        datasets.append(DatasetStrips(dataset.title, dataset.spec, found, strips))
    page = Page(explorer.catalogue.families, datasets)
    written = Written(out / "report.md", out / "report.html", tuple(files))
    write(written.markdown, seed_page_markdown(page).encode())
    write(written.html, seed_page_html(page).encode())
    yield written


def _ids(queries: Sequence[str]) -> list[str]:
    return [] if len(queries) == 1 and queries[0].isdecimal() else list(queries)


def _queries(dataset: Dataset, queries: Sequence[str]) -> list[str]:
    if ids := _ids(queries):
        return [image_id for image_id in ids if image_id in dataset.position_of]
    wanted = int(queries[0]) if queries else QUERIES
    # An image that others share the label of can be answered rightly; the middle one is as typical as any.
    by_label: dict[str | None, list[str]] = {}
    for record in dataset.records:
        by_label.setdefault(record.label, []).append(record.image_id)
    groups = [ids for label, ids in by_label.items() if label is not None and len(ids) > 1]
    groups = groups or [[record.image_id] for record in dataset.records]
    count = min(wanted, len(groups))
    spread = [groups[number * len(groups) // count] for number in range(count)]
    return [ids[len(ids) // 2] for ids in spread]


def _strips_of(
    explorer: Explorer, dataset: Dataset, models: Sequence[str], image_id: str, number: int, found: Comparison
) -> list[StripFile]:
    result = explorer.query(dataset.spec, models, image_id=image_id)
    label = dataset.record(image_id).label
    strips = []
    drawn = explorer.strips(result, models, scores=found if found.labelled else None)
    for asked, of_model, (name, strip) in zip(explorer.asked(models), result.results, drawn, strict=True):
        family = None
        if isinstance(asked, Checkpoint):
            family = next((family for family in explorer.catalogue.families if family.id == asked.family), None)
        stem, dot, ending = name.rpartition(".")
        strips.append(
            StripFile(
                model=of_model.model,
                hub_id=(asked.hub_id or asked.id) if isinstance(asked, Checkpoint) and not asked.folder else "",
                date=family.first_public if family else "",
                caption=f"query {image_id}" + (f", {label}" if label else ""),
                path=f"{dataset.slug}/{name if number == 1 else f'{stem}_{number}{dot}{ending}'}",
                jpeg=_jpeg(strip),
            )
        )
    return strips


def _jpeg(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made where it is missing.

    Raises:
        StorageError: it cannot be written.
    """
    fresh = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(file)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror or error})", "Name another place or free some space."
        ) from error
