from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.core.grid_encoder import GridEncoder, contents, embed, grid_store
from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.embedding import lane, pipeline
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Embeddings, Pixels
from visexplore.core.errors import CannotLoadModel, StorageError, VisexploreError
from visexplore.core.messages import Progress

Fill = Callable[[Mapping[str, int | bytes]], Path]


class SlowEncoder(GridEncoder):
    """Takes its time for each batch, and for preparing each picture."""

    def __init__(self, per_batch: float = 0.0, per_picture: float = 0.0, batch_size: int = 4) -> None:
        super().__init__("slow", batch_size, parallel_batches=1)
        self._per_batch = per_batch
        self._per_picture = per_picture

    def preprocess(self, image: Image.Image) -> Pixels:
        time.sleep(self._per_picture)
        return super().preprocess(image)

    def embed_images(self, batch: Pixels) -> Embeddings:
        time.sleep(self._per_batch)
        return super().embed_images(batch)


class FailingEncoder(GridEncoder):
    """Fails from its n-th batch on, as a graphics card does that ran into an error."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__("failing", batch_size=2, parallel_batches=2)
        self._at = at
        self._error = error

    def embed_images(self, batch: Pixels) -> Embeddings:
        found = super().embed_images(batch)
        if len(self.batches) >= self._at:
            raise self._error
        return found


def pictures(fill: Fill, number: int) -> Dataset:
    return open_dataset(str(fill({f"{n:03}.png": n for n in range(number)})))


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the files that the pipeline decoded."""
    sizes: list[int] = []
    decode = pipeline.decode

    def counted(data: bytes) -> Image.Image:
        sizes.append(len(data))
        return decode(data)

    monkeypatch.setattr(pipeline, "decode", counted)
    return sizes


def test_one_decode_serves_all_encoders(fill: Fill, tmp_path: Path, decodes: list[int]) -> None:
    dataset = pictures(fill, 12)
    encoders = [GridEncoder("one"), GridEncoder("two"), GridEncoder("three")]
    embed(dataset, tmp_path, *encoders)
    assert len(decodes) == 12
    assert [encoder.embedded for encoder in encoders] == [12, 12, 12]


def test_an_encoder_that_has_some_images_gets_only_the_others(fill: Fill, tmp_path: Path, decodes: list[int]) -> None:
    dataset = pictures(fill, 10)
    one, two = GridEncoder("one"), GridEncoder("two")
    embed(dataset, tmp_path, one, records=dataset.records[:6])
    embed(dataset, tmp_path, two, records=dataset.records[4:8])
    decodes.clear()
    run = embed(dataset, tmp_path, one, two)
    assert (one.embedded, two.embedded) == (10, 10)
    assert len(decodes) == 8  # numbers 4 and 5 are in both stores
    assert contents(run.lanes[0].store, dataset) == contents(run.lanes[1].store, dataset)


def test_batches_have_the_encoders_size(fill: Fill, tmp_path: Path) -> None:
    encoder = GridEncoder(batch_size=4)
    embed(pictures(fill, 25), tmp_path, encoder)
    assert sorted(encoder.batches, reverse=True) == [4, 4, 4, 4, 4, 4, 1]


def test_rows_are_stored_in_the_datasets_order(fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "SHARD_SECONDS", 60)
    dataset = pictures(fill, 30)
    store = embed(dataset, tmp_path, GridEncoder(batch_size=4, parallel_batches=4)).store
    places = [known.place.row for record in dataset.records if (known := store.known(record))]
    assert places == list(range(30))


def test_only_the_given_records_are_embedded(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 10)
    run = embed(dataset, tmp_path, GridEncoder(), records=dataset.records[:3])
    assert [record.image_id for record in run.store.missing(dataset.records)] == [f"{n:03}.png" for n in range(3, 10)]


def test_nothing_to_do_tells_nothing(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 3)
    embed(dataset, tmp_path, GridEncoder())
    assert embed(dataset, tmp_path, GridEncoder()).progress == []


