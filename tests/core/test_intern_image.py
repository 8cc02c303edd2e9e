"""InternImage: full sizes without memory for weights, and tiny ones of each layout, written as the hub has them."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders.intern_image import InternImage, build, load
from visexplore.core.errors import CannotLoadModel

Config = dict[str, Any]
Checkpoint = tuple[Path, InternImage]

FIXED: Config = {"model_type": "internimage", "core_op": "DCNv3", "act_layer": "GELU", "norm_layer": "LN"}
SMALL: Config = {"layer_scale": 1e-5, "post_norm": True, "num_classes": 1000}
LARGE: Config = SMALL | {"offset_scale": 2.0, "num_classes": 21841}
HUGE: Config = {"dw_kernel_size": 5, "use_clip_projector": True, "center_feature_scale": True, "num_classes": 21841,
                "level2_post_norm": True}  # fmt: skip
PUBLISHED: dict[str, Config] = {
    "t": FIXED | {"channels": 64, "depths": [4, 4, 18, 4], "groups": [4, 8, 16, 32], "num_classes": 1000},
    "s": FIXED | SMALL | {"channels": 80, "depths": [4, 4, 21, 4], "groups": [5, 10, 20, 40]},
    "b": FIXED | SMALL | {"channels": 112, "depths": [4, 4, 21, 4], "groups": [7, 14, 28, 56]},
    "l": FIXED | LARGE | {"channels": 160, "depths": [5, 5, 22, 5], "groups": [10, 20, 40, 80]},
    "xl": FIXED | LARGE | {"channels": 192, "depths": [5, 5, 24, 5], "groups": [12, 24, 48, 96]},
    "h": FIXED | HUGE | {"channels": 320, "depths": [6, 6, 32, 6], "groups": [10, 20, 40, 80], "res_post_norm": True,
                         "level2_post_norm_block_ids": [5, 11, 17, 23, 29]},
    "g": FIXED | HUGE | {"channels": 512, "depths": [2, 2, 48, 4], "groups": [16, 32, 64, 128], "post_norm": True,
                         "level2_post_norm_block_ids": [5, 11, 17, 23, 29, 35, 41, 47]},
}  # fmt: skip
"""What `config.json` says in the repositories `OpenGVLab/internimage_*` (drop rates left out)."""

_SMALLEST: Config = {"channels": 8, "depths": [1, 1, 3, 2], "groups": [1, 2, 4, 8], "num_classes": 5}
TINY: dict[str, Config] = {
    size: PUBLISHED[size] | _SMALLEST | ({"level2_post_norm_block_ids": [0, 2]} if size in "hg" else {})
    for size in ("t", "l", "h", "g")
}


@cache
def without_memory(size: str) -> InternImage:
    with torch.device("meta"):
        return build(PUBLISHED[size])


def scatter(name: str, count: int) -> Tensor:
    """Scattered numbers in -1 to 1 that depend on the name alone, not on torch's generator: float64 (count,)."""
    start = zlib.crc32(name.encode()) % 1000
    scattered = 43758.5453 * torch.sin(torch.arange(start, start + count, dtype=torch.float64) * 12.9898)
    return 2 * (scattered - scattered.floor()) - 1


def fill(name: str, shape: torch.Size) -> Tensor:
    """Weights under which every part of the network matters."""
    numbers = scatter(name, shape.numel()).view(shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1)
    if name.endswith("running_var"):
        return (1 + 0.5 * numbers).float()
    if len(shape) == 1:
        positive = name.endswith(("norm.weight", ".0.weight", ".1.weight")) or "layer_scale" in name
        return (0.6 + 0.4 * numbers if positive else 0.2 * numbers).float()
    return (2.5 * numbers / math.sqrt(shape[1:].numel())).float()


