"""How snapshot tests look at the app: sizes of the terminal, and what comes before the picture is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot

from tests.tui.scripted_engine import MIDDLE, NARROW, press, settle
from visexplore.tui.app import VisexploreApp

SIZES = {"80x24": NARROW, "120x40": MIDDLE, "200x50": (200, 50)}
Steps = Callable[[Pilot[Any]], Awaitable[None]]
Look = Callable[..., bool]
"""`look(app, size, *keys, steps=None, theme="")`: whether the app looks as in the snapshot of the test."""


def look_through(snap_compare: Callable[..., bool]) -> Look:
    """Compare the app, after keys and steps, with the snapshot of the test."""

    def compare(
        app: VisexploreApp, size: tuple[int, int], *keys: str, steps: Steps | None = None, theme: str = ""
    ) -> bool:
        async def before(pilot: Pilot[Any]) -> None:
            await settle(pilot)
            if theme:
                app.theme = theme
            await press(pilot, *keys)
            if steps is not None:
                await steps(pilot)
            await app.workers.wait_for_complete()
            await pilot.pause(0.2)  # what follows a resting cursor
            await settle(pilot)

        return snap_compare(app, terminal_size=size, run_before=before)

    return compare
