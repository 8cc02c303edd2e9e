"""What all encoders that run in torch share: normalisation on the device, memory, precision."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Embeddings, Encoder, Pixels, normalise
from visexplore.core.errors import CannotLoadModel

# Past this, activations of a convolutional network no longer fit a core's cache and every layer is slower.
_CPU_BATCH = 8
_GPU_BATCH = 128
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h


@cache
def _keep_freed_memory() -> None:
    """Have glibc reuse the memory that one layer's activations leave to the next.

    By default it returns every block of some megabytes to the system, and each layer waits for fresh zeroed pages:
    with this, efficientnet-lite0 embedded 1.4 to 2.5 times as many images a second on two busy cores. Threads would
    have heaps of 64 MB of their own, too small for the activations of a batch: with one heap for all there are 27
    instead of 137 page faults for each image that two threads embed.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 1)


class TorchEncoder(Encoder):
    """An encoder whose image tower is a torch module that takes normalised float pixels.

    Pixels travel to the device as uint8 and are normalised there. On a CPU each core embeds a batch of its own. One
    batch spread over the cores is as fast alone, but its threads wait for each other after every layer, and so for
    each core that decodes meanwhile: 47 instead of 65 images a second of the whole pipeline on two cores.
    """

    def __init__(
        self, tower: torch.nn.Module, device: str, precision: str, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.device = device
        self._dtype = getattr(torch, precision)
        self._tower = tower.eval().requires_grad_(False).to(device, self._dtype)
        self._tower.to(memory_format=torch.channels_last)
        on_cpu = device == "cpu"
        if on_cpu:
            _keep_freed_memory()
        self.batch_size = _CPU_BATCH if on_cpu else _GPU_BATCH
        self.parallel_batches = usable_cores() if on_cpu else 1
        # (pixel / 255 - mean) / std in one multiplication and one addition
        self._scale = (1 / (255 * torch.tensor(std))).view(1, 3, 1, 1).to(device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1).to(device)

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Embed uint8 (n, 3, height, width); a batch that is too large for the device is halved and tried again."""
        try:
            return self._embed(batch)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        half = len(batch) // 2
        if half == 0:
            raise CannotLoadModel(
                f"{self.checkpoint.slug} does not fit the memory of {self.device}, even with one picture at a time",
                "Free that memory, try --precision bf16, or another device: --device cpu.",
            )
        self.batch_size = min(self.batch_size, half)
        return np.concatenate([self.embed_images(batch[:half]), self.embed_images(batch[half:])])

    def prepare_thread(self) -> None:
        """Keep the batch of this thread on one core: the other cores have batches of their own."""
        if self.device == "cpu":
            torch.set_num_threads(1)

    @torch.inference_mode()
    def _embed(self, batch: Pixels) -> Embeddings:
        pixels = torch.from_numpy(batch).to(self.device, non_blocking=True)
        images = torch.addcmul(self._shift, pixels.float(), self._scale).to(
            self._dtype, memory_format=torch.channels_last
        )
        return normalise(self.pool(images).float().cpu().numpy())

    def pool(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors that the recipe keeps: (n, 3, h, w) normalised pixels -> (n, dim)."""
        vectors: torch.Tensor = self._tower(images)
        return vectors
