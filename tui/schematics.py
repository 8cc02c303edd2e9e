"""The schematic pictures of the families, one for each of the bundled catalogue."""

from __future__ import annotations

import io
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@lru_cache(maxsize=32)
def schematic(family: str, background: tuple[int, int, int]) -> Image | None:
    """Return the picture of a family on a background, the same object each time; None for a user's own family.

    It has a palette, in which the background is exactly what it is, so that no edge shows.

    Args:
        family: its id.
        background: the colour of the cells around it: the picture itself has none.
    """
    from PIL import Image as PILImage  # 60 ms, and no picture is shown before the first paint

    try:
        data = pkgutil.get_data("visexplore.assets", f"families/{family}.png")
    except OSError:
        return None
    assert data is not None
    drawn = PILImage.open(io.BytesIO(data))
    drawn.apply_transparency()  # to the palette: each of its colours is mixed with the background, once
    colors = drawn.getpalette("RGBA") or []
    mixed: list[int] = []
    for start in range(0, len(colors), 4):
        *color, alpha = colors[start : start + 4]
        mixed += (round(ground + (c - ground) * alpha / 255) for c, ground in zip(color, background, strict=True))
    drawn.putpalette(mixed)
    return drawn
