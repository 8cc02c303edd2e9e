"""The runs of a job that was paused, told as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visexplore.core.messages import EmbedReport, Progress


class Runs:
    """What earlier runs of an embedding job did, added to what its current run tells."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}  # images to embed, by model, when the job was first run
        self._reports: dict[str, EmbedReport] = {}

    def progress(self, now: Progress) -> Progress:
        """Count from where the first run began."""
        if not now.total:
            return now
        before = max(0, self._totals.setdefault(now.model, now.total) - now.total)
        return replace(
            now, done=now.done + before, total=now.total + before, reused=max(0, now.reused - before)
        )  # fmt: skip

    def reports(self, now: Sequence[EmbedReport]) -> tuple[EmbedReport, ...]:
        """Return the reports of all runs so far together, one a model; they count as earlier ones from then on."""
        together = []
        for report in now:
            if (before := self._reports.get(report.model)) is not None:
                embedded, seconds = report.embedded + before.embedded, report.seconds + before.seconds
                report = replace(
                    report,
                    embedded=embedded,
                    reused=max(0, report.reused - before.embedded),
                    seconds=seconds,
                    images_per_second=embedded / seconds if embedded else 0.0,
                    bottleneck=report.bottleneck or before.bottleneck,
                    precision=report.precision or before.precision,
                    remarks=report.remarks or before.remarks,
                )
            self._reports[report.model] = report
            together.append(report)
        return tuple(together)
