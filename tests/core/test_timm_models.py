"""The timm loader against plain timm: every kind of architecture of the catalogue, tiny, through real files.

timm is imported by the tests: while they are collected, nothing keeps it off the network yet.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.core.encoding import Payload, agree, embed, photos, randomise, some
from tests.pictures import draw
from visexplore.core.catalogue import Checkpoint, load_catalogue
from visexplore.core.encoders import Encoder, load_encoder
from visexplore.core.errors import CannotLoadModel, UnknownModel, UserError

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Kind:
    """A kind of architecture: a real one of the catalogue, made tiny."""

    architecture: str
    side: int
    arguments: dict[str, Any]
    poolings: str = "cls mean cls+mean gem"


def transformer(architecture: str, side: int = 32, poolings: str = "cls mean cls+mean gem", **more: Any) -> Kind:
    return Kind(architecture, side, {"img_size": side, "embed_dim": 24, "depth": 2, "num_heads": 2} | more, poolings)


ONE_OF_EACH = (1, 1, 1, 1)
KINDS = {
    "ViT": transformer("vit_base_patch16_224"),
    "ViT without class token": transformer("test_vit2", depth=1, poolings="mean gem"),
    "DeiT": transformer("deit_tiny_patch16_224"),
    "DeiT distilled": transformer("deit_tiny_distilled_patch16_224"),
    "DeiT III": transformer("deit3_base_patch16_224"),
    "BEiT": transformer("beit_base_patch16_224"),
    "BEiT v2": transformer("beitv2_base_patch16_224"),
    "BEiT-3": transformer("beit3_base_patch16_224"),
    "EVA": transformer("eva_giant_patch14_224", 28),
    "EVA-02": transformer("eva02_tiny_patch14_224", 28, num_heads=3),
    "ConvNeXt": Kind("convnext_tiny", 64, {"depths": ONE_OF_EACH, "dims": (8, 8, 16, 16)}, "mean gem"),
    "Swin v2": Kind(
        "swinv2_tiny_window8_256", 64,
        {"img_size": 64, "embed_dim": 8, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4}, "mean gem",
    ),
    "MaxViT": Kind(
        "maxvit_tiny_tf_224", 64, {"img_size": 64, "embed_dim": (32,) * 4, "depths": ONE_OF_EACH, "stem_width": 16},
        "mean gem",
    ),
    "DaViT": Kind(
        "davit_tiny", 64, {"depths": ONE_OF_EACH, "embed_dims": (8, 16, 16, 32), "num_heads": (2, 2, 2, 2)}, "mean gem"
    ),
    "EfficientNet": Kind("test_efficientnet", 96, {}, "mean gem"),
}  # fmt: skip


def built(kind: Kind, classes: int = 7) -> Any:
    """Build a tiny model that wants other preprocessing than its architecture's usual one."""
    import timm

    overlay = {
        "input_size": (3, kind.side, kind.side), "crop_pct": 0.8, "interpolation": "bilinear",
        "mean": (0.3, 0.4, 0.5), "std": (0.2, 0.25, 0.3),
    }  # fmt: skip
    return randomise(
        timm.create_model(kind.architecture, pretrained_cfg_overlay=overlay, num_classes=classes, **kind.arguments)
    )


def saved(model: Any, folder: Path) -> Path:
    from timm.models import save_for_hf

    save_for_hf(model, folder, safe_serialization=True)
    return folder


def pixels_of(model: Any, **changes: Any) -> torch.Tensor:
    """Prepare the photos as timm's documentation does."""
    import timm

    config = timm.data.resolve_model_data_config(model) | changes
    transform = timm.data.create_transform(**config, is_training=False)
    return torch.stack([transform(photo) for photo in some()])


