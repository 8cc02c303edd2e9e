"""First paint, keys and stalls of the explorer, each beside its budget, as ratios in one run.

Runs the real program over a pty, in turns with a bare Textual app with one Label, so that the machine's mood hits
both alike:

    python tests/benchmarks/first_paint.py [--runs 5] [--size 120x40] [--graphics halfblock]
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BARE = """
from textual.app import App, ComposeResult
from textual.widgets import Label
class Bare(App):
    def compose(self) -> ComposeResult:
        yield Label("hello")
Bare().run()
"""
FRAME_END = b"\x1b[?2026l"
ALTERNATE = b"\x1b[?1049h"
QUERY = re.compile(rb"\x1b\[c|\x1b\[16t|\x1b\[>q|\x1b\[\?2026\$p|\x1bP\$qm\x1b\\")
REPLIES = {
    b"\x1b[c": b"\x1b[?62;4;22c",
    b"\x1b[16t": b"\x1b[6;18;9t",
    b"\x1b[>q": b"\x1bP>|XTerm(398)\x1b\\",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1bP$qm\x1b\\": b"\x1bP1$r0;48:2::1:2:3m\x1b\\",
}


class Terminal:
    """A program on a pty, and a terminal that answers its questions at once."""

    def __init__(self, command: list[str], columns: int, rows: int) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            for name in ("TMUX", "NO_COLOR", "CI", "PYTHONDONTWRITEBYTECODE"):
                os.environ.pop(name, None)
            os.execvp(command[0], command)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, columns * 9, rows * 18))

    def read(self, seconds: float) -> bytes:
        """Return what comes within `seconds`; empty if nothing does."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            return b""
        for question in QUERY.findall(data):
            os.write(self._fd, REPLIES[question])
        return data

    def until(self, wanted: bytes, seconds: float = 120.0) -> float:
        """Wait for `wanted`; return milliseconds since the start of the program."""
        seen = b""
        deadline = time.perf_counter() + seconds
        while wanted not in seen:
            seen = seen[-200_000:] + self.read(0.05)
            if time.perf_counter() > deadline:
                raise TimeoutError(f"never saw {wanted!r}; the last bytes were {seen[-300:]!r}")
        return (time.perf_counter() - self.started) * 1000

    def first_paint(self) -> float:
        """Return milliseconds from the start to the end of the first frame with text."""
        seen = b""
        while True:
            seen += self.read(0.05)
            start = seen.find(ALTERNATE)
            if start >= 0 and FRAME_END in seen[start:]:
                return (time.perf_counter() - self.started) * 1000

    def quiet(self, seconds: float = 0.5, limit: float = 30.0) -> None:
        """Read until nothing came for `seconds`."""
        deadline = time.perf_counter() + limit
        while self.read(seconds) and time.perf_counter() < deadline:
            pass

    def press(self, keys: bytes, rest: float = 0.4) -> tuple[float, float, int]:
        """Return milliseconds to the first and to the last byte of what a key changes, and the bytes."""
        started = last = time.perf_counter()
        first: float | None = None
        os.write(self._fd, keys)
        size = 0
        while data := self.read(rest if size else 2.0):
            last = time.perf_counter()
            first = first or last
            size += len(data)
        return ((first or last) - started) * 1000, (last - started) * 1000, size

    def delays(self, until: bytes, seconds: float) -> list[float]:
        """Move a cursor every 50 ms until `until` is seen; return the milliseconds from each key to its answer."""
        self.first_paint()
        self.quiet(0.3, limit=2)
        self.press(b"1", 0.2)
        seen, delays, deadline = b"", list[float](), time.perf_counter() + seconds
        while until not in seen and time.perf_counter() < deadline:
            os.write(self._fd, b"\x1b[A" if len(delays) % 2 else b"\x1b[B")
            asked = time.perf_counter()
            data = self.read(2.0)
            delays.append((time.perf_counter() - asked) * 1000)
            while rest := max(0.0, asked + 0.05 - time.perf_counter()):
                data += self.read(rest)
            seen = (seen + data)[-4000:]
        return delays

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self._fd)
        os.waitpid(self.pid, 0)


