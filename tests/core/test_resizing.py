"""Resizing on bytes in torch instead of Pillow: the same pixels but for rounding, where torch has the filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

from visexplore.core.encoders.resizing import on_bytes
from visexplore.core.images import decode


def _noise(width: int, height: int) -> Image.Image:
    """Return noise of half the contrast: whether rows or columns come first shows where a filter overshoots."""
    return Image.fromarray(np.random.default_rng(0).integers(64, 192, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("interpolation", [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC])
@pytest.mark.parametrize("size", [(640, 427), (300, 900), (224, 224), (37, 50), (1, 1)])
@pytest.mark.parametrize("target", [256, (256, 240)])
def test_pixels_are_pillows_but_for_rounding(
    size: tuple[int, int], interpolation: InterpolationMode, target: int | tuple[int, int]
) -> None:
    picture = _noise(*size)
    steps = [Resize(target, interpolation), CenterCrop(224)]
    resize = on_bytes(steps)
    assert resize is not None
    expected = np.asarray(Compose(steps)(picture)).transpose(2, 0, 1).astype(int)
    found = resize(picture)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.shape == expected.shape == (3, 224, 224)
    assert np.abs(found - expected).max() <= 2


def test_photos_differ_by_two_at_most(shared_photos: Path) -> None:
    steps = [Resize(256, InterpolationMode.BICUBIC), CenterCrop(224)]
    resize = on_bytes(steps)
    assert resize is not None
    for path in sorted((shared_photos / "stanford-cars").rglob("*.jpg"))[:20]:
        picture = decode(path.read_bytes())
        expected = np.asarray(Compose(steps)(picture)).transpose(2, 0, 1).astype(int)
        assert np.abs(resize(picture) - expected).max() <= 2


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Resize(256, InterpolationMode.LANCZOS), CenterCrop(224)], id="a filter that torch lacks"),
        pytest.param([Resize(256, antialias=False), CenterCrop(224)], id="no antialiasing"),
        pytest.param([Resize(256), CenterCrop(224), ToTensor()], id="further steps"),
        pytest.param([CenterCrop(224)], id="no resize"),
    ],
)
def test_other_steps_stay_the_librarys_own(steps: list[object]) -> None:
    assert on_bytes(steps) is None
