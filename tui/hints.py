"""Which key to suggest next: a line for people who see the explorer for the first time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Situation:
    """What a hint depends on.

    Attributes:
        panel: id of the active panel.
        has_neighbours: neighbours of the query are on the screen.
        is_working: the engine starts, opens the dataset, or embeds with the current model.
        needs_download: the current model's weights are not on this machine.
        embedded: with how many models the dataset is embedded.
        models: how many models can be used without a download.
        has_labels: the dataset has labels.
        is_outside: the query is no image of the dataset.
    """

    panel: str = "query"
    has_neighbours: bool = False
    is_working: bool = False
    needs_download: bool = False
    embedded: int = 0
    models: int = 1
    has_labels: bool = False
    is_outside: bool = False


@dataclass(frozen=True, slots=True)
class _Suggestion:
    """A key worth knowing.

    Attributes:
        ids: of the bindings in `tui.keys`; once one of them was used, it is not suggested again.
        words: what it does.
        when: it is of use.
    """

    ids: tuple[str, ...]
    words: str
    when: Callable[[Situation], bool]


_AT_ONCE = 4  # suggestions in a line
_SUGGESTIONS = (
    _Suggestion(("embed",), "embed", lambda now: not now.is_working and not now.has_neighbours and not now.embedded),
    _Suggestion(
        ("previous_model", "next_model"),
        "other models on this query",
        lambda now: now.has_neighbours and now.models > 1 and now.panel != "catalogue",
    ),
    _Suggestion(
        ("embed",),
        "embed with this model",
        lambda now: not now.is_working and not now.has_neighbours and now.embedded > 0,
    ),
    _Suggestion(("next_image",), "next image", lambda now: now.has_neighbours and now.panel == "query"),
    _Suggestion(("side_by_side",), "models side by side", lambda now: now.embedded > 1 and not now.is_outside),
    _Suggestion(("verdict",), "which model is best", lambda now: now.embedded > 1),
    _Suggestion(("models",), "all models", lambda now: now.has_neighbours and now.embedded == 1),
    _Suggestion(("images",), "browse the images", lambda now: now.has_neighbours and now.panel == "query"),
    _Suggestion(("zoom",), "look closely", lambda now: now.has_neighbours and now.panel == "query"),
    _Suggestion(("open_dataset",), "your own images", lambda now: now.has_neighbours),
)
_PANELS = {
    "catalogue": "Enter uses the model under the cursor",
    "dataset": "Enter makes the picture under the cursor the query",
}


def hint(now: Situation, used: Collection[str], key_of: Callable[[str], str]) -> list[str]:
    """Return what to suggest, what matters most first; empty where there is nothing left to say.

    Args:
        now: the situation.
        used: ids of the bindings that the user knows.
        key_of: returns the key of a binding as people call it, `n` for example.
    """
    if now.is_working and not now.has_neighbours:
        return ["Neighbours come by themselves."]
    parts = [f"{_keys(one.ids, key_of)} {one.words}" for one in _fitting(now, used)]
    chosen = f"choose/{now.panel}"
    if now.panel in _PANELS and chosen not in used:
        parts = [_PANELS[now.panel], *parts][:_AT_ONCE]
    if parts and "help" not in used:
        parts.append(f"{key_of('help')} all keys")
    return parts


def fit(parts: Sequence[str], width: int) -> str:
    """Return as many suggestions as there is room for in `width` cells."""
    line = ""
    for part in parts:
        longer = f"{line}   {part}" if line else part
        if len(longer) <= width:
            line = longer
    return line


def _fitting(now: Situation, used: Collection[str]) -> Sequence[_Suggestion]:
    fitting = [one for one in _SUGGESTIONS if one.when(now) and not set(one.ids) & set(used)]
    return fitting[:_AT_ONCE]


def _keys(ids: Sequence[str], key_of: Callable[[str], str]) -> str:
    return " ".join(key_of(name) for name in ids)
