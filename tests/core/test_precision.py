"""In which precision a model is loaded, how many pictures it embeds at once, and what happens when memory runs out."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.core.tiny_encoder import TinyEncoder, TinyTower
from visexplore.core.encoders.precision import (
    ENOUGH,
    batch_that_fits,
    largest_batch,
    load_checked,
    nearest_enough,
)
from visexplore.core.encoders.probe import probe_pictures
from visexplore.core.errors import OutOfDeviceMemory

TO_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Cancelling(TinyTower):
    """Its vector is a small difference of large numbers, which bfloat16 (8 bits) cannot hold."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        patches, standard = super().forward(images)
        return patches, (standard + 500) - 500


class Overflowing(TinyTower):
    """Its numbers are too large for float16."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        patches, standard = super().forward(images)
        return patches, standard * 1e6


class TooLargeInFloat32(TinyTower):
    """Does not fit the device in float32."""

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> TooLargeInFloat32:
        if fn(self.patches.weight).dtype is torch.float32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
        super()._apply(fn, recurse)
        return self


class TooLargeToRunInFloat32(TinyTower):
    """Fits the device in float32, but no picture fits beside it."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if images.dtype is torch.float32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
        return super().forward(images)


class Loads:
    """Loads a tower as often as it is asked to, and looks whether those before are gone.

    Attributes:
        precisions: in which it was asked for, in that order.
    """

    def __init__(self, tower: type[TinyTower]) -> None:
        self.precisions: list[str] = []
        self._build = tower
        self._towers: list[weakref.ref[TinyTower]] = []

    def __call__(self, precision: str) -> TinyEncoder:
        self.precisions.append(precision)
        assert [tower for tower in self._towers if tower() is not None] == [], "the one before is still there"
        tower = self._build()
        tower.layers = [tower]  # type: ignore[assignment] # some real models are in cycles like this
        self._towers.append(weakref.ref(tower))
        return TinyEncoder(precision, tower=tower)


# ---- the choice of a precision


def test_half_precision_is_used_where_embeddings_stay_near_those_in_float32() -> None:
    load = Loads(TinyTower)
    encoder = nearest_enough(load, "bfloat16")
    assert (encoder.precision, load.precisions) == ("bfloat16", ["float32", "bfloat16"])
    assert encoder.remarks == ()
    assert {parameter.dtype for parameter in encoder.tower.parameters()} == {torch.bfloat16}


def test_float32_is_used_where_half_precision_loses_too_much_and_it_says_how_much() -> None:
    load = Loads(Cancelling)
    encoder = nearest_enough(load, "bfloat16")
    assert (encoder.precision, load.precisions) == ("float32", ["float32", "bfloat16", "float32"])
    [remark] = encoder.remarks
    said = remark.removeprefix("It runs in float32: in bfloat16 its embeddings are only within cosine ")
    pixels = np.stack([encoder.preprocess(picture) for picture in probe_pictures()])
    coarse = TinyEncoder("bfloat16", tower=Cancelling()).embed_images(pixels)
    lost = float(np.sum(coarse * encoder.embed_images(pixels), axis=1).min())
    assert said == f"{lost:.4f} of that."
    assert lost < ENOUGH


@pytest.mark.filterwarnings("error")
def test_float32_is_used_where_half_precision_overflows() -> None:
    encoder = nearest_enough(Loads(Overflowing), "float16")
    assert encoder.precision == "float32"
    assert encoder.remarks == ("It runs in float32: in float16 its embeddings are no numbers any more.",)


@pytest.mark.parametrize("tower", [TooLargeInFloat32, TooLargeToRunInFloat32])
def test_what_does_not_fit_in_float32_runs_in_half_precision_unchecked_and_says_so(tower: type[TinyTower]) -> None:
    load = Loads(tower)
    encoder = nearest_enough(load, "bfloat16")
    assert (encoder.precision, load.precisions) == ("bfloat16", ["float32", "bfloat16"])
    assert encoder.remarks == (
        "It runs in bfloat16: in float32 it does not fit the device, so this could not be checked.",
    )


