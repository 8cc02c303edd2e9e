"""Real timm checkpoints of a few hundred thousand random weights, written as timm writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_checkpoint(folder: Path, architecture: str, side: int) -> Any:
    """Write a folder as timm does for the hub, with random weights for pictures of `side` pixels; return the model."""
    import timm
    import torch

    torch.manual_seed(0)
    config = timm.get_pretrained_cfg(architecture)
    options = {"img_size": side} if config.fixed_input_size else {}
    overlay = {"input_size": (3, side, side), "crop_pct": 0.9, "interpolation": "bilinear"}
    model = timm.create_model(architecture, pretrained_cfg_overlay=overlay, num_classes=7, **options)
    for parameter in model.parameters():  # some weights start as zero, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.1)
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    model.reset_classifier(0)
    return model
