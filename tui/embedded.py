"""What the dataset browser says on how much is embedded under which models."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from visexplore.core.messages import CacheState
from visexplore.core.text import count, cut
from visexplore.tui.theme import MUTED


def embedded_words(
    states: Mapping[str, CacheState], model: str, images: int, problems: int, *, embedding: bool
) -> Content:
    """Say in full how much is embedded under the current model and what to press, and of others in short.

    Args:
        states: of the models that have begun with the dataset, by slug.
        model: slug of the current one.
        images: of the dataset.
        problems: how many places of it could not be listed.
        embedding: the current model is embedding it just now.
    """
    parts = [Content.styled(f"{count(problems, 'problem')}. ", "$text-warning")] if problems else []
    parts.append(Content.assemble((cut(model, 40), "bold"), " "))
    parts.append(_current(states.get(model) or CacheState(model, 0, 0, images), embedding=embedding))
    others = [_other(state) for slug, state in states.items() if slug != model]
    if others:
        parts += [Content.styled("  also: ", MUTED), Content(", ").join(others)]
    return Content("").join(parts)


def _current(state: CacheState, *, embedding: bool) -> Content:
    missing = state.total - state.embedded - state.failed
    unreadable = (f", {state.failed:,} unreadable (U)" if state.failed else "", "$text-warning")
    if not missing:
        whole = f"{state.embedded:,} embedded" if state.failed else f"all {state.total:,} embedded"
        return Content.assemble((whole, "$text-success"), unreadable)
    if not state.embedded:
        return Content.assemble(
            (f"none of {state.total:,} embedded{'' if embedding else ': press e'}", "$text-warning"), unreadable
        )
    words = f"{state.embedded:,} embedded, {missing:,} missing{'' if embedding else ' (e)'}"
    return Content.assemble((words, "$text-warning"), unreadable)


def _other(state: CacheState) -> Content:
    whole = state.embedded + state.failed >= state.total
    amount = "all" if whole and not state.failed else f"{state.embedded:,}/{state.total:,}"
    bad = f" ({state.failed:,} unreadable)" if state.failed else ""
    return Content.assemble(cut(state.model, 40), (f" {amount}{bad}", "$text-success" if whole else "$text-warning"))