# ---- progress


def test_progress_grows_to_the_total_with_a_rate_and_a_time_left(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 44)
    embed(dataset, tmp_path, SlowEncoder(), records=dataset.records[:4])
    steps = embed(dataset, tmp_path, SlowEncoder(per_batch=0.06)).progress
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert {(step.total, step.reused, step.failed) for step in steps} == {(40, 4, 0)}
    assert steps[-1].done == 40
    assert steps[-1].eta_seconds == 0
    middle = [step for step in steps if 16 <= step.done <= 32]
    assert middle
    for step in middle:
        assert 0 < step.images_per_second < 70  # 4 / 0.06 s = 67 at most
        assert step.eta_seconds == pytest.approx((40 - step.done) / step.images_per_second)


def test_rate_and_time_left_make_sense_when_encoders_have_different_amounts_to_do(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 60)
    quick, slow = GridEncoder("quick"), SlowEncoder(per_batch=0.05)
    embed(dataset, tmp_path, slow, records=dataset.records[:24])
    steps = embed(dataset, tmp_path, quick, SlowEncoder(per_batch=0.05)).progress
    assert {step.model for step in steps} == {"quick", "slow"}
    assert all(step.images_per_second >= 0 for step in steps)
    left = [step.total - step.done for step in steps]
    assert left == sorted(left, reverse=True)


def test_failed_images_are_counted(fill: Fill, tmp_path: Path) -> None:
    fill({"bad.png": b"x", "worse.jpg": b""})
    steps = embed(pictures(fill, 4), tmp_path, GridEncoder()).progress
    assert (steps[-1].done, steps[-1].failed) == (6, 2)


def test_a_slow_model_is_named_as_the_bottleneck(fill: Fill, tmp_path: Path) -> None:
    assert embed(pictures(fill, 40), tmp_path, SlowEncoder(per_batch=0.05)).bottleneck == "model"


def test_slow_decoding_is_named_as_the_bottleneck(fill: Fill, tmp_path: Path) -> None:
    assert embed(pictures(fill, 30), tmp_path, SlowEncoder(per_picture=0.02)).bottleneck == "decoding"


