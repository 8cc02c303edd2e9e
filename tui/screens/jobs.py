"""The embedding jobs: running, waiting, paused and ended, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.cost import size_in_words
from visexplore.core.text import cut, printable
from visexplore.tui.job_queue import JobQueue
from visexplore.tui.jobs import Job, amounts, busy, device_sentence, duration, memory
from visexplore.tui.widgets.row_list import RowList

_EVERY = 0.5  # seconds between two looks at the jobs
_WORDS = {"cancelled": "stopped"}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the list.

    Attributes:
        head: its title; aligned to the right with a space in front.
        width: cells.
        roomy: cells where the window is wide.
        cell: makes it from a job and the width.
        least: cells of the window from which on it is shown.
    """

    head: str
    width: int
    roomy: int
    cell: Callable[[Job, int], str]
    least: int = 0


def _bar(job: Job, width: int) -> str:
    done, total = _done(job)
    if not total:
        return ""
    room = width - 5  # for the percentage
    full = room * min(done, total) // total
    return "█" * full + "░" * (room - full) + f" {100 * done // total:3}%"


def _done(job: Job) -> tuple[int, int]:
    """Return how much of how much is done; zeros where there is nothing to count."""
    if job.state == "done" and job.report is not None:
        done = job.report.embedded + job.report.reused + len(job.report.skipped)
        return done, max(done, job.report.images)
    return amounts(job.progress) if job.progress is not None else (0, 0)


def _amount(job: Job, width: int) -> str:
    done, total = _done(job)
    if not total:
        return ""
    if job.is_downloading:
        return f"{done / 1e6:,.0f}/{total / 1e6:,.0f} MB"
    return f"{done:,}/{total:,}" if job.is_open else f"{done:,}"


def _rate(job: Job, width: int) -> str:
    progress = job.progress
    if job.report is not None:
        return f"{job.report.images_per_second:,.1f}/s" if job.report.embedded else ""
    if progress is None or job.state != "running":
        return ""
    if job.is_downloading:
        return f"{size_in_words(round(progress.bytes_per_second))}/s" if progress.bytes_per_second else ""
    return f"{progress.images_per_second:,.1f}/s" if progress.images_per_second else ""


def _left(job: Job, width: int) -> str:
    if job.state != "running" or job.progress is None or job.progress.eta_seconds is None:
        return ""
    return duration(job.progress.eta_seconds)


def _pace(job: Job, width: int) -> str:
    if job.state == "running" and job.progress is not None:
        return job.progress.bottleneck if job.progress.stage == "embedding" else ""
    return job.report.bottleneck if job.report is not None else ""


def _state(job: Job, width: int) -> str:
    if job.state == "running" and job.progress is not None and job.progress.stage in ("downloading", "loading"):
        return job.progress.stage
    return _WORDS.get(job.state, job.state)


def _memory(job: Job, width: int) -> str:
    return memory(job.progress.device) if job.state == "running" and job.progress and job.progress.device else ""


def _busy(job: Job, width: int) -> str:
    return busy(job.progress.device) if job.state == "running" and job.progress and job.progress.device else ""


_COLUMNS = (
    _Column("State", 11, 11, _state),
    _Column("Model", 19, 30, lambda job, width: cut(job.model, width)),
    _Column("Dataset", 12, 24, lambda job, width: cut(job.title, width), least=100),
    _Column("Progress", 12, 26, _bar),
    _Column(" Done", 13, 15, _amount),
    _Column(" Rate", 9, 9, _rate, least=90),
    _Column(" Left", 7, 7, _left),
    _Column("Pace", 8, 8, _pace, least=110),
    _Column(" Memory", 16, 16, _memory, least=160),
    _Column(" Use", 14, 14, _busy, least=160),
)
_ROOMY = 160


