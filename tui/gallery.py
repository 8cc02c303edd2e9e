"""The dataset as the screen knows it: ids and labels, filtered."""

from __future__ import annotations

from array import array
from collections import Counter
from functools import cached_property

from visexplore.core.engine import DatasetOpened


class Gallery:
    """The images of an opened dataset."""

    def __init__(self, opened: DatasetOpened) -> None:
        self.spec = opened.spec
        self.title = opened.title
        self.image_ids = opened.image_ids
        self.labels = opened.labels
        self.problems = opened.problems
        self.label_numbers = array("i", opened.label_numbers)  # for each image the place of its label, or -1

    def __len__(self) -> int:
        return len(self.image_ids)

    def lists_the_same_as(self, other: Gallery) -> bool:
        """Whether both have the same images with the same labels, in the same order."""
        return (self.spec, self.image_ids, self.labels, self.label_numbers) == (
            other.spec, other.image_ids, other.labels, other.label_numbers,
        )  # fmt: skip

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Position by image id."""
        return {image_id: position for position, image_id in enumerate(self.image_ids)}

    @cached_property
    def label_counts(self) -> list[tuple[str, int]]:
        """Labels with the number of their images, in the order of their names."""
        counts = Counter(self.label_numbers)
        return [(label, counts[number]) for number, label in enumerate(self.labels)]

    def label(self, position: int) -> str | None:
        """Return the label of the image at `position`."""
        number = self.label_numbers[position]
        return self.labels[number] if number >= 0 else None

    def positions(self, label: str | None, words: str) -> list[int]:
        """Return the images of a label (None: of all) whose ids contain every word, ignoring case."""
        wanted = words.lower().split()
        number = None if label is None else self.labels.index(label)
        return [
            position
            for position, image_id in enumerate(self.image_ids)
            if (number is None or self.label_numbers[position] == number)
            and (not wanted or all(word in image_id.lower() for word in wanted))
        ]
