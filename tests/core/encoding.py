"""What tests of encoders share: photos to embed, random weights that hide nothing, and what counts as equal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.conftest import SHARED_DATA
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.encoder import Embeddings, normalise
from visexplore.core.images import decode

# Several test processes share the cores, and threads of one that wait for each other keep them busy all the while.
torch.set_num_threads(1)


class Payload:
    """What pickles into a call of the system's shell."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@cache
def photos() -> tuple[Image.Image, ...]:
    """Eight real photos where they are there, drawings of the sample where not."""
    if SHARED_DATA.is_dir():
        files = [sorted((SHARED_DATA / name).rglob("*.jpg"))[::60][:4] for name in ("clothing", "stanford-cars")]
        return tuple(decode(file.read_bytes()) for few in files for file in few)
    sample = open_dataset("sample")
    return tuple(decode(sample.read(record)) for record in sample.records[::25][:8])


def some() -> tuple[Image.Image, ...]:
    """Return four of the photos, as different as they come."""
    return photos()[::2]


def embed(encoder: Encoder, pictures: Sequence[Image.Image]) -> Embeddings:
    """Embed pictures in one batch."""
    return encoder.embed_images(np.stack([encoder.preprocess(picture) for picture in pictures]))


def randomise(model: Any) -> Any:
    """Give a model weights with which every layer matters and signals neither fade nor explode; return it.

    As it is created, a network can give the same for all pictures: layers that start as zero, signals that fade away.
    """
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=max(parameter[0].numel(), 4) ** -0.5)
            else:
                parameter += 0.1 * torch.randn_like(parameter)
        for name, statistic in model.named_buffers():
            if name.endswith("running_mean"):
                torch.nn.init.normal_(statistic, std=0.1)
            elif name.endswith("running_var"):
                torch.nn.init.uniform_(statistic, 0.5, 1.5)
    return model.eval()


def agree(one: Embeddings, other: Embeddings) -> bool:
    """Whether embeddings are equal for all purposes: at a cosine of 0.9999, and in how the pictures differ.

    Random networks give much the same vector for all pictures, so that a cosine alone would overlook most mistakes.
    """
    one, other = normalise(one), normalise(other)
    if np.sum(one * other, axis=1).min() < 0.9999:
        return False
    differences, wanted = one - one.mean(axis=0), other - other.mean(axis=0)
    assert np.linalg.norm(wanted) > 0.001, "all pictures have the same embedding"
    return bool(np.linalg.norm(differences - wanted) < 0.01 * np.linalg.norm(wanted))
