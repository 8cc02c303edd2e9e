"""What the three panels share: a titled frame that is bright while the focus is in it."""

from __future__ import annotations

from textual.containers import Vertical


class Panel(Vertical):
    """One of the three parts of the explorer."""

    DEFAULT_CSS = """
    Panel {
        border: round $foreground 25%;
        border-title-color: $foreground 60%;
        padding: 0 1;
        height: 1fr;
    }
    Panel.active { border: round $primary; border-title-color: $primary; border-title-style: bold; }
    """

    def focus_content(self) -> None:
        """Put the focus on the widget of the panel that is used most."""
        raise NotImplementedError
