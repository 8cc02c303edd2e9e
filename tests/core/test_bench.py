"""Rates of each stage of embedding."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visexplore.core.datasets import open_dataset
from visexplore.core.embedding.bench import bench
from visexplore.core.encoders import Encoder
from visexplore.core.errors import UserError


def test_every_stage_is_measured_and_compared_with_the_slowest(lite0: Encoder) -> None:
    rates = bench(open_dataset("sample"), lite0, limit=10, repeats=1)
    assert rates is not None
    assert (rates.model, rates.images, rates.repeats) == ("efficientnet-lite0", 10, 1)
    slowest = min(rates.reading, rates.decoding, rates.model_alone)
    assert rates.ratio == pytest.approx(rates.pipeline / slowest)
    assert 0 < rates.ceiling <= slowest


def test_images_that_cannot_be_read_are_passed_over(lite0: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"broken")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "b.png")
    rates = bench(open_dataset(str(tmp_path)), lite0, limit=5, repeats=1)
    assert rates is not None
    assert rates.images == 1


def test_a_dataset_without_any_readable_image_is_told(lite0: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"broken")
    with pytest.raises(UserError, match="None of the first images"):
        bench(open_dataset(str(tmp_path)), lite0)


def test_a_cancel_ends_it_without_a_result(lite0: Encoder) -> None:
    assert bench(open_dataset("sample"), lite0, limit=4, cancelled=lambda: True) is None
