"""The dataset as the screen knows it: ids and labels, filtered.

What has to look at all images is a generator that pauses after every few of them (`visexplore.tui.slices`): there may
be a million.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cached_property

from visexplore.core.engine import DatasetOpened
from visexplore.tui.image_filter import ImageFilter
from visexplore.tui.label_tree import nesting
from visexplore.tui.slices import IMAGES

Steps = Generator[None, None, list[int]]


class Positions(Mapping[str, int]):
    """Position by image id.

    A dictionary of all ids takes longer to make than a key may wait: until `prepare` has made it, ids are looked for
    one after the other, a few milliseconds for 100,000.
    """

    def __init__(self, image_ids: Sequence[str]) -> None:
        self._image_ids = image_ids
        self._known: dict[str, int] = {}

    def prepare(self) -> Generator[None]:
        """Make the dictionary, from where it was left off."""
        while len(self._known) < len(self._image_ids):
            start = len(self._known)
            part = self._image_ids[start : start + IMAGES]
            self._known.update(zip(part, range(start, start + len(part)), strict=True))
            yield

    def __getitem__(self, image_id: str) -> int:
        position = self._known.get(image_id)
        if position is not None:
            return position
        if len(self._known) == len(self._image_ids):
            raise KeyError(image_id)
        try:
            return self._image_ids.index(image_id, len(self._known))
        except ValueError:
            raise KeyError(image_id) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._image_ids)

    def __len__(self) -> int:
        return len(self._image_ids)


class Gallery:
    """The images of an opened dataset.

    Attributes:
        spec: what opens the dataset again.
        title: its short name.
        image_ids: in the dataset's order.
        labels: the names of the labels, sorted.
        problems: places that could not be listed.
        position_of: position by image id.
    """

    def __init__(self, opened: DatasetOpened) -> None:
        self.spec = opened.spec
        self.title = opened.title
        self.image_ids = opened.image_ids
        self.labels = opened.labels
        self.problems = opened.problems
        self.position_of = Positions(opened.image_ids)
        self.label_numbers = array("i", opened.label_numbers)  # for each image the place of its label, or -1
        self._lowered: list[str] = []  # ids in lower case, as far as they were needed

    def __len__(self) -> int:
        return len(self.image_ids)

    def lists_the_same_as(self, other: Gallery) -> bool:
        """Whether both have the same images with the same labels, in the same order."""
        return (self.spec, self.image_ids, self.labels, self.label_numbers) == (
            other.spec, other.image_ids, other.labels, other.label_numbers,
        )  # fmt: skip

    def label(self, position: int) -> str | None:
        """Return the label of the image at `position`."""
        number = self.label_numbers[position]
        return self.labels[number] if number >= 0 else None

    def label_counts(self, positions: Sequence[int]) -> Generator[None, None, list[tuple[str, int]]]:
        """Count the images of each label among `positions`; labels without any are left out.

        What is nested in a label comes right after it.
        """
        counts = [0] * (len(self.labels) + 1)  # images without a label have the number -1: the last of these
        numbers = self.label_numbers
        for part in _parts(positions):
            for position in part:
                counts[numbers[position]] += 1
            yield
        return [(self.labels[number], counts[number]) for number in self._nested_order if counts[number]]

    def matching(self, wanted: ImageFilter, among: Sequence[int]) -> Steps:
        """Find the images of `among`, which ascend, that meet a filter."""
        yield from self._lower()
        lowered, numbers = self._lowered, self.label_numbers
        tests = []
        for word in wanted.words:
            tests.append((word, bytes([*(word.text in label for label in self._lowered_labels), 0])))
            yield
        found: list[int] = []
        for left in _parts(among):
            for word, has in tests:
                text, excluded = word.text, word.excluded
                if word.where == "label":
                    left = [at for at in left if has[numbers[at]] != excluded]
                elif word.where == "name":  # what is found behind the last slash is in the name
                    left = [at for at in left if (lowered[at].rfind(text) > lowered[at].rfind("/")) != excluded]
                else:
                    left = [at for at in left if (text in lowered[at] or bool(has[numbers[at]])) != excluded]
            found.extend(left)
            yield
        return found

    def under_label(self, label: str, among: Sequence[int]) -> Steps:
        """Find the images of `among` that have a label, or one that is nested in it."""
        inside = f"{label}/"
        has = bytes([*(name == label or name.startswith(inside) for name in self.labels), 0])
        numbers = self.label_numbers
        found: list[int] = []
        for part in _parts(among):
            found.extend([at for at in part if has[numbers[at]]])
            yield
        return found

    @cached_property
    def _nested_order(self) -> list[int]:
        return sorted(range(len(self.labels)), key=lambda number: nesting(self.labels[number]))

    @cached_property
    def _lowered_labels(self) -> list[str]:
        return [label.lower() for label in self.labels]

    def _lower(self) -> Generator[None]:
        while len(self._lowered) < len(self.image_ids):
            start = len(self._lowered)
            for image_id in self.image_ids[start : start + IMAGES]:
                low = image_id.lower()
                self._lowered.append(image_id if low == image_id else low)  # most are: that saves their memory
            yield


def _parts(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    return (positions[start : start + IMAGES] for start in range(0, len(positions), IMAGES))
