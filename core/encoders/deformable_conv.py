"""Deformable convolution v3 (DCNv3), the operator of InternImage, in plain torch: no kernel to compile, any device.

Formula: eq. 2 of InternImage (arXiv 2211.05778). The order of taps and offsets, and that the offset scale spreads the
taps too, follow the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import Permute

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)
LAYER_NORM_EPS = 1e-6


def deformable_conv3(
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
) -> Tensor:
    """Sum, for each output position and group, the values at freely placed taps, weighted by a softmax over the taps.

    The K taps of the k x k kernel are ordered with x as the slow axis. A tap reads between pixels by bilinear
    interpolation, and 0 outside of the map. Positions, weights and sums are at least float32, because bfloat16 cannot
    tell neighbouring pixels apart past 256. One tap is sampled at a time: all at once would take K times the memory
    of the map, and was slower on a CPU.

    Args:
        values: what is sampled, (n, h, w, c), floating.
        offsets: where to, in pixels, before `offset_scale`: (n, h_out, w_out, groups, K, 2) with (x, y) last.
        modulation: weights before the softmax over K: (n, h_out, w_out, groups, K).
        kernel_size: k. K is k * k, or one less with `remove_center`.
        stride: pixels between neighbouring output positions.
        padding: pixels by which the kernel may stand over the edge.
        dilation: pixels between neighbouring taps.
        offset_scale: factor on the taps' distance from the kernel's middle as well as on their offsets.
        remove_center: leave out the middle tap, for an odd k.

    Returns:
        (n, h_out, w_out, c) in the dtype of `values`.
    """
    count, height, width, channels = values.shape
    rows, columns, groups = offsets.shape[1:4]
    dtype, device = torch.promote_types(values.dtype, torch.float32), values.device

    middle = dilation * (kernel_size - 1) // 2
    along = torch.arange(kernel_size, dtype=dtype, device=device) * dilation - middle
    taps = torch.cartesian_prod(along, along)  # (x, y): x varies slowest
    if remove_center:
        taps = torch.cat([taps[: len(taps) // 2], taps[len(taps) // 2 + 1 :]])
    across = torch.arange(columns, dtype=dtype, device=device) * stride + middle - padding
    down = torch.arange(rows, dtype=dtype, device=device) * stride + middle - padding
    centres = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)
    shifts = (offset_scale * (taps + offsets)).permute(4, 0, 3, 1, 2, 5).flatten(1, 2)  # (K, n * groups, rows, cols, 2)
    weights = modulation.to(dtype).softmax(-1).permute(4, 0, 3, 1, 2).flatten(1, 2)
    planes = values.to(dtype).view(count, height, width, groups, -1).permute(0, 3, 4, 1, 2).flatten(0, 1).contiguous()
    size = torch.tensor([width, height], dtype=dtype, device=device)

    total = torch.zeros(count * groups, channels // groups, rows, columns, dtype=dtype, device=device)
    for shift, weight in zip(shifts, weights, strict=True):
        # Without aligned corners, grid_sample has -1 and 1 at the outer edges of the first and last pixel.
        grid = (2 * (centres + shift) + 1) / size - 1
        total.addcmul_(functional.grid_sample(planes, grid, align_corners=False), weight[:, None])
    return total.view(count, channels, rows, columns).permute(TO_CHANNELS_LAST).to(values.dtype)


class DeformableConv(nn.Module):
    """DCNv3 with 3 x 3 taps, which predicts its offsets and modulation from its input: (n, h, w, c) -> the same.

    Attributes have the names of the published weights.

    Args:
        channels: c, a multiple of `groups`.
        groups: parts of the channels that are sampled independently.
        offset_scale: factor on the taps and their offsets.
        dw_kernel_size: side of the depthwise convolution that precedes the predictions.
        center_feature_scale: blend in the value at the position itself, by a share predicted for each group.
        remove_center: leave out the middle tap.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        *,
        offset_scale: float = 1.0,
        dw_kernel_size: int = 3,
        center_feature_scale: bool = False,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        self._groups = groups
        self._offset_scale = offset_scale
        self._remove_center = remove_center
        self._center_feature_scale = center_feature_scale
        predictions = groups * (8 if remove_center else 9)
        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, dw_kernel_size, padding=dw_kernel_size // 2, groups=channels),
            nn.Sequential(Permute(TO_CHANNELS_LAST), nn.LayerNorm(channels, LAYER_NORM_EPS)),
            nn.GELU(),
        )
        self.offset = nn.Linear(channels, 2 * predictions)
        self.mask = nn.Linear(channels, predictions)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(groups, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(groups))

    def forward(self, features: Tensor) -> Tensor:
        """(n, h, w, c) -> (n, h, w, c)."""
        values = self.input_proj(features)
        nearby = self.dw_conv(features.permute(TO_CHANNELS_FIRST))
        sums = deformable_conv3(
            values,
            self.offset(nearby).view(*values.shape[:3], self._groups, -1, 2),
            self.mask(nearby).view(*values.shape[:3], self._groups, -1),
            offset_scale=self._offset_scale,
            remove_center=self._remove_center,
        )
        if self._center_feature_scale:
            weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
            shares = functional.linear(nearby, weight, bias).sigmoid()
            sums = sums.lerp(values, shares.repeat_interleave(values.shape[-1] // self._groups, -1))
        projected: Tensor = self.output_proj(sums)
        return projected
