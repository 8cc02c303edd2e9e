"""The embedding jobs: running, waiting and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from visexplore.core.text import cut, printable
from visexplore.tui.jobs import Job
from visexplore.tui.widgets.row_list import RowList


class Jobs(ModalScreen[None]):
    """Lists the jobs; Delete cancels the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,J", "dismiss", "Back", show=False),
        Binding("delete,x", "cancel", "Cancel job", show=False),
    ]

    def __init__(self, jobs: Callable[[], list[Job]], cancel: Callable[[int], None]) -> None:
        super().__init__()
        self._jobs = jobs
        self._cancel = cancel

    def compose(self) -> ComposeResult:
        """Lay the list over the hint."""
        with Vertical(id="jobs") as box:
            box.border_title = Content("Jobs")
            table = RowList()
            table.add_column("Dataset", width=14)
            table.add_column("Model", width=20)
            table.add_column("State", width=48, key="state")
            yield table
            yield Static("", id="job-in-full", markup=False)
            yield Static("x cancels a job: what it has embedded stays. Esc closes.", markup=False, classes="hint")

    def on_mount(self) -> None:
        """Show the jobs, and look again twice a second."""
        self._refresh()
        self.set_interval(0.5, self._refresh)

    def _refresh(self) -> None:
        table = self.query_one(RowList)
        known = {str(key.value) for key in table.rows}
        for job in self._jobs():
            state = Text(cut(job.sentence(), 48))
            if str(job.ticket) in known:
                table.update_cell(str(job.ticket), "state", state)
            else:
                table.add_row(Text(cut(job.title, 14)), Text(cut(job.model, 20)), state, key=str(job.ticket))
        self._show_in_full()

    @property
    def _under_cursor(self) -> int | None:
        table = self.query_one(RowList)
        if not table.row_count:
            return None
        return int(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value or 0)

    @on(RowList.RowHighlighted)
    def _show_in_full(self) -> None:
        """Say of the job under the cursor what the list has no room for, such as why it failed."""
        job = next((job for job in self._jobs() if job.ticket == self._under_cursor), None)
        if job is not None:
            doing = "downloading " if job.is_downloading and job.state != "stopping" else ""
            text = printable(f"{job.title} with {job.model}: {doing}{job.sentence()}")
            self.query_one("#job-in-full", Static).update(text)

    def action_cancel(self) -> None:
        """Give up the job under the cursor."""
        if self._under_cursor is not None:
            self._cancel(self._under_cursor)
