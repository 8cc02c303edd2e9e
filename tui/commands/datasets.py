"""`visexplore datasets`: what can be explored by name, and what was embedded before."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
    """

    spec: str
    title: str
    place: str
    problem: str
    images: int | None
    labels: int
    models: tuple[CacheState, ...]


def run(options: Globals, *, as_json: bool) -> int:
    """Print `sample` and every dataset that has embeddings."""
    settings = options.settings()
    output = Output(options, settings)
    datasets = known_datasets(Explorer(settings))
    if as_json:
        output.json({"datasets": [asdict(dataset) for dataset in datasets]})
        return 0
    columns = [
        Column("dataset", style="bold"),
        Column("images", right=True),
        Column("labels", right=True),
        Column("embedded with"),
        Column("place"),
    ]
    output.table(columns, [_row(dataset) for dataset in datasets])
    output.note("Any folder of images is a dataset too: visexplore embed FOLDER.")
    return 0


def known_datasets(explorer: Explorer) -> list[DatasetFacts]:
    """Return `sample` and every dataset that has embeddings below the home folder."""
    by_spec: dict[str, list[StoreInfo]] = {"sample": []}
    for info in explorer.stores():
        by_spec.setdefault(info.dataset, []).append(info)
    return [_facts(explorer, spec, stores) for spec, stores in by_spec.items()]


def _facts(explorer: Explorer, spec: str, stores: list[StoreInfo]) -> DatasetFacts:
    try:
        dataset = explorer.dataset(spec)
    except VisexploreError as error:
        stored = tuple(CacheState(info.model, info.rows(), 0, 0) for info in stores)
        return DatasetFacts(spec, stores[0].title if stores else spec, spec, error.message, None, 0, stored)
    first = dataset.records[0]
    place = first.path.removesuffix(f"/{first.image_id}") if spec == "sample" else spec
    models = tuple(explorer.cache_states(spec)) if stores else ()
    return DatasetFacts(spec, dataset.title, place, "", len(dataset), len(dataset.label_counts), models)


def _row(dataset: DatasetFacts) -> tuple[str, ...]:
    embedded = ", ".join(
        f"{state.model} {state.embedded:,}/{state.total:,}" if state.total else f"{state.model} {state.embedded:,}"
        for state in dataset.models
    )
    there = dataset.place if dataset.images is not None else f"{dataset.place} ({dataset.problem})"
    images = "" if dataset.images is None else f"{dataset.images:,}"
    return (dataset.title, images, f"{dataset.labels:,}" if dataset.labels else "", embedded or "nothing", there)
