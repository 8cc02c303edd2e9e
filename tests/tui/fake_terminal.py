"""A terminal played by a script: a pty that answers queries as told, after a chosen round-trip time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

_QUERIES = re.compile(rb"\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\|\x1b\[>q|\x1bP\$qm\x1b\\|\x1b\[\?1;1;0S|\x1b\[16t|\x1b\[c")


@dataclass(frozen=True)
class Answers:
    """What a terminal says; an empty answer is silence."""

    name: bytes = b""
    attributes: bytes = b""
    style: bytes = b""
    registers: bytes = b""
    cell: bytes = b""
    kitty: bytes = b""

    def to(self, query: bytes) -> bytes:
        if query.startswith(b"\x1b_G"):
            return self.kitty and b"\x1b_G" + query[3 : query.index(b",")] + b";" + self.kitty + b"\x1b\\"
        return {
            b"\x1b[>q": self.name and b"\x1bP>|" + self.name + b"\x1b\\",
            b"\x1bP$qm\x1b\\": self.style and b"\x1bP1$r" + self.style + b"m\x1b\\",
            b"\x1b[?1;1;0S": self.registers and b"\x1b[?1;0;" + self.registers + b"S",
            b"\x1b[16t": self.cell and b"\x1b[6;" + self.cell + b"t",
            b"\x1b[c": self.attributes and b"\x1b[?" + self.attributes + b"c",
        }.get(query, b"")


# As measured: xterm 379 as a vt340 and as itself, kitty 0.26.5 and 0.41.1, tmux 3.5a; and nothing at all.
SIXEL_XTERM = Answers(b"XTerm(379)", b"63;1;2;4;6;9;15;22", b"0;48:2::1:2:3", b"256", b"19;9")
PLAIN_XTERM = Answers(b"XTerm(379)", b"64;1;2;6;9;15;18;21;22", b"0;48:2::1:2:3", b"", b"19;9")
OLD_KITTY = Answers(b"kitty(0.26.5)", b"62", b"0;48:2:1:2:3", b"", b"18;9", b"OK")
KITTY = replace(OLD_KITTY, name=b"kitty(0.41.1)")
TMUX = Answers(b"tmux 3.5a", b"1;2;4", b"", b"1024", b"18;9")
SILENT = Answers()


@dataclass
class Run:
    """What came of a script that ran in the terminal."""

    output: bytes = b""
    result: Any = None
    exit_code: int | None = None
    errors: str = ""
    seconds: float = 0.0
    attributes_before: list[Any] = field(default_factory=list)
    attributes_after: list[Any] = field(default_factory=list)


def run_in_terminal(
    code: str,
    answers: Answers,
    *,
    rtt: float = 0.0,
    size: tuple[int, int] = (80, 24),
    pixels: tuple[int, int] = (0, 0),
    env: dict[str, str] | None = None,
    on_output: Callable[[bytes], bytes] | None = None,
    stdin: int | None = None,
    limit: float = 30.0,
) -> Run:
    """Run Python `code`, which may call `report(value)`, in a terminal of its own and return what came of it.

    Args:
        code: the script.
        answers: what the terminal says when asked.
        rtt: how long each answer takes, in seconds.
        size: columns and rows.
        pixels: width and height of the window as the kernel knows it.
        env: additions to a small environment without any hint about the terminal.
        on_output: is given each piece of output and returns keys to type.
        stdin: a file descriptor to read from instead of the terminal.
        limit: after so many seconds the script is killed.
    """
    run = Run()
    with contextlib.ExitStack() as stack:
        master, slave = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], *pixels))
        reading, writing = os.pipe()
        report = stack.enter_context(os.fdopen(reading, "rb"))
        prelude = f"""
            import json, os
            def report(value):
                os.write({writing}, json.dumps(value, default=str).encode() + b"\\n")
        """
        run.attributes_before = termios.tcgetattr(slave)
        start = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=subprocess.PIPE,
            pass_fds=(writing,),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(Path.home()),
                "TERM": "xterm-256color",
                **(env or {}),
            },
        )
        os.close(writing)
        for part in _play(child, master, answers, rtt, start + limit, on_output):
            run.output += part
        run.seconds = time.monotonic() - start
        child.kill()
        run.errors = child.communicate()[1].decode()
        run.exit_code = child.returncode
        run.attributes_after = termios.tcgetattr(slave)
        lines = report.read().splitlines()
        run.result = json.loads(lines[-1]) if lines else None
    return run


def _play(
    child: subprocess.Popen[bytes],
    master: int,
    answers: Answers,
    rtt: float,
    deadline: float,
    on_output: Callable[[bytes], bytes] | None,
) -> Iterator[bytes]:
    """Answer the child's queries until it ends; yield its output."""
    pending: list[tuple[float, bytes]] = []
    rest = b""
    while time.monotonic() < deadline:
        now = time.monotonic()
        for due, answer in [item for item in pending if item[0] <= now]:
            os.write(master, answer)
            pending.remove((due, answer))
        if not select.select([master], [], [], 0.005)[0]:
            if child.poll() is not None:
                return
            continue
        part = os.read(master, 1 << 16)
        yield part
        if on_output is not None and (keys := on_output(part)):
            os.write(master, keys)
        rest += part
        while query := _QUERIES.search(rest):
            rest = rest[query.end() :]
            if answer := answers.to(query[0]):
                pending.append((time.monotonic() + rtt, answer))
        rest = rest[-64:]  # a query may arrive in two pieces
