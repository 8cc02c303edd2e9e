"""The two encoders of Stable Diffusion against diffusers' own pipeline, on tiny pipelines written as it writes them."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import SHARED_DATA
from tests.pictures import draw
from visexplore.core.catalogue import Checkpoint, load_catalogue
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import diffusion
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Embeddings, normalise
from visexplore.core.encoders.torch_encoder import TorchEncoder
from visexplore.core.errors import CannotLoadModel, NoTextTower
from visexplore.core.images import decode

pytestmark = pytest.mark.slow

VAE = Checkpoint(id="someone/tiny:vae", loader="diffusers", slug="tiny-vae", hub_id="someone/tiny", subfolder="vae")
UNET = Checkpoint(id="someone/tiny:unet", loader="diffusers", slug="tiny-unet", hub_id="someone/tiny", subfolder="unet")
BOTH = pytest.mark.parametrize("checkpoint", [VAE, UNET], ids=["vae", "unet"])
LATENT_SIDE = 16  # of the tiny UNet: pictures of 128 x 128, where Stable Diffusion has 512 x 512


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """Real photos where they are there, the drawings of the sample where not."""
    if SHARED_DATA.is_dir():
        files = [sorted((SHARED_DATA / name).rglob("*.jpg"))[::60][:4] for name in ("clothing", "stanford-cars")]
        return [file.read_bytes() for few in files for file in few]
    sample = open_dataset("sample")
    return [sample.read(record) for record in sample.records[::25][:8]]


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Several test processes share the cores, and for tiny networks a second one costs more than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- a tiny pipeline


def tiny_autoencoder(**changes: Any) -> Any:
    from diffusers import AutoencoderKL

    options = {
        "block_out_channels": (4, 4, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "norm_num_groups": 2,
        "sample_size": LATENT_SIDE * 8,
    }
    return with_random_weights(AutoencoderKL(**options | changes))


def tiny_unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    options = {
        "sample_size": LATENT_SIDE,
        "block_out_channels": (4, 4, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "attention_head_dim": 2,
        "cross_attention_dim": 12,
    }
    return with_random_weights(UNet2DConditionModel(**options | changes))


def tiny_text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=8, hidden_size=12, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        bos_token_id=6, eos_token_id=7, pad_token_id=7,
    )  # fmt: skip
    return with_random_weights(CLIPTextModel(config))


def with_random_weights(model: Any) -> Any:
    """Some weights start as zero, or so near to it that a prompt would hardly matter, which would hide mistakes."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.3)
    return model.eval()


