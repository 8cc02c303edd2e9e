"""CUB-200-2011: 11,788 photos of 200 species of birds.

Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", CNS-TR-2011-001.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visexplore.core.datasets.dataset import Dataset, NamedSplit
from visexplore.core.datasets.listing import Listed, base_folder, found, how_to_get, lines, some
from visexplore.core.datasets.spec import Spec
from visexplore.core.errors import UnknownDataset

_IMAGES, _LABELS, _NAMES, _SPLITS = "images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt"
_FIRST_TEST_CLASS = 101


def open_cub(spec: Spec) -> Dataset:
    """Open CUB-200-2011.

    Labels are the class names of `classes.txt` (`001.Black_footed_Albatross`), splits are `train` and `test` of
    `train_test_split.txt`; the evaluation `retrieval` takes classes 101 to 200 of both.

    Raises:
        UnknownDataset: it is not there, or a list is missing or damaged.
        EmptyDataset: none of its images is there.
    """
    base = base_folder(spec.kind, spec.place)
    for name in (_IMAGES, _LABELS):
        if not (base / name).is_file():
            raise UnknownDataset(f"{base} has no {name}", how_to_get(spec.kind))
    names = dict(_pairs(base / _NAMES)) if (base / _NAMES).is_file() else {}
    classes = dict(_pairs(base / _LABELS))
    training = dict(_pairs(base / _SPLITS)) if (base / _SPLITS).is_file() else {}
    listed = base / _IMAGES
    records, problems = found(_listed(listed, base / "images", names, classes, training), listed, base / "images")
    tested = frozenset(names.get(n, n) for n in classes.values() if n.isdecimal() and int(n) >= _FIRST_TEST_CLASS)
    return Dataset(
        spec=spec.text(base),
        slug=spec.slug("cub", base),
        title=spec.kind.title,
        records=tuple(some(records, problems, spec.kind)),
        problems=tuple(problems),
        named_splits=(NamedSplit("retrieval", "classes 101 to 200", labels=tested),) if tested else (),
    )


def _listed(
    file: Path, images: Path, names: dict[str, str], classes: dict[str, str], training: dict[str, str]
) -> Iterator[Listed]:
    split_of = {"1": "train", "0": "test"}
    for number, path in _pairs(file):
        own_class = classes.get(number)
        label = names.get(own_class, own_class) if own_class else None
        yield Listed(path, f"{images}/{path}", label, split_of.get(training.get(number, "")))


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines(file), 1):
        first, _, rest = line.partition(" ")
        if not rest:
            raise UnknownDataset(f"Line {number} of {file} is not a number and a value", "Get the file anew.")
        yield first, rest.strip()
