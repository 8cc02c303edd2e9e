"""Expressions of mixed queries: what they mean, and that what is written reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.errors import UserError
from visexplore.core.messages import Box, Query, QueryPart
from visexplore.core.query_mix import (
    box_words,
    format_box,
    format_mix,
    kinds_in,
    parse_box,
    parse_mix,
    query_of,
    query_words,
    with_part,
)

IDS = {"mug/1.jpg", "mug/2.jpg", "a - b.jpg", "12", '"x".png', "2:1.jpg", "y[0,0,1,1]"}
KIND = kinds_in(IDS)


def parse(expression: str) -> tuple[QueryPart, ...]:
    return parse_mix(expression, KIND)


# ---- parts


def test_images_and_words_with_weights() -> None:
    assert parse("2:cat + ./pool.jpg - fruit") == (
        QueryPart(2.0, text="cat"),
        QueryPart(1.0, path="./pool.jpg"),
        QueryPart(-1.0, text="fruit"),
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mug/1.jpg", QueryPart(image_id="mug/1.jpg")),
        ("12", QueryPart(image_id="12")),
        ("2:1.jpg", QueryPart(image_id="2:1.jpg")),
        ("3:2:1.jpg", QueryPart(3.0, image_id="2:1.jpg")),
        ("y[0,0,1,1]", QueryPart(image_id="y[0,0,1,1]")),
        ("http://x.org/a.jpg?b=1", QueryPart(path="http://x.org/a.jpg?b=1")),
        ("~/a.jpg", QueryPart(path="~/a.jpg")),
        ("/not/there.jpg", QueryPart(path="/not/there.jpg")),
        ("not-there.jpg", QueryPart(text="not-there.jpg")),
        ("a red mug", QueryPart(text="a red mug")),
        ("state-of-the-art c++", QueryPart(text="state-of-the-art c++")),
        ("text:12", QueryPart(text="12")),
    ],
)
def test_what_a_part_is(name: str, part: QueryPart) -> None:
    assert parse(name) == (part,)


def test_a_file_of_the_current_folder_is_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat").touch()
    assert parse("cat + dog") == (QueryPart(path="cat"), QueryPart(text="dog"))


@pytest.mark.parametrize(
    ("written", "weight"), [("2:cat", 2), ("0.5 : cat", 0.5), (".5:cat", 0.5), ("-2:cat", -2), ("- 2:cat", -2)]
)
def test_weights(written: str, weight: float) -> None:
    [part] = parse(written)
    assert part.weight == pytest.approx(weight)


def test_quotes_keep_a_part_as_it_is() -> None:
    assert parse('"1 + 1: [0,0,1,1]" - "a - b.jpg"') == (
        QueryPart(text="1 + 1: [0,0,1,1]"),
        QueryPart(-1.0, image_id="a - b.jpg"),
    )


def test_a_part_of_an_image_in_brackets() -> None:
    assert parse('mug/1.jpg[10,20,60,80] + "a - b.jpg" [0,0,.5,1]') == (
        QueryPart(image_id="mug/1.jpg", crop=Box(0.1, 0.2, 0.6, 0.8)),
        QueryPart(image_id="a - b.jpg", crop=Box(0, 0, 0.5, 1)),
    )


def test_words_have_no_parts() -> None:
    assert parse("red [0,0,1,1]") == (QueryPart(text="red [0,0,1,1]"),)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "part of the mix is empty"),
        ("cat + ", "part of the mix is empty"),
        ("cat + - dog", "part of the mix is empty"),
        ('cat + ""', "part of the mix is empty"),
        ('cat + "dog', "quotation mark of the mix is not closed"),
        ("1e99:cat", "weight of '1e99:cat' is too large"),
        ("mug/1.jpg[0.5,0,0.1,1]", "no part of a picture"),
        ("mug/1.jpg[1,2]", "no part of a picture"),
    ],
)
def test_what_cannot_be_understood_is_told(expression: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse(expression)


# ---- both ways

weights = st.floats(-1e5, 1e5).filter(lambda weight: weight == 0 or abs(weight) > 1e-5)
edges = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, right = sorted(draw(st.lists(edges, min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(edges, min_size=2, max_size=2, unique=True)))
    return Box(left, top, right, bottom)


words = st.one_of(
    st.text(min_size=1).filter(str.strip),
    st.text('ab"\\[],:.+- 0123', min_size=1).filter(str.strip),
    st.sampled_from(sorted(IDS)),
)
parts = st.one_of(
    st.builds(QueryPart, weights, text=words),
    st.builds(QueryPart, weights, image_id=st.sampled_from(sorted(IDS)), crop=st.none() | boxes()),
    st.builds(QueryPart, weights, path=words.map(lambda name: f"./{name}"), crop=st.none() | boxes()),
)


@given(st.lists(parts, min_size=1, max_size=4))
def test_what_is_written_reads_the_same(mix: list[QueryPart]) -> None:
    assert parse(format_mix(mix, KIND)) == tuple(mix)


@given(st.text('ab"\\[],:.+- 0123', max_size=30))
def test_whatever_is_written_is_understood_or_refused_in_a_sentence(expression: str) -> None:
    try:
        mix = parse(expression)
    except UserError:
        return
    assert parse(format_mix(mix, KIND)) == mix


@given(boxes())
def test_a_box_reads_as_it_is_written(box: Box) -> None:
    assert parse_box(format_box(box)) == box


def test_expressions_are_as_short_as_they_can_be() -> None:
    expression = '2:cat + mug/1.jpg[0.25,0,0.5,1] - "a - b.jpg"'
    assert format_mix(parse(expression), KIND) == expression


def test_an_outside_file_with_the_name_of_an_image_is_written_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12").touch()
    written = format_mix([QueryPart(path="12")], KIND)
    assert parse(written) == (QueryPart(path=str(tmp_path / "12")),)


# ---- boxes


@pytest.mark.parametrize("written", ["0.1,0.2,0.6,1", "10%,20%,60%,100%", "10, 20, 60, 100"])
def test_edges_are_fractions_or_percent(written: str) -> None:
    assert parse_box(written) == Box(0.1, 0.2, 0.6, 1)


@pytest.mark.parametrize("written", ["", "1,2,3", "a,b,c,d", "0.5,0,0.5,1", "-0.1,0,1,1", "nan,0,1,1", "0,0,200,50"])
def test_edges_that_enclose_nothing_are_refused(written: str) -> None:
    with pytest.raises(UserError, match="no part of a picture"):
        parse_box(written)


@given(boxes(), st.integers(1, 5000), st.integers(1, 5000))
def test_a_box_has_pixels_inside_of_the_picture(box: Box, width: int, height: int) -> None:
    left, top, right, bottom = box.pixels(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_a_box_in_words() -> None:
    assert box_words(Box(0.25, 0.1, 0.75, 0.6)) == "part 25-75 x 10-60 %"


# ---- queries


def test_one_part_alone_is_no_mix() -> None:
    box = Box(0, 0, 0.5, 1)
    assert query_of(parse("cat")) == Query(text="cat")
    assert query_of(parse("3:./a.jpg[0,0,.5,1]")) == Query(path="./a.jpg", crop=box)
    assert query_of(parse("- cat")).parts == (QueryPart(-1.0, text="cat"),)


def test_the_same_part_again_changes_its_weight() -> None:
    cat, mug = QueryPart(text="cat"), QueryPart(image_id="mug/1.jpg")
    assert with_part((cat,), mug) == (cat, mug)
    assert with_part((cat, mug), mug) == (cat, QueryPart(2.0, image_id="mug/1.jpg"))
    assert with_part((cat, mug), QueryPart(-1.0, image_id="mug/1.jpg")) == (cat,)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(image_id="mug/1.jpg"), "mug/1.jpg"),
        (Query(path="a.jpg", crop=Box(0, 0, 0.5, 1)), "a.jpg, part 0-50 x 0-100 %"),
        (Query(text="a mug"), "“a mug”"),
        (Query(parts=(QueryPart(2.0, text="cat"), QueryPart(-1.0, path="a.jpg"))), "2:cat - a.jpg"),
    ],
)
def test_queries_in_words(query: Query, words: str) -> None:
    assert query_words(query) == words


def test_what_a_query_needs() -> None:
    stored = Query(parts=(QueryPart(image_id="1"), QueryPart(-1.0, image_id="2")))
    assert stored.is_stored
    assert not Query("1", crop=Box(0, 0, 0.5, 1)).is_stored
    mixed = Query(parts=(QueryPart(text="cat"), QueryPart(path="a.jpg")))
    assert mixed.has_text
    assert not mixed.is_stored
    assert mixed.picture == QueryPart(path="a.jpg")
    assert Query(text="cat").picture is None
