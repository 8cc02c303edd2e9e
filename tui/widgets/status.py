"""The line above the keys: what is going on, or what is on the screen."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from visexplore.core.text import cut
from visexplore.tui.jobs import Job, amounts, progress_sentence
from visexplore.tui.theme import HINT, MUTED

_BAR = 20
_SHORT_BAR = 6
_ROOMY_FROM = 120  # columns
_GAP = 3  # cells between what is going on and a hint


class StatusLine(Static):
    """One line; while a job runs, its progress bar."""

    DEFAULT_CSS = "StatusLine { height: 1; padding: 0 1; background: $surface; }"

    def __init__(self) -> None:
        super().__init__("", id="status", markup=False)
        self._shown = Content("")
        self._status, self._is_news = Content(""), False
        self._hint: list[str] = []

    def show_text(self, text: str, style: str = MUTED) -> None:
        """Show a sentence; one in the usual style may give way to a hint."""
        self._update(Content.styled(cut(text, 400), style), is_news=style != MUTED)

    def show_hint(self, parts: list[str]) -> None:
        """Show what to press next at the right, as much of it as there is room for."""
        if parts != self._hint:
            self._hint = parts
            self._show()

    def on_resize(self) -> None:
        """Use the room that there is now."""
        self._show()

    def show_job(self, job: Job, others: int) -> None:
        """Show how far a job is, and how many wait behind it."""
        progress = job.progress
        done, total = (0, 0) if progress is None else amounts(progress)
        is_counted = progress is not None and total > 0 and job.state != "stopping"
        is_narrow = self.app.size.width < _ROOMY_FROM  # there, the time left tells more than the names
        model = (cut(job.model, 18 if is_narrow and is_counted else 30), "bold")
        if job.is_downloading:
            head = Content.assemble(("downloading ", MUTED), model, "  ")
        elif is_narrow and is_counted:
            head = Content.assemble(model, "  ")
        else:
            head = Content.assemble(("embedding ", MUTED), cut(job.title, 24), (" with ", MUTED), model, "  ")
        waiting = Content.styled(f"  (+{others} waiting: J)" if others else "", MUTED)
        if progress is None or not is_counted:
            self._update(Content.assemble(head, (job.sentence(), "$text-warning"), waiting))
            return
        width = _SHORT_BAR if is_narrow else _BAR
        full = width * min(done, total) // total
        bar = Content.assemble(("█" * full, "$success"), ("░" * (width - full), MUTED), "  ")
        self._update(Content.assemble(head, bar, progress_sentence(progress), waiting))

    def _update(self, content: Content, *, is_news: bool = True) -> None:
        self._status, self._is_news = content, is_news
        self._show()

    def _show(self) -> None:
        content, width = self._status, self.content_size.width
        if self._hint:
            content = self._with_hint(content, width)
        if content != self._shown:
            self._shown = content
            self.update(content, layout=False)

    def _with_hint(self, content: Content, width: int) -> Content:
        from visexplore.tui.hints import fit  # 3 ms, and there is no hint before the first paint

        line = fit(self._hint, width - content.cell_length - _GAP)
        if not self._is_news and width < _ROOMY_FROM and len(line) < len(fit(self._hint, width)):
            content, line = Content(""), fit(self._hint, width)  # no room for both
        if not line:
            return content
        return Content.assemble(content, " " * (width - content.cell_length - len(line)), (line, HINT))
