"""The names of the explorer's themes, for the command line: that one starts without Textual."""

from __future__ import annotations

from enum import StrEnum


class ThemeName(StrEnum):
    """A look of the explorer, as settings and `--theme` name it."""

    DARK = "dark"
    LIGHT = "light"
    CONTRAST_DARK = "high-contrast-dark"
    CONTRAST_LIGHT = "high-contrast-light"

    @property
    def words(self) -> str:
        """The name as words of a sentence."""
        return self.value.replace("high-contrast-", "high contrast ")
