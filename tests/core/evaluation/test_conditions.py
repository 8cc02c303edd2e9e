from __future__ import annotations

import math
from dataclasses import replace

import pytest

from visexplore.core.comparison import Comparison, Cost, Interval, Judged, Kind
from visexplore.core.errors import UserError
from visexplore.core.evaluation.conditions import parse_condition


def row(name: str, recall: float, kind: Kind = "model", rate: float | None = 50.0) -> Judged:
    scores = {"recall@5": Interval(recall, recall - 0.1, recall + 0.1)}
    return Judged(name, kind, name, "r", "1", scores, {}, "a", False, Cost(8, 100, 7, rate))


FOUND = Comparison(
    "folder:/x", "x", "f", "all", 9, 9, 9, 0, 0, 0, "recall@5", (5,), 10,
    (row("good", 0.9), row("timm:odd name", 0.5), row("baseline-random", 0.1, "baseline")),
)  # fmt: skip


def holds(text: str, found: Comparison = FOUND) -> list[str]:
    return parse_condition(text).holds(found)


def test_it_is_asked_of_every_model_that_is_no_baseline() -> None:
    assert holds("recall@5 < 0.8") == ["recall@5 of timm:odd name is 0.5: recall@5 < 0.8."]
    assert holds("recall@5 < 0.2") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recall@5 of good <= 0.9", True),
        ("recall@5 of good < 0.9", False),
        ("recall@5 of good >= 0.9", True),
        ("recall@5 of good > 0.9", False),
        ("low(recall@5) of good < 0.85", True),
        ("high(recall@5) of good < 0.85", False),
        ("recall@5 of timm:odd name<0.8", True),
        ("recall@5 of baseline-random < 0.8", True),
        ("images_per_second of good < 1e2", True),
        ("bytes_per_million of good > 100", False),
        ("parameters of good >= 7", True),
    ],
)
def test_scores_ends_of_intervals_and_costs_are_compared(text: str, expected: bool) -> None:
    assert bool(holds(text)) is expected


@pytest.mark.parametrize(
    "text",
    ["", "recall@5", "recall@5 < ", "recall@5 = 0.8", "recall@5 < x", "< 0.8", "recall@5 < nan"],
)
def test_what_is_no_condition_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match=r"no condition.*recall@5 < 0\.8"):
        parse_condition(text)


@pytest.mark.parametrize("text", ["recall@7 < 0.8", "low(hubness) < 1", "recall@5 of nobody < 1", "accuracy > 0"])
def test_unknown_scores_and_models_are_told_with_those_that_there_are(text: str) -> None:
    with pytest.raises(UserError, match=r"Known here: recall@5|Compared: good"):
        holds(text)


def test_a_value_that_is_not_known_does_not_pass_in_silence() -> None:
    unknown = replace(FOUND, models=(row("good", 0.9, rate=None), row("nan", math.nan)))
    assert holds("images_per_second of good < 1", unknown) == [
        "good has no images_per_second, so 'images_per_second of good < 1' cannot be checked."
    ]
    assert len(holds("recall@5 of nan < 1", unknown)) == 1
    assert len(holds("hubness > 3", unknown)) == 2
