"""The order of rows: a choice that holds, whatever the results."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.messages import ModelResult, Neighbour
from visexplore.tui.row_order import RowOrder, Sort, mean_percentile, right_of


def result(model: str, labels: str, percentile: float | None) -> ModelResult:
    neighbours = tuple(Neighbour(rank, f"{rank}", "", 0.5, label, percentile) for rank, label in enumerate(labels, 1))
    return ModelResult(model, "", 8, 0.0, 9, neighbours)


@st.composite
def results(draw: st.DrawFn) -> list[ModelResult]:
    percentiles = st.none() | st.floats(0, 100)
    return [
        result(f"m{number}", draw(st.text("xy", min_size=1, max_size=5)), draw(percentiles))
        for number in range(draw(st.integers(1, 6)))
    ]


@given(results(), st.sampled_from(Sort), st.sampled_from([None, "x"]), st.integers(0, 6))
def test_all_rows_stay_and_the_pinned_one_is_first(
    rows: list[ModelResult], sort: Sort, label: str | None, pinned: int
) -> None:
    order = RowOrder(f"m{pinned}", sort)
    arranged = order.arranged(rows, label)
    assert sorted(row.model for row in arranged) == sorted(row.model for row in rows)
    rest = arranged
    if pinned < len(rows):
        assert arranged[0].model == f"m{pinned}"
        rest = arranged[1:]
    values = {
        Sort.MODELS: [int(row.model[1:]) for row in rest],
        Sort.RIGHT: [-right_of(row, label) for row in rest],
        Sort.PERCENTILE: [-(mean_percentile(row) or 0.0) for row in rest],
    }[order.of(rows, label)]
    assert values == sorted(values)


@given(results(), st.sampled_from([None, "x"]))
def test_sorting_again_and_again_comes_back_to_the_order_of_the_models(
    rows: list[ModelResult], label: str | None
) -> None:
    order = RowOrder()
    seen = []
    for _ in Sort:
        order.sort_differently(rows, label)
        seen.append(order.of(rows, label))
        if seen[-1] is Sort.MODELS:
            break
    assert seen[-1] is Sort.MODELS
    assert (Sort.RIGHT in seen) == (label is not None)


def test_pinning_the_pinned_row_lets_it_go() -> None:
    order = RowOrder()
    order.pin("a")
    order.pin("b")
    assert order.pinned == "b"
    order.pin("b")
    assert order.pinned == ""
