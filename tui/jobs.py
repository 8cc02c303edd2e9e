"""An embedding job as the screen follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from visexplore.core.messages import EmbedReport, Progress
from visexplore.core.text import count


def duration(seconds: float) -> str:
    """Return for example `0:08`, `12:30` or `3:05:00`."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(slots=True)
class Job:
    """One request to embed a dataset with a model.

    Attributes:
        ticket: of the request.
        spec: of the dataset.
        title: of the dataset.
        model: slug of the model.
        state: where it stands; `stopping` until the engine has taken a cancel in.
        progress: the last word of the engine.
        report: the outcome.
        problem: why it failed.
    """

    ticket: int
    spec: str
    title: str
    model: str
    state: Literal["waiting", "running", "stopping", "done", "cancelled", "failed"] = "waiting"
    progress: Progress | None = None
    report: EmbedReport | None = None
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the engine still has to end it."""
        return self.state in ("waiting", "running", "stopping")

    def sentence(self) -> str:
        """Say where the job stands."""
        if self.state in ("done", "cancelled") and self.report is not None:
            embedded = f"{count(self.report.embedded, 'image')} embedded"
            rate = f", {self.report.images_per_second:,.1f}/s" if self.report.embedded else ""
            skipped = f", {len(self.report.skipped):,} unreadable" if self.report.skipped else ""
            stopped = "stopped: " if self.state == "cancelled" else ""
            return f"{stopped}{embedded}{rate}{skipped}"
        if self.state == "failed":
            return self.problem
        if self.state == "stopping":
            return "stopping"
        if self.state == "waiting" or self.progress is None:
            return "waits for its turn"
        return progress_sentence(self.progress)


def progress_sentence(progress: Progress) -> str:
    """Say in a few words how far an embedding is, how fast, and what sets the pace."""
    if progress.stage == "loading":
        return "loading the model"
    if progress.stage == "waiting":
        return "another process is embedding this: waiting for it"
    parts = [f"{progress.done:,}/{progress.total:,}"]
    if progress.images_per_second:
        parts.append(f"{progress.images_per_second:,.1f}/s")
    if progress.eta_seconds is not None:
        parts.append(f"{duration(progress.eta_seconds)} left")
    if progress.bottleneck:
        parts.append(f"pace: {progress.bottleneck}")
    if progress.failed:
        parts.append(f"{progress.failed:,} unreadable")
    return "  ".join(parts)
