"""What the explorer answers and the engine sends: plain frozen values, the same inside one process and between two."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from visexplore.core.errors import UserError

# Stages that can set the pace of embedding.
Bottleneck = Literal["reading", "decoding", "model", "writing", ""]


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """How much of a device is in use.

    Attributes:
        device: `cpu`, `cuda:0`, `mps`.
        name: of the processor, for people.
        memory: bytes in use: of a GPU by all programs, of the main memory by this process; 0 where it is not known.
        memory_total: bytes that there are; 0 where it is not known.
        busy: of a GPU the share of the time that it computes, 0 to 1; of a CPU the cores that this process keeps busy;
            None where it is not known.
        cores: that this process may use; 0 for a GPU.
    """

    device: str
    name: str = ""
    memory: int = 0
    memory_total: int = 0
    busy: float | None = None
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an embedding job stands.

    Attributes:
        model: slug of the model that the numbers are for; with several models, the one that is furthest behind.
        stage: what is going on: `downloading` or `loading` the model, `waiting` for another process, or `embedding`.
        done: images finished in this run, skipped ones included.
        total: images that this run has to do.
        reused: images of the dataset that needed no work at all.
        failed: images skipped because they cannot be read, in this run.
        images_per_second: over the last seconds.
        eta_seconds: until the end; None while nothing is known.
        bottleneck: the stage that the others wait for.
        bytes_done: of the model's files on this machine, while downloading.
        bytes_total: of all of its files, while downloading.
        bytes_per_second: over the last seconds, while downloading.
        device: what the model runs on and how busy that is; None where there is nothing to tell.
    """

    model: str
    stage: Literal["downloading", "loading", "waiting", "embedding"]
    done: int = 0
    total: int = 0
    reused: int = 0
    failed: int = 0
    images_per_second: float = 0.0
    eta_seconds: float | None = None
    bottleneck: Bottleneck = ""
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_second: float = 0.0
    device: DeviceUse | None = None


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be embedded, and why."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """The outcome of embedding one dataset with one model; `as_json` gives what `embed --json` prints.

    `precision` is the arithmetic that was used and `remarks` what was decided at loading; both are empty where the
    model did not have to be loaded.
    """

    model: str
    dataset: str
    images: int
    embedded: int
    reused: int
    skipped: tuple[SkippedImage, ...]
    seconds: float
    images_per_second: float
    bottleneck: Bottleneck
    store: str
    precision: str = ""
    remarks: tuple[str, ...] = ()
    cancelled: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `embed --json`."""
        document = asdict(self)
        del document["cancelled"]  # a program that cancels knows
        return document


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One hit; `rank` starts at 1.

    `score` is the cosine of the two embeddings, or what a virtual model makes of several. As models spread their
    cosines differently, `percentile` says which percentage of random pairs of the dataset is at most as near under
    the same model, 0 to 100; None where that is not known.
    """

    rank: int
    image_id: str
    path: str
    score: float
    label: str | None
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an upright picture: its edges as fractions of the width and the height, 0 to 1.

    Raises:
        UserError: the edges enclose nothing, or lie outside of the picture.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            raise UserError(
                "That is no part of a picture",
                "Give the left, top, right and bottom edge as fractions or percent, such as 0.1,0.2,0.6,0.9.",
            )

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the left, top, right and bottom edge in a picture of that many pixels; at least one is inside."""
        left, top = min(int(self.left * width), width - 1), min(int(self.top * height), height - 1)
        return left, top, max(left + 1, round(self.right * width)), max(top + 1, round(self.bottom * height))


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One of the images and texts that a query is made of.

    Attributes:
        weight: what its embedding is multiplied by.
        image_id: of an image of the dataset; or
        path: of an outside picture, or its address; or
        text: words.
        crop: the part of the picture that is searched with; None for all of it.
    """

    weight: float = 1.0
    image_id: str = ""
    path: str = ""
    text: str = ""
    crop: Box | None = None

    @property
    def is_stored(self) -> bool:
        """Whether its embedding is among those of the dataset."""
        return bool(self.image_id) and self.crop is None


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched with: an image of the dataset by its id, an outside picture, a text, or a mix of these.

    Attributes:
        image_id: of the dataset's image; empty for an outside picture, a text and a mix.
        path: of the file; for an outside picture what the user named.
        label: of the dataset's image.
        text: the words that are searched with.
        parts: of a mix, with their weights.
        crop: the part of the picture that is searched with; None for all of it, and for a mix.
    """

    image_id: str = ""
    path: str = ""
    label: str | None = None
    text: str = ""
    parts: tuple[QueryPart, ...] = ()
    crop: Box | None = None

    @property
    def components(self) -> tuple[QueryPart, ...]:
        """The parts of a mix; of any other query the one that it is."""
        if self.parts:
            return self.parts
        return (QueryPart(1.0, self.image_id, "" if self.image_id else self.path, self.text, self.crop),)

    @property
    def is_stored(self) -> bool:
        """Whether all embeddings that it is made of are stored, so that no model is needed."""
        return all(part.is_stored for part in self.components)

    @property
    def has_text(self) -> bool:
        """Whether words are a part of it, for which the model needs a text tower."""
        return any(part.text for part in self.components)

    @property
    def picture(self) -> QueryPart | None:
        """The first picture that it is made of; None if it is made of words alone."""
        return next((part for part in self.components if not part.text), None)


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The neighbours of a query under one model.

    Attributes:
        model: slug of the checkpoint.
        recipe: digest of the recipe.
        dim: length of its embeddings.
        seconds: that embedding the query and searching took; loading a model is not counted.
        gallery: number of images searched.
        neighbours: the nearest first; equal scores in the dataset's order.
    """

    model: str
    recipe: str
    dim: int
    seconds: float
    gallery: int
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to one query under one or several models; `as_json` gives what `query --json` prints."""

    dataset: str
    query: Query
    results: tuple[ModelResult, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `query --json`."""
        document = asdict(self)
        for result in document["results"]:
            del result["gallery"]
        for name in ("parts", "crop"):  # only where there are any
            if not document["query"][name]:
                del document["query"][name]
        return document


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A dataset that can be opened by name.

    Attributes:
        spec: opens it.
        title: its short name.
        models: that have embedded some of it.
        about: why it is known, where it is not because of those.
    """

    spec: str
    title: str
    models: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How much models differ on the neighbours of one query, in the mean of all pairs of them.

    Attributes:
        image_id: of the query.
        label: of the query.
        disagreement: 1 minus the rank-biased overlap of the first k neighbours: 0 for the same ones, 1 for all others.
        overlap: share of the first k neighbours that both have, whatever their order.
    """

    image_id: str
    label: str | None
    disagreement: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Disagreements:
    """The queries on which models differ, those first on which they differ most.

    Attributes:
        models: as they were named.
        k: how many neighbours were compared.
        queries: without those on which all models agree.
        looked_at: how many queries were compared: of a large dataset a random sample.
        images: how many images all of the models have embedded.
        disagreement: mean over the queries that were compared.
        overlap: mean over the queries that were compared.
    """

    models: tuple[str, ...]
    k: int
    queries: tuple[Disagreement, ...]
    looked_at: int
    images: int
    disagreement: float
    overlap: float


@dataclass(frozen=True, slots=True)
class CacheState:
    """How much of a dataset is embedded under one model: `embedded` and `failed` of `total` images."""

    model: str
    embedded: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A small RGB picture: `pixels` are height x width x 3 bytes, row by row from the top left."""

    width: int
    height: int
    pixels: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Similarities:
    """A histogram of how near a query is to the images of a dataset, in bins of equal width.

    Attributes:
        low: lower end of the first bin, a cosine.
        high: upper end of the last one.
        same: images in each bin that have the query's label; empty where the query has none.
        others: images in each bin that have another, or all where the query has none.
        pairs: share of random pairs of the dataset in each bin; empty where there is no pair.
        neighbours: the nearest images, nearest first.
        compared: images counted, the query left out.
        images: that could have been; more than were where a random sample stands for all.
    """

    low: float
    high: float
    same: tuple[int, ...]
    others: tuple[int, ...]
    pairs: tuple[float, ...]
    neighbours: tuple[Neighbour, ...]
    compared: int
    images: int


@dataclass(frozen=True, slots=True)
class ImageUnderModel:
    """Whether an image is embedded under a model; `problem` says why it could not be."""

    model: str
    embedded: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """All that is known of one image of a dataset. Texts from inside the file are printable.

    Attributes:
        image_id: in its dataset.
        path: the file that holds it.
        file_bytes: size of the file, or of the image where it is a part of a larger one.
        modified: time of the last change, in seconds since 1970; None where it is not known.
        label: class name, or None.
        split: `train`, `test`, ... or None.
        attributes: further facts that the dataset tells, as (name, value) pairs.
        width: pixels of the picture when it stands upright; 0 if it cannot be told.
        height: the same.
        format: Pillow's name of the file format.
        mode: Pillow's name of the kind of pixels, such as `RGB`, in words.
        exif: facts that the camera wrote, as (name, value) pairs.
        content_key: digest of the bytes; empty if they cannot be read.
        copies: ids of images of the same bytes, as far as those are embedded.
        models: what is embedded of it, for each model that has begun with the dataset.
        problem: why it cannot be read; empty if all is well.
    """

    image_id: str
    path: str
    file_bytes: int
    modified: float | None
    label: str | None
    split: str | None
    attributes: tuple[tuple[str, str], ...]
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    exif: tuple[tuple[str, str], ...] = ()
    content_key: str = ""
    copies: tuple[str, ...] = ()
    models: tuple[ImageUnderModel, ...] = ()
    problem: str = ""