def test_slow_reading_is_named_as_the_bottleneck(fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Dataset.read

    def slowly(dataset: Dataset, record: object) -> bytes:
        time.sleep(0.02)
        return read(dataset, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Dataset, "read", slowly)
    assert embed(pictures(fill, 30), tmp_path, GridEncoder()).bottleneck == "reading"


def test_progress_comes_while_a_single_batch_takes_long(fill: Fill, tmp_path: Path) -> None:
    times = [time.monotonic()]
    embed(pictures(fill, 4), tmp_path, SlowEncoder(per_batch=1.0), on_progress=lambda _: times.append(time.monotonic()))
    assert max(later - sooner for sooner, later in pairwise(times)) < 0.6


# ---- cut short


def test_a_cancelled_run_keeps_what_is_done(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 80)
    done = 0

    def watch(step: Progress) -> None:
        nonlocal done
        done = step.done

    encoder = SlowEncoder(per_batch=0.02)
    run = embed(dataset, tmp_path, encoder, cancelled=lambda: done >= 20, on_progress=watch)
    stored = 80 - len(run.store.missing(dataset.records))
    assert 20 <= stored < 80
    assert stored == encoder.embedded
    rest = SlowEncoder()
    embed(dataset, tmp_path, rest)
    assert rest.embedded == 80 - stored


def test_a_closed_iterator_keeps_what_is_done(fill: Fill, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def stop(step: Progress) -> None:
        if step.done >= 20:
            raise EnoughError

    dataset = pictures(fill, 80)
    encoder = SlowEncoder(per_batch=0.02)
    with pytest.raises(EnoughError):
        embed(dataset, tmp_path, encoder, on_progress=stop)
    missing = grid_store(tmp_path, dataset, encoder).missing(dataset.records)
    assert 0 < len(missing) <= 60


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: unspecified\nlaunch failure"), CannotLoadModel("No room")])
def test_a_failing_encoder_is_one_sentence_and_keeps_the_rows_before(
    error: Exception, fill: Fill, tmp_path: Path
) -> None:
    dataset = pictures(fill, 40)
    encoder = FailingEncoder(at=6, error=error)
    with pytest.raises(VisexploreError, match=r"CUDA error: unspecified|No room") as caught:
        embed(dataset, tmp_path, encoder)
    assert "\n" not in str(caught.value)
    stored = 40 - len(grid_store(tmp_path, dataset, encoder).missing(dataset.records))
    # Batches run two at a time, so one that began before the failing one may end after it.
    assert stored in (8, 10)


def test_a_failing_encoder_does_not_cost_the_others_their_rows(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 40)
    other = GridEncoder("other", batch_size=2)
    with pytest.raises(VisexploreError):
        embed(dataset, tmp_path, FailingEncoder(6, RuntimeError("no")), other)
    assert len(grid_store(tmp_path, dataset, other).missing(dataset.records)) == 40 - other.embedded


def test_a_model_that_cannot_be_loaded_ends_the_run_at_once(fill: Fill, tmp_path: Path) -> None:
    class Gone(GridEncoder):
        def preprocess(self, image: Image.Image) -> Pixels:
            raise CannotLoadModel("Its weights are gone")

    with pytest.raises(CannotLoadModel, match="Its weights are gone"):
        embed(pictures(fill, 40), tmp_path, Gone())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(mount)], capture_output=True)
    if made.returncode:
        pytest.skip(f"no right to mount a small disk: {made.stderr.decode().strip()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    fill: Fill, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "SHARD_SECONDS", 0.0)
    dataset = pictures(fill, 40)
    embed(dataset, small_disk, GridEncoder(), records=dataset.records[:10])
    before = contents(grid_store(small_disk, dataset, GridEncoder()), dataset)
    ballast = small_disk / "ballast"
    facts = os.statvfs(small_disk)
    ballast.write_bytes(bytes(facts.f_bavail * facts.f_bsize))
    with pytest.raises(StorageError, match="is full"):
        embed(dataset, small_disk, GridEncoder())
    store = grid_store(small_disk, dataset, GridEncoder())
    assert contents(store, dataset) == before
    assert not list(store.path.glob("*.part"))
    ballast.unlink()
    encoder = GridEncoder()
    assert embed(dataset, small_disk, encoder).store.missing(dataset.records) == []
    assert encoder.embedded == 30


# ---- memory


def test_the_number_of_pictures_in_memory_is_bounded(fill: Fill, tmp_path: Path) -> None:
    """However large the dataset: a slow model must not let decoded pictures pile up."""

    class Watched(SlowEncoder):
        waiting = most = 0
        lock = threading.Lock()

        def preprocess(self, image: Image.Image) -> Pixels:
            with self.lock:
                self.waiting += 1
                self.most = max(self.most, self.waiting)
            return super().preprocess(image)

        def embed_images(self, batch: Pixels) -> Embeddings:
            found = super().embed_images(batch)
            with self.lock:
                self.waiting -= len(batch)
            return found

    encoder = Watched(per_batch=0.01, batch_size=2)
    embed(pictures(fill, 200), tmp_path, encoder)
    read_ahead = 2 * min(usable_cores(), 32) + 2 * encoder.batch_size
    batches = (encoder.parallel_batches + 2) * encoder.batch_size  # running, next, and being collected
    assert encoder.most <= read_ahead + batches


def test_embeddings_are_kept_as_float16(fill: Fill, tmp_path: Path) -> None:
    dataset = pictures(fill, 1)
    store = embed(dataset, tmp_path, GridEncoder()).store
    known = store.known(dataset.records[0])
    assert known
    assert store.embeddings([known.place]).dtype == np.float16