def hub_tensors(network: InternImage, classes: int = 5) -> dict[str, Tensor]:
    """The tensors of a published checkpoint: all of the network and the classifier, below `model.`."""
    shapes = {f"model.{name}": tensor.shape for name, tensor in network.state_dict().items()}
    shapes |= {"model.head.weight": torch.Size((classes, network.dim)), "model.head.bias": torch.Size((classes,))}
    return {name: fill(name, shape) for name, shape in shapes.items()}


def save(folder: Path, config: Config) -> InternImage:
    """Write a checkpoint as the hub has them; return its network, filled in memory."""
    network = build(config).eval()
    tensors = hub_tensors(network)
    for name, tensor in network.state_dict().items():
        tensor.copy_(tensors[f"model.{name}"])
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    return network


def pictures(count: int, side: int = 64) -> Tensor:
    """Different pictures with broad shapes: float32 (count, 3, side, side)."""
    axis = torch.linspace(-1, 1, side, dtype=torch.float64)
    shapes = [
        torch.sin((1 + index) * axis[:, None] + channel) * torch.cos((3 - index) * axis[None] * (1 + channel))
        for index in range(count)
        for channel in range(3)
    ]
    return (2 * torch.stack(shapes)).view(count, 3, side, side).float()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """Give a tiny checkpoint of a layout, written once; tests change copies."""
    written: dict[str, Checkpoint] = {}

    def get(size: str) -> Checkpoint:
        if size not in written:
            folder = tmp_path_factory.mktemp(size)
            written[size] = folder, save(folder, TINY[size])
        return written[size]

    return get


@torch.inference_mode()
def vectors(network: InternImage, images: Tensor) -> Tensor:
    found: Tensor = network(images)
    return found


# ---- the published sizes


@pytest.mark.parametrize(
    ("size", "classes", "millions"),
    [
        ("t", 1000, 29.92),
        ("s", 1000, 50.08),
        ("b", 1000, 97.46),
        ("l", 1000, 223.3),
        ("l", 21841, 263.37),
        ("xl", 1000, 334.8),
        ("xl", 21841, 382.86),
        ("h", 21841, 1105.66),
        ("g", 21841, 3092.40),
    ],
)
def test_with_its_classifier_a_size_has_as_many_parameters_as_published(
    size: str, classes: int, millions: float
) -> None:
    network = without_memory(size)
    classifier = (network.dim + 1) * classes
    count = sum(parameter.numel() for parameter in network.parameters()) + classifier
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("size", ["t", "b", "l", "h"])
def test_the_catalogue_agrees_on_length_and_parameters(size: str) -> None:
    listed = load_catalogue().resolve(f"internimage-{size}")
    network = without_memory(size)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert listed.dim == network.dim
    assert listed.parameters_m == pytest.approx(
        (count + (network.dim + 1) * PUBLISHED[size]["num_classes"]) / 1e6, abs=0.01
    )


@pytest.mark.parametrize(
    ("size", "dim"), [("t", 768), ("s", 960), ("b", 1344), ("l", 1920), ("xl", 2304), ("h", 768), ("g", 768)]
)
def test_a_size_gives_vectors_of_its_own_length(size: str, dim: int) -> None:
    assert without_memory(size).dim == dim


@pytest.mark.parametrize(("size", "dim", "channels"), [("t", 768, 512), ("h", 768, 2560)])
def test_full_widths_take_their_input_size_on_any_device(size: str, dim: int, channels: int) -> None:
    """Without memory, but through every kind of layer: a tensor made on another device than the input would fail."""
    with torch.device("meta"):
        network = build(PUBLISHED[size] | {"depths": [1, 1, 1, 1], "level2_post_norm_block_ids": [0]})
    images = torch.empty(2, 3, 384, 384, device="meta")
    assert network(images).shape == (2, dim)
    assert network.features(images).shape == (2, channels, 12, 12)


