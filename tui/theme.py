"""The two looks of the explorer."""

from __future__ import annotations

from textual.theme import Theme

MUTED = "$foreground 60%"
"""Style of words that only name what follows them."""

DARK = Theme(
    name="visexplore-dark",
    primary="#5fafff",
    secondary="#87afaf",
    accent="#ffaf5f",
    success="#5fd787",
    warning="#ffd75f",
    error="#ff6b6b",
    background="#101418",
    surface="#1a2027",
    panel="#222a33",
    foreground="#d7dde4",
    dark=True,
)

LIGHT = Theme(
    name="visexplore-light",
    primary="#005faf",
    secondary="#3a6a6a",
    accent="#af5f00",
    success="#00783c",
    warning="#8a6100",
    error="#b3261e",
    background="#fbfbf8",
    surface="#efefea",
    panel="#e4e4de",
    foreground="#22262a",
    dark=False,
)
