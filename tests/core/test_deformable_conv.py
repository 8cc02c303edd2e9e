"""The deformable convolution against loops written from the formula, which share no code with it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from visexplore.core.encoders.deformable_conv import DeformableConv, deformable_conv3

Array = NDArray[np.float64]


def between_pixels(plane: Array, x: float, y: float) -> Array:
    """Read (h, w, c) at a point by bilinear interpolation; outside is 0."""
    found = np.zeros(plane.shape[-1])
    for column, row in product((int(np.floor(x)), int(np.floor(x)) + 1), (int(np.floor(y)), int(np.floor(y)) + 1)):
        if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
            found += (1 - abs(x - column)) * (1 - abs(y - row)) * plane[row, column]
    return found


def by_loops(
    values: Tensor,
    offsets: Tensor,
    modulation: Tensor,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    padding: int = 1,
    dilation: int = 1,
    offset_scale: float = 1.0,
    remove_center: bool = False,
) -> Array:
    """Eq. 2 of arXiv 2211.05778: for each group, sum over k of m_k x(p_0 + s (p_k + dp_k)), for an odd kernel."""
    pictures, moves, logits = (tensor.double().numpy() for tensor in (values, offsets, modulation))
    groups = moves.shape[3]
    width = pictures.shape[-1] // groups
    reach = kernel_size // 2
    taps = [(dilation * i, dilation * j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    if remove_center:
        taps.remove((0, 0))
    sums = np.zeros((*moves.shape[:3], pictures.shape[-1]))
    for n, row, column, group in np.ndindex(moves.shape[:4]):
        part = slice(group * width, (group + 1) * width)
        weights = np.exp(logits[n, row, column, group])
        for k, (across, down) in enumerate(taps):
            move_x, move_y = moves[n, row, column, group, k]
            x = column * stride - padding + dilation * reach + offset_scale * (across + move_x)
            y = row * stride - padding + dilation * reach + offset_scale * (down + move_y)
            share = weights[k] / weights.sum()
            sums[n, row, column, part] += share * between_pixels(pictures[n, :, :, part], x, y)
    return sums


def random_input(
    size: tuple[int, int] = (5, 6), channels: int = 8, groups: int = 2, taps: int = 9, rows: int = 5, columns: int = 6
) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    values = torch.randn(2, *size, channels, dtype=torch.float64)
    offsets = 1.5 * torch.randn(2, rows, columns, groups, taps, 2, dtype=torch.float64)
    return values, offsets, torch.randn(2, rows, columns, groups, taps, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ({}, {}),
        ({"groups": 1}, {}),
        ({"groups": 8}, {"offset_scale": 2.0}),
        ({"groups": 4}, {"offset_scale": 0.5}),
        ({"rows": 3, "columns": 3}, {"stride": 2}),
        ({"rows": 2, "columns": 2}, {"stride": 3, "offset_scale": 2.0}),
        ({"rows": 3, "columns": 4}, {"padding": 0}),
        ({"rows": 5, "columns": 6}, {"padding": 2, "dilation": 2}),
        ({"rows": 5, "columns": 6, "taps": 25}, {"padding": 2, "kernel_size": 5}),
        ({"taps": 8}, {"remove_center": True}),
        ({"size": (1, 9), "rows": 1, "columns": 9}, {}),
    ],
)
def test_it_is_the_formula_of_the_paper(shape: dict[str, Any], options: dict[str, Any]) -> None:
    values, offsets, modulation = random_input(**shape)
    expected = by_loops(values, offsets, modulation, **options)
    np.testing.assert_allclose(deformable_conv3(values, offsets, modulation, **options).numpy(), expected, atol=1e-12)
    coarse = deformable_conv3(values.float(), offsets.float(), modulation.float(), **options)
    assert coarse.dtype == torch.float32
    np.testing.assert_allclose(coarse.numpy(), expected, atol=1e-5)


def test_without_offsets_and_preferences_it_is_the_mean_of_nine_pixels() -> None:
    values, offsets, modulation = random_input()
    found = deformable_conv3(values, torch.zeros_like(offsets), torch.zeros_like(modulation))
    mean = functional.avg_pool2d(values.permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, mean)


@pytest.mark.parametrize(("tap", "column", "row"), [(0, 1, 1), (1, 1, 2), (2, 1, 3), (3, 2, 1), (4, 2, 2), (8, 3, 3)])
def test_taps_are_counted_column_by_column(tap: int, column: int, row: int) -> None:
    values, offsets, modulation = random_input()
    only = torch.full_like(modulation, -1e9)
    only[..., tap] = 0
    found = deformable_conv3(values, torch.zeros_like(offsets), only)
    torch.testing.assert_close(found[:, 2, 2], values[:, row, column])


def test_an_offset_moves_by_pixels_first_across_then_down() -> None:
    values, offsets, _ = random_input()
    middle = torch.full_like(offsets[..., 0], -1e9)
    middle[..., 4] = 0
    found = deformable_conv3(values, torch.tensor([2.0, -1.0]).expand(offsets.shape), middle)
    torch.testing.assert_close(found[:, 2, 2], values[:, 1, 4])


def test_outside_of_the_map_is_nothing() -> None:
    values, offsets, modulation = random_input()
    assert not deformable_conv3(values, offsets + 100, modulation).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_finds_each_pixel_of_a_wide_map(dtype: torch.dtype) -> None:
    """Past 256, bfloat16 itself has no number for every pixel."""
    values = (torch.arange(600) % 7).to(dtype).view(1, 1, 600, 1)
    middle = torch.full((1, 1, 600, 1, 9), -1e4, dtype=dtype)
    middle[..., 4] = 0
    found = deformable_conv3(values, torch.zeros(1, 1, 600, 1, 9, 2, dtype=dtype), middle)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), values.float(), atol=1e-3, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_finds_the_same(dtype: torch.dtype) -> None:
    values, offsets, modulation = (tensor.to(dtype) for tensor in random_input())
    found = deformable_conv3(values.cuda(), offsets.cuda(), modulation.cuda())
    torch.testing.assert_close(found.cpu(), deformable_conv3(values, offsets, modulation))


# ---- the module


def random_module(**options: Any) -> DeformableConv:
    torch.manual_seed(0)
    module = DeformableConv(8, 2, **options).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


@pytest.mark.parametrize("center_feature_scale", [False, True])
@pytest.mark.parametrize("options", [{}, {"offset_scale": 2.0}, {"dw_kernel_size": 5}, {"remove_center": True}])
def test_the_module_predicts_offsets_modulation_and_the_share_of_the_centre(
    options: dict[str, Any], center_feature_scale: bool
) -> None:
    module = random_module(center_feature_scale=center_feature_scale, **options)
    features = torch.randn(2, 4, 5, 8, dtype=torch.float64)
    side = options.get("dw_kernel_size", 3)
    with torch.no_grad():
        found = module(features)
        weights = {name: parameter.clone() for name, parameter in module.named_parameters()}
    values = features @ weights["input_proj.weight"].T + weights["input_proj.bias"]

    nearby = torch.zeros_like(features)  # a depthwise convolution, tap by tap
    padded = functional.pad(features, (0, 0, side // 2, side // 2, side // 2, side // 2))
    for row, column in np.ndindex(side, side):
        nearby += padded[:, row : row + 4, column : column + 5] * weights["dw_conv.0.weight"][:, 0, row, column]
    nearby += weights["dw_conv.0.bias"]
    nearby = (nearby - nearby.mean(-1, keepdim=True)) / (nearby.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
    nearby = functional.gelu(nearby * weights["dw_conv.1.1.weight"] + weights["dw_conv.1.1.bias"])

    offsets = (nearby @ weights["offset.weight"].T + weights["offset.bias"]).view(2, 4, 5, 2, -1, 2)
    modulation = (nearby @ weights["mask.weight"].T + weights["mask.bias"]).view(2, 4, 5, 2, -1)
    options.pop("dw_kernel_size", None)
    sums = torch.from_numpy(by_loops(values, offsets, modulation, **options))
    if center_feature_scale:
        weight, bias = weights["center_feature_scale_proj_weight"], weights["center_feature_scale_proj_bias"]
        for group, channels in enumerate((slice(0, 4), slice(4, 8))):
            share = 1 / (1 + (-(nearby @ weight[group] + bias[group])).exp())[..., None]
            sums[..., channels] = (1 - share) * sums[..., channels] + share * values[..., channels]
    expected = sums @ weights["output_proj.weight"].T + weights["output_proj.bias"]
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_the_module_stays_near_in_bfloat16() -> None:
    module = random_module(center_feature_scale=True).float()
    features = torch.randn(1, 12, 12, 8)
    with torch.no_grad():
        fine, coarse = module(features), module.bfloat16()(features.bfloat16())
    assert coarse.dtype == torch.bfloat16
    assert functional.cosine_similarity(fine.flatten(), coarse.flatten().float(), dim=0) > 0.999
