"""Every key on every screen: none of them ends the explorer, and every window can be left.

The keys are not listed here: those of the main screen are taken from what has the focus in each panel; what one of them
opens is a window, of which every key is pressed in turn. A new window is walked through without a line in this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.tui.scripted_engine import LITE0, LITE1, NARROW, ScriptedEngine, Session, explore, photos
from visexplore.core.messages import SkippedImage
from visexplore.core.settings import load_settings
from visexplore.tui.session_state import Sessions

PANELS = ("1", "2", "3")
LEAVING = {"quit", "help_quit", "suspend_process", "command_palette"}
"""What ends or stops the explorer, and Textual's own window, whose keys are Textual's."""
MOST_WINDOWS = 3  # on top of each other

DATASETS = {
    "labelled": lambda: ScriptedEngine(photos(12), embedded=[LITE0, LITE1]),
    "unlabelled": lambda: ScriptedEngine(photos(7, labels=()), embedded=[LITE0]),
    "not-embedded": lambda: ScriptedEngine(photos(4000)),
    "empty": lambda: ScriptedEngine(photos(0)),
}


@pytest.fixture
def user_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing may be written, and a current folder beside it."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(here)
    return home


class Walk:
    """Presses keys, and says which one it was that did harm."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pressed: list[str] = []
        self.windows: set[str] = set()
        self.openers: set[str] = set()

    async def press(self, key: str) -> None:
        """Press a key; the explorer must live on."""
        self.pressed.append(key)
        await self.session.press(key)
        app = self.session.app
        assert app._exception is None, f"after {self.pressed[-12:]}: {app._exception!r}"
        assert not app._exit, f"it was left after {self.pressed[-12:]}"

    def possible_keys(self) -> list[str]:
        """Return the keys that do something where the focus is."""
        active = self.session.app.screen.active_bindings
        return [key for key, binding in active.items() if binding.binding.action.split("(")[0] not in LEAVING]

    async def leave_windows(self) -> None:
        """Go back to the main screen by Esc, out of its filters too, which would take keys for letters."""
        app = self.session.app
        for _ in range(2 * MOST_WINDOWS):
            if len(app.screen_stack) == 1 and not isinstance(app.focused, Input):
                return
            await self.press("escape")
        raise AssertionError(f"{type(self.session.app.screen).__name__} cannot be left after {self.pressed[-12:]}")

    async def main_screen(self) -> None:
        """Press every key in every panel, and walk through each window once."""
        for panel in PANELS:
            await self.press(panel)
            for key in self.possible_keys():
                if key in self.openers:
                    continue  # opens the same from every panel
                await self.press(key)
                if len(self.session.app.screen_stack) > 1:
                    self.openers.add(key)
                    await self.window([panel, key])
                await self.leave_windows()
                await self.press(panel)

    async def window(self, way: list[str]) -> None:
        """Press every key of the window that `way` leads to."""
        name = type(self.session.app.screen).__name__
        depth = len(self.session.app.screen_stack)
        if name in self.windows or depth > MOST_WINDOWS:
            return
        self.windows.add(name)
        for key in self.possible_keys():
            if len(self.session.app.screen_stack) != depth or type(self.session.app.screen).__name__ != name:
                await self.leave_windows()
                for step in way:
                    await self.press(step)
            if type(self.session.app.screen).__name__ != name:
                return  # what was done meanwhile leaves nothing to open it for
            await self.press(key)
            if len(self.session.app.screen_stack) > depth:
                await self.window([*way, key])


@pytest.fixture(params=DATASETS)
def engine(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """An engine for each kind of dataset."""
    return DATASETS[request.param]()


@pytest.mark.slow
async def test_no_key_does_harm(engine: ScriptedEngine, user_home: Path, tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "visexplore")
    async with explore(engine, NARROW, settings=settings, sessions=Sessions(settings.sessions)) as session:
        walk = Walk(session)
        await walk.main_screen()
        assert {"Help", "Jobs", "OpenDataset", "Ask"} <= walk.windows
        assert [*user_home.rglob("*")] == []


@pytest.mark.slow
async def test_no_key_does_harm_while_it_embeds(user_home: Path) -> None:
    engine = ScriptedEngine(photos(12))
    async with explore(engine, NARROW, settings=load_settings()) as session:
        engine.progress(5)
        await session.settle()
        walk = Walk(session)
        for panel in PANELS:
            await walk.press(panel)
            for key in walk.possible_keys():
                await walk.press(key)
                await walk.leave_windows()
        if engine.jobs:
            engine.finish(skipped=(SkippedImage("bag/000.jpg", "it is no image"),))
            await session.settle()
        assert session.app._exception is None
