"""The encoders that are loaded at the moment, as many as there is room for."""

from __future__ import annotations

import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.encoder import Encoder
from visexplore.core.errors import OutOfDeviceMemory

_KEPT_ON_CPU = 3  # main memory swaps instead of refusing, so there it is counted


class LoadedEncoders:
    """Loads encoders and keeps them; where the next does not fit, those used longest ago are given up.

    Args:
        load: loads one, and raises `OutOfDeviceMemory` where it does not fit beside the others.
    """

    def __init__(self, load: Callable[[Checkpoint], Encoder]) -> None:
        self._load = load
        self._lock = threading.RLock()
        self._encoders: OrderedDict[str, Encoder] = OrderedDict()  # the one used last at the end

    def __len__(self) -> int:
        return len(self._encoders)

    def __contains__(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.key in self._encoders

    def get(self, checkpoint: Checkpoint) -> Encoder:
        """Return the encoder of `checkpoint`, loaded if it is not.

        Raises:
            CannotLoadModel: it cannot be loaded, or does not fit even alone.
        """
        with self._lock:
            encoder = self._encoders.pop(checkpoint.key, None)
            while encoder is None:
                try:
                    encoder = self._load(checkpoint)
                except OutOfDeviceMemory:
                    if not self._encoders:
                        raise
                    self._give_up_oldest()
            self._encoders[checkpoint.key] = encoder
            while encoder.device == "cpu" and len(self._encoders) > _KEPT_ON_CPU:
                self._give_up_oldest()
            return encoder

    def put(self, encoder: Encoder) -> None:
        """Keep an encoder that was loaded elsewhere."""
        with self._lock:
            self._encoders[encoder.checkpoint.key] = encoder

    def _give_up_oldest(self) -> None:
        self._encoders.popitem(last=False)
        gc.collect()  # modules are in cycles, and only what is collected leaves the device
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
