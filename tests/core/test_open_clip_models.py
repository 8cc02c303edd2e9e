"""The open_clip loader against plain open_clip: every kind of tower, tiny, through files as the hub has them.

open_clip is imported by the tests: while they are collected, nothing keeps it off the network yet.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.core.encoding import Payload, agree, embed, photos, randomise, some
from visexplore.core.catalogue import Checkpoint, load_catalogue
from visexplore.core.encoders import Encoder, load_encoder, locate
from visexplore.core.encoders.encoder import Embeddings, normalise
from visexplore.core.errors import CannotLoadModel, NoTextTower, UnknownModel, UserError

pytestmark = pytest.mark.slow

TEXTS = ["a red car", "a photo of two dresses on a rail", "x"]

VISION = {"layers": 2, "width": 64, "head_width": 32, "patch_size": 16, "image_size": 32}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
CAPTIONS = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1, "attn_pooler_heads": 2}
OF_TIMM = {"image_size": 160, "timm_model_name": "test_vit", "timm_model_pretrained": True}
OF_HUGGING_FACE = {
    "hf_model_name": "xlm-roberta-base", "hf_tokenizer_name": "xlm-roberta-base", "hf_pooler_type": "mean_pooler",
    "context_length": 16,
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of model, and what is special about its weights.

    Attributes:
        config: open_clip's description of the architecture.
        tag: what its registry says of the weights.
        poolings: that can be chosen.
    """

    config: dict[str, Any]
    tag: dict[str, Any]
    poolings: str


CLIP_TAG = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.25), "interpolation": "bicubic", "resize_mode": "shortest"}
SIGLIP_TAG = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "squash"}
CLIPA_TAG = {"mean": (0.4,) * 3, "std": (0.2,) * 3, "interpolation": "bilinear", "resize_mode": "longest"}
ALL = "cls mean cls+mean gem projected unprojected"


def config(vision: dict[str, Any], text: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text} | more


