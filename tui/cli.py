"""The entry of the command line. `visexplore` alone opens the explorer; the rest goes to the commands.

Typer takes as long to import as a tenth of the time that the explorer may take to its first paint. A plain
call of the explorer is therefore recognised here, with the standard library alone; commands, help, and every line
with something unusual in it are Typer's.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from visexplore.core.errors import UserError, VisexploreError
from visexplore.core.settings import Settings
from visexplore.tui.commands.common import Globals, guard, in_config, look_at_terminal, tell
from visexplore.tui.terminal import Color, Graphics, apply_color, is_served
from visexplore.tui.theme_names import ThemeName

COMMANDS = (
    "explore", "models", "datasets", "embed", "query", "compare", "report", "votes", "project", "bench", "cache",
    "doctor", "config", "serve",
)  # fmt: skip

_WITH_VALUE = {
    "-m": "model",
    "--model": "model",
    "--device": "device",
    "--home": "home",
    "--graphics": "graphics",
    "--color": "color",
    "--theme": "theme",
}
_REPEATED = {"--trust-remote-code": "trusted_code"}
_FLAGS = {"--offline": "offline", "--quiet": "quiet", "--verbose": "verbose"}
_CHOICES = {"graphics": ("auto", *Graphics), "color": ("auto", *Color), "theme": ("auto", *ThemeName)}


@dataclass(slots=True)
class Line:
    """A command line as far as it is understood without Typer.

    Attributes:
        command: the command that it names; empty for the explorer.
        words: what is no option, up to the command.
        options: the explorer's and the global options.
        plain: nothing but these; otherwise Typer has to read it.
    """

    command: str = ""
    words: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    plain: bool = True


def read_line(argv: Sequence[str]) -> Line:
    """Read a command line up to its command, or to its end where there is none."""
    line = Line()
    tokens = iter(argv)
    for token in tokens:
        name, equals, value = token.partition("=")
        if token in _FLAGS:
            line.options[_FLAGS[token]] = True
        elif name in _WITH_VALUE and (token == name or name.startswith("--")):
            option = _WITH_VALUE[name]
            line.options[option] = value = value if equals else next(tokens, "")
            line.plain &= value != "" and value in _CHOICES.get(option, (value,))
        elif name in _REPEATED:
            option = _REPEATED[name]
            value = value if equals else next(tokens, "")
            line.options[option] = (*line.options.get(option, ()), value)
            line.plain &= value != ""
        elif token.startswith("-"):
            line.plain = False
        elif not line.words and token in COMMANDS:
            line.command = token
            return line
        else:
            line.words.append(token)
    line.plain &= len(line.words) < 2
    return line


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; return the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal cannot show are no error
    line = read_line(argv)
    if not line.command and line.words and (mistake := _mistyped_command(line.words[0])):
        tell(f"Error: {mistake}")
        return mistake.exit_code
    if line.plain and not line.command:
        spec = line.words[0] if line.words else ""
        model, device = line.options.pop("model", ""), line.options.pop("device", "auto")
        options = Globals(**line.options)
        return guard(lambda: explore(spec, model, device, options), options)
    asks_about_all = not line.words and not {"--help", "--version"}.isdisjoint(argv)
    return guard(lambda: _run(argv if line.command or asks_about_all else ["explore", *argv]), Globals())


def _run(argv: Sequence[str]) -> int:
    from visexplore.tui.commands.lines import run

    return run(argv)


def explore(spec: str, model: str, device: str, options: Globals) -> int:
    """Open the explorer, after looking for what is wrong with the call while it can still be told in a line.

    Args:
        spec: names the dataset; empty for the one of the settings, or the sample.
        model: name of the model to begin with; empty for the one that was used last, or the default.
        device: to embed on.
        options: the global options.

    Raises:
        UserError: there is no such dataset or model, or no terminal.
        EmptyDataset, SettingsError, CatalogueError, StorageError: see there.
    """
    settings = options.settings()
    spec = check(spec, model, settings)
    if not is_served() and not (os.isatty(0) and os.isatty(1)):
        raise UserError(
            "The explorer needs a terminal for its input and its output",
            "In scripts and pipes use `visexplore embed` and `visexplore query`.",
        )
    terminal = look_at_terminal(settings)
    apply_color(terminal.color)
    # Importing and composing makes objects that stay: looking through them for garbage again and again takes a fifth of
    # the time to the first frame. The app turns the collector on again once that is painted.
    gc.disable()
    from visexplore.tui.app import run

    return run(settings, spec, terminal, model, device)


def check(spec: str, model: str, settings: Settings) -> str:
    """Say what is wrong with a dataset or a model to explore while it can be told in a line.

    Args:
        spec: names the dataset; empty for the one of the settings, or the sample.
        model: to begin with; empty for none in particular.
        settings: of the run.

    Returns:
        The dataset as it calls itself.

    Raises:
        UserError: there is no such dataset, model or key.
    """
    if model:
        _resolve(model, settings)
    elif settings.model:
        _say_where(settings, "model", lambda: _resolve(settings.model, settings))
    if settings.keys:
        from visexplore.tui.keymap import keymap

        keymap(settings)
    if spec or not settings.dataset:
        return _full_spec(spec or "sample", settings)
    return _say_where(settings, "dataset", lambda: _full_spec(settings.dataset, settings))


def _say_where[T](settings: Settings, key: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except VisexploreError as error:
        raise in_config(settings, key, error) from error


def _resolve(model: str, settings: Settings) -> None:
    from visexplore.core.catalogue import load_catalogue

    load_catalogue(settings.models_file).resolve(model)


def _full_spec(spec: str, settings: Settings) -> str:
    if spec == "sample":
        return spec
    if os.path.isdir(folder := os.path.expanduser(spec)):  # noqa: PTH111, PTH112 - as `open_dataset`
        return os.path.abspath(folder)  # noqa: PTH100 - pathlib resolves nothing of this
    from visexplore.core.datasets import open_dataset  # knows all kinds, and says what is wrong with this one

    return open_dataset(spec, offline=settings.offline).spec


def _mistyped_command(word: str) -> UserError | None:
    """Return what to say of a word that is no folder but nearly a command; None if it is something else."""
    if "/" in word or os.path.exists(word):  # noqa: PTH110 - pathlib is not needed before the first paint
        return None
    from difflib import get_close_matches

    close = get_close_matches(word, COMMANDS, n=1, cutoff=0.7)
    if not close:
        return None
    return UserError(
        f"There is no command '{word}' and no folder of that name", f"Did you mean `visexplore {close[0]}`?"
    )
