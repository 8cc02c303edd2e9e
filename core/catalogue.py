"""Families of visual models and their checkpoints: load the catalogue, find an entry, filter, show as JSON.

The facts are in `assets/catalogue.toml`. This module knows no loading library: asking about every checkpoint
costs no import of torch and no network.

Nor does it import pydantic: that alone takes three times as long as all that is done here, and the catalogue is
read before the first paint. So the types are plain dataclasses. The bundled file is taken at its word, because a
test checks it. The user's own file is checked by pydantic in `catalogue_file`, against the same dataclasses:
the annotations say the types, the `metadata` of the fields what else is asked.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Literal

from visexplore.core.errors import CatalogueError, UnknownModel

DEFAULT_MODEL: Final = "efficientnet-lite0"
"""The slug of the checkpoint used where none is named: small, and its weights come with the install."""

OUTSIDE: Final = "outside"
"""The family of checkpoints that the catalogue does not list."""

Loader = Literal["transformers", "timm", "open_clip", "diffusers", "internimage", "baseline", "vectors"]

LIBRARIES: Final[dict[Loader, str]] = {
    "transformers": "transformers",
    "timm": "timm",
    "open_clip": "open_clip",
    "diffusers": "diffusers",
    "internimage": "torch",
    "baseline": "numpy",
    "vectors": "numpy",
}
"""The module that each loader needs."""

Pooling = Literal["cls", "mean", "cls+mean", "gem", "projected", "unprojected"]

POOLINGS: Final[dict[Pooling, str]] = {
    "cls": "the class token",
    "mean": "the mean of the patch tokens, or of the feature map over height and width",
    "cls+mean": "the class token and the mean, each scaled to length 1, one after the other",
    "gem": "the generalised mean of the patch tokens (GeM, p = 3)",
    "projected": "the image tower's output in the space that it shares with texts",
    "unprojected": "the image tower's output before that projection",
}
"""What can be kept instead of the family's standard vector: `NAME@POOLING`."""


BASELINES: Final[dict[str, tuple[int, str]]] = {
    "random": (64, "chance: a direction drawn at random for each picture"),
    "colour": (256, "a histogram of colours"),
    "phash": (64, "a perceptual hash of 64 bits"),
}
"""Encoders without weights, `baseline:NAME`: how many numbers they give, and what those are."""


