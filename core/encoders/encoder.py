"""The contract between the pipeline and whatever turns pictures into vectors. Importing this needs no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import NoTextTower

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]


class Encoder(ABC):
    """Images (and texts, where there is a text tower) in, L2-normalised embeddings out.

    `preprocess` may run in many threads at once; `embed_images` in `parallel_batches` of them.

    Attributes:
        checkpoint: the weights' catalogue entry.
        recipe: what decides the embeddings' values.
        preprocessing: the resolved preprocessing and pooling in words, for people and for noticing a change.
        dim: length of an embedding.
        device: `cpu`, `cuda:0`, ...
        precision: the arithmetic that is really used: `float32`, `bfloat16` or `float16`.
        remarks: what was derived or decided at loading and should be told, one sentence each.
        batch_size: images that a batch should have on this device.
        parallel_batches: how many batches to embed at the same time.
        parameters: of what embeds images; None where there are none to count.
    """

    checkpoint: Checkpoint
    recipe: Recipe
    preprocessing: str
    dim: int
    device: str
    precision: str = "float32"
    remarks: tuple[str, ...] = ()
    batch_size: int
    parallel_batches: int = 1
    parameters: int | None = None

    @abstractmethod
    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop an RGB picture as the checkpoint expects: uint8 (channels, height, width), not normalised.

        All pictures of one encoder get the same shape. Channels are red, green and blue; a model that takes pictures
        of several shapes has a fourth, 255 where the picture is and 0 where it is padded.
        """

    @abstractmethod
    def embed_images(self, batch: Pixels) -> Embeddings:
        """Embed preprocessed pictures: uint8 (n, channels, height, width) -> float32 (n, dim), each of length 1.

        Raises:
            CannotLoadModel: the device ran out of memory even for a single picture.
        """

    def prepare_thread(self) -> None:  # noqa: B027 - most encoders have nothing to prepare
        """Called once in each thread that will embed batches at the same time as others."""

    def device_memory(self) -> int | None:
        """Return the bytes of the device's memory that it took at most since it was loaded; None on a CPU."""
        return None

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts into the space of the images: float32 (n, dim), each of length 1.

        Raises:
            NoTextTower: the checkpoint embeds images only.
        """
        raise no_text_tower(self.checkpoint)


def no_text_tower(checkpoint: Checkpoint, why: str = "it embeds images only") -> NoTextTower:
    """Return the error of a model that cannot embed texts into the space of its images."""
    return NoTextTower(
        f"{checkpoint.slug} cannot search by text: {why}",
        "Some that can: clip-vit-b32, coca-vit-b32, align-base; all with texts: visexplore models --modality text.",
    )


def normalise(vectors: NDArray[np.floating]) -> Embeddings:
    """Scale each row to length 1 (float32); a zero row stays zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Embeddings = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
