"""Dates as spans of months."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.catalogue import load_catalogue
from visexplore.core.dates import MONTHS, Months, months_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2021", "2021"),
        ("2021-02", "Feb 2021"),
        ("2021-02-26", "Feb 2021"),
        ("Feb 2021", "Feb 2021"),
        ("February 2021", "Feb 2021"),
        ("Dec 2021 - Mar 2022", "Dec 2021 - Mar 2022"),
    ],
)
def test_a_date_is_a_span_of_months(text: str, shown: str) -> None:
    assert str(months_of(text)) == shown


@pytest.mark.parametrize("text", ["", "soon", "2021-13", "2021-2", "Foo 2021"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert months_of(text) is None


@given(st.integers(1900, 2100), st.integers(1, 12))
def test_both_ways_to_write_a_month_mean_the_same(year: int, month: int) -> None:
    assert months_of(f"{year}-{month:02}") == months_of(f"{MONTHS[month - 1]} {year}")


def test_spans_meet_if_they_have_a_month_in_common() -> None:
    assert Months(0, 5).meets(Months(5, 9))
    assert Months(5, 9).meets(Months(0, 5))
    assert Months(0, 11).meets(Months(3, 3))
    assert not Months(3, 3).meets(Months(4, 4))


def test_every_date_of_the_catalogue_is_understood() -> None:
    for family in load_catalogue().families:
        assert months_of(family.first_public), family.id
        if family.seed and family.seed.date:
            assert months_of(family.seed.date), family.id
