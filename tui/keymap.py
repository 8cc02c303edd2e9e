"""The user's own keys: checked before the screen is taken, and shown as people call them.

Textual swaps the keys itself, by the ids of bindings (`App.set_keymap`). What it does not do: tell of ids that do not
exist, of keys that nobody can press, and of two actions on one key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key, format_key

from visexplore.core.errors import SettingsError
from visexplore.core.settings import Settings, config_line
from visexplore.tui.keys import KEYS
from visexplore.tui.panels.catalogue import CataloguePanel
from visexplore.tui.widgets.label_list import LabelList
from visexplore.tui.widgets.picture_grid import PictureGrid
from visexplore.tui.widgets.row_list import RowList

_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
_CALLED = {
    "escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del", "space": "Space", "enter": "Enter",
    "tab": "Tab", "home": "Home", "end": "End", "backspace": "Backspace", "left": "Left", "right": "Right",
    "up": "Up", "down": "Down",
}  # fmt: skip
# Not in any table of bindings: Textual's own, and what ends a window or a filter.
_TAKEN = {"ctrl+p": "the command palette", "ctrl+q": "leaving", "escape": "leaving a window or a filter"}
LISTS = (RowList, PictureGrid, LabelList, CataloguePanel)


def called(key: str) -> str:
    """Return a key as people call it: `[`, `Shift-Tab`, `PgDn`."""
    *modifiers, name = key.split("+") if key != "+" else ("+",)
    shown = _CALLED.get(name) or (name.upper() if name[:1] == "f" and name[1:].isdigit() else format_key(name))
    return "-".join(
        [*(modifier.capitalize() for modifier in modifiers), shown.upper() if modifiers and len(shown) == 1 else shown]
    )


def split_keys(keys: str) -> list[str]:
    """Return the keys of a list with commas between them, as Textual names them: `?` is `question_mark`."""
    return [_named(key) for key in keys.split(",")] if keys != "," else ["comma"]


def _named(key: str) -> str:
    key = key.strip() or "space"
    if len(key) == 1:
        return _character_to_key(key)
    *modifiers, name = key.split("+")
    return "+".join([*modifiers, _character_to_key(name) if len(name) == 1 and not name.isalpha() else name])


def flat(bindings: Iterable[BindingType]) -> list[Binding]:
    """Return bindings in full, as Textual makes them: one a key."""
    return list(Binding.make_bindings(bindings))


def keys_by_id(bindings: Iterable[BindingType], own: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the keys of all bindings that have an id: the user's own where there are some."""
    keys: dict[str, list[str]] = {}
    for binding in flat(bindings):
        if binding.id:
            keys.setdefault(binding.id, []).append(binding.key)
    return {name: split_keys(own[name]) if name in own else usual for name, usual in keys.items()}


def key_called(name: str, own: Mapping[str, str]) -> str:
    """Return the first key of a binding of the main screen, as people call it; empty for an unknown id."""
    keys = keys_by_id(KEYS, own).get(name)
    return called(keys[0]) if keys else ""


def keymap(settings: Settings) -> dict[str, str]:
    """Return what to tell Textual of the user's own keys.

    Raises:
        SettingsError: an id is not known, a key cannot be pressed, or one key would do two things.
    """
    own = settings.keys
    if not own:
        return {}
    mine = {binding.id for binding in flat(KEYS)}
    places = {"the main screen": [*KEYS, *(binding for kind in LISTS for binding in kind.BINDINGS)]}
    if not set(own) <= mine:
        from visexplore.tui.windows import windows  # imports them all

        places |= {window.title: list(window.kind.BINDINGS) for window in windows()}
    known = {binding.id for bindings in places.values() for binding in flat(bindings) if binding.id}
    for name, keys in own.items():
        if name not in known:
            from difflib import get_close_matches

            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else "`visexplore config --template` lists all."
            raise _mistake(settings, name, f"there is no key '{name}'", hint)
        for key in split_keys(keys):
            if not _can_be_pressed(key):
                hint = "Write a character, or a name such as f5, space, pagedown, ctrl+s."
                raise _mistake(settings, name, f"'{key}' is no key", hint)
    own = _with_twins(own)
    for place, bindings in places.items():
        _check_clashes(settings, place, bindings, own)
    return {name: ",".join(split_keys(keys)) for name, keys in own.items()}


def _with_twins(own: Mapping[str, str]) -> dict[str, str]:
    """Let two actions that share a key, of which only one can be done at a time, share the user's key too."""
    twins: dict[str, list[str]] = {}
    for binding in KEYS:
        twins.setdefault(binding.key, []).append(binding.id or "")
    more = {
        twin: own[name]
        for names in twins.values()
        for name in names
        if name in own
        for twin in names
        if twin not in own
    }
    return {**own, **more}


def _can_be_pressed(key: str) -> bool:
    *modifiers, name = key.split("+")
    if not all(modifier in _MODIFIERS for modifier in modifiers):
        return False
    names = {member.value for member in Keys}
    return len(name) == 1 or name in names or name == "space" or len(format_key(name)) == 1


def _check_clashes(settings: Settings, place: str, bindings: Iterable[BindingType], own: Mapping[str, str]) -> None:
    bindings = list(bindings)
    usual = keys_by_id(bindings, {})
    taken: dict[str, str] = {}
    for name, keys in keys_by_id(bindings, own).items():
        for key in keys:
            before = taken.setdefault(key, name)
            # Lists have keys in common, and so have twins: only what the user changed can be a mistake.
            if before == name or not {before, name} & set(own) or usual[before] == usual[name]:
                continue
            changed, other = (name, before) if name in own else (before, name)
            raise _mistake(
                settings,
                changed,
                f"on {place}, {called(key)} is the key of '{other}' too",
                f"Give '{other}' another one in [keys], or choose another for '{changed}'.",
            )
        if name in own and (key := next((key for key in keys if key in _TAKEN and key not in usual[name]), "")):
            raise _mistake(settings, name, f"{called(key)} is for {_TAKEN[key]}", "Choose another key.")


def _mistake(settings: Settings, name: str, what: str, hint: str) -> SettingsError:
    file = settings.config_file
    return SettingsError(f"{file}, line {config_line(file, 'keys', name)}: {what}", hint)
