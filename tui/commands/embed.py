"""`visexplore embed`: embed a dataset, with progress on standard error and one sentence a model at the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from visexplore.core.catalogue import DEFAULT_MODEL
from visexplore.core.explorer import Explorer
from visexplore.core.messages import EmbedReport, Progress
from visexplore.core.text import count
from visexplore.tui.commands.common import INTERRUPTED, Globals, look_at_terminal, tell
from visexplore.tui.commands.output import Output, duration, make_console

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from visexplore.core.settings import Settings

_PLAIN_PROGRESS_SECONDS = 5.0
_SKIPPED_SHOWN = 10


def run(
    options: Globals,
    spec: str,
    models: Sequence[str] | None,
    *,
    device: str,
    precision: str,
    batch_size: int | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """Embed and report; the exit code is that of the command."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings, device=device, precision=precision, batch_size=batch_size)
    reports = embed(explorer, spec, models or [DEFAULT_MODEL], options, limit=limit, silent=as_json)
    if as_json:
        output.json([report.as_json() for report in reports])
    else:
        for report in reports:
            _print_report(output, report, explorer.dataset(spec).title)
        for problem in explorer.dataset(spec).problems:
            output.note(f"Note: {problem.path} could not be listed: {problem.reason}")
    if any(report.cancelled for report in reports):
        for report in reports:
            kept = report.embedded + report.reused
            tell(f"Stopped. {kept:,} of {count(report.images, 'image')} are embedded with {report.model} and kept; "
                 "the same command goes on from there.")  # fmt: skip
        return INTERRUPTED
    return 0


def embed(
    explorer: Explorer,
    spec: str,
    models: Sequence[str],
    options: Globals,
    *,
    limit: int | None = None,
    silent: bool = False,
) -> list[EmbedReport]:
    """Embed what is missing, showing progress on standard error; Ctrl-C ends it early and keeps what is done.

    Args:
        explorer: does the work.
        spec: names the dataset.
        models: names of the models.
        options: the global options.
        limit: look at the first so many images only.
        silent: show progress on a terminal only.
    """
    reports = []
    with _stop_on_interrupt() as stopped, _progress_view(explorer.settings, options, silent=silent) as view:
        for step in explorer.embed(spec, models, limit=limit, cancelled=stopped):
            if isinstance(step, EmbedReport):
                reports.append(step)
            else:
                view.show(step)
    return reports


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a request to stop after the current batch; a second one ends the process.

    That loses no more than the shard in flight: shards are written whole or not at all.
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


class _View(Protocol):
    def show(self, progress: Progress) -> None: ...


@contextmanager
def _progress_view(settings: Settings, options: Globals, *, silent: bool) -> Iterator[_View]:
    if options.quiet or (silent and not sys.stderr.isatty()):
        yield _NoView()
    elif not sys.stderr.isatty():
        yield _PlainView()
    else:
        with _bar(settings) as view:
            yield view


class _NoView:
    def show(self, progress: Progress) -> None:
        """Show nothing."""


class _PlainView:
    """A line at most every few seconds, for logs."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self._last < _PLAIN_PROGRESS_SECONDS:
            return
        self._last = time.monotonic()
        tell(f"{_what(progress)}: {progress.done:,} of {progress.total:,}{_pace(progress)}")


@contextmanager
def _bar(settings: Settings) -> Iterator[_View]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = make_console(look_at_terminal(settings, pictures=False), stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}{task.fields[pace]}", markup=False),
    )
    with Bars(*columns, console=console, transient=True, expand=True, refresh_per_second=8) as bars:
        yield _BarView(bars, bars.add_task("", total=1, pace="", visible=False))


class _BarView:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, progress: Progress) -> None:
        self._bars.update(
            self._task,
            description=_what(progress),
            completed=progress.done,
            total=max(1, progress.total),
            pace=_pace(progress),
            visible=True,
        )


def _what(progress: Progress) -> str:
    match progress.stage:
        case "loading":
            return f"loading {progress.model}"
        case "waiting":
            return f"{progress.model}: another process is embedding this, waiting for it"
        case "embedding":
            return progress.model


def _pace(progress: Progress) -> str:
    if not progress.images_per_second:
        return ""
    parts = [f", {progress.images_per_second:,.0f} images/s"]
    if progress.eta_seconds is not None:
        parts.append(f", {duration(progress.eta_seconds)} left")
    if progress.bottleneck:
        parts.append(f", slowest: {progress.bottleneck}")
    if progress.failed:
        parts.append(f", {progress.failed:,} skipped")
    return "".join(parts)


def _print_report(output: Output, report: EmbedReport, title: str) -> None:
    output.line(_sentence(report, title), style="bold")
    if not report.skipped:
        return
    output.line(f"{count(len(report.skipped), 'image')} could not be embedded:")
    shown = report.skipped if output.verbose else report.skipped[:_SKIPPED_SHOWN]
    for skipped in shown:
        output.line(f"  {skipped.image_id}: {skipped.reason}")
    if len(shown) < len(report.skipped):
        output.line(f"  and {len(report.skipped) - len(shown):,} more; --verbose lists them all")


def _sentence(report: EmbedReport, title: str) -> str:
    if not report.embedded:
        return f"{report.model}: nothing to do, {count(report.reused, 'image')} of {title} embedded already."
    rate = f"{report.images_per_second:,.1f} images/s"
    slowest = f", slowest: {report.bottleneck}" if report.bottleneck else ""
    reused = f", {report.reused:,} were there already" if report.reused else ""
    return (
        f"{report.model}: embedded {count(report.embedded, 'image')} of {title} "
        f"in {duration(report.seconds)} ({rate}{slowest}){reused}."
    )
