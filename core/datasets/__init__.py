"""Where images come from: one module for each kind of source."""

from __future__ import annotations

import os
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, ImageRecord, NamedSplit, Problem, Split
from visexplore.core.datasets.folder import open_folder
from visexplore.core.datasets.kinds import KINDS, Kind
from visexplore.core.datasets.sample import open_sample
from visexplore.core.datasets.spec import Spec, parse
from visexplore.core.errors import UnknownDataset

__all__ = ["KINDS", "Dataset", "ImageRecord", "Kind", "NamedSplit", "Problem", "Split", "open_dataset"]

# A file that is named without saying what it is.
_KIND_BY_ENDING = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".tar": "wds"}


def open_dataset(spec: str, *, offline: bool = False) -> Dataset:
    """Open the dataset that `spec` names: `sample`, the path of a folder, or `KIND:PLACE` of one of `KINDS`.

    A path that exists is taken as a path, whatever else it looks like.

    Args:
        spec: names the dataset.
        offline: open no socket, whatever the dataset would need.

    Raises:
        UnknownDataset: nothing is known by that name and no folder is there, or what is there is damaged.
        EmptyDataset: it holds no images.
        UserError: a named column is not there.
    """
    if spec == "sample":
        return open_sample()
    if not spec:
        raise UnknownDataset("The name of the dataset is empty", "Name a folder of images, or `sample`.")
    parsed = parse(spec)
    match parsed.kind.prefix:
        case "":
            return _open_path(parsed)
        case "csv":
            from visexplore.core.datasets.table import open_table

            return open_table(parsed)
        case "parquet":
            from visexplore.core.datasets.parquet import open_parquet

            return open_parquet(parsed)
        case "wds":
            from visexplore.core.datasets.webdataset import open_webdataset

            return open_webdataset(parsed)
        case "hf":
            from visexplore.core.datasets.hub import open_hub

            return open_hub(parsed, offline=offline)
        case "cars":
            from visexplore.core.datasets.cars import open_cars

            return open_cars(parsed)
        case "products":
            from visexplore.core.datasets.products import open_products

            return open_products(parsed)
        case "cub":
            from visexplore.core.datasets.cub import open_cub

            return open_cub(parsed)
        case _:
            from visexplore.core.datasets.inshop import open_inshop

            return open_inshop(parsed)


def _open_path(parsed: Spec) -> Dataset:
    path = os.path.expanduser(parsed.place)  # noqa: PTH111 - Path.expanduser fails where `~name` is unknown
    # Unlike Path's, these are false for what can be no path at all: too long a name, a forbidden folder.
    if os.path.isdir(path):  # noqa: PTH112
        return open_folder(Path(path), options=parsed.options)
    kind = _KIND_BY_ENDING.get(os.path.splitext(path)[1].lower())  # noqa: PTH122
    if kind and os.path.isfile(path):  # noqa: PTH113
        return open_dataset(Spec(KINDS[kind], path, parsed.options).text())
    if os.path.exists(path):  # noqa: PTH110
        raise UnknownDataset(
            f"'{parsed.place}' is a file, not a folder of images",
            "Name its folder, or use the file as a query: visexplore query DATASET --image FILE.",
        )
    raise UnknownDataset(
        f"There is no dataset '{parsed.place}' and no folder at that path",
        "Name a folder of images, or `sample` for the bundled pictures.",
    )
