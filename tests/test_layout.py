"""The folders of the repository and what may be imported where. Directions inside `core` are import-linter's part."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("assets", "core", "tui")


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    return found


def packages_on_disk() -> set[str]:
    folders = {file.parent for top in TOP for file in (ROOT / top).rglob("*.py")}
    return {".".join(("visexplore", *folder.relative_to(ROOT).parts)) for folder in folders}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for top in TOP for file in (ROOT / top).rglob("*.py")}
    assert {str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_the_wheel_has_all_packages() -> None:
    packages = project()["packages"]
    assert isinstance(packages, list)
    assert packages == sorted(packages)
    assert set(packages) == packages_on_disk()


def test_the_import_names_lead_to_the_top_folders() -> None:
    assert project()["package-dir"] == {f"visexplore.{top}": top for top in TOP}


@pytest.mark.parametrize("package", TOP)
def test_packages_are_found_where_they_are_written(package: str) -> None:
    code = f"import visexplore.{package} as package; print(package.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == ROOT / package


def test_core_imports_nothing_of_the_screen() -> None:
    code = """
import importlib, pkgutil, sys
import visexplore.core
for module in pkgutil.walk_packages(visexplore.core.__path__, "visexplore.core."):
    importlib.import_module(module.name)
print(*sorted({name.split(".")[0] for name in sys.modules} & {"textual", "rich", "textual_image", "typer"}))
print(*sorted(name for name in sys.modules if name.startswith("visexplore.tui")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
