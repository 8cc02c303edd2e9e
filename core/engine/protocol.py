"""What the screen asks of the engine, and what the engine answers.

Named tuples, as Python takes four times as long to make a dataclass, and all of these come before the first paint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from visexplore.core.comparison import Comparison
    from visexplore.core.cost import KnownRates
    from visexplore.core.errors import EngineDied, VisexploreError
    from visexplore.core.evaluation.projection import Method
    from visexplore.core.evaluation.votes import Vote
    from visexplore.core.messages import (
        Box,
        CacheState,
        Disagreements,
        EmbedReport,
        ImageFacts,
        KnownDataset,
        ModelResult,
        Picture,
        Progress,
        QueryPart,
        QueryResult,
        Similarities,
        SkippedImage,
    )
    from visexplore.core.standing import Question, Standing

# ---- requests: what the screen asks. `ticket` comes back in the answer.


class OpenDataset(NamedTuple):
    """List a dataset."""

    ticket: int
    spec: str


class AskCacheStates(NamedTuple):
    """How much of a dataset is embedded under which models."""

    ticket: int
    spec: str


class AskDatasets(NamedTuple):
    """Which datasets can be opened by name."""

    ticket: int


class AskThumbnail(NamedTuple):
    """A small picture of an image of the dataset."""

    ticket: int
    spec: str
    image_id: str


class AskPicture(NamedTuple):
    """A picture of up to `side` pixels: of an image of the dataset, or of an outside file if `spec` is empty.

    With `crop`, of that part of it alone.
    """

    ticket: int
    spec: str
    image_id: str
    side: int
    crop: Box | None = None


class AskImageFacts(NamedTuple):
    """All that is known of an image of the dataset."""

    ticket: int
    spec: str
    image_id: str


class AskSkipped(NamedTuple):
    """Which images could not be embedded with a model, and why."""

    ticket: int
    spec: str
    model: str


class ExportPaths(NamedTuple):
    """Write the paths of images of the dataset to a text file below `folder`."""

    ticket: int
    spec: str
    image_ids: tuple[str, ...]
    folder: str


class Search(NamedTuple):
    """The nearest images under one model: to an image of the dataset, the outside file at `path`, a text, or a mix.

    `crop` is the part of the picture to search with, `parts` are those of a mix.
    """

    ticket: int
    spec: str
    model: str
    image_id: str = ""
    path: str = ""
    text: str = ""
    k: int = 5
    parts: tuple[QueryPart, ...] = ()
    crop: Box | None = None


class SearchMany(NamedTuple):
    """The nearest images under several models, to what `Search` takes."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    image_id: str = ""
    path: str = ""
    text: str = ""
    k: int = 5
    parts: tuple[QueryPart, ...] = ()
    crop: Box | None = None


class ExportStrips(NamedTuple):
    """Write one picture a model, the query beside its nearest images, below `folder`."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    folder: str
    image_id: str = ""
    path: str = ""
    text: str = ""
    parts: tuple[QueryPart, ...] = ()
    crop: Box | None = None


class AskDisagreements(NamedTuple):
    """On which queries models differ most, by their first `k` neighbours; `Cancel` gives it up."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    k: int = 5


class AskProjection(NamedTuple):
    """A map of a dataset's embeddings under a model."""

    ticket: int
    spec: str
    model: str
    method: Method


class AskSimilarities(NamedTuple):
    """How near an image of the dataset is to all others under a model, as a histogram of so many bins."""

    ticket: int
    spec: str
    model: str
    image_id: str
    bins: int


class AskQuestion(NamedTuple):
    """What the blind tournament between models asks next."""

    ticket: int
    spec: str
    models: tuple[str, ...]


class CastVote(NamedTuple):
    """A vote in that tournament, None to take back the last one; answered with the next question."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    vote: Vote | None


class Embed(NamedTuple):
    """Embed a dataset: a job, done when the ones before it are."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    paused: bool = False  # begin when it is resumed


class Compare(NamedTuple):
    """Judge models on a dataset: a job like `Embed`, which embeds first what is missing."""

    ticket: int
    spec: str
    models: tuple[str, ...]
    self_retrieval: int = 0


class Cancel(NamedTuple):
    """Give up a job, or the search for disagreements; what a job has embedded stays."""

    ticket: int


class Pause(NamedTuple):
    """Let a job rest, at its place among the others; answered with `JobPaused` as soon as it does."""

    ticket: int


class Resume(NamedTuple):
    """Let a paused job go on when its turn comes."""

    ticket: int


class Reorder(NamedTuple):
    """Change the order of the jobs that do not run: `tickets` first, as they are listed, then the others."""

    tickets: tuple[int, ...]


