"""From what an image tower puts out to the one vector that is kept: the poolings that can be chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from visexplore.core.catalogue import POOLINGS, Pooling
from visexplore.core.errors import UserError

_GEM_POWER = 3.0
_GEM_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What an image tower gives for n pictures; parts that it does not have are None.

    Attributes:
        standard: (n, dim), the vector that its field uses for retrieval.
        special: (n, s, d), class token first, then distillation or register tokens; None without a class token.
        patches: (n, t, d), tokens of the patches, or the last feature map with height and width as one axis.
        projected: (n, dim), in the space that is shared with texts.
        unprojected: (n, d), the same before the projection.
    """

    standard: torch.Tensor
    special: torch.Tensor | None = None
    patches: torch.Tensor | None = None
    projected: torch.Tensor | None = None
    unprojected: torch.Tensor | None = None


def flatten_map(features: torch.Tensor) -> torch.Tensor:
    """Turn a feature map (n, d, h, w) into patch tokens (n, h * w, d)."""
    return features.flatten(2).transpose(1, 2)


def generalised_mean(patches: torch.Tensor, power: float = _GEM_POWER) -> torch.Tensor:
    """Pool (n, t, d) to float32 (n, d) by GeM: the power mean of the values above zero (arXiv 1711.02512, eq. 3)."""
    return patches.float().clamp(min=_GEM_FLOOR).pow(power).mean(1).pow(1 / power)


def pool(outputs: Outputs, choice: Pooling, model: str) -> torch.Tensor:
    """Return the vectors that `choice` means: (n, dim).

    Raises:
        UserError: the model has no such output.
    """
    offered = _offered(outputs)
    if choice not in offered:
        raise UserError(
            f"{model.removesuffix(f'@{choice}')} has no pooling '{choice}': it lacks {POOLINGS[choice]}",
            f"It offers {', '.join(offered)}, and without any of these its family's standard."
            if offered
            else f"Leave @{choice} away: its family's standard vector is all that it gives.",
        )
    return offered[choice]()


def _offered(outputs: Outputs) -> dict[Pooling, Callable[[], torch.Tensor]]:
    special, patches = outputs.special, outputs.patches
    projected, unprojected = outputs.projected, outputs.unprojected
    offered: dict[Pooling, Callable[[], torch.Tensor]] = {}
    if special is not None and special.shape[1] == 0:
        special = None
    if special is not None:
        offered["cls"] = lambda: special[:, 0]
    if patches is not None:
        offered["mean"] = lambda: patches.mean(1, dtype=torch.float32)
        offered["gem"] = lambda: generalised_mean(patches)
    if special is not None and patches is not None:
        offered["cls+mean"] = lambda: torch.cat(
            [normalize(special[:, 0].float(), dim=-1), normalize(patches.mean(1, dtype=torch.float32), dim=-1)], dim=-1
        )
    if projected is not None:
        offered["projected"] = lambda: projected
    if unprojected is not None:
        offered["unprojected"] = lambda: unprojected
    return {name: offered[name] for name in POOLINGS if name in offered}
