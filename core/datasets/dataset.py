"""The contract of a dataset: a named, ordered source of images with optional labels and splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from visexplore.core.errors import UnknownImage, UnreadableImage

# A picture within the pixel limit, in 16 bits and not compressed, stays below it.
MAX_FILE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a dataset, known without reading it.

    Attributes:
        image_id: its stable name inside the dataset, valid Unicode whatever the file's name.
        path: the file, as the operating system names it.
        size: of the file, in bytes.
        mtime_ns: time of its last change, in nanoseconds since 1970; with `size` it tells changed files.
        label: class name, or None where the dataset has no labels.
        split: `train`, `test`, ... or None.
    """

    image_id: str
    path: str
    size: int
    mtime_ns: int
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A place of the dataset that could not be listed, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A named, ordered list of images.

    Attributes:
        spec: what the user typed to get it, absolute where it is a path; opens the same dataset again.
        slug: name of its folder in the embedding cache, unique for the spec.
        title: short name for the screen.
        records: the images, in a stable order.
        problems: folders that could not be read.
    """

    spec: str
    slug: str
    title: str
    records: Sequence[ImageRecord]
    problems: tuple[Problem, ...] = field(default=())

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
    def fingerprint(self) -> str:
        """Digest of what the dataset holds: changes with any file that is added, changed, moved or deleted."""
        digest = hashlib.blake2b(digest_size=16)
        for record in self.records:
            line = f"{record.image_id}\0{record.size}\0{record.mtime_ns}\0{record.label!r}\0{record.split!r}\n"
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
        if record.size > MAX_FILE_BYTES:
            raise UnreadableImage(
                f"Its {record.size / 1e9:.1f} GB are more than the limit of {MAX_FILE_BYTES / 1e9:.0f} GB"
            )
        try:
            return Path(record.path).read_bytes()
        except OSError as error:
            raise UnreadableImage(error.strerror or str(error)) from error