class AskRates(NamedTuple):
    """How fast which models embed on this machine."""

    ticket: int


# ---- events: what the engine answers.


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine takes requests."""


class DatasetOpened(NamedTuple):
    """A dataset's images, column by column: a million of them are received without holding up the screen.

    Attributes:
        ticket: of the request.
        spec: what opens the dataset again.
        title: short name.
        image_ids: in the dataset's order.
        labels: the names of the labels, sorted; empty without labels.
        label_numbers: int32 array as bytes: for each image the position of its label in `labels`, or -1.
        problems: places that could not be listed.
    """

    ticket: int
    spec: str
    title: str
    image_ids: tuple[str, ...]
    labels: tuple[str, ...]
    label_numbers: bytes
    problems: tuple[str, ...]


class CacheStates(NamedTuple):
    """The answer to `AskCacheStates`, with what was measured of models, on this and on other datasets."""

    ticket: int
    spec: str
    states: tuple[CacheState, ...]


class DatasetsKnown(NamedTuple):
    """The answer to `AskDatasets`."""

    ticket: int
    datasets: tuple[KnownDataset, ...]


class PictureMade(NamedTuple):
    """The answer to `AskThumbnail` and `AskPicture`."""

    ticket: int
    picture: Picture


class ImageFactsFound(NamedTuple):
    """The answer to `AskImageFacts`."""

    ticket: int
    facts: ImageFacts


class SkippedFound(NamedTuple):
    """The answer to `AskSkipped`, in the dataset's order."""

    ticket: int
    skipped: tuple[SkippedImage, ...]


class Found(NamedTuple):
    """The answer to `Search` and `SearchMany`."""

    ticket: int
    result: QueryResult


class JobProgress(NamedTuple):
    """Where a job stands."""

    ticket: int
    progress: Progress


class JobDone(NamedTuple):
    """A job ended: one report a model; none of a comparison that was given up."""

    ticket: int
    reports: tuple[EmbedReport, ...]


class JobPaused(NamedTuple):
    """A job rests: what it has embedded is committed."""

    ticket: int


class Compared(NamedTuple):
    """A comparison ended."""

    ticket: int
    comparison: Comparison


class RatesKnown(NamedTuple):
    """The answer to `AskRates`."""

    ticket: int
    rates: KnownRates


class Exported(NamedTuple):
    """Strips or paths were written."""

    ticket: int
    files: tuple[str, ...]


class DisagreementsFound(NamedTuple):
    """The answer to `AskDisagreements`."""

    ticket: int
    found: Disagreements


class Projected(NamedTuple):
    """The answer to `AskProjection`; arrays as bytes, so that who asks needs numpy only where they are drawn.

    Attributes:
        ticket: of the request.
        model: as it was asked for.
        method: what made the map.
        positions: int64 (m,): positions in the dataset of the images on the map, rising.
        places: float32 (m, 2): where they are.
        explained: shares of the variance along the two axes, 0 to 1; None where axes have no such meaning.
        fitted: images that the axes were computed from.
        images: that are embedded; more than `fitted` where a random sample stands for all.
    """

    ticket: int
    model: str
    method: Method
    positions: bytes
    places: bytes
    explained: tuple[float, float] | None
    fitted: int
    images: int


class SimilaritiesCounted(NamedTuple):
    """The answer to `AskSimilarities`."""

    ticket: int
    similarities: Similarities


class QuestionAsked(NamedTuple):
    """The next question of the blind tournament and the strips to show; all None where nothing is left to ask."""

    ticket: int
    question: Question | None
    standing: Standing
    left: ModelResult | None
    right: ModelResult | None


class Failed(NamedTuple):
    """A request could not be served."""

    ticket: int
    error: VisexploreError


class Died(NamedTuple):
    """The engine ended unexpectedly; the requests that it had not answered are lost."""

    error: EngineDied


JobRequest = Embed | Compare
Request = (
    OpenDataset | AskCacheStates | AskThumbnail | AskPicture | Search | SearchMany | ExportStrips | AskDisagreements
    | AskQuestion | CastVote | JobRequest | Cancel | Pause | Resume | Reorder | AskRates | AskDatasets
    | AskProjection | AskSimilarities | AskImageFacts | AskSkipped | ExportPaths
)  # fmt: skip
Event = (
    Ready | DatasetOpened | CacheStates | PictureMade | Found | Compared | Exported | DisagreementsFound
    | QuestionAsked | JobProgress | JobDone | JobPaused | RatesKnown | DatasetsKnown | Projected
    | SimilaritiesCounted | ImageFactsFound | SkippedFound | Failed | Died
)  # fmt: skip