KINDS = {
    "CLIP": Kind(config(VISION, TEXT), CLIP_TAG, ALL),
    "CLIP of OpenAI": Kind(config(VISION, TEXT), CLIP_TAG | {"quick_gelu": True}, ALL),
    "CLIP with QuickGELU in its architecture": Kind(config(VISION, TEXT, quick_gelu=True), CLIP_TAG, ALL),
    "CLIPA": Kind(config(VISION | {"pool_type": "avg", "final_ln_after_pool": True}, TEXT), CLIPA_TAG, ALL),
    "wide": Kind(config(VISION | {"image_size": [32, 64]}, TEXT), CLIP_TAG, ALL),
    "ResNet": Kind(
        config({"layers": [1, 1, 1, 1], "width": 16, "image_size": 64, "patch_size": None}, TEXT),
        CLIP_TAG, "mean gem projected",
    ),
    "CoCa": Kind(
        config(
            VISION | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
            TEXT | {"embed_cls": True, "output_tokens": True},
            multimodal_cfg=CAPTIONS, custom_text=True,
        ),
        CLIP_TAG, ALL,
    ),
    "EVA-CLIP": Kind(
        config(OF_TIMM | {"timm_pool": "token", "timm_proj": None}, TEXT, custom_text=True), CLIP_TAG, ALL
    ),
    "SigLIP": Kind(
        config(
            OF_TIMM | {"timm_pool": "map", "timm_proj": "none"},
            TEXT | {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
            custom_text=True, init_logit_bias=-10, embed_dim=64,
        ),
        SIGLIP_TAG, "cls mean cls+mean gem projected",
    ),
    "ConvNeXt": Kind(
        config(OF_TIMM | {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "mlp"}, TEXT),
        CLIP_TAG, "mean gem projected unprojected",
    ),
}  # fmt: skip


def built(description: dict[str, Any]) -> Any:
    """Build a model of random weights with open_clip's own classes."""
    import open_clip

    parts = deepcopy(description)
    if "timm_model_pretrained" in parts["vision_cfg"]:
        parts["vision_cfg"]["timm_model_pretrained"] = False
    custom = parts.pop("custom_text", False)
    build = open_clip.CoCa if "multimodal_cfg" in parts else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    return randomise(build(**parts))


def saved(kind: Kind, folder: Path) -> Path:
    """Write a folder as open_clip writes it for the hub."""
    folder.mkdir(parents=True, exist_ok=True)
    tag = dict(kind.tag)
    description = deepcopy(kind.config)
    if tag.pop("quick_gelu", False):
        description["quick_gelu"] = True
    said = {"model_cfg": description, "preprocess_cfg": tag}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    save_file(built(description).state_dict(), folder / "open_clip_model.safetensors")
    return folder


class Plain:
    """A model as open_clip's documentation loads and uses it."""

    def __init__(self, name: str, tag: str | None = None) -> None:
        import open_clip

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model, _, self.transform = open_clip.create_model_and_transforms(name, pretrained=tag)
        self.tokenizer = open_clip.get_tokenizer(name)
        self.model.eval()

    def pixels(self) -> torch.Tensor:
        return torch.stack([self.transform(photo) for photo in some()])

    @torch.inference_mode()
    def images(self) -> Embeddings:
        vectors = [self.model.encode_image(image[None], normalize=True)[0].numpy() for image in self.pixels()]
        return np.stack(vectors)

    @torch.inference_mode()
    def texts(self) -> Embeddings:
        found: Embeddings = self.model.encode_text(self.tokenizer(TEXTS), normalize=True).numpy()
        return found


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def folder(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(kind, tmp_path_factory.mktemp("models") / "mine")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Plain:
    return Plain(f"local-dir:{folder}")


def from_folder(folder: Path, pooling: str = "") -> Encoder:
    return load_encoder(load_catalogue().resolve(f"{folder}@{pooling}" if pooling else str(folder)), device="cpu")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return from_folder(folder)


# ---- every kind of model


def test_a_folder_embeds_images_as_plain_open_clip_does(encoder: Encoder, plain: Plain) -> None:
    reference = plain.images()
    ours = embed(encoder, some())
    assert ours.shape == reference.shape == (4, encoder.dim)
    assert agree(ours, reference)


def test_a_folder_embeds_texts_as_plain_open_clip_does(encoder: Encoder, plain: Plain) -> None:
    ours = encoder.embed_texts(TEXTS)
    assert (ours.shape, ours.dtype) == ((3, encoder.dim), np.float32)
    np.testing.assert_allclose(ours, plain.texts(), atol=1e-5)
    assert np.abs(ours[0] - ours[1]).max() > 0.01


def test_the_batch_a_picture_is_in_and_its_place_there_do_not_matter(encoder: Encoder) -> None:
    seven = photos()[:7]
    together = embed(encoder, seven)
    np.testing.assert_allclose(together, np.concatenate([embed(encoder, [photo]) for photo in seven]), atol=1e-5)
    np.testing.assert_allclose(together, embed(encoder, seven[::-1])[::-1], atol=1e-5)


def test_pixels_are_those_of_open_clip_before_normalisation(encoder: Encoder, plain: Plain) -> None:
    ours = torch.from_numpy(np.stack([encoder.preprocess(photo) for photo in some()]))
    *_, normalisation = plain.transform.transforms
    assert ours.dtype == torch.uint8
    levels = ((normalisation(ours / 255) - plain.pixels()) * 255 * torch.tensor(normalisation.std).view(3, 1, 1)).abs()
    assert levels.max() < 2.1  # torch's resize rounds otherwise than Pillow's, by 2 of 255 at most
    assert (levels > 0.1).float().mean() < 0.01


@torch.inference_mode()
def inside(plain: Plain) -> dict[str, torch.Tensor]:
    """Return what plain open_clip computes on the way to the embedding, caught by hooks."""
    visual = plain.model.visual
    caught: dict[str, torch.Tensor] = {}

    def catch(name: str, module: torch.nn.Module, last: bool = False) -> None:
        def hook(_: Any, given: Any, made: Any) -> None:
            caught[name] = given[0] if last else made

        module.register_forward_hook(hook)

    found: dict[str, torch.Tensor] = {}
    if hasattr(visual, "trunk"):
        tokens = visual.trunk.forward_features(plain.pixels())
        for name, layer in visual.head.named_children():
            if name in ("proj", "mlp"):
                catch("unprojected", layer, last=True)
        if not len(visual.head) and visual.trunk.num_classes:
            catch("unprojected", visual.trunk.head, last=True)
        if tokens.ndim == 4:
            tokens = tokens.flatten(2).transpose(1, 2)
        else:
            found["cls"], tokens = tokens[:, 0], tokens[:, 1:]
        visual(plain.pixels())
    elif hasattr(visual, "layer4"):
        catch("map", visual.layer4)
        visual(plain.pixels())
        tokens = caught.pop("map").flatten(2).transpose(1, 2)
    else:
        catch("tokens", visual.transformer)
        visual(plain.pixels())
        raw = caught.pop("tokens")
        if visual.attn_pool is not None:
            found["unprojected"] = visual.ln_post(visual.attn_pool(raw))[:, 0]
            tokens = visual.attn_pool.ln_k(raw)
        elif visual.final_ln_after_pool:
            found["unprojected"] = visual.ln_post(raw[:, 1:].mean(1))
            tokens = raw
        else:
            tokens = visual.ln_post(raw)
            found["unprojected"] = tokens[:, 0]
        found["cls"], tokens = tokens[:, 0], tokens[:, 1:]
    found |= caught | {"mean": tokens.mean(1), "gem": tokens.clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)}
    found["projected"] = plain.model.encode_image(plain.pixels())
    if "cls" in found:
        parts = [vector / vector.norm(dim=1)[:, None] for vector in (found["cls"], found["mean"])]
        found["cls+mean"] = torch.cat(parts, dim=1)
    return found


def test_every_pooling_is_of_what_plain_open_clip_computes(kind: Kind, folder: Path, plain: Plain) -> None:
    expected = inside(plain)
    assert set(expected) == set(kind.poolings.split())
    for pooling, wanted in expected.items():
        encoder = from_folder(folder, pooling)
        ours = embed(encoder, some())
        assert ours.shape == (4, encoder.dim) == tuple(wanted.shape), pooling
        assert agree(ours, wanted.numpy()), pooling


@pytest.mark.parametrize("kind", ["ResNet", "SigLIP"], indirect=True)
def test_a_pooling_that_a_tower_lacks_is_refused_at_loading(kind: Kind, folder: Path) -> None:
    lacking = next(name for name in ("cls", "unprojected") if name not in kind.poolings.split())
    with pytest.raises(UserError, match=f"mine has no pooling '{lacking}'") as caught:
        from_folder(folder, lacking)
    assert caught.value.hint.startswith(f"It offers {', '.join(kind.poolings.split())}, and")


# ---- names of open_clip


@dataclass(frozen=True)
class Registry:
    """Puts tiny models into open_clip's registry, and files of their weights into the hub's cache."""

    hub: Path
    configs: Path
    tags: Callable[[str, dict[str, Any]], None]

    def add(self, architecture: str, kind: Kind, repository: str = "somebody/tiny/") -> Path:
        """Register `kind` with the tag `trained_s1`; return the folder of its repository, still without weights."""
        import open_clip

        (self.configs / f"{architecture}.json").write_text(json.dumps(kind.config))
        open_clip.add_model_config(self.configs / f"{architecture}.json")
        self.tags(architecture, {"trained_s1": kind.tag | {"hf_hub": repository, "url": "https://example.org/tiny.pt"}})
        place = self.hub / f"models--{repository.rpartition('/')[0].replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text("0123abc")
        (place / "snapshots" / "0123abc").mkdir(parents=True)
        return place / "snapshots" / "0123abc"

    def plain(self, architecture: str, weights: Path) -> Plain:
        """Load as open_clip's documentation says, with the weights from a file instead of the hub."""
        from open_clip.pretrained import get_pretrained_cfg

        self.tags(architecture, {"from_file": get_pretrained_cfg(architecture, "trained_s1") | {"file": str(weights)}})
        return Plain(architecture, "from_file")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    from open_clip import factory, pretrained

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", factory._MODEL_CONFIG_PATHS.copy())
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", factory._MODEL_CONFIGS.copy())

    def add_tags(architecture: str, tags: dict[str, Any]) -> None:
        monkeypatch.setitem(pretrained._PRETRAINED, architecture, pretrained._PRETRAINED.get(architecture, {}) | tags)

    (tmp_path / "configs").mkdir()
    return Registry(tmp_path / "hub", tmp_path / "configs", add_tags)


def from_hub(name: str) -> Encoder:
    return load_encoder(locate(load_catalogue().resolve(name)), device="cpu")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("CLIP", "open_clip_model.safetensors"),
        ("SigLIP", "open_clip_pytorch_model.safetensors"),
        ("CLIPA", "open_clip_pytorch_model.bin"),
    ],
)
def test_a_name_takes_its_preprocessing_from_its_tag(name: str, file: str, registry: Registry) -> None:
    place = registry.add("tiny", KINDS[name])
    write = torch.save if file.endswith(".bin") else save_file
    write(built(KINDS[name].config).state_dict(), place / file)
    (place / "model.safetensors").write_bytes(b"the image tower alone, in timm's format")
    encoder, plain = from_hub("open_clip:tiny/trained_s1"), registry.plain("tiny", place / file)
    assert encoder.recipe.revision == "hub 0123abc"
    assert agree(embed(encoder, some()), plain.images())
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), plain.texts(), atol=1e-5)


