"""Every number of the catalogue against the libraries that load the checkpoint.

Networks are built on PyTorch's meta device: all layers and shapes, no memory and no weights. What the libraries do not
know themselves, because it lies on the hub, is in `published_configs`.

The libraries are imported by the tests: while the tests are collected, nothing keeps them off the network yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from math import floor
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from tests.core.published_configs import CONFIGS, DIFFUSION, LENGTHS, PREPROCESSORS
from visexplore.core.catalogue import Checkpoint, Loader, load_catalogue

pytestmark = pytest.mark.slow

CHECKPOINTS = load_catalogue().checkpoints

Model = Any
Pixels = npt.NDArray[np.floating[Any]]


def listed(*loaders: Loader) -> pytest.MarkDecorator:
    """Run a test once for every checkpoint of these loaders."""
    chosen = [pytest.param(c, id=c.slug) for c in CHECKPOINTS if c.loader in loaders]
    return pytest.mark.parametrize("checkpoint", chosen)


def millions(*models: Model) -> float:
    count: int = sum(parameter.numel() for model in models for parameter in model.parameters())
    return count / 1e6


def rounded(exact: float) -> Any:
    """Equal to every number that is `exact` rounded to two decimals."""
    return pytest.approx(exact, abs=0.0051)


def meta_pictures(side: int) -> torch.Tensor:
    return torch.empty(1, 3, side, side, device="meta")


def side_of(checkpoint: Checkpoint) -> int:
    assert checkpoint.input_size
    return checkpoint.input_size


# --- how a picture gets its size ----------------------------------------------------------------------------

WIDTH, HEIGHT = 640, 480


@cache
def ramp() -> Image.Image:
    """A picture whose red grows from left to right and green from top to bottom, so that pixels tell where they were.

    The grey of both is (position + 0.5) / length, so any linear resampling leaves a line with the slope 1 / new length.
    """
    pixels = np.full((HEIGHT, WIDTH, 3), 128.0)
    pixels[..., 0] = (np.arange(WIDTH) + 0.5)[None] / WIDTH * 255
    pixels[..., 1] = (np.arange(HEIGHT) + 0.5)[:, None] / HEIGHT * 255
    return Image.fromarray(pixels.round().astype(np.uint8))


def resized_to(pixels: Pixels) -> tuple[float, float]:
    """Return the width and height that the ramp had before a crop from its centre: RGB in 0 to 1, (3, h, w)."""
    lengths = []
    for line in (pixels[0].mean(0), pixels[1].mean(1)):
        positions = np.arange(len(line)) - (len(line) - 1) / 2
        inside = slice(len(line) // 10, len(line) * 9 // 10)  # filters bend the ends
        slope, middle = np.polyfit(positions[inside], line[inside], 1)
        assert middle == pytest.approx(0.5, abs=0.004), "the crop is not from the centre, or mean and std are others"
        lengths.append(1 / slope)
    return lengths[0], lengths[1]


def listed_resize(checkpoint: Checkpoint) -> tuple[float, float]:
    """Return the width and height that the ramp gets by what `resize` says."""
    side = side_of(checkpoint)
    if found := re.match(r"squash to (size x size|(\d+)x\2)", checkpoint.resize):
        squashed = int(found[2] or side)
        return squashed, squashed
    found = re.match(r"shortest edge (to size(/([\d.]+))?|(\d+)),", checkpoint.resize)
    assert found, checkpoint.resize
    short = int(found[4]) if found[4] else floor(side / float(found[3] or 1))
    return short * WIDTH / HEIGHT, short


def check_geometry(checkpoint: Checkpoint, normalised: Pixels) -> None:
    """Compare what a library made of the ramp with `resize`, `input_size`, `mean` and `std` of the catalogue."""
    side = side_of(checkpoint)
    mean, std = (np.array(values)[:, None, None] for values in (checkpoint.mean, checkpoint.std))
    pixels = normalised * std + mean
    if checkpoint.slug == "dalle-dvae":
        pixels = (pixels - 0.1) / 0.8
    cropped = (side * WIDTH // HEIGHT if "multiples of 32" in checkpoint.resize else side, side)
    assert (pixels.shape[2], pixels.shape[1]) == cropped
    assert resized_to(pixels) == pytest.approx(listed_resize(checkpoint), rel=0.008)


# --- timm ---------------------------------------------------------------------------------------------------


@cache
def with_timm_weights() -> frozenset[str]:
    import timm

    return frozenset(timm.list_pretrained())


def timm_entry(name: str) -> Model:
    """Return what timm knows about the weights of that name."""
    import timm

    return timm.get_pretrained_cfg(name)


@cache
def timm_network(name: str) -> tuple[Model, float]:
    """Return the network without its classifier, and how many millions of parameters it had with it."""
    import timm

    with torch.device("meta"):
        network: Model = timm.create_model(name, pretrained=False).eval()
        published = millions(network)
        network.reset_classifier(0)
    return network, published


@listed("timm")
def test_timm_has_weights_of_that_name_in_the_listed_repository(checkpoint: Checkpoint) -> None:
    assert checkpoint.id in with_timm_weights()
    assert timm_entry(checkpoint.id).hf_hub_id == checkpoint.hub_id


@listed("timm")
def test_timm_prepares_a_picture_as_listed(checkpoint: Checkpoint) -> None:
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    side = side_of(checkpoint)
    config: Any = resolve_model_data_config(timm_network(checkpoint.id)[0])  # type: ignore[no-untyped-call]
    assert config["input_size"] == (3, side, side)
    assert (config["mean"], config["std"]) == (checkpoint.mean, checkpoint.std)
    assert (config["interpolation"], config["crop_pct"]) == (checkpoint.interpolation, checkpoint.crop_pct)
    transform: Any = create_transform(**config, is_training=False)
    check_geometry(checkpoint, transform(ramp()).numpy())


@listed("timm")
def test_timm_builds_a_network_of_the_listed_size(checkpoint: Checkpoint) -> None:
    network, published = timm_network(checkpoint.id)
    assert type(network).__name__ == checkpoint.model_class
    assert checkpoint.parameters_m == rounded(published)
    assert checkpoint.image_tower_parameters_m == rounded(millions(network))


@listed("timm")
def test_timm_gives_embeddings_of_the_listed_length(checkpoint: Checkpoint) -> None:
    network, _ = timm_network(checkpoint.id)
    with torch.device("meta"), torch.inference_mode():
        embedding = network(meta_pictures(side_of(checkpoint)))
    assert embedding.shape == (1, checkpoint.dim)
    assert network.head_hidden_size == checkpoint.dim


@listed("timm")
def test_the_licence_is_timms_where_the_catalogue_says_so(checkpoint: Checkpoint) -> None:
    if checkpoint.licence_note.startswith("timm's model entry"):
        assert timm_entry(checkpoint.id).license == checkpoint.licence.lower()
    else:
        assert checkpoint.hub_id.startswith("microsoft/Florence-2")


# --- open_clip ----------------------------------------------------------------------------------------------


@cache
def open_clip_network(architecture: str) -> Model:
    import open_clip

    with torch.device("meta"):  # without it, timm's towers are first filled with random numbers
        return open_clip.create_model(architecture, device="meta").eval()


@listed("open_clip")
def test_open_clip_has_weights_of_that_name_in_the_listed_repository(checkpoint: Checkpoint) -> None:
    import open_clip

    architecture, tag = checkpoint.id.split("/")
    assert (architecture, tag) in open_clip.list_pretrained()
    assert open_clip.get_pretrained_cfg(architecture, tag)["hf_hub"].rstrip("/") == checkpoint.hub_id


@listed("open_clip")
def test_open_clip_prepares_a_picture_as_listed(checkpoint: Checkpoint) -> None:
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    architecture, tag = checkpoint.id.split("/")
    side = side_of(checkpoint)
    pretrained = open_clip.get_pretrained_cfg(architecture, tag)
    settings = open_clip_network(architecture).visual.preprocess_cfg | {
        name: pretrained[name] for name in ("mean", "std", "interpolation", "resize_mode")
    }
    assert settings["size"] == (side, side)
    assert (settings["mean"], settings["std"]) == (checkpoint.mean, checkpoint.std)
    assert settings["interpolation"] == checkpoint.interpolation
    transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    check_geometry(checkpoint, transform(ramp()).numpy())


@listed("open_clip")
def test_open_clip_builds_a_network_of_the_listed_size(checkpoint: Checkpoint) -> None:
    network = open_clip_network(checkpoint.id.split("/")[0])
    assert type(network).__name__ == checkpoint.model_class.split()[0]
    assert checkpoint.parameters_m == rounded(millions(network))
    assert checkpoint.image_tower_parameters_m == rounded(millions(network.visual))


@listed("open_clip")
def test_open_clip_embeds_pictures_and_texts_in_one_space_of_the_listed_length(checkpoint: Checkpoint) -> None:
    network = open_clip_network(checkpoint.id.split("/")[0])
    with torch.device("meta"), torch.inference_mode():
        picture = network.encode_image(meta_pictures(side_of(checkpoint)))
        text = network.encode_text(torch.zeros(1, network.context_length, dtype=torch.long))
    assert picture.shape == (1, checkpoint.dim)
    assert text.shape == (1, checkpoint.text_dim)


# --- transformers -------------------------------------------------------------------------------------------

RENAMED = {"ALIGNModel": "AlignModel"}  # the file was written before the class got its final name


@cache
def hub_config(hub_id: str) -> Model:
    import transformers

    settings = dict(CONFIGS[hub_id])
    return transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)


@cache
def published_network(hub_id: str) -> Model:
    """Return what the weights file holds, heads included."""
    import transformers

    [name] = CONFIGS[hub_id]["architectures"]
    with torch.device("meta"):
        return getattr(transformers, RENAMED.get(name, name))(hub_config(hub_id)).eval()


def listed_network(checkpoint: Checkpoint) -> Model:
    """Return the part of it that is of `model_class`."""
    name = checkpoint.model_class.split()[0]
    published = published_network(checkpoint.hub_id)
    network = published if type(published).__name__ == name else published.base_model
    assert type(network).__name__ == name
    return network


def published_millions(hub_id: str) -> float:
    network = published_network(hub_id)
    if CONFIGS[hub_id].get("tie_word_embeddings", True):
        return millions(network)
    # transformers shares the word embeddings all the same; the file has them twice.
    return sum(millions(part) for part in network.children())


def of_clip(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network.get_image_features(pixel_values=pixels).pooler_output)


def of_vit(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network(pixels).last_hidden_state[:, 0])


def of_pooler(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network(pixels).pooler_output)


def of_beit(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    outputs = network(pixels)
    if network.config.use_mask_token:  # never fine-tuned: the norm of the pooler is not in the file
        return cast(torch.Tensor, outputs.last_hidden_state[:, 1:].mean(1))
    return cast(torch.Tensor, outputs.pooler_output)


def of_flava(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return of_clip(network, pixels)[:, 0]


def of_deit(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network(pixels).last_hidden_state[:, :2].mean(1))


def of_encoder(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return of_vit(network.encoder, pixels)


def of_codebook(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network.get_codebook_probs(pixels).mean((2, 3)).sqrt())


def of_florence(network: Model, pixels: torch.Tensor) -> torch.Tensor:
    return cast(torch.Tensor, network.model.vision_tower(pixels).last_hidden_state.mean((2, 3)))


EMBEDDING: dict[str, Callable[[Model, torch.Tensor], torch.Tensor]] = {
    "CLIPModel": of_clip,
    "ViTModel": of_vit,
    "ConvNextModel": of_pooler,
    "BeitModel": of_beit,
    "Swinv2Model": of_pooler,
    "FlavaModel": of_flava,
    "DeiTModel": of_deit,
    "AlignModel": of_clip,
    "VisionEncoderDecoderModel": of_encoder,
    "FlavaImageCodebook": of_codebook,
    "Florence2ForConditionalGeneration": of_florence,
}
"""The embedding that `pooling` describes, by the class of `model_class`."""


def needed_millions(network: Model, output: torch.Tensor) -> float:
    """Return how many parameters `output` depends on: those that get a gradient."""
    output.sum().backward()  # type: ignore[no-untyped-call]
    needed: int = sum(parameter.numel() for parameter in network.parameters() if parameter.grad is not None)
    network.zero_grad()
    return needed / 1e6


@listed("transformers")
def test_transformers_builds_a_network_of_the_published_size(checkpoint: Checkpoint) -> None:
    assert checkpoint.hub_id == checkpoint.id
    assert checkpoint.parameters_m == rounded(published_millions(checkpoint.hub_id))


@listed("transformers")
def test_transformers_gives_embeddings_of_the_listed_length_from_the_listed_tower(checkpoint: Checkpoint) -> None:
    network = listed_network(checkpoint)
    name = type(network).__name__
    if name == "ViltModel":  # it picks patches by their values, which meta tensors lack
        assert network.config.hidden_size == checkpoint.dim
        assert checkpoint.image_tower_parameters_m == rounded(millions(network) - millions(network.pooler))
        return
    network.requires_grad_(True)  # the codebook is frozen
    embedding = EMBEDDING[name](network, meta_pictures(side_of(checkpoint)))
    assert embedding.shape == (1, checkpoint.dim)
    assert checkpoint.image_tower_parameters_m == rounded(needed_millions(network, embedding))


@listed("transformers")
def test_transformers_has_a_text_tower_where_listed_and_of_the_listed_length(checkpoint: Checkpoint) -> None:
    network = listed_network(checkpoint)
    assert hasattr(network, "get_text_features") == checkpoint.has_text_tower
    if checkpoint.has_text_tower:
        assert network.text_projection.out_features == checkpoint.text_dim == checkpoint.dim


@listed("transformers")
def test_transformers_prepares_a_picture_as_listed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import transformers

    config, preprocessor = CONFIGS[checkpoint.hub_id], PREPROCESSORS[checkpoint.hub_id]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    processor: Any = transformers.AutoImageProcessor.from_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    if checkpoint.slug == "dalle-dvae":
        resample, means, stds = processor.codebook_resample, processor.codebook_image_mean, processor.codebook_image_std
        batch = processor(ramp(), return_codebook_pixels=True, return_tensors="np")["codebook_pixel_values"]
    else:
        resample, means, stds = processor.resample, processor.image_mean, processor.image_std
        batch = processor(ramp(), return_tensors="np")["pixel_values"]
    assert Image.Resampling(resample).name.lower() == checkpoint.interpolation
    assert (tuple(means), tuple(stds)) == (checkpoint.mean, checkpoint.std)
    check_geometry(checkpoint, batch[0])


@pytest.mark.parametrize("hub_id", LENGTHS)
def test_a_preprocessor_file_is_as_long_as_the_one_on_the_hub(hub_id: str) -> None:
    assert len(json.dumps(PREPROCESSORS[hub_id], indent=2, sort_keys=True) + "\n") == LENGTHS[hub_id]


# --- the same weights in another library --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "architecture"),
    [
        ("clip-vit-b32", "ViT-B-32-quickgelu"),
        ("clip-vit-b16", "ViT-B-16-quickgelu"),
        ("clip-vit-l14", "ViT-L-14-quickgelu"),
        ("clip-vit-l14-336", "ViT-L-14-336-quickgelu"),
    ],
)
def test_open_clip_builds_openais_weights_as_large(slug: str, architecture: str) -> None:
    import open_clip

    checkpoint = load_catalogue().resolve(slug)
    assert (architecture, "openai") in open_clip.list_pretrained()
    network = open_clip_network(architecture)
    assert checkpoint.parameters_m == rounded(millions(network))
    assert checkpoint.image_tower_parameters_m == rounded(millions(network.visual))
    assert network.visual.image_size == (checkpoint.input_size, checkpoint.input_size)


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("vit-b16-in21k", "vit_base_patch16_224.orig_in21k"),
        ("vit-l16-in21k", "vit_large_patch16_224.orig_in21k"),
        ("vit-h14-in21k", "vit_huge_patch14_224.orig_in21k"),
        ("convnext-tiny", "convnext_tiny.fb_in1k"),
        ("convnext-large-384", "convnext_large.fb_in1k"),
        ("convnext-xlarge-22k", "convnext_xlarge.fb_in22k"),
        ("beit-b16-ft22k", "beit_base_patch16_224.in22k_ft_in22k"),
        ("beit-l16-ft22k", "beit_large_patch16_224.in22k_ft_in22k"),
        ("beit-l16-384", "beit_large_patch16_384.in22k_ft_in22k_in1k"),
        ("swinv2-tiny", "swinv2_tiny_window8_256.ms_in1k"),
        ("swinv2-large-192-22k", "swinv2_large_window12_192.ms_in22k"),
        ("deit-b16-distilled", "deit_base_distilled_patch16_224.fb_in1k"),
    ],
)
def test_timm_builds_the_tower_of_the_same_weights_as_large(slug: str, name: str) -> None:
    checkpoint = load_catalogue().resolve(slug)
    assert name in with_timm_weights()
    network, _ = timm_network(name)
    assert checkpoint.dim == network.num_features
    assert checkpoint.image_tower_parameters_m == rounded(millions(network))


# --- diffusers ----------------------------------------------------------------------------------------------


@cache
def diffusion_network(part: str) -> Model:
    diffusers = pytest.importorskip("diffusers", reason="the extra `diffusion` is not installed")
    config = DIFFUSION[part]
    with torch.device("meta"):
        return getattr(diffusers, config["_class_name"]).from_config(config).eval()


def text_encoder() -> Model:
    import transformers

    settings = dict(DIFFUSION["text_encoder"])
    config: Any = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        network: Model = transformers.CLIPTextModel(config)
    return network.eval()


def test_diffusers_builds_the_autoencoder_as_large_as_listed() -> None:
    checkpoint = load_catalogue().resolve("sd15-vae")
    network = diffusion_network("vae")
    assert checkpoint.model_class == type(network).__name__
    assert checkpoint.parameters_m == rounded(millions(network))
    latent = network.encode(meta_pictures(side_of(checkpoint))).latent_dist.mean
    pooled = torch.nn.functional.adaptive_avg_pool2d(latent, 8).flatten(1)
    assert pooled.shape == (1, checkpoint.dim)
    assert checkpoint.image_tower_parameters_m == rounded(needed_millions(network, pooled))


def test_diffusers_builds_the_denoiser_with_all_that_it_needs_as_large_as_listed() -> None:
    checkpoint = load_catalogue().resolve("sd15-unet")
    network, autoencoder, texts = diffusion_network("unet"), diffusion_network("vae"), text_encoder()
    assert checkpoint.model_class.startswith(type(network).__name__)
    assert checkpoint.parameters_m == rounded(millions(network, autoencoder, texts))

    middle: list[torch.Tensor] = []
    handle = network.mid_block.register_forward_hook(lambda _module, _inputs, output: middle.append(output))
    with torch.device("meta"):
        latent = torch.empty(1, 4, *[side_of(checkpoint) // 8] * 2)
        network(latent, torch.tensor(261), encoder_hidden_states=torch.empty(1, 77, texts.config.hidden_size))
    handle.remove()
    embedding = middle[0].mean((2, 3))
    assert embedding.shape == (1, checkpoint.dim)
    # An empty prompt is the same for every picture, so its encoder is needed once and not for an image.
    needed = needed_millions(network, embedding) + millions(autoencoder.encoder, autoencoder.quant_conv)
    assert checkpoint.image_tower_parameters_m == rounded(needed)


@listed("diffusers")
def test_diffusers_prepares_a_picture_as_listed(checkpoint: Checkpoint) -> None:
    image_processor = pytest.importorskip("diffusers.image_processor", reason="the extra `diffusion` is not installed")
    processor = image_processor.VaeImageProcessor(vae_scale_factor=8)
    assert checkpoint.interpolation.split()[0] == processor.config.resample
    side = side_of(checkpoint)
    check_geometry(checkpoint, processor.preprocess(ramp(), height=side, width=side)[0].numpy())


# --- all of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "dim", "published", "classes"),
    [
        ("internimage-t", 768, 29.92, 1000),
        ("internimage-b", 1344, 97.46, 1000),
        ("internimage-l", 1920, 263.37, 21841),
        ("internimage-h", 768, 1105.66, 21841),
    ],
)
def test_an_internimage_without_its_classifier_is_as_large_as_listed(
    slug: str, dim: int, published: float, classes: int
) -> None:
    """What the network itself has is compared with these numbers in `test_intern_image`."""
    checkpoint = load_catalogue().resolve(slug)
    assert (checkpoint.dim, checkpoint.parameters_m) == (dim, published)
    assert checkpoint.image_tower_parameters_m == pytest.approx(published - (dim + 1) * classes / 1e6, abs=0.011)


def stored_millions(checkpoint: Checkpoint) -> float:
    """Return how many parameters are downloaded."""
    if checkpoint.loader == "timm" and checkpoint.hub_id in CONFIGS:
        return published_millions(checkpoint.hub_id)  # the repository of a whole model, of which timm takes the tower
    assert checkpoint.parameters_m
    return checkpoint.parameters_m


@listed("timm", "open_clip", "transformers", "diffusers", "internimage")
def test_the_download_is_as_large_as_its_parameters(checkpoint: Checkpoint) -> None:
    source = checkpoint.weights_mb_source
    assert source.startswith(("computed", "hub page")), "a guess"
    megabytes = stored_millions(checkpoint) * (2 if "fp16" in source.partition(";")[0] else 4)
    # Files of older libraries also hold tables of indices and masks, so a size read from the hub may be larger.
    tolerance = 0.03 if source.startswith("computed") else 0.05
    assert checkpoint.weights_mb == pytest.approx(megabytes, rel=tolerance)


@listed("timm", "open_clip", "transformers", "diffusers", "internimage")
def test_an_image_needs_no_more_than_what_is_published(checkpoint: Checkpoint) -> None:
    assert checkpoint.parameters_m
    assert checkpoint.image_tower_parameters_m
    assert checkpoint.image_tower_parameters_m <= checkpoint.parameters_m


@listed("timm", "open_clip", "transformers", "diffusers", "internimage")
def test_a_text_tower_is_listed_with_the_length_of_its_embeddings(checkpoint: Checkpoint) -> None:
    assert checkpoint.has_text_tower == (checkpoint.text_dim is not None)
