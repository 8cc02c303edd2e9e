"""The contract of a dataset: a named, ordered source of images with optional labels, splits and attributes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visexplore.core.errors import UnknownImage, UnreadableImage, UserError
from visexplore.core.text import count

# A picture within the pixel limit, in 16 bits and not compressed, stays below it.
MAX_FILE_BYTES = 1_000_000_000
QUERY, GALLERY = "query", "gallery"

Positions = NDArray[np.int64]
Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a dataset, known without reading it.

    Attributes:
        image_id: its stable name inside the dataset, valid Unicode whatever the file's name.
        path: the file, as the operating system names it; the Parquet file or tar that holds the image; on the hub
            the dataset and its split.
        size: of the file, in bytes; of the image where it is a part of a tar.
        mtime_ns: time of the file's last change, in nanoseconds since 1970; with `size` it tells changed images.
        label: class name, or None where the image has none.
        split: `train`, `test`, ... or None.
        place: where in the file the image is: row of a table, byte in a tar; 0 for a file of its own.
        attributes: further facts of the image by which results can be sliced, as (name, value) pairs. Images with
            equal facts share one tuple.
    """

    image_id: str
    path: str
    size: int
    mtime_ns: int
    label: str | None = None
    split: str | None = None
    place: int = 0
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the dataset that is not there or could not be read, and why.

    Attributes:
        path: the folder or file.
        reason: a sentence without a full stop, which goes on after `path: `.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class NamedSplit:
    """A choice of images that the literature on a dataset evaluates on.

    Attributes:
        name: what it is asked for by.
        about: which images these are, in a few words.
        splits: images of these splits take part; empty: of all.
        labels: images of these labels take part; empty: of all.
    """

    name: str
    about: str
    splits: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def has(self, record: ImageRecord) -> bool:
        """Whether an image takes part."""
        return (not self.splits or record.split in self.splits) and (not self.labels or record.label in self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Who asks and what is searched in an evaluation.

    Attributes:
        name: what it was asked for by; `all`, or `query/gallery`, where nothing was named.
        queries: (q,) int64, ascending positions in `Dataset.records`.
        gallery: (g,) int64, ascending positions in `Dataset.records`; the same array as `queries` where each image
            asks for the others.
    """

    name: str
    queries: Positions
    gallery: Positions

    @property
    def leave_one_out(self) -> bool:
        """Whether each image asks for all the others."""
        return self.queries is self.gallery


def read_file(record: ImageRecord) -> bytes:
    """Return the bytes of the file of an image.

    Raises:
        UnreadableImage: the file is gone, may not be read, or is far too large to be a picture.
    """
    if record.size > MAX_FILE_BYTES:
        raise UnreadableImage(
            f"Its {record.size / 1e9:.1f} GB are more than the limit of {MAX_FILE_BYTES / 1e9:.0f} GB"
        )
    try:
        return Path(record.path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from error


@dataclass(frozen=True)
class Dataset:
    """A named, ordered list of images.

    Attributes:
        spec: what the user typed to get it, absolute where it is a path; opens the same dataset again.
        slug: name of its folder in the embedding cache; the same for specs that differ in labels and splits only.
        title: short name for the screen.
        records: the images, in a stable order.
        problems: what is not there or could not be read, one sentence for each cause.
        named_splits: what the literature on this dataset evaluates on.
        reader: gets the bytes of an image; called from several threads at a time.
    """

    spec: str
    slug: str
    title: str
    records: Sequence[ImageRecord]
    problems: tuple[Problem, ...] = field(default=())
    named_splits: tuple[NamedSplit, ...] = field(default=())
    reader: Callable[[ImageRecord], bytes] = field(default=read_file, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Position in `records` by image id."""
        return {record.image_id: position for position, record in enumerate(self.records)}

    @cached_property
    def label_counts(self) -> dict[str, int]:
        """Number of images by label, in the order of the labels' names; empty without labels."""
        counts = Counter(record.label for record in self.records if record.label is not None)
        return dict(sorted(counts.items()))

    @cached_property
    def split_counts(self) -> dict[str, int]:
        """Number of images by split, in the order of the splits' names; empty without splits."""
        counts = Counter(record.split for record in self.records if record.split is not None)
        return dict(sorted(counts.items()))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what the dataset holds: changes with any file that is added, changed, moved or deleted."""
        digest = hashlib.blake2b(digest_size=16)
        for record in self.records:
            line = f"{record.image_id}\0{record.size}\0{record.mtime_ns}\0{record.label!r}\0{record.split!r}\n"
            if record.attributes:
                line = f"{line}{record.attributes!r}\n"
            digest.update(line.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def record(self, image_id: str) -> ImageRecord:
        """Return the image of that id.

        Raises:
            UnknownImage: the dataset has no such image.
        """
        position = self.position_of.get(image_id)
        if position is None:
            import difflib

            close = difflib.get_close_matches(image_id, self.position_of, n=1, cutoff=0.6)
            hint = f"Did you mean '{close[0]}'?" if close else "An image id is a path relative to the dataset's folder."
            raise UnknownImage(f"{self.title} has no image '{image_id}'", hint)
        return self.records[position]

    def read(self, record: ImageRecord) -> bytes:
        """Return the bytes of the image file.

        Raises:
            UnreadableImage: the file is gone, may not be read, or is far too large to be a picture.
        """
        return self.reader(record)

    def evaluation(self, split: str | None = None, *, labelled: bool = True) -> Split:
        """Return who asks and what is searched.

        Where the images that take part come from a `query` and a `gallery` split, the one is searched with the
        other; images of further splits are left out. Otherwise each image asks for all the others.

        Args:
            split: a name of `named_splits`, of `split_counts`, or `all` for every image as one set. None: query and
                gallery where the dataset has both, else every image.
            labelled: leave out images without a label; what needs no labels may ask for all.

        Raises:
            UserError: there is no such split, none of its images is there, or labels are needed and there are none.
        """
        takes_part, about = self._choice(split)
        positions = [n for n, record in enumerate(self.records) if takes_part(record)]
        where = f"The split '{split}' of {self.title}" if split else self.title
        if not positions:
            raise UserError(f"{where} holds no images" + (f": {about}, none of which is here" if about else ""))
        sides = {self.records[n].split for n in positions}
        if labelled:
            positions = [n for n in positions if self.records[n].label is not None]
        chosen = np.array(positions, np.int64)
        queries = gallery = chosen
        name = split or "all"
        if split != "all" and {QUERY, GALLERY} <= sides:
            side = np.array([self.records[n].split for n in positions], object)
            queries, gallery = chosen[side == QUERY], chosen[side == GALLERY]
            name = split or f"{QUERY}/{GALLERY}"
        if not len(queries) or not len(gallery):
            which = "" if not len(positions) else ("Among the queries " if not len(queries) else "In the gallery ")
            nothing = f"{which}of {self.title} nothing has a label" if which else f"{where} has no labels"
            raise UserError(
                f"{nothing}, so there is no telling which neighbours are right",
                "Labels are the names of sub-folders, or a column of a table: `csv:FILE?image=COLUMN&label=COLUMN`. "
                "`visexplore datasets` lists all kinds of datasets.",
            )
        return Split(name, queries, gallery)

    def _choice(self, split: str | None) -> tuple[Callable[[ImageRecord], bool], str]:
        """Return which images a split has, and that in words."""
        if split is None:
            return (lambda record: True), ""
        for named in self.named_splits:
            if named.name == split:
                return named.has, named.about
        if split in self.split_counts:
            return (lambda record: record.split == split), ""
        if split == "all":
            return (lambda record: True), ""
        known = [f"{name} ({count(images, 'image')})" for name, images in self.split_counts.items()]
        known += [f"{named.name} ({named.about})" for named in self.named_splits]
        hint = f"It has: {', '.join(known)}." if known else "It is not divided: leave the split out."
        raise UserError(f"{self.title} has no split '{split}'", hint)
