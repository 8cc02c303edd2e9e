"""Running the command line as people do: in this process, in one of its own, and on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from visexplore.tui.cli import main

SCRIPT = Path(sys.executable).with_name("visexplore")

# ESC with a title sequence that would swallow what follows, BEL, C1, bidi, a new line, markup, a byte that is no UTF-8.
EVIL = "e\x1b]0;vil\x07\x9b31m\u202e\n[red]x[bold]\udcff"


@dataclass(frozen=True)
class Result:
    """What a command line gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)


class CommandLine:
    """Calls `main` in this process, where torch need be imported only once."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str | Path) -> Result:
        self._capsys.readouterr()
        code = main([str(word) for word in argv])
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)


def run_script(*argv: str | Path, **options: Any) -> Result:
    """Run the installed script, its output into pipes."""
    done = subprocess.run(
        [SCRIPT, *argv], capture_output=True, text=True, errors="surrogateescape", timeout=120, **options
    )
    return Result(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*argv: str | Path, columns: int = 100, rows: int = 40, keys: bytes = b"") -> Result:
    """Run the installed script on a terminal that answers no queries; both outputs come back as one."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in ("TMUX", "NO_COLOR"):
        environment.pop(name, None)
    child = subprocess.Popen(
        [SCRIPT, *argv], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, keys)
    output = bytearray()
    with suppress(OSError):  # a terminal without programs ends in an error
        while part := os.read(ours, 65536):
            output += part
    os.close(ours)
    return Result(child.wait(), output.decode("utf-8", "surrogateescape").replace("\r\n", "\n"), "")


def without_sequences(text: str) -> str:
    """Return what a terminal shows, without colours and cursor movements of our own."""
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[78])", "", text)


def hostile_characters(text: str) -> set[str]:
    """Return the characters that could do harm in a terminal; line ends are none."""
    return {char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
