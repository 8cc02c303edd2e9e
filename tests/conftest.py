"""What all tests share: nobody's own files are touched, and real photos where they are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("visexplore", deadline=None)
settings.load_profile("visexplore")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's caches and configuration out, and the network too, before any library looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            patch.delenv(name, raising=False)
        for name in ("COLUMNS", "LINES"):  # parallel test processes have them: a terminal's own size is to count
            patch.delenv(name, raising=False)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("OMP_NUM_THREADS", "1")  # several test processes share the cores
        patch.setenv("VISEXPLORE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VISEXPLORE_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a home and a configuration folder that no other test has written to."""
    monkeypatch.setenv("VISEXPLORE_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The folder of real photos beside the checkout. Their licences forbid to copy them into it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real photos at {SHARED_DATA}")
    return SHARED_DATA
