"""Checkpoint -> encoder: one module for each loading library."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from visexplore.core.catalogue import LOADERS_READY, Checkpoint, default_hub_cache
from visexplore.core.encoders.device import check_precision, choose_device
from visexplore.core.encoders.encoder import Encoder
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import CannotLoadModel

NOT_FETCHED = "hub main"
"""The revision of weights of a hub before they are on this machine."""

__all__ = ["NOT_FETCHED", "Encoder", "Recipe", "load_encoder", "recipe_of"]


def recipe_of(checkpoint: Checkpoint, precision: str = "float32") -> Recipe:
    """Return the recipe under which `checkpoint` embeds images here, without loading anything.

    Raises:
        CannotLoadModel: no loader for it is part of this release.
        UserError: the precision is unknown.
    """
    if checkpoint.loader not in LOADERS_READY:
        raise CannotLoadModel(
            f"{checkpoint.slug} is loaded through {checkpoint.loader}, which this release cannot do yet",
            f"Models that run here now: visexplore models --here. Loaders: {', '.join(sorted(LOADERS_READY))}.",
        )
    return Recipe(
        checkpoint=checkpoint.key,
        revision=_revision(checkpoint),
        preprocessing="checkpoint",
        pooling="pre-logits",
        precision=check_precision(precision),
    )


def load_encoder(
    checkpoint: Checkpoint, *, device: str = "auto", precision: str = "float32", offline: bool = False
) -> Encoder:
    """Load `checkpoint` onto a device. Importing torch for it takes seconds.

    Raises:
        CannotLoadModel: no loader, no weights, or weights that do not fit.
        UnknownModel: the loading library does not know the name.
        UserError: the device or the precision does not exist here.
    """
    recipe = recipe_of(checkpoint, precision)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    # The hubs' libraries draw bars on stderr, which would be drawn into the screen.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from visexplore.core.encoders import timm_models

    encoder = timm_models.load(checkpoint, recipe, choose_device(device), offline=offline)
    encoder.recipe = recipe_of(checkpoint, precision)  # the revision is known for certain once the weights are here
    return encoder


def _revision(checkpoint: Checkpoint) -> str:
    """Name the version of the weights that are on disk: nothing is read but names, sizes and dates."""
    if checkpoint.package:
        return _package_revision(checkpoint.package)
    if checkpoint.folder:
        digest = hashlib.blake2b(digest_size=8)
        for file in sorted(Path(checkpoint.folder).iterdir()):
            if file.suffix in (".json", ".safetensors", ".bin", ".pth", ".pt"):
                facts = file.stat()
                digest.update(f"{file.name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return f"folder {digest.hexdigest()}"
    reference = default_hub_cache() / f"models--{checkpoint.hub_id.replace('/', '--')}" / "refs" / "main"
    try:
        return f"hub {reference.read_text().strip()}"
    except OSError:
        return NOT_FETCHED


@cache  # looking a version up takes milliseconds, and an installed package stays while the program runs
def _package_revision(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} missing"
