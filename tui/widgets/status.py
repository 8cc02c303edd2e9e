"""The line above the keys: what is going on, or what is on the screen."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from visexplore.core.text import cut
from visexplore.tui.jobs import Job, progress_sentence
from visexplore.tui.theme import MUTED

_BAR = 20
_SHORT_BAR = 6
_ROOMY_FROM = 120  # columns


class StatusLine(Static):
    """One line; while a job runs, its progress bar."""

    DEFAULT_CSS = "StatusLine { height: 1; padding: 0 1; background: $surface; }"

    def __init__(self) -> None:
        super().__init__("", id="status", markup=False)
        self._shown = Content("")

    def show_text(self, text: str, style: str = MUTED) -> None:
        """Show a sentence."""
        self._update(Content.styled(cut(text, 400), style))

    def show_job(self, job: Job, others: int) -> None:
        """Show how far a job is, and how many wait behind it."""
        progress = job.progress
        head = Content.assemble(
            ("embedding ", MUTED), cut(job.title, 24), (" with ", MUTED), (cut(job.model, 30), "bold"), "  "
        )
        waiting = Content.styled(f"  (+{others} waiting: J)" if others else "", MUTED)
        if job.state == "stopping" or progress is None or progress.stage != "embedding" or not progress.total:
            self._update(Content.assemble(head, (job.sentence(), "$text-warning"), waiting))
            return
        width = _BAR
        if self.app.size.width < _ROOMY_FROM:  # the time left tells more than the names
            head, width = Content.assemble((cut(job.model, 18), "bold"), "  "), _SHORT_BAR
        full = width * progress.done // progress.total
        bar = Content.assemble(("█" * full, "$success"), ("░" * (width - full), MUTED), "  ")
        self._update(Content.assemble(head, bar, progress_sentence(progress), waiting))

    def _update(self, content: Content) -> None:
        if content != self._shown:
            self._shown = content
            self.update(content, layout=False)
