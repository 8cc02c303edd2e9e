"""Checkpoint -> encoder: one module for each loading library."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Collection
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from visexplore.core.catalogue import LIBRARIES, OUTSIDE, Checkpoint, WeightsStatus, weights_status
from visexplore.core.encoders.device import AUTO, check_precision, choose_device
from visexplore.core.encoders.encoder import Encoder, no_text_tower
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import CannotLoadModel, UserError
from visexplore.core.hub import snapshot

if TYPE_CHECKING:
    from visexplore.core.encoders.torch_encoder import TorchEncoder

NOT_FETCHED = "hub main"
"""The revision of weights of a hub before they are on this machine."""

STANDARD = "standard"
"""The pooling of a recipe that keeps what the family's field keeps; which one that is, the encoder says."""

_WITHOUT_WEIGHTS = ("baseline", "vectors")

__all__ = ["STANDARD", "Encoder", "Recipe", "check_library", "check_text_tower", "load_encoder", "locate", "recipe_of"]


def recipe_of(checkpoint: Checkpoint, precision: str = AUTO) -> Recipe:
    """Return the recipe under which `checkpoint` embeds images here, without loading anything.

    Raises:
        CannotLoadModel: its weights were never released.
        UserError: the precision is unknown.
    """
    if checkpoint.unreleased:
        raise CannotLoadModel(f"The weights of {checkpoint.slug} were never released: {checkpoint.unreleased}")
    return Recipe(
        checkpoint=checkpoint.weights,
        revision=_revision(checkpoint),
        preprocessing="checkpoint",
        pooling=checkpoint.pooling_choice or STANDARD,
        precision="float32" if checkpoint.loader in _WITHOUT_WEIGHTS else check_precision(precision),
    )


def locate(checkpoint: Checkpoint) -> Checkpoint:
    """Return `checkpoint` with what only its loading library knows of an id outside the catalogue: the repository.

    The library is imported for such ids alone.

    Raises:
        UnknownModel: the library does not know the name.
        CannotLoadModel: its weights are on no hub.
    """
    if checkpoint.folder or checkpoint.package or checkpoint.family != OUTSIDE or checkpoint.loader in _WITHOUT_WEIGHTS:
        return checkpoint
    if checkpoint.loader == "timm" and ("." not in checkpoint.id or not snapshot(checkpoint)):
        from visexplore.core.encoders import timm_models

        return timm_models.locate(checkpoint)
    if checkpoint.loader == "open_clip" and not checkpoint.hub_id:
        from visexplore.core.encoders import open_clip_models

        return open_clip_models.locate(checkpoint)
    return checkpoint


def check_library(checkpoint: Checkpoint) -> None:
    """Refuse what cannot be loaded for want of a library, before its weights are fetched.

    Raises:
        CannotLoadModel: the library of an optional extra is not installed.
    """
    library = LIBRARIES[checkpoint.loader]
    if importlib.util.find_spec(library) is None:
        raise CannotLoadModel(
            f"{checkpoint.slug} needs {library}, which is not installed",
            "Install it: uv pip install 'visexplore[diffusion]', or in a clone: uv sync --extra diffusion.",
        )


def check_text_tower(checkpoint: Checkpoint) -> None:
    """Refuse a text query that is known to be of no use before anything is loaded.

    Raises:
        NoTextTower: the catalogue says that the model embeds images only, or not so that texts can be compared.
    """
    if checkpoint.pooling_choice not in ("", "projected"):
        raise no_text_tower(checkpoint, f"its '{checkpoint.pooling_choice}' vectors share no space with texts")
    if checkpoint.family != OUTSIDE and not checkpoint.has_text_tower:
        raise no_text_tower(checkpoint)


