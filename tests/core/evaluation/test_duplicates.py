from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import SHARED_DATA
from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import TableSpace, random_vectors, space_of
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.evaluation import space as space_module
from visexplore.core.evaluation.duplicates import identical, near_duplicates
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.images import content_key, decode


def test_images_of_the_same_bytes_are_a_group_named_by_the_first() -> None:
    assert identical(["x", "y", "x", "z", "y", "x"]).tolist() == [0, 1, 0, 3, 1, 0]
    assert identical([]).tolist() == []


def test_images_of_unknown_content_are_like_no_other() -> None:
    assert identical(["", "x", "", "x"]).tolist() == [0, 1, 2, 1]


def linked(near: np.ndarray, groups: list[int]) -> list[int]:
    """Return the first image that each can be reached from, by walking."""
    images = len(groups)
    found = list(range(images))
    for start in range(images):
        reached, open_ends = {start}, [start]
        while open_ends:
            here = open_ends.pop()
            for there in range(images):
                if there not in reached and (near[here, there] or groups[here] == groups[there]):
                    reached.add(there)
                    open_ends.append(there)
        found[start] = min(reached)
    return found


@settings(max_examples=200)
@given(data=st.data(), images=st.integers(1, 12), block=st.integers(1, 60))
def test_groups_are_what_is_linked_through_others(data: st.DataObject, images: int, block: int) -> None:
    cells = data.draw(st.lists(st.integers(0, 9), min_size=images**2, max_size=images**2))
    table = np.array(cells).reshape(images, images) / 9
    table = np.maximum(table, table.T)
    np.fill_diagonal(table, 1)
    groups = data.draw(st.lists(st.integers(0, 20), min_size=images, max_size=images))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space_module, "_BLOCK_FLOATS", block)
        found = near_duplicates(TableSpace(table), np.array(groups), threshold=0.95)
    assert found.tolist() == linked(table >= 0.95, groups)


def test_images_that_the_space_does_not_cover_keep_their_group() -> None:
    space = TableSpace(np.ones((2, 2)), np.array([1, 4]))
    assert near_duplicates(space, np.array([0, 1, 0, 3, 4, 1])).tolist() == [0, 1, 0, 3, 1, 1]


def test_no_images_have_no_groups() -> None:
    assert near_duplicates(space_of(random_vectors(0, 4)), np.empty(0, np.int64)).tolist() == []


def test_a_space_without_contrast_is_one_group_in_little_time() -> None:
    assert set(near_duplicates(space_of(np.ones((3000, 4))), np.arange(3000)).tolist()) == {0}


def compressed_again(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return decode(file.getvalue())


def test_recompressed_pictures_are_found_and_other_views_are_not(lite0: Encoder, sample: Embedded) -> None:
    pictures = [decode(sample.dataset.read(record)) for record in sample.dataset.records[:60:3]]
    copies = np.stack([lite0.preprocess(compressed_again(picture)) for picture in pictures])
    vectors = np.concatenate([sample.space.vectors, lite0.embed_images(copies)])
    space = EmbeddingSpace("with copies", np.arange(len(vectors)), vectors)
    images = len(sample.labels)
    groups = near_duplicates(space, np.arange(len(vectors)))
    assert np.mean(groups[:images] == np.arange(images)) > 0.99
    assert groups[images:].tolist() == list(range(0, 60, 3))


@pytest.mark.slow
def test_real_copies_with_two_labels_are_groups_and_left_out() -> None:
    """The cropped training photos of Stanford Cars hold byte-identical pairs, all with two different labels."""
    folder = SHARED_DATA / "stanford-cars"
    if not folder.is_dir():
        pytest.skip("no real photos beside the checkout")
    files = sorted(folder.rglob("*.jpg"))
    keys = [content_key(file.read_bytes()) for file in files]
    groups = identical(keys)
    copies = np.flatnonzero(groups != np.arange(len(files)))
    assert len(copies) > 0
    assert all(keys[copy] == keys[groups[copy]] for copy in copies)
    vectors = random_vectors(len(files), 8)
    vectors[copies] = vectors[groups[copies]]
    labels = np.zeros(len(files), np.int32)
    everything = np.arange(len(files))
    with_copies = score(space_of(vectors), Protocol(labels, copies, everything))
    without = score(space_of(vectors), Protocol(labels, copies, everything, groups))
    assert (with_copies.neighbours[:, 0] == groups[copies]).all()
    assert not (without.neighbours == groups[copies][:, None]).any()


def test_datasets_without_copies_have_a_group_for_each_image() -> None:
    dataset = open_dataset("sample")
    keys = [content_key(dataset.read(record)) for record in dataset.records]
    assert identical(keys).tolist() == list(range(len(keys)))