@pytest.mark.parametrize(
    ("size", "count"), [("t", 633), ("s", 751), ("b", 751), ("l", 839), ("xl", 883), ("h", 1357), ("g", 1295)]
)
def test_a_size_has_as_many_tensors_as_its_checkpoint_less_the_classifier(size: str, count: int) -> None:
    assert len(without_memory(size).state_dict()) == count - 2


@pytest.mark.parametrize(
    ("size", "there", "not_there"),
    [
        (
            "t",
            {
                "patch_embed.conv1.weight": (32, 3, 3, 3),
                "patch_embed.norm1.1.weight": (32,),
                "patch_embed.norm2.1.bias": (64,),
                "levels.0.blocks.3.norm1.0.weight": (64,),
                "levels.0.blocks.3.dcn.dw_conv.0.weight": (64, 1, 3, 3),
                "levels.0.blocks.3.dcn.dw_conv.1.1.weight": (64,),
                "levels.2.blocks.17.dcn.offset.weight": (288, 256),
                "levels.2.blocks.17.dcn.mask.bias": (144,),
                "levels.2.blocks.17.dcn.input_proj.weight": (256, 256),
                "levels.2.blocks.17.dcn.output_proj.bias": (256,),
                "levels.2.blocks.17.mlp.fc1.weight": (1024, 256),
                "levels.0.norm.0.weight": (64,),
                "levels.0.downsample.conv.weight": (128, 64, 3, 3),
                "levels.0.downsample.norm.1.weight": (128,),
                "conv_head.0.weight": (768, 512, 1, 1),
                "conv_head.1.0.running_var": (768,),
            },
            ["levels.0.blocks.0.layer_scale1", "levels.3.downsample.conv.weight", "conv_head.0.bias"],
        ),
        (
            "l",
            {"levels.0.blocks.0.layer_scale1": (160,), "levels.3.blocks.4.layer_scale2": (1280,)},
            ["levels.0.norm.0.weight", "levels.0.blocks.0.res_post_norm1.0.weight", "levels.2.post_norms.0.0.weight"],
        ),
        (
            "h",
            {
                "levels.0.blocks.0.res_post_norm1.0.weight": (320,),
                "levels.0.blocks.0.res_post_norm2.0.bias": (320,),
                "levels.0.blocks.0.dcn.dw_conv.0.weight": (320, 1, 5, 5),
                "levels.0.blocks.0.dcn.center_feature_scale_proj_weight": (10, 320),
                "levels.0.blocks.0.dcn.center_feature_scale_proj_bias": (10,),
                "levels.2.post_norms.4.0.weight": (1280,),
                "levels.3.norm.0.weight": (2560,),
                "dcnv3_head_x4.0.weight": (4096, 2560, 1, 1),
                "dcnv3_head_x3.bias": (1024,),
                "clip_projector.norm1_q.0.weight": (1024,),
                "clip_projector.cross_dcn.q.weight": (1024, 1024),
                "clip_projector.cross_dcn.k_bias": (1024,),
                "clip_projector.cross_dcn.proj.weight": (768, 1024),
                "fc_norm.0.weight": (768,),
            },
            ["conv_head.0.weight", "levels.2.post_norms.5.0.weight", "levels.1.post_norms.0.0.weight"],
        ),
        (
            "g",
            {"levels.0.norm.0.weight": (512,), "levels.2.post_norms.7.0.weight": (2048,), "fc_norm.0.weight": (768,)},
            ["levels.0.blocks.0.res_post_norm1.0.weight", "levels.0.blocks.0.layer_scale1"],
        ),
    ],
)
def test_parameters_have_the_names_and_shapes_of_the_published_weights(
    size: str, there: dict[str, tuple[int, ...]], not_there: list[str]
) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in without_memory(size).state_dict().items()}
    assert {name: shapes.get(name) for name in there} == there
    assert not shapes.keys() & set(not_there)


