"""Which arithmetic to embed in, and how many pictures at once: decided on the device, by trying."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import torch

from visexplore.core.encoders.device import AUTO
from visexplore.core.encoders.encoder import Embeddings, Pixels
from visexplore.core.encoders.probe import probe_pictures
from visexplore.core.encoders.torch_encoder import TorchEncoder
from visexplore.core.errors import OutOfDeviceMemory

ENOUGH = 0.999
"""The least cosine between an embedding in half precision and in float32 with which half precision is used."""

_LARGEST_BATCH = 256
_SHARE_OF_MEMORY = 0.6  # of what is free; the rest is for other models and for what other programs take meanwhile


def load_checked(load: Callable[[str], TorchEncoder], device: str, precision: str) -> TorchEncoder:
    """Load an encoder in the precision that is wanted; for `auto` in the quickest one that is near enough to float32.

    Args:
        load: loads it in the precision that it is given.
        device: where to; `auto` means float32 on everything but CUDA.
        precision: `auto` or torch's name of a dtype.

    Raises:
        OutOfDeviceMemory: the device has no room for it.
        UserError: the model lacks the pooling that was chosen.
    """

    def load_settled(in_precision: str) -> TorchEncoder:
        encoder = load(in_precision)
        encoder.settle_pooling()
        return encoder

    on_cuda = device.startswith("cuda")
    if precision != AUTO:
        encoder = load_settled(precision)
    elif not on_cuda:
        encoder = load_settled("float32")
    else:
        with torch.cuda.device(device):  # the question is about the current one
            # What needs no probe on cards before Ampere is also what they compute quickly in.
            half = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
        encoder = nearest_enough(load_settled, half)
    if on_cuda:
        encoder.batch_size = batch_that_fits(encoder, device)
    return encoder


def nearest_enough(load: Callable[[str], TorchEncoder], half: str) -> TorchEncoder:
    """Load an encoder in half precision if its embeddings of a probe batch stay near those in float32.

    One model at a time is on the device.
    """
    reference = _reference(load)
    _give_memory_back()
    encoder = load(half)
    if reference is None:
        encoder.remarks += (f"It runs in {half}: in float32 it does not fit the device, so this could not be checked.",)
        return encoder
    found = _least_cosine(encoder, *reference)
    if found >= ENOUGH:
        return encoder
    del encoder
    _give_memory_back()
    encoder = load("float32")
    loss = f"only within cosine {found:.4f} of that" if np.isfinite(found) else "no numbers any more"
    encoder.remarks += (f"It runs in float32: in {half} its embeddings are {loss}.",)
    return encoder


def _reference(load: Callable[[str], TorchEncoder]) -> tuple[Pixels, Embeddings] | None:
    """Embed a probe batch in float32: its pixels and embeddings; None if the device has no room for that."""
    try:
        exact = load("float32")
        pixels = _probe(exact)
        return pixels, exact.embed_images(pixels)
    except OutOfDeviceMemory:
        return None  # the error holds on to what did fit: nothing else may be loaded before it is gone


def _give_memory_back() -> None:
    gc.collect()  # some models are in cycles
    torch.cuda.empty_cache()


def batch_that_fits(encoder: TorchEncoder, device: str) -> int:
    """Return how many pictures to embed at once: a power of two, from what a few of them take of the device's memory.

    Starting from the peak of 1 and of 8 pictures; a batch that does not fit after all is halved when that shows.
    """
    encoder.embed_images(_probe(encoder, 1))  # the libraries' workspaces come with the first batch and stay
    peaks = [_peak_memory(encoder, count, device) for count in (1, 8)]
    if encoder.batch_size < 8:  # it was halved just now
        return encoder.batch_size
    torch.cuda.empty_cache()  # what torch keeps in reserve is free for the next batch
    free, _ = torch.cuda.mem_get_info(device)
    return largest_batch(peaks[0], peaks[1], free)


def _peak_memory(encoder: TorchEncoder, count: int, device: str) -> int:
    """Return the bytes of the device that embedding `count` pictures takes at most, beside the model itself."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    encoder.embed_images(_probe(encoder, count))
    return torch.cuda.max_memory_allocated(device) - before


def largest_batch(peak_of_1: int, peak_of_8: int, free: int) -> int:
    """Return the largest power of two, 256 at most, whose peak stays inside the share of `free` bytes that is ours."""
    each = max(1, (peak_of_8 - peak_of_1) // 7)
    batch = _LARGEST_BATCH
    while batch > 1 and peak_of_1 + (batch - 1) * each > _SHARE_OF_MEMORY * free:
        batch //= 2
    return batch


def _probe(encoder: TorchEncoder, count: int = 8) -> Pixels:
    pixels: Pixels = np.stack([encoder.preprocess(picture) for picture in probe_pictures(count)])
    return pixels


def _least_cosine(encoder: TorchEncoder, pixels: Pixels, wanted: Embeddings) -> float:
    """Return how near the embeddings of `pixels` are to the wanted ones, for the farthest; NaN if one overflows."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.sum(encoder.embed_images(pixels) * wanted, axis=1).min())
