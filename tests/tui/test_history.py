from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.messages import Query
from visexplore.tui.history import History

A, B, C = (Query(text=text) for text in "abc")


def visited(*queries: Query, kept: int = 100) -> History:
    history = History(kept)
    for query in queries:
        history.visit(query)
    return history


def test_back_and_forward_again() -> None:
    history = visited(A, B, C)
    assert [history.step(step) for step in (-1, -1, 1, 1)] == [B, A, B, C]


def test_it_stays_at_both_ends() -> None:
    history = visited(A, B)
    assert [history.step(step) for step in (1, -1, -1, 1)] == [None, A, None, B]
    assert History().step(-1) is None


def test_a_query_again_is_remembered_once() -> None:
    history = visited(A, B, B)
    assert [history.step(-1), history.step(-1)] == [A, None]


def test_going_back_is_no_new_query() -> None:
    history = visited(A, B, C)
    history.visit(history.step(-1) or A)
    assert history.step(1) == C


def test_a_new_query_takes_the_place_of_what_came_after() -> None:
    history = visited(A, B)
    history.step(-1)
    history.visit(C)
    assert history.step(1) is None
    assert history.step(-1) == A


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 5))
def test_only_the_last_ones_are_kept_and_never_two_alike_in_a_row(asked: list[int], kept: int) -> None:
    history = visited(*(Query(text=str(number)) for number in asked), kept=kept)
    steps = []
    while (query := history.step(-1)) is not None:
        steps.append(int(query.text))
    expected = [number for at, number in enumerate(asked) if at == 0 or asked[at - 1] != number]
    assert steps == expected[-kept:][:-1][::-1]
