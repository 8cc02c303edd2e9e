from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visexplore.core.evaluation.ranking import first_of, top

VALUES = st.sampled_from([-np.inf, -2.5, -1.0, -1e-38, -0.0, 0.0, 1e-38, 0.5, 0.75, 3.0])


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 60)))
    return draw(arrays.arrays(np.float32, shape, elements=VALUES)), draw(st.integers(1, shape[1]))


@given(tables())
def test_the_top_is_the_start_of_a_stable_sort(table: tuple[np.ndarray, int]) -> None:
    values, k = table
    np.testing.assert_array_equal(top(values, k), np.argsort(-values, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize(("rows", "columns", "k"), [(1, 5_000_000, 7), (700, 9_000, 11), (40, 9_000, 5_000)])
def test_large_tables_are_ranked_as_small_ones_are(rows: int, columns: int, k: int) -> None:
    values = np.random.default_rng(0).integers(0, 5000, size=(rows, columns)).astype(np.float32)
    np.testing.assert_array_equal(top(values, k), np.argsort(-values, axis=1, kind="stable")[:, :k])


def test_a_row_of_equal_values_is_in_order() -> None:
    np.testing.assert_array_equal(top(np.zeros((2, 10_000), np.float32), 4), [[0, 1, 2, 3]] * 2)


def test_values_in_a_list_are_ranked_row_by_row() -> None:
    rows, columns = np.array([0, 0, 0, 1, 1]), np.array([2, 5, 9, 0, 4])
    values = np.array([0.5, 0.5, 0.7, -1, 2], np.float32)
    np.testing.assert_array_equal(first_of(rows, columns, values, 2, 2), [[9, 2], [4, 0]])


def test_the_table_is_left_as_it_was() -> None:
    values = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    before = values.copy()
    top(values, 3)
    top(values, 400)
    np.testing.assert_array_equal(values, before)
