from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.messages import Neighbour
from visexplore.core.text import cell_width
from visexplore.tui.scores import RIGHT, WRONG, bar, largest_gap, mark


def neighbours(*scores: float, label: str | None = None) -> list[Neighbour]:
    return [Neighbour(rank, f"{rank}", f"/{rank}", score, label) for rank, score in enumerate(scores, start=1)]


def test_bars_show_the_differences_between_what_is_shown() -> None:
    shown = neighbours(0.9, 0.8, 0.7)
    assert [bar(neighbour.score, shown, 4) for neighbour in shown] == ["████", "██", "▏"]


def test_equal_scores_have_full_bars() -> None:
    shown = neighbours(0.5, 0.5)
    assert [bar(neighbour.score, shown, 3) for neighbour in shown] == ["███", "███"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.integers(1, 40))
def test_a_bar_is_seen_and_keeps_to_its_width(scores: list[float], width: int) -> None:
    shown = neighbours(*sorted(scores, reverse=True))
    widths = [cell_width(bar(neighbour.score, shown, width)) for neighbour in shown]
    assert all(1 <= drawn <= width for drawn in widths)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("scores", "gap"),
    [((), None), ((0.9,), None), ((0.9, 0.8, 0.5, 0.4), (2, 0.3)), ((0.75, 0.5, 0.25), (1, 0.25))],
)
def test_the_largest_gap(scores: tuple[float, ...], gap: tuple[int, float] | None) -> None:
    found = largest_gap(neighbours(*scores))
    assert found == (gap if gap is None else (gap[0], pytest.approx(gap[1])))


def test_marks_need_both_labels() -> None:
    [mug], [nothing] = neighbours(0.9, label="mug"), neighbours(0.9)
    assert [mark("mug", mug), mark("bag", mug), mark(None, mug), mark("mug", nothing)] == [RIGHT, WRONG, None, None]
