from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import SHARED_DATA
from tests.core.tiny_models import save_checkpoint
from tests.pictures import draw, encoded
from visexplore.core.catalogue import Checkpoint, load_catalogue
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder, Recipe, load_encoder, locate, recipe_of
from visexplore.core.encoders.device import check_precision, choose_device, report_device, usable_cores
from visexplore.core.encoders.encoder import Embeddings, normalise
from visexplore.core.errors import CannotLoadModel, NoTextTower, UnknownModel, UserError
from visexplore.core.images import decode

BUNDLED = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """Real photos where they are there, the drawings of the sample where not."""
    if SHARED_DATA.is_dir():
        files = [sorted((SHARED_DATA / name).rglob("*.jpg"))[::60][:4] for name in ("clothing", "stanford-cars")]
        return [file.read_bytes() for few in files for file in few]
    sample = open_dataset("sample")
    return [sample.read(record) for record in sample.records[::25][:8]]


def embed(encoder: Encoder, photos: list[bytes]) -> Embeddings:
    return encoder.embed_images(np.stack([encoder.preprocess(decode(photo)) for photo in photos]))


def cosines(one: Embeddings, other: Embeddings) -> np.ndarray[Any, Any]:
    return np.sum(normalise(one) * normalise(other), axis=1)


def plain_timm(model: Any, photos: list[bytes], **changes: Any) -> Embeddings:
    """Embed as timm's own documentation does: its evaluation transform, its model, one picture at a time."""
    import timm.data
    import torch

    config = timm.data.resolve_model_data_config(model) | changes
    transform = timm.data.create_transform(**config, is_training=False)
    found = []
    with torch.inference_mode():
        for photo in photos:
            pixels = transform(Image.open(io.BytesIO(photo)).convert("RGB"))
            found.append(model.eval()(pixels[None])[0].numpy())
    return np.stack(found)


@cache
def with_bundled_weights(architecture: str, slug: str) -> Any:
    """Build a timm model by hand, with the weights of the installed package."""
    from importlib.metadata import files

    import timm
    import torch

    package = load_catalogue().resolve(slug).package
    assert package
    [weights] = [file.locate() for file in files(package) or () if file.suffix == ".pth"]
    model = timm.create_model(architecture)
    state = torch.load(str(weights), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    model.reset_classifier(0)
    return model


# ---- the bundled models against plain timm


@pytest.mark.parametrize("slug", BUNDLED)
def test_a_bundled_model_embeds_as_plain_timm_does(
    slug: str, bundled: Callable[[str], Encoder], photos: list[bytes]
) -> None:
    reference = plain_timm(with_bundled_weights(f"tf_{slug.replace('-', '_')}", slug), photos)
    ours = embed(bundled(slug), photos)
    assert ours.shape == reference.shape == (8, 1280)
    assert cosines(ours, reference).min() >= 0.9999


@pytest.mark.parametrize("mistake", ["mean and deviation", "padding", "interpolation", "crop", "colour order"])
def test_the_comparison_with_plain_timm_notices_every_usual_mistake(
    mistake: str, lite0: Encoder, photos: list[bytes]
) -> None:
    photos = photos[:4]
    right, changes = "tf_efficientnet_lite0", {}
    match mistake:
        case "mean and deviation":
            changes = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        case "padding":
            right = "efficientnet_lite0"
        case "interpolation":
            changes = {"interpolation": "bilinear"}
        case "crop":
            changes = {"crop_pct": 0.9}
        case _:
            photos = [encoded(Image.merge("RGB", decode(photo).split()[::-1])) for photo in photos]
    wrong = plain_timm(with_bundled_weights(right, "efficientnet-lite0"), photos, **changes)
    originals = photos if mistake != "colour order" else [
        encoded(Image.merge("RGB", decode(photo).split()[::-1])) for photo in photos
    ]  # fmt: skip
    assert cosines(embed(lite0, originals), wrong).min() < 0.9999


def test_the_batch_a_picture_is_in_does_not_matter(lite0: Encoder, photos: list[bytes]) -> None:
    together = embed(lite0, photos[:7])
    alone = np.concatenate([embed(lite0, [photo]) for photo in photos[:7]])
    backwards = embed(lite0, photos[:7][::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)


def test_embeddings_are_float32_of_length_one(lite0: Encoder, photos: list[bytes]) -> None:
    found = embed(lite0, photos[:3])
    assert (found.dtype, found.shape) == (np.float32, (3, lite0.dim))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_preprocessing_gives_bytes_not_yet_normalised(lite0: Encoder) -> None:
    pixels = lite0.preprocess(draw(1, (300, 200)))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, 224, 224))


