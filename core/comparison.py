"""What a comparison of models on a dataset says: plain frozen values, light to import and to send between processes.

`core/evaluation` computes them, the command line, the report pages and the screens show them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["model", "vectors", "virtual", "baseline"]
Outcome = Literal["better", "worse", "tie"]

SCORES = {
    "map_at_r": "MAP@R",
    "r_precision": "R-precision",
    "knn_accuracy": "kNN accuracy",
}
"""Names to show of scores that are not `recall@K`."""


def score_title(name: str) -> str:
    """Return how a score is called on screen and paper: `recall@5` -> `Recall@5`, `map_at_r` -> `MAP@R`."""
    return SCORES.get(name, name.replace("recall", "Recall"))


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over the queries, and the range that holds the true one with the confidence asked for."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same queries.

    Attributes:
        a: one model.
        b: the other.
        difference: mean of a minus mean of b.
        low: lower end of the difference's interval.
        high: upper end.
        p: two-sided p-value of "they are equally good", before the correction.
        p_holm: the same, corrected for the number of pairs.
        verdict: a is `better` or `worse` than b, or it is a `tie` as far as these queries can tell.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    verdict: Outcome


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs on this machine; None and empty where it was not measured or is not known.

    Attributes:
        dim: numbers for an image; None for a fusion.
        bytes_per_million: what an index of a million images takes.
        parameters: of the part that embeds images.
        images_per_second: of the model alone on ready pixels, when it embedded this dataset.
        device: that it was measured on: `cpu`, `cuda:0`.
        precision: that it ran in.
        device_memory: bytes, the most that was in use at once; None on a CPU.
        licence: of the weights.
    """

    dim: int | None
    bytes_per_million: int
    parameters: int | None = None
    images_per_second: float | None = None
    device: str = ""
    precision: str = ""
    device_memory: int | None = None
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One row of the verdict.

    Attributes:
        model: its slug, or what a virtual model or baseline is asked for by; unique.
        kind: what sort of row it is.
        title: its id on the hub or what it is made of, for people.
        recipe: digest of the recipe; of what a virtual model is made of, joined by `+`.
        revision: version of the weights; the digest of a file of vectors.
        scores: by name, in the order `recall@K`, `map_at_r`, `r_precision`, `knn_accuracy`; empty without labels.
        without_duplicates: the same scores' means where near-duplicates of the query are left out.
        group: letters; two models share one if and only if they are a tie in the main score.
        pareto: nothing is at least as good and at least as cheap, and better in one.
        cost: what it costs.
        hubness: skewness of how often images are neighbours; a proxy, lower is better.
        effective_rank: dimensions that its embeddings really use; a proxy; None for a fusion.
        self_retrieval: by kind of change, the share of changed pictures whose original is nearest; a proxy; empty
            where it was not asked for.
    """

    model: str
    kind: Kind
    title: str
    recipe: str
    revision: str
    scores: dict[str, Interval]
    without_duplicates: dict[str, float]
    group: str
    pareto: bool
    cost: Cost
    hubness: float = math.nan
    effective_rank: float | None = None
    self_retrieval: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far two models give the same neighbours, as means over the queries: 0 to 1."""

    a: str
    b: str
    overlap: float
    rank_biased_overlap: float


@dataclass(frozen=True, slots=True)
class Contested:
    """A query on which models differ: `disagreement` is 1 minus the mean rank-biased overlap of all pairs."""

    image_id: str
    label: str | None
    disagreement: float


@dataclass(frozen=True, slots=True)
class SliceScore:
    """The queries that have something in common, and how each model does on them in the main score.

    Attributes:
        by: what they have in common: `label`, `folder`, `size` or the name of an attribute.
        name: its value.
        queries: how many there are.
        means: of the main score, by model.
        winner: the best model; empty where two are.
        sure: it beats every other one on these queries, corrected for the number of slices.
    """

    by: str
    name: str
    queries: int
    means: dict[str, float]
    winner: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A class that a model takes for another.

    Attributes:
        model: the model.
        label: class of the queries.
        taken_for: what their neighbours vote for.
        count: how many queries.
        of: how many queries the class has.
        query: image id of one of them.
        neighbour: image id of its nearest image of the other class.
    """

    model: str
    label: str
    taken_for: str
    count: int
    of: int
    query: str
    neighbour: str


@dataclass(frozen=True, slots=True)
class OnlyRight:
    """A query whose nearest image is right under one model only."""

    model: str
    image_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Suspected:
    """An image whose label all models contradict in the same way: `share` of all their neighbours are `suggested`."""

    image_id: str
    label: str
    suggested: str
    share: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict.

    Attributes:
        dataset: spec that opens it again.
        title: its short name.
        fingerprint: of the dataset.
        split: the split that was evaluated.
        images: of the dataset.
        queries: that were scored, or asked where there are no labels.
        gallery: images that were searched.
        alone: queries left out because nothing else in the gallery has their label.
        not_covered: images left out because a model has no embedding of them.
        duplicates: queries that have a near-duplicate in the gallery.
        main: name of the score that decides order, groups and Pareto marks; empty without labels.
        ks: the K of Recall@K.
        k: neighbours that agreement and hubness look at.
        models: the rows, the best first; without labels in the order asked for.
        pairs: of models other than baselines, judged on the main score; empty without labels.
        agreement: of each pair of models other than baselines.
        contested: queries on which they differ most, first.
        slices: where each model wins, the largest first.
        mistaken: the classes that each model confuses most.
        only_right: queries that one model alone gets right.
        suspected: labels that all models contradict.
        notes: what else should be told, one sentence each.
        seconds: that the comparison took, embedding not counted.
        versions: of the libraries that decide the numbers, and of visexplore.
    """

    dataset: str
    title: str
    fingerprint: str
    split: str
    images: int
    queries: int
    gallery: int
    alone: int
    not_covered: int
    duplicates: int
    main: str
    ks: tuple[int, ...]
    k: int
    models: tuple[Judged, ...]
    pairs: tuple[Pair, ...] = ()
    agreement: tuple[Agreed, ...] = ()
    contested: tuple[Contested, ...] = ()
    slices: tuple[SliceScore, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()
    only_right: tuple[OnlyRight, ...] = ()
    suspected: tuple[Suspected, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether there are labels, and so scores."""
        return bool(self.main)

    def row(self, model: str) -> Judged:
        """Return the row of a model.

        Raises:
            KeyError: it has none.
        """
        for judged in self.models:
            if judged.model == model:
                return judged
        raise KeyError(model)

    def as_json(self) -> dict[str, Any]:
        """Return the document of `compare --json`: what is not a number is null."""
        document = asdict(self)
        document["models"] = [_row_as_json(row) for row in self.models]
        found: dict[str, Any] = _finite(document)
        return found


def _row_as_json(row: Judged) -> dict[str, Any]:
    scores = {name: asdict(interval) for name, interval in row.scores.items()}
    recall = {name.removeprefix("recall@"): value for name, value in scores.items() if name.startswith("recall@")}
    others = {name: value for name, value in scores.items() if not name.startswith("recall@")}
    facts = asdict(row)
    cost = facts.pop("cost")
    facts.pop("scores")
    return {"model": facts.pop("model"), "recall": recall, **others, **cost, **facts}


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
