"""`visexplore config`: the user's settings, where each comes from, and a file to begin with."""

from __future__ import annotations

import json
from typing import Any

from visexplore.core.catalogue import DEFAULT_MODEL
from visexplore.core.settings import explain_settings
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Column, Output
from visexplore.tui.keymap import flat
from visexplore.tui.keymap import keymap as check_keys
from visexplore.tui.keys import KEYS

_TEMPLATE = f"""\
# Settings of visexplore. Lines that begin with # say nothing: take the mark away and change what follows.

# Folder of everything that is derived and may be deleted: embeddings, thumbnails, logs. VISEXPLORE_HOME and --home win.
# home = "~/.cache/visexplore"

# Open no socket at all.
# offline = true

# How pictures are drawn: auto, kitty, sixel, halfblock, text.
# graphics = "auto"

# How many colours the terminal has: auto, truecolor, 256, 16, none.
# color = "auto"

# How the explorer looks: auto, dark, light, high-contrast-dark, high-contrast-light.
# theme = "dark"

# What the explorer opens where nothing is named, and the model that it begins with.
# dataset = "~/photos"
# model = "{DEFAULT_MODEL}"

# Suggest what to press next.
# hints = false

# Bound of the thumbnail cache in megabytes.
# thumbnails_mb = 500

# Keys of the explorer: one, or several with commas between them. Characters are written as they are; others are called
# f5, space, pagedown, ctrl+s, ...
[keys]
"""


def run(options: Globals, *, template: bool, as_json: bool) -> int:
    """Print the settings, or a file to begin with."""
    if template:
        print(_TEMPLATE + "\n".join(_key_lines()))  # noqa: T201 - it is to be piped into a file as it is
        return 0
    settings = options.settings()
    check_keys(settings)
    output = Output(options, settings)
    explained = explain_settings(
        home=options.home,
        offline=options.offline,
        graphics=options.graphics,
        color=options.color,
        theme=options.theme,
    )
    rows: list[tuple[str, Any, str]] = [
        (name, str(value) if name == "home" else value, origin)
        for name, (value, origin) in explained.items()
        if name != "keys"
    ]
    rows += [(f"keys.{name}", keys, explained["keys"][1]) for name, keys in settings.keys.items()]
    if as_json:
        known = {name: {"value": value, "from": origin} for name, value, origin in rows}
        output.json({"file": str(settings.config_file), "exists": settings.config_file.exists(), "settings": known})
        return 0
    there = (
        "" if settings.config_file.exists() else "  (not there: visexplore config --template prints one to begin with)"
    )
    output.line(f"{settings.config_file}{there}")
    output.line()
    columns = [Column("setting", style="bold"), Column("value"), Column("from")]
    output.table(columns, [(name, _shown(value), origin) for name, value, origin in rows])
    return 0


def _shown(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _key_lines() -> list[str]:
    """Return a line for each key of the main screen, those of its lists and those of windows."""
    from visexplore.tui.keymap import LISTS
    from visexplore.tui.windows import windows

    parts = [("", KEYS), *(("lists", kind.BINDINGS) for kind in LISTS)]
    parts += [(window.title, window.kind.BINDINGS) for window in windows()]
    lines: list[str] = []
    for title, bindings in parts:
        usual: dict[str, tuple[list[str], str]] = {}
        for binding in flat(bindings):
            if binding.id and binding.tooltip:
                usual.setdefault(binding.id, ([], binding.tooltip))[0].append(binding.key)
        head = f"# In {title}:" if title and f"# In {title}:" not in lines else ""
        lines += ["", head] if head else []
        lines += [f'# {name} = "{",".join(keys)}"  # {what}' for name, (keys, what) in usual.items()]
    return lines
