"""What the query view says instead of neighbours, and which key helps."""

from __future__ import annotations

from visexplore.core.errors import NotEmbedded, NoTextTower, UnreadableImage, UserError, VisexploreError
from visexplore.core.text import printable


def after_failure(error: VisexploreError, text_models: str) -> str:
    """Say why a search failed and what to press, in the place of what helps on the command line.

    Args:
        error: why.
        text_models: how to get to a model with a text tower, the rest of a sentence.
    """
    message = printable(error.message)
    match error:
        case NoTextTower():
            return f"{message}; {text_models}."
        case NotEmbedded():
            return f"{message}: press e to embed."
        case UnreadableImage():
            return f"{message}. n goes on to the next image, o opens another, b goes back."
        case UserError():
            return f"{printable(str(error))} a changes the query, b goes back."
    return printable(str(error))
