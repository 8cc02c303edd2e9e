"""Encoders from diffusers: the autoencoder of Stable Diffusion, and what its UNet computes halfway.

Neither was trained to tell pictures apart, so both vectors are constructed from parts that were trained to draw.
"""

from __future__ import annotations

import contextlib
import json
import logging
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch.nn.functional import adaptive_avg_pool2d

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Pixels, no_text_tower
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.torch_encoder import TorchEncoder
from visexplore.core.errors import CannotLoadModel

TIMESTEP = 261
"""How far the latent is noised, of 1,000 steps: what DIFT takes for semantic correspondence (arXiv 2306.03881)."""

NOISE_SEED = 0
"""Of the one noise that every picture gets."""

_AUTOENCODER_SIDE = 256
_GRID = 8  # the latent map is averaged to this many rows and columns
_UNET_LATENT_SIDE = 64  # Stable Diffusion 1's, for a config that does not say
_MEAN = _STD = (0.5, 0.5, 0.5)  # pixels between -1 and 1

_UNUSED_IN_AUTOENCODER = ("decoder.", "post_quant_conv.")
_UNUSED_IN_UNET = ("up_blocks.", "conv_norm_out.", "conv_out.")


class _DiffusionEncoder(TorchEncoder):
    """What both have in common: a square picture, squashed with diffusers' own filter, and no texts."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tower: torch.nn.Module,
        *,
        side: int,
        dim: int,
        device: str,
        precision: str,
        vector: dict[str, Any],
    ) -> None:
        from diffusers.image_processor import VaeImageProcessor

        self._side = side
        self._processor = VaeImageProcessor()
        super().__init__(
            checkpoint, tower, device=device, precision=precision, dim=dim, mean=_MEAN, std=_STD,
            preprocessing={"size": side, "resample": self._processor.config.resample, "mean": _MEAN, "std": _STD}
            | vector,
        )  # fmt: skip
        if device == "cpu":
            # The autoencoder's first layers are as large as the picture: 34 MB each in float32 for 256 x 256.
            self.batch_size = 1

    def preprocess(self, image: Image) -> Pixels:
        """Squash as diffusers does: uint8 (3, side, side)."""
        squashed: Any = self._processor.resize(image, self._side, self._side)
        return np.ascontiguousarray(np.asarray(squashed).transpose(2, 0, 1))

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Refuse.

        Raises:
            NoTextTower: always.
        """
        raise no_text_tower(self.checkpoint, "its text encoder steers drawing and shares no space with its images")