@pytest.mark.parametrize(("wanted", "got"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")])
def test_on_a_processor_nothing_is_tried(wanted: str, got: str) -> None:
    load = Loads(TinyTower)
    encoder = load_checked(load, "cpu", wanted)
    assert (encoder.precision, load.precisions, encoder.remarks) == (got, [got], ())


def test_the_probe_is_of_eight_different_pictures() -> None:
    pixels = {picture.tobytes() for picture in probe_pictures()}
    assert len(pixels) == 8


# ---- the size of a batch

sizes = st.integers(0, 2**40)


@given(sizes, sizes, sizes)
def test_a_batch_is_a_power_of_two_up_to_256(peak: int, more: int, free: int) -> None:
    assert largest_batch(peak, peak + more, free) in {2**exponent for exponent in range(9)}


@given(sizes, sizes, sizes)
def test_a_batch_of_more_than_one_fits_and_twice_as_many_do_not(peak: int, more: int, free: int) -> None:
    batch = largest_batch(peak, peak + more, free)

    def fits(count: int) -> bool:
        return peak + (count - 1) * max(1, more // 7) <= 0.6 * free

    assert batch == 1 or fits(batch)
    assert batch == 256 or not fits(2 * batch)


@given(sizes, sizes, sizes, sizes)
def test_more_memory_never_makes_a_batch_smaller(peak: int, more: int, free: int, added: int) -> None:
    assert largest_batch(peak, peak + more, free) <= largest_batch(peak, peak + more, free + added)


class Device:
    """A GPU's memory, as far as torch tells of it: a workspace that comes with the first batch, and the pictures."""

    def __init__(self, each: int, free: int) -> None:
        self.each, self.free, self.workspace = each, free, 0
        self.peak = 0

    def embedding(self, count: int) -> None:
        if count * self.each > self.free:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        new, self.workspace = 10 * self.each - self.workspace, 10 * self.each
        self.peak = max(self.peak, new + count * self.each)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], tuple[Device, TinyEncoder]]:
    """Make an encoder on a device whose pictures take so many of its so many free bytes."""

    def make(each: int, free: int) -> tuple[Device, TinyEncoder]:
        memory = Device(each, free)

        class OnDevice(TinyTower):
            def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                memory.embedding(len(images))
                return super().forward(images)

        monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: setattr(memory, "peak", 0))
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 0)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: memory.peak)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (memory.free, memory.free))
        return memory, TinyEncoder(tower=OnDevice())

    return make


@pytest.mark.parametrize(("each", "free", "batch"), [(10, 10**6, 256), (1000, 100_000, 32), (1000, 14_000, 8)])
def test_a_batch_takes_its_share_of_what_is_free(each: int, free: int, batch: int, device: Any) -> None:
    _, encoder = device(each, free)
    assert batch_that_fits(encoder, "cuda:0") == batch


def test_a_batch_that_had_to_be_halved_when_it_was_tried_stays_small(device: Any) -> None:
    _, encoder = device(1000, 7900)
    assert batch_that_fits(encoder, "cuda:0") == 4


# ---- out of memory while embedding


class Small(TinyTower):
    """Has room for `room` pictures, and looks whether those of an attempt that failed are gone before the next."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.batches: list[int] = []
        self._failed: list[weakref.ref[torch.Tensor]] = []

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.batches.append(len(images))
        assert [attempt for attempt in self._failed if attempt() is not None] == []
        if len(images) > self.room:
            self._failed.append(weakref.ref(images))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().forward(images)


@pytest.mark.parametrize("count", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("room", [1, 3, 8])
def test_a_batch_that_does_not_fit_is_halved_and_embeds_the_same(room: int, count: int) -> None:
    roomy, tight = TinyEncoder(), TinyEncoder(tower=Small(room))
    pictures = roomy.pictures(count)
    np.testing.assert_allclose(tight.embed_images(pictures), roomy.embed_images(pictures), atol=1e-6)
    if count > room:
        assert tight.batch_size <= room
    else:
        assert tight.batch_size == roomy.batch_size


def test_where_not_even_one_picture_fits_the_error_says_what_to_do() -> None:
    encoder = TinyEncoder(tower=Small(0))
    with pytest.raises(OutOfDeviceMemory, match="tiny does not fit the memory of cpu, even with one picture") as caught:
        encoder.embed_images(encoder.pictures(4))
    assert "--precision bf16" in caught.value.hint


def test_an_error_that_is_not_about_memory_is_not_swallowed() -> None:
    class Broken(TinyTower):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            raise RuntimeError("something else")

    encoder = TinyEncoder(tower=Broken())
    with pytest.raises(RuntimeError, match="something else"):
        encoder.embed_images(encoder.pictures(4))


# ---- on a real GPU


@TO_A_GPU
def test_on_a_gpu_a_model_that_allows_it_runs_in_half_precision_with_a_batch_that_fits() -> None:
    encoder = load_checked(lambda precision: TinyEncoder(precision, device="cuda:0"), "cuda:0", "auto")
    assert encoder.precision in ("bfloat16", "float16")
    assert encoder.batch_size == 256
    exact = TinyEncoder().embed_images(encoder.pictures(8))  # type: ignore[attr-defined]
    assert np.sum(encoder.embed_images(encoder.pictures(8)) * exact, axis=1).min() > ENOUGH  # type: ignore[attr-defined]


@TO_A_GPU
def test_on_a_gpu_the_memory_of_a_model_is_free_again_before_the_next_is_loaded() -> None:
    free = []

    def load(precision: str) -> TinyEncoder:
        free.append(torch.cuda.memory_allocated())
        return TinyEncoder(precision, tower=Cancelling(), device="cuda:0")

    nearest_enough(load, "bfloat16")
    assert len(set(free[1:])) == 1
