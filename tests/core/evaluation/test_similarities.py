"""Histograms of how near a query is to all images."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.evaluation.spaces import random_vectors
from visexplore.core.evaluation.background import background_of
from visexplore.core.evaluation.similarities import cosines, similarities
from visexplore.core.messages import Neighbour, Similarities


def counted(images: int, *, labelled: bool = True, bins: int = 24) -> Similarities:
    vectors = random_vectors(images + 1, 8)
    scores = cosines(vectors[1:], vectors[0])
    same = np.arange(images) % 3 == 0 if labelled else None
    best = (Neighbour(1, "a.jpg", "/a.jpg", float(scores.max()), "a"),) if images else ()
    return similarities(scores, same, background_of(vectors), neighbours=best, bins=bins, images=images)


def test_every_image_is_in_one_bin() -> None:
    found = counted(100)
    assert sum(found.same) == 34
    assert sum(found.others) == 66
    assert len(found.same) == len(found.others) == len(found.pairs) == 24
    assert found.compared == found.images == 100


def test_the_bins_cover_the_neighbours_and_nearly_all_random_pairs() -> None:
    found = counted(100)
    assert found.low <= found.neighbours[0].score <= found.high
    assert sum(found.pairs) == pytest.approx(1, abs=0.01)


def test_a_query_without_a_label_has_one_histogram_of_all() -> None:
    found = counted(50, labelled=False)
    assert found.same == ()
    assert sum(found.others) == 50


def test_a_query_that_is_the_only_image_has_empty_bins() -> None:
    found = counted(0, labelled=False)
    assert sum(found.others) == 0
    assert found.pairs == ()
    assert found.low < found.high


def test_cosines_are_those_of_each_row() -> None:
    vectors = random_vectors(20_000, 4)
    assert np.allclose(cosines(vectors.astype(np.float16), vectors[0]), vectors @ vectors[0], atol=2e-3)