@pytest.mark.parametrize("file", ["weights.bin", "weights.safetensors"])
def test_the_file_that_a_tag_names_is_taken(file: str, registry: Registry) -> None:
    place = registry.add("tiny", KINDS["CLIP"], "somebody/tiny/weights.bin")
    write = torch.save if file.endswith(".bin") else save_file
    write(built(KINDS["CLIP"].config).state_dict(), place / file)
    (place / "open_clip_model.safetensors").write_bytes(b"something else")
    assert agree(embed(from_hub("open_clip:tiny/trained_s1"), some()), registry.plain("tiny", place / file).images())


def activation(encoder: Encoder) -> str:
    tower: Any = encoder.tower  # type: ignore[attr-defined]
    return type(tower.transformer.resblocks[0].mlp.gelu).__name__


def test_weights_trained_with_quick_gelu_run_with_it_although_their_architecture_is_without(
    registry: Registry,
) -> None:
    """open_clip itself warns, and goes on with the wrong activation."""
    openai = KINDS["CLIP of OpenAI"]
    place = registry.add("tiny", openai)
    weights = place / "open_clip_model.safetensors"
    save_file(built(openai.config).state_dict(), weights)
    encoder = from_hub("open_clip:tiny/trained_s1")
    wrong = registry.plain("tiny", weights)
    registry.add("tiny-quickgelu", replace(openai, config=openai.config | {"quick_gelu": True}), "somebody/quick/")
    right = registry.plain("tiny-quickgelu", weights)
    assert activation(encoder) == "QuickGELU"
    ours = embed(encoder, some())
    assert np.abs(ours - right.images()).max() < 3e-4 < 1e-3 < np.abs(ours - wrong.images()).max()
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), right.texts(), atol=1e-5)
    assert encoder.remarks == (
        "It runs with QuickGELU, with which trained_s1 was trained; tiny alone would run with GELU.",
    )


