"""The explorer with its real engine and the real bundled weights, on a folder of drawn pictures."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.tui.scripted_engine import NARROW, Session, drawn, terminal
from visexplore.core.catalogue import DEFAULT_MODEL, load_catalogue
from visexplore.core.engine import Engine
from visexplore.core.settings import load_settings
from visexplore.tui.app import VisexploreApp


async def until(session: Session, happened: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to happen on the screen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{session.text}\n{session.notes}"
        await asyncio.sleep(0.05)
    await session.settle()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of twelve pictures of three kinds."""
    for number in range(12):
        picture = drawn(f"{number}", 160)
        path = tmp_path / "things" / ("bag", "chair", "mug")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (picture.width, picture.height), picture.pixels).save(path)
    return tmp_path / "things"


@pytest.mark.slow
async def test_open_embed_look_and_switch(folder: Path) -> None:
    settings = load_settings()
    engine = Engine(settings, lambda event: None)
    app = VisexploreApp(engine, load_catalogue(settings.models_file), terminal(), str(folder), DEFAULT_MODEL)
    engine.on_event = app.receive
    try:
        async with app.run_test(size=NARROW, notifications=True) as pilot:
            session = Session(app, engine, pilot, [])  # type: ignore[arg-type]
            await until(session, lambda: len(session.neighbours) == 5)
            assert session.query == "bag/0.png"
            assert "12 images searched" in session.head
            assert all(cell.picture._image is not None for cell in session.strip.cells)
            assert session.notes == []

            await session.press("right_square_bracket")
            await until(session, lambda: session.head.splitlines()[1].startswith("efficientnet-lite1"))
            assert session.query == "bag/0.png"
            assert len(session.neighbours) == 5

            await session.press("n")
            await until(session, lambda: session.head.startswith("bag/3.png") and "searched" in session.head)

            pid = engine.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(session, lambda: any("Starting it again" in note for note in session.notes))
            await session.press("n")
            await until(session, lambda: session.head.startswith("bag/6.png") and "searched" in session.head)
    finally:
        engine.stop()
