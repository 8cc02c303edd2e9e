from __future__ import annotations

import gc
import weakref

import pytest

from tests.core.grid_encoder import GridEncoder
from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.loaded import LoadedEncoders
from visexplore.core.errors import OutOfDeviceMemory


class Device:
    """A device with room for so many encoders; those that nobody refers to any more have left it."""

    def __init__(self, room: int, name: str = "cuda:0") -> None:
        self.room = room
        self.name = name
        self.loads: list[str] = []
        self._alive: weakref.WeakSet[GridEncoder] = weakref.WeakSet()

    def load(self, checkpoint: Checkpoint) -> GridEncoder:
        gc.collect()
        if len(self._alive) >= self.room:
            raise OutOfDeviceMemory(f"{checkpoint.slug} does not fit")
        encoder = GridEncoder(checkpoint.id)
        encoder.device = self.name
        encoder.checkpoint = checkpoint
        self._alive.add(encoder)
        self.loads.append(checkpoint.id)
        return encoder


def checkpoint(name: str) -> Checkpoint:
    return Checkpoint(id=name, loader="timm")


A, B, C, D = map(checkpoint, "abcd")


def test_an_encoder_is_loaded_once() -> None:
    device = Device(room=2)
    loaded = LoadedEncoders(device.load)
    assert loaded.get(A) is loaded.get(A)
    assert device.loads == ["a"]


def test_where_the_next_does_not_fit_the_one_used_longest_ago_is_given_up() -> None:
    loaded = LoadedEncoders(Device(room=2).load)
    loaded.get(A)
    loaded.get(B)
    loaded.get(A)
    loaded.get(C)
    assert (A in loaded, B in loaded, C in loaded) == (True, False, True)


def test_a_device_with_room_keeps_all() -> None:
    loaded = LoadedEncoders(Device(room=9).load)
    for one in (A, B, C, D):
        loaded.get(one)
    assert len(loaded) == 4


def test_main_memory_holds_the_last_three() -> None:
    loaded = LoadedEncoders(Device(room=9, name="cpu").load)
    for one in (A, B, C, D):
        loaded.get(one)
    assert (len(loaded), A in loaded) == (3, False)


def test_what_does_not_fit_even_alone_is_told() -> None:
    loaded = LoadedEncoders(Device(room=0).load)
    with pytest.raises(OutOfDeviceMemory, match="a does not fit"):
        loaded.get(A)


def test_another_pooling_of_the_same_weights_is_another_encoder() -> None:
    loaded = LoadedEncoders(Device(room=9).load)
    other = Checkpoint(id="a", loader="timm", pooling_choice="mean")
    assert loaded.get(A) is not loaded.get(other)
