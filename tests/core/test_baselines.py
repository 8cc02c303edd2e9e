"""Encoders without weights: chance, colours, a perceptual hash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visexplore.core.catalogue import BASELINES, WeightsStatus, load_catalogue, runs_here, weights_status
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder, load_encoder, recipe_of
from visexplore.core.errors import UnknownModel
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.explorer import Explorer
from visexplore.core.images import decode
from visexplore.core.settings import Settings

CATALOGUE = load_catalogue()


def encoder_of(name: str) -> Encoder:
    return load_encoder(CATALOGUE.resolve(f"baseline:{name}"))


def embed(name: str, *pictures: Image.Image) -> np.ndarray:
    encoder = encoder_of(name)
    return encoder.embed_images(np.stack([encoder.preprocess(picture) for picture in pictures]))


def noise(seed: int, width: int = 60, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "picture",
    [Image.new("RGB", (1, 1), "red"), Image.new("RGB", (50, 20)), Image.new("RGB", (3, 4000), "white"), noise(0)],
    ids=["one pixel", "black", "long", "noise"],
)
def test_any_picture_becomes_a_vector_of_length_one(name: str, picture: Image.Image) -> None:
    [vector] = embed(name, picture)
    assert vector.dtype == np.float32
    assert vector.shape == (BASELINES[name][0],)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_a_batch_gives_what_one_by_one_gives(name: str) -> None:
    pictures = [noise(seed) for seed in range(3)]
    np.testing.assert_array_equal(embed(name, *pictures), np.concatenate([embed(name, one) for one in pictures]))


def test_chance_is_the_same_for_the_same_pixels_and_unrelated_for_others() -> None:
    one, same, other = embed("random", noise(0), noise(0), noise(1))
    np.testing.assert_array_equal(one, same)
    assert abs(float(one @ other)) < 0.5


def test_colours_stay_the_same_however_they_are_arranged() -> None:
    pixels = np.array(noise(3, 64, 64))
    mixed = np.random.default_rng(0).permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
    one, other = embed("colour", Image.fromarray(pixels), Image.fromarray(mixed))
    assert float(one @ other) == pytest.approx(1, abs=1e-6)


def test_cosine_of_colours_is_the_bhattacharyya_coefficient() -> None:
    half = Image.new("RGB", (64, 64), "red")
    half.paste("blue", (0, 0, 32, 64))
    red, mixed, blue = embed("colour", Image.new("RGB", (64, 64), "red"), half, Image.new("RGB", (9, 9), "blue"))
    assert float(red @ blue) == 0
    assert float(red @ mixed) == pytest.approx(np.sqrt(0.5), abs=1e-6)


def test_a_hash_survives_what_does_not_change_the_shapes_and_is_64_bits() -> None:
    photo = decode(open_dataset("sample").read(open_dataset("sample").records[0]))
    darker = photo.point(lambda value: int(value * 0.8)).resize((photo.width * 2, photo.height * 2))
    one, same, other = embed("phash", photo, darker, photo.rotate(90))
    bits = (one > 0, same > 0, other > 0)
    assert np.allclose(np.abs(one), 1 / 8)
    assert (bits[0] != bits[1]).sum() <= 8
    assert (bits[0] != bits[2]).sum() > 16
    assert float(one @ other) == pytest.approx(1 - 2 * (bits[0] != bits[2]).sum() / 64, abs=1e-6)


def test_colours_and_hash_are_better_than_chance_on_the_sample(tmp_path: Path) -> None:
    explorer = Explorer(Settings(tmp_path, tmp_path / "models.toml", offline=True))
    list(explorer.embed("sample", [f"baseline:{name}" for name in BASELINES]))
    dataset = explorer.dataset("sample")
    names = list(dataset.label_counts)
    labels = np.array([names.index(record.label or "") for record in dataset.records], np.int32)
    found = {}
    for name in BASELINES:
        space = explorer.space("sample", f"baseline:{name}")
        assert isinstance(space, EmbeddingSpace)
        found[name] = score(space, Protocol(labels, space.positions, space.positions)).mean("map_at_r")
    assert found["colour"] > 2 * found["random"]
    assert found["phash"] > 2 * found["random"]


@pytest.mark.parametrize("name", ["baseline:colour", "baseline-colour", "BASELINE:Colour"])
def test_a_baseline_is_found_by_its_name_and_its_slug(name: str) -> None:
    checkpoint = CATALOGUE.resolve(name)
    assert (checkpoint.loader, checkpoint.id, checkpoint.slug) == ("baseline", "colour", "baseline-colour")
    assert CATALOGUE.resolve(checkpoint.key) == checkpoint
    assert weights_status(checkpoint) is WeightsStatus.BUNDLED
    assert runs_here(checkpoint)


@pytest.mark.parametrize("name", ["baseline:depth", "baseline:", "baseline:colour@mean"])
def test_an_unknown_baseline_is_told(name: str) -> None:
    with pytest.raises(UnknownModel):
        CATALOGUE.resolve(name)


def test_baselines_are_in_no_list_of_models() -> None:
    assert not [checkpoint for checkpoint in CATALOGUE.checkpoints if checkpoint.loader == "baseline"]


def test_the_recipe_of_a_baseline_knows_one_precision() -> None:
    checkpoint = CATALOGUE.resolve("baseline:phash")
    assert recipe_of(checkpoint) == recipe_of(checkpoint, "fp16")
    assert recipe_of(checkpoint).precision == "float32"


def test_a_baseline_is_loaded_without_torch() -> None:
    program = (
        "import sys; from visexplore.core.catalogue import load_catalogue; from visexplore.core.encoders import "
        "load_encoder; load_encoder(load_catalogue().resolve('baseline:colour')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
