"""Rows of pictures in an area of cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.tui.widgets.picture_rows import NEIGHBOURS, arrange


@given(st.integers(29, 300), st.integers(8, 100), st.integers(1, 12), st.integers(1, 2), st.floats(1.5, 2.5))
def test_the_rows_fit_into_the_area(width: int, height: int, wanted: int, most: int, aspect: float) -> None:
    found = arrange(width, height, wanted, aspect, most_caption_lines=most)
    assert 1 <= found.rows <= wanted
    assert found.rows * (found.head_lines + found.height + found.caption_lines) <= height
    assert NEIGHBOURS * (found.width + 1) - 1 <= width
    assert 1 <= found.caption_lines <= most


@pytest.mark.parametrize(("size", "models", "rows"), [((64, 22), 2, 2), ((64, 22), 3, 3), ((164, 48), 3, 3)])
def test_as_many_models_as_can_be_made_out_are_on_the_screen(size: tuple[int, int], models: int, rows: int) -> None:
    assert arrange(*size, models, 2.0).rows == rows


def test_two_strips_stay_two_in_a_low_window() -> None:
    assert arrange(164, 20, 2, 2.0).rows == 1
    assert arrange(164, 20, 2, 2.0, least=2).rows == 2
