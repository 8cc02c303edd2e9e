"""Which queries models differ on, against all similarities computed at once."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import UserError
from visexplore.core.evaluation import disputed
from visexplore.core.evaluation.agreement import overlap, rank_biased_overlap
from visexplore.core.evaluation.disputed import disagreements, nearest_positions
from visexplore.core.evaluation.space import EmbeddingSpace


@dataclass(frozen=True)
class Record:
    image_id: str
    label: str | None = None


def dataset(images: int) -> Any:
    return SimpleNamespace(records=[Record(f"{number:06}.jpg") for number in range(images)])


def spaces(images: int, models: int, dim: int = 8, seed: int = 0) -> dict[str, EmbeddingSpace]:
    random = np.random.default_rng(seed)
    return {
        f"m{number}": EmbeddingSpace(
            f"m{number}", np.arange(images), normalise(random.standard_normal((images, dim)).astype(np.float32))
        )
        for number in range(models)
    }


def find(images: int, models: dict[str, EmbeddingSpace], k: int = 5, **options: Any) -> Any:
    covered = {name: space.positions for name, space in models.items()}
    return disagreements(dataset(images), covered, models.__getitem__, k, **options)


def nearest(space: EmbeddingSpace, k: int) -> NDArray[np.int64]:
    similarities = space.vectors @ space.vectors.T
    np.fill_diagonal(similarities, -np.inf)
    return np.argsort(-similarities, axis=1, kind="stable")[:, :k]


@given(st.integers(4, 40), st.integers(2, 4), st.integers(1, 12), st.integers(0, 99))
def test_each_query_has_the_mean_of_all_pairs_of_models(images: int, models: int, k: int, seed: int) -> None:
    every = spaces(images, models, seed=seed)
    found = find(images, every, k)
    depth = min(k, images - 1)
    assert found.k == depth
    tops = [nearest(space, depth) for space in every.values()]
    pairs = [(one, other) for at, one in enumerate(tops) for other in tops[at + 1 :]]
    shared = np.mean([overlap(*pair) for pair in pairs], axis=0)
    differ = 1 - np.mean([rank_biased_overlap(*pair) for pair in pairs], axis=0)
    for one in found.queries:
        row = int(one.image_id[:6])
        assert one.overlap == pytest.approx(shared[row])
        assert one.disagreement == pytest.approx(differ[row])
    values = [round(one.disagreement, 9) for one in found.queries]  # of equal ones, sums may differ in the last bit
    assert values == sorted(values, reverse=True)
    assert (found.overlap, found.disagreement) == (pytest.approx(shared.mean()), pytest.approx(differ.mean()))


def test_queries_on_which_all_agree_are_left_out() -> None:
    [space] = spaces(20, 1).values()
    found = find(20, {"one": space, "twin": space})
    assert (found.queries, found.disagreement, found.overlap, found.looked_at) == ((), 0.0, 1.0, 20)


def test_of_a_large_dataset_a_sample_is_looked_at_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disputed, "_ALL", 100)
    monkeypatch.setattr(disputed, "_FEWEST", 30)
    every = spaces(400, 2)
    found = find(400, every)
    assert (found.looked_at, found.images) == (100, 400)
    assert find(400, every) == found
    monkeypatch.setattr(disputed, "_SIMILARITIES", 400)
    assert find(400, every).looked_at == 30


def test_blocks_of_queries_find_what_one_block_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    [space] = spaces(50, 1).values()
    whole = nearest_positions(space, np.arange(50), 5)
    monkeypatch.setattr(disputed, "block_size", lambda images: 7)
    assert (nearest_positions(space, np.arange(50), 5) == whole).all()


def test_only_what_all_models_have_embedded_is_asked() -> None:
    every = spaces(30, 2)
    some = EmbeddingSpace("some", np.arange(0, 30, 3), every["m1"].vectors[::3])
    found = find(30, {"m0": every["m0"], "some": some})
    assert found.images == 10
    assert {int(one.image_id[:6]) % 3 for one in found.queries} == {0}


def test_one_model_or_no_image_in_common_is_said_so() -> None:
    every = spaces(30, 2)
    with pytest.raises(UserError, match="two models"):
        find(30, {"m0": every["m0"]})
    halves = {
        name: EmbeddingSpace(name, rows, every["m0"].vectors[rows])
        for name, rows in {"a": np.arange(15), "b": np.arange(15, 30)}.items()
    }
    with pytest.raises(UserError, match="no image with neighbours"):
        find(30, halves)


def test_it_can_be_given_up() -> None:
    assert find(30, spaces(30, 2), cancelled=lambda: True).queries == ()
