"""On which line of a TOML text each value stands: `tomllib` does not say, but people have to find it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

type TomlPath = tuple[str | int, ...]
"""Keys and array indices from the top of a document to a value: `("family", 0, "checkpoint", 2, "dim")`."""

_TOKEN = re.compile(
    r"""
    (?P<blank> [ \t\r]+ | \#[^\n]* )
    | (?P<text> "{3} (?:\\.|[^\\])*? "{3,5} (?!") | '{3} .*? '{3,5} (?!')
              | "(?:\\.|[^"\\\n])*"             | '[^'\n]*' )
    | (?P<mark> [\[\]{},=\n] )
    | (?P<word> [^\s\[\]{},=\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def line_numbers(text: str) -> dict[TomlPath, int]:
    """Return the line, counted from 1, of every table, key and array element of the valid TOML `text`."""
    return _Scanner(text).lines


def nearest_line(lines: dict[TomlPath, int], path: TomlPath) -> int:
    """Return the line of `path` or, where it is not written, of the innermost table around it that is."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    """Walks over a document that `tomllib` accepted, so that nothing has to be checked again."""

    def __init__(self, text: str) -> None:
        self.lines: dict[TomlPath, int] = {}
        self._text = text
        self._tokens = [token for token in _TOKEN.finditer(text) if token.lastgroup != "blank"]
        self._at = 0
        self._newest: dict[TomlPath, int] = {}  # index of the latest [[table]] of each array of tables
        table: TomlPath = ()
        while self._next() is not None:
            if self._next() == "\n":
                self._at += 1
            elif self._next() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _next(self) -> str | None:
        return self._tokens[self._at].group() if self._at < len(self._tokens) else None

    def _note(self, path: TomlPath) -> None:
        start = self._tokens[self._at].start()
        self.lines.setdefault(path, self._text.count("\n", 0, start) + 1)

    def _key(self, end: str) -> list[str]:
        """Return the parts of the dotted key that reaches to the mark `end`, and step over that mark."""
        start = self._tokens[self._at].start()
        while self._next() != end:
            self._at += 1
        nested: Any = tomllib.loads(f"{self._text[start : self._tokens[self._at].start()]} = 0")
        self._at += 1
        parts = []
        while nested != 0:
            [(part, nested)] = nested.items()
            parts.append(part)
        return parts

    def _header(self) -> TomlPath:
        start = self._at
        self._at += 1
        is_array = self._next() == "["
        self._at += is_array
        parts = self._key("]")
        self._at += is_array
        after, self._at = self._at, start
        path: TomlPath = ()
        for depth, part in enumerate(parts, 1):
            path = (*path, part)
            self._note(path)
            if is_array and depth == len(parts):
                self._newest[path] = self._newest.get(path, -1) + 1
            if path in self._newest:
                path = (*path, self._newest[path])
                self._note(path)
        self._at = after
        return path

    def _pair(self, table: TomlPath) -> None:
        start = self._at
        parts = self._key("=")
        after, self._at = self._at, start
        for depth in range(1, len(parts) + 1):
            self._note((*table, *parts[:depth]))
        self._at = after
        self._value((*table, *parts))

    def _value(self, path: TomlPath) -> None:
        opening = self._next()
        self._at += 1
        if opening == "[":
            self._members("]", lambda index: self._element((*path, index)))
        elif opening == "{":
            self._members("}", lambda _: self._pair(path))
        else:
            while self._at < len(self._tokens) and self._tokens[self._at].lastgroup == "word":
                self._at += 1  # the time after a date

    def _element(self, path: TomlPath) -> None:
        self._note(path)
        self._value(path)

    def _members(self, end: str, read: Callable[[int], None]) -> None:
        index = 0
        while self._next() != end:
            if self._next() in {",", "\n"}:
                self._at += 1
            else:
                read(index)
                index += 1
        self._at += 1
