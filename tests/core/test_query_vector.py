"""Mixes and parts of images as vectors: against numpy, and on photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.core.test_explorer import embed, hits, new_explorer
from tests.pictures import draw, encoded, png
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import NoTextTower, UnknownImage, UnreadableImage, UserError
from visexplore.core.explorer import Explorer
from visexplore.core.images import decode
from visexplore.core.messages import Box, QueryPart, QueryResult
from visexplore.core.query_mix import kinds_in, parse_mix
from visexplore.core.search.query_vector import mix

Fill = Callable[[Mapping[str, int | bytes]], Path]
LITE0 = "efficientnet-lite0"


@pytest.fixture
def loaded(lite0: Encoder) -> Explorer:
    """An explorer that has the default model loaded already."""
    explorer = new_explorer()
    explorer._encoders.put(lite0)
    return explorer


@pytest.fixture
def spec(loaded: Explorer, fill: Fill) -> str:
    """A folder of ten drawings that is embedded."""
    folder = fill({f"{number}.png": number for number in range(10)})
    embed(loaded, folder, LITE0)
    return str(folder)


def ask(explorer: Explorer, spec: str, expression: str, k: int = 5) -> QueryResult:
    parts = parse_mix(expression, kinds_in(explorer.dataset(spec).position_of))
    return explorer.query(spec, [LITE0], parts=parts, k=k)


def scores(result: QueryResult) -> dict[str, float]:
    return {neighbour.image_id: neighbour.score for neighbour in result.results[0].neighbours}


def unit(encoder: Encoder, data: bytes, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    picture = decode(data)
    return encoder.embed_images(encoder.preprocess(picture.crop(box) if box else picture)[None])[0].astype(np.float64)


# ---- the sum


def test_a_mix_is_the_normalised_weighted_sum_of_unit_vectors() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    weights = [2.0, 0.5, -1.0]
    units = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    total = (np.array(weights)[:, None] * units).sum(0)
    np.testing.assert_allclose(mix(vectors, weights), total / np.linalg.norm(total), atol=1e-6)


@given(st.lists(st.floats(-5, 5).filter(lambda w: abs(w) > 0.1), min_size=1, max_size=5), st.floats(0.1, 100))
def test_only_the_proportions_of_weights_matter(weights: list[float], factor: float) -> None:
    vectors = np.random.default_rng(1).normal(size=(len(weights), 16)).astype(np.float32)
    once = mix(vectors, weights)
    np.testing.assert_allclose(mix(vectors * 3, np.array(weights) * factor), once, atol=1e-4)
    assert np.linalg.norm(once) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]])
def test_nothing_left_is_an_error(weights: list[float]) -> None:
    vector = np.random.default_rng(0).normal(size=4).astype(np.float32)
    with pytest.raises(UserError, match="cancel each other out"):
        mix(np.stack([vector, vector]), weights)


# ---- mixes


def test_a_mix_of_stored_images_loads_no_model(loaded: Explorer, spec: str) -> None:
    other = new_explorer()
    found = ask(other, spec, "1.png + 2.png - 0.5:3.png", k=20)
    assert len(other._encoders) == 0
    assert set(hits(found)) == {f"{number}.png" for number in (0, 4, 5, 6, 7, 8, 9)}  # not what it is made of
    assert all(neighbour.percentile is None for neighbour in found.results[0].neighbours)


def test_its_scores_are_those_of_numpy(loaded: Explorer, spec: str, lite0: Encoder) -> None:
    weights = {1: 1.0, 2: 2.0, 3: -0.5}
    total = np.sum([weight * unit(lite0, png(number)) for number, weight in weights.items()], axis=0)
    vector = total / np.linalg.norm(total)
    found = scores(ask(loaded, spec, "1.png + 2:2.png - 0.5:3.png", k=10))
    for number in (0, 4, 5, 6, 7, 8, 9):
        assert found[f"{number}.png"] == pytest.approx(float(vector @ unit(lite0, png(number))), abs=2e-3)


def test_outside_pictures_and_parts_of_images_take_part(
    loaded: Explorer, spec: str, lite0: Encoder, tmp_path: Path
) -> None:
    (tmp_path / "outside.png").write_bytes(png(40))
    found = ask(loaded, spec, f"1.png[0,0,0.5,1] + {tmp_path / 'outside.png'}", k=10)
    picture = decode(png(1))
    total = unit(lite0, png(1), (0, 0, round(picture.width / 2), picture.height)) + unit(lite0, png(40))
    expected = normalise(total) @ unit(lite0, png(5))
    assert scores(found)["5.png"] == pytest.approx(float(expected), abs=2e-3)
    assert found.query.picture == QueryPart(
        image_id="1.png", path=found.query.parts[0].path, crop=Box(0.0, 0.0, 0.5, 1.0)
    )


def test_words_need_a_text_tower(loaded: Explorer, spec: str) -> None:
    with pytest.raises(NoTextTower, match="Some that can: clip-vit-b32"):
        ask(loaded, spec, "1.png + red")


def test_one_image_with_a_weight_is_no_mix(loaded: Explorer, spec: str) -> None:
    found = ask(loaded, spec, "3:1.png")
    assert found.query.image_id == "1.png"
    assert hits(found) == hits(loaded.query(spec, [LITE0], image_id="1.png"))


def test_images_that_cancel_each_other_out_are_told(loaded: Explorer, spec: str) -> None:
    with pytest.raises(UserError, match="nothing is left to search with"):
        ask(loaded, spec, "1.png - 1.png")


def test_what_is_not_there_is_named(loaded: Explorer, spec: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"There is no file '\./gone\.jpg'"):
        ask(loaded, spec, "1.png + ./gone.jpg")
    with pytest.raises(UnreadableImage, match=r"bad\.jpg.*Not an image"):
        ask(loaded, spec, f"1.png + {tmp_path / 'bad.jpg'}")
    with pytest.raises(UnknownImage):
        loaded.query(spec, [LITE0], parts=[QueryPart(image_id="gone"), QueryPart(image_id="1.png")])


def test_a_result_says_what_it_is_of(loaded: Explorer, spec: str) -> None:
    query = ask(loaded, spec, "1.png - 0.5:2.png").as_json()["query"]
    assert [(part["weight"], part["image_id"]) for part in query["parts"]] == [(1.0, "1.png"), (-0.5, "2.png")]
    assert "crop" not in query


# ---- parts of an image


def test_a_part_is_searched_with_alone(loaded: Explorer, spec: str, lite0: Encoder) -> None:
    found = loaded.query(spec, [LITE0], image_id="1.png", crop=Box(0.25, 0.5, 0.75, 1), k=10)
    picture = decode(png(1))
    box = (picture.width // 4, picture.height // 2, round(picture.width * 0.75), picture.height)
    vector = unit(lite0, png(1), box)
    assert "1.png" not in hits(found)
    for number in (0, 5, 9):
        assert scores(found)[f"{number}.png"] == pytest.approx(float(vector @ unit(lite0, png(number))), abs=2e-3)
    assert found.as_json()["query"]["crop"] == {"left": 0.25, "top": 0.5, "right": 0.75, "bottom": 1}


def test_a_part_is_one_of_the_upright_picture(loaded: Explorer, spec: str) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    lying = encoded(draw(3, (80, 40)), "PNG", exif=exif)
    upright = encoded(decode(lying), "PNG")
    box = Box(0, 0, 1, 0.5)
    first, second = (scores(loaded.query(spec, [LITE0], image=data, name="x", crop=box)) for data in (lying, upright))
    assert first == second


def test_words_have_no_part(loaded: Explorer, spec: str) -> None:
    with pytest.raises(UserError, match="Only a picture can be searched with in part"):
        loaded.query(spec, [LITE0], text="red", crop=Box(0, 0, 0.5, 1))


def test_the_picture_of_a_part(loaded: Explorer) -> None:
    picture = loaded.picture(encoded(draw(1, (400, 200)), "PNG"), 100, Box(0, 0, 0.5, 1))
    assert (picture.width, picture.height) == (100, 100)


def test_strips_show_the_part_and_the_mix(loaded: Explorer, spec: str, tmp_path: Path) -> None:
    results = (
        loaded.query(spec, [LITE0], image_id="1.png", crop=Box(0, 0, 0.5, 1)),
        ask(loaded, spec, "1.png + 2.png"),
    )
    for number, result in enumerate(results):
        [file] = loaded.save_strips(result, [LITE0], tmp_path / str(number))
        assert file.is_file()


@pytest.mark.slow
def test_the_part_with_the_object_finds_it_where_the_whole_does_not(
    loaded: Explorer, shared_photos: Path, folder: Path
) -> None:
    """A scene of four photos: each quarter finds its own photo, the scene as a whole finds at most one of them."""
    files = sorted((shared_photos / "grocery-val").rglob("*.jpg"))[::4][:60]
    for number, file in enumerate(files):
        shutil.copy(file, folder / f"{number:02}.jpg")
    embed(loaded, folder, LITE0)
    chosen, side = (3, 21, 38, 55), 256
    scene = Image.new("RGB", (2 * side, 2 * side))
    quarters = [(0, 0), (1, 0), (0, 1), (1, 1)]
    for number, (x, y) in zip(chosen, quarters, strict=True):
        photo = decode((folder / f"{number:02}.jpg").read_bytes()).resize((side, side))
        scene.paste(photo, (x * side, y * side))
    data = encoded(scene, "PNG")
    for number, (x, y) in zip(chosen, quarters, strict=True):
        box = Box(x / 2, y / 2, (x + 1) / 2, (y + 1) / 2)
        found = loaded.query(str(folder), [LITE0], image=data, name="scene", crop=box, k=1)
        assert hits(found) == [f"{number:02}.jpg"]
        whole = scores(loaded.query(str(folder), [LITE0], image=data, name="scene", k=60))
        assert found.results[0].neighbours[0].score > whole[f"{number:02}.jpg"]
