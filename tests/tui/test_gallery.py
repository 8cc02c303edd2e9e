"""What is found in a dataset: filters, labels, positions, and the tree of labels."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.engine import DatasetOpened
from visexplore.tui.gallery import Gallery
from visexplore.tui.image_filter import ImageFilter, Word, parse
from visexplore.tui.label_tree import LabelTree
from visexplore.tui.marks import Marks

PIECES = st.text("ab1/İ-", max_size=5)
IMAGES = st.lists(st.tuples(PIECES, st.none() | PIECES), unique_by=lambda image: image[0], max_size=30)
FILTERS = st.lists(
    st.builds(
        lambda sign, where, word: f"{sign}{where}{word}",
        st.sampled_from(["", "-"]), st.sampled_from(["", "name:", "label:"]), st.text("abA1/İ", max_size=2),
    ),
    max_size=3,
).map(" ".join)  # fmt: skip
LABELS = st.lists(st.tuples(st.text("ab/-", max_size=6), st.integers(1, 9)), unique_by=lambda entry: entry[0])


def gallery(images: list[tuple[str, str | None]]) -> Gallery:
    """Return the images, as (id, label), as the engine gives them."""
    labels = sorted({label for _, label in images if label is not None})
    numbers = array("i", (-1 if label is None else labels.index(label) for _, label in images))
    return Gallery(DatasetOpened(0, "/p", "p", tuple(i for i, _ in images), tuple(labels), numbers.tobytes(), ()))


def end_of(steps: Generator[None, None, Any]) -> Any:
    """Run to the end without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def meets(word: Word, image_id: str, label: str | None) -> bool:
    """Whether an image meets a word of a filter, by the letter of what is promised."""
    in_label = label is not None and word.text in label.lower()
    in_name = word.text in image_id.lower().rpartition("/")[2]
    in_any = word.text in image_id.lower() or in_label
    return {"label": in_label, "name": in_name, "": in_any}[word.where] is not word.excluded


class TestFilter:
    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ("", ()),
            ("  Mug  12 ", (Word("mug"), Word("12"))),
            ("label:Mug name:12", (Word("mug", "label"), Word("12", "name"))),
            ("-mug -label:bag", (Word("mug", "", True), Word("bag", "label", True))),
            ("- label: -name:", ()),
        ],
    )
    def test_words_are_read(self, typed: str, words: tuple[Word, ...]) -> None:
        assert parse(typed) == ImageFilter(words)

    @given(IMAGES, FILTERS)
    def test_it_finds_exactly_the_images_that_meet_every_word(
        self, images: list[tuple[str, str | None]], typed: str
    ) -> None:
        wanted = parse(typed)
        found = end_of(gallery(images).matching(wanted, range(len(images))))
        assert found == [n for n, image in enumerate(images) if all(meets(word, *image) for word in wanted.words)]

    @given(IMAGES, FILTERS, FILTERS)
    def test_what_follows_from_a_filter_is_met_by_all_that_it_finds(
        self, images: list[tuple[str, str | None]], one: str, other: str
    ) -> None:
        looser, stricter, ours = parse(one), parse(other), gallery(images)
        if looser.follows_from(stricter):
            everything = range(len(images))
            narrowed = end_of(ours.matching(stricter, end_of(ours.matching(looser, everything))))
            assert narrowed == end_of(ours.matching(stricter, everything))

    @pytest.mark.parametrize(
        ("before", "now", "follows"),
        [
            ("", "mug", True),
            ("mu", "mug", True),
            ("mug", "mu", False),
            ("mug", "mug 12", True),
            ("mug", "label:mug", True),
            ("label:mug", "mug", False),
            ("-mug", "-mugs", False),
            ("-mugs", "-mug", True),
            ("-label:mug", "-mug", True),
            ("mug", "-mug", False),
        ],
    )
    def test_typing_on_narrows_what_was_found(self, before: str, now: str, follows: bool) -> None:
        assert parse(before).follows_from(parse(now)) is follows


