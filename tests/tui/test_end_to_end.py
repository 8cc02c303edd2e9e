"""The explorer with its real engine: with the bundled weights, and with a checkpoint from a hub on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.loopback_hub import LoopbackHub
from tests.tui.scripted_engine import MIDDLE, NARROW, Session, drawn, terminal
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


@pytest.mark.slow
async def test_download_a_model_embed_with_it_and_search_with_words(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.core.tiny_transformers import save_checkpoint  # imports torch

    save_checkpoint("clip", tmp_path / "hub" / "openai" / "clip-vit-base-patch32")
    with LoopbackHub(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        hub.fault("*/model.safetensors", drip=0.02)  # long enough to be seen
        settings = load_settings()
        engine = Engine(settings, lambda event: None)
        app = VisexploreApp(engine, load_catalogue(settings.models_file), terminal(), str(folder), DEFAULT_MODEL)
        engine.on_event = app.receive
        try:
            async with app.run_test(size=MIDDLE, notifications=True) as pilot:
                session = Session(app, engine, pilot, [])  # type: ignore[arg-type]
                await until(session, lambda: len(session.neighbours) == 5)

                await session.press("t", *"a red bag", "enter")
                assert app.model == "clip-vit-b16", "the smallest that has a text tower"
                await session.press("left_square_bracket")
                app._use_model("clip-vit-b32")
                await session.settle()
                assert "clip-vit-b32 is not on this machine: press e to download it" in session.head

                await session.press("e")
                await until(session, lambda: "downloading clip-vit-b32  █" in session.status)
                await until(session, lambda: len(session.neighbours) == 5)
                assert session.head.startswith("“a red bag”  (text)\nclip-vit-b32  24-d  12 images searched")
                assert "clip-vit-b32" in app._models_at_hand()
                assert app._weights.status(app.catalogue.find("clip-vit-b32")) == "on disk"

                await session.press("n")
                await until(session, lambda: session.head.startswith("bag/3.png\nclip-vit-b32"))
        finally:
            engine.stop()


@pytest.mark.slow
async def test_without_a_hub_a_download_ends_with_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    settings = load_settings()
    engine = Engine(settings, lambda event: None)
    app = VisexploreApp(engine, load_catalogue(settings.models_file), terminal(), str(folder), "clip-vit-b32")
    engine.on_event = app.receive
    try:
        async with app.run_test(size=NARROW, notifications=True) as pilot:
            session = Session(app, engine, pilot, [])  # type: ignore[arg-type]
            await until(session, lambda: "press e to download it" in session.head)
            await session.press("e")
            await until(session, lambda: bool(session.notes))
            assert "http://127.0.0.1:9" in session.notes[0]
            assert session.head.splitlines()[1] == session.status == session.notes[0]
    finally:
        engine.stop()