def test_bfloat16_stays_near_to_float32(lite0: Encoder, photos: list[bytes]) -> None:
    coarse = load_encoder(lite0.checkpoint, device="cpu", precision="bf16")
    assert coarse.recipe.digest != lite0.recipe.digest
    assert cosines(embed(coarse, photos[:4]), embed(lite0, photos[:4])).min() > 0.99


def test_a_large_photo_embeds_as_plain_timm_does(lite0: Encoder, photos: list[bytes]) -> None:
    """Decoding it at half the size would be quicker, but costs more than the tolerance."""
    small = decode(photos[0])
    large = [encoded(small.resize((2400, 3000), Image.Resampling.BICUBIC), "JPEG")]
    reference = plain_timm(with_bundled_weights("tf_efficientnet_lite0", "efficientnet-lite0"), large)
    assert cosines(embed(lite0, large), reference).min() >= 0.9999


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 40_000)])
def test_a_thread_of_pixels_does_not_blow_up_the_memory(size: tuple[int, int], lite0: Encoder) -> None:
    """Resizing the shorter side of a 1 x 60,000 picture to 256 pixels would make the other 15 million."""
    pixels = lite0.preprocess(Image.new("RGB", size, (200, 100, 50)))
    assert pixels.shape == (3, 224, 224)
    assert pixels.reshape(3, -1).mean(axis=1) == pytest.approx([200, 100, 50], abs=1)


@pytest.mark.parametrize("size", [(90, 1500), (1700, 100)])
def test_a_very_long_picture_embeds_as_plain_timm_does(size: tuple[int, int], lite0: Encoder) -> None:
    photos = [encoded(draw(seed, size)) for seed in range(4)]
    reference = plain_timm(with_bundled_weights("tf_efficientnet_lite0", "efficientnet-lite0"), photos)
    assert cosines(embed(lite0, photos), reference).min() >= 0.9999


def test_a_model_without_texts_says_which_ones_have_them(lite0: Encoder) -> None:
    with pytest.raises(NoTextTower, match="efficientnet-lite0 cannot search by text: it embeds images only") as caught:
        lite0.embed_texts(["a red car"])
    assert "visexplore models" in caught.value.hint


# ---- a local checkpoint folder


@pytest.mark.parametrize("architecture", ["test_vit", "test_convnext", "test_byobnet"])
def test_a_folder_that_timm_wrote_is_loaded_as_it_was_saved(
    architecture: str, tmp_path: Path, photos: list[bytes]
) -> None:
    model = save_checkpoint(tmp_path, architecture, side=32 if architecture == "test_vit" else 64)
    encoder = load_encoder(load_catalogue().resolve(str(tmp_path)), device="cpu")
    reference = plain_timm(model, photos[:4])
    ours = embed(encoder, photos[:4])
    assert ours.shape == reference.shape == (4, encoder.dim)
    assert cosines(ours, reference).min() >= 0.9999


def test_a_network_for_one_input_size_is_built_for_the_size_of_its_weights(tmp_path: Path) -> None:
    """Left alone, timm builds it for the architecture's size and resamples the position embeddings, silently."""
    save_checkpoint(tmp_path, "test_vit", side=32)
    encoder = load_encoder(load_catalogue().resolve(str(tmp_path)), device="cpu")
    assert encoder.preprocess(draw(1)).shape == (3, 32, 32)


