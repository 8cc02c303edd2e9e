"""All windows that have keys of their own, found in `tui.screens`: for the help and for the user's own keys."""

from __future__ import annotations

import inspect
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from textual.screen import Screen

from visexplore.tui import screens
from visexplore.tui.keymap import flat


@dataclass(frozen=True, slots=True)
class Window:
    """A kind of window.

    Attributes:
        title: its name as words: `side by side`.
        kind: its class.
    """

    title: str
    kind: type[Screen[Any]]


@cache
def windows() -> tuple[Window, ...]:
    """Return the windows whose keys are described, in the order of their titles; imports them all."""
    found = set()
    for module in pkgutil.iter_modules(screens.__path__, f"{screens.__name__}."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, Screen) and kind.__module__ == module.name:
                found.add(kind)
    kinds = [Window(_title(kind), kind) for kind in found if any(binding.tooltip for binding in flat(kind.BINDINGS))]
    return tuple(sorted(kinds, key=lambda window: window.title))


def _title(kind: type[Screen[Any]]) -> str:
    words = re.findall(r"[A-Z][a-z]*", kind.__name__.removesuffix("Screen").removesuffix("Window"))
    return " ".join(words).capitalize()