def slugify(text: str) -> str:
    """Return `text` as a slug: lower-case letters, digits and single hyphens; never empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"


# Metadata, which pydantic reads as it reads the arguments of its `Field`.
_POSITIVE: Final = {"gt": 0}
_SLUG: Final = {"pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$"}

_DERIVED: Final = "(derived)"
"""Stands for a text that is made from other fields unless it is given."""


def _derive(entry: object, **texts: str) -> None:
    for name, text in texts.items():
        if getattr(entry, name) == _DERIVED:
            object.__setattr__(entry, name, text)  # the entry is frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A publication.

    Attributes:
        title: its title.
        venue: conference or journal with the year; "arXiv" for a preprint; empty where unknown.
        arxiv: arXiv identifier such as "2103.00020".
        url: where to read it; the arXiv page unless the entry says otherwise.
    """

    title: str
    venue: str = ""
    arxiv: str = ""
    url: str = _DERIVED

    def __post_init__(self) -> None:
        _derive(self, url=f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of the seed document; plain words such as "timm" or "N/A" have no URL.

    Attributes:
        label: the words that are shown.
        url: where they lead; empty for plain words.
        note: what the seed document writes beside the link, for example the version it is for.
    """

    label: str
    url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEntry:
    """What the seed document says about a family, word for word.

    Attributes:
        title: the heading.
        section: "main" or "other models to check", with the list inside it after a colon.
        date: date as written.
        venue: venue as written.
        figure: path of the figure inside the seed document.
        data: lines about the training data.
        remarks: other lines.
        models: links to code and weights.
        papers: links to papers.
    """

    title: str
    section: str = ""
    date: str = ""
    venue: str = ""
    figure: str = ""
    data: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    models: tuple[Link, ...] = ()
    papers: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One set of weights. An entry needs `id` and `loader`; the rest has defaults.

    Attributes:
        id: what the loader calls it: `openai/clip-vit-base-patch32`, `davit_tiny.msft_in1k`, `ARCH/TAG`.
        loader: the library that builds it.
        slug: the short name to type; unique, lower-case; made from `id` unless given.
        family: id of its family, `outside` if the catalogue does not list it; filled in, not read from files.
        model_class: class that the loader builds.
        folder: local folder that holds it instead of a hub.
        hub_id: Hugging Face repository of the weights; empty where the loader alone knows it.
        subfolder: folder inside that repository.
        package: installed distribution that carries the weights, if one does.
        unreleased: why its weights cannot be had; empty if they can.
        seed_named: whether the seed document shows results of it.
        seed_name: the name it has there, if another.
        size_class: small, base, large or giant.
        modality: what it embeds.
        has_text_tower: whether texts are embedded in the same space as images.
        dim: numbers per image embedding; None: known once it is loaded.
        text_dim: numbers per text embedding; None without a text tower.
        pooling: which vector is kept, for people to read.
        pooling_choice: the pooling that was asked for instead with `NAME@POOLING`; empty for the standard one.
        input_size: width and height of the input in pixels.
        resize: how an image gets that size, for people to read.
        crop_pct: the part of the resized image that the centre crop keeps, 0 to 1.
        interpolation: resampling filter.
        mean: subtracted from RGB values in 0 to 1.
        std: RGB values are divided by it afterwards.
        parameters_m: parameters of the published checkpoint, in millions.
        image_tower_parameters_m: parameters that an image embedding needs, in millions.
        weights_mb: size of the weights in megabytes (10^6 bytes).
        weights_mb_source: how that size is known.
        weights_format: file formats of the weights.
        licence: licence of the weights.
        licence_note: whose statement that is.
        training_data: what it was trained on.
        notes: what else one should know.
    """

    id: str = field(metadata={"min_length": 1})
    loader: Loader
    slug: str = field(default=_DERIVED, metadata=_SLUG)
    family: str = OUTSIDE
    model_class: str = ""
    folder: str = ""
    hub_id: str = _DERIVED
    subfolder: str = ""
    package: str | None = None
    unreleased: str = ""
    seed_named: bool = False
    seed_name: str = ""
    size_class: str = ""
    modality: str = "image"
    has_text_tower: bool = False
    dim: int | None = field(default=None, metadata=_POSITIVE)
    text_dim: int | None = field(default=None, metadata=_POSITIVE)
    pooling: str = ""
    pooling_choice: Pooling | Literal[""] = ""
    input_size: int | None = field(default=None, metadata=_POSITIVE)
    resize: str = ""
    crop_pct: float | None = field(default=None, metadata={"gt": 0, "le": 1})
    interpolation: str = ""
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    parameters_m: float | None = field(default=None, metadata=_POSITIVE)
    image_tower_parameters_m: float | None = field(default=None, metadata=_POSITIVE)
    weights_mb: float | None = field(default=None, metadata=_POSITIVE)
    weights_mb_source: str = ""
    weights_format: str = ""
    licence: str = ""
    licence_note: str = ""
    training_data: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        prefix = {"timm": "timm/", "transformers": ""}.get(self.loader)
        hub_id = "" if prefix is None or self.folder else f"{prefix}{self.id}"
        _derive(self, slug=slugify(self.id), hub_id=hub_id)

    @property
    def name(self) -> str:
        """What people call it: the slug."""
        return self.slug

    @property
    def weights(self) -> str:
        """Its id with the loader before it, unique without any context: `timm:davit_tiny.msft_in1k`."""
        return f"{self.loader}:{self.id}"

    @property
    def key(self) -> str:
        """The name by which `Catalogue.resolve` finds this very entry: its weights and the chosen pooling, if any."""
        return f"{self.weights}@{self.pooling_choice}" if self.pooling_choice else self.weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One system: who made it, when, from what, and its checkpoints. An entry needs only `id`.

    Attributes:
        id: short lower-case name.
        name: full name; the id unless given.
        organisation: who made it.
        kind: what sort of model it is, in one sentence.
        modality: what it takes.
        status: how well it can be loaded, for people to read.
        unreleased: why nothing of it can be loaded; empty if something can.
        unreleased_part: what of it was never released although other parts were.
        nearest: id of the checkpoint that stands in for what was never released.
        nearest_note: why that one.
        remark: one sentence to choose by.
        first_public: date of the first publication, `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
        first_public_note: what was published when.
        venue: conference or journal.
        venue_agrees: whether that is the seed document's venue; "unstated" where it names none.
        venue_source: where the venue was checked.
        training_data: what it was trained on.
        parameters: sizes, for people to read.
        weights_then: what was released when the seed document was written.
        weights_now: what is released now.
        licence_code: licence of the code.
        licence_weights: licence of the weights.
        corrections: where the seed document errs.
        papers: its papers.
        code: URLs of its code.
        seed: what the seed document says about it, if it lists it.
        checkpoints: its checkpoints (`[[family.checkpoint]]` in the file).
    """

    id: str = field(metadata=_SLUG)
    name: str = _DERIVED
    organisation: str = ""
    kind: str = ""
    modality: str = ""
    status: str = ""
    unreleased: str = ""
    unreleased_part: str = ""
    nearest: str = ""
    nearest_note: str = ""
    remark: str = ""
    first_public: str = field(default="", metadata={"pattern": r"^(\d{4}(-\d{2}(-\d{2})?)?)?$"})
    first_public_note: str = ""
    venue: str = ""
    venue_agrees: Literal["yes", "no", "unstated"] = "unstated"
    venue_source: str = ""
    training_data: str = ""
    parameters: str = ""
    weights_then: str = ""
    weights_now: str = ""
    licence_code: str = ""
    licence_weights: str = ""
    corrections: tuple[str, ...] = ()
    papers: tuple[Paper, ...] = ()
    code: tuple[str, ...] = ()
    seed: SeedEntry | None = None
    checkpoints: tuple[Checkpoint, ...] = field(default=(), metadata={"alias": "checkpoint"})

    def __post_init__(self) -> None:
        _derive(self, name=self.id)

    @property
    def year(self) -> int | None:
        """The year it became public; None where unknown."""
        return int(self.first_public[:4]) if self.first_public else None


class WeightsStatus(StrEnum):
    """Where the weights of a checkpoint are."""

    BUNDLED = "bundled"
    ON_DISK = "on disk"
    TO_DOWNLOAD = "to download"
    UNRELEASED = "unreleased"


def default_hub_cache() -> Path:
    """Return the folder in which Hugging Face libraries keep downloaded repositories."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def weights_status(checkpoint: Checkpoint, hub_cache: Path | None = None) -> WeightsStatus:
    """Return where the weights are, by looking at paths only: nothing is imported, read or downloaded.

    Args:
        checkpoint: the checkpoint in question.
        hub_cache: Hugging Face cache to look in; the user's own if None.
    """
    if checkpoint.unreleased:
        return WeightsStatus.UNRELEASED
    if checkpoint.loader == "baseline":
        return WeightsStatus.BUNDLED
    if checkpoint.loader == "vectors":
        return WeightsStatus.ON_DISK
    # The module is named after the distribution, and looking for it is quicker than reading metadata.
    if checkpoint.package and _installed(checkpoint.package.replace("-", "_")):
        return WeightsStatus.BUNDLED
    if checkpoint.folder:
        folders = [Path(checkpoint.folder).expanduser()]
    elif checkpoint.hub_id:
        folders = [snapshot / checkpoint.subfolder for snapshot in hub_snapshots(checkpoint, hub_cache)]
    else:
        folders = []
    return WeightsStatus.ON_DISK if any(map(_holds_weights, folders)) else WeightsStatus.TO_DOWNLOAD


def hub_snapshots(checkpoint: Checkpoint, hub_cache: Path | None = None) -> list[Path]:
    """Return the folders of its repository's snapshots in the hub's cache, the one that `main` means first."""
    repository = (hub_cache or default_hub_cache()) / f"models--{checkpoint.hub_id.replace('/', '--')}"
    try:
        main = (repository / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    return sorted(repository.glob("snapshots/*"), key=lambda snapshot: (snapshot.name != main, snapshot.name))


def _holds_weights(place: Path) -> bool:
    """Whether weights are at `place`: all parts of them, if they come in parts."""
    if place.is_file():
        return True
    try:
        names = {file.name for file in place.iterdir() if file.is_file()}  # links of unfinished downloads dangle
        for index in (place / name for name in names if name.endswith(".index.json")):
            import json

            return names >= set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return any(name.endswith((".safetensors", ".bin")) for name in names)


def runs_here(checkpoint: Checkpoint, hub_cache: Path | None = None) -> bool:
    """Return whether `checkpoint` can embed on this machine at once, without a download.

    Args:
        checkpoint: the checkpoint in question.
        hub_cache: Hugging Face cache to look in; the user's own if None.
    """
    return weights_status(checkpoint, hub_cache) in {WeightsStatus.BUNDLED, WeightsStatus.ON_DISK} and _installed(
        LIBRARIES[checkpoint.loader]
    )


@dataclass(frozen=True)
class Catalogue:
    """Every known family, in the order of the seed document, then the user's own.

    Attributes:
        families: the families with their checkpoints.
    """

    families: tuple[Family, ...]

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint, in the order of the families."""
        return tuple(c for family in self.families for c in family.checkpoints)

    @cached_property
    def _by_name(self) -> dict[str, tuple[Checkpoint, ...]]:
        names: dict[str, tuple[Checkpoint, ...]] = {}
        for checkpoint in self.checkpoints:
            hub_id, seed_name = checkpoint.hub_id, checkpoint.seed_name
            for name in dict.fromkeys(filter(None, (*own_names(checkpoint), hub_id.lower(), seed_name.lower()))):
                names[name] = (*names.get(name, ()), checkpoint)
        return names

    def family(self, name: str) -> Family:
        """Return the family of that id, in any case.

        Raises:
            UnknownModel: there is none.
        """
        for family in self.families:
            if family.id == name.strip().lower():
                return family
        raise _unknown(f"No family has the id {name!r}", closest(name, [family.id for family in self.families]))

    def find(self, name: str) -> Checkpoint:
        """Return the checkpoint that `name` means: its slug, id, key, hub id or seed name, in any case.

        Raises:
            UnknownModel: there is none, or there are several.
        """
        wanted = name.strip().lower()
        named = self._by_name.get(wanted, ())
        found = [c for c in named if wanted in own_names(c)] or named
        if len(found) == 1:
            return found[0]
        if found:
            slugs = " or ".join(c.slug for c in found)
            raise UnknownModel(f"{name!r} is the name of several models", f"Give {slugs} instead.")
        close = [self._by_name[other][0].slug for other in closest(wanted, self._by_name, 9)]
        raise _unknown(f"No model is called {name!r}", list(dict.fromkeys(close))[:3])

    def resolve(self, name: str) -> Checkpoint:
        """Return the checkpoint that `name` means, which need not be in the catalogue.

        Outside it, `timm:NAME`, `hf:REPO`, `open_clip:ARCH/TAG`, `timm:ARCH:FILE` (a weights file and the
        architecture it is for) and a local folder's path are understood. `@POOLING` after any of them chooses another
        pooling than the family's standard. `baseline:NAME` and `vectors:FILE` have no weights.

        Raises:
            UnknownModel: it is none of these, or there is no such pooling.
        """
        name = name.strip()
        if name.lower() in self._by_name:
            return self.find(name)
        whole, at, choice = name.rpartition("@")
        if at and choice in POOLINGS:
            checkpoint = self.resolve(whole)
            if checkpoint.loader in ("baseline", "vectors"):
                raise UnknownModel(f"{checkpoint.slug} has one kind of vectors", f"Leave out @{choice}.")
            return _with_pooling(checkpoint, choice)
        prefix, colon, rest = name.partition(":")
        if prefix.lower() == "baseline" or (not colon and name.lower().startswith("baseline-")):
            return _baseline(rest or name[len("baseline-") :])
        if prefix.lower() == "vectors" and colon:
            return _own_vectors(rest)
        if prefix.lower() in LIBRARIES and Path(rest).is_absolute():  # the key of a local folder
            return self.resolve(rest)
        if prefix.lower() == "hf" and any(c.hub_id.lower() == rest.lower() for c in self.checkpoints if rest):
            return self.find(rest)
        if colon and prefix.lower() in _OUTSIDE_IDS:
            return _outside(prefix.lower(), rest)
        if folder := _folder_at(name):
            return _local_folder(folder)
        if at and whole.lower() in self._by_name:
            raise UnknownModel(f"There is no pooling {choice!r}", f"Poolings: {', '.join(POOLINGS)}.")
        if name.startswith(("/", "./", "../", "~")):
            raise UnknownModel(f"No folder is at {name!r}", "Check the path.")
        return self.find(name)

    def filter(
        self,
        text: str = "",
        *,
        family: str | None = None,
        organisation: str | None = None,
        year: int | None = None,
        loader: str | None = None,
        modality: str | None = None,
        licence: str | None = None,
        runs_here: Callable[[Checkpoint], bool] | None = None,
    ) -> list[Family]:
        """Return the matching families, each with its matching checkpoints only.

        A family without checkpoints is returned when it matches and nothing is asked of checkpoints.

        Args:
            text: every word of it has to occur in the family's or the checkpoint's words, in any case.
            family: id of the one family wanted.
            organisation: part of the organisation's name.
            year: the year in which the family became public.
            loader: the checkpoint's loader.
            modality: part of the checkpoint's modality.
            licence: part of the checkpoint's licence.
            runs_here: what else a checkpoint has to satisfy, such as `runs_here` of this module.

        Raises:
            UnknownModel: no family has the id `family`.
        """
        words = text.lower().split()
        of_checkpoints = any(wanted is not None for wanted in (loader, modality, licence, runs_here))

        def wants(checkpoint: Checkpoint) -> bool:
            return (
                (loader is None or checkpoint.loader == loader.lower())
                and _within(modality, checkpoint.modality)
                and _within(licence, checkpoint.licence)
                and (runs_here is None or runs_here(checkpoint))
            )

        matching = []
        for entry in self.families if family is None else (self.family(family),):
            if not _within(organisation, entry.organisation) or year not in (None, entry.year):
                continue
            titles = (paper.title for paper in entry.papers)
            parts = (entry.id, entry.name, entry.organisation, entry.kind, entry.first_public, entry.remark, *titles)
            about = "\n".join(parts).lower()
            kept = tuple(
                c
                for c in entry.checkpoints
                if all(word in about or word in c.slug or word in c.id.lower() for word in words) and wants(c)
            )
            if kept:
                matching.append(replace(entry, checkpoints=kept))
            elif not entry.checkpoints and not of_checkpoints and all(word in about for word in words):
                matching.append(entry)
        return matching


def _within(part: str | None, whole: str) -> bool:
    return part is None or part.lower() in whole.lower()


def own_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the names, in lower case, that no other checkpoint may have."""
    return checkpoint.slug, checkpoint.id.lower(), checkpoint.key.lower()


def closest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return at most `n` of the `known` names that are spelt much like `name`, the closest first."""
    import difflib  # lazily, like json below: not needed before the first paint

    return difflib.get_close_matches(name.strip().lower(), list(known), n, cutoff=0.5)


def _unknown(message: str, close: Sequence[str]) -> UnknownModel:
    suggestion = f"; close to it: {', '.join(close)}" if close else ""
    return UnknownModel(message + suggestion, "`visexplore models` lists them.")


# --- ids outside the catalogue ------------------------------------------------------------------------------

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HUB_ID: Final = (f"{_PART}(/{_PART})?", "hf:facebook/dinov2-base")
_OUTSIDE_IDS: Final[dict[str, tuple[Loader, str, str]]] = {
    "timm": ("timm", _PART, "timm:vit_base_patch16_224.augreg_in21k"),
    "hf": ("transformers", *_HUB_ID),
    "transformers": ("transformers", *_HUB_ID),
    "open_clip": ("open_clip", f"{_PART}/{_PART}", "open_clip:ViT-B-16/laion2b_s34b_b88k"),
}


def _baseline(name: str) -> Checkpoint:
    known = BASELINES.get(name.strip().lower())
    if known is None:
        raise UnknownModel(f"There is no baseline {name!r}", f"Baselines: {', '.join(BASELINES)}.")
    name, (dim, about) = name.strip().lower(), known
    return Checkpoint(id=name, loader="baseline", slug=f"baseline-{name}", dim=dim, pooling=about)


def _own_vectors(file: str) -> Checkpoint:
    try:
        path = Path(file.strip()).expanduser().absolute()
        found = path.is_file()
    except (OSError, RuntimeError):  # too long a name, a forbidden folder, the home of nobody
        found = False
    if not found:
        raise UnknownModel(f"There is no file {file!r}", "Check the path of the vectors.")
    return Checkpoint(
        id=str(path), loader="vectors", slug=slugify(f"vectors-{path.name}"), pooling="as its file has them"
    )


def _with_pooling(checkpoint: Checkpoint, choice: Pooling) -> Checkpoint:
    return replace(
        checkpoint,
        pooling_choice=choice,
        slug=f"{checkpoint.slug}@{choice}",
        pooling=POOLINGS[choice],
        dim=None,
        # Whatever else is kept of an image is no longer in the space of the texts.
        has_text_tower=checkpoint.has_text_tower and choice == "projected",
    )


def _outside(prefix: str, rest: str) -> Checkpoint:
    loader, pattern, example = _OUTSIDE_IDS[prefix]
    architecture, colon, file = rest.partition(":")
    if loader == "timm" and colon:
        return _weights_file(architecture, file)
    if not re.fullmatch(pattern, rest):
        raise UnknownModel(f"{f'{prefix}:{rest}'!r} is no id", f"It has to look like {example}.")
    if loader == "transformers" and rest.startswith("timm/"):
        # The repositories of that organisation hold timm's format, which transformers cannot read by itself.
        return _outside("timm", rest.removeprefix("timm/"))
    slug = slugify(f"{'hf' if loader == 'transformers' else loader}-{rest}")
    return Checkpoint(id=rest, loader=loader, slug=slug, has_text_tower=loader == "open_clip")


def _weights_file(architecture: str, file: str) -> Checkpoint:
    try:
        path = Path(file).expanduser().absolute()
        found = path.is_file()
    except (OSError, RuntimeError):  # too long a name, a forbidden folder, the home of nobody
        found = False
    if not found:
        raise UnknownModel(f"There is no file {file!r}", "Check the path of the weights.")
    return Checkpoint(id=f"{architecture}:{path}", loader="timm", slug=slugify(path.stem), folder=str(path))


def _folder_at(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        return folder if name and folder.is_dir() else None
    except (OSError, RuntimeError):  # too long a name, a forbidden folder, the home of nobody
        return None


def _local_folder(folder: Path) -> Checkpoint:
    import json

    hint = "It has to hold the config and the weights of a transformers, timm, open_clip or diffusers model."
    path = str(folder.resolve())

    def found(loader: Loader) -> Checkpoint:
        slug = slugify(Path(path).name)
        return Checkpoint(id=path, loader=loader, slug=slug, folder=path, has_text_tower=loader == "open_clip")

    for name, loader in _TOLD_BY_FILE.items():
        if (folder / name).is_file():
            return found(loader)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownModel(f"The folder {str(folder)!r} has no readable config.json", hint) from error
    if isinstance(config, dict):
        if config.get("model_type") == "internimage":
            return found("internimage")
        for key, loader in _TOLD_BY.items():
            if key in config:
                return found(loader)
    raise UnknownModel(f"The config.json in {str(folder)!r} is of no library that is known here", hint)


# Files that only one library writes.
_TOLD_BY_FILE: Final[dict[str, Loader]] = {"open_clip_config.json": "open_clip", "model_index.json": "diffusers"}
# The keys of a config.json that only one library writes.
_TOLD_BY: Final[dict[str, Loader]] = {
    "architecture": "timm",
    "model_type": "transformers",
    "_class_name": "diffusers",
}


# --- JSON ---------------------------------------------------------------------------------------------------


# The keys that programs may rely on; every other fact follows them.
_PROMISED_OF_FAMILY: Final = (
    "id",
    "name",
    "organisation",
    "first_public",
    "venue",
    "seed",
    "training_data",
    "papers",
    "code",
    "remark",
    "weights_then",
    "weights_now",
)
_PROMISED_OF_CHECKPOINT: Final = (
    "id",
    "slug",
    "loader",
    "dim",
    "input_size",
    "parameters_m",
    "weights_mb",
    "modality",
    "licence",
    "pooling",
)


def as_json(families: Iterable[Family], status: Callable[[Checkpoint], str]) -> dict[str, Any]:
    """Return the document that `visexplore models --json` prints: plain dicts, lists, strings and numbers.

    Args:
        families: what to show, such as `Catalogue.families` or the result of `Catalogue.filter`.
        status: what to put into each checkpoint's `status`, such as `weights_status`.
    """
    documents = []
    for family in families:
        facts = _plain(family)
        checkpoints = [
            {name: inner[name] for name in _PROMISED_OF_CHECKPOINT} | {"status": str(status(c))} | inner
            for inner, c in zip(facts.pop("checkpoints"), family.checkpoints, strict=True)
        ]
        promised = {name: facts[name] for name in _PROMISED_OF_FAMILY}
        documents.append(promised | {"checkpoints": checkpoints} | facts)
    return {"families": documents}


def _plain(entry: Family) -> dict[str, Any]:
    return asdict(entry, dict_factory=lambda items: {k: list(v) if isinstance(v, tuple) else v for k, v in items})


# --- reading the files --------------------------------------------------------------------------------------


TABLES: Final[dict[str, type[Family | Checkpoint | Paper | SeedEntry | Link]]] = {
    "family": Family,
    "family.papers": Paper,
    "family.seed": SeedEntry,
    "family.seed.models": Link,
    "family.seed.papers": Link,
    "family.checkpoint": Checkpoint,
}
"""What each table of a catalogue file becomes."""


@cache
def keys_of(table: str) -> dict[str, str]:
    """Return the keys that the table called `table` may have in a file, with the names of their fields."""
    return {known.metadata.get("alias", known.name): known.name for known in fields(TABLES[table])}


def family_of(table: dict[str, Any]) -> Family:
    """Return what `table`, a valid `[[family]]` of a catalogue file, says."""
    checkpoints = [checkpoint | {"family": table["id"]} for checkpoint in table.get("checkpoint", ())]
    family: Family = _entry("family", table | {"checkpoint": checkpoints})
    return family


def _entry(name: str, table: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the types in TABLES
    names = keys_of(name)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, list):
            inner = [_entry(f"{name}.{key}", item) if isinstance(item, dict) else item for item in value]
            values[names[key]] = tuple(inner)
        elif isinstance(value, dict):
            values[names[key]] = _entry(f"{name}.{key}", value)
        else:
            values[names[key]] = value
    return TABLES[name](**values)


def bundled_text() -> str:
    """Return the text of the bundled catalogue."""
    # importlib.resources would do the same, but costs 6 ms to import.
    data = pkgutil.get_data("visexplore.assets", "catalogue.toml")
    assert data is not None
    return data.decode()


def load_catalogue(user_file: Path | None = None) -> Catalogue:
    """Return the bundled catalogue, with the user's own entries added where `user_file` exists.

    The user's file has the fields of the bundled one. It may add families, or checkpoints to a known family
    by repeating the family's `id` with nothing but checkpoints.

    Raises:
        CatalogueError: the user's file cannot be read or does not follow the schema.
    """
    catalogue = Catalogue(tuple(family_of(table) for table in tomllib.loads(bundled_text())["family"]))
    if user_file is None:
        return catalogue
    try:
        text = user_file.read_text("utf-8")
    except FileNotFoundError:
        return catalogue
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{user_file} cannot be read as UTF-8 text", "Check the file and its rights.") from error
    from visexplore.core.catalogue_file import add_file  # imports pydantic

    return add_file(catalogue, str(user_file), text)
