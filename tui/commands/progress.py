"""Progress of downloads and of embedding on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from visexplore.core.messages import Progress
from visexplore.tui.commands.common import INTERRUPTED, Globals, look_at_terminal, tell
from visexplore.tui.commands.output import duration, make_console, megabytes

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from visexplore.core.settings import Settings

_PLAIN_PROGRESS_SECONDS = 5.0


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a request to stop after the current batch or block; a second one ends the process.

    That loses no more than the shard in flight: shards are written whole or not at all, and downloads go on from
    where they were.
    """
    presses = 0

    def stop(number: int, frame: object) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: presses > 0
    finally:
        signal.signal(signal.SIGINT, before)


class View(Protocol):
    """Something that shows how far a job is."""

    def show(self, progress: Progress) -> None:
        """Show this instead of what was shown before."""


@contextmanager
def progress_view(settings: Settings, options: Globals, *, silent: bool) -> Iterator[View]:
    """Show progress on standard error.

    Args:
        settings: how the terminal is used.
        options: with --quiet, nothing is shown.
        silent: show it on a terminal only.
    """
    if options.quiet or (silent and not sys.stderr.isatty()):
        yield NoView()
    elif not sys.stderr.isatty():
        yield PlainView()
    else:
        with _bar(settings) as view:
            yield view


class NoView:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Show nothing."""


class PlainView:
    """A line at most every few seconds, for logs."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Write a line if the last one is old enough."""
        if time.monotonic() - self._last < _PLAIN_PROGRESS_SECONDS:
            return
        self._last = time.monotonic()
        tell(f"{_what(progress)}: {_amount(progress)}{_pace(progress)}")


@contextmanager
def _bar(settings: Settings) -> Iterator[View]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = make_console(look_at_terminal(settings, pictures=False), stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[amount]}{task.fields[pace]}", markup=False),
    )
    with Bars(*columns, console=console, transient=True, expand=True, refresh_per_second=8) as bars:
        yield BarView(bars, bars.add_task("", total=1, amount="", pace="", visible=False))


class BarView:
    """A bar of Rich."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        downloading = progress.stage == "downloading"
        self._bars.update(
            self._task,
            description=_what(progress),
            completed=progress.bytes_done if downloading else progress.done,
            total=max(1, progress.bytes_total if downloading else progress.total),
            amount=_amount(progress),
            pace=_pace(progress),
            visible=True,
        )


def _what(progress: Progress) -> str:
    match progress.stage:
        case "downloading":
            return f"fetching {progress.model}"
        case "loading":
            return f"loading {progress.model}"
        case "waiting":
            return f"{progress.model}: another process is embedding this, waiting for it"
        case "embedding":
            return progress.model


def _amount(progress: Progress) -> str:
    if progress.stage == "downloading":
        return f"{megabytes(progress.bytes_done)} of {megabytes(progress.bytes_total)}"
    return f"{progress.done:,} of {progress.total:,}"


def _pace(progress: Progress) -> str:
    if progress.stage == "downloading":
        rate = f"{megabytes(round(progress.bytes_per_second))}/s" if progress.bytes_per_second else ""
    else:
        rate = f"{progress.images_per_second:,.0f} images/s" if progress.images_per_second else ""
    if not rate:
        return ""
    parts = [f", {rate}"]
    if progress.eta_seconds is not None:
        parts.append(f", {duration(progress.eta_seconds)} left")
    if progress.bottleneck:
        parts.append(f", slowest: {progress.bottleneck}")
    if progress.failed:
        parts.append(f", {progress.failed:,} skipped")
    return "".join(parts)
