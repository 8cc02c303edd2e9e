from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.pictures import png
from visexplore.core.catalogue import load_catalogue
from visexplore.core.encoders import Encoder, load_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for pictures."""
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def fill(folder: Path) -> Callable[[Mapping[str, int | bytes]], Path]:
    """Write files into the folder: a number is the seed of a drawing, bytes are themselves."""

    def write(files: Mapping[str, int | bytes]) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(content) if isinstance(content, int) else content)
        return folder

    return write


@pytest.fixture(scope="session")
def bundled() -> Callable[[str], Encoder]:
    """Load a bundled model on the CPU, once a session: importing torch takes seconds."""
    return cache(lambda name: load_encoder(load_catalogue().resolve(name), device="cpu"))


@pytest.fixture(scope="session")
def lite0(bundled: Callable[[str], Encoder]) -> Encoder:
    """The default model."""
    return bundled("efficientnet-lite0")
