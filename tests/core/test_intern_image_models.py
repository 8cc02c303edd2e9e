from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.core.encoding import agree, embed, photos
from tests.core.test_intern_image import TINY, save
from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders import Encoder, load_encoder
from visexplore.core.encoders.encoder import Embeddings
from visexplore.core.encoders.intern_image import InternImage
from visexplore.core.errors import CannotLoadModel, NoTextTower, UserError

# The hub's preprocessor_config.json of these repositories.
PREPROCESSOR = {
    "crop_size": 64,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "resample": 3,
    "size": 64,
}


def save_checkpoint(folder: Path, size: str) -> InternImage:
    network = save(folder, TINY[size] | {"model_type": "internimage"})
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return network


def load(folder: Path, pooling: str = "") -> Encoder:
    return load_encoder(load_catalogue().resolve(f"{folder}{pooling}"), device="cpu")


def processed(folder: Path) -> torch.Tensor:
    """Prepare the photos with the processor of transformers as it is: (n, 3, height, width)."""
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor.from_pretrained(folder)
    pixels: torch.Tensor = processor(images=list(photos()), return_tensors="pt")["pixel_values"]
    return pixels


@torch.inference_mode()
def plain(folder: Path, network: InternImage) -> Embeddings:
    """Embed with the processor of transformers as it is and the network as it is."""
    vectors: Embeddings = network(processed(folder)).numpy()
    return vectors


@pytest.mark.parametrize("size", TINY)
def test_it_embeds_as_processor_and_network_alone_do(size: str, tmp_path: Path) -> None:
    network = save_checkpoint(tmp_path, size)
    encoder = load(tmp_path)
    found = embed(encoder, photos())
    assert found.shape[1] == encoder.dim == network.dim
    assert agree(found, plain(tmp_path, network))


def test_the_batch_a_picture_is_in_does_not_matter(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "t")
    encoder = load(tmp_path)
    alone = np.concatenate([embed(encoder, [photo]) for photo in photos()[:7]])
    np.testing.assert_allclose(embed(encoder, photos()[:7][::-1])[::-1], alone, atol=1e-5)


def test_the_mean_of_the_last_map_can_be_kept_instead(tmp_path: Path) -> None:
    network = save_checkpoint(tmp_path, "t")
    encoder = load(tmp_path, "@mean")
    with torch.inference_mode():
        reference = network.features(processed(tmp_path)).mean((2, 3)).numpy()
    assert encoder.dim == reference.shape[1]
    assert agree(embed(encoder, photos()), reference)


def test_it_has_no_class_token(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "t")
    with pytest.raises(UserError, match="no pooling 'cls'"):
        load(tmp_path, "@cls")


def test_it_embeds_no_texts(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "t")
    with pytest.raises(NoTextTower):
        load(tmp_path).embed_texts(["a red car"])


def test_without_its_preprocessing_it_is_not_guessed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "t")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(CannotLoadModel, match=r"preprocessor_config\.json") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
