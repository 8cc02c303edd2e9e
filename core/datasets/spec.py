"""How a dataset is named: `KIND:PLACE?option=value&option=value`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from visexplore.core.datasets.kinds import KINDS, Kind
from visexplore.core.errors import UnknownDataset, UserError

# Only what looks like `?name=value` at the very end is taken for options: `part-?.parquet` is a pattern of files.
_OPTIONS = re.compile(r"\?([a-z_]+=[^&]*(?:&[a-z_]+=[^&]*)*)\Z")
_ESCAPES = {"%26": "&", "%3F": "?", "%25": "%"}


@dataclass(frozen=True, slots=True)
class Spec:
    """A dataset's name, taken apart.

    Attributes:
        kind: of the dataset.
        place: where it is: a path, a pattern of paths, a repository; empty for the usual place.
        options: which columns hold what.
    """

    kind: Kind
    place: str
    options: Mapping[str, str] = field(default_factory=dict)

    def text(self, place: str | Path | None = None) -> str:
        """Return what opens the same dataset again, with another way to write the place."""
        where = str(self.place if place is None else place)
        options = "&".join(f"{name}={_escaped(value)}" for name, value in self.options.items())
        prefix = f"{self.kind.prefix}:" if self.kind.prefix else ""
        return f"{prefix}{where}{'?' if options else ''}{options}"

    def slug(self, name: str, place: str | Path) -> str:
        """Return the dataset's name in the embedding cache: what decides its images, and nothing else.

        Choosing another label column must not cost embedding everything anew.
        """
        deciding = {key: value for key, value in self.options.items() if key not in ("label", "split")}
        return slug(name, Spec(self.kind, self.place, deciding).text(place))


def slug(name: str, unique: str) -> str:
    """Return a plain file name that begins like `name` and is different for each `unique`."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:40] or "folder"
    return f"{plain}-{hashlib.blake2b(os.fsencode(unique), digest_size=4).hexdigest()}"


def parse(text: str) -> Spec:
    """Take a dataset's name apart. What exists as a path is a path, whatever it looks like.

    Raises:
        UnknownDataset: there is no such kind of dataset, and nothing at that path.
        UserError: the kind of dataset has no such option.
    """
    if _exists(text):
        return Spec(KINDS[""], text)
    prefix, colon, rest = text.partition(":")
    kind = KINDS.get(prefix) if prefix else None
    if kind is None:
        place, options = _take_off_options(text)
        if options and _exists(place):
            return Spec(KINDS[""], place, _checked(KINDS[""], options))
        if colon and re.fullmatch(r"[a-z]+", prefix):
            raise UnknownDataset(
                f"'{prefix}:' is no kind of dataset, and there is no folder '{text}'",
                f"The kinds are {', '.join(f'{known}:' for known in KINDS if known)}; or name the path of a folder.",
            )
        raise UnknownDataset(
            f"There is no dataset '{text}' and no folder at that path",
            "Name a folder of images, or `sample` for the bundled pictures; `visexplore datasets` lists other kinds.",
        )
    place, options = (rest, {}) if _exists(rest) else _take_off_options(rest)
    if not place and not kind.usual_place:
        raise UnknownDataset(f"'{text}' does not say where the images are", f"Write {kind.usage}.")
    return Spec(kind, place, _checked(kind, options))


def _exists(place: str) -> bool:
    return os.path.lexists(os.path.expanduser(place))  # noqa: PTH111 - Path fails for unknown users


def _take_off_options(text: str) -> tuple[str, dict[str, str]]:
    found = _OPTIONS.search(text)
    if found is None:
        return text, {}
    pairs = (part.partition("=") for part in found[1].split("&"))
    return text[: found.start()], {name: _unescaped(value) for name, _, value in pairs}


def _checked(kind: Kind, options: dict[str, str]) -> dict[str, str]:
    for name in options:
        if name not in kind.options:
            known = ", ".join(f"{option}=" for option in kind.options)
            raise UserError(
                f"'{name}=' is no option of {kind.title}",
                f"Its options are {known}." if known else "It has no options.",
            )
    return options


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("&", "%26").replace("?", "%3F")


def _unescaped(value: str) -> str:
    return re.sub("|".join(_ESCAPES), lambda match: _ESCAPES[match[0]], value)


def absolute(place: str) -> Path:
    """Return a place as an absolute path, with the user's own links kept."""
    return Path(os.path.abspath(os.path.expanduser(place)))  # noqa: PTH100, PTH111
