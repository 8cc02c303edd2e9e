"""Stanford Online Products: 120,053 photos of 22,634 products of eBay, in 12 groups.

Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visexplore.core.datasets.dataset import Attributes, Dataset, ImageRecord, NamedSplit, Problem
from visexplore.core.datasets.listing import Listed, base_folder, found, lines, some
from visexplore.core.datasets.spec import Spec
from visexplore.core.errors import UnknownDataset

_FOLDERS = (".", "Info_Files")
_TRAIN, _TEST, _BOTH = "Ebay_train.txt", "Ebay_test.txt", "Ebay_info.txt"
_LAST_TRAINING_PRODUCT = 11_318


def open_products(spec: Spec) -> Dataset:
    """Open Stanford Online Products.

    The label of an image is its product (`class_id`), its attribute `group` one of the 12 super-classes (`bicycle`).
    Splits are `train` (products 1 to 11,318) and `test`; the evaluation `retrieval` is the test split, each image
    asking for the others.

    Raises:
        UnknownDataset: it is not there, or a list is damaged.
        EmptyDataset: none of its images is there.
    """
    base = base_folder(spec.kind, spec.place)
    images = base / "images" if (base / "images").is_dir() else base
    lists = [
        (base / folder / name, split) for name, split in ((_TRAIN, "train"), (_TEST, "test")) for folder in _FOLDERS
    ]
    lists = [(file, split) for file, split in lists if file.is_file()]
    if len(lists) < 2:
        both = next((file for folder in _FOLDERS if (file := base / folder / _BOTH).is_file()), None)
        lists = [(both, "")] if both else lists
    records: list[ImageRecord] = []
    problems: list[Problem] = []
    for file, split in lists:
        there, absent = found(_listed(file, images, split), file, images)
        records += there
        problems += absent
    return Dataset(
        spec=spec.text(base),
        slug=spec.slug("products", base),
        title=spec.kind.title,
        records=tuple(some(records, problems, spec.kind)),
        problems=tuple(problems),
        named_splits=(NamedSplit("retrieval", "the test split", splits=frozenset({"test"})),),
    )


def _listed(file: Path, images: Path, split: str) -> Iterator[Listed]:
    groups: dict[str, Attributes] = {}
    labels: dict[str, str] = {}
    for number, line in enumerate(lines(file), 1):
        fields = line.split(maxsplit=3)
        if fields[0] == "image_id":
            continue
        if len(fields) < 4 or not fields[1].isdecimal():
            raise UnknownDataset(
                f"Line {number} of {file} is not `image_id class_id super_class_id path`", "Get the file anew."
            )
        _, product, group, path = fields
        if group not in groups:
            groups[group] = (("group", path.partition("/")[0].removesuffix("_final")),)
        own_split = split or ("train" if int(product) <= _LAST_TRAINING_PRODUCT else "test")
        yield Listed(path, f"{images}/{path}", labels.setdefault(product, product), own_split, groups[group])
