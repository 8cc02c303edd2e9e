"""The poolings: what always holds of them, and that a chosen one is known, and refused, when a model is loaded."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.core.tiny_encoder import TinyEncoder
from visexplore.core.catalogue import POOLINGS, Pooling
from visexplore.core.encoders.pooling import Outputs, flatten_map, generalised_mean, pool
from visexplore.core.encoders.precision import load_checked
from visexplore.core.errors import UserError


def token_arrays(low: float, high: float) -> st.SearchStrategy[torch.Tensor]:
    """Tokens (n, t, d) with values between `low` and `high`."""
    shapes = array_shapes(min_dims=3, max_dims=3, max_side=5)
    values = st.floats(low, high, width=32)
    return arrays(np.float32, shapes, elements=values).map(torch.from_numpy)


signed = token_arrays(-100, 100)
positive = token_arrays(0.015625, 100)


@given(positive)
def test_gem_lies_between_the_mean_and_the_greatest(patches: torch.Tensor) -> None:
    found = generalised_mean(patches)
    assert (found >= patches.mean(1) * (1 - 1e-5)).all()
    assert (found <= patches.amax(1) * (1 + 1e-5)).all()


@given(positive, st.floats(1, 8), st.floats(0, 8))
def test_a_greater_power_brings_gem_nearer_to_the_greatest(patches: torch.Tensor, power: float, more: float) -> None:
    assert (generalised_mean(patches, power + more) >= generalised_mean(patches, power) * (1 - 1e-4)).all()


@given(positive)
def test_gem_of_power_one_is_the_mean(patches: torch.Tensor) -> None:
    torch.testing.assert_close(generalised_mean(patches, 1.0), patches.mean(1), rtol=1e-4, atol=0)


@given(signed)
def test_gem_takes_what_is_below_zero_for_nothing(patches: torch.Tensor) -> None:
    found = generalised_mean(patches)
    assert torch.isfinite(found).all()
    assert (found > 0).all()
    torch.testing.assert_close(found, generalised_mean(patches.clamp(min=0)))


@given(signed, st.sampled_from(["mean", "gem", "cls", "cls+mean"]), st.randoms())
def test_the_order_of_the_patches_does_not_matter(tokens: torch.Tensor, choice: Pooling, random: Random) -> None:
    order = list(range(tokens.shape[1]))
    random.shuffle(order)
    special = tokens.flip(1)[:, :1]
    one, other = (pool(Outputs(special[:, 0], special, patches), choice, "m") for patches in (tokens, tokens[:, order]))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@given(positive)
def test_class_token_and_mean_have_equal_shares(patches: torch.Tensor) -> None:
    special = patches.flip(1) * 1000
    found = pool(Outputs(special[:, 0], special, patches), "cls+mean", "m")
    halves = found.view(len(patches), 2, -1).norm(dim=2)
    torch.testing.assert_close(halves, torch.ones_like(halves))


@given(signed)
def test_a_feature_map_gives_the_same_mean_as_its_patches(patches: torch.Tensor) -> None:
    feature_map = patches.transpose(1, 2)[:, :, :, None]
    torch.testing.assert_close(flatten_map(feature_map), patches)
    torch.testing.assert_close(flatten_map(feature_map).mean(1), feature_map.mean((2, 3)))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("choice", ["mean", "gem"])
def test_sums_over_patches_are_exact_in_half_precision_too(choice: Pooling, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    patches = (torch.rand(2, 4096, 3) * 60).to(precision)
    exact, coarse = (pool(Outputs(p[:, 0], patches=p), choice, "m") for p in (patches.double(), patches))
    torch.testing.assert_close(coarse.double(), exact.double(), rtol=1e-4, atol=0)


PARTS = {
    "special": torch.ones(2, 1, 3), "patches": torch.ones(2, 4, 3),
    "projected": torch.ones(2, 5), "unprojected": torch.ones(2, 3),
}  # fmt: skip
NEEDS = {
    "cls": {"special"}, "mean": {"patches"}, "cls+mean": {"special", "patches"}, "gem": {"patches"},
    "projected": {"projected"}, "unprojected": {"unprojected"},
}  # fmt: skip


@given(st.sets(st.sampled_from(sorted(PARTS))), st.sampled_from(sorted(POOLINGS)))
def test_a_pooling_is_had_where_its_parts_are_else_the_error_lists_what_is(parts: set[str], choice: Pooling) -> None:
    outputs = replace(Outputs(torch.zeros(2, 5)), **{part: PARTS[part] for part in parts})
    offered = [name for name in POOLINGS if NEEDS[name] <= parts]
    if choice in offered:
        assert pool(outputs, choice, "model").shape[0] == 2
        return
    with pytest.raises(UserError) as caught:
        pool(outputs, choice, f"model@{choice}")
    assert caught.value.message == f"model has no pooling '{choice}': it lacks {POOLINGS[choice]}"
    assert caught.value.hint.startswith(f"It offers {', '.join(offered)}, and" if offered else f"Leave @{choice} away")


def test_special_tokens_that_are_none_are_no_class_token() -> None:
    with pytest.raises(UserError, match="it lacks the class token"):
        pool(Outputs(torch.zeros(2, 5), special=torch.zeros(2, 0, 3)), "cls", "model")


def test_every_pooling_of_the_catalogue_exists() -> None:
    assert set(NEEDS) == set(POOLINGS) == set(get_args(Pooling))


# ---- a chosen pooling of a loaded model


@pytest.mark.parametrize(("pooling", "dim"), [("", 6), ("cls", 12), ("mean", 12), ("cls+mean", 24), ("gem", 12)])
def test_the_length_of_a_chosen_vector_is_known_when_the_model_is_loaded(pooling: Pooling, dim: int) -> None:
    encoder = load_checked(lambda precision: TinyEncoder(precision, pooling=pooling), "cpu", "auto")
    assert encoder.dim == dim
    assert encoder.embed_images(encoder.pictures(3)).shape == (3, dim)


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_a_pooling_that_a_model_lacks_is_refused_when_it_is_loaded(precision: str) -> None:
    with pytest.raises(UserError, match="tiny has no pooling 'unprojected'"):
        load_checked(lambda within: TinyEncoder(within, pooling="unprojected"), "cpu", precision)
