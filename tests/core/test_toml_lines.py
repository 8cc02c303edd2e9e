from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import pytest

from visexplore.core.toml_lines import TomlPath, line_numbers, nearest_line

BUNDLED = resources.files("visexplore.assets").joinpath("catalogue.toml").read_text("utf-8")


def paths(value: Any, path: TomlPath = ()) -> list[TomlPath]:
    """Return the path of every key and array element below `value`."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [p for key, inner in items for p in ((*path, key), *paths(inner, (*path, key)))]


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2", ("b",), 2),
        ("# a = 1\n\na = 1", ("a",), 3),
        ('a = """\nb = 1\n"""\nb = 2', ("b",), 4),
        ("a = '''\nb = 1'''\nb = 2", ("b",), 3),
        ('a = """x""""\nb = 2', ("b",), 2),
        ('a = "# \\" ["\nb = 2', ("b",), 2),
        ("[t]\na = 1\n[u]\na = 1", ("u", "a"), 4),
        ("[[t]]\na = 1\n[[t]]\na = 1", ("t", 1, "a"), 4),
        ("[[t]]\n[[t.u]]\n[[t]]\n[[t.u]]\n[[t.u]]\na = 1", ("t", 1, "u", 1, "a"), 6),
        ("[[t]]\n[[t]]\n[t.s]\na = 1", ("t", 1, "s", "a"), 4),
        ("a = [\n  1,\n  [2,\n 3], # ]\n]\nb = 1", ("a", 1, 1), 4),
        ("a = [\n  { x = 1 },\n  { x = 2, y = 3 },\n]", ("a", 1, "y"), 3),
        ("\na.b.c = 1", ("a", "b"), 2),
        ("\n\"a.b\".'c' = 1", ("a.b", "c"), 2),
        ("a = 1979-05-27 07:32:00\nb = 2", ("b",), 2),
        ("a = 1\r\nb = 2\r\n", ("b",), 2),
        ("a = []\nb = {}\nc = 1", ("c",), 3),
    ],
)
def test_a_value_is_found_on_its_line(text: str, path: TomlPath, line: int) -> None:
    tomllib.loads(text.replace("\r\n", "\n"))
    assert line_numbers(text)[path] == line


def test_every_value_of_the_bundled_catalogue_is_found() -> None:
    assert set(paths(tomllib.loads(BUNDLED))) == set(line_numbers(BUNDLED))


def test_every_key_of_the_bundled_catalogue_stands_on_the_line_found() -> None:
    lines = BUNDLED.splitlines()
    for path, line in line_numbers(BUNDLED).items():
        if isinstance(path[-1], str):
            assert path[-1] in lines[line - 1]


def test_a_value_that_is_not_written_is_placed_at_the_table_around_it() -> None:
    assert nearest_line(line_numbers("[[t]]\na = 1\n[[t]]\na = 1"), ("t", 1, "missing")) == 3


def test_a_value_with_no_table_around_it_is_placed_at_the_first_line() -> None:
    assert nearest_line(line_numbers("\n\na = 1"), ("missing",)) == 1
