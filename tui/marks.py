"""The images that a user marked."""

from __future__ import annotations

from collections.abc import Iterable


class Marks:
    """Ids of images, in the order in which they were marked; what was unmarked at once can be brought back."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._cleared: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The marked images."""
        return tuple(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._ids

    def toggle(self, image_id: str) -> None:
        """Mark an image, or take its mark away."""
        if image_id in self._ids:
            del self._ids[image_id]
        else:
            self._ids[image_id] = None

    def replace(self, image_ids: Iterable[str]) -> None:
        """Mark these images and no others."""
        self._ids = dict.fromkeys(image_ids)
        self._cleared = ()

    def clear(self) -> None:
        """Take all marks away."""
        self._cleared = self.ids
        self._ids = {}

    def bring_back(self) -> bool:
        """Mark what `clear` unmarked; False if there is nothing."""
        self._ids = dict.fromkeys(self._cleared)
        self._cleared = ()
        return bool(self._ids)
