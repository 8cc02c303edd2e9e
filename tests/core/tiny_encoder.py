"""A real encoder of a few hundred weights: a linear layer over the patches of small pictures."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL.Image import Image

from visexplore.core.catalogue import Checkpoint, Pooling
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.torch_encoder import TorchEncoder


class TinyTower(torch.nn.Module):
    """Patches of 4 x 4 pixels to 12 numbers, their mean to 6."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = torch.nn.Conv2d(3, 12, kernel_size=4, stride=4)
        self.head = torch.nn.Linear(12, 6)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        patches = flatten_map(self.patches(images).tanh())
        return patches, self.head(patches.mean(1))


class TinyEncoder(TorchEncoder):
    """An encoder of pictures of 16 x 16 pixels.

    Args:
        precision: torch's name of the dtype.
        tower: what embeds them.
        pooling: that is chosen.
        device: torch's name of it.
    """

    def __init__(
        self,
        precision: str = "float32",
        *,
        tower: torch.nn.Module | None = None,
        pooling: Pooling | Literal[""] = "",
        device: str = "cpu",
    ) -> None:
        slug = f"tiny@{pooling}" if pooling else "tiny"
        super().__init__(
            Checkpoint(id="tiny", loader="timm", slug=slug, pooling_choice=pooling),
            tower or TinyTower(),
            device=device,
            precision=precision,
            dim=6,
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            preprocessing={},
        )

    def preprocess(self, image: Image) -> Pixels:
        return np.ascontiguousarray(np.asarray(image.resize((16, 16))).transpose(2, 0, 1))

    def outputs(self, images: torch.Tensor) -> Outputs:
        patches, standard = self.tower(images)
        return Outputs(standard, special=patches[:, :1], patches=patches[:, 1:])

    def pictures(self, count: int) -> Pixels:
        """Return `count` preprocessed pictures of noise."""
        return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
