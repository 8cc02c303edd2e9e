"""What the explorer imports before its first paint: nothing heavy, and never a library that only the engine needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

NEVER = ("torch", "torchvision", "timm", "transformers", "open_clip", "faiss", "pyarrow")
"""Only the engine's process imports these."""
LATER = ("numpy", "PIL", "textual_image", "pydantic", "typer", "rich.progress", "rich.markdown")
"""These the screen may need, but not before its first paint."""


def loaded(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(run.stdout.split())


@pytest.fixture(scope="module")
def of_the_app() -> set[str]:
    """The modules that importing the app loads."""
    return loaded("import visexplore.tui.app")


@pytest.mark.parametrize("module", NEVER)
def test_the_app_leaves_it_to_the_engine(of_the_app: set[str], module: str) -> None:
    assert module not in of_the_app


@pytest.mark.parametrize("module", LATER)
def test_the_app_imports_it_after_the_first_paint(of_the_app: set[str], module: str) -> None:
    assert module not in of_the_app


IMPORT_ALL = """
import pkgutil, visexplore.tui
for module in pkgutil.walk_packages(visexplore.tui.__path__, "visexplore.tui."):
    if {condition}:
        __import__(module.name)
"""


def test_nothing_of_the_screens_imports_what_only_the_engine_needs() -> None:
    modules = loaded(IMPORT_ALL.format(condition="not any(word in module.name for word in ('commands', 'doctor'))"))
    assert {"visexplore.tui.app", "visexplore.tui.widgets.picture", "visexplore.tui.screens.zoom"} <= modules
    assert not set(NEVER) & modules


def test_no_command_imports_torch_before_it_embeds() -> None:
    modules = loaded(IMPORT_ALL.format(condition="True"))
    assert "visexplore.tui.commands.embed" in modules
    assert not {"torch", "torchvision", "timm", "transformers", "open_clip"} & modules


def test_drawing_a_picture_needs_nothing_of_the_engine() -> None:
    modules = loaded(
        "from PIL import Image\n"
        "from visexplore.tui.graphics import draw\n"
        "from visexplore.tui.terminal import Graphics, Terminal\n"
        "for graphics in Graphics:\n"
        "    draw(Image.new('RGB', (8, 8)), 4, 2, Terminal(graphics=graphics))"
    )
    assert not set(NEVER) & modules
