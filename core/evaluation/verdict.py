"""The verdict: several models on one dataset, judged on the same queries with confidence, cost beside quality."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from visexplore.core.comparison import (
    Agreed,
    Comparison,
    Contested,
    Cost,
    Judged,
    Kind,
    Mistaken,
    OnlyRight,
    SliceScore,
    Suspected,
)
from visexplore.core.datasets import Dataset
from visexplore.core.datasets.dataset import Split
from visexplore.core.errors import UserError
from visexplore.core.evaluation.agreement import agreements, disagreement, most_contested
from visexplore.core.evaluation.confidence import compare_pairs, groups, interval
from visexplore.core.evaluation.duplicates import identical, linked
from visexplore.core.evaluation.proxies import effective_rank, hubness
from visexplore.core.evaluation.scores import Protocol, QueryScores, rankings, score, shared
from visexplore.core.evaluation.slices import contradicted, most_confused, only_right, slices
from visexplore.core.evaluation.space import EmbeddingSpace, Space

KS = (1, 5, 10)
MAIN = "recall@1"
NEIGHBOURS = 10
"""Of each query that agreement, hubness and suspected labels look at."""

_CONTESTED = 100
_SLICES = 100  # of each kind
_MISTAKEN = 10  # of each model
_ONLY_RIGHT = 50  # of each model
_SUSPECTED = 100
_AS_FAST = 1.1  # speeds that differ by less are the same: they were measured once, beside other work
_RANK_ROWS = 2000  # drawn for the effective rank
_LIBRARIES = ("visexplore", "torch", "timm", "transformers", "open_clip_torch", "numpy", "pillow")
_FILE_SIZES = ((10e3, "under 10 kB"), (100e3, "10 to 100 kB"), (1e6, "100 kB to 1 MB"), (10e6, "1 to 10 MB"))


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model that takes part.

    Attributes:
        kind: what sort of row it becomes.
        title: its id on the hub or what it is made of.
        recipe: digest.
        revision: of the weights.
        space: its embeddings, or what stands for them; its name is that of the row.
        cost: what it costs here.
        self_retrieval: shares of changed pictures whose original is nearest, by kind of change.
    """

    kind: Kind
    title: str
    recipe: str
    revision: str
    space: Space
    cost: Cost
    self_retrieval: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What each model found, and how good that was; `values` is empty without labels."""

    queries: NDArray[np.int64]
    neighbours: dict[str, NDArray[np.int64]]
    values: dict[str, dict[str, NDArray[np.float64]]]
    predicted: dict[str, NDArray[np.int32]]
    alone: int


def cost_together(costs: Sequence[Cost], space: Space) -> Cost:
    """Return what it costs to embed an image with several models and to keep what is made of them."""
    speeds = [cost.images_per_second for cost in costs]
    sizes = [cost.parameters for cost in costs]
    memory = [cost.device_memory for cost in costs]
    return Cost(
        dim=space.dim,
        bytes_per_million=round(space.bytes_per_image * 1e6),
        parameters=None if None in sizes else sum(filter(None, sizes)),
        images_per_second=None if None in speeds else 1 / sum(1 / speed for speed in speeds if speed),
        device="+".join(dict.fromkeys(cost.device for cost in costs)),
        precision="+".join(dict.fromkeys(cost.precision for cost in costs)),
        device_memory=None if None in memory else max(filter(None, memory), default=None),
        licence="; ".join(dict.fromkeys(cost.licence for cost in costs if cost.licence)),
    )


def judge(
    dataset: Dataset,
    split: Split,
    contenders: Sequence[Contender],
    *,
    ks: Sequence[int] = KS,
    main: str = MAIN,
    labelled: bool = True,
    duplicates: bool = True,
    content_keys: Sequence[str] = (),
    cancelled: Callable[[], bool] = lambda: False,
    notes: Sequence[str] = (),
) -> Comparison:
    """Judge models on the queries and the gallery that all of them cover.

    Scores come with intervals; each pair of models that are no baselines is tested on the main score with a paired
    bootstrap, corrected by Holm's method. A model has the Pareto mark if no other one is at least as good in the main
    score, at least as fast, at least as small in the index, and better in one of them. Speeds within 10 % are the
    same; where the speed of one of the two is not known, it is left out.

    Near-duplicates are files of the same bytes, and images among a query's first neighbours under a model whose
    cosine to the query is 0.98 or more under all models.

    Args:
        dataset: the images.
        split: who asks and what is searched.
        contenders: the models.
        ks: K of Recall@K.
        main: the score that decides.
        labelled: whether there are labels; without them no score is computed.
        duplicates: also score without near-duplicates.
        content_keys: digest of each image's bytes, empty where unknown.
        cancelled: asked between two models.
        notes: to be told with the result.

    Raises:
        UserError: there is no such score, no query has an answer, or the comparison was cancelled.
    """
    started = time.monotonic()
    ks = sorted(set(ks) | ({int(main.removeprefix("recall@"))} if _is_recall(main) else set()))
    known = [*(f"recall@{k}" for k in ks), "map_at_r", "r_precision", "knn_accuracy"]
    if main not in known:
        raise UserError(f"There is no score '{main}'", f"Scores: {', '.join(known)}.")
    spaces = {one.space.name: one.space for one in contenders}
    if len(spaces) < len(contenders):
        names = [one.space.name for one in contenders]
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"Two of the models are called {twice}", "Compare them one after the other, or rename a file.")
    baselines = {one.space.name for one in contenders if one.kind == "baseline"}
    models = [name for name in spaces if name not in baselines]
    names = list(dataset.label_counts)
    protocol = shared(Protocol(_labels(dataset, names), split.queries, split.gallery), spaces.values())
    wanted = np.union1d(split.queries, split.gallery)
    covered = np.union1d(protocol.queries, protocol.gallery)
    answers = _answers(spaces, protocol, ks, labelled, cancelled)
    if labelled and not len(answers.queries):
        raise UserError(
            f"No query of {dataset.title} has an answer: no two images that were embedded share a label",
            "Labels that only one image has say nothing about neighbours: give coarser ones, or more images.",
        )
    near = {name: answers.neighbours[name] for name in models}
    groups_of = identical(content_keys) if content_keys else np.arange(len(dataset))
    embedded = [
        one.space for one in contenders if one.kind in ("model", "vectors") and isinstance(one.space, EmbeddingSpace)
    ]
    groups_of = linked(embedded, groups_of, answers.queries, [answers.neighbours[one.name] for one in embedded])
    doubled = _have_duplicates(groups_of, answers.queries, protocol.gallery)
    means: dict[str, dict[str, float]] = {name: {} for name in spaces}
    if labelled and duplicates and len(doubled):
        means = _without_duplicates(spaces, replace(protocol, duplicates=groups_of), answers, doubled, ks)

    of_main = {name: answers.values[name][main] for name in spaces} if labelled else {}
    pairs = compare_pairs({name: of_main[name] for name in models}) if labelled else []
    letters = groups({name: float(of_main[name].mean()) for name in models}, pairs) if labelled else {}
    rows = [
        Judged(
            model=one.space.name,
            kind=one.kind,
            title=one.title,
            recipe=one.recipe,
            revision=one.revision,
            scores={name: interval(values) for name, values in answers.values.get(one.space.name, {}).items()},
            without_duplicates=means[one.space.name],
            group=letters.get(one.space.name, ""),
            pareto=False,
            cost=one.cost,
            hubness=hubness(answers.neighbours[one.space.name], protocol.gallery),
            effective_rank=_effective_rank(one.space),
            self_retrieval=one.self_retrieval,
        )
        for one in contenders
    ]
    rows = [replace(row, pareto=_is_pareto(row, rows, main)) for row in rows]
    if labelled:
        rows.sort(key=lambda row: -row.scores[main].value)
    return Comparison(
        dataset=dataset.spec,
        title=dataset.title,
        fingerprint=dataset.fingerprint,
        split=split.name,
        images=len(dataset),
        queries=len(answers.queries),
        gallery=len(protocol.gallery),
        alone=answers.alone,
        not_covered=len(wanted) - len(covered),
        duplicates=len(doubled),
        main=main if labelled else "",
        ks=tuple(ks),
        k=NEIGHBOURS,
        models=tuple(rows),
        pairs=tuple(pairs),
        agreement=tuple(
            Agreed(one.a, one.b, float(one.overlap.mean()), float(one.rank_biased_overlap.mean()))
            for one in agreements(near)
            if len(answers.queries)
        ),
        contested=_contested(dataset, answers, near),
        slices=_slices(dataset, answers, {name: of_main[name] for name in models}) if labelled else (),
        mistaken=_mistaken(dataset, names, protocol, answers, models) if labelled else (),
        only_right=_only_right(dataset, answers, models) if labelled else (),
        suspected=_suspected(dataset, names, protocol, answers, near) if labelled else (),
        notes=tuple(notes),
        seconds=time.monotonic() - started,
        versions=_versions(),
    )


def _is_recall(name: str) -> bool:
    return name.startswith("recall@") and name.removeprefix("recall@").isdecimal() and name != "recall@0"


def _labels(dataset: Dataset, names: Sequence[str]) -> NDArray[np.int32]:
    number = {name: place for place, name in enumerate(names)}
    return np.array([-1 if r.label is None else number[r.label] for r in dataset.records], np.int32)


def _answers(
    spaces: Mapping[str, Space], protocol: Protocol, ks: Sequence[int], labelled: bool, cancelled: Callable[[], bool]
) -> _Answers:
    if not labelled:
        found = {}
        for name, space in spaces.items():
            _check(cancelled)
            found[name] = rankings(space, protocol, NEIGHBOURS)
        return _Answers(protocol.queries, found, {}, {}, 0)
    scored: dict[str, QueryScores] = {}
    for name, space in spaces.items():
        _check(cancelled)
        scored[name] = score(space, protocol, ks, neighbours=NEIGHBOURS)
    first = next(iter(scored.values()))  # all were asked the same
    return _Answers(
        queries=first.queries,
        neighbours={name: of_model.neighbours for name, of_model in scored.items()},
        values={name: _in_order(of_model.values) for name, of_model in scored.items()},
        predicted={name: of_model.predicted for name, of_model in scored.items()},
        alone=first.alone,
    )


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise UserError("The comparison was stopped", "Start it again: embeddings are kept.")


def _in_order(values: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return scores in the order in which they are shown."""
    recall = [name for name in values if name.startswith("recall@")]
    return {name: values[name] for name in (*recall, "map_at_r", "r_precision", "knn_accuracy")}