def test_an_architecture_that_is_itself_with_quick_gelu_keeps_it(registry: Registry) -> None:
    """Of `roberta-ViT-B-32/laion2b_s12b_b32k`, the tag alone would say otherwise."""
    kind = KINDS["CLIP with QuickGELU in its architecture"]
    place = registry.add("tiny", kind)
    save_file(built(kind.config).state_dict(), place / "open_clip_model.safetensors")
    encoder = from_hub("open_clip:tiny/trained_s1")
    assert (activation(encoder), encoder.remarks) == ("QuickGELU", ())


def located(name: str) -> Checkpoint:
    return locate(load_catalogue().resolve(name))


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
        ("open_clip:ViT-B-32/openai", "timm/vit_base_patch32_clip_224.openai"),
        ("open_clip:ViTamin-S/datacomp1b", "jienengchen/ViTamin-S"),
    ],
)
def test_a_name_gets_the_repository_of_its_weights(name: str, repository: str) -> None:
    assert located(name).hub_id == repository


def test_a_name_is_understood_in_any_case() -> None:
    assert located("open_clip:vit-b-16-siglip/WebLI") == located("open_clip:ViT-B-16-SigLIP/webli")
    assert located("open_clip:ViT-B-16/laion2B-s34B-b88K@cls") == located("open_clip:ViT-B-16/laion2b_s34b_b88k@cls")