def test_without_the_middle_tap_eight_offsets_are_predicted_for_each_group() -> None:
    shapes = {name: tuple(t.shape) for name, t in build(TINY["t"] | {"remove_center": True}).state_dict().items()}
    assert shapes["levels.1.blocks.0.dcn.offset.weight"] == (2 * 8 * 2, 16)
    assert shapes["levels.1.blocks.0.dcn.mask.weight"] == (2 * 8, 16)


@pytest.mark.parametrize(("key", "value"), [("model_type", "vit"), ("core_op", "DCNv4"), ("norm_layer", "BN")])
def test_another_network_is_refused_by_what_its_configuration_says(key: str, value: str) -> None:
    with pytest.raises(CannotLoadModel, match=rf"of no InternImage known here: {key} is '{value}'") as caught:
        build(PUBLISHED["t"] | {key: value})
    assert "OpenGVLab" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depths": [4, 4, 18]}, "depths.3"),
        ({"channels": "wide"}, "channels"),
        ({"groups": [3, 8, 16, 32]}, "64 channels cannot be split into 3 groups"),
        ({"dw_kernel_size": 4}, "dw_kernel_size has to be odd, not 4"),
        ({"res_post_norm": True, "post_norm": True}, "res_post_norm goes with neither"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused_with_the_reason(change: Config, reason: str) -> None:
    with pytest.raises(CannotLoadModel, match=rf"[(]{reason}"):
        build(PUBLISHED["t"] | change)


# ---- what it computes


@pytest.mark.parametrize(
    ("size", "of_vector", "of_map"),
    [
        ("t", (-0.009523, 0.707699, -0.157859, 0.390715), (0.416561, 0.739991, 0.670721, 0.255962)),
        ("l", (0.094223, -0.063096, 0.006348, -0.07655), (0.088785, 1.457467, 0.342537, 0.354333)),
        ("h", (0.44903, -1.227387, -0.745351, -0.249404), (-0.162333, 0.20817, 0.456873, 0.257571)),
        ("g", (0.587363, -0.781784, -0.452716, 0.437586), (0.302798, 1.116537, 0.728115, 0.910672)),
    ],
)
def test_each_layout_computes_what_the_published_implementation_computes(
    size: str, of_vector: tuple[float, ...], of_map: tuple[float, ...], checkpoint: Callable[[str], Checkpoint]
) -> None:
    """The numbers come from the authors' code (github.com/OpenGVLab/InternImage, fe6cdd2) with these very weights."""
    _, network = checkpoint(size)
    images = pictures(2)
    vector = vectors(network, images)[1, ::20][:4]
    with torch.inference_mode():
        last = network.features(images)[1, ::13].flatten()[:4]
    torch.testing.assert_close(vector, torch.tensor(of_vector), atol=2e-5, rtol=0)
    torch.testing.assert_close(last, torch.tensor(of_map), atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", ["t", "l", "h"])
def test_the_batch_a_picture_is_in_does_not_matter(size: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    _, network = checkpoint(size)
    images = pictures(7)
    together = vectors(network, images)
    alone = torch.cat([vectors(network, image[None]) for image in images])
    backwards = vectors(network, images.flip(0)).flip(0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, backwards, atol=1e-5, rtol=0)
    assert torch.cdist(together, together).fill_diagonal_(9).min() > 0.01  # the pictures do differ


@pytest.mark.parametrize("size", ["t", "l", "h", "g"])
def test_bfloat16_stays_near_to_float32(size: str, checkpoint: Callable[[str], Checkpoint]) -> None:
    folder, network = checkpoint(size)
    coarse = vectors(load(folder).to(torch.bfloat16), pictures(3).bfloat16())
    assert coarse.dtype == torch.bfloat16
    assert functional.cosine_similarity(coarse.float(), vectors(network, pictures(3))).min() > 0.999


def test_channels_last_pixels_and_weights_give_the_same(checkpoint: Callable[[str], Checkpoint]) -> None:
    folder, network = checkpoint("t")
    other: InternImage = load(folder).to(memory_format=torch.channels_last)
    images = pictures(3)
    found = vectors(other, images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, vectors(network, images), atol=1e-5, rtol=0)


def test_sides_that_are_no_multiple_of_32_are_rounded_up(checkpoint: Callable[[str], Checkpoint]) -> None:
    _, network = checkpoint("t")
    images = pictures(1, side=100)[:, :, :70]
    assert network.features(images).shape == (1, 64, 3, 4)
    assert vectors(network, images).isfinite().all()


# ---- from a folder


@pytest.mark.parametrize("size", ["t", "l", "h", "g"])
def test_a_checkpoint_of_the_hub_loads_as_the_network_that_was_saved(
    size: str, checkpoint: Callable[[str], Checkpoint]
) -> None:
    folder, network = checkpoint(size)
    loaded = load(folder)
    assert not loaded.training
    assert loaded.dim == network.dim
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}
    assert torch.equal(vectors(loaded, pictures(2)), vectors(network, pictures(2)))


def test_a_checkpoint_in_shards_loads_as_a_whole_one(tmp_path: Path) -> None:
    network = save(tmp_path, TINY["t"])
    (tmp_path / "model.safetensors").unlink()
    tensors = hub_tensors(network)
    shards = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)}
    for file in set(shards.values()):
        save_file({name: tensor for name, tensor in tensors.items() if shards[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert torch.equal(vectors(load(tmp_path), pictures(1)), vectors(network, pictures(1)))

    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CannotLoadModel, match=r"00002-of-00002[.]safetensors cannot be read") as caught:
        load(tmp_path)
    assert "Fetch all files" in caught.value.hint


def test_weights_stored_in_half_precision_become_float32(tmp_path: Path) -> None:
    network = save(tmp_path, TINY["t"])
    halved = {name: t.half() if t.is_floating_point() else t for name, t in hub_tensors(network).items()}
    save_file(halved, tmp_path / "model.safetensors")
    found = vectors(load(tmp_path), pictures(1))
    torch.testing.assert_close(found, vectors(network, pictures(1)), atol=0.02, rtol=0)


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors["model.levels.1.blocks.0.norm2.0.bias"]


def add(tensors: dict[str, Tensor]) -> None:
    tensors["model.levels.1.blocks.0.dcn.gate"] = torch.zeros(3)


def reshape(tensors: dict[str, Tensor]) -> None:
    tensors["model.patch_embed.conv1.bias"] = torch.zeros(9)


def without_prefix(tensors: dict[str, Tensor]) -> None:
    for name in list(tensors):
        tensors[name.removeprefix("model.")] = tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (drop, r"1 missing \(model.levels.1.blocks.0.norm2.0.bias\)$"),
        (add, r"1 unknown \(model.levels.1.blocks.0.dcn.gate\)$"),
        (reshape, r"1 misshaped \(model.patch_embed.conv1.bias of shape \(9,\) instead of \(4,\)\)$"),
        (without_prefix, r"\d+ missing \(model.patch_embed.conv1.weight, ...\), \d+ unknown \(\S+, ...\)$"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(
    change: Callable[[dict[str, Tensor]], None], fault: str, tmp_path: Path
) -> None:
    network = save(tmp_path, TINY["t"])
    tensors = hub_tensors(network)
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CannotLoadModel) as caught:
        load(tmp_path)
    assert "do not fit its config.json" in caught.value.message
    assert re.search(fault, caught.value.message)
    assert "\n" not in str(caught.value)
    assert caught.value.hint.startswith("Fetch all files of the checkpoint again")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "config.json cannot be read"),
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"[]", "config.json holds no JSON object"),
        ("model.safetensors", None, "model.safetensors cannot be read"),
        ("model.safetensors", b"version https://git-lfs", "model.safetensors cannot be read"),
    ],
)
def test_a_missing_or_broken_file_is_named(file: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    save(tmp_path, TINY["t"])
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(CannotLoadModel, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
