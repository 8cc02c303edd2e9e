"""Links that a terminal can open (OSC 8), and only such as cannot do anything else."""

from __future__ import annotations

import re

from textual.content import Content
from textual.style import Style

from visexplore.core.text import printable

# The address goes to the terminal inside an escape sequence: nothing but visible ASCII, which has no character that
# could end the sequence. Terminals take at most 2083 characters.
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)


def is_link(address: str) -> bool:
    """Whether `address` is one of the web that may be handed to the terminal as it is."""
    return _ADDRESS.fullmatch(address) is not None


def linked(text: str, address: str) -> Content:
    """Return `text`, which opens `address` where the terminal knows links; plain if that is no address of the web."""
    if not is_link(address):
        return Content(printable(text))
    return Content.styled(printable(text), Style(link=address, underline=True))
