"""A checkpoint's own image processor, stopped before it normalises: the device does the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, new

from visexplore.core.encoders.encoder import Pixels
from visexplore.core.encoders.recipes import ModelRecipe
from visexplore.core.errors import CannotLoadModel

type Untyped = Any
"""What transformers returns: the types of its classes say little, and those of remote code nothing."""

_LATER = ("do_rescale", "do_normalize", "do_map_pixels")  # what the device does; a codebook's names end like these
_COLOURS = ((0, 0, 0), (255, 255, 255), (51, 102, 204))


class Pictures:
    """From an RGB picture to uint8 pixels, as a checkpoint's image processor makes them before it normalises.

    What it does afterwards to each channel is read off its results, whichever settings it has for it.

    Args:
        name: of the model, for messages.
        processor: the checkpoint's own image processor.
        recipe: of the model type.
        side: width and height of the input by config.json; 0 where that does not say.

    Attributes:
        mean: of each channel, for values between 0 and 1; a fourth channel says where the picture is.
        std: of each channel.
        remarks: what was decided because the processor leaves it open.

    Raises:
        CannotLoadModel: the processor does not make pictures, or does more than to scale and shift each channel.
    """

    def __init__(self, name: str, processor: Untyped, recipe: ModelRecipe, side: int) -> None:
        self._name = name
        self._processor = processor
        self._key = recipe.pixels
        self._patch = processor.patch_size if recipe.call == "patch grid" else None
        self._options = dict(recipe.processor_options)
        self._stop = _without_normalisation(processor)
        self._canvas: tuple[int, int] | None = None
        self._longest = recipe.longest
        self._cuts = False
        self.remarks: tuple[str, ...] = ()
        if recipe.own_size and side:
            self._options["size"] = {"height": side, "width": side}
        if recipe.call in ("empty text", "patch grid"):
            self._cuts = True
            while not self._takes(self._longest):
                self._longest /= 2
            self._canvas = self._largest()
        else:
            self._fix_the_shape(side)
            self._cuts = self._crops_far_ends()
        self.mean, self.std = self._normalisation()

    def __call__(self, image: Image) -> Pixels:
        """Resize and crop a picture: uint8 (3, height, width), or (4, height, width) with where the picture is."""
        if self._cuts:
            image = _without_far_ends(image, self._longest)
        pixels = self._pixels(image)
        if self._canvas is None:
            return pixels
        _, height, width = pixels.shape
        canvas: Pixels = np.zeros((4, *self._canvas), np.uint8)
        canvas[:3, :height, :width] = pixels
        canvas[3, :height, :width] = 255
        return canvas

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the pixels, as JSON has it."""
        settings: dict[str, Any] = json.loads(self._processor.to_json_string())
        settings = {name: value for name, value in settings.items() if value is not None and not name.startswith("_")}
        settings.pop("processor_class", None)  # it pairs texts with pictures and decides neither
        return settings | {"options": self._options, "mean": self.mean, "std": self.std, "canvas": self._canvas}

    def _pixels(self, image: Image) -> Pixels:
        with _one_thread():
            found = self._processor(images=image, return_tensors="pt", **self._options, **self._stop)
        pixels: Pixels = self._picture(found)
        if pixels.ndim != 3 or len(pixels) != 3 or pixels.dtype != np.uint8:
            raise self._cannot("makes no pictures of three channels and bytes")
        return pixels

    def _picture(self, found: Untyped) -> Untyped:
        """Return the only picture that the processor has put out: an array (3, height, width) of any dtype."""
        picture = found[self._key][0].numpy()
        if not self._patch:
            return picture
        rows, columns = found["spatial_shapes"][0].tolist()
        grid = picture[: rows * columns].reshape(rows, columns, self._patch, self._patch, 3)
        return grid.transpose(4, 0, 2, 1, 3).reshape(3, rows * self._patch, columns * self._patch)

    def _cannot(self, what: str) -> CannotLoadModel:
        return CannotLoadModel(
            f"{self._name} cannot be embedded with: its {type(self._processor).__name__} {what}",
            "Another checkpoint of the family may take plain pictures.",
        )

    def _fix_the_shape(self, side: int) -> None:
        """Have pictures of all shapes come out in one: squashed, where the processor would keep theirs."""
        if self._one_shape():
            return
        if side:
            self._options["size"] = {"height": side, "width": side}
        if not side or not self._one_shape():
            raise self._cannot("makes pictures of several shapes")
        self.remarks += (f"Its own preprocessing keeps a picture's shape: pictures are squashed to {side} x {side}.",)

    def _one_shape(self) -> bool:
        return len({self._pixels(new("RGB", size)).shape for size in ((96, 64), (64, 96), (80, 64))}) == 1

    def _takes(self, ratio: float) -> bool:
        """Whether the processor makes anything of a picture that is `ratio` times as wide as high."""
        try:
            self._pixels(new("RGB", (round(64 * ratio), 64)))
        except ValueError:  # a side of less than one patch
            return ratio < 1
        return True

    def _largest(self) -> tuple[int, int]:
        """Return the height and the width that pictures of any shape fit into."""
        sides = [round(64 * ratio) for ratio in (1, 1.5, 2, 3, self._longest)]
        shapes = [self._pixels(new("RGB", size)).shape for side in sides for size in ((side, 64), (64, side))]
        return max(height for _, height, _ in shapes), max(width for _, _, width in shapes)

    def _crops_far_ends(self) -> bool:
        """Whether the ends of a long picture are cropped away: then they need not be resized."""
        bright_ends = new("RGB", (8 * 16, 8), "white")
        bright_ends.paste("black", (8 * 4, 0, 8 * 12, 8))
        return not self._pixels(bright_ends).any()

    def _normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Find the mean and the deviation that make the processor's own result from uint8 pixels.

        Channels may have changed places (some models take blue first), so both sides are what comes out.
        """
        before, after = zip(*(self._centres(colour) for colour in _COLOURS), strict=True)
        black, white, colour = after
        span = white - black
        expected = black + before[2] / 255 * span
        if not np.all(span > 0) or np.abs(expected - colour).max() > 1e-3 * span.max():
            raise self._cannot("does more to colours than to scale and shift them")
        mean = tuple(round(float(value), 7) for value in -black / span)
        std = tuple(round(float(value), 7) for value in 1 / span)
        return (mean, std) if self._canvas is None else ((*mean, 0.0), (*std, 1.0))

    def _centres(self, colour: tuple[int, int, int]) -> tuple[Untyped, Untyped]:
        """Return the middle pixel of a picture of one colour, before and after normalisation: float64 (3,) each."""
        picture = new("RGB", (64, 64), colour)
        before = self._pixels(picture)
        after = self._picture(self._processor(images=picture, return_tensors="pt", **self._options))
        _, height, width = before.shape
        middle = (slice(None), height // 2, width // 2)
        return before[middle].astype(np.float64), after[middle].astype(np.float64)


def _without_normalisation(processor: Untyped) -> dict[str, bool]:
    """Return the settings with which a processor leaves pixels as they are after resizing and cropping."""
    names = getattr(processor, "_valid_kwargs_names", None) or _LATER[:2]
    # `include_top` of EfficientNet's processor divides by the deviation once more.
    return {name: False for name in names if name.endswith(_LATER) or name == "include_top"}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch from spreading one small picture over the cores, which waits ten times as long as it computes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _without_far_ends(image: Image, longest: float) -> Image:
    """Cut a picture that is more than `longest` times as long as wide to its middle.

    Resized as a whole before a crop, a picture of 1 x 60,000 pixels would take 10 GB.
    """
    short, long = sorted(image.size)
    kept = int(longest * short)
    start = (long - kept) // 2
    if long <= kept:
        return image
    across = image.width > image.height
    return image.crop((start, 0, start + kept, short) if across else (0, start, short, start + kept))