def write_tokenizer(folder: Path) -> None:
    """Write the files that the tokenizer of Stable Diffusion 1.5 has on the hub, for six characters."""
    folder.mkdir()
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    tokens = ["a", "b", "c", "a</w>", "b</w>", "c</w>", "<|startoftext|>", "<|endoftext|>"]
    files = {
        "vocab.json": json.dumps({token: number for number, token in enumerate(tokens)}),
        "merges.txt": "#version: 0.2\n",
        "special_tokens_map.json": json.dumps(ends | {"pad_token": "<|endoftext|>"}),
        "tokenizer_config.json": json.dumps(
            ends | {"pad_token": "<|endoftext|>", "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it for Stable Diffusion 1.5, with a scheduler of the same kind and the same numbers."""
    pytest.importorskip("diffusers", reason="the encoders of Stable Diffusion need diffusers: visexplore[diffusion]")
    from diffusers import PNDMScheduler, StableDiffusionPipeline
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("diffusion")
    write_tokenizer(folder / "written")
    pipeline = StableDiffusionPipeline(
        vae=tiny_autoencoder(),
        text_encoder=tiny_text_encoder(),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "written"),
        unet=tiny_unet(),
        scheduler=PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "tiny")
    shutil.rmtree(folder / "tiny" / "tokenizer")
    shutil.copytree(folder / "written", folder / "tiny" / "tokenizer")
    return folder / "tiny"


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> Callable[[Checkpoint], TorchEncoder]:
    """Load one of the two encoders on the CPU, once."""
    return cache(lambda checkpoint: load(checkpoint, tiny))


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny pipeline to damage."""
    return Path(shutil.copytree(tiny, tmp_path / "own"))


def load(checkpoint: Checkpoint, place: Path, precision: str = "float32") -> TorchEncoder:
    return diffusion.load(checkpoint, place, "cpu", precision)


def embed(encoder: TorchEncoder, photos: list[bytes]) -> Embeddings:
    return encoder.embed_images(np.stack([encoder.preprocess(decode(photo)) for photo in photos]))


def cosines(one: Embeddings, other: Embeddings) -> np.ndarray[Any, Any]:
    return np.sum(normalise(one) * normalise(other), axis=1)


# ---- diffusers itself


@cache
def whole_pipeline(folder: Path) -> Any:
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True)


def pixels_of(pipeline: Any, photo: bytes, side: int) -> torch.Tensor:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    pixels: torch.Tensor = pipeline.image_processor.preprocess(image, height=side, width=side)
    return pixels


@torch.inference_mode()
def plain_vae(folder: Path, photos: list[bytes], *, grid: int = 8, side: int = 256, normalised: bool = True,
              sampled: bool = False) -> Embeddings:  # fmt: skip
    """Embed with the whole autoencoder of the pipeline, one picture at a time."""
    pipeline = whole_pipeline(folder)
    found = []
    for photo in photos:
        pixels = pixels_of(pipeline, photo, side)
        latents = pipeline.vae.encode(pixels if normalised else pixels / 2 + 0.5).latent_dist
        latent = (latents.sample() if sampled else latents.mean) * pipeline.vae.config.scaling_factor
        found.append(torch.nn.AdaptiveAvgPool2d(grid)(latent).flatten().numpy())
    return np.stack(found)


@torch.inference_mode()
def plain_unet(folder: Path, photos: list[bytes], *, timestep: int = 261, noise_seed: int = 0, prompt: str = "",
               scaled: bool = True) -> Embeddings:  # fmt: skip
    """Run the whole pipeline's whole UNet once for each picture, and listen to its middle block."""
    pipeline = whole_pipeline(folder)
    states, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
    time = torch.tensor([timestep])
    noise = torch.randn((1, 4, LATENT_SIDE, LATENT_SIDE), generator=torch.Generator("cpu").manual_seed(noise_seed))
    heard: list[torch.Tensor] = []
    hook = pipeline.unet.mid_block.register_forward_hook(lambda _module, _inputs, output: heard.append(output))
    for photo in photos:
        latent = pipeline.vae.encode(pixels_of(pipeline, photo, LATENT_SIDE * 8)).latent_dist.mean
        latent = latent * pipeline.vae.config.scaling_factor if scaled else latent
        drawn = pipeline.unet(pipeline.scheduler.add_noise(latent, noise, time), time, encoder_hidden_states=states)
        assert drawn.sample.shape == latent.shape
    hook.remove()
    return torch.cat(heard).mean((2, 3)).numpy()


@BOTH
def test_pictures_are_prepared_as_diffusers_does(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    for photo in photos:
        ours = encoder(checkpoint).preprocess(decode(photo))
        reference = pixels_of(whole_pipeline(tiny), photo, ours.shape[1])
        np.testing.assert_allclose(ours / 127.5 - 1, reference[0].numpy(), atol=1e-6)


def test_the_vae_embeds_as_diffusers_does(
    encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    reference = plain_vae(tiny, photos)
    ours = embed(encoder(VAE), photos)
    assert ours.shape == reference.shape == (8, 4 * 8 * 8)
    assert cosines(ours, reference).min() >= 0.9999


def test_the_unet_embeds_as_the_whole_pipeline_of_diffusers_does(
    encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    reference = plain_unet(tiny, photos)
    ours = embed(encoder(UNET), photos)
    assert ours.shape == reference.shape == (8, 8)
    assert cosines(ours, reference).min() >= 0.9999


@pytest.mark.parametrize("mistake", [{"grid": 4}, {"normalised": False}, {"sampled": True}, {"side": 128}], ids=str)
def test_the_comparison_of_the_vae_notices_every_usual_mistake(
    mistake: dict[str, Any], encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    ours, wrong = embed(encoder(VAE), photos[:4]), plain_vae(tiny, photos[:4], **mistake)
    assert ours.shape != wrong.shape or cosines(ours, wrong).min() < 0.9999


@pytest.mark.parametrize("mistake", [{"timestep": 1}, {"noise_seed": 1}, {"prompt": "a"}, {"scaled": False}], ids=str)
def test_the_comparison_of_the_unet_notices_every_usual_mistake(
    mistake: dict[str, Any], encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    assert cosines(embed(encoder(UNET), photos[:4]), plain_unet(tiny, photos[:4], **mistake)).min() < 0.9999


# ---- what an embedding depends on


@BOTH
def test_the_batch_a_picture_is_in_does_not_matter(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    together = embed(encoder(checkpoint), photos[:7])
    alone = np.concatenate([embed(encoder(checkpoint), [photo]) for photo in photos[:7]])
    backwards = embed(encoder(checkpoint), photos[:7][::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)


@BOTH
def test_a_picture_embeds_the_same_whenever_it_is_loaded(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    first = embed(encoder(checkpoint), photos[:2])
    torch.manual_seed(1234)
    np.testing.assert_array_equal(embed(load(checkpoint, tiny), photos[:2]), first)


@BOTH
def test_different_pictures_have_different_embeddings_of_length_one(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    found = embed(encoder(checkpoint), photos)
    assert (found.dtype, found.shape) == (np.float32, (8, encoder(checkpoint).dim))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert (found @ found.T)[~np.eye(8, dtype=bool)].max() < 0.9999


def test_pictures_are_squashed_to_256_for_the_vae(encoder: Callable[[Checkpoint], TorchEncoder]) -> None:
    pixels = encoder(VAE).preprocess(draw(1, (300, 200)))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, 256, 256))


def test_pictures_are_squashed_to_512_for_a_unet_of_stable_diffusions_size(own: Path, photos: list[bytes]) -> None:
    config = json.loads((own / "unet" / "config.json").read_text())
    (own / "unet" / "config.json").write_text(json.dumps(config | {"sample_size": 64}))
    large = load(UNET, own)
    assert large.preprocess(draw(1, (300, 200))).shape == (3, 512, 512)
    assert embed(large, photos[:1]).shape == (1, 8)


def test_the_latent_map_and_the_middle_blocks_map_can_be_pooled_otherwise(tiny: Path, photos: list[bytes]) -> None:
    assert embed(load(replace(VAE, pooling_choice="mean"), tiny), photos[:2]).shape == (2, 4)
    mean = embed(load(replace(UNET, pooling_choice="mean"), tiny), photos[:2])
    np.testing.assert_allclose(mean, embed(load(UNET, tiny), photos[:2]), atol=1e-6)


def test_a_latent_that_is_shifted_is_shifted_as_in_diffusers_pipelines(own: Path, photos: list[bytes]) -> None:
    config = json.loads((own / "vae" / "config.json").read_text())
    (own / "vae" / "config.json").write_text(json.dumps(config | {"shift_factor": 0.5, "scaling_factor": 0.36}))
    pipeline = whole_pipeline(own)
    with torch.inference_mode():
        pixels = torch.cat([pixels_of(pipeline, photo, 256) for photo in photos[:2]])
        latents = (pipeline.vae.encode(pixels).latent_dist.mean - 0.5) * 0.36
    reference = torch.nn.AdaptiveAvgPool2d(8)(latents).flatten(1).numpy()
    assert cosines(embed(load(VAE, own), photos[:2]), reference).min() >= 0.9999


def test_the_one_picture_that_the_unet_takes_at_a_time_has_all_cores(
    encoder: Callable[[Checkpoint], TorchEncoder],
) -> None:
    unet = encoder(UNET)
    with ThreadPoolExecutor(unet.parallel_batches, initializer=unet.prepare_thread) as pool:
        assert pool.submit(torch.get_num_threads).result() == usable_cores()
    assert (unet.batch_size, unet.parallel_batches) == (1, 1)


@BOTH
def test_bfloat16_stays_near_to_float32(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path, photos: list[bytes]
) -> None:
    coarse = load(checkpoint, tiny, "bfloat16")
    assert coarse.precision == "bfloat16"
    assert cosines(embed(coarse, photos[:2]), embed(encoder(checkpoint), photos[:2])).min() > 0.99


@BOTH
def test_an_autoencoder_that_overflows_in_float16_stays_in_float32(
    checkpoint: Checkpoint, own: Path, photos: list[bytes]
) -> None:
    from safetensors.torch import load_file, save_file

    file = own / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["encoder.conv_in.weight"] *= 40_000  # past 65,504 after the first layer; the next one normalises
    save_file(weights, file, {"format": "pt"})
    half, exact = load(checkpoint, own, "float16"), load(checkpoint, own)
    assert cosines(embed(half, photos[:2]), embed(exact, photos[:2])).min() > 0.999
    assert half.precision == ("float32" if checkpoint is VAE else "float16")
    assert any("in float32" in remark for remark in half.remarks)


# ---- what is kept


def test_the_decoder_is_not_kept(encoder: Callable[[Checkpoint], TorchEncoder], tiny: Path) -> None:
    whole = whole_pipeline(tiny).vae
    needed = sum(p.numel() for part in (whole.encoder, whole.quant_conv) for p in part.parameters())
    assert sum(p.numel() for p in encoder(VAE).tower.parameters()) == needed


def test_the_way_up_and_the_text_encoder_are_not_kept(encoder: Callable[[Checkpoint], TorchEncoder]) -> None:
    names = [name for name, _ in encoder(UNET).tower.named_parameters()]
    assert any(".mid_block." in name for name in names)
    assert not [name for name in names if "up_blocks" in name or "unet.conv_out" in name or "decoder" in name]
    assert {name.partition(".")[0] for name in names} == {"autoencoder", "unet"}
    kept = [value for value in vars(encoder(UNET)).values() if isinstance(value, torch.nn.Module)]
    assert not [module for module in kept if "CLIP" in type(module).__name__]


@BOTH
def test_a_text_is_refused_with_the_reason(
    checkpoint: Checkpoint, encoder: Callable[[Checkpoint], TorchEncoder]
) -> None:
    with pytest.raises(NoTextTower, match="shares no space with its images"):
        encoder(checkpoint).embed_texts(["a red car"])


@pytest.mark.parametrize(
    ("checkpoint", "said"), [(VAE, "colour and layout"), (UNET, "timestep 261")], ids=["vae", "unet"]
)
def test_it_is_told_that_the_vector_is_constructed(
    checkpoint: Checkpoint, said: str, encoder: Callable[[Checkpoint], TorchEncoder]
) -> None:
    [remark] = encoder(checkpoint).remarks
    assert "constructed" in remark
    assert said in remark


def test_the_recipe_of_the_unet_is_stated(encoder: Callable[[Checkpoint], TorchEncoder]) -> None:
    stated = json.loads(encoder(UNET).preprocessing)
    assert (stated["layer"], stated["timestep"], stated["prompt"], stated["resample"]) == (
        "mid_block", 261, "", "lanczos",
    )  # fmt: skip


@pytest.mark.slow
def test_loading_opens_no_socket_and_draws_nothing_into_the_terminal(own: Path) -> None:
    """Even where diffusers would have something to say: it misses a decoder, and it prefers another file format."""
    from safetensors.torch import load_file, save_file

    for part, unused in (("vae", "decoder."), ("unet", "up_blocks.")):
        file = own / part / "diffusion_pytorch_model.safetensors"
        weights = {name: tensor for name, tensor in load_file(file).items() if not name.startswith(unused)}
        save_file(weights, file, {"format": "pt"})
    torch.save(weights, own / "unet" / "diffusion_pytorch_model.bin")
    file.unlink()
    code = """
import os, sys
from pathlib import Path
os.environ.pop("HF_HUB_OFFLINE")
sys.addaudithook(lambda event, args: event in ("socket.connect", "socket.getaddrinfo") and os._exit(9))
from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders import diffusion
for slug in ("sd15-vae", "sd15-unet"):
    diffusion.load(load_catalogue().resolve(slug), Path(sys.argv[1]), "cpu", "float32")
"""
    done = subprocess.run([sys.executable, "-c", code, str(own)], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- which folders can be loaded


@pytest.mark.parametrize("part", ["", "vae"], ids=["pipeline", "vae"])
def test_a_folder_of_ones_own_is_loaded_as_a_vae(
    part: str, tiny: Path, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    folder = str(tiny / part)
    mine = Checkpoint(id=folder, loader="diffusers", slug="mine", folder=folder)
    np.testing.assert_array_equal(embed(load(mine, tiny / part), photos[:2]), embed(encoder(VAE), photos[:2]))


@pytest.mark.parametrize("slug", ["sd15-vae", "sd15-unet"])
def test_the_checkpoints_of_the_catalogue_say_which_encoder_they_are(slug: str, tiny: Path) -> None:
    checkpoint = load_catalogue().resolve(slug)
    kinds = {"sd15-vae": diffusion.AutoencoderEncoder, "sd15-unet": diffusion.UNetEncoder}
    assert type(load(checkpoint, tiny)) is kinds[slug]


def test_the_names_that_an_old_autoencoder_has_for_its_attention_are_understood(
    own: Path, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    """Stable Diffusion 1.5 has them on the hub."""
    from safetensors.torch import load_file, save_file

    file = own / "vae" / "diffusion_pytorch_model.safetensors"
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    renamed = {}
    for name, weights in load_file(file).items():
        for new_part, old_part in old.items():
            name = name.replace(new_part, old_part)
        renamed[name] = weights
    assert "encoder.mid_block.attentions.0.proj_attn.weight" in renamed
    save_file(renamed, file, {"format": "pt"})
    np.testing.assert_array_equal(embed(load(VAE, own), photos[:2]), embed(encoder(VAE), photos[:2]))


@BOTH
def test_weights_saved_in_half_precision_are_computed_with_in_float32(
    checkpoint: Checkpoint, own: Path, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    whole = whole_pipeline(own).to(torch.float16)
    whole.save_pretrained(own)
    found = load(checkpoint, own)
    assert {parameter.dtype for parameter in found.tower.parameters()} == {torch.float32}
    assert cosines(embed(found, photos[:2]), embed(encoder(checkpoint), photos[:2])).min() > 0.999


@BOTH
def test_weights_in_the_old_format_are_loaded(
    checkpoint: Checkpoint, own: Path, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    from safetensors.torch import load_file

    for file in [*own.glob("*/diffusion_pytorch_model.safetensors"), *own.glob("*/model.safetensors")]:
        name = "pytorch_model.bin" if file.name == "model.safetensors" else "diffusion_pytorch_model.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    np.testing.assert_array_equal(embed(load(checkpoint, own), photos[:2]), embed(encoder(checkpoint), photos[:2]))


class Payload:
    """What pickles into a call."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder"])
def test_weights_that_are_a_program_are_not_run(part: str, own: Path, tmp_path: Path) -> None:
    [file] = (own / part).glob("*.safetensors")
    file.unlink()
    name = "pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin"
    (own / part / name).write_bytes(pickle.dumps(Payload(f"touch {tmp_path / 'trace'}"), protocol=2))
    with pytest.raises(CannotLoadModel):
        load(UNET, own)
    assert not (tmp_path / "trace").exists()


# ---- what cannot be loaded


def said_of(checkpoint: Checkpoint, place: Path) -> str:
    with pytest.raises(CannotLoadModel) as caught:
        load(checkpoint, place)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert len(caught.value.message) < 500
    return caught.value.message


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_part_that_is_missing_is_named_in_one_sentence(part: str, own: Path) -> None:
    shutil.rmtree(own / part)
    assert f"there is no {own / part}" in said_of(UNET, own)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder"])
@pytest.mark.parametrize("harm", ["gone", "cut off", "empty"])
def test_weights_that_are_damaged_are_named_in_one_sentence(harm: str, part: str, own: Path) -> None:
    [file] = (own / part).glob("*.safetensors")
    match harm:
        case "gone":
            file.unlink()
        case "cut off":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case _:
            file.write_bytes(b"")
    assert f"{own / part} cannot be loaded" in said_of(UNET, own)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("vae", "encoder.conv_in.weight"),
        ("unet", "mid_block.resnets.0.conv1.weight"),
        ("text_encoder", "final_layer_norm.weight"),
    ],
)
def test_weights_that_lack_a_tensor_are_not_filled_up_with_anything(part: str, name: str, own: Path) -> None:
    from safetensors.torch import load_file, save_file

    [file] = (own / part).glob("*.safetensors")
    weights = load_file(file)
    [whole_name] = [known for known in weights if known.endswith(name)]
    del weights[whole_name]
    save_file(weights, file, {"format": "pt"})
    assert f"weights in {own / part} lack 1 tensors" in said_of(UNET, own)


def test_an_autoencoder_needs_no_decoder(
    own: Path, encoder: Callable[[Checkpoint], TorchEncoder], photos: list[bytes]
) -> None:
    from safetensors.torch import load_file, save_file

    file = own / "vae" / "diffusion_pytorch_model.safetensors"
    weights = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("decoder.")}
    save_file(weights, file, {"format": "pt"})
    np.testing.assert_array_equal(embed(load(VAE, own), photos[:2]), embed(encoder(VAE), photos[:2]))


def test_weights_of_another_size_are_one_sentence(own: Path) -> None:
    tiny_autoencoder(block_out_channels=(4, 4, 8, 16)).save_pretrained(own / "other")
    shutil.copy(own / "other" / "config.json", own / "vae" / "config.json")
    assert "size mismatch" in said_of(VAE, own)


@pytest.mark.parametrize("text", ["not JSON", "[]", "\udcff"])
def test_a_config_that_cannot_be_read_is_one_sentence(text: str, own: Path) -> None:
    (own / "vae" / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "vae/config.json cannot be read" in said_of(VAE, own)


def test_a_tokenizer_that_cannot_be_read_is_one_sentence(own: Path) -> None:
    (own / "tokenizer" / "vocab.json").write_text("{")
    assert f"{own / 'tokenizer'} cannot be loaded" in said_of(UNET, own)


def test_the_folder_of_a_unet_alone_is_refused_by_its_class(tiny: Path) -> None:
    folder = tiny / "unet"
    mine = Checkpoint(id=str(folder), loader="diffusers", slug="mine", folder=str(folder))
    assert "class UNet2DConditionModel, and mine needs AutoencoderKL" in said_of(mine, folder)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"in_channels": 9}, "UNet takes 9 channels, and its latent has 4"),
        ({"cross_attention_dim": 16}, "text states 16 wide, and its text encoder's are 12"),
        ({"num_class_embeds": 10}, "more than a latent, a timestep and a prompt"),
        ({"mid_block_type": None}, "no middle block"),
    ],
    ids=str,
)
def test_a_unet_of_another_kind_is_refused_with_the_reason(changes: dict[str, Any], why: str, own: Path) -> None:
    tiny_unet(**changes).save_pretrained(own / "unet")
    assert why in said_of(UNET, own)


def test_an_entry_that_names_a_package_instead_of_a_pipeline_is_one_sentence(tiny: Path) -> None:
    with pytest.raises(CannotLoadModel, match="tiny-vae is nowhere to be loaded from"):
        diffusion.load(VAE, None, "cpu", "float32")


def test_a_scheduler_with_too_few_steps_is_refused_with_the_reason(own: Path) -> None:
    file = own / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_train_timesteps": 100}))
    assert "100 steps of noise" in said_of(UNET, own)


@pytest.mark.parametrize(
    ("installed", "message", "hint"),
    [
        (None, "tiny-vae needs diffusers, which is not installed", "uv pip install 'visexplore[diffusion]'"),
        (types.ModuleType("diffusers"), "diffusers, which cannot be imported", "uv pip install --upgrade diffusers"),
    ],
    ids=["not installed", "too old"],
)
def test_a_library_that_is_not_there_is_named_with_the_command_that_installs_it(
    installed: types.ModuleType | None, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", installed)
    with pytest.raises(CannotLoadModel, match=message) as caught:
        load(VAE, tmp_path)
    assert hint in caught.value.hint