@torch.inference_mode()
def plain_timm(model: Any, **changes: Any) -> Any:
    """Embed the photos as timm's documentation does, one picture at a time; the classifier is left out."""
    images = pixels_of(model, **changes)
    return np.concatenate(
        [model.forward_head(model.forward_features(image[None]), pre_logits=True).numpy() for image in images]
    )


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def model(kind: Kind) -> Any:
    return built(kind)


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as timm writes it for the hub."""
    return saved(model, tmp_path_factory.mktemp("models") / "mine")


def from_folder(folder: Path, pooling: str = "") -> Encoder:
    return load_encoder(load_catalogue().resolve(f"{folder}@{pooling}" if pooling else str(folder)), device="cpu")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return from_folder(folder)


# ---- every kind of architecture


def test_a_folder_embeds_as_plain_timm_does(encoder: Encoder, model: Any) -> None:
    reference = plain_timm(model)
    ours = embed(encoder, some())
    assert ours.shape == reference.shape == (4, encoder.dim)
    assert agree(ours, reference)


def test_the_batch_a_picture_is_in_and_its_place_there_do_not_matter(encoder: Encoder) -> None:
    seven = photos()[:7]
    together = embed(encoder, seven)
    np.testing.assert_allclose(together, np.concatenate([embed(encoder, [photo]) for photo in seven]), atol=1e-5)
    np.testing.assert_allclose(together, embed(encoder, seven[::-1])[::-1], atol=1e-5)


@torch.inference_mode()
def test_every_pooling_is_of_what_plain_timm_puts_out(kind: Kind, folder: Path, model: Any) -> None:
    features = model.forward_features(pixels_of(model))
    if features.ndim == 4:
        channels = 3 if kind.architecture.startswith("swin") else 1
        patches = features.movedim(channels, -1).flatten(1, 2)
        special = patches[:, :0]
    else:
        special, patches = features[:, : model.num_prefix_tokens], features[:, model.num_prefix_tokens :]
    mean = patches.mean(1)
    expected = {"mean": mean, "gem": patches.clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)}
    if "cls" in kind.poolings:
        cls = special[:, 0]
        expected |= {
            "cls": cls,
            "cls+mean": torch.cat([cls / cls.norm(dim=1)[:, None], mean / mean.norm(dim=1)[:, None]], 1),
        }
    for pooling in kind.poolings.split():
        encoder = from_folder(folder, pooling)
        ours = embed(encoder, some())
        assert ours.shape == (4, encoder.dim) == tuple(expected[pooling].shape), pooling
        assert agree(ours, expected[pooling].numpy()), pooling


@pytest.mark.parametrize("kind", ["BEiT v2", "ViT without class token", "ConvNeXt"], indirect=True)
def test_a_pooling_that_the_architecture_lacks_is_refused_at_loading(kind: Kind, folder: Path) -> None:
    lacking = [name for name in ("cls", "cls+mean", "projected", "unprojected") if name not in kind.poolings.split()]
    for pooling in lacking:
        with pytest.raises(UserError, match=f"mine has no pooling '{pooling}'".replace("+", r"\+")) as caught:
            from_folder(folder, pooling)
        assert caught.value.hint.startswith(f"It offers {', '.join(kind.poolings.split())}, and")


@pytest.mark.parametrize("kind", ["EVA-02", "EfficientNet"], indirect=True)
@pytest.mark.parametrize("mistake", ["mean", "interpolation", "crop_pct"])
def test_the_comparison_notices_wrong_preprocessing(mistake: str, encoder: Encoder, model: Any) -> None:
    wrong = {"mean": (0.485, 0.456, 0.406), "interpolation": "bicubic", "crop_pct": 0.9}
    assert not agree(embed(encoder, some()), plain_timm(model, **{mistake: wrong[mistake]}))


# ---- what a folder says about itself


def rewrite(folder: Path, **changes: Any) -> None:
    """Change a folder's config.json; a value of None removes the key."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_the_size_that_a_network_was_built_for_counts_more_than_that_of_its_architecture(tmp_path: Path) -> None:
    """Files of older timm versions have the true size among the arguments alone."""
    model = built(KINDS["ViT"])
    saved(model, tmp_path)
    rewrite(tmp_path, pretrained_cfg=model.pretrained_cfg | {"input_size": [3, 224, 224], "fixed_input_size": False})
    encoder = from_folder(tmp_path)
    assert encoder.preprocess(draw(1)).shape == (3, 32, 32)
    assert agree(embed(encoder, some()), plain_timm(model))