class AutoencoderEncoder(_DiffusionEncoder):
    """The latent of Stable Diffusion's autoencoder, averaged to 8 x 8: (channels * 64), 256 for four channels."""

    def __init__(self, checkpoint: Checkpoint, autoencoder: Any, device: str, precision: str) -> None:  # noqa: ANN401
        in_float32 = _overflows(autoencoder, precision)
        super().__init__(
            checkpoint,
            autoencoder,
            side=_AUTOENCODER_SIDE,
            dim=autoencoder.config.latent_channels * _GRID**2,
            device=device,
            precision="float32" if in_float32 else precision,
            vector={"layer": "latent", "grid": _GRID},
        )
        self.remarks = ("Its vector is constructed from a latent made for drawing: it follows colour and layout.",)
        if in_float32:
            self.remarks += ("It runs in float32: in float16 such an autoencoder can overflow.",)

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return the averaged latent as the standard vector, and the whole latent map as patches."""
        latent = _latent(self.tower, images)
        return Outputs(adaptive_avg_pool2d(latent, _GRID).flatten(1), patches=flatten_map(latent))


class UNetEncoder(_DiffusionEncoder):
    """The middle block of Stable Diffusion's UNet for a noised picture and an empty prompt, averaged over space.

    Every picture gets the same noise, drawn on the CPU: neither the batch nor the device changes a vector.

    Args:
        checkpoint: its catalogue entry.
        parts: autoencoder, UNet, scheduler and text states.
        device: torch's name of it.
        precision: torch's name of the dtype.
    """

    def __init__(self, checkpoint: Checkpoint, parts: _Parts, device: str, precision: str) -> None:
        autoencoder, unet = parts.autoencoder, parts.unet
        latent_side = unet.config.sample_size if isinstance(unet.config.sample_size, int) else _UNET_LATENT_SIDE
        super().__init__(
            checkpoint,
            torch.nn.ModuleDict({"autoencoder": autoencoder, "unet": unet}),
            side=latent_side * 2 ** (len(autoencoder.config.block_out_channels) - 1),
            dim=unet.config.block_out_channels[-1],
            device=device,
            precision=precision,
            vector={"layer": "mid_block", "timestep": TIMESTEP, "noise": NOISE_SEED, "prompt": ""},
        )
        self.remarks = (
            f"Its vector is constructed: what its UNet computes halfway, at timestep {TIMESTEP} and for an empty "
            "prompt.",
        )
        if _overflows(autoencoder, precision):
            autoencoder.float()
            self.remarks += ("Its autoencoder runs in float32: in float16 it can overflow.",)
        self._autoencoder, self._unet, self._scheduler = autoencoder, unet, parts.scheduler
        shape = (1, autoencoder.config.latent_channels, latent_side, latent_side)
        self._noise = torch.randn(shape, generator=torch.Generator().manual_seed(NOISE_SEED)).to(device)
        self._timestep = torch.tensor([TIMESTEP], device=device)
        self._text_states = parts.text_states.to(device, self._dtype)
        # A picture of 512 x 512 keeps all cores busy, and one for each core would take a gigabyte each.
        self.parallel_batches = 1

    def prepare_thread(self) -> None:
        """Give the one batch that there is at a time all cores; torch remembers what another encoder took."""
        if self.device == "cpu":
            torch.set_num_threads(usable_cores())

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return the mean of the middle block's map, and the map as patches."""
        latent = _latent(self._autoencoder, images)
        noised = self._scheduler.add_noise(latent, self._noise, self._timestep).to(self._dtype)
        states = self._text_states.expand(len(images), -1, -1)
        features: torch.Tensor = self._unet(noised, self._timestep, encoder_hidden_states=states).sample
        return Outputs(features.float().mean((2, 3)), patches=flatten_map(features))


