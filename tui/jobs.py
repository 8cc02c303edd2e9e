"""An embedding job as the screen follows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from visexplore.core.messages import DeviceUse, EmbedReport, Progress
from visexplore.core.text import count

State = Literal["waiting", "running", "pausing", "paused", "stopping", "done", "cancelled", "failed"]


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
        state: where it stands; `pausing` and `stopping` until the engine has done what it was told.
        progress: the last word of the engine.
        report: the outcome.
        problem: why it failed.
        name: by which the engine finds the model.
    """

    ticket: int
    spec: str
    title: str
    model: str
    state: State = "waiting"
    progress: Progress | None = None
    report: EmbedReport | None = None
    problem: str = ""
    name: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the engine still has to end it."""
        return self.state in ("waiting", "running", "pausing", "paused", "stopping")

    @property
    def is_movable(self) -> bool:
        """Whether it has a place among those that wait, which can be changed."""
        return self.state in ("waiting", "pausing", "paused")

    @property
    def is_downloading(self) -> bool:
        """Whether the weights of the model are on their way."""
        return self.is_open and self.progress is not None and self.progress.stage == "downloading"

    def sentence(self) -> str:
        """Say where the job stands."""
        if not self.is_open:
            return self._outcome()
        if self.state in ("pausing", "stopping"):
            return self.state
        if self.state == "paused":
            done, total = amounts(self.progress) if self.progress else (0, 0)
            return f"paused at {done:,}/{total:,}" if total and not self.is_downloading else "paused"
        if self.state == "waiting" or self.progress is None:
            return "waits for its turn"
        return progress_sentence(self.progress)

    def _outcome(self) -> str:
        if self.state == "failed":
            return self.problem
        if self.report is None:
            was_downloading = self.progress is not None and self.progress.stage == "downloading"
            return "stopped: what was downloaded is kept" if was_downloading else "stopped"
        embedded = f"{count(self.report.embedded, 'image')} embedded"
        rate = f", {self.report.images_per_second:,.1f}/s" if self.report.embedded else ""
        if rate and self.report.precision not in ("", "float32"):
            rate += f" in {self.report.precision}"
        skipped = f", {len(self.report.skipped):,} unreadable" if self.report.skipped else ""
        stopped = "stopped: " if self.state == "cancelled" else ""
        return f"{stopped}{embedded}{rate}{skipped}"


def amounts(progress: Progress) -> tuple[int, int]:
    """Return how much of how much is done, in bytes or images; zeros where there is nothing to count."""
    if progress.stage == "downloading":
        return progress.bytes_done, progress.bytes_total
    return (progress.done, progress.total) if progress.stage == "embedding" else (0, 0)


def progress_sentence(progress: Progress) -> str:
    """Say in a few words how far a job is, how fast, and what sets the pace."""
    if progress.stage == "downloading":
        return "  ".join(_download_parts(progress)) or "waiting for the hub"
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


def device_sentence(use: DeviceUse) -> str:
    """Say how busy the device is that a model runs on, and how much of its memory is in use."""
    parts = [busy(use), f"{memory(use)} memory" if use.memory else ""]
    told = ", ".join(part for part in parts if part)
    name = f"{use.device} ({use.name})" if use.name else use.device
    return f"{name}: {told}" if told else name


def busy(use: DeviceUse) -> str:
    """Return for example `1.8 of 2 cores` or `97 % busy`; empty where it is not known."""
    if use.busy is None:
        return ""
    return f"{use.busy:.1f} of {count(use.cores, 'core')}" if use.cores else f"{use.busy:.0%} busy".replace("%", " %")


def memory(use: DeviceUse) -> str:
    """Return for example `12.3 of 80.0 GB`; empty where it is not known."""
    if not use.memory:
        return ""
    return (
        f"{use.memory / 1e9:.1f} of {use.memory_total / 1e9:.1f} GB"
        if use.memory_total
        else f"{use.memory / 1e9:.1f} GB"
    )


def _download_parts(progress: Progress) -> Iterator[str]:
    total = progress.bytes_total
    if total:
        digits = 0 if total >= 1e7 else 1
        yield f"{progress.bytes_done / 1e6:,.{digits}f} of {total / 1e6:,.{digits}f} MB"
    elif progress.bytes_done:
        yield f"{progress.bytes_done / 1e6:,.0f} MB"
    if rate := progress.bytes_per_second:
        yield f"{rate / 1e6:,.{0 if rate >= 1e7 else 1}f} MB/s" if rate >= 1e6 else f"{rate / 1e3:,.0f} kB/s"
    if progress.eta_seconds is not None:
        yield f"{duration(progress.eta_seconds)} left"
