from __future__ import annotations

import pytest
from PIL import Image

from visexplore.core.catalogue import load_catalogue
from visexplore.core.messages import ModelResult, Neighbour, Query
from visexplore.core.report.strip import SIDE, StripPicture, draw_strip, is_right, strip_name, strip_of

RED = Image.new("RGB", (300, 200), "red")
TINY = Image.new("RGB", (10, 20), "red")
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)


def neighbour(rank: int, label: str | None) -> Neighbour:
    return Neighbour(rank, f"{label}/{rank}.jpg", f"/photos/{label}/{rank}.jpg", 1 - rank / 10, label)


def result(*labels: str | None) -> ModelResult:
    neighbours = tuple(neighbour(rank, label) for rank, label in enumerate(labels, start=1))
    return ModelResult("model", "0123456789", 4, 0.1, 9, neighbours)


def strip(query: Query, found: ModelResult, query_image: Image.Image | None = RED) -> Image.Image:
    return strip_of(found, query, query_image, [RED] * len(found.neighbours), title="model", facts="facts")


def count(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return sum(number for number, found in image.getcolors(1 << 24) or () if found == colour)


def test_right_and_wrong_neighbours_are_framed_in_their_own_colours() -> None:
    drawn = strip(Query("cat/0.jpg", label="cat"), result("cat", "cat", "dog"))
    assert count(drawn, RIGHT) > 1.5 * count(drawn, WRONG) > 0


def test_without_labels_nothing_is_right_or_wrong() -> None:
    drawn = strip(Query("0.jpg"), result(None, None))
    assert count(drawn, RIGHT) == count(drawn, WRONG) == 0


def test_a_strip_is_as_wide_as_its_pictures() -> None:
    five, two = strip(Query("0.jpg"), result(*"abcde")), strip(Query("0.jpg"), result(*"ab"))
    assert five.width - two.width == pytest.approx(3 * SIDE, rel=0.1)
    assert five.height == two.height


def test_small_pictures_are_enlarged_to_be_seen() -> None:
    drawn = draw_strip("", "", StripPicture(TINY, ()), [])
    assert count(drawn, (255, 0, 0)) > SIDE * SIDE / 3


def test_words_and_lost_files_leave_their_place_empty() -> None:
    drawn = strip_of(result("cat"), Query(text="a cat"), None, [None], title="model", facts="")
    assert count(drawn, (255, 0, 0)) == 0


def test_hostile_and_endless_names_are_drawn_in_their_place() -> None:
    name = "\x1b[31m\u202egnp.exe\n" * 50
    usual = strip(Query("0.jpg"), result("a"))
    assert strip(Query(name, label=name), result(name)).size == usual.size


@pytest.mark.parametrize(
    ("query", "found", "expected"),
    [("cat", "cat", True), ("cat", "dog", False), (None, "cat", None), ("cat", None, None)],
)
def test_a_neighbour_is_right_if_it_has_the_querys_label(
    query: str | None, found: str | None, expected: bool | None
) -> None:
    assert is_right(Query("0.jpg", label=query), neighbour(1, found)) is expected


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("clip-vit-b32", "openai_clip-vit-base-patch32_query.jpg"),
        ("maxvit-large-384", "maxvit_large_tf_384.in21k_ft_in1k_query.jpg"),
        ("clip-vit-b32@cls+mean", "openai_clip-vit-base-patch32@cls+mean_query.jpg"),
    ],
)
def test_files_are_named_as_in_the_seed_document(model: str, name: str) -> None:
    assert strip_name(load_catalogue().resolve(model)) == name