def load_encoder(
    checkpoint: Checkpoint,
    *,
    device: str = "auto",
    precision: str = AUTO,
    trusted_code: Collection[str] = (),
) -> Encoder:
    """Load `checkpoint` from this machine onto a device; nothing is fetched. Importing torch for it takes seconds.

    Args:
        checkpoint: what to load.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: a name that `check_precision` knows; `auto` takes half precision on a GPU where a probe allows it.
        trusted_code: hub repositories, and absolute paths of local folders, whose own Python code may run.

    Raises:
        CannotLoadModel: the weights are not here, do not fit, or need code that is not trusted.
        UnknownModel: the loading library does not know the name.
        UserError: the device, the precision or the pooling does not exist here.
    """
    recipe = recipe_of(checkpoint, precision)
    if checkpoint.loader == "vectors":
        raise CannotLoadModel(
            f"{checkpoint.slug} is a file of vectors: it can embed nothing further",
            "Search with an image that the file has a vector of.",
        )
    if checkpoint.loader == "baseline":
        from visexplore.core.encoders import baselines

        baseline = baselines.load(checkpoint)
        baseline.recipe = recipe
        return baseline
    _keep_off_the_hub()
    place = _place(checkpoint)
    on = choose_device(device)
    trusted = (checkpoint.hub_id or checkpoint.folder) in trusted_code

    def load(in_precision: str) -> TorchEncoder:
        # Each module imports its library, which takes seconds: only the one that is needed.
        if checkpoint.loader == "timm":
            from visexplore.core.encoders import timm_models

            return timm_models.load(checkpoint, place, on, in_precision)
        if place is None:
            raise CannotLoadModel(
                f"The package {checkpoint.package} cannot hold the weights of {checkpoint.slug}: only timm's come so",
                "Take `package` out of its entry in models.toml.",
            )
        match checkpoint.loader:
            case "transformers":
                from visexplore.core.encoders import transformers_models

                return transformers_models.load(checkpoint, place, on, in_precision, trust_remote_code=trusted)
            case "open_clip":
                from visexplore.core.encoders import open_clip_models

                return open_clip_models.load(checkpoint, place, on, in_precision)
            case "diffusers":
                from visexplore.core.encoders import diffusion

                return diffusion.load(checkpoint, place, on, in_precision)
            case "internimage":
                from visexplore.core.encoders import intern_image_models

                return intern_image_models.load(checkpoint, place, on, in_precision)
            case without_weights:
                raise NotImplementedError(f"{without_weights} has no weights to load")

    from visexplore.core.encoders.precision import load_checked

    encoder = load_checked(load, on, recipe.precision)
    encoder.recipe = recipe
    return encoder


def _keep_off_the_hub() -> None:
    """Have the loading libraries read local files only, draw no bars, and start no thread that asks a hub."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # they would be drawn into the screen
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"


def _place(checkpoint: Checkpoint) -> Path | None:
    """Return the folder or file of the weights on this machine; None where a package carries them.

    Raises:
        CannotLoadModel: they are not here.
    """
    if checkpoint.folder:
        return Path(checkpoint.folder).expanduser()
    if weights_status(checkpoint) is WeightsStatus.BUNDLED:
        return None
    place = snapshot(checkpoint)
    if place is None:
        size = f" ({checkpoint.weights_mb:,.0f} MB)" if checkpoint.weights_mb else ""
        raise CannotLoadModel(
            f"The weights of {checkpoint.slug} are not on this machine",
            f"Fetch them{size}: visexplore models fetch {checkpoint.slug}",
        )
    return place


def _revision(checkpoint: Checkpoint) -> str:
    """Name the version of the weights that are on disk: nothing is read but names, sizes and dates."""
    if checkpoint.loader == "baseline":
        from visexplore.core.encoders.baselines import VERSION

        return f"baseline {VERSION}"
    if checkpoint.loader == "vectors":
        return f"file {_listing_digest(Path(checkpoint.id))}"
    if checkpoint.package and (revision := _package_revision(checkpoint.package)):
        return revision
    if checkpoint.folder:
        return f"folder {_listing_digest(Path(checkpoint.folder).expanduser())}"
    fetched = snapshot(checkpoint)
    return f"hub {fetched.name}" if fetched else NOT_FETCHED


def _listing_digest(place: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    try:
        # A pipeline of diffusers has its parts in folders.
        for file in sorted([*place.glob("*"), *place.glob("*/*")]) if place.is_dir() else [place]:
            if file == place or file.suffix in (".json", ".safetensors", ".bin", ".pth", ".pt"):
                facts = file.stat()
                digest.update(f"{file.relative_to(place)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror})", "Check the path and its rights.") from error
    return digest.hexdigest()


@cache  # looking a version up takes milliseconds, and an installed package stays while the program runs
def _package_revision(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
