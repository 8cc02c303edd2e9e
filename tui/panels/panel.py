"""What the three panels share: a titled frame, and parts that take the focus in turn.

The frame looks the same with and without the focus: a change of it would paint all pictures inside again.
"""

from __future__ import annotations

from typing import ClassVar

from textual.containers import Vertical


class Panel(Vertical):
    """One of the three parts of the explorer."""

    DEFAULT_CSS = """
    Panel {
        border: round $foreground 25%;
        border-title-color: $foreground 65%;
        padding: 0 1;
        height: 1fr;
    }
    """

    PARTS: ClassVar[tuple[str, ...]] = ()
    """Selectors of what can have the focus, what is used most first."""

    def focus_content(self) -> None:
        """Put the focus on the widget of the panel that is used most."""
        self.screen.set_focus(self.query_one(self.PARTS[0]))  # a widget's own `focus` would paint it again

    def focus_next_part(self) -> None:
        """Put the focus on the next of the panel's parts."""
        parts = [part for selector in self.PARTS if (part := self.query_one(selector)).display]
        at = next((n for n, part in enumerate(parts) if part.has_focus), -1)
        if parts:
            self.screen.set_focus(parts[(at + 1) % len(parts)])