@contextmanager
def running(command: list[str], size: tuple[int, int]) -> Iterator[Terminal]:
    """Run a program on a pty for the length of a block."""
    terminal = Terminal(command, *size)
    try:
        yield terminal
    finally:
        terminal.close()


def report(what: str, value: str, budget: str, *, met: bool) -> None:
    """Print a line of the table."""
    print(f"{what:<52} {value:>22}   budget {budget:<16} {'met' if met else 'NOT MET'}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--dataset", default="sample")
    arguments = parser.parse_args()
    columns, rows = map(int, arguments.size.split("x"))
    size = (columns, rows)
    home = tempfile.mkdtemp(prefix="visexplore-bench-")
    program = shutil.which("visexplore", path=str(Path(sys.executable).parent)) or "visexplore"
    explorer = [program, "--home", home, arguments.dataset]
    for model in ("efficientnet-lite0", "efficientnet-lite1"):
        os.system(f"{program} --home {home} --quiet embed {arguments.dataset} -m {model} >/dev/null 2>&1")

    bare, ours = [], []
    for _ in range(arguments.runs):
        with running([sys.executable, "-c", BARE], size) as terminal:
            bare.append(terminal.first_paint())
        with running(explorer, size) as terminal:
            ours.append(terminal.first_paint())
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"first paint: bare Textual {statistics.median(bare):.0f} ms, explorer {statistics.median(ours):.0f} ms")
    report("first paint / bare Textual app", f"{ratio:.2f}", "<= 1.5", met=ratio <= 1.5)

    fresh = tempfile.mkdtemp(prefix="visexplore-bench-")
    with running([program, "--home", fresh, "--graphics", "halfblock", arguments.dataset], size) as terminal:
        delays = terminal.delays(until=b"images embedded", seconds=90)
    shutil.rmtree(fresh, ignore_errors=True)
    slowest, usual = max(delays), statistics.median(delays)
    print(f"{len(delays)} keys while the engine starts, imports, loads and embeds: median {usual:.0f} ms to an answer")
    report("longest wait for an answer meanwhile", f"{slowest:.0f} ms", "<= 50 ms", met=slowest <= 50)

    for graphics, budget in (("text", 50.0), ("halfblock", 200.0), ("sixel", 200.0)):
        with running([program, "--home", home, "--graphics", graphics, arguments.dataset], size) as terminal:
            terminal.until(b"searched in")
            terminal.quiet(1.5)
            if graphics == "text":
                terminal.press(b"1")
                moves = [terminal.press(b"\x1b[A", 0.05) for _ in range(8)]  # the facts follow when the cursor rests
                terminal.quiet()
                last, most = statistics.median(m[1] for m in moves), max(m[2] for m in moves)
                report("cursor key in the catalogue, last byte", f"{last:.1f} ms", "<= 10 ms", met=last <= 10)
                report("cursor key in the catalogue, bytes", f"{most:,}", "<= 2,000", met=most <= 2000)
                terminal.press(b"3")
                moves = [terminal.press(b"\x1b[C") for _ in range(4)]
                last, most = statistics.median(m[1] for m in moves), max(m[2] for m in moves)
                report("cursor key among neighbours, last byte", f"{last:.1f} ms", "<= 10 ms", met=last <= 10)
                report("cursor key among neighbours, bytes", f"{most:,}", "<= 2,000", met=most <= 2000)
            terminal.press(b"3")
            terminal.press(b"]", 0.8)
            switches = [terminal.press(key, 0.8) for key in (b"[", b"]") * 4]
            last, most = statistics.median(s[1] for s in switches), max(s[2] for s in switches)
            report(
                f"other model, same query ({graphics}), last byte",
                f"{last:.0f} ms",
                f"<= {budget:.0f} ms",
                met=last <= budget,
            )
            report(f"other model, same query ({graphics}), bytes", f"{most:,}", "<= 300,000", met=most <= 300_000)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
