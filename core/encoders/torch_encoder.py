"""What all encoders that run in torch share: normalisation on the device, memory, precision."""

from __future__ import annotations

import contextlib
import ctypes
import json
import pickle
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Embeddings, Encoder, Pixels, no_text_tower, normalise
from visexplore.core.encoders.pooling import Outputs, pool
from visexplore.core.errors import OutOfDeviceMemory
from visexplore.core.text import cut

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


def in_one_line(error: Exception) -> str:
    """Return what a loading library says, short enough for a sentence; torch begins with a heading line."""
    if isinstance(error, pickle.UnpicklingError):  # torch explains at length how to load it without any safety
        return "it is no file of weights alone"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return cut(" ".join(lines[:2]) or type(error).__name__, 200).rstrip(".:")


class TorchEncoder(Encoder):
    """An encoder whose image tower is a torch module that takes normalised float pixels.

    Pixels travel to the device as uint8 and are normalised there. On a CPU each core embeds a batch of its own. One
    batch spread over the cores is as fast alone, but its threads wait for each other after every layer, and so for
    each core that decodes meanwhile: 47 instead of 65 images a second of the whole pipeline on two cores.

    A text tower stays on the CPU in float32: a query is one short text, and the device's memory is for pictures.

    Args:
        checkpoint: the weights' catalogue entry, with the pooling that is wanted.
        tower: what embeds images; it is moved to the device, and nothing else is.
        device: torch's name of it.
        precision: torch's name of the dtype of weights and activations.
        dim: length of the standard vector; `settle_pooling` finds that of another.
        mean: of each channel, subtracted from values between 0 and 1.
        std: of each channel, divided by afterwards.
        preprocessing: what decides the pixels, and the pooling, for the store to remember.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tower: torch.nn.Module,
        *,
        device: str,
        precision: str,
        dim: int,
        mean: Sequence[float],
        std: Sequence[float],
        preprocessing: Mapping[str, Any],
    ) -> None:
        self.checkpoint = checkpoint
        self.preprocessing = json.dumps(preprocessing, sort_keys=True)
        self.device = device
        self.precision = precision
        self._dtype = getattr(torch, precision)
        on_cpu = device == "cpu"
        self.parameters = sum(weights.numel() for weights in tower.parameters())
        self._memory_before = 0
        if device.startswith("cuda"):
            self._memory_before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
        try:
            self.tower = tower.eval().requires_grad_(False).to(device, self._dtype)
            self.tower.to(memory_format=torch.channels_last)
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error
        if on_cpu:
            _keep_freed_memory()
        self.batch_size = _CPU_BATCH if on_cpu else _GPU_BATCH
        self.parallel_batches = usable_cores() if on_cpu else 1
        # (pixel / 255 - mean) / std in one multiplication and one addition
        self._scale = (1 / (255 * torch.tensor(std))).view(1, -1, 1, 1).to(device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(1, -1, 1, 1).to(device)
        self.dim = dim

    def settle_pooling(self) -> None:
        """Learn how long the chosen pooling's vectors are, by embedding a grey picture; the standard's are known.

        Raises:
            UserError: the model lacks what that pooling takes.
        """
        if self.checkpoint.pooling_choice:
            grey = self.preprocess(Image.new("RGB", (256, 256), "grey"))
            self.dim = self.embed_images(grey[None]).shape[1]

    @abstractmethod
    def outputs(self, images: torch.Tensor) -> Outputs:
        """Run the image tower: (n, channels, height, width) normalised pixels of the tower's dtype, on its device."""

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Run the text tower, on the CPU: (n, dim), not normalised.

        Raises:
            NoTextTower: there is none.
        """
        raise no_text_tower(self.checkpoint)

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Embed uint8 (n, channels, height, width); a batch too large for the device is halved and tried again."""
        with contextlib.suppress(torch.OutOfMemoryError):
            return self._embed(batch)
        torch.cuda.empty_cache()  # only now: the error held on to what the batch took
        half = len(batch) // 2
        if half == 0:
            raise self._too_large()
        self.batch_size = min(self.batch_size, half)
        return np.concatenate([self.embed_images(batch[:half]), self.embed_images(batch[half:])])

    def embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts into the space of the images: float32 (n, dim), each of length 1.

        Raises:
            NoTextTower: the model has none.
        """
        with torch.inference_mode():
            return normalise(self.encode_texts(texts).float().numpy())

    def device_memory(self) -> int | None:
        """Return the bytes that it took at most since it was loaded; what others took beside it is counted too."""
        if not self.device.startswith("cuda"):
            return None
        return torch.cuda.max_memory_allocated(self.device) - self._memory_before

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
        outputs = self.outputs(images)
        choice = self.checkpoint.pooling_choice
        vectors = pool(outputs, choice, self.checkpoint.slug) if choice else outputs.standard
        return normalise(vectors.float().cpu().numpy())

    def _too_large(self) -> OutOfDeviceMemory:
        return OutOfDeviceMemory(
            f"{self.checkpoint.slug} does not fit the memory of {self.device}, even with one picture at a time",
            "Free that memory, try --precision bf16, or another device: --device cpu.",
        )
