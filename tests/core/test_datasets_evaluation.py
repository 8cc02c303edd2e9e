"""Who asks and what is searched: leave-one-out, query and gallery, splits, and splits of the literature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.core.test_datasets import Fill, X
from visexplore.core.datasets import Dataset, ImageRecord, NamedSplit, open_dataset
from visexplore.core.errors import UserError


def dataset(rows: Sequence[tuple[str | None, str | None]], *named: NamedSplit) -> Dataset:
    """A dataset of images with these labels and splits."""
    records = tuple(
        ImageRecord(f"{n}.jpg", f"/nowhere/{n}.jpg", 1, 1, label, split) for n, (label, split) in enumerate(rows)
    )
    return Dataset("/nowhere", "nowhere", "nowhere", records, named_splits=named)


def test_every_labelled_image_asks_for_all_the_others() -> None:
    split = dataset([("a", None), (None, None), ("b", None), ("a", None)]).evaluation()
    assert split.name == "all"
    assert split.leave_one_out
    assert split.queries.dtype == split.gallery.dtype == np.int64
    assert split.queries.tolist() == split.gallery.tolist() == [0, 2, 3]


def test_what_needs_no_labels_may_ask_for_all_images() -> None:
    images = dataset([("a", None), (None, None)])
    assert images.evaluation(labelled=False).queries.tolist() == [0, 1]


def test_train_and_test_are_pooled_unless_one_is_named() -> None:
    images = dataset([("a", "train"), ("a", "test"), ("b", "test")])
    assert images.evaluation().queries.tolist() == [0, 1, 2]
    test = images.evaluation("test")
    assert (test.name, test.queries.tolist(), test.leave_one_out) == ("test", [1, 2], True)


def test_queries_search_the_gallery_and_the_rest_is_left_out() -> None:
    images = dataset([("a", "gallery"), ("a", "train"), ("a", "query"), ("b", "gallery"), (None, "gallery")])
    split = images.evaluation()
    assert (split.name, split.leave_one_out) == ("query/gallery", False)
    assert (split.queries.tolist(), split.gallery.tolist()) == ([2], [0, 3])
    assert images.evaluation(labelled=False).gallery.tolist() == [0, 3, 4]


def test_all_means_all_also_where_there_are_queries_and_a_gallery() -> None:
    images = dataset([("a", "gallery"), ("a", "train"), ("a", "query")])
    assert images.evaluation("all").queries.tolist() == [0, 1, 2]
    assert images.evaluation("all").leave_one_out


def test_a_folder_with_query_and_gallery_in_it_is_such_a_dataset(fill: Fill) -> None:
    folder = fill({"gallery/cat/1.jpg": X, "gallery/dog/2.jpg": X, "query/cat/3.jpg": X})
    opened = open_dataset(str(folder))
    split = opened.evaluation()
    assert [opened.records[n].image_id for n in split.queries] == ["query/cat/3.jpg"]
    assert [opened.records[n].image_id for n in split.gallery] == ["gallery/cat/1.jpg", "gallery/dog/2.jpg"]


def test_a_split_of_the_literature_is_asked_for_by_its_name() -> None:
    later = NamedSplit("retrieval", "the later classes", labels=frozenset("cd"))
    held_out = NamedSplit("held-out", "of the test split", splits=frozenset({"test"}), labels=frozenset("bc"))
    images = dataset([("a", "train"), ("b", "test"), ("c", "train"), ("d", "test")], later, held_out)
    assert images.evaluation("retrieval").queries.tolist() == [2, 3]
    assert images.evaluation("held-out").queries.tolist() == [1]


def test_an_unknown_split_is_answered_with_the_known_ones() -> None:
    images = dataset([("a", "train"), ("a", "test"), ("a", "test")], NamedSplit("retrieval", "classes 2 to 3"))
    with pytest.raises(UserError, match="nowhere has no split 'tset'") as caught:
        images.evaluation("tset")
    assert caught.value.hint == "It has: test (2 images), train (1 image), retrieval (classes 2 to 3)."
    with pytest.raises(UserError, match="has no split 'test'") as caught:
        dataset([("a", None)]).evaluation("test")
    assert "not divided" in caught.value.hint


def test_an_empty_split_is_said_to_be_empty() -> None:
    images = dataset([("a", None)], NamedSplit("retrieval", "classes 99 to 196", labels=frozenset("x")))
    with pytest.raises(UserError, match="'retrieval' of nowhere holds no images: classes 99 to 196, none of which"):
        images.evaluation("retrieval")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(None, None), (None, None)], "nowhere has no labels"),
        ([("a", "query"), (None, "gallery")], "In the gallery of nowhere nothing has a label"),
        ([(None, "query"), ("a", "gallery")], "Among the queries of nowhere nothing has a label"),
    ],
)
def test_without_labels_it_says_how_to_have_some(rows: list[tuple[str | None, str | None]], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        dataset(rows).evaluation()
    assert "csv:FILE" in caught.value.hint


def test_images_without_attributes_share_one_tuple_and_keep_their_fingerprint() -> None:
    images = dataset([("a", None), ("b", None)])
    assert images.records[0].attributes is images.records[1].attributes
    other = replace(images, records=(replace(images.records[0], attributes=(("colour", "red"),)), images.records[1]))
    assert other.fingerprint != images.fingerprint


def test_positions_ascend() -> None:
    images = dataset([("a", "test" if n % 3 else "train") for n in range(9)])
    positions = images.evaluation("test").queries
    assert positions.tolist() == sorted(positions.tolist()) == [1, 2, 4, 5, 7, 8]
