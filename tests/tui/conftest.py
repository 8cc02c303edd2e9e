"""What the tests of the screens share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from tests.tui.looks import Look, look_through


@pytest.fixture(scope="session", autouse=True)
def little_garbage_collection() -> Iterator[None]:
    """Collect garbage seldom, and not what the imports left: a third of a test's time otherwise."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pilot look more often whether the app is idle: it sleeps 20 ms twice a key otherwise."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.002)


@pytest.fixture
def looks_as_before(snap_compare: Callable[..., bool]) -> Look:
    """Compare the app, after keys and steps, with the snapshot of the test."""
    return look_through(snap_compare)
