"""Files by the names that tables give them: a relative path, a bare name, or a name without its ending."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from visexplore.core.images import image_suffixes


class Names:
    """Finds an image of a folder by what a table calls it.

    A path relative to the folder is looked for first, with or without the file's ending; then, for a name without a
    folder, the one file of that name anywhere below. A name that two files have finds neither.

    Args:
        folder: the absolute path, by which absolute names are made relative.
        relative: paths of the images in it, in their order.
    """

    def __init__(self, folder: str, relative: Sequence[str]) -> None:
        self._prefix = folder.rstrip("/") + "/"
        self._relative = relative
        self._exact = {path: position for position, path in enumerate(relative)}

    def find(self, name: str) -> int | None:
        """Return the position of the image that is called `name`, or None."""
        name = name.removeprefix(self._prefix)
        position = self._exact.get(name)
        if position is None:
            name = _normal(name)
            position = self._exact.get(name)
        return self._loose.get(name) if position is None else position

    @cached_property
    def _loose(self) -> dict[str, int | None]:
        loose: dict[str, int | None] = {}
        suffixes = image_suffixes()
        for position, path in enumerate(self._relative):
            stem, _, ending = path.rpartition(".")
            bare = stem if stem and f".{ending.lower()}" in suffixes else path
            for name in {path.rpartition("/")[2], bare, bare.rpartition("/")[2]}:
                loose[name] = None if name in loose else position
        return loose


def _normal(name: str) -> str:
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
