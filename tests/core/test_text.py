from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.text import cell_width, count, cut, cut_front, percentile, printable

anything = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\n\r\t\0\u202e\u200b\ud800\udcff日本e\u0301👩\u200d🔬"))
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.jpg", "plain.jpg"),
        ("Käse 日本 😀", "Käse 日本 😀"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\tand\0nul", r"two\x0alines\x0d\x09and\x00nul"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("byte \udcff", r"byte \xff"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_is_not_plainly_visible_becomes_a_visible_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(anything)
def test_printable_text_holds_nothing_that_moves_the_cursor_or_hides(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown
    shown.encode()


@given(anything, st.integers(0, 30))
def test_cut_text_fits(text: str, width: int) -> None:
    for shortened in (cut(text, width), cut_front(text, width)):
        assert cell_width(shortened) <= width


@given(anything)
def test_what_fits_is_not_cut(text: str) -> None:
    shown = printable(text)
    assert cut(text, cell_width(shown)) == cut_front(text, cell_width(shown)) == shown


@pytest.mark.parametrize(
    ("text", "width", "start", "end"),
    [
        ("holiday/photo.jpg", 9, "holiday/…", "…hoto.jpg"),
        ("日本語", 4, "日…", "…語"),
        ("abc", 1, "…", "…"),
        ("abc", 0, "", ""),
    ],
)
def test_an_ellipsis_stands_for_what_was_cut(text: str, width: int, start: str, end: str) -> None:
    assert (cut(text, width), cut_front(text, width)) == (start, end)


@pytest.mark.parametrize(("text", "cells"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1)])
def test_wide_characters_take_two_cells_and_accents_none(text: str, cells: int) -> None:
    assert cell_width(text) == cells


def test_numbers_are_counted_in_words() -> None:
    assert [count(0, "image"), count(1, "image"), count(2457, "image")] == ["0 images", "1 image", "2,457 images"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.00 %"), (99.876, "99.87 %"), (99.99999, "99.99 %"), (100.0, "100 %")],
)
def test_a_percentile_is_never_rounded_up_to_a_hundred(value: float | None, text: str) -> None:
    assert percentile(value) == text
