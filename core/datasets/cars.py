"""Stanford Cars (Cars196): 16,185 photos of 196 models of cars, as the original devkit and its mirrors lay them out.

Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from visexplore.core.datasets.dataset import Dataset, ImageRecord, NamedSplit, Problem
from visexplore.core.datasets.listing import Listed, base_folder, found, how_to_get, some
from visexplore.core.datasets.spec import Spec
from visexplore.core.errors import UnknownDataset

# The images and the annotations come from different places by now, so they are looked for one by one.
_TRAIN, _TEST, _META = "cars_train_annos.mat", "cars_test_annos.mat", "cars_meta.mat"
_TEST_WITH_LABELS = "cars_test_annos_withlabels*.mat"  # the copy that goes round is called `... (1).mat`
_DEVKITS = (".", "devkit", "car_devkit/devkit", "car_devkit", "stanford-cars-dataset-meta/devkit")
_BESIDE = (".", "devkit", "car_devkit/devkit", "car_devkit", "stanford-cars-dataset-meta", *_DEVKITS[-1:])
_ALL_IN_ONE = "cars_annos.mat"
_CLASSES = 196
_FIRST_TEST_CLASS = 98  # counted from 0: the retrieval protocol tests on classes that no image was trained on


def open_cars(spec: Spec) -> Dataset:
    """Open Stanford Cars.

    Labels are the class names of the devkit, in which one has a slash. Splits are `train` and `test`; the
    evaluation `retrieval` takes classes 99 to 196 of both, as metric learning does since Song et al. 2016. Images
    that are annotated and not there are counted in `problems`.

    Raises:
        UnknownDataset: it is not there, or an annotation file is damaged.
        EmptyDataset: none of its images is there.
    """
    base = base_folder(spec.kind, spec.place)
    if _first(base, (".",), "anno_*.csv"):
        names, listed = _classes_of_csv(base), _by_class_folders(base)
    elif (file := _first(base, (".", "devkit"), _ALL_IN_ONE)) and not _has_devkit_images(base):
        names, listed = _class_names(base, file), iter([(file, base, "all")])
    elif file := _first(base, _DEVKITS, _TRAIN) or _first(base, _BESIDE, _TEST_WITH_LABELS):
        names, listed = _class_names(base, file), _by_devkit(base)
    else:
        raise UnknownDataset(
            f"{base} has images of Stanford Cars, but neither devkit/{_TRAIN} nor {_ALL_IN_ONE}", how_to_get(spec.kind)
        )
    records: list[ImageRecord] = []
    problems: list[Problem] = []
    for file, folder, split in listed:
        images = _of_csv(file, folder, split, names) if file.suffix == ".csv" else _of_mat(file, folder, split, names)
        there, absent = found(images, file, folder)
        if there and split == "test" and not any(record.label for record in there):
            absent.append(Problem(str(file), "it has no labels, and there is no cars_test_annos_withlabels.mat"))
        records += there
        problems += absent
    tested = frozenset(names[_FIRST_TEST_CLASS:])
    return Dataset(
        spec=spec.text(base),
        slug=spec.slug("cars", base),
        title=spec.kind.title,
        records=tuple(some(records, problems, spec.kind)),
        problems=tuple(problems),
        named_splits=(NamedSplit("retrieval", "classes 99 to 196", labels=tested),) if len(names) == _CLASSES else (),
    )


def _first(base: Path, folders: Sequence[str], name: str) -> Path | None:
    return next((file for folder in folders for file in sorted((base / folder).glob(name)) if file.is_file()), None)


# ---- the devkit, and the older form with all images in one folder


def _by_devkit(base: Path) -> Iterator[tuple[Path, Path, str]]:
    if train := _first(base, _DEVKITS, _TRAIN):
        yield train, _images(base, "cars_train"), "train"
    if test := _first(base, _BESIDE, _TEST_WITH_LABELS) or _first(base, _DEVKITS, _TEST):
        yield test, _images(base, "cars_test"), "test"


def _has_devkit_images(base: Path) -> bool:
    return any((base / name).is_dir() for name in ("cars_train", "cars_test"))


def _images(base: Path, name: str) -> Path:
    doubled = base / name / name
    return doubled if doubled.is_dir() else base / name


def _of_mat(file: Path, folder: Path, split: str, names: Sequence[str]) -> Iterator[Listed]:
    try:
        annotations = _matlab(file, "annotations")
    except KeyError:
        raise UnknownDataset(f"{file} has no annotations in it", "It is another file than its name says.") from None
    fields = annotations.dtype.names or ()
    image = "relative_im_path" if "relative_im_path" in fields else "fname"
    if image not in fields:
        raise UnknownDataset(f"{file} does not say which images it is about: it has no field fname")
    for row in annotations:
        name = str(row[image])
        label = _label(row["class"], names, file) if "class" in fields else None
        if split == "all":
            own_split = ("test" if str(row["test"]) == "1" else "train") if "test" in fields else None
            yield Listed(name, f"{folder}/{name}", label, own_split)
        else:
            yield Listed(f"cars_{split}/{name}", f"{folder}/{name}", label, split)


def _label(number: object, names: Sequence[str], file: Path) -> str:
    """Return the name of a class by its number, which counts from 1."""
    try:
        # A Python int: the files hold 8 bits, in which 196 and 98 make 38.
        position = int(str(number)) - 1
        if position < 0:
            raise IndexError
        return names[position]
    except (ValueError, IndexError) as error:
        raise UnknownDataset(f"{file} has an image of class {number}, and there are {len(names)} classes") from error


def _class_names(base: Path, annotations: Path) -> list[str]:
    file = _first(base, _DEVKITS, _META) or annotations
    try:
        return list(map(str, _matlab(file, "class_names")))
    except KeyError:
        raise UnknownDataset(
            f"The names of the classes are not in {base}: there is no devkit/{_META}",
            "It comes with the devkit, beside the annotations.",
        ) from None


def _matlab(file: Path, variable: str) -> Any:  # noqa: ANN401 - an array of whatever the file holds
    """Return a variable of a MATLAB file as an array of one dimension.

    Raises:
        UnknownDataset: the file is damaged or no MATLAB file.
        KeyError: it has no such variable.
    """
    import numpy as np
    from scipy.io import loadmat

    try:
        found = loadmat(file, squeeze_me=True, variable_names=[variable])
    except OSError as error:
        raise UnknownDataset(f"{file} cannot be read ({error.strerror or error})") from error
    # On damaged input scipy raises nearly anything: ValueError, TypeError, zlib.error, NotImplementedError, ...
    except Exception as error:
        raise UnknownDataset(f"{file} is no MATLAB file that can be read", "Get it anew: it may be cut off.") from error
    return np.atleast_1d(found[variable])


# ---- the mirror with a folder for each class


def _by_class_folders(base: Path) -> Iterator[tuple[Path, Path, str]]:
    images = next((base / name for name in ("car_data/car_data", "car_data") if (base / name).is_dir()), base)
    for split in ("train", "test"):
        if (file := base / f"anno_{split}.csv").is_file():
            yield file, images / split, split


def _classes_of_csv(base: Path) -> list[str]:
    file = base / "names.csv"
    return [row[0] for row in _rows(file) if row]


def _of_csv(file: Path, folder: Path, split: str, names: Sequence[str]) -> Iterator[Listed]:
    for row in _rows(file):
        if len(row) < 6:
            raise UnknownDataset(f"{file} has a line with {len(row)} fields instead of 6: name, box, class")
        label = _label(row[5], names, file)
        name = f"{label.replace('/', '-')}/{row[0]}"
        yield Listed(f"{split}/{name}", f"{folder}/{name}", label, split)


def _rows(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.reader(stream))
    except OSError as error:
        raise UnknownDataset(f"{file} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnknownDataset(f"{file} is no CSV file") from error
