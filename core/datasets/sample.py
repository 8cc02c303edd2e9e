"""The bundled pictures: several views of some fifty drawn objects."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset
from visexplore.core.datasets.folder import open_folder


def open_sample() -> Dataset:
    """Open the bundled dataset `sample`; the label of a picture is its object (`mug/blue-stripes`)."""
    folder = Path(str(files("visexplore.assets").joinpath("sample")))
    return open_folder(folder, spec="sample", slug="sample", title="sample")
