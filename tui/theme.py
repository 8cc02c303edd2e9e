"""The looks of the explorer.

Right is blue and wrong is a reddish orange, the pair that all kinds of colour blindness leave apart; the marks differ
by shape too. Tests hold every text colour to a contrast of 4.5 with what it stands on, as WCAG asks.
"""

from __future__ import annotations

from textual.theme import Theme

from visexplore.tui.terminal import Color
from visexplore.tui.theme_names import ThemeName

MUTED = "$foreground 65%"
"""Style of words that only name what follows them."""

HINT = "$text-accent"
"""Style of what is suggested to press next."""

DARK = Theme(
    name="visexplore-dark",
    primary="#5fafff",
    secondary="#87afaf",
    accent="#e6a6e0",
    success="#4cc9ff",
    warning="#ffd75f",
    error="#ff7a45",
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
    accent="#8c3d94",
    success="#0067b8",
    warning="#7d5800",
    error="#b83c00",
    background="#fbfbf8",
    surface="#efefea",
    panel="#e4e4de",
    foreground="#22262a",
    dark=False,
)

CONTRAST_DARK = Theme(
    name="visexplore-high-contrast-dark",
    primary="#7cc4ff",
    secondary="#c0ffff",
    accent="#ff9bff",
    success="#5fd7ff",
    warning="#ffff5f",
    error="#ff9955",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    foreground="#ffffff",
    dark=True,
)

CONTRAST_LIGHT = Theme(
    name="visexplore-high-contrast-light",
    primary="#003f8a",
    secondary="#004040",
    accent="#6a006a",
    success="#004a94",
    warning="#5a3d00",
    error="#8a2500",
    background="#ffffff",
    surface="#ffffff",
    panel="#e8e8e8",
    foreground="#000000",
    dark=False,
)

THEMES = {
    ThemeName.DARK: DARK,
    ThemeName.LIGHT: LIGHT,
    ThemeName.CONTRAST_DARK: CONTRAST_DARK,
    ThemeName.CONTRAST_LIGHT: CONTRAST_LIGHT,
}


def theme_for(name: str, color: Color) -> Theme:
    """Return the theme of a name; `auto` is the dark one, with few colours the one whose colours stay apart."""
    if name == "auto":
        return CONTRAST_DARK if color in (Color.ANSI, Color.NONE) else DARK
    return THEMES[ThemeName(name)]