def test_the_catalogue_and_open_clip_agree_on_every_repository() -> None:
    from visexplore.core.encoders import open_clip_models

    for checkpoint in load_catalogue().checkpoints:
        if checkpoint.loader == "open_clip":
            found = open_clip_models.locate(replace(checkpoint, hub_id=""))
            assert (found.id, found.hub_id) == (checkpoint.id, checkpoint.hub_id)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("open_clip:ViT-B-33/openai", "knows no architecture 'ViT-B-33'", "ViT-B-32/openai"),
        ("open_clip:ViT-B-32/openay", "knows no weights 'openay' of ViT-B-32", "ViT-B-32/openai"),
        (
            "open_clip:ViT-B-32-quickgelu/laion2b_s34b_b79k",
            "no weights 'laion2b_s34b_b79k' of",
            "ViT-B-32/laion2b_s34b",
        ),
        ("open_clip:q/q", "knows no architecture 'q'", "open_clip.list_pretrained()"),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(name: str, message: str, hint: str) -> None:
    with pytest.raises(UnknownModel, match=message) as caught:
        located(name)
    assert hint in caught.value.hint


def test_weights_that_are_on_no_hub_say_so(registry: Registry) -> None:
    registry.add("tiny", KINDS["CLIP"])
    registry.tags("tiny", {"old": {"url": "https://example.org/tiny.pt", "hf_hub": ""}})
    with pytest.raises(CannotLoadModel, match=r"in no hub repository, only at https://example\.org/tiny\.pt"):
        located("open_clip:tiny/old")


# ---- text towers of Hugging Face


def hugging_face_text(length: int = 18) -> Any:
    """Return the configuration of a tiny XLM-RoBERTa; a head is 64 wide there, as in all of its kind."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=40, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=37,
        max_position_embeddings=length, type_vocab_size=1, layer_norm_eps=1e-5,
    )  # fmt: skip


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted({word for text in TEXTS for word in text.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plain]:
    """A folder with an image tower of open_clip's and a text tower of Hugging Face's, and that model in plain."""
    import open_clip

    folder = tmp_path_factory.mktemp("models") / "multilingual"
    config_folder = tmp_path_factory.mktemp("config")
    hugging_face_text().save_pretrained(config_folder)
    description = config(VISION, OF_HUGGING_FACE, custom_text=True)
    here = deepcopy(description)
    here["text_cfg"] |= {"hf_model_name": str(config_folder), "hf_model_pretrained": False}
    here.pop("custom_text")
    model = randomise(open_clip.CustomTextCLIP(**here))
    folder.mkdir()
    said = {"model_cfg": description, "preprocess_cfg": CLIP_TAG}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    save_tokenizer(folder)
    plain = Plain.__new__(Plain)
    plain.model = model
    plain.tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    plain.transform = open_clip.image_transform(32, is_train=False, mean=CLIP_TAG["mean"], std=CLIP_TAG["std"])
    return folder, plain


def copied(folder: Path, to: Path, *, without: str = "") -> Path:
    to.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name != without:
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_a_text_tower_of_hugging_face_is_built_from_its_weights_alone(multilingual: tuple[Path, Plain]) -> None:
    folder, plain = multilingual
    encoder = from_folder(folder)
    assert agree(embed(encoder, some()), plain.images())
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), plain.texts(), atol=1e-5)


@pytest.mark.parametrize("where", ["beside the weights", "in the hub's cache"])
def test_a_configuration_that_is_here_counts(
    where: str, multilingual: tuple[Path, Plain], registry: Registry, tmp_path: Path
) -> None:
    """Unless it is of RoBERTa's kind, a text model cannot be read off its weights."""
    folder = copied(multilingual[0], tmp_path / "mine")
    said = json.loads((folder / "open_clip_config.json").read_text())
    said["model_cfg"]["text_cfg"] |= {"hf_model_name": "someone/words", "hf_tokenizer_name": "someone/words"}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    cached = registry.hub / "models--someone--words" / "snapshots" / "1"
    hugging_face_text().save_pretrained(folder if where == "beside the weights" else cached)
    np.testing.assert_allclose(from_folder(folder).embed_texts(TEXTS), multilingual[1].texts(), atol=1e-5)


