from __future__ import annotations

import random
from itertools import combinations

import pytest

from visexplore.core.report.plot import Point, Scatter, scatter


def point(label: str, x: float, y: float, *, kind: str = "model") -> Point:
    return Point(label, kind, x, y, y - 0.02, y + 0.02)  # type: ignore[arg-type]


def drawn(*points: Point, high_x_is_good: bool = True) -> Scatter:
    plot = scatter(points, width=760, height=430, high_x_is_good=high_x_is_good)
    assert plot is not None
    return plot


@pytest.mark.parametrize("seed", range(8))
def test_labels_cover_neither_each_other_nor_marks_and_stay_inside(seed: int) -> None:
    dice = random.Random(seed)
    plot = drawn(*(point(f"some-model-name-{n}", 10 ** dice.uniform(0, 2), dice.uniform(0.7, 0.9)) for n in range(14)))
    boxes = [label.box for label in plot.labels]
    assert len(boxes) >= 12
    assert not any(a.meets(b) for a, b in combinations(boxes, 2))
    assert not any(box.meets(mark.box) for box in boxes for mark in plot.marks)
    assert all(plot.frame.holds(box) for box in boxes)


def test_labels_of_models_in_the_same_place_are_told_apart() -> None:
    plot = drawn(*(point(f"model-{n}", 10, 0.8) for n in range(6)))
    assert len(plot.labels) == 6
    assert not any(a.box.meets(b.box) for a, b in combinations(plot.labels, 2))


def test_what_has_no_room_for_its_label_is_told() -> None:
    plot = drawn(*(point(f"model-{n}", 10, 0.8) for n in range(200)))
    assert plot.unnamed
    assert len(plot.labels) + len(plot.unnamed) == 200


def test_equal_factors_of_cost_are_equal_distances() -> None:
    one, two, three = drawn(point("a", 1, 0.8), point("b", 10, 0.7), point("c", 100, 0.6)).marks
    assert two.x - one.x == pytest.approx(three.x - two.x)
    assert one.y < two.y < three.y


def test_the_front_passes_through_what_nothing_beats_and_only_that() -> None:
    models = (point("fast", 100, 0.6), point("beaten", 20, 0.55), point("good", 10, 0.9))
    plot = drawn(*models)
    places = {mark.point.label: (mark.x, mark.y) for mark in plot.marks}
    assert {name for name, place in places.items() if place in plot.front} == {"fast", "good"}


def test_where_little_is_good_the_front_turns() -> None:
    plot = drawn(point("small", 1, 0.6), point("large and bad", 20, 0.55), point("good", 10, 0.9), high_x_is_good=False)
    places = {mark.point.label: (mark.x, mark.y) for mark in plot.marks}
    assert {name for name, place in places.items() if place in plot.front} == {"small", "good"}


def test_a_baseline_far_below_does_not_squeeze_the_models() -> None:
    plot = drawn(point("a", 1, 0.8), point("b", 2, 0.85), point("random", 5, 0.01, kind="baseline"))
    assert [mark.point.label for mark in plot.marks] == ["a", "b"]
    assert [one.label for one in plot.outside] == ["random"]


def test_a_baseline_among_the_models_is_shown() -> None:
    plot = drawn(point("a", 1, 0.8), point("b", 2, 0.85), point("colour", 5, 0.82, kind="baseline"))
    assert len(plot.marks) == 3
    assert not plot.outside


def test_costs_that_cannot_be_on_a_logarithmic_axis_are_left_out() -> None:
    nothing, endless = point("nothing", 0, 0.8), point("endless", float("inf"), 0.8)
    assert scatter([point("a", 1, 0.8), nothing, endless], width=700, height=400, high_x_is_good=True) is None


@pytest.mark.parametrize("spread", [1.0, 1.2, 3, 30, 1e4, 1e9])
def test_every_axis_has_a_few_ticks(spread: float) -> None:
    plot = drawn(point("a", 7, 0.8), point("b", 7 * spread, 0.85))
    assert 2 <= len(plot.x_ticks) <= 7
    assert 2 <= len(plot.y_ticks) <= 8
    assert len({tick.text for tick in plot.y_ticks}) == len(plot.y_ticks)
    assert all(plot.frame.left <= tick.at <= plot.frame.right for tick in plot.x_ticks)
