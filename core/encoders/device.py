"""Which device and precision to compute in, and why not a better one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from visexplore.core.errors import UserError

AUTO = "auto"
"""Float32 on a CPU; on a GPU half precision where a probe shows that it stays within cosine 0.999 of float32."""

PRECISIONS = {AUTO: AUTO, "float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16",
              "float16": "float16", "fp16": "float16"}  # fmt: skip


_REINSTALL = "uv pip install --force-reinstall torch torchvision --torch-backend=auto"


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What this machine offers.

    Attributes:
        device: what `auto` means here: `cuda:0`, `mps` or `cpu`.
        name: of the processor, for people.
        memory_bytes: of the device; 0 where unknown.
        problem: why a GPU that is there cannot be used; empty if all is well.
        remedy: what to do about the problem.
    """

    device: str
    name: str
    memory_bytes: int
    problem: str = ""
    remedy: str = ""


def usable_cores() -> int:
    """Return the CPU cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(wanted: str) -> str:
    """Return the torch device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UserError: there is no such device, or torch cannot use it.
    """
    import torch

    if wanted == "auto":
        return report_device().device
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UserError(f"'{wanted}' is no device", "Devices: auto, cpu, cuda, cuda:0, cuda:1, ..., mps.") from error
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= found:
            report = report_device()
            reason = report.problem or f"torch sees {found} CUDA devices here"
            raise UserError(f"The device '{wanted}' cannot be used: {reason}", report.remedy or "Try --device auto.")
        return f"cuda:{device.index or 0}"
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("There is no mps device here", "Try --device auto.")
    return device.type


def check_precision(wanted: str) -> str:
    """Return torch's name of a precision (`bf16` -> `bfloat16`).

    Raises:
        UserError: there is no such precision.
    """
    if wanted not in PRECISIONS:
        raise UserError(f"'{wanted}' is no precision", "Precisions: auto, float32, bf16, fp16.")
    return PRECISIONS[wanted]


def report_device() -> DeviceReport:
    """Look at the accelerators of this machine and at what torch can do with them."""
    import torch

    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return DeviceReport("cuda:0", facts.name, facts.total_memory)
    cpu = DeviceReport("cpu", cpu_name(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if torch.backends.mps.is_available():
        return DeviceReport("mps", "Apple GPU", cpu.memory_bytes)
    problem, remedy = _why_no_cuda(torch.version.cuda, torch.__version__)
    return DeviceReport(cpu.device, cpu.name, cpu.memory_bytes, problem, remedy)


def _why_no_cuda(
    torch_cuda: str | None, torch_version: str, proc: Path = Path("/proc"), dev: Path = Path("/dev")
) -> tuple[str, str]:
    """Explain a GPU that is plugged in but that torch cannot use: (problem, remedy), empty without a GPU."""
    driver = _driver_version(proc)
    nodes = sorted(dev.glob("nvidia[0-9]*"))
    if driver is None and not nodes:
        return _why_no_driver(proc)
    if torch_cuda is None:
        return (
            f"an NVIDIA GPU is there, but torch {torch_version} is a build without CUDA",
            f"Reinstall it: {_REINSTALL}",
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return "an NVIDIA GPU is there, but CUDA_VISIBLE_DEVICES hides it", "Run: unset CUDA_VISIBLE_DEVICES"
    if driver is not None and driver < _oldest_driver(torch_cuda):
        shown = ".".join(map(str, driver))
        return (
            f"the NVIDIA driver {shown} is older than CUDA {torch_cuda} of torch {torch_version} needs "
            f"({_oldest_driver(torch_cuda)[0]} or newer)",
            f"Update the driver, or fit torch to it: {_REINSTALL}",
        )
    unreadable = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if unreadable:
        return (
            f"{unreadable[0]} may not be opened by this user",
            "Ask for access: sudo usermod -aG video,render $USER, then log in again",
        )
    if driver is not None and not nodes:
        return (
            "the NVIDIA driver is loaded, but this container has no /dev/nvidia0",
            "Start it with: docker run --gpus all",
        )
    return (
        "an NVIDIA GPU is there, but CUDA does not start",
        "Run nvidia-smi: it names the fault, often a driver reload",
    )


def _why_no_driver(proc: Path) -> tuple[str, str]:
    """Find an NVIDIA display controller (PCI vendor 10de) for which no driver is loaded."""
    try:
        devices = (proc / "bus/pci/devices").read_text()
    except OSError:
        return "", ""
    if any(line.split("\t")[1].startswith("10de") for line in devices.splitlines() if line.count("\t") > 1):
        return (
            "an NVIDIA card is there, but its driver is not loaded",
            "Install the driver: sudo apt install nvidia-driver",
        )
    return "", ""


def _driver_version(proc: Path) -> tuple[int, ...] | None:
    import re

    try:
        text = (proc / "driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"\b(\d{3,})\.(\d+)(?:\.(\d+))?\b", text)
    return tuple(int(part) for part in found.groups() if part) if found else None


def _oldest_driver(cuda: str) -> tuple[int, ...]:
    """Return the oldest Linux driver for a CUDA major version (NVIDIA's minor version compatibility table)."""
    return {"11": (450, 80), "12": (525, 60), "13": (580, 65)}.get(cuda.split(".")[0], (580, 65))


@cache
def cpu_name() -> str:
    """Return the name of the processor, for people."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()
