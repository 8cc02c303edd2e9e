"""Encoders without weights: what chance, colours and a perceptual hash find. They show what depth buys.

They go through the same pipeline as any model and are stored like it, so that each image is decoded once for all.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from visexplore.core.catalogue import BASELINES, Checkpoint
from visexplore.core.encoders.encoder import Embeddings, Encoder, Pixels, normalise
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import UnknownModel

VERSION: Final = "1"
"""To be raised when a baseline's numbers change: part of the recipe."""

_BINS: Final = (16, 4, 4)  # of hue, saturation and value
_DRAWN: Final = 64
_HASHED: Final = 8  # lowest frequencies of each direction


class _Baseline(Encoder):
    """What all of them share: pictures are squashed to a small square."""

    side: int
    version = VERSION

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.recipe: Recipe
        self.preprocessing = f"squashed to {self.side} x {self.side}"
        self.dim = checkpoint.dim or 0
        self.device = "cpu"
        self.batch_size = 64

    def preprocess(self, image: Image) -> Pixels:
        """Squash a picture: uint8 (3, side, side)."""
        small = image.resize((self.side, self.side), Resampling.BOX, reducing_gap=2.0)
        pixels: Pixels = np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))
        return pixels


class RandomEncoder(_Baseline):
    """A direction drawn at random for each picture, the same for the same pixels."""

    side = 16

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Draw: (n, 3, 16, 16) uint8 -> (n, 64) float32 of length 1."""
        seeds = [int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()) for pixels in batch]
        return normalise(np.stack([np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]))


class ColourEncoder(_Baseline):
    """A histogram of colours: 16 hues x 4 saturations x 4 values.

    Its square root has length 1, so the cosine of two is the Bhattacharyya coefficient of their histograms (1943).
    """

    side = 64

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Count: (n, 3, 64, 64) uint8 -> (n, 256) float32 of length 1."""
        red, green, blue = batch.astype(np.float32).transpose(1, 0, 2, 3) / 255
        value = np.maximum(np.maximum(red, green), blue)
        chroma = value - np.minimum(np.minimum(red, green), blue)
        some = np.where(chroma > 0, chroma, 1)
        hue = np.select(
            [chroma == 0, value == red, value == green],
            [np.zeros_like(value), ((green - blue) / some) % 6, (blue - red) / some + 2],
            (red - green) / some + 4,
        )
        saturation = np.where(value > 0, chroma / np.where(value > 0, value, 1), 0)
        number = np.zeros(value.shape, np.int64)
        for share, bins in zip((hue / 6, saturation, value), _BINS, strict=True):
            number = number * bins + np.minimum((share * bins).astype(np.int64), bins - 1)
        counts = np.stack([np.bincount(one.ravel(), minlength=self.dim) for one in number])
        return normalise(np.sqrt(counts))


class HashEncoder(_Baseline):
    """A perceptual hash of 64 bits: which of the lowest 8 x 8 frequencies of the grey picture are above their median.

    The cosine of two is 1 - 2 d / 64 with d the number of bits that differ (pHash: Zauner 2010, "Implementation and
    Benchmarking of Perceptual Image Hash Functions", section 3.2.1).
    """

    side = 32

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Hash: (n, 3, 32, 32) uint8 -> (n, 64) float32 of length 1."""
        grey = np.einsum("c,nchw->nhw", np.array([0.299, 0.587, 0.114]), batch.astype(np.float64))
        lowest = _cosines(self.side)[1 : _HASHED + 1]  # without the mean brightness
        frequencies = (lowest @ grey @ lowest.T).reshape(len(batch), -1)
        above = frequencies > np.median(frequencies, axis=1, keepdims=True)
        return normalise(np.where(above, 1.0, -1.0))


def _cosines(size: int) -> NDArray[np.float64]:
    """Return the matrix of the discrete cosine transform (type II), without its scale."""
    places = np.arange(size)
    return np.cos(np.pi / size * (places + 0.5) * places[:, None])


_ENCODERS: Final[dict[str, type[_Baseline]]] = {
    "random": RandomEncoder,
    "colour": ColourEncoder,
    "phash": HashEncoder,
}


def load(checkpoint: Checkpoint) -> Encoder:
    """Return a baseline.

    Raises:
        UnknownModel: there is none of that name.
    """
    if checkpoint.id not in _ENCODERS:
        raise UnknownModel(f"There is no baseline '{checkpoint.id}'", f"Baselines: {', '.join(BASELINES)}.")
    return _ENCODERS[checkpoint.id](checkpoint)
