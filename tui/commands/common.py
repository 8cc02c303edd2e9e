"""What every command line has: the global options, the settings they lead to, and how failures are told.

The explorer passes through here before its first paint, so only the standard library and the two modules that
it needs anyway are imported.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visexplore.core.errors import SettingsError, UserError, VisexploreError
from visexplore.core.settings import Settings, config_line, load_settings
from visexplore.tui.terminal import Color, Graphics, Terminal, detect, is_served, served
from visexplore.tui.theme_names import ThemeName

INTERRUPTED = 128 + 2  # what shells report for a program ended by Ctrl-C, and by a closed pipe
BROKEN_PIPE = 128 + 13


@dataclass(frozen=True, slots=True)
class Globals:
    """The options that every command takes, as given; None and False where they are not.

    Attributes:
        home: folder of everything that is derived.
        offline: open no socket.
        graphics: picture protocol.
        color: colour depth.
        theme: look of the explorer.
        quiet: no progress and no notes.
        verbose: tracebacks, and lists in full.
        trusted_code: hub repositories whose own Python code may run.
    """

    home: str | None = None
    offline: bool = False
    graphics: str | None = None
    color: str | None = None
    quiet: bool = False
    verbose: bool = False
    trusted_code: tuple[str, ...] = ()
    theme: str | None = None

    def over(self, before: Globals) -> Globals:
        """Return these options, completed by those that stood before the command."""
        return Globals(
            home=self.home or before.home,
            offline=self.offline or before.offline,
            graphics=self.graphics or before.graphics,
            color=self.color or before.color,
            quiet=self.quiet or before.quiet,
            verbose=self.verbose or before.verbose,
            trusted_code=(*before.trusted_code, *self.trusted_code),
            theme=self.theme or before.theme,
        )

    def settings(self) -> Settings:
        """Return the settings of this run.

        Raises:
            SettingsError: the configuration file is wrong.
            UserError: what is to be trusted is no repository.
        """
        home = Path(os.path.expanduser(self.home)) if self.home else None  # noqa: PTH111 - fails for unknown users
        _check_repositories(self.trusted_code)
        settings = load_settings(
            home,
            offline=self.offline,
            graphics=self.graphics,
            color=self.color,
            theme=self.theme,
            trusted_code=self.trusted_code,
        )
        _choice(settings, "graphics", Graphics)
        _choice(settings, "color", Color)
        _choice(settings, "theme", ThemeName)
        return settings


def _check_repositories(names: tuple[str, ...]) -> None:
    for name in names:
        is_repository = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name, re.ASCII)
        if not is_repository and not (Path(name).is_absolute() and Path(name).is_dir()):
            raise UserError(
                f"'{name}' is no repository whose code could be trusted",
                "Give it as the hub does, --trust-remote-code OWNER/NAME, or the absolute path of a local folder.",
            )


def look_at_terminal(settings: Settings, *, pictures: bool = True) -> Terminal:
    """Find out what the terminal can show; it is sent a query only where pictures are wanted and one is there."""
    graphics = _choice(settings, "graphics", Graphics) if pictures else Graphics.TEXT
    color = _choice(settings, "color", Color)
    return served(graphics, color) if is_served() else detect(graphics, color)


def _choice[T: (Graphics, Color, ThemeName)](settings: Settings, key: str, kind: type[T]) -> T | Literal["auto"]:
    name = getattr(settings, key)
    if name == "auto":
        return "auto"
    try:
        return kind(name)
    except ValueError as error:
        known = ", ".join(member.value for member in kind)
        mistake = SettingsError(f"'{name}' in config.toml is no value of `{key}`", f"It can be auto, {known}.")
        raise in_config(settings, key, mistake) from error


def in_config(settings: Settings, key: str, error: VisexploreError) -> SettingsError:
    """Return an error as one of the configuration file's, with the line of what led to it."""
    file = settings.config_file
    return SettingsError(f"{file}, line {config_line(file, key)}: {error.message}", error.hint)


def tell(text: str) -> None:
    """Write one line to standard error, whatever `text` holds."""
    from visexplore.core.text import printable

    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def guard(action: Callable[[], int | None], options: Globals) -> int:
    """Run a command; return its exit code, after telling in one sentence what went wrong, if something did."""
    try:
        code = action() or 0
        sys.stdout.flush()
    except VisexploreError as error:
        _tell_error(error, verbose=options.verbose)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        tell(str(stopped) or "Stopped. What was embedded is kept.")
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            # The reader, such as `head`, has what it wanted. Python's own flush at the end must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({error.filename})" if error.filename else ""
            tell(f"Error: A disk is full{where}. Free some space and start again.")
            return 1
        _tell_fault(error, options)
        return 1
    return code


def _tell_error(error: VisexploreError, *, verbose: bool) -> None:
    if verbose:
        _show_traceback(error)
    tell(f"Error: {error}")


def _tell_fault(error: Exception, options: Globals) -> None:
    """Tell of a fault of ours: one sentence, and where the traceback is."""
    if options.verbose:
        _show_traceback(error)
    first_line = next(iter(str(error).strip().splitlines()), "")
    what = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    log = _log(error, options)
    where = f"The traceback is in {log}" if log else "Run it again with --verbose to see where"
    tell(f"Error: visexplore failed unexpectedly ({what}). {where}.")


def _show_traceback(error: Exception) -> None:
    for part in traceback.format_exception(error):
        for line in part.splitlines():
            tell(line)


def _log(error: Exception, options: Globals) -> Path | None:
    try:
        file = options.settings().home / "logs" / "errors.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sys.argv}\n")
            stream.writelines(traceback.format_exception(error))
    except Exception:  # what is broken may break this too, and the fault still has to be told
        return None
    return file