class Jobs(ModalScreen[int]):
    """Lists the jobs; the result is the ticket of the one that was chosen.

    Args:
        jobs: the jobs of the session.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back", show=False, tooltip="leave", id="jobs_leave"),
        Binding(
            "delete,x",
            "cancel",
            "Cancel",
            show=False,
            tooltip="cancel a job; what it has embedded stays",
            id="jobs_cancel",
        ),
        Binding("space", "pause", "Pause", show=False, tooltip="pause a job, or let it go on", id="jobs_pause"),
        Binding(
            "K,shift+up", "move(-1)", "Up", show=False, tooltip="let a job that waits begin earlier", id="jobs_earlier"
        ),
        Binding(
            "J,shift+down", "move(1)", "Down", show=False, tooltip="let a job that waits begin later", id="jobs_later"
        ),
        Binding("c", "clear", "Clear", show=False, tooltip="clear the jobs that have ended", id="jobs_clear"),
    ]

    def __init__(self, jobs: JobQueue) -> None:
        super().__init__()
        self._jobs = jobs
        self._shown: dict[int, tuple[str, ...]] = {}
        self._columns: tuple[_Column, ...] = ()
        self._is_roomy = False

    def compose(self) -> ComposeResult:
        """Lay the list over what is known of the job under the cursor."""
        with Vertical(id="jobs") as box:
            box.border_title = Content("Jobs")
            yield RowList()
            yield Static("", id="job-in-full", markup=False)
            yield Static(
                "Enter: its model. Space: pause, go on. x: cancel, what is embedded stays. K J: earlier, later. "
                "c: clear ended ones. Esc leaves.",
                markup=False,
                classes="hint",
            )

    def on_mount(self) -> None:
        """Show the jobs, and look again twice a second."""
        self.set_interval(_EVERY, self._refresh)

    def on_resize(self, event: events.Resize) -> None:
        """Show as many columns as there is room for."""
        self._is_roomy = event.size.width >= _ROOMY
        self._columns = tuple(column for column in _COLUMNS if event.size.width >= column.least)
        table = self.query_one(RowList)
        under = self._under_cursor
        table.clear(columns=True)
        for column in self._columns:
            head = Text(column.head.strip(), justify="right" if column.head.startswith(" ") else "left")
            table.add_column(head, width=self._width(column), key=column.head)
        self._shown = {}
        self._refresh(under)

    def _width(self, column: _Column) -> int:
        return column.roomy if self._is_roomy else column.width

    def _refresh(self, under: int | None = None) -> None:
        """Show where the jobs stand; of a row that is as before nothing is painted."""
        table = self.query_one(RowList)
        jobs = [*self._jobs.open, *reversed(self._jobs.ended)]
        rows = {job.ticket: tuple(column.cell(job, self._width(column)) for column in self._columns) for job in jobs}
        if list(rows) != list(self._shown):
            under = self._under_cursor if under is None else under
            table.clear()
            for job in jobs:
                table.add_row(*self._cells(job, rows[job.ticket]), key=str(job.ticket))
            if under in rows:
                table.move_cursor(row=list(rows).index(under), animate=False)
        else:
            for job in jobs:
                before = self._shown[job.ticket]
                for column, cell, old, new in zip(
                    self._columns, self._cells(job, rows[job.ticket]), before, rows[job.ticket], strict=True
                ):
                    if old != new:
                        table.update_cell(str(job.ticket), column.head, cell)
        self._shown = rows
        self._show_in_full()

    def _cells(self, job: Job, row: tuple[str, ...]) -> list[Text]:
        theme = self.app.current_theme
        colours = {"running": theme.success, "paused": theme.warning, "failed": theme.error}
        style = colours.get(job.state) or ("" if job.is_open else "dim")
        return [
            Text(
                printable(cell),
                style if column.head in ("State", "Progress") or not job.is_open else "",
                justify="right" if column.head.startswith(" ") else "left",
            )
            for column, cell in zip(self._columns, row, strict=True)
        ]

    @property
    def _under_cursor(self) -> int | None:
        table = self.query_one(RowList)
        if not table.row_count:
            return None
        return int(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value or 0)

    @on(RowList.RowHighlighted)
    def _show_in_full(self) -> None:
        """Say of the job under the cursor what the list has no room for, such as why it failed."""
        job = self._jobs.find(self._under_cursor or 0)
        words = self.query_one("#job-in-full", Static)
        if job is None:
            words.update("There is no job: e embeds with the current model, E with all that run here.")
            return
        doing = "downloading " if job.is_downloading and job.state == "running" else ""
        lines = [printable(f"{job.title} with {job.model}: {doing}{job.sentence()}")]
        if job.state == "running" and job.progress is not None and job.progress.device is not None:
            lines.append(printable(device_sentence(job.progress.device)))
        words.update("\n".join(lines))

    def action_cancel(self) -> None:
        """Give up the job under the cursor."""
        self._jobs.cancel(self._under_cursor or 0)
        self._refresh()

    def action_pause(self) -> None:
        """Pause the job under the cursor, or let it go on."""
        self._jobs.pause_or_resume(self._under_cursor or 0)
        self._refresh()

    def action_move(self, step: int) -> None:
        """Let the job under the cursor begin earlier or later."""
        self._jobs.move(self._under_cursor or 0, step)
        self._refresh()

    def action_clear(self) -> None:
        """Clear the jobs that have ended."""
        self._jobs.clear()
        self._refresh()

    @on(RowList.RowSelected)
    def _choose(self) -> None:
        self.dismiss(self._under_cursor)
