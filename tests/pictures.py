"""Pictures that the tests draw: small, different for each seed, and with enough detail to be real to a decoder."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw


def draw(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return an RGB picture: a colour gradient with shapes on it, all decided by `seed`."""
    random = np.random.default_rng(seed)
    width, height = size
    corners = random.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    picture = Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        left, right = sorted(random.integers(0, width, 2).tolist())
        top, bottom = sorted(random.integers(0, height, 2).tolist())
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
        shape((left, top, right, bottom), fill=colour)
    return picture


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture file."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png(seed: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return the drawing of that seed as a PNG file: lossless, so that equal seeds mean equal pixels."""
    return encoded(draw(seed, size))
