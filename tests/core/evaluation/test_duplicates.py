from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import SHARED_DATA
from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import random_vectors, space_of
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.encoder import normalise
from visexplore.core.evaluation.duplicates import identical, linked
from visexplore.core.evaluation.scores import Protocol, rankings, score
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.images import content_key, decode


def test_images_of_the_same_bytes_are_a_group_named_by_the_first() -> None:
    assert identical(["x", "y", "x", "z", "y", "x"]).tolist() == [0, 1, 0, 3, 1, 0]
    assert identical([]).tolist() == []


def test_images_of_unknown_content_are_like_no_other() -> None:
    assert identical(["", "x", "", "x"]).tolist() == [0, 1, 2, 1]


def reachable(near: np.ndarray, groups: list[int]) -> list[int]:
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


def all_neighbours(images: int) -> np.ndarray:
    return np.array([[other for other in range(images) if other != one] for one in range(images)]).reshape(images, -1)


@settings(max_examples=100)
@given(data=st.data(), images=st.integers(2, 12), seed=st.integers(0, 99))
def test_groups_are_what_is_linked_through_others(data: st.DataObject, images: int, seed: int) -> None:
    vectors = normalise(np.random.default_rng(seed).normal(size=(images, 2)))
    groups = data.draw(st.lists(st.integers(0, 20), min_size=images, max_size=images))
    found = linked([space_of(vectors)], np.array(groups), np.arange(images), [all_neighbours(images)], threshold=0.95)
    assert found.tolist() == reachable(vectors @ vectors.T >= 0.95, groups)


def test_a_space_in_which_everything_is_near_joins_nothing_alone() -> None:
    apart = space_of(np.eye(4, dtype=np.float32))
    cone = space_of(np.ones((4, 4), np.float32))
    neighbours = all_neighbours(4)
    assert linked([cone], np.arange(4), np.arange(4), [neighbours]).tolist() == [0, 0, 0, 0]
    assert linked([cone, apart], np.arange(4), np.arange(4), [neighbours] * 2).tolist() == [0, 1, 2, 3]


def test_images_that_nobody_asked_for_keep_their_group() -> None:
    space = EmbeddingSpace("two", np.array([1, 4]), np.ones((2, 4), np.float32))
    found = linked([space], np.array([0, 1, 0, 3, 4, 1]), np.array([1]), [np.array([[4, -1]])])
    assert found.tolist() == [0, 1, 0, 3, 1, 1]


def test_without_spaces_groups_stay_as_they_are() -> None:
    assert linked([], np.array([0, 1, 0]), np.array([1]), [np.array([[2]])]).tolist() == [0, 1, 0]


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
    everything = np.arange(len(vectors))
    near = rankings(space, Protocol(np.zeros(len(vectors), np.int32), everything, everything), 5)
    groups = linked([space], everything, everything, [near])
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