class TestPositions:
    @given(IMAGES, st.integers(0, 3))
    def test_they_are_the_same_before_and_after_all_are_prepared(
        self, images: list[tuple[str, str | None]], steps: int
    ) -> None:
        places = gallery(images).position_of
        expected = {image_id: n for n, (image_id, _) in enumerate(images)}
        assert dict(places) == expected
        end_of(places.prepare())
        assert dict(places) == expected
        assert places.get("nowhere") is None

    def test_what_is_not_there_is_not_found(self) -> None:
        places = gallery([("a", None)]).position_of
        with pytest.raises(KeyError):
            places["b"]
        assert "b" not in places


class TestLabels:
    @given(IMAGES)
    def test_counts_are_those_of_the_images(self, images: list[tuple[str, str | None]]) -> None:
        counts = end_of(gallery(images).label_counts(range(len(images))))
        assert dict(counts) == Counter(label for _, label in images if label is not None)

    @given(IMAGES, PIECES)
    def test_a_label_has_all_that_is_nested_in_it(self, images: list[tuple[str, str | None]], label: str) -> None:
        found = end_of(gallery(images).under_label(label, range(len(images))))
        assert found == [
            n for n, (_, own) in enumerate(images) if own is not None and f"{own}/".startswith(f"{label}/")
        ]


class TestTree:
    @given(LABELS)
    def test_a_node_has_the_images_of_all_labels_inside(self, counts: list[tuple[str, int]]) -> None:
        tree = LabelTree(counts)
        for path, images in zip(tree.paths, tree.images, strict=True):
            assert images == sum(number for label, number in counts if f"{label}/".startswith(f"{path}/"))
        top = sum(images for depth, images in zip(tree.depths, tree.images, strict=True) if depth == 0)
        assert top == sum(number for _, number in counts)

    @given(LABELS)
    def test_every_label_is_one_node_and_stands_after_what_it_is_nested_in(self, counts: list[tuple[str, int]]) -> None:
        tree = LabelTree(counts)
        assert len(set(tree.paths)) == len(tree)
        assert {label for label, _ in counts} <= set(tree.paths)
        for node, path in enumerate(tree.paths):
            inside = [other for other in range(node + 1, len(tree)) if tree.paths[other].startswith(f"{path}/")]
            assert inside == list(range(node + 1, tree.ends[node]))

    @given(LABELS, st.integers(0, 4))
    def test_unfolded_to_a_depth_all_above_is_seen(self, counts: list[tuple[str, int]], depth: int) -> None:
        tree = LabelTree(counts)
        assert [tree.depths[node] for node in tree.seen({}, depth)] == [d for d in tree.depths if d <= depth]

    @given(LABELS)
    def test_folding_a_node_hides_what_is_inside_and_nothing_else(self, counts: list[tuple[str, int]]) -> None:
        tree = LabelTree(counts)
        for node, path in enumerate(tree.paths):
            hidden = set(range(len(tree))) - set(tree.seen({path: True}, 99))
            assert hidden == set(range(node + 1, tree.ends[node]))

    def test_as_much_is_unfolded_as_there_are_rows_for(self) -> None:
        tree = LabelTree([(f"{a}/{b}/{c}", 1) for a in "xy" for b in "123" for c in "78"])
        assert [len(tree.seen({}, tree.depth_for(rows))) for rows in (1, 2, 8, 19, 20, 99)] == [2, 2, 8, 8, 20, 20]

    def test_labels_without_a_slash_stay_a_flat_list(self) -> None:
        tree = LabelTree([("bag", 2), ("mug", 3)])
        assert tree.is_flat
        assert (tree.paths, tree.images) == (["bag", "mug"], [2, 3])


class TestMarks:
    def test_they_keep_their_order(self) -> None:
        marks = Marks()
        for image_id in "cabc":
            marks.toggle(image_id)
        assert marks.ids == ("a", "b")
        assert "c" not in marks

    def test_what_was_unmarked_comes_back_once(self) -> None:
        marks = Marks()
        marks.replace("ba")
        marks.clear()
        assert not marks
        assert marks.bring_back()
        assert marks.ids == ("b", "a")
        marks.clear()
        marks.toggle("z")
        marks.replace(())
        assert not marks.bring_back()