def _have_duplicates(
    groups_of: NDArray[np.int64], queries: NDArray[np.int64], gallery: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the indices of the queries that have another image of their group in the gallery."""
    in_gallery = np.bincount(groups_of[gallery], minlength=len(groups_of))
    itself = np.isin(queries, gallery)
    return np.flatnonzero(in_gallery[groups_of[queries]] > itself)


def _without_duplicates(
    spaces: Mapping[str, Space],
    protocol: Protocol,
    answers: _Answers,
    doubled: NDArray[np.int64],
    ks: Sequence[int],
) -> dict[str, dict[str, float]]:
    """Return mean scores where a query's near-duplicates are left out; only queries that have some are asked again."""
    asked = replace(protocol, queries=answers.queries[doubled])
    kept = np.setdiff1d(np.arange(len(answers.queries)), doubled)
    found: dict[str, dict[str, float]] = {}
    for model, space in spaces.items():
        again = score(space, asked, ks)
        found[model] = {
            name: float(np.concatenate([values[kept], again.values[name]]).mean())
            for name, values in answers.values[model].items()
            if len(kept) + len(again.values[name])
        }
    return found


def _effective_rank(space: Space) -> float | None:
    if not isinstance(space, EmbeddingSpace):
        return None
    images = len(space.positions)
    drawn = np.sort(np.random.default_rng(0).choice(images, min(images, _RANK_ROWS), replace=False))
    return effective_rank(space.vectors[drawn])


def _is_pareto(row: Judged, rows: Sequence[Judged], main: str) -> bool:
    if row.kind == "baseline" or not row.scores:
        return False
    return not any(_beats(other, row, main) for other in rows if other is not row and other.kind != "baseline")


def _beats(one: Judged, other: Judged, main: str) -> bool:
    """Whether one model is at least as good and as cheap as another in everything, and better in something."""
    differences = [
        one.scores[main].value - other.scores[main].value,
        float(other.cost.bytes_per_million - one.cost.bytes_per_million),
    ]
    if one.cost.images_per_second is not None and other.cost.images_per_second is not None:
        ratio = one.cost.images_per_second / other.cost.images_per_second
        differences.append(0.0 if 1 / _AS_FAST < ratio < _AS_FAST else ratio - 1)
    return min(differences) >= 0 and max(differences) > 0


# ---- where models differ, and where each wins


def _contested(dataset: Dataset, answers: _Answers, near: Mapping[str, NDArray[np.int64]]) -> tuple[Contested, ...]:
    if len(near) < 2 or not len(answers.queries):
        return ()
    how_much = disagreement(near)
    rows = most_contested(near)[:_CONTESTED]
    records = [dataset.records[int(position)] for position in answers.queries[rows]]
    return tuple(
        Contested(record.image_id, record.label, float(how_much[row]))
        for record, row in zip(records, rows.tolist(), strict=True)
        if how_much[row] > 0
    )


def _slices(dataset: Dataset, answers: _Answers, values: Mapping[str, NDArray[np.float64]]) -> tuple[SliceScore, ...]:
    records = [dataset.records[int(position)] for position in answers.queries]
    kinds: dict[str, list[str | None]] = {
        "label": [record.label for record in records],
        "folder": [str(PurePosixPath(record.image_id).parent) for record in records],
        "size": [_file_size(record.size) if record.size > 0 else None for record in records],
    }
    for name in sorted({name for record in records for name, _ in record.attributes}):
        kinds[name] = [dict(record.attributes).get(name) for record in records]
    found = []
    told: list[list[str | None]] = []
    for by, attribute in kinds.items():
        common = _commonest(attribute)
        if len(set(common) - {None}) < 2 or attribute in told:  # folders that are the labels tell nothing new
            continue
        told.append(attribute)
        found += [
            SliceScore(by, part.name, part.queries, part.means, part.winner or "", bool(part.sure))
            for part in slices(values, common)
        ]
    return tuple(found)


def _commonest(attribute: Sequence[str | None]) -> list[str | None]:
    """Return the attribute with all but its most frequent values left out."""
    values, counts = np.unique([value for value in attribute if value is not None], return_counts=True)
    kept = set(values[np.argsort(-counts, kind="stable")[:_SLICES]].tolist())
    return [value if value in kept else None for value in attribute]


def _file_size(size: int) -> str:
    return next((name for limit, name in _FILE_SIZES if size < limit), "10 MB and more")


def _mistaken(
    dataset: Dataset, names: Sequence[str], protocol: Protocol, answers: _Answers, models: Sequence[str]
) -> tuple[Mistaken, ...]:
    asked = protocol.labels[answers.queries]
    found = []
    for model in models:
        predicted, neighbours = answers.predicted[model], answers.neighbours[model]
        for pair in most_confused(asked, predicted)[:_MISTAKEN]:
            row = int(np.flatnonzero((asked == pair.label) & (predicted == pair.predicted))[0])
            others = neighbours[row][neighbours[row] >= 0]
            wrong = others[protocol.labels[others] == pair.predicted]
            found.append(
                Mistaken(
                    model=model,
                    label=names[pair.label],
                    taken_for=names[pair.predicted],
                    count=pair.count,
                    of=pair.of,
                    query=dataset.records[int(answers.queries[row])].image_id,
                    neighbour=dataset.records[int(wrong[0])].image_id if len(wrong) else "",
                )
            )
    return tuple(found)


def _only_right(dataset: Dataset, answers: _Answers, models: Sequence[str]) -> tuple[OnlyRight, ...]:
    first = next(iter(answers.values.values()))
    nearest = "recall@1" if "recall@1" in first else "knn_accuracy"
    found = []
    for model, rows in only_right({name: answers.values[name][nearest] for name in models}).items():
        for position in answers.queries[rows[:_ONLY_RIGHT]].tolist():
            record = dataset.records[position]
            found.append(OnlyRight(model, record.image_id, record.label or ""))
    return tuple(found)


def _suspected(
    dataset: Dataset,
    names: Sequence[str],
    protocol: Protocol,
    answers: _Answers,
    near: Mapping[str, NDArray[np.int64]],
) -> tuple[Suspected, ...]:
    if len(near) < 2:
        return ()
    labels = {name: np.where(found >= 0, protocol.labels[found], -1).astype(np.int32) for name, found in near.items()}
    return tuple(
        Suspected(
            image_id=dataset.records[int(answers.queries[one.row])].image_id,
            label=names[one.label],
            suggested=names[one.suggested],
            share=one.share,
        )
        for one in contradicted(protocol.labels[answers.queries], labels)[:_SUSPECTED]
    )


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
