"""Where images come from: one module for each kind of source."""

from __future__ import annotations

import os
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, ImageRecord, Problem
from visexplore.core.datasets.folder import open_folder
from visexplore.core.datasets.sample import open_sample
from visexplore.core.errors import UnknownDataset

__all__ = ["Dataset", "ImageRecord", "Problem", "open_dataset"]


def open_dataset(spec: str) -> Dataset:
    """Open the dataset that `spec` names: `sample`, or the path of a folder.

    Raises:
        UnknownDataset: nothing is known by that name and no folder is there.
        EmptyDataset: the folder holds no images.
    """
    if spec == "sample":
        return open_sample()
    if not spec:
        raise UnknownDataset("The name of the dataset is empty", "Name a folder of images, or `sample`.")
    path = os.path.expanduser(spec)  # noqa: PTH111 - Path.expanduser fails where `~name` is unknown
    # Unlike Path's, these are false for what can be no path at all: too long a name, a forbidden folder.
    if os.path.isdir(path):  # noqa: PTH112
        return open_folder(Path(path))
    if os.path.exists(path):  # noqa: PTH110
        raise UnknownDataset(
            f"'{spec}' is a file, not a folder of images",
            "Name its folder, or use the file as a query: visexplore query DATASET --image FILE.",
        )
    raise UnknownDataset(
        f"There is no dataset '{spec}' and no folder at that path",
        "Name a folder of images, or `sample` for the bundled pictures.",
    )
