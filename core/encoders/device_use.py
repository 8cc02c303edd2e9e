"""How much memory and computing power of a device is in use, looked at twice a second at most."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from functools import cache
from pathlib import Path

from visexplore.core.encoders.device import cpu_name, usable_cores
from visexplore.core.messages import DeviceUse

_EVERY = 0.5  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")


class DeviceMeter:
    """Measures one device at a time; asked more often, it says what it saw last."""

    def __init__(self) -> None:
        self._last: DeviceUse | None = None
        self._looked = 0.0
        self._cpu_seconds = _cpu_seconds()

    def use(self, device: str) -> DeviceUse:
        """Return how much of a device is in use: `cpu`, `cuda:0`, ..."""
        now = time.monotonic()
        if self._last is None or self._last.device != device or now - self._looked >= _EVERY:
            self._last = _of_gpu(device) if device.startswith("cuda") else self._of_cpu(device, now - self._looked)
            self._looked = now
        return self._last

    def _of_cpu(self, device: str, since: float) -> DeviceUse:
        before, self._cpu_seconds = self._cpu_seconds, _cpu_seconds()
        return DeviceUse(
            device=device,
            name=cpu_name(),
            memory=_resident(),
            memory_total=_PAGE * os.sysconf("SC_PHYS_PAGES"),
            # Of the first look it is not known how long ago the last one was.
            busy=None if self._last is None else (self._cpu_seconds - before) / since,
            cores=usable_cores(),
        )


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system


def _resident() -> int:
    """Return the bytes of main memory that this process takes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _of_gpu(device: str) -> DeviceUse:
    import torch

    facts = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    # Graphics cards of other makers, and older versions of torch, tell no such identifier.
    busy = _nvml_busy(str(facts.uuid)) if hasattr(facts, "uuid") else None
    return DeviceUse(device, facts.name, total - free, total, busy)


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


@cache
def _nvml() -> ctypes.CDLL | None:
    """Return NVIDIA's management library, which comes with the driver."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2() == 0:
            return library
    return None


def _nvml_busy(uuid: str) -> float | None:
    """Return the share of the last moment in which a GPU computed; None where the driver does not tell."""
    library = _nvml()
    if library is None:
        return None
    handle, found = ctypes.c_void_p(), _Utilization()
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    if library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle)) != 0:
        return None
    if library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(found)) != 0:
        return None
    percent: int = found.gpu
    return percent / 100