def test_a_config_of_one_level_is_understood(tmp_path: Path) -> None:
    model = built(KINDS["ConvNeXt"], classes=0)
    saved(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    flat = config["pretrained_cfg"] | {"architecture": "test_convnext", "num_features": 64}
    (tmp_path / "config.json").write_text(json.dumps(flat))
    other = built(Kind("test_convnext", 64, {}), classes=0)
    save_file(other.state_dict(), tmp_path / "model.safetensors")
    assert agree(embed(from_folder(tmp_path), some()), plain_timm(other))


def test_a_folder_without_a_classifier_embeds_the_same(tmp_path: Path) -> None:
    model = built(KINDS["DeiT distilled"])
    saved(model, tmp_path / "whole")
    model.reset_classifier(0)
    saved(model, tmp_path / "bare")
    ours = [embed(from_folder(tmp_path / name), some()) for name in ("whole", "bare")]
    np.testing.assert_array_equal(*ours)


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_other_ways_to_crop_are_as_in_plain_timm(mode: str, tmp_path: Path) -> None:
    import timm

    model = randomise(timm.create_model("test_convnext", pretrained_cfg_overlay={"crop_mode": mode}))
    encoder = from_folder(saved(model, tmp_path))
    assert agree(embed(encoder, some()), plain_timm(model))


@pytest.mark.parametrize("mode", ["squash", "border", "center"])
@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_a_thread_of_pixels_is_embedded_however_it_is_cropped(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    import timm

    model = timm.create_model("test_convnext", pretrained_cfg_overlay={"crop_mode": mode})
    encoder = from_folder(saved(randomise(model), tmp_path))
    assert encoder.preprocess(Image.new("RGB", size, (200, 100, 50))).shape == (3, 160, 160)


def test_a_model_of_grey_pictures_is_refused(tmp_path: Path) -> None:
    import timm

    saved(timm.create_model("test_vit", in_chans=1), tmp_path)
    with pytest.raises(CannotLoadModel, match="takes pictures of 1 channels, not red, green and blue"):
        from_folder(tmp_path)


def test_preprocessing_that_timm_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    model = built(KINDS["ConvNeXt"])
    saved(model, tmp_path)
    rewrite(tmp_path, pretrained_cfg=model.pretrained_cfg | {"interpolation": "guesswork"})
    with pytest.raises(CannotLoadModel, match=r"describes preprocessing that timm does not know \(.*guesswork.*\)"):
        from_folder(tmp_path)


def test_weights_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    """With another number of classes than in the file, timm loads what is there and leaves the rest random."""
    saved(built(KINDS["ViT"]), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["blocks.0.attn.qkv.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(CannotLoadModel, match=r"blocks\.0\.attn\.qkv\.weight"):
        from_folder(tmp_path)


# ---- weights alone


TINY = "test_efficientnet"


def of_file(architecture: str, file: Path) -> Encoder:
    return load_encoder(load_catalogue().resolve(f"timm:{architecture}:{file}"), device="cpu")


def registered(name: str, classes: int | None = None) -> Any:
    import timm

    return randomise(timm.create_model(name, **({} if classes is None else {"num_classes": classes})))


@pytest.mark.parametrize(("ending", "classes"), [("safetensors", 0), ("safetensors", 7), ("pth", 0), ("pth", 1000)])
@pytest.mark.parametrize("architecture", [TINY, "test_vit"])
def test_a_weights_file_embeds_as_plain_timm_does_however_many_classes_it_knows(
    architecture: str, ending: str, classes: int, tmp_path: Path
) -> None:
    model = registered(architecture, classes)
    file = tmp_path / f"weights.{ending}"
    write = save_file if ending == "safetensors" else torch.save
    write(model.state_dict(), file)
    assert agree(embed(of_file(architecture, file), some()), plain_timm(model))


def test_of_a_training_checkpoint_the_averaged_weights_are_taken(tmp_path: Path) -> None:
    model = registered(TINY)
    last = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    file = tmp_path / "checkpoint-12.pth.tar"
    averaged = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": last, "state_dict_ema": averaged, "args": argparse.Namespace(lr=0.1), "epoch": 12}, file)
    assert agree(embed(of_file(TINY, file), some()), plain_timm(model))


def test_weights_as_the_original_authors_name_them_are_understood_where_timm_does(tmp_path: Path) -> None:
    model = registered("convnext_atto")
    theirs = {
        r"^stem\.": "downsample_layers.0.",
        r"^stages\.(\d)\.downsample\.": r"downsample_layers.\1.",
        r"^stages\.(\d)\.blocks\.": r"stages.\1.",
        r"\bconv_dw\b": "dwconv",
        r"\bmlp\.fc(\d)": r"pwconv\1",
        r"^head\.norm\.": "norm.",
        r"^head\.fc\.": "head.",
    }
    original = {}
    for name, tensor in model.state_dict().items():
        for ours, other in theirs.items():
            name = re.sub(ours, other, name)
        original[name] = tensor
    file = tmp_path / "convnext.pth"
    torch.save({"model": original}, file)
    assert agree(embed(of_file("convnext_atto", file), some()), plain_timm(model))


@pytest.mark.parametrize(("ending", "classes"), [("safetensors", 0), ("safetensors", 1000), ("pth", 7)])
@pytest.mark.parametrize("wrong", ["test_vit", "test_efficientnet_gn", "dla46x_c"])
def test_weights_of_another_architecture_are_refused(wrong: str, classes: int, ending: str, tmp_path: Path) -> None:
    """Of `dla46x_c`, timm itself takes any file."""
    file = tmp_path / f"weights.{ending}"
    write = save_file if ending == "safetensors" else torch.save
    write(registered(TINY, classes).state_dict(), file)
    with pytest.raises(CannotLoadModel, match=f"does not hold weights of the architecture {wrong} ") as caught:
        of_file(wrong, file)
    assert "\n" not in str(caught.value)
    assert len(caught.value.message) < 500
    assert caught.value.hint == "Name the architecture that they are for: timm:ARCH:FILE."


NO_WEIGHTS = [b"", b"no weights", pickle.dumps([1, 2]), pickle.dumps({"a": 1}), pickle.dumps({}), b"PK" + bytes(99)]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("safetensors", b""),
        ("safetensors", b"no weights"),
        ("npz", b"no weights"),
        *(("pth", file) for file in NO_WEIGHTS),
    ],
)
def test_a_file_that_holds_no_weights_is_one_sentence(ending: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"weights.{ending}"
    file.write_bytes(content)
    with pytest.raises(CannotLoadModel, match="does not hold weights of the architecture test_vit") as caught:
        of_file("test_vit", file)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_a_weights_file_that_is_a_program_is_not_run(write: Any, tmp_path: Path) -> None:
    file, trace = tmp_path / "weights.pth", tmp_path / "trace"
    with file.open("wb") as stream:
        write({"model": Payload(f"touch {trace}")}, stream)
    with pytest.raises(CannotLoadModel):
        of_file("test_vit", file)
    assert not trace.exists()


def test_a_weights_file_for_an_architecture_that_timm_lacks_is_answered_with_close_ones(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"whatever")
    with pytest.raises(UnknownModel, match="knows no model 'test_vitt'") as caught:
        of_file("test_vitt", file)
    assert "test_vit" in caught.value.hint


# ---- files of the hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def snapshot(hub: Path, repository: str) -> Path:
    """Make the folder of a repository's files as the hub's own library does."""
    place = hub / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0123abc")
    (place / "snapshots" / "0123abc").mkdir(parents=True)
    return place / "snapshots" / "0123abc"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("test_vit.r160_in1k", "model.safetensors"),
        ("test_vit.r160_in1k", "pytorch_model.bin"),
        ("deit_tiny_patch16_224.fb_in1k", "model.safetensors"),
        ("vit_tiny_patch16_224.augreg_in21k", "model.safetensors"),  # known to timm by the file of another library
        ("eva02_tiny_patch14_224.mim_in22k", "model.safetensors"),  # has no classifier
    ],
)
def test_a_name_of_timm_embeds_with_the_weights_of_its_repository(name: str, file: str, hub: Path) -> None:
    model = registered(name)
    write = save_file if file == "model.safetensors" else torch.save
    write(model.state_dict(), snapshot(hub, f"timm/{name}") / file)
    encoder = load_encoder(load_catalogue().resolve(f"timm:{name}"), device="cpu")
    assert encoder.recipe.revision == "hub 0123abc"
    assert agree(embed(encoder, some()), plain_timm(model))


def test_damaged_weights_of_the_hub_are_one_sentence(hub: Path) -> None:
    place = snapshot(hub, "timm/test_vit.r160_in1k")
    save_file(registered("test_vit").state_dict(), place / "model.safetensors")
    whole = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CannotLoadModel, match=r"timm-test-vit-r160-in1k in .* cannot be loaded") as caught:
        load_encoder(load_catalogue().resolve("timm:test_vit.r160_in1k"), device="cpu")
    assert caught.value.hint == "If they are damaged: delete that folder and fetch them again."


