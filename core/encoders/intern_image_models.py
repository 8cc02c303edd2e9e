"""Encoders from InternImage's weights on the hub, run by this package's own implementation of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from PIL.Image import Image
from transformers import CLIPImageProcessor

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.encoders.intern_image import InternImage
from visexplore.core.encoders.intern_image import load as load_network
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.recipes import ModelRecipe
from visexplore.core.encoders.torch_encoder import TorchEncoder, in_one_line
from visexplore.core.encoders.transformers_pictures import Pictures
from visexplore.core.errors import CannotLoadModel

_RECIPE: Final = ModelRecipe(vectors=("pooled",), note="what the classifier would see")


class InternImageEncoder(TorchEncoder):
    """An InternImage without its classifier. The standard vector is what the classifier would see."""

    tower: InternImage

    def __init__(
        self, checkpoint: Checkpoint, network: InternImage, pictures: Pictures, device: str, precision: str
    ) -> None:
        super().__init__(
            checkpoint, network, device=device, precision=precision, dim=network.dim, mean=pictures.mean,
            std=pictures.std, preprocessing={"pictures": pictures.settings, "vectors": _RECIPE.vectors},
        )  # fmt: skip
        self._pictures = pictures

    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop as the checkpoint's image processor does: uint8 (3, height, width)."""
        return self._pictures(image)

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return what the classifier would see, and the last feature map."""
        standard, last = self.tower.vectors_and_features(images)
        return Outputs(standard, patches=flatten_map(last))


def load(checkpoint: Checkpoint, place: Path, device: str, precision: str) -> InternImageEncoder:
    """Load an InternImage onto `device` from a folder with `config.json`, the weights and `preprocessor_config.json`.

    Raises:
        CannotLoadModel: a file is missing or broken, or the weights do not fit the network.
    """
    try:
        # The hub's files name this processor; its own code is not needed.
        processor = CLIPImageProcessor.from_pretrained(place, local_files_only=True)
    except Exception as error:
        raise CannotLoadModel(
            f"The preprocessor_config.json of {checkpoint.slug} in {place} cannot be used ({in_one_line(error)})",
            f"Fetch it again: visexplore models fetch {checkpoint.slug}",
        ) from error
    pictures = Pictures(checkpoint.slug, processor, _RECIPE, 0)
    return InternImageEncoder(checkpoint, load_network(place), pictures, device, precision)