def test_changed_weights_in_a_folder_are_another_recipe(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "test_convnext", side=64)
    checkpoint = load_catalogue().resolve(str(tmp_path))
    before = recipe_of(checkpoint)
    os.utime(tmp_path / "model.safetensors", ns=(0, 1))
    assert recipe_of(checkpoint).digest != before.digest


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ("{}", CannotLoadModel, "names no architecture"),
        ("not JSON", CannotLoadModel, "config.json cannot be read"),
        ("[]", CannotLoadModel, "names no architecture"),
        ('{"architecture": "no_such_net"}', UnknownModel, "timm does not know"),
        ('{"architecture": "test_vit"}', CannotLoadModel, "weights in .* cannot be loaded"),
        ('{"architecture": "test_vit", "pretrained_cfg": null}', CannotLoadModel, "weights in .* cannot be loaded"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_one_sentence(
    config: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(config)
    checkpoint = Checkpoint(id=str(tmp_path), loader="timm", slug="mine", folder=str(tmp_path))
    with pytest.raises(error, match=message):
        load_encoder(checkpoint, device="cpu")


def test_weights_of_another_architecture_are_one_sentence(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "test_convnext", side=64)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": "test_byobnet"}))
    with pytest.raises(CannotLoadModel, match="cannot be loaded") as caught:
        load_encoder(load_catalogue().resolve(str(tmp_path)), device="cpu")
    assert "\n" not in str(caught.value)


class Payload:
    """What pickles into a call."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def test_weights_that_are_a_program_are_not_run(tmp_path: Path) -> None:
    folder, trace = tmp_path / "model", tmp_path / "trace"
    save_checkpoint(folder, "test_convnext", side=64)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(f"touch {trace}")))
    with pytest.raises(CannotLoadModel):
        load_encoder(load_catalogue().resolve(str(folder)), device="cpu")
    assert not trace.exists()


# ---- what cannot be loaded


def test_a_name_that_timm_does_not_know_is_answered_with_close_ones() -> None:
    with pytest.raises(UnknownModel, match="knows no model 'resnet5000'") as caught:
        locate(load_catalogue().resolve("timm:resnet5000"))
    assert "resnet" in caught.value.hint


def test_weights_that_are_not_here_are_one_sentence_that_says_how_to_fetch_them() -> None:
    with pytest.raises(CannotLoadModel, match="not on this machine") as caught:
        load_encoder(load_catalogue().resolve("davit-tiny"), device="cpu")
    assert caught.value.hint == "Fetch them (113 MB): visexplore models fetch davit-tiny"


def test_without_its_package_a_bundled_model_is_one_of_the_hub() -> None:
    checkpoint = replace(load_catalogue().resolve("efficientnet-lite0"), package="no-such-weights")
    with pytest.raises(CannotLoadModel, match="not on this machine"):
        load_encoder(checkpoint, device="cpu")


def test_weights_that_were_never_released_say_so() -> None:
    checkpoint = Checkpoint(id="google/simvlm", loader="transformers", unreleased="Google kept them")
    with pytest.raises(CannotLoadModel, match="simvlm were never released: Google kept them"):
        recipe_of(checkpoint)


@pytest.mark.slow
def test_offline_opens_no_socket() -> None:
    code = """
import os, sys
for name in ("HF_HUB_OFFLINE", "HF_HOME"):
    os.environ.pop(name, None)
sys.addaudithook(lambda event, args: event in ("socket.connect", "socket.getaddrinfo") and os._exit(9))
from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders import load_encoder
from visexplore.core.errors import CannotLoadModel
load_encoder(load_catalogue().resolve("efficientnet-lite0"), device="cpu")
try:
    load_encoder(load_catalogue().resolve("timm:resnet18.a1_in1k"), device="cpu")
except CannotLoadModel:
    print("no socket")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout) == (0, "no socket\n"), done.stderr


# ---- devices and precisions


@pytest.mark.parametrize("wanted", ["tpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_does_not_exist_is_the_users_mistake(wanted: str) -> None:
    with pytest.raises(UserError):
        choose_device(wanted)


def test_the_processor_can_always_be_chosen() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == report_device().device


@pytest.mark.parametrize(("wanted", "name"), [("fp32", "float32"), ("bf16", "bfloat16"), ("float16", "float16")])
def test_precisions_have_short_names(wanted: str, name: str) -> None:
    assert check_precision(wanted) == name


def test_an_unknown_precision_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="'int8' is no precision"):
        recipe_of(load_catalogue().resolve("efficientnet-lite0"), "int8")


def test_only_cores_that_this_process_may_use_are_counted() -> None:
    code = "from visexplore.core.encoders.device import usable_cores; print(usable_cores())"
    done = subprocess.run(["taskset", "-c", "0", sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no taskset: {done.stderr.strip()}")
    assert done.stdout == "1\n"
    assert usable_cores() >= 1


# ---- recipes


RECIPE = Recipe("timm:net", "package 1.0", "checkpoint", "pre-logits", "float32")
fields = st.text(max_size=20)


@pytest.mark.parametrize("field", ["checkpoint", "revision", "preprocessing", "pooling", "precision"])
def test_a_recipe_that_differs_in_any_field_has_another_digest(field: str) -> None:
    assert replace(RECIPE, **{field: "other"}).digest != RECIPE.digest


@given(st.builds(Recipe, fields, fields, fields, fields, fields))
def test_a_recipe_survives_its_json(recipe: Recipe) -> None:
    again = Recipe(**json.loads(json.dumps(asdict(recipe))))
    assert (again, again.digest) == (recipe, recipe.digest)


def test_the_recipe_is_known_before_the_model_is_loaded(lite0: Encoder) -> None:
    assert recipe_of(load_catalogue().resolve("efficientnet-lite0")) == lite0.recipe


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_normalised_rows_have_length_one_and_zeros_stay_zeros(rows: list[list[float]]) -> None:
    found = normalise(np.array(rows, np.float32))
    lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    small = np.linalg.norm(np.array(rows, np.float64), axis=1) < 1e-15
    assert np.isfinite(found).all()
    assert np.abs(lengths[~small] - 1 < 1e-5).all()
    assert not found[np.all(np.array(rows) == 0, axis=1)].any()
