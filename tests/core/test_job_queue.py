"""The queue of the engine's jobs: order, pauses, cancelling, from several threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.engine import Embed
from visexplore.core.engine.job_queue import JobQueue


def embed(ticket: int) -> Embed:
    return Embed(ticket, "sample", ("efficientnet-lite0",))


@pytest.fixture
def queue() -> JobQueue:
    """A queue of three jobs."""
    filled = JobQueue()
    for ticket in (1, 2, 3):
        filled.put(embed(ticket))
    return filled


def drained(queue: JobQueue) -> list[int]:
    """Run all that is not paused; return the tickets in their order."""
    done = []
    queue.put(embed(99))
    while (job := queue.take()) is not None and job.ticket != 99:
        done.append(job.ticket)
        queue.end(job.ticket)
    return done


def taken(queue: JobQueue) -> int:
    job = queue.take()
    assert job is not None
    return job.ticket


def test_jobs_are_taken_in_the_order_in_which_they_came(queue: JobQueue) -> None:
    assert drained(queue) == [1, 2, 3]


def test_one_that_is_paused_is_passed_over_and_keeps_its_place(queue: JobQueue) -> None:
    assert queue.pause(2)
    assert taken(queue) == 1
    queue.end(1)
    queue.resume(2)
    assert drained(queue) == [2, 3]


def test_one_can_be_put_paused() -> None:
    queue = JobQueue()
    queue.put(embed(1), paused=True)
    assert drained(queue) == []


def test_a_running_one_that_is_paused_is_told_to_stop_and_goes_on_at_its_place(queue: JobQueue) -> None:
    assert taken(queue) == 1
    assert not queue.must_stop(1)
    assert not queue.pause(1), "its run has to end first"
    assert queue.must_stop(1)
    assert queue.put_back(1)
    assert taken(queue) == 2
    queue.end(2)
    queue.resume(1)
    assert drained(queue) == [1, 3]


def test_one_that_is_resumed_before_its_run_noticed_goes_on_without_a_stop(queue: JobQueue) -> None:
    assert taken(queue) == 1
    queue.pause(1)
    queue.resume(1)
    assert not queue.must_stop(1)
    assert not queue.put_back(1), "it ended by itself"


def test_one_that_is_resumed_after_its_run_noticed_is_run_again(queue: JobQueue) -> None:
    assert taken(queue) == 1
    queue.pause(1)
    assert queue.must_stop(1)
    queue.resume(1)
    assert queue.must_stop(1), "a part of the run has stopped already"
    assert queue.put_back(1)
    assert taken(queue) == 1
    assert not queue.must_stop(1)


def test_one_that_waits_is_cancelled_at_once(queue: JobQueue) -> None:
    assert queue.cancel(2)
    assert drained(queue) == [1, 3]


def test_one_that_is_paused_is_cancelled_at_once(queue: JobQueue) -> None:
    queue.pause(2)
    assert queue.cancel(2)
    queue.resume(2)
    assert drained(queue) == [1, 3]


def test_a_running_one_that_is_cancelled_is_not_put_back(queue: JobQueue) -> None:
    assert taken(queue) == 1
    queue.pause(1)
    assert not queue.cancel(1)
    assert queue.must_stop(1)
    assert not queue.put_back(1)


def test_one_can_be_cancelled_before_it_comes() -> None:
    queue = JobQueue()
    assert not queue.cancel(1)
    assert not queue.put(embed(1))
    assert drained(queue) == []


def test_those_that_wait_can_be_reordered_behind_the_one_that_runs(queue: JobQueue) -> None:
    assert taken(queue) == 1
    queue.reorder((3, 2, 1))
    queue.end(1)
    assert drained(queue) == [3, 2]


def test_those_that_an_order_does_not_name_follow(queue: JobQueue) -> None:
    queue.reorder((3, 77))
    assert drained(queue) == [3, 1, 2]


def test_once_it_is_closed_nothing_is_taken_and_what_runs_stops(queue: JobQueue) -> None:
    assert taken(queue) == 1
    queue.pause(1)
    queue.close()
    assert queue.must_stop(1)
    assert not queue.put_back(1)
    assert queue.take() is None


@pytest.mark.parametrize("wake", [lambda queue: queue.put(embed(1)), lambda queue: queue.resume(5), JobQueue.close])
def test_who_waits_for_a_job_is_woken(wake: object) -> None:
    queue = JobQueue()
    queue.put(embed(5), paused=True)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(queue.take()))
    waiting.start()
    assert callable(wake)
    wake(queue)
    waiting.join(timeout=10)
    assert len(got) == 1


@given(st.lists(st.tuples(st.sampled_from(["pause", "resume", "cancel", "reorder", "step"]), st.integers(1, 5))))
def test_whatever_happens_each_job_is_run_to_its_end_once_unless_it_is_cancelled(steps: list[tuple[str, int]]) -> None:
    queue = JobQueue()
    for ticket in range(1, 6):
        queue.put(embed(ticket))
    cancelled: set[int] = set()
    ended: list[int] = []
    for name, ticket in steps:
        match name:
            case "pause":
                queue.pause(ticket)
            case "resume":
                queue.resume(ticket)
            case "cancel" if ticket not in ended:
                queue.cancel(ticket)
                cancelled.add(ticket)
            case "reorder":
                queue.reorder((ticket,))
            case "step":  # a run that is paused in its midst
                queue.put(embed(50 + len(ended)))
                taken_now = taken(queue)
                queue.pause(taken_now)
                assert queue.must_stop(taken_now)
                assert queue.put_back(taken_now)
                queue.resume(taken_now)
    for ticket in range(1, 6):
        queue.resume(ticket)
    left = [ticket for ticket in drained(queue) if ticket <= 5]
    assert sorted(left) == sorted(set(range(1, 6)) - cancelled)
