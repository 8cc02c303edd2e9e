"""How busy a device is."""

from __future__ import annotations

import time

import pytest

from visexplore.core.encoders import device_use
from visexplore.core.encoders.device_use import DeviceMeter


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a meter look as often as it is asked."""
    monkeypatch.setattr(device_use, "_EVERY", 0.0)


def test_of_a_cpu_it_tells_memory_and_cores() -> None:
    use = DeviceMeter().use("cpu")
    assert use.name
    assert 10e6 < use.memory < use.memory_total
    assert use.cores >= 1
    assert use.busy is None, "nothing is known of how long ago it began"


def test_a_thread_that_computes_keeps_up_to_one_core_busy() -> None:
    meter = DeviceMeter()
    meter.use("cpu")
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass
    busy = meter.use("cpu").busy
    assert busy is not None
    assert 0.02 < busy < 1.3


def test_one_that_sleeps_keeps_none_busy() -> None:
    meter = DeviceMeter()
    meter.use("cpu")
    time.sleep(0.3)
    assert (meter.use("cpu").busy or 0) < 0.5


def test_it_looks_no_more_than_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_use, "_EVERY", 60.0)
    meter = DeviceMeter()
    assert meter.use("cpu") is meter.use("cpu")


def test_without_the_library_of_the_driver_it_does_not_tell_how_busy_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_use, "_nvml", lambda: None)
    assert device_use._nvml_busy("GPU-0") is None