def test_images_are_embedded_even_where_the_text_tower_cannot_be_built(
    multilingual: tuple[Path, Plain], tmp_path: Path
) -> None:
    folder = copied(multilingual[0], tmp_path / "mine")
    said = json.loads((folder / "open_clip_config.json").read_text())
    said["model_cfg"]["text_cfg"]["hf_model_name"] = "someone/words"
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    encoder = from_folder(folder)
    assert agree(embed(encoder, some()), multilingual[1].images())
    why = "the configuration of its text model someone/words is not here"
    assert encoder.remarks == (f"It embeds images only: {why}.",)
    with pytest.raises(NoTextTower, match=f"mine cannot search by text: {why}"):
        encoder.embed_texts(TEXTS)


def test_a_damaged_image_tower_is_noticed_where_the_text_tower_cannot_be_built(
    multilingual: tuple[Path, Plain], tmp_path: Path
) -> None:
    folder = copied(multilingual[0], tmp_path / "mine")
    said = json.loads((folder / "open_clip_config.json").read_text())
    said["model_cfg"]["text_cfg"]["hf_model_name"] = "someone/words"
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    weights = load_file(folder / "open_clip_model.safetensors")
    del weights["visual.ln_post.weight"]
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(CannotLoadModel, match=r"differs in 1 tensors, among them visual\.ln_post\.weight"):
        from_folder(folder)


def test_a_tokenizer_without_its_words_is_one_sentence(multilingual: tuple[Path, Plain], tmp_path: Path) -> None:
    """From its settings alone, transformers makes one that knows no words, and any two texts are the same."""
    folder = copied(multilingual[0], tmp_path / "mine", without="tokenizer.json")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizerFast"}')
    encoder = from_folder(folder)
    embed(encoder, some())
    with pytest.raises(NoTextTower, match="its tokenizer, that of xlm-roberta-base, is not on this machine"):
        encoder.embed_texts(TEXTS)


# ---- what cannot be loaded


def test_a_folder_without_weights_says_so(tmp_path: Path) -> None:
    saved(KINDS["CLIP"], tmp_path)
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(CannotLoadModel, match="holds no weights"):
        from_folder(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model_cfg": null}', '{"model_cfg": {"embed_dim": 32}}', "\xff"])
def test_a_config_that_describes_nothing_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(text, "latin-1")
    with pytest.raises(CannotLoadModel, match=r"open_clip_config\.json cannot be read or describes none") as caught:
        from_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [KINDS["CLIPA"].config | {"embed_dim": 16}, KINDS["ResNet"].config, {"embed_dim": 32}]
)
def test_weights_of_another_architecture_are_one_sentence(wrong: dict[str, Any], tmp_path: Path) -> None:
    saved(KINDS["CLIP"], tmp_path)
    said = {"model_cfg": {"vision_cfg": {"layers": "many"}, "text_cfg": {}} | wrong}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(said))
    with pytest.raises(CannotLoadModel, match="cannot be loaded") as caught:
        from_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "said", [{"resize_mode": "fit"}, {"interpolation": "guesswork"}, {"mean": "grey"}, {"std": [1]}]
)
def test_preprocessing_that_open_clip_does_not_know_is_one_sentence(said: dict[str, Any], tmp_path: Path) -> None:
    saved(replace(KINDS["CLIP"], tag=CLIP_TAG | said), tmp_path)
    with pytest.raises(CannotLoadModel, match="describes preprocessing that open_clip does not know") as caught:
        from_folder(tmp_path)
    assert caught.value.hint == "Check preprocess_cfg in its open_clip_config.json."


def test_a_tower_that_would_be_fetched_is_refused(tmp_path: Path) -> None:
    saved(KINDS["EVA-CLIP"], tmp_path)
    file = tmp_path / "open_clip_config.json"
    file.write_text(file.read_text().replace('"test_vit"', '"hf-hub:someone/tower"'))
    with pytest.raises(CannotLoadModel, match="but would be asked of a hub"):
        from_folder(tmp_path)


