"""The runs of a job that was paused, told as one."""

from __future__ import annotations

from visexplore.core.engine.resumed import Runs
from visexplore.core.messages import EmbedReport, Progress


def report(embedded: int, reused: int, seconds: float, *, cancelled: bool = False) -> EmbedReport:
    return EmbedReport(
        "lite0", "sample", 100, embedded, reused, (), seconds, 0.0, "model", "/store", cancelled=cancelled
    )


def test_progress_counts_from_where_the_first_run_began() -> None:
    runs = Runs()
    assert runs.progress(Progress("lite0", "embedding", 30, 90, reused=10)).done == 30
    now = runs.progress(Progress("lite0", "embedding", 5, 60, reused=40))
    assert (now.done, now.total, now.reused) == (35, 90, 10)


def test_downloading_is_told_as_it_is() -> None:
    downloading = Progress("lite0", "downloading", bytes_done=1, bytes_total=2)
    assert Runs().progress(downloading) == downloading


def test_more_images_than_before_are_no_step_back() -> None:
    runs = Runs()
    runs.progress(Progress("lite0", "embedding", 30, 90))
    assert runs.progress(Progress("lite0", "embedding", 0, 95)).done == 0


def test_reports_are_added_up() -> None:
    runs = Runs()
    runs.reports([report(30, 10, 2.0, cancelled=True)])
    [both] = runs.reports([report(60, 40, 4.0)])
    assert (both.embedded, both.reused, both.seconds, both.images_per_second) == (90, 10, 6.0, 15.0)
    assert not both.cancelled