def _latent(autoencoder: Any, images: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - of a class of diffusers
    """Return the mean of the latent's distribution, scaled as the UNet takes it: float32 (n, channels, h, w).

    As diffusers' pipelines do: `(latent - shift_factor) * scaling_factor`; Stable Diffusion has no shift.
    """
    config = autoencoder.config
    mean: torch.Tensor = autoencoder.encode(images.to(autoencoder.dtype)).latent_dist.mean
    scaled: torch.Tensor = (mean.float() - (config.shift_factor or 0)) * config.scaling_factor
    return scaled


def _overflows(autoencoder: Any, precision: str) -> bool:  # noqa: ANN401
    """Whether diffusers would compute this autoencoder in float32 although float16 is asked for (`force_upcast`)."""
    return precision == "float16" and bool(autoencoder.config.force_upcast)


# ---- loading


def load(checkpoint: Checkpoint, place: Path | None, device: str, precision: str) -> AutoencoderEncoder | UNetEncoder:
    """Load one of the two encoders onto `device`: only what embeds images stays, there and in memory.

    Args:
        checkpoint: its entry; `subfolder` or the end of the id says which: `:vae` or `:unet`. Otherwise it is `vae`.
        place: folder of a pipeline as diffusers writes it (`vae/`, `unet/`, ...); for the VAE also its own folder.
        device: torch's name of it.
        precision: torch's name of the dtype.

    Raises:
        CannotLoadModel: diffusers is not installed, or a part is missing, damaged, or of another kind.
    """
    _require_diffusers(checkpoint)
    if place is None:
        raise CannotLoadModel(
            f"{checkpoint.slug} is nowhere to be loaded from: no package carries models of diffusers",
            "Give its entry the hub_id of a pipeline.",
        )
    if _wants_unet(checkpoint):
        return UNetEncoder(checkpoint, _unet_and_what_it_needs(checkpoint, place), device, precision)
    return AutoencoderEncoder(checkpoint, _autoencoder(checkpoint, place), device, precision)


def _wants_unet(checkpoint: Checkpoint) -> bool:
    return "unet" in (checkpoint.subfolder, checkpoint.id.rpartition(":")[2])


def _require_diffusers(checkpoint: Checkpoint) -> None:
    try:
        import diffusers
        from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel  # noqa: F401 - it imports lazily
    except (ImportError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "diffusers":
            raise CannotLoadModel(
                f"{checkpoint.slug} needs diffusers, which is not installed",
                "Install it: uv pip install 'visexplore[diffusion]', or in a clone: uv sync --extra diffusion",
            ) from error
        raise CannotLoadModel(
            f"{checkpoint.slug} needs diffusers, which cannot be imported ({_in_one_line(error)})",
            "Install it anew: uv pip install --upgrade diffusers",
        ) from error
    from transformers.utils import logging as transformers_logging

    # Even what they log as an error is either tried in another way or raised as well.
    library: Any
    for library in (diffusers.utils.logging, transformers_logging):
        library.set_verbosity(logging.CRITICAL)
        library.disable_progress_bar()


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What it takes to noise a picture and to run the UNet halfway.

    Attributes:
        autoencoder: diffusers' `AutoencoderKL` without its decoder.
        unet: diffusers' `UNet2DConditionModel`, whose output is that of its middle block.
        scheduler: diffusers' `DDPMScheduler`.
        text_states: of the empty prompt, float32 (1, tokens, width).
    """

    autoencoder: Any
    unet: Any
    scheduler: Any
    text_states: torch.Tensor


def _autoencoder(checkpoint: Checkpoint, place: Path) -> Any:  # noqa: ANN401
    from diffusers import AutoencoderKL

    folder = place if (place / "config.json").is_file() else place / "vae"
    autoencoder = _model(checkpoint, AutoencoderKL, folder, _UNUSED_IN_AUTOENCODER)
    autoencoder.decoder = autoencoder.post_quant_conv = torch.nn.Identity()
    return autoencoder


def _unet_and_what_it_needs(checkpoint: Checkpoint, place: Path) -> _Parts:
    from diffusers import DDPMScheduler, UNet2DConditionModel

    autoencoder = _autoencoder(checkpoint, place)
    text_states = _states_of_no_text(checkpoint, place)
    _config(checkpoint, place / "scheduler" / "scheduler_config.json")
    with _told_in_one_sentence(checkpoint, place / "scheduler"):
        kind: Any = DDPMScheduler
        scheduler = kind.from_pretrained(str(place / "scheduler"), local_files_only=True)
    unet: Any = _model(checkpoint, UNet2DConditionModel, place / "unet", _UNUSED_IN_UNET)
    if why := _misfit(autoencoder.config, unet.config, text_states.shape[-1], len(scheduler.betas)):
        raise CannotLoadModel(
            f"{checkpoint.slug} cannot be made into an encoder: {why}",
            "Text-to-image pipelines of Stable Diffusion 1 and 2 can.",
        )
    # With nothing behind the middle block, the UNet's own forward returns what that block puts out.
    unet.up_blocks, unet.conv_norm_out, unet.conv_out = torch.nn.ModuleList(), None, torch.nn.Identity()
    return _Parts(autoencoder, unet, scheduler, text_states)


def _misfit(autoencoder: Any, unet: Any, text_width: int, steps: int) -> str:  # noqa: ANN401 - configs of diffusers
    """Say why parts of these configs cannot be put together; empty if they can."""
    if unet.in_channels != autoencoder.latent_channels:
        return f"its UNet takes {unet.in_channels} channels, and its latent has {autoencoder.latent_channels}"
    if any((unet.addition_embed_type, unet.class_embed_type, unet.num_class_embeds, unet.encoder_hid_dim_type)):
        return "its UNet takes more than a latent, a timestep and a prompt"
    if unet.cross_attention_dim != text_width:
        return f"its UNet takes text states {unet.cross_attention_dim} wide, and its text encoder's are {text_width}"
    if unet.mid_block_type is None:
        return "its UNet has no middle block"
    if steps <= TIMESTEP:
        return f"it was trained with {steps} steps of noise, too few for timestep {TIMESTEP}"
    return ""


def _states_of_no_text(checkpoint: Checkpoint, place: Path) -> torch.Tensor:
    """Return the text encoder's states of the empty prompt, padded as in diffusers' pipelines: (1, tokens, width)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    _config(checkpoint, place / "tokenizer" / "tokenizer_config.json")
    with _told_in_one_sentence(checkpoint, place / "tokenizer"):
        tokenizer = CLIPTokenizer.from_pretrained(str(place / "tokenizer"), local_files_only=True)
        tokens = tokenizer("", padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    text_encoder = _model(checkpoint, CLIPTextModel, place / "text_encoder", (), dtype=torch.float32)
    with torch.inference_mode(), _told_in_one_sentence(checkpoint, place / "text_encoder"):
        states: torch.Tensor = text_encoder(tokens.input_ids).last_hidden_state
    return states


def _model(checkpoint: Checkpoint, kind: Any, folder: Path, unused: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401
    """Load a part in float32; weights that are missing are an error, except those whose names start with `unused`."""
    config = _config(checkpoint, folder / "config.json")
    found = config.get("_class_name", kind.__name__)
    if found != kind.__name__:
        raise CannotLoadModel(
            f"{folder} holds a part of the class {found}, and {checkpoint.slug} needs {kind.__name__}",
            "Give the folder of a whole pipeline, which has a model_index.json, or of its VAE.",
        )
    if kind.__module__.startswith("diffusers"):
        options["low_cpu_mem_usage"] = False  # or what it does, and says, depends on whether accelerate is installed
    with _told_in_one_sentence(checkpoint, folder):
        model, report = kind.from_pretrained(str(folder), local_files_only=True, output_loading_info=True, **options)
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(unused))
    if missing:
        raise CannotLoadModel(
            f"The weights in {folder} lack {len(missing)} tensors that {kind.__name__} needs, such as {missing[0]}",
            _fetch_again(checkpoint, folder),
        )
    return model


def _config(checkpoint: Checkpoint, file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it holds no table")
    except FileNotFoundError as error:
        raise CannotLoadModel(
            f"{checkpoint.slug} cannot be loaded: there is no {file}",
            "Fetch it: visexplore models fetch " + checkpoint.slug
            if not checkpoint.folder
            else "It has to be a folder that diffusers wrote: PIPELINE.save_pretrained(FOLDER).",
        ) from error
    except (OSError, ValueError) as error:
        raise CannotLoadModel(
            f"{file} cannot be read ({_in_one_line(error)})", _fetch_again(checkpoint, file.parent)
        ) from error
    return config


@contextlib.contextmanager
def _told_in_one_sentence(checkpoint: Checkpoint, folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise CannotLoadModel(
            f"What is in {folder} cannot be loaded ({_in_one_line(error)})", _fetch_again(checkpoint, folder)
        ) from error


def _fetch_again(checkpoint: Checkpoint, folder: Path) -> str:
    if checkpoint.folder:
        return "If it is damaged: save it again."
    return f"If it is damaged: delete {folder} and run visexplore models fetch {checkpoint.slug}"


def _in_one_line(error: Exception) -> str:
    return textwrap.shorten(str(error), 200, placeholder=" ...").rstrip(".") or type(error).__name__
