"""The pages of `visexplore report`: the seed document again, with what was verified since and strips of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from visexplore.core.catalogue import Family
from visexplore.core.comparison import Comparison, Judged
from visexplore.core.report.pages import html_page, markdown_page, relative_link
from visexplore.core.report.verdict_words import score_words, verdict_sentences

TITLE = "General pretrained visual models 2020-2022"
_OTHER = "other models to check"


@dataclass(frozen=True, slots=True)
class StripFile:
    """A strip and what is said about it.

    Attributes:
        model: slug of the model.
        hub_id: its id on the hub; empty where it has none.
        date: when the model became public.
        caption: what else is said, such as the query.
        path: of the file, relative to the page, with slashes.
        jpeg: its bytes, JPEG or PNG.
    """

    model: str
    hub_id: str
    date: str
    caption: str
    path: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class DatasetStrips:
    """A dataset's strips; `comparison` is the verdict on it, if there is one."""

    title: str
    spec: str
    comparison: Comparison | None
    strips: Sequence[StripFile]


@dataclass(frozen=True, slots=True)
class Page:
    """What the pages show.

    Attributes:
        families: of the catalogue, in its order.
        datasets: in the order to show.
        title: heading of the page.
        neighbours: nearest images on a strip.
    """

    families: Sequence[Family]
    datasets: Sequence[DatasetStrips] = ()
    title: str = TITLE
    neighbours: int = 5


def seed_page_html(page: Page) -> str:
    """Return the page as one HTML file with its strips inside.

    Raises:
        ValueError: a strip is neither JPEG nor PNG, or its path leads out of the page's folder.
    """
    _check(page)
    return html_page("seed.html.j2", **_values(page))


def seed_page_markdown(page: Page) -> str:
    """Return the page as Markdown, which refers to the strips' files.

    Raises:
        ValueError: a strip's path leads out of the page's folder.
    """
    _check(page)
    return markdown_page("seed.md.j2", **_values(page))


def _check(page: Page) -> None:
    for dataset in page.datasets:
        for strip in dataset.strips:
            relative_link(strip.path)


def _values(page: Page) -> dict[str, object]:
    return {
        "page": page,
        "main": [family for family in page.families if family.seed and not family.seed.section.startswith(_OTHER)],
        "others": _others(page.families),
        "added": [family for family in page.families if not family.seed],
        "score_of": _score_of,
        "sentences": {number: _sentences(dataset.comparison) for number, dataset in enumerate(page.datasets)},
        "venue_words": {
            "yes": "the venue above is right",
            "no": "the venue above is not",
            "unstated": "no venue is given above",
        },
    }


def _others(families: Sequence[Family]) -> list[tuple[str, list[Family]]]:
    """Return the list "other models to check": name of the part, empty for the first, and its families."""
    listed = [(family.seed.section, family) for family in families if family.seed is not None]
    listed = [one for one in listed if one[0].startswith(_OTHER)]
    return [
        (section.partition(":")[2].strip(), [family for _, family in group])
        for section, group in groupby(listed, key=lambda one: one[0])
    ]


def _row(dataset: DatasetStrips, model: str) -> Judged | None:
    if dataset.comparison is None:
        return None
    return next((row for row in dataset.comparison.models if row.model == model), None)


def _score_of(dataset: DatasetStrips, model: str) -> list[tuple[str, str]]:
    """Return name and value of a model's scores on a dataset, none where there are none."""
    row = _row(dataset, model)
    return (
        []
        if row is None
        else [(name, score_words(score)) for name, score in row.scores.items() if score.value == score.value]
    )


def _sentences(comparison: Comparison | None) -> list[str]:
    return [] if comparison is None else verdict_sentences(comparison)