@pytest.mark.parametrize("write", [lambda path: path.write_bytes(b"no weights"), lambda path: torch.save([1], path)])
def test_a_file_that_holds_no_weights_is_one_sentence(write: Callable[[Path], object], tmp_path: Path) -> None:
    saved(KINDS["CLIP"], tmp_path)
    (tmp_path / "open_clip_model.safetensors").unlink()
    write(tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(CannotLoadModel, match="cannot be loaded") as caught:
        from_folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_weights_that_are_a_program_are_not_run(tmp_path: Path) -> None:
    folder, trace = saved(KINDS["CLIP"], tmp_path / "model"), tmp_path / "trace"
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": Payload(f"touch {trace}")}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(CannotLoadModel, match="it is no file of weights alone"):
        from_folder(folder)
    assert not trace.exists()


def test_a_snapshot_without_weights_says_what_it_lacks(registry: Registry, tmp_path: Path) -> None:
    from visexplore.core.encoders.open_clip_models import load

    registry.add("tiny", KINDS["CLIP"])
    with pytest.raises(CannotLoadModel, match=r"there is no open_clip_model\.safetensors, no open_clip_pytorch"):
        load(Checkpoint(id="tiny/trained_s1", loader="open_clip"), tmp_path, "cpu", "float32")


# ---- where things are computed, and what else must not happen


def test_only_the_image_tower_goes_to_the_device_and_only_it_in_another_precision(tmp_path: Path) -> None:
    """PyTorch's meta device computes nothing, so what can be computed is not there."""
    from visexplore.core.encoders.open_clip_models import load

    checkpoint = load_catalogue().resolve(str(saved(KINDS["CLIP"], tmp_path)))
    encoder = load(checkpoint, tmp_path, "meta", "bfloat16")
    assert {(str(p.device), p.dtype) for p in encoder.tower.parameters()} == {("meta", torch.bfloat16)}
    np.testing.assert_allclose(encoder.embed_texts(TEXTS), Plain(f"local-dir:{tmp_path}").texts(), atol=1e-5)


@pytest.mark.parametrize("name", ["CoCa", "EVA-CLIP"])
def test_bfloat16_stays_near_to_float32(name: str, tmp_path: Path) -> None:
    checkpoint = load_catalogue().resolve(str(saved(KINDS[name], tmp_path)))
    exact, coarse = (load_encoder(checkpoint, device="cpu", precision=precision) for precision in ("fp32", "bf16"))
    near = np.sum(normalise(embed(exact, some())) * normalise(embed(coarse, some())), axis=1)
    assert 0.99 < near.min() < 1 - 1e-7
    np.testing.assert_array_equal(exact.embed_texts(TEXTS), coarse.embed_texts(TEXTS))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_a_thread_of_pixels_is_embedded_however_it_is_cropped(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Resized as a whole, its shorter side to 32 pixels, the picture would have 61 million."""
    kind = replace(KINDS["CLIP"], tag=CLIP_TAG | {"resize_mode": mode})
    encoder = from_folder(saved(kind, tmp_path))
    assert encoder.preprocess(Image.new("RGB", size, (200, 100, 50))).shape == (3, 32, 32)


def test_loading_writes_nothing_and_leaves_the_logs_as_they_are(
    registry: Registry, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = registry.add("tiny", KINDS["CLIP of OpenAI"])
    larger = config(VISION | {"image_size": 64}, TEXT)  # the position embeddings are resized, which open_clip logs
    save_file(built(larger).state_dict(), place / "open_clip_model.safetensors")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_hub("open_clip:tiny/trained_s1")
    assert logging.getLogger().handlers == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_no_socket_is_opened_even_where_the_hub_is_not_forbidden(multilingual: tuple[Path, Plain]) -> None:
    code = f"""
import os, sys
for name in ("HF_HUB_OFFLINE", "HF_HOME", "TRANSFORMERS_OFFLINE"):
    os.environ.pop(name, None)
sys.addaudithook(lambda event, args: event in ("socket.connect", "socket.getaddrinfo") and os._exit(9))
from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders import load_encoder
print(load_encoder(load_catalogue().resolve({str(multilingual[0])!r}), device="cpu").embed_texts(["a red car"]).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 32)\n", "")
