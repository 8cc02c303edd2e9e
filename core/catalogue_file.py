"""The user's own catalogue file: check it, say its first mistake in a sentence with its line, add its entries.

pydantic checks it against the dataclasses of `catalogue`. Only users with such a file wait for this import.
"""

from __future__ import annotations

import json
import re
import reprlib
import tomllib
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from visexplore.core.catalogue import Catalogue, Family, closest, family_of, keys_of, own_names
from visexplore.core.errors import CatalogueError
from visexplore.core.toml_lines import TomlPath, line_numbers, nearest_line


@dataclass(frozen=True)
class _File:
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)  # of everything inside it, too

    schema: Literal[1] = 1
    seed_document: str = ""
    checked: str = ""
    family: tuple[Family, ...] = ()


_FILE: Final = TypeAdapter(_File)
_DATE: Final = "a date of TOML"


def add_file(known: Catalogue, name: str, text: str) -> Catalogue:
    """Return `known` with the families and checkpoints of the file called `name` added, which holds `text`.

    Raises:
        CatalogueError: the file does not follow the schema.
    """
    return _Reader(name, text).add_to(known)


@dataclass(frozen=True)
class _Reader:
    """Reads one file; every mistake becomes one sentence with its line."""

    file: str
    text: str

    def add_to(self, known: Catalogue) -> Catalogue:
        """Return `known` with the families and checkpoints of this file added."""
        raw = self._parse()
        added = [family_of(table) for table in raw.get("family", ())]
        families = {family.id: family for family in known.families}
        names = {name for c in known.checkpoints for name in own_names(c)}
        for index, family in enumerate(added):
            path: TomlPath = ("family", index)
            before = families.get(family.id)
            if before is None:
                before = replace(family, checkpoints=())
            elif any(family.id == other.id for other in added[:index]):
                raise self._error((*path, "id"), f"family {family.id!r} is there twice", "Merge the two.")
            elif raw["family"][index].keys() - {"id", "checkpoint"}:
                hint = "Keep only its `id` and its new checkpoints, or choose another `id`."
                raise self._error((*path, "id"), f"family {family.id!r} is in the catalogue already", hint)
            for number, checkpoint in enumerate(family.checkpoints):
                for key, name in zip(("slug", "id", "id"), own_names(checkpoint), strict=True):
                    if name in names:
                        at = (*path, "checkpoint", number, key)
                        raise self._error(at, f"{key} {name!r} belongs to another checkpoint", "Choose another one.")
                names.update(own_names(checkpoint))
            families[family.id] = replace(before, checkpoints=(*before.checkpoints, *family.checkpoints))

        catalogue = Catalogue(tuple(families.values()))
        ids = {checkpoint.id for checkpoint in catalogue.checkpoints}
        for index, family in enumerate(added):
            if family.nearest and family.nearest not in ids:
                message = f"`nearest` is {family.nearest!r}, which is the id of no checkpoint"
                raise self._error(("family", index, "nearest"), message, "Give the id of one.")
        return catalogue

    def _parse(self) -> dict[str, Any]:
        try:
            raw = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax_error(str(error)) from error
        try:
            # Strict, pydantic takes arrays for tuples and tables for dataclasses from JSON only. JSON has no
            # dates; as the schema has none either, a table takes their place, which is as wrong there.
            _FILE.validate_json(json.dumps(raw, default=lambda date: {_DATE: str(date)}))
        except ValidationError as error:
            raise self._schema_error(raw, error) from error
        return raw

    def _error(self, path: TomlPath, message: str, hint: str) -> CatalogueError:
        line = nearest_line(line_numbers(self.text), path)
        return CatalogueError(f"{self.file}, line {line}: {message}", hint)

    def _syntax_error(self, message: str) -> CatalogueError:
        # "Unclosed array (at line 3, column 7)" or "... (at end of document)"
        what, _, where = message.rpartition(" (at ")
        found = re.match(r"line (\d+)", where)
        line = int(found[1]) if found else max(1, len(self.text.splitlines()))
        return CatalogueError(f"{self.file}, line {line}: not valid TOML: {what}", "Correct that line.")

    def _schema_error(self, raw: dict[str, Any], error: ValidationError) -> CatalogueError:
        """Return the mistake that stands first in the file."""
        lines = line_numbers(self.text)
        mistake = min(error.errors(), key=lambda m: nearest_line(lines, m["loc"]))
        path, kind = mistake["loc"], mistake["type"]
        owner, field = _place(raw, path)
        if kind == "missing" and isinstance(path[-1], str):
            return self._error(path, f"{owner} lacks `{field}`", f"Add `{path[-1]} = ...` to it.")
        if kind == "unexpected_keyword_argument":
            table = _dotted(path[:-1])
            known = list(keys_of(table)) if table else [known.name for known in fields(_File)]
            close = closest(str(path[-1]), known, 1)
            hint = f"Perhaps `{close[0]}` is meant." if close else f"The fields are {', '.join(known)}."
            return self._error(path, f"{owner} has an unknown field `{field}`", hint)
        expected = _EXPECTED.get(kind) or mistake["msg"].removeprefix("Input should ")
        if kind == "string_pattern_mismatch":
            expected = (
                "look like 2021-02" if field == "first_public" else "be lower-case letters, digits and single hyphens"
            )
        what = f"`{field}` of {owner}" if field else owner
        given = mistake["input"]
        shown = given[_DATE] if isinstance(given, dict) and _DATE in given else reprlib.repr(given)
        return self._error(path, f"{what} should {expected}, not {shown}", "Correct that line.")


_EXPECTED: Final = {
    "bool_type": "be true or false",
    "float_type": "be a number",
    "int_type": "be a whole number",
    "missing": "be an array of three numbers",  # only mean and std have elements that can be missing
    "dataclass_type": "be a table",
    "string_too_short": "not be empty",
    "string_type": "be a text in quotes",
    "too_long": "be an array of three numbers",
    "tuple_type": "be an array",
}


def _place(raw: dict[str, Any], path: TomlPath) -> tuple[str, str]:
    """Return who owns the value at `path` ("checkpoint 'x'") and its dotted name inside that owner."""
    owner = "the file"
    while len(path) > 1 and path[0] in {"family", "checkpoint"} and isinstance(path[1], int):
        table = raw[path[0]][path[1]]
        raw = table if isinstance(table, dict) else {}
        name = repr(raw["id"]) if raw.get("id") else f"number {path[1] + 1}"
        owner, path = f"{path[0]} {name}", path[2:]
    return owner, _dotted(path)


def _dotted(path: TomlPath) -> str:
    return ".".join(part for part in path if isinstance(part, str))