def test_a_snapshot_without_weights_says_what_it_lacks(tmp_path: Path) -> None:
    from visexplore.core.encoders.timm_models import load

    with pytest.raises(CannotLoadModel, match=r"there is no model\.safetensors and no pytorch_model\.bin"):
        load(Checkpoint(id="test_vit.r160_in1k", loader="timm"), tmp_path, "cpu", "float32")


def test_loading_writes_nothing_to_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "weights.pth"
    torch.save(registered("test_vit", 7).state_dict(), file)
    of_file("test_vit", file)
    assert capfd.readouterr() == ("", "")


# ---- names


def located(name: str) -> Checkpoint:
    from visexplore.core.encoders.timm_models import locate

    return locate(load_catalogue().resolve(name))


@pytest.mark.parametrize(
    ("name", "full", "repository"),
    [
        ("timm:resnet18", "resnet18.a1_in1k", "timm/resnet18.a1_in1k"),
        ("timm:resnet18.tv_in1k", "resnet18.tv_in1k", "timm/resnet18.tv_in1k"),
        # a name that timm has given up
        ("timm:tf_efficientnet_b0_ns", "tf_efficientnet_b0.ns_jft_in1k", "timm/tf_efficientnet_b0.ns_jft_in1k"),
        # weights that are in nobody's repository but their authors'
        ("timm:davit_base_fl", "davit_base_fl.msft_florence2", "microsoft/Florence-2-base"),
    ],
)
def test_a_name_gets_its_default_weights_and_their_repository(name: str, full: str, repository: str) -> None:
    found = located(name)
    assert (found.id, found.hub_id) == (full, repository)


def test_with_and_without_the_tag_it_is_the_same_checkpoint() -> None:
    assert located("timm:resnet18") == located("timm:resnet18.a1_in1k")
    assert located("timm:resnet18@mean") == located("timm:resnet18.a1_in1k@mean")


def test_the_catalogue_and_timm_agree_on_every_repository() -> None:
    for checkpoint in load_catalogue().checkpoints:
        if checkpoint.loader == "timm":
            assert located(checkpoint.key).hub_id == checkpoint.hub_id


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("timm:resnet5000", "knows no model 'resnet5000'", "resnet50"),
        ("timm:resnet18.a7_in1k", "knows no weights 'a7_in1k' of resnet18", "resnet18.a1_in1k"),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(name: str, message: str, hint: str) -> None:
    with pytest.raises(UnknownModel, match=message) as caught:
        located(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("timm:gcvit_tiny.in1k", "Download https://"),
        ("timm:coatnet_0_224", "Close to it: coatnet_"),
    ],
)
def test_a_model_without_a_repository_says_what_else_there_is(name: str, hint: str) -> None:
    with pytest.raises(CannotLoadModel, match="knows no hub repository with weights of") as caught:
        located(name)
    assert caught.value.hint.startswith(hint)
