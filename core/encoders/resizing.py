"""Resize and crop on bytes in torch: what Pillow computes, in a fourth of its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL.Image import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize, v2
from torchvision.transforms.v2.functional import pil_to_tensor

from visexplore.core.encoders.encoder import Pixels

_NATIVE = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)  # the filters that torch has for bytes


def on_bytes(steps: Sequence[object]) -> Callable[[Image], Pixels] | None:
    """Return what a library's `Resize` and `CenterCrop` do, from an RGB picture to uint8 (3, height, width).

    Torch's kernel for bytes is Pillow's algorithm with coefficients of other precision: of 353 photos no pixel differed
    by more than 2 of 255, and the lowest cosine of their embeddings (EfficientNet-Lite 0 to 2) was 0.99997. It took
    0.5 to 0.7 ms a photo where Pillow took 2.3 to 2.9.

    Returns:
        None where the steps are others, or use a filter that torch lacks: those stay the library's own.
    """
    match steps:
        case [Resize() as resize, CenterCrop() as crop] if resize.interpolation in _NATIVE and resize.antialias:
            pass
        case _:
            return None
    both = v2.Compose([v2.Resize(resize.size, resize.interpolation, resize.max_size), v2.CenterCrop(list(crop.size))])

    def resized(image: Image) -> Pixels:
        pixels: Pixels = np.ascontiguousarray(both(pil_to_tensor(image)).numpy())
        return pixels

    return resized
