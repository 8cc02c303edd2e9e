"""The transformers loader against transformers itself: every kind of model, tiny, through real files.

transformers is imported by the tests: while they are collected, nothing keeps it off the network yet.
"""

from __future__ import annotations

import json
import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.core.encoding import Payload, agree, embed, photos
from tests.core.published_configs import CONFIGS, PREPROCESSORS
from tests.pictures import draw
from visexplore.core.catalogue import Checkpoint, load_catalogue
from visexplore.core.encoders.encoder import Embeddings, normalise
from visexplore.core.encoders.recipes import ARCHITECTURES, IMAGE_TOWER, TABLE, known_recipe
from visexplore.core.errors import CannotLoadModel, NoTextTower, UserError

pytestmark = pytest.mark.slow

CATALOGUE = [checkpoint for checkpoint in load_catalogue().checkpoints if checkpoint.loader == "transformers"]
TEXTS = ["a red car", "dog", "a very long text " * 40]

Tensor = torch.Tensor


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models wait longer for a second core than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoder_of(tiny: Callable[[str], Path]) -> Callable[[str], Any]:
    """The encoder of a tiny checkpoint of some kind, on the CPU in float32."""
    return cache(lambda kind: load(tiny(kind)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny checkpoint of some kind, which is not to be changed."""
    from tests.core.tiny_transformers import save_checkpoint

    return cache(lambda kind: save_checkpoint(kind, tmp_path_factory.mktemp("checkpoints") / kind))


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Write a tiny checkpoint that the test may change."""
    from tests.core.tiny_transformers import save_checkpoint

    return lambda kind: save_checkpoint(kind, tmp_path / kind)


def entry(folder: Path, **facts: Any) -> Checkpoint:
    return Checkpoint(id=str(folder), loader="transformers", slug="tiny", folder=str(folder), **facts)


def load(folder: Path, *, precision: str = "float32", trust: bool = False, **facts: Any) -> Any:
    from visexplore.core.encoders import transformers_models

    return transformers_models.load(entry(folder, **facts), folder, "cpu", precision, trust_remote_code=trust)


# ---- image embeddings: what the library's documentation computes


def first_token(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).last_hidden_state[:, 0]


def first_two_tokens(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).last_hidden_state[:, :2].mean(1)


def all_but_first(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).last_hidden_state[:, 1:].mean(1)


def every_token(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).last_hidden_state.mean(1)


def pooler(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).pooler_output.flatten(1)


def features(model: Any, inputs: Any) -> Tensor:
    return model.get_image_features(**inputs).pooler_output


def first_feature(model: Any, inputs: Any) -> Tensor:
    return features(model, inputs)[:, 0]


def beside_empty_text(model: Any, inputs: Any) -> Tensor:
    return model(input_ids=torch.tensor([[101, 102]]), **inputs).last_hidden_state


def histogram(model: Any, inputs: Any) -> Tensor:
    return model.get_codebook_probs(inputs["codebook_pixel_values"]).mean((2, 3))


REFERENCES: dict[str, tuple[str, Callable[[Any, Any], Tensor]]] = {
    "clip": ("CLIPModel", features),
    "vit": ("ViTModel", first_token),
    "convnext": ("ConvNextModel", pooler),
    "convnextv2": ("ConvNextV2Model", pooler),
    "beit-fine-tuned": ("BeitModel", pooler),
    "beit-pt22k": ("BeitModel", all_but_first),
    "swin": ("SwinModel", pooler),
    "swinv2": ("Swinv2Model", every_token),
    "deit-distilled": ("DeiTModel", first_two_tokens),
    "deit": ("DeiTModel", first_token),
    "flava": ("FlavaModel", first_feature),
    "align": ("AlignModel", features),
    "vilt": ("ViltModel", lambda model, inputs: beside_empty_text(model, inputs)[:, 3:].mean(1)),
    "vit-gpt2": ("VisionEncoderDecoderModel", lambda model, inputs: first_token(model.encoder, inputs)),
    "efficientnet": ("EfficientNetModel", pooler),
    "florence2": (
        "Florence2ForConditionalGeneration",
        lambda model, inputs: model.model.vision_tower(inputs["pixel_values"]).last_hidden_state.mean((2, 3)),
    ),
    "dalle-dvae": ("FlavaImageCodebook", lambda model, inputs: histogram(model, inputs).sqrt()),
    # not in the catalogue
    "siglip": ("SiglipModel", features),
    "siglip2-naflex": ("Siglip2Model", features),
    "blip": ("BlipModel", features),
    "chinese-clip": ("ChineseCLIPModel", features),
    "metaclip-2": ("MetaClip2Model", features),
    "altclip": ("AltCLIPModel", features),
    "clipseg": ("CLIPSegModel", features),
    "clip-vision": ("CLIPVisionModel", pooler),
    "clip-vision-projected": ("CLIPVisionModelWithProjection", lambda model, inputs: model(**inputs).image_embeds),
    "siglip-vision": ("SiglipVisionModel", pooler),
    "llava": ("LlavaForConditionalGeneration", lambda model, inputs: pooler(model.model.vision_tower, inputs)),
    "paligemma": (
        "PaliGemmaForConditionalGeneration",
        lambda model, inputs: every_token(model.model.vision_tower, inputs),
    ),
    "dinov2": ("Dinov2Model", first_token),
    "dinov2-registers": ("Dinov2WithRegistersModel", first_token),
    "dinov3": ("DINOv3ViTModel", first_token),
    "dinov3-convnext": ("DINOv3ConvNextModel", pooler),
    "vit-mae": ("ViTMAEModel", first_token),
    "ijepa": ("IJepaModel", every_token),
    "resnet": ("ResNetModel", pooler),
    "regnet": ("RegNetModel", pooler),
    "mobilevit": ("MobileViTModel", pooler),
}


@cache
def reference_model(class_name: str, folder: Path) -> Any:
    import transformers

    model = getattr(transformers, class_name).from_pretrained(folder, dtype=torch.float32)
    if class_name == "ViTMAEModel":
        model.config.mask_ratio = 0.0
    return model


@torch.no_grad()
def reference(
    folder: Path, class_name: str, read: Callable[[Any, Any], Tensor], pictures: Any, **options: Any
) -> Embeddings:
    """Embed as the library's documentation does: its processor, its model, one picture at a time."""
    import transformers

    model = reference_model(class_name, folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    if class_name == "FlavaImageCodebook":
        options["return_codebook_pixels"] = True
    if "swin" in class_name.lower():
        options = {"size": {"height": model.config.image_size, "width": model.config.image_size}} | options
    return np.concatenate(
        [read(model, processor(images=picture, return_tensors="pt", **options)).numpy() for picture in pictures]
    )


@pytest.mark.parametrize("kind", REFERENCES)
def test_images_are_embedded_as_the_library_documents(
    kind: str, tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    encoder = encoder_of(kind)
    wanted = reference(tiny(kind), *REFERENCES[kind], photos())
    found = embed(encoder, photos())
    assert found.shape == wanted.shape == (8, encoder.dim)
    assert agree(found, wanted)


MISTAKES: dict[str, tuple[str, Callable[[Any, Any], Tensor], dict[str, Any]]] = {
    "ViT's pooler is random": ("vit", pooler, {}),
    "DeiT's class token alone": ("deit-distilled", first_token, {}),
    "DeiT's pooler is random": ("deit-distilled", pooler, {}),
    "a DeiT that was not distilled, read as if it were": ("deit", first_two_tokens, {}),
    "BEiT's class token, which is untrained": ("beit-pt22k", first_token, {}),
    "BEiT's pooler without weights": ("beit-pt22k", pooler, {}),
    "BEiT's patches without the LayerNorm": ("beit-fine-tuned", all_but_first, {}),
    "ConvNeXt's map without the LayerNorm": (
        "convnext",
        lambda model, inputs: model(**inputs).last_hidden_state.mean((2, 3)),
        {},
    ),
    "FLAVA's second token": ("flava", lambda model, inputs: features(model, inputs)[:, 1], {}),
    "FLAVA's tokens averaged": ("flava", lambda model, inputs: features(model, inputs).mean(1), {}),
    "ViLT's text and class tokens in the mean": (
        "vilt",
        lambda model, inputs: beside_empty_text(model, inputs).mean(1),
        {},
    ),
    "ViLT's class token": ("vilt", lambda model, inputs: beside_empty_text(model, inputs)[:, 0], {}),
    "a histogram without the square root": ("dalle-dvae", histogram, {}),
    "a histogram of unmapped pixels": (
        "dalle-dvae",
        lambda model, inputs: histogram(model, inputs).sqrt(),
        {"codebook_do_map_pixels": False},
    ),
    "a patch taken for a class token": ("ijepa", first_token, {}),
    "ALIGN with mean and deviation": ("align", features, {"do_normalize": True}),
    "ALIGN without the offset": ("align", features, {"rescale_offset": False}),
    "ALIGN not cropped": ("align", features, {"size": {"height": 64, "width": 64}}),
    "EfficientNet normalised once": ("efficientnet", pooler, {"include_top": False}),
    "red and blue left in their places": ("mobilevit", pooler, {"do_flip_channel_order": False}),
    "another mean": ("clip", features, {"image_mean": [0.5, 0.5, 0.5]}),
    "another filter": ("clip", features, {"resample": 2}),
    "a squashed picture": ("clip", features, {"size": {"height": 32, "width": 32}}),
    "Swin at the size of its processor": ("swin", pooler, {"size": {"height": 48, "width": 48}}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_with_the_library_notices_every_usual_mistake(
    mistake: str, tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    kind, read, options = MISTAKES[mistake]
    pictures = [*photos()[:3], draw(1, (300, 180))]
    wrong = reference(tiny(kind), REFERENCES[kind][0], read, pictures, **options)
    assert not agree(embed(encoder_of(kind), pictures), wrong)


def test_a_masked_autoencoder_masks_nothing(tiny: Callable[[str], Path]) -> None:
    encoder = load(tiny("vit-mae"), pooling_choice="mean")
    wanted = reference(tiny("vit-mae"), "ViTMAEModel", all_but_first, photos()[:3])
    assert agree(embed(encoder, photos()[:3]), wanted)


def test_swin_gets_pictures_of_the_size_in_its_config(own: Callable[[str], Path]) -> None:
    folder = own("swinv2")
    from tests.core.tiny_transformers import edit_json

    edit_json(folder / "preprocessor_config.json", size={"height": 48, "width": 48})
    assert load(folder).preprocess(draw(1)).shape == (3, 32, 32)


@pytest.mark.parametrize("kind", ["vit", "align", "vilt", "siglip2-naflex"])
def test_the_batch_a_picture_is_in_does_not_matter(kind: str, encoder_of: Callable[[str], Any]) -> None:
    encoder = encoder_of(kind)
    pictures = [*photos()[:5], photos()[0].rotate(90, expand=True), draw(1, (300, 80))]
    together = embed(encoder, pictures)
    np.testing.assert_allclose(together, [embed(encoder, [picture])[0] for picture in pictures], atol=1e-5)
    np.testing.assert_allclose(together, embed(encoder, pictures[::-1])[::-1], atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "vilt", "siglip2-naflex"])
def test_many_threads_preprocess_and_embed_at_once(kind: str, encoder_of: Callable[[str], Any]) -> None:
    encoder = encoder_of(kind)
    wanted = embed(encoder, photos())
    found: list[Embeddings] = []
    threads = [threading.Thread(target=lambda: found.append(embed(encoder, photos()))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for vectors in found:
        np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_preprocessing_leaves_the_number_of_threads_as_it_was(tiny: Callable[[str], Path]) -> None:
    encoder = load(tiny("vit"))
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        encoder.preprocess(draw(1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["clip", "align", "vilt", "siglip2-naflex", "dalle-dvae", "florence2", "beit-pt22k"])
def test_half_precision_stays_near_to_float32(kind: str, tiny: Callable[[str], Path]) -> None:
    exact, coarse = (load(tiny(kind), precision=precision) for precision in ("float32", "bfloat16"))
    one, other = (embed(encoder, photos()[:3]) for encoder in (exact, coarse))
    assert next(coarse.tower.parameters()).dtype == torch.bfloat16
    assert np.sum(one * other, axis=1).min() > 0.99
    assert not np.array_equal(one, other)


def test_weights_in_half_precision_are_computed_with_in_float32(
    tmp_path: Path, tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    import transformers

    folder = shutil.copytree(tiny("clip"), tmp_path / "half")
    transformers.CLIPModel.from_pretrained(tiny("clip"), dtype=torch.float16).save_pretrained(folder)
    encoder = load(folder)
    for found, wanted in (
        (embed(encoder, photos()[:3]), reference(folder, *REFERENCES["clip"], photos()[:3])),
        (encoder.embed_texts(TEXTS), reference_texts(folder, "CLIPModel", TEXTS, 77)),
    ):
        np.testing.assert_allclose(found, normalise(wanted), atol=1e-6)
    assert not np.array_equal(encoder.embed_texts(TEXTS), encoder_of("clip").embed_texts(TEXTS))


# ---- poolings


def tokens(model: Any, inputs: Any) -> Tensor:
    return model(**inputs).last_hidden_state


def normed_tokens(model: Any, inputs: Any) -> Tensor:
    tower = model.vision_model
    return tower.post_layernorm(tower(**inputs).last_hidden_state)


def gem(patches: Tensor) -> Tensor:
    return patches.clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)


OTHER_POOLINGS: list[tuple[str, str, Callable[[Any, Any], Tensor]]] = [
    ("clip", "projected", features),
    ("clip", "unprojected", lambda model, inputs: pooler(model.vision_model, inputs)),
    *(
        (kind, "unprojected", lambda model, inputs: pooler(model.vision_model, inputs))
        for kind in ("chinese-clip", "metaclip-2", "altclip", "clipseg")
    ),
    ("clip", "cls", lambda model, inputs: normed_tokens(model, inputs)[:, 0]),
    ("clip", "mean", lambda model, inputs: normed_tokens(model, inputs)[:, 1:].mean(1)),
    ("clip", "gem", lambda model, inputs: gem(normed_tokens(model, inputs)[:, 1:])),
    ("flava", "projected", first_feature),
    ("flava", "unprojected", lambda model, inputs: first_token(model.image_model, inputs)),
    ("flava", "mean", lambda model, inputs: all_but_first(model.image_model, inputs)),
    ("align", "projected", features),
    ("align", "gem", lambda model, inputs: gem(model.vision_model(**inputs).last_hidden_state.flatten(2).mT)),
    ("siglip", "projected", features),
    ("siglip", "mean", lambda model, inputs: every_token(model.vision_model, inputs)),
    ("clip-vision-projected", "unprojected", lambda model, inputs: normed_tokens(model, inputs)[:, 0]),
    ("vit", "mean", all_but_first),
    ("vit", "gem", lambda model, inputs: gem(tokens(model, inputs)[:, 1:])),
    ("deit-distilled", "cls", first_token),
    ("deit-distilled", "mean", lambda model, inputs: tokens(model, inputs)[:, 2:].mean(1)),
    ("dinov2-registers", "mean", lambda model, inputs: tokens(model, inputs)[:, 5:].mean(1)),
    ("dinov3", "mean", lambda model, inputs: tokens(model, inputs)[:, 5:].mean(1)),
    ("beit-fine-tuned", "mean", all_but_first),
    ("swinv2", "gem", lambda model, inputs: gem(tokens(model, inputs))),
    ("convnext", "mean", lambda model, inputs: tokens(model, inputs).mean((2, 3))),
    ("vilt", "gem", lambda model, inputs: gem(beside_empty_text(model, inputs)[:, 3:])),
    ("vilt", "cls", lambda model, inputs: beside_empty_text(model, inputs)[:, 0]),
    ("vit-gpt2", "mean", lambda model, inputs: all_but_first(model.encoder, inputs)),
    ("dalle-dvae", "mean", histogram),
]


@pytest.mark.parametrize(("kind", "choice", "read"), OTHER_POOLINGS, ids=[f"{k}@{c}" for k, c, _ in OTHER_POOLINGS])
def test_another_pooling_keeps_what_it_says(
    kind: str, choice: str, read: Callable[[Any, Any], Tensor], tiny: Callable[[str], Path]
) -> None:
    encoder = load(tiny(kind), pooling_choice=choice)
    wanted = reference(tiny(kind), REFERENCES[kind][0], read, photos()[:4])
    found = embed(encoder, photos()[:4])
    assert found.shape == wanted.shape == (4, encoder.dim)
    assert agree(found, wanted)


def test_class_token_and_mean_are_kept_side_by_side(tiny: Callable[[str], Path]) -> None:
    encoder = load(tiny("vit"), pooling_choice="cls+mean")
    one, other = (reference(tiny("vit"), "ViTModel", read, photos()[:4]) for read in (first_token, all_but_first))
    assert encoder.dim == 64
    assert agree(embed(encoder, photos()[:4]), np.concatenate([normalise(one), normalise(other)], axis=1))


@pytest.mark.parametrize(
    ("kind", "lacks", "offers"),
    [
        ("vit", "projected", "cls, mean, cls+mean, gem"),
        ("swin", "cls", "mean, gem"),
        ("resnet", "cls", "mean, gem"),
        ("ijepa", "cls+mean", "mean, gem"),
        ("align", "unprojected", "mean, gem, projected"),
        ("siglip", "cls", "mean, gem, projected"),
        ("vilt", "projected", "cls, mean, cls+mean, gem"),
    ],
)
def test_a_pooling_that_a_model_lacks_is_refused_when_it_is_loaded(
    kind: str, lacks: str, offers: str, tiny: Callable[[str], Path]
) -> None:
    with pytest.raises(UserError, match=re.escape(f"tiny has no pooling '{lacks}'")) as caught:
        load(tiny(kind), pooling_choice=lacks)
    assert f"It offers {offers}, and" in caught.value.hint


# ---- preprocessing


@pytest.mark.parametrize("checkpoint", CATALOGUE, ids=lambda checkpoint: checkpoint.slug)
def test_pictures_are_prepared_as_the_published_file_says(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Up to bytes, then by mean and deviation: the same as the library's own way with the files of the hub."""
    import transformers

    from visexplore.core.encoders.transformers_pictures import Pictures

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PREPROCESSORS[checkpoint.hub_id]))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": CONFIGS[checkpoint.hub_id]["model_type"]}))
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="torchvision")
    recipe = known_recipe(CONFIGS[checkpoint.hub_id])
    assert recipe
    pictures = Pictures("tiny", processor, recipe, checkpoint.input_size or 0)
    for picture in (photos()[0], photos()[4], draw(1, (640, 480))):
        wanted = processor(images=picture, return_tensors="pt", **recipe.processor_options)[recipe.pixels][0].numpy()
        pixels = pictures(picture)
        assert pixels.dtype == np.uint8
        if len(pixels) == 4:
            height, width = wanted.shape[1:]
            assert (pixels[3] > 0).sum() == height * width
            assert (pixels[3, :height, :width] == 255).all()
            pixels = pixels[:3, :height, :width]
        mean, std = (np.array(values[:3])[:, None, None] for values in (pictures.mean, pictures.std))
        np.testing.assert_allclose((pixels / 255 - mean) / std, wanted, atol=1e-5)
        if checkpoint.slug not in ("vilt-b32", "vilt-b32-vqa"):
            assert wanted.shape == (3, checkpoint.input_size, checkpoint.input_size)


@pytest.mark.parametrize("kind", ["clip", "vit", "align", "vilt", "siglip2-naflex", "dinov2"])
@pytest.mark.parametrize("size", [(1, 60_000), (60_001, 1), (3, 20_000), (1, 1)])
def test_a_thread_of_pixels_does_not_blow_up_the_memory(
    size: tuple[int, int], kind: str, encoder_of: Callable[[str], Any]
) -> None:
    encoder = encoder_of(kind)
    pixels = encoder.preprocess(Image.new("RGB", size, (200, 100, 50)))
    assert pixels.shape == encoder.preprocess(draw(1)).shape
    shown = pixels[:3, pixels[3] > 0] if len(pixels) == 4 else pixels.reshape(3, -1)
    assert shown.mean(axis=1) == pytest.approx([200, 100, 50], abs=1)


@pytest.mark.parametrize("size", [(30, 500), (700, 40)])
@pytest.mark.parametrize("kind", ["clip", "vit", "align"])
def test_a_very_long_picture_is_embedded_as_the_library_does(
    kind: str, size: tuple[int, int], tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    pictures = [draw(seed, size) for seed in range(4)]
    assert agree(embed(encoder_of(kind), pictures), reference(tiny(kind), *REFERENCES[kind], pictures))


@pytest.mark.parametrize("kind", ["vit", "align"])
def test_nothing_is_cut_off_a_picture_that_is_squashed(
    kind: str, tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    pictures = [draw(seed, (3000, 20)) for seed in range(4)]
    assert agree(embed(encoder_of(kind), pictures), reference(tiny(kind), *REFERENCES[kind], pictures))


def test_pictures_are_squashed_where_the_preprocessing_keeps_their_shape(tiny: Callable[[str], Path]) -> None:
    encoder = load(tiny("yolos"))
    assert encoder.preprocess(draw(1, (300, 100))).shape == encoder.preprocess(draw(1, (100, 300))).shape == (3, 32, 32)
    assert "pictures are squashed to 32 x 32." in encoder.remarks[-1]


@pytest.mark.parametrize(
    ("kind", "processor"),
    [("clip", "CLIPImageProcessor"), ("vit", "ViTImageProcessor"), ("vit-gpt2", "ViTImageProcessor")],
)
def test_without_a_preprocessing_file_the_usual_one_is_taken_and_told(
    kind: str, processor: str, own: Callable[[str], Path], tiny: Callable[[str], Path]
) -> None:
    folder = own(kind)
    (folder / "preprocessor_config.json").unlink()
    encoder = load(folder)
    # The tiny checkpoints were saved with the usual settings, for their size.
    assert agree(embed(encoder, photos()[:4]), embed(load(tiny(kind)), photos()[:4]))
    assert encoder.remarks[-1] == (
        f"It has no preprocessor_config.json: pictures are prepared as {processor} does by default, at 32 x 32 pixels."
    )


def test_the_codebook_needs_no_preprocessing_file(own: Callable[[str], Path]) -> None:
    """Its repository has none; the settings are those of the file of the model that it belongs to."""
    import transformers

    folder = own("dalle-dvae")
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSORS["facebook/flava-full"]))
    wanted = transformers.AutoImageProcessor.from_pretrained(folder)(
        images=photos()[0], return_codebook_pixels=True, do_rescale=False, codebook_do_rescale=False,
        codebook_do_normalize=False, codebook_do_map_pixels=False, do_normalize=False, return_tensors="pt",
    )["codebook_pixel_values"][0]  # fmt: skip
    (folder / "preprocessor_config.json").unlink()
    np.testing.assert_array_equal(load(folder).preprocess(photos()[0]), wanted.numpy())


def test_a_processor_saved_with_its_tokenizer_is_found(
    own: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    import transformers

    folder = own("clip")
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    processor.save_pretrained(folder)
    assert not (folder / "preprocessor_config.json").exists()
    encoder = load(folder, family="clip")
    assert encoder.remarks == ()
    assert encoder.preprocessing == encoder_of("clip").preprocessing


def test_without_any_preprocessing_to_go_by_there_is_one_sentence(tmp_path: Path) -> None:
    import transformers

    config = transformers.VitDetConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32)
    transformers.VitDetModel(config).save_pretrained(tmp_path)
    with pytest.raises(CannotLoadModel, match=r"tiny has no preprocessor_config\.json in .*, so nothing tells how"):
        load(tmp_path)


def test_pictures_that_are_no_pictures_any_more_are_one_sentence(tiny: Callable[[str], Path]) -> None:
    """Some models take a list of patches that no picture can be made of again."""
    with pytest.raises(CannotLoadModel, match="its Qwen2VLImageProcessor makes no pictures of three"):
        load(tiny("qwen2-vl"))


def test_the_preprocessing_tells_what_decides_the_pixels(tiny: Callable[[str], Path]) -> None:
    settings = json.loads(load(tiny("clip")).preprocessing)["pictures"]
    assert (settings["image_processor_type"], settings["resample"]) == ("CLIPImageProcessor", 3)
    assert settings["mean"] == pytest.approx(PREPROCESSORS["openai/clip-vit-base-patch32"]["image_mean"], abs=1e-6)
    assert load(tiny("clip")).preprocessing == load(tiny("clip")).preprocessing


# ---- texts


@torch.no_grad()
def reference_texts(folder: Path, class_name: str, texts: list[str], length: int) -> Embeddings:
    import transformers

    model = reference_model(class_name, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        ids = tokenizer([text], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        found.append(model.get_text_features(**ids).pooler_output)
    vectors = torch.cat(found)
    return (vectors[:, 0] if vectors.ndim == 3 else vectors).numpy()


LENGTHS = {"clip": 77, "flava": 77, "align": 64, "siglip": 64, "siglip2-naflex": 64, "blip": 80}


@pytest.mark.parametrize("kind", LENGTHS)
def test_texts_are_embedded_as_the_library_documents(
    kind: str, tiny: Callable[[str], Path], encoder_of: Callable[[str], Any]
) -> None:
    encoder = encoder_of(kind)
    wanted = reference_texts(tiny(kind), REFERENCES[kind][0], TEXTS, LENGTHS[kind])
    found = encoder.embed_texts(TEXTS)
    assert found.dtype == np.float32
    assert found.shape == (3, encoder.dim)
    assert agree(found, wanted)
    assert agree(np.concatenate([encoder.embed_texts([text]) for text in TEXTS]), wanted)


def test_the_padding_of_siglip_matters(tiny: Callable[[str], Path]) -> None:
    encoder = load(tiny("siglip"))
    assert not agree(encoder.embed_texts(TEXTS[:2]), reference_texts(tiny("siglip"), "SiglipModel", TEXTS[:2], 16))


def test_the_text_tower_stays_in_float32(tiny: Callable[[str], Path]) -> None:
    coarse, exact = (load(tiny("clip"), precision=precision) for precision in ("bfloat16", "float32"))
    np.testing.assert_array_equal(coarse.embed_texts(TEXTS), exact.embed_texts(TEXTS))


@pytest.mark.parametrize("kind", ["vit", "vilt", "vit-gpt2", "llava", "florence2", "clip-vision-projected"])
def test_a_model_without_texts_says_so(kind: str, tiny: Callable[[str], Path]) -> None:
    with pytest.raises(NoTextTower, match="tiny cannot search by text: it embeds images only"):
        load(tiny(kind)).embed_texts(["a red car"])


@pytest.mark.parametrize("choice", ["cls", "unprojected"])
def test_the_projected_vectors_alone_share_a_space_with_texts(choice: str, tiny: Callable[[str], Path]) -> None:
    assert load(tiny("clip"), pooling_choice="projected").embed_texts(TEXTS).shape == (3, 24)
    assert load(tiny("clip"), pooling_choice=choice).dim == 32  # the explorer refuses texts before it comes here


def test_a_missing_tokenizer_matters_to_texts_alone(own: Callable[[str], Path]) -> None:
    folder = own("clip")
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / name).unlink(missing_ok=True)
    encoder = load(folder)
    assert embed(encoder, photos()[:2]).shape == (2, 24)
    with pytest.raises(CannotLoadModel, match=r"tiny has no tokenizer in .*, so it cannot embed texts"):
        encoder.embed_texts(["a red car"])


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="it is installed here")
def test_a_tokenizer_that_needs_another_package_says_which(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("siglip")
    edit_json(folder / "tokenizer_config.json", tokenizer_class="SiglipTokenizer")
    with pytest.raises(CannotLoadModel, match="SiglipTokenizer requires the SentencePiece library") as caught:
        load(folder).embed_texts(["a red car"])
    assert caught.value.hint.endswith("uv pip install sentencepiece protobuf")


def test_a_damaged_tokenizer_is_one_sentence(own: Callable[[str], Path]) -> None:
    folder = own("clip")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(CannotLoadModel, match=r"The tokenizer of tiny in .* cannot be loaded"):
        load(folder).embed_texts(["a red car"])


def test_a_tokenizer_of_another_model_is_one_sentence(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_weights

    folder = own("clip")
    name = "text_model.embeddings.token_embedding.weight"
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 20
    (folder / "config.json").write_text(json.dumps(config))
    edit_weights(folder, lambda weights: weights | {name: weights[name][:20].clone()})
    with pytest.raises(CannotLoadModel, match="The tokenizer of tiny does not fit its text tower"):
        load(folder).embed_texts(["a red car"])


# ---- what is loaded and what is dropped


@pytest.mark.parametrize(
    ("kind", "dropped"),
    [
        ("clip", "text"),
        ("flava", "text multimodal _to_mm_"),
        ("vit-gpt2", "decoder"),
        ("florence2", "language"),
        ("llava", "language"),
        ("vit-mae", "decoder"),
    ],
)
def test_only_what_an_image_needs_goes_to_the_device(kind: str, dropped: str, tiny: Callable[[str], Path]) -> None:
    names = [name for name, _ in load(tiny(kind)).tower.named_parameters()]
    assert names
    assert not [name for name in names for part in dropped.split() if part in name]


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [
        ("clip", "visual_projection"),
        ("clip", "vision_model.encoder.layers.1."),
        ("vit", "vit.encoder.layer.1."),
        ("siglip", "vision_model.head"),
        ("align", "vision_model.encoder.blocks.3."),
        ("swin", "swin.layernorm"),
        ("dalle-dvae", "blocks.output"),
        ("vit-gpt2", "encoder.layernorm"),
    ],
)
def test_weights_that_are_not_in_the_file_are_an_error(kind: str, beginning: str, own: Callable[[str], Path]) -> None:
    """The library itself would go on with random numbers."""
    from tests.core.tiny_transformers import edit_weights

    folder = own(kind)

    def without(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        left = {name: weight for name, weight in weights.items() if not name.startswith(beginning)}
        assert len(left) < len(weights)
        return left

    edit_weights(folder, without)
    with pytest.raises(CannotLoadModel, match=r"are not complete: \d+ that an embedding needs are missing, such as "):
        load(folder)


def test_weights_that_no_vector_needs_may_be_missing(own: Callable[[str], Path], tiny: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_weights

    folder = own("flava")
    needless = ("image_model.pooler", "multimodal_model", "mm_projection", "mask_token", "logit_scale")
    edit_weights(folder, lambda all_of: {k: v for k, v in all_of.items() if not any(part in k for part in needless)})
    encoder = load(folder)
    assert agree(embed(encoder, photos()[:3]), embed(load(tiny("flava")), photos()[:3]))
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS), load(tiny("flava")).embed_texts(TEXTS))


def test_a_dual_encoder_without_text_weights_embeds_images_alone(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_weights

    folder = own("clip")
    edit_weights(folder, lambda weights: {k: v for k, v in weights.items() if not k.startswith("text_model")})
    encoder = load(folder)
    assert encoder.dim == 24
    with pytest.raises(NoTextTower, match="the weights of its text tower are not in the checkpoint"):
        encoder.embed_texts(["a red car"])


def test_a_captioning_model_without_the_shared_space_keeps_its_image_tower(tmp_path: Path) -> None:
    import transformers

    from tests.core.encoding import randomise
    from tests.core.tiny_transformers import KINDS

    model, processor, _ = KINDS["blip"]()
    captioner = randomise(transformers.BlipForConditionalGeneration(model.config))
    captioner.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    encoder = load(tmp_path)
    wanted = reference(
        tmp_path, "BlipForConditionalGeneration", lambda m, inputs: first_token(m.vision_model, inputs), photos()[:3]
    )
    assert agree(embed(encoder, photos()[:3]), wanted)
    assert "its vision_model alone: kept is the class token" in encoder.remarks[0]


def test_what_was_derived_is_told(tiny: Callable[[str], Path]) -> None:
    """For ids outside the catalogue; of those inside it tells itself."""
    assert load(tiny("ijepa")).remarks == (
        "By its config.json it is of the type ijepa: kept is the mean of the patch tokens, or of the last feature map.",
    )
    assert "kept is the image embedding of the space that it shares with texts." in load(tiny("siglip")).remarks[0]
    assert "of the type llava, its vision_tower alone: kept is the class token" in load(tiny("llava")).remarks[0]
    assert "kept is the mean of the patch tokens" in load(tiny("clip"), pooling_choice="mean").remarks[0]
    assert load(tiny("clip"), family="clip").remarks == ()


def test_loading_and_embedding_print_nothing(tiny: Callable[[str], Path]) -> None:
    """A report of weights that were left out, or a bar, would be drawn into the screen."""
    code = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.transformers_models import load
for name in sys.argv[1:]:
    checkpoint = Checkpoint(id=name, loader="transformers", slug="tiny", folder=name)
    encoder = load(checkpoint, Path(name), "cpu", "float32", trust_remote_code=False)
    encoder.embed_images(encoder.preprocess(Image.new("RGB", (60, 40)))[None])
encoder.embed_texts(["a red car"])
"""
    folders = [str(tiny(kind)) for kind in ("vit", "beit-pt22k", "flava", "vit-gpt2", "vilt", "clip")]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- files that are no use


def test_a_pickled_state_dict_is_read(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    import transformers

    model = transformers.ViTModel.from_pretrained(tiny("vit"), add_pooling_layer=False)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    transformers.AutoImageProcessor.from_pretrained(tiny("vit")).save_pretrained(tmp_path)
    assert agree(embed(load(tmp_path), photos()[:3]), embed(load(tiny("vit")), photos()[:3]))


@pytest.mark.parametrize("write", [lambda state, file: pickle.dump(state, file, protocol=2), torch.save])
def test_code_in_a_pickle_does_not_run(write: Any, own: Callable[[str], Path], tmp_path: Path) -> None:
    folder = own("vit")
    (folder / "model.safetensors").unlink()
    mark = tmp_path / "it-ran"
    with (folder / "pytorch_model.bin").open("wb") as file:
        write({"layernorm.weight": Payload(f"touch {mark}")}, file)
    with pytest.raises(CannotLoadModel, match=r"The weights of tiny in .* cannot be loaded"):
        load(folder)
    assert not mark.exists()


MODELING = """
from pathlib import Path
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

Path({mark!r}).touch()


class OddConfig(PreTrainedConfig):
    model_type = "odd_net"

    def __init__(self, width=16, **rest):
        self.width = width
        self.image_size = 32
        super().__init__(**rest)


class OddModel(PreTrainedModel):
    config_class = OddConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.patches = torch.nn.Conv2d(3, config.width, 8, 8)
        self.post_init()

    def forward(self, pixel_values):
        return BaseModelOutputWithPooling(last_hidden_state=self.patches(pixel_values))
"""


@pytest.fixture
def with_code(own: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Tensor]:
    """A checkpoint that needs its own code, the file that this code makes when it runs, and its only weights."""
    from safetensors.torch import save_file

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, mark = own("vit"), tmp_path / "it-ran"
    (folder / "modeling_odd.py").write_text(MODELING.format(mark=str(mark)))
    references = {"AutoConfig": "modeling_odd.OddConfig", "AutoModel": "modeling_odd.OddModel"}
    config = {"model_type": "odd_net", "auto_map": references, "architectures": ["OddModel"], "width": 16}
    (folder / "config.json").write_text(json.dumps(config))
    weight = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    save_file({"patches.weight": weight, "patches.bias": torch.zeros(16)}, folder / "model.safetensors")
    return folder, mark, weight


def test_code_that_comes_with_weights_does_not_run_by_itself(with_code: tuple[Path, Path, Tensor]) -> None:
    folder, mark, _ = with_code
    with pytest.raises(CannotLoadModel, match="needs Python code that comes with its weights") as caught:
        load(folder, hub_id="someone/odd-net")
    assert caught.value.hint.endswith("--trust-remote-code someone/odd-net")
    assert not mark.exists()


def test_code_that_is_trusted_runs(with_code: tuple[Path, Path, Tensor]) -> None:
    folder, mark, weight = with_code
    encoder = load(folder, trust=True)
    assert mark.exists()
    pixels = np.stack([encoder.preprocess(picture) for picture in photos()[:4]])
    normalised = torch.from_numpy(pixels).float() / 127.5 - 1
    wanted = torch.nn.functional.conv2d(normalised, weight, stride=8).mean((2, 3)).numpy()
    assert agree(encoder.embed_images(pixels), wanted)
    assert "of the type odd_net: kept is the mean of the patch tokens" in encoder.remarks[0]


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_trust_in_a_repository_is_no_trust_in_another(file: str, with_code: tuple[Path, Path, Tensor]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder, mark, _ = with_code
    facts = json.loads((folder / file).read_text()).get("auto_map", {})
    edit_json(folder / file, auto_map=facts | {"AutoImageProcessor": ["stranger/net--modeling_odd.Own", None]})
    with pytest.raises(CannotLoadModel, match=f"runs Python code of another repository, stranger/net, says its {file}"):
        load(folder, trust=True)
    assert not mark.exists()


def test_code_beside_a_type_that_transformers_knows_is_not_needed(
    own: Callable[[str], Path], tiny: Callable[[str], Path]
) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("vit")
    edit_json(folder / "config.json", auto_map={"AutoModel": "modeling.Own"})
    assert agree(embed(load(folder), photos()[:2]), embed(load(tiny("vit")), photos()[:2]))


def test_code_for_the_preprocessing_does_not_run_by_itself(own: Callable[[str], Path], tmp_path: Path) -> None:
    from tests.core.tiny_transformers import edit_json

    folder, mark = own("vit"), tmp_path / "it-ran"
    (folder / "processing.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    edit_json(
        folder / "preprocessor_config.json",
        image_processor_type="Own", auto_map={"AutoImageProcessor": "processing.Own"},
    )  # fmt: skip
    edit_json(folder / "config.json", model_type="vitdet", architectures=["VitDetModel"])
    with pytest.raises(CannotLoadModel):
        load(folder)
    assert not mark.exists()


def test_a_truncated_file_is_one_sentence(own: Callable[[str], Path]) -> None:
    file = own("vit") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CannotLoadModel, match=r"The weights of tiny in .* cannot be loaded"):
        load(file.parent)


def test_missing_weights_are_one_sentence(own: Callable[[str], Path]) -> None:
    folder = own("vit")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CannotLoadModel, match=r"The weights of tiny in .* cannot be loaded"):
        load(folder)


def test_weights_of_another_shape_are_one_sentence(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("vit")
    edit_json(folder / "config.json", hidden_size=64)
    with pytest.raises(CannotLoadModel, match=r"The weights of tiny in .* cannot be loaded"):
        load(folder)


def test_pictures_of_another_size_than_the_model_takes_are_one_sentence(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("vit")
    edit_json(folder / "preprocessor_config.json", size={"height": 40, "width": 40})
    with pytest.raises(CannotLoadModel, match=r"as a model of the type vit it cannot embed a picture \(Input image"):
        load(folder)


def test_a_package_that_is_missing_is_named(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("vit")
    edit_json(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    with pytest.raises(CannotLoadModel, match="bitsandbytes") as caught:
        load(folder)
    assert caught.value.hint == "Install the package that it names: uv pip install NAME"


def test_weights_of_another_architecture_are_one_sentence(own: Callable[[str], Path]) -> None:
    from tests.core.tiny_transformers import edit_json

    folder = own("vit")
    edit_json(folder / "config.json", model_type="dinov2", architectures=["Dinov2Model"])
    with pytest.raises(CannotLoadModel, match="are not complete"):
        load(folder)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("not JSON", r"config\.json cannot be read"),
        ("[]", r"config\.json names no model_type"),
        ('{"architecture": "test_vit"}', r"config\.json names no model_type"),
        ('{"model_type": 3}', r"config\.json names no model_type"),
        ('{"model_type": "no_such_net"}', "does not know 'no_such_net', which tiny is"),
        ('{"model_type": "vit", "hidden_size": "wide"}', "cannot be loaded"),
        ('{"model_type": "bert"}', "tiny is of the type bert, which embeds no pictures"),
        ('{"model_type": "llama"}', "tiny is of the type llama, which embeds no pictures"),
        ('{"model_type": "whisper"}', "tiny is of the type whisper, which embeds no pictures"),
        ('{"model_type": "clap"}', "tiny is of the type clap, which embeds no pictures"),
        ('{"model_type": "videomae"}', "tiny is of the type videomae, which embeds no pictures"),
    ],
)
def test_a_config_of_no_use_is_one_sentence(config: str, message: str, own: Callable[[str], Path]) -> None:
    folder = own("vit")
    (folder / "config.json").write_text(config)
    with pytest.raises(CannotLoadModel, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_config_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotLoadModel, match=r"config\.json cannot be read"):
        load(tmp_path)


def test_a_damaged_preprocessing_file_is_one_sentence(own: Callable[[str], Path]) -> None:
    folder = own("vit")
    (folder / "preprocessor_config.json").write_text("{")
    with pytest.raises(CannotLoadModel, match=r"The preprocessor_config\.json of tiny in .* cannot be loaded"):
        load(folder)


# ---- the table


def test_every_checkpoint_of_the_catalogue_is_read_by_the_table() -> None:
    for checkpoint in CATALOGUE:
        assert known_recipe(CONFIGS[checkpoint.hub_id]), checkpoint.slug


def test_the_table_says_in_words_what_is_kept() -> None:
    for name, recipe in (TABLE | ARCHITECTURES).items():
        assert len(recipe.words) > 20, name
    assert TABLE["deit"].words.startswith("the mean of the class and the distillation token (")
    assert TABLE["vision-encoder-decoder"].words == "what is kept of the model's encoder alone (the decoder is dropped)"


def test_a_part_is_read_as_its_own_type_is() -> None:
    recipe = known_recipe({"model_type": "vision-encoder-decoder", "encoder": {"model_type": "deit"}})
    assert recipe
    assert (recipe.part, recipe.vectors, recipe.auto_class) == ("encoder", ("special",), "VisionEncoderDecoderModel")
    unknown = known_recipe({"model_type": "vision-encoder-decoder", "encoder": {"model_type": "new"}})
    assert unknown
    assert unknown.vectors == IMAGE_TOWER.vectors


def test_the_table_is_read_without_importing_a_library() -> None:
    code = (
        "import sys; from visexplore.core.encoders import recipes; "
        "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout
    assert "transformers" not in done.stdout
