"""Datasets of the Hugging Face hub, through its own library, which is an optional extra."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from visexplore.core.datasets.columns import (
    ID_NAMES,
    IMAGE_NAMES,
    LABEL_NAMES,
    arrow_texts,
    attributes_of,
    find_column,
    labels_of,
    may_be_texts,
)
from visexplore.core.datasets.dataset import Attributes, Dataset, ImageRecord, Problem
from visexplore.core.datasets.folder import SPLIT_NAMES
from visexplore.core.datasets.listing import mtime_ns, unicode_id
from visexplore.core.datasets.parquet_rows import image_bytes
from visexplore.core.datasets.spec import Spec, absolute
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnreadableImage, UserError

INSTALL: Final = "Install it with: pip install 'visexplore[hub]'"
_WHOLE = "all"  # what is called a split of a dataset that has none
_SWITCH = threading.Lock()  # of the library's own switch for the network, which is the whole process's


def open_hub(spec: Spec, *, offline: bool = False) -> Dataset:
    """Open a dataset of the hub, or a local folder that is laid out like one or that `save_to_disk` wrote.

    Everything is fetched into the hub's own cache at first. Splits are the dataset's own; where none is named, those
    that are called like splits (`train`, `test`, ...) are opened and others, which are often altered copies, are told
    in `problems`. Image and label columns are named, or found by their type and usual names; names of classes are the
    dataset's.

    Args:
        spec: `REPO[/CONFIG][:SPLIT]`; several splits as `train+test`.
        offline: open no socket: only what was fetched before can be opened.

    Raises:
        UnknownDataset: there is no such dataset, configuration or split; it cannot be fetched; or the library that
            opens it is not installed.
        EmptyDataset: it has no rows.
        UserError: a named column is not there, or no column holds images.
    """
    name, wanted = _take_off_splits(spec.place)
    repository, configuration = _repository(name)
    loaded = _load(repository, configuration, offline=offline)
    splits, problems = _choose(loaded, wanted, spec)
    first = next(iter(splits.values()))
    image, label, own_id = _roles(first.features, spec.options, spec.text())
    for split, table in list(splits.items()):
        if image not in table.features:
            problems.append(Problem(f"{spec.text()} {split}", f"it has no column '{image}'"))
            del splits[split]
    paths = {split: f"hf:{name}:{split}" for split in splits}
    records = _records(splits, paths, label, own_id if "id" in spec.options else None, own_id)
    if not records:
        raise EmptyDataset(f"{spec.text()} has no rows")
    place = str(absolute(name)) if repository.startswith("/") else name
    place += f":{wanted}" if wanted else ""
    title = Path(repository).name
    return Dataset(
        spec=spec.text(place),
        slug=spec.slug(title, place),
        title=title + (f" {configuration}" if configuration else "") + (f" {wanted}" if wanted else ""),
        records=records,
        problems=tuple(problems),
        reader=_Rows({paths[split]: _images_only(table, image) for split, table in splits.items()}),
    )


# ---- names


def _take_off_splits(place: str) -> tuple[str, str]:
    if os.path.isdir(os.path.expanduser(place)):  # noqa: PTH111, PTH112
        return place, ""
    name, colon, splits = place.rpartition(":")
    return (name, splits) if colon and "/" not in splits else (place, "")


def _repository(name: str) -> tuple[str, str | None]:
    """Return the repository, or the absolute path of a folder, and the configuration."""
    folder = absolute(name)
    if folder.is_dir():
        return str(folder), None
    if name[0] in "/.~":
        card = folder.parent / "README.md"
        if card.is_file() and "config_name" in card.read_text("utf-8", "replace"):
            return str(folder.parent), folder.name
        raise UnknownDataset(f"There is no folder {folder}", "Name it as on the hub: hf:OWNER/NAME, or its own path.")
    parts = name.split("/")
    if len(parts) > 3 or not all(parts):
        raise UnknownDataset(f"'{name}' is no dataset of the hub, and there is no such folder", "Write OWNER/NAME.")
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


# ---- loading


def _load(repository: str, configuration: str | None, *, offline: bool) -> Mapping[str, Any]:
    """Return the splits of a dataset by their names."""
    try:
        import datasets
    except ImportError as error:
        raise UnknownDataset("Datasets of the Hugging Face hub need the library `datasets`", INSTALL) from error
    # What goes wrong is told below, and what goes well needs no words on the screen.
    datasets.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():  # where a person waits for gigabytes, the library's own bars tell of them
        datasets.disable_progress_bars()
    try:
        with _network(datasets, forbidden=offline):
            if (Path(repository) / "dataset_dict.json").is_file() or (Path(repository) / "state.json").is_file():
                found = datasets.load_from_disk(repository)
            else:
                found = datasets.load_dataset(repository, configuration)
    # The library and all that it calls raise nearly anything: ValueError, OSError, pyarrow's, httpx's, its own ...
    except Exception as error:
        raise _told(error, repository, configuration, offline=offline) from error
    return found if isinstance(found, Mapping) else {str(found.split or _WHOLE): found}


@contextlib.contextmanager
def _network(datasets: Any, *, forbidden: bool) -> Iterator[None]:  # noqa: ANN401 - the library
    import huggingface_hub.constants as hub

    if not forbidden:
        yield
        return
    with _SWITCH:
        before = datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE
        datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before


def _told(error: Exception, repository: str, configuration: str | None, *, offline: bool) -> UserError:
    name = f"hf:{repository}" + (f"/{configuration}" if configuration else "")
    reason = " ".join(str(error).split())
    kind = type(error).__name__
    if "Config name is missing" in reason or ("BuilderConfig" in reason and "not found" in reason):
        listed = reason.partition("[")[2].partition("]")[0].replace("'", "")
        hint = f"Write hf:{repository}/CONFIG" + (f"; it has {listed}." if listed else ".")
        what = f"has no configuration '{configuration}'" if configuration else "has several configurations"
        return UnknownDataset(f"{repository} {what}", hint)
    if "corresponds to no data" in reason:
        return EmptyDataset(f"{name} has no rows")
    if "Dataset scripts are no longer supported" in reason:
        return UnknownDataset(
            f"{name} is a program that fetches images, which the library no longer runs",
            "Look on the hub for a copy of it in Parquet.",
        )
    if (offline or "ffline" in reason) and not repository.startswith("/"):
        return UnknownDataset(
            f"{name} is not on this machine, and offline it cannot be fetched", "Open it once with the network."
        )
    if isinstance(error, ConnectionError):
        return UnknownDataset(f"The hub cannot be reached to fetch {name}", "Look whether the network is there.")
    if kind == "DatasetNotFoundError":
        return UnknownDataset(
            f"{reason.rstrip('.')}", "Is the name right? Private and gated ones need `hf auth login`."
        )
    return UnknownDataset(f"{name} cannot be opened ({kind}: {reason[:300]})")


def _choose(loaded: Mapping[str, Any], wanted: str, spec: Spec) -> tuple[dict[str, Any], list[Problem]]:
    """Return the splits to open."""
    if wanted:
        for split in wanted.split("+"):
            if split not in loaded:
                raise UnknownDataset(f"{spec.text()} has no split '{split}'", f"It has {', '.join(loaded)}.")
        return {split: loaded[split] for split in wanted.split("+")}, []
    usual = {split: table for split, table in loaded.items() if split.lower() in SPLIT_NAMES}
    if len(loaded) == 1 or not usual:
        if len(loaded) > 1:
            raise UnknownDataset(
                f"{spec.text()} has several splits, none of them called like one",
                f"Choose among them: {spec.text(f'{spec.place}:SPLIT')}; it has {', '.join(loaded)}.",
            )
        return dict(loaded), []
    others = [split for split in loaded if split not in usual]
    if not others:
        return usual, []
    reason = f"its splits {', '.join(others)} are left out; name them to have them: hf:{spec.place}:{others[0]}"
    return usual, [Problem(spec.text(), reason)]


# ---- columns


def _roles(features: Mapping[str, Any], options: Mapping[str, str], where: str) -> tuple[str, str | None, str | None]:
    """Return the columns of images, labels and ids."""
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    if not images:  # bytes, or a struct of bytes and path, that nobody declared to be pictures
        images = [name for name, feature in features.items() if _is_bytes(feature)]
    image = find_column(images, options.get("image"), IMAGE_NAMES, where) or next(iter(images), None)
    if image is None:
        raise UserError(f"{where} has no column with images", f"Its columns are {', '.join(features)}.")
    classes = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    texts = [name for name in features if name != image]
    label = find_column(texts, options.get("label"), LABEL_NAMES, where) or next(iter(classes), None)
    own_id = find_column([name for name in texts if name != label], options.get("id"), ID_NAMES, where)
    return image, label, own_id


def _is_bytes(feature: object) -> bool:
    if isinstance(feature, Mapping):
        return "bytes" in feature
    return str(getattr(feature, "dtype", "")) in ("binary", "large_binary")


def _texts(table: Any, column: str) -> list[str | None] | None:  # noqa: ANN401 - a dataset of the library
    names = getattr(table.features[column], "names", None) or ()
    kind = table.features.arrow_schema.field(column).type
    if not may_be_texts(kind):
        return None
    return arrow_texts(table.select_columns([column]).with_format("arrow")[:].column(0), names)


def _records(
    splits: Mapping[str, Any], paths: Mapping[str, str], label: str | None, named_id: str | None, own_id: str | None
) -> tuple[ImageRecord, ...]:
    columns: dict[str, list[str | None]] = {}
    rows = 0
    for table in splits.values():
        for name in table.features:
            if (texts := _texts(table, name)) is not None:
                columns.setdefault(name, [None] * rows).extend(texts)
        rows += len(table)
        for texts in columns.values():
            texts.extend([None] * (rows - len(texts)))
    labels: Sequence[str | None] = labels_of(columns.pop(label)) if label in columns else [None] * rows
    ids = _ids(splits, columns.get(own_id or ""), named_id)
    columns.pop(named_id or "", None)
    attributes: Sequence[Attributes] = attributes_of(columns, rows)
    facts = zip(ids, labels, attributes, strict=True)
    return tuple(
        ImageRecord(image_id, paths[split], size, changed, own_label, split_name, row, further)
        for split, table in splits.items()
        for size, changed in [_stamp(table)]
        for split_name in [split.lower() if split != _WHOLE else None]
        for row, (image_id, own_label, further) in enumerate(islice(facts, len(table)))
    )


def _ids(splits: Mapping[str, Any], names: Sequence[str | None] | None, named: str | None) -> list[str]:
    """Return the images' names: split and id where those are all different, else split and row."""
    rows = [(split, row) for split, table in splits.items() for row in range(len(table))]
    if names is not None and None not in names:
        found = [f"{split}/{unicode_id(str(name))}" for (split, _), name in zip(rows, names, strict=True)]
        if len(set(found)) == len(found):
            return found
    if named is not None:
        raise UserError(f"The column '{named}' does not name each image differently")
    return [f"{split}/{row:06}" for split, row in rows]


def _stamp(table: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return size and time of change of the files behind a split: its images are taken for changed when these are."""
    size, changed = 0, 0
    for file in table.cache_files:
        with contextlib.suppress(OSError):
            facts = Path(file["filename"]).stat()
            size, changed = size + facts.st_size, max(changed, mtime_ns(facts))
    return size, changed


# ---- images


def _images_only(table: Any, image: str) -> Any:  # noqa: ANN401
    from datasets import Image

    images = table.select_columns([image])
    return images.cast_column(image, Image(decode=False)) if type(table.features[image]).__name__ == "Image" else images


class _Rows:
    """Reads the image of a record whose `path` is a split and whose `place` is a row; from several threads."""

    def __init__(self, splits: Mapping[str, Any]) -> None:
        self._splits = splits

    def __call__(self, record: ImageRecord) -> bytes:
        """Return the bytes of an image.

        Raises:
            UnreadableImage: the row holds no image, or its file cannot be read.
        """
        try:
            [value] = self._splits[record.path][record.place].values()
        # As above; a remote file among them, when the network is away.
        except Exception as error:
            raise UnreadableImage(
                f"Row {record.place} cannot be read ({' '.join(str(error).split())[:200]})"
            ) from error
        return image_bytes(value, Path())
