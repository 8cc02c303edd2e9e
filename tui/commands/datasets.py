"""`visexplore datasets`: what can be explored by name, where it is expected, and what was embedded before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from visexplore.core.datasets import KINDS, Dataset
from visexplore.core.datasets.listing import usual_folder
from visexplore.core.embedding.store import StoreInfo
from visexplore.core.errors import VisexploreError
from visexplore.core.explorer import Explorer
from visexplore.core.messages import CacheState
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Column, Output


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is known of a dataset without opening its images.

    Attributes:
        spec: opens it.
        title: its short name.
        place: the folder that it is expected in.
        problem: why it cannot be opened now; empty if it can.
        images: how many it has now; None where it cannot be opened.
        labels: how many different labels they have.
        models: how much of it is embedded; with `total` 0 where it cannot be opened.
        splits: number of images by split.
        evaluations: names of the splits that the literature on it evaluates on.
        missing: what of it is not there or could not be read, a sentence each.
    """

    spec: str
    title: str
    place: str
    problem: str
    images: int | None
    labels: int
    models: tuple[CacheState, ...]
    splits: dict[str, int] = field(default_factory=dict)
    evaluations: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindFacts:
    """A kind of dataset.

    Attributes:
        prefix: what its names begin with, before the colon; empty for a path.
        title: what it is called.
        usage: how it is named.
        contents: which files it is made of.
        expected: where it is looked for when no place is named; empty where one must be named.
        found: where it is; empty where it is not in its usual place.
        source: how to get it; empty for the user's own files.
        licence: what its makers allow, where they restrict it.
    """

    prefix: str
    title: str
    usage: str
    contents: str
    expected: str
    found: str
    source: str
    licence: str


def run(options: Globals, *, as_json: bool) -> int:
    """Print `sample`, every dataset that has embeddings, and the kinds of datasets that can be named."""
    settings = options.settings()
    output = Output(options, settings)
    datasets = known_datasets(Explorer(settings))
    kinds = known_kinds()
    if as_json:
        output.json({"datasets": [asdict(dataset) for dataset in datasets], "kinds": [asdict(kind) for kind in kinds]})
        return 0
    columns = [
        Column("dataset", style="bold"),
        Column("images", right=True),
        Column("labels", right=True),
        Column("embedded with"),
        Column("place"),
    ]
    output.table(columns, [_row(dataset) for dataset in datasets])
    output.line()
    output.table([Column("name", style="bold"), Column("what"), Column("place")], [_kind_row(kind) for kind in kinds])
    output.note("Any folder of images is a dataset too: visexplore embed FOLDER.")
    output.note("Columns of tables are chosen like this: csv:FILE?image=COLUMN&label=COLUMN.")
    missing = [f"{dataset.title}: {sentence}." for dataset in datasets for sentence in dataset.missing]
    for sentence in missing:
        output.note(f"Note: {sentence}")
    return 0


def known_datasets(explorer: Explorer) -> list[DatasetFacts]:
    """Return `sample` and every dataset that has embeddings below the home folder."""
    by_spec: dict[str, list[StoreInfo]] = {"sample": []}
    for info in explorer.stores():
        by_spec.setdefault(info.dataset, []).append(info)
    return [_facts(explorer, spec, stores) for spec, stores in by_spec.items()]


def known_kinds() -> list[KindFacts]:
    """Return the kinds of datasets, and where those that have a usual place were found."""
    return [
        KindFacts(
            prefix=kind.prefix,
            title=kind.title,
            usage=kind.usage,
            contents=kind.contents,
            expected=kind.usual_place,
            found=str(usual_folder(kind) or ""),
            source=kind.source,
            licence=kind.licence,
        )
        for kind in KINDS.values()
    ]


def _facts(explorer: Explorer, spec: str, stores: Sequence[StoreInfo]) -> DatasetFacts:
    try:
        dataset = explorer.dataset(spec)
    except VisexploreError as error:
        stored = tuple(CacheState(info.model, info.rows(), 0, 0) for info in stores)
        return DatasetFacts(spec, stores[0].title if stores else spec, spec, error.message, None, 0, stored)
    return DatasetFacts(
        spec=spec,
        title=dataset.title,
        place=_place(dataset),
        problem="",
        images=len(dataset),
        labels=len(dataset.label_counts),
        models=tuple(explorer.cache_states(spec)) if stores else (),
        splits=dict(dataset.split_counts),
        evaluations=tuple(named.name for named in dataset.named_splits),
        missing=tuple(f"{problem.path}: {problem.reason}" for problem in dataset.problems),
    )


def _place(dataset: Dataset) -> str:
    if dataset.spec != "sample":
        return dataset.spec
    first = dataset.records[0]
    return first.path.removesuffix(f"/{first.image_id}")


def _row(dataset: DatasetFacts) -> tuple[str, ...]:
    embedded = ", ".join(
        f"{state.model} {state.embedded:,}/{state.total:,}" if state.total else f"{state.model} {state.embedded:,}"
        for state in dataset.models
    )
    there = dataset.place if dataset.images is not None else f"{dataset.place} ({dataset.problem})"
    images = "" if dataset.images is None else f"{dataset.images:,}"
    return (dataset.title, images, f"{dataset.labels:,}" if dataset.labels else "", embedded or "nothing", there)


def _kind_row(kind: KindFacts) -> tuple[str, ...]:
    place = ""
    if kind.expected:
        place = kind.found or f"not in {kind.expected}"
    return (kind.usage.partition("[?")[0], kind.title, place)
