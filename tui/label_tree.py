"""Labels as a tree: `Fruit/Apple` is inside `Fruit`. Labels without a slash are a flat list."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

_STEP = 1000  # labels of a step: two milliseconds


def nesting(label: str) -> str:
    """Return what labels are sorted by so that what is nested in one comes right after it, before `label-2`."""
    return label.replace("/", "\0")


class LabelTree:
    """Labels and what they are nested in, each before what is inside it.

    Columns rather than objects, because there may be tens of thousands.

    Attributes:
        paths: of the nodes: a label, or the beginning of some up to a slash.
        depths: how deep they are nested.
        images: how many images they have, with all that is inside.
        ends: number of the node that comes after all that is inside.
    """

    def __init__(self, label_counts: Iterable[tuple[str, int]] = ()) -> None:
        self.paths: list[str] = []
        self.depths: list[int] = []
        self.images: list[int] = []
        self.ends: list[int] = []
        for _ in self._add(label_counts):
            pass

    @classmethod
    def grow(cls, label_counts: Iterable[tuple[str, int]]) -> Generator[None, None, LabelTree]:
        """Make the tree of labels with their numbers of images, in steps."""
        tree = cls()
        yield from tree._add(label_counts)
        return tree

    def _add(self, label_counts: Iterable[tuple[str, int]]) -> Generator[None]:
        counts = sorted(label_counts, key=lambda entry: nesting(entry[0]))
        yield
        around: list[int] = []
        parts_around: list[str] = []
        for number, (label, images) in enumerate(counts, start=1):
            parts = label.split("/")
            shared = 0
            for ours, part in zip(parts_around, parts, strict=False):
                if ours != part:
                    break
                shared += 1
            self._close(around, shared)
            for depth in range(shared, len(parts)):
                around.append(len(self.paths))
                self.paths.append("/".join(parts[: depth + 1]))
                self.depths.append(depth)
                self.images.append(0)
                self.ends.append(0)
            for node in around:
                self.images[node] += images
            parts_around = parts
            if number % _STEP == 0:
                yield
        self._close(around, 0)

    def _close(self, around: list[int], kept: int) -> None:
        while len(around) > kept:
            self.ends[around.pop()] = len(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def is_flat(self) -> bool:
        """Whether nothing is nested."""
        return not any(self.depths)

    def folds(self, node: int) -> bool:
        """Whether there is something inside a node."""
        return self.ends[node] > node + 1

    def name(self, node: int) -> str:
        """Return a node's own part of its path."""
        return self.paths[node].rpartition("/")[2]

    def depth_for(self, rows: int) -> int:
        """Return to which depth everything can be unfolded so that no more than so many rows are seen."""
        seen = depth = 0
        while depth <= max(self.depths, default=0):
            seen += self.depths.count(depth)
            if seen > rows:
                break
            depth += 1
        return max(0, depth - 1)

    def seen(self, folded: Mapping[str, bool], depth: int) -> list[int]:
        """Return the nodes that are seen.

        Args:
            folded: whether a node is folded, by its path, where that was chosen.
            depth: nodes of which nothing was chosen are folded from this depth on.
        """
        if self.is_flat:
            return list(range(len(self)))
        nodes, node = [], 0
        while node < len(self):
            nodes.append(node)
            is_folded = folded.get(self.paths[node], self.depths[node] >= depth)
            node = self.ends[node] if is_folded else node + 1
        return nodes
