from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.grid_encoder import GridEncoder, contents, embed, grid_store
from tests.pictures import draw, encoded, png
from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.embedding import lane
from visexplore.core.embedding.store import Store, list_stores
from visexplore.core.errors import EmptyDataset, StorageError, StoreBusy

Fill = Callable[[Mapping[str, int | bytes]], Path]

BROKEN = b"\xff\xd8\xff\xe0 this only begins like a JPEG"


def of(folder: Path) -> Dataset:
    return open_dataset(str(folder))


def shards(store: Store) -> list[Path]:
    return sorted(store.path.glob("shard-*.parquet"))


# ---- what is embedded again, and what is not


def test_a_second_run_embeds_nothing(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1, "b.png": 2}))
    embed(dataset, tmp_path, GridEncoder())
    second = GridEncoder()
    embed(dataset, tmp_path, second)
    assert second.prepared == second.embedded == 0


def test_an_added_file_is_the_only_one_embedded(fill: Fill, tmp_path: Path) -> None:
    embed(of(fill({"a.png": 1, "b.png": 2})), tmp_path, GridEncoder())
    second = GridEncoder()
    embed(of(fill({"c.png": 3})), tmp_path, second)
    assert second.embedded == 1


def test_a_changed_file_gets_a_new_embedding(fill: Fill, tmp_path: Path) -> None:
    encoder = GridEncoder()
    before = contents(embed(of(fill({"a.png": 1, "b.png": 2})), tmp_path, encoder).store, of(tmp_path / "photos"))
    folder = fill({"a.png": 3})
    os.utime(folder / "a.png", ns=(0, 1))
    after = contents(embed(of(folder), tmp_path, encoder).store, of(folder))
    assert encoder.embedded == 3
    assert after["a.png"] != before["a.png"]
    assert after["b.png"] == before["b.png"]


@pytest.mark.parametrize("how", ["renamed", "moved into another folder", "copied", "touched"])
def test_a_file_with_known_content_never_reaches_the_encoder_again(how: str, fill: Fill, tmp_path: Path) -> None:
    encoder = GridEncoder()
    folder = fill({"a.png": 1, "b.png": 2, "sub/c.png": 3})
    before = contents(embed(of(folder), tmp_path, encoder).store, of(folder))
    match how:
        case "renamed":
            new = (folder / "a.png").rename(folder / "z.png")
        case "moved into another folder":
            new = (folder / "a.png").rename(folder / "sub" / "a.png")
        case "copied":
            new = Path(shutil.copy(folder / "a.png", folder / "sub" / "copy.png"))
        case _:
            new = folder / "a.png"
            os.utime(new, ns=(0, 1))
    encoder.prepared = encoder.embedded = 0
    after = contents(embed(of(folder), tmp_path, encoder).store, of(folder))
    assert encoder.prepared == encoder.embedded == 0
    assert after[str(new.relative_to(folder))] == before["a.png"]


def test_copies_inside_one_run_are_embedded_once(fill: Fill, tmp_path: Path) -> None:
    encoder = GridEncoder()
    dataset = of(fill({f"{number:02}.png": number % 3 for number in range(24)}))
    found = contents(embed(dataset, tmp_path, encoder).store, dataset)
    assert encoder.embedded == 3
    assert all(found[f"{number:02}.png"] == found[f"{number % 3:02}.png"] for number in range(24))


def test_a_deleted_file_drops_out(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(of(folder), tmp_path, GridEncoder())
    (folder / "a.png").unlink()
    run = embed(of(folder), tmp_path, GridEncoder())
    assert list(contents(run.store, of(folder))) == ["b.png"]


def test_a_broken_image_is_listed_with_its_reason_and_not_tried_again(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1, "broken.jpg": BROKEN, "empty.png": b"", "text.png": b"hello"}))
    run = embed(dataset, tmp_path, GridEncoder())
    found = contents(run.store, dataset)
    assert found["empty.png"] == "The file is empty"
    assert found["text.png"] == "Not an image that Pillow can read"
    assert isinstance(found["broken.jpg"], str)
    assert run.store.missing(dataset.records) == []
    assert run.lanes[0].failed == 3
    second = embed(dataset, tmp_path, GridEncoder())
    assert second.progress == []
    assert second.lanes[0].failed == 0


def test_broken_images_between_good_ones_do_not_shift_the_embeddings(fill: Fill, tmp_path: Path) -> None:
    files: dict[str, int | bytes] = {f"{n:02}.png": BROKEN + bytes([n]) if n % 3 == 1 else n for n in range(20)}
    encoder = GridEncoder()
    dataset = of(fill(files))
    found = contents(embed(dataset, tmp_path, encoder).store, dataset)
    for number in (0, 2, 3, 18):
        alone = encoder.embed_images(encoder.preprocess(draw(number))[None])[0].astype(np.float16)
        assert found[f"{number:02}.png"] == alone.tobytes()


def test_a_file_that_could_not_be_read_is_tried_again(fill: Fill, tmp_path: Path) -> None:
    """Rights and network folders come back without the file's size or time changing."""
    folder = fill({"a.png": 1, "b.png": 2})
    dataset = of(folder)
    aside = (folder / "a.png").rename(tmp_path / "aside")
    store = embed(dataset, tmp_path, GridEncoder()).store
    assert contents(store, dataset)["a.png"] == "No such file or directory"
    aside.rename(folder / "a.png")
    encoder = GridEncoder()
    found = contents(embed(dataset, tmp_path, encoder).store, dataset)
    assert encoder.embedded == 1
    assert isinstance(found["a.png"], bytes)
    assert contents(grid_store(tmp_path, dataset, encoder), dataset) == found  # whichever shard is read first


def test_a_file_that_stays_unreadable_writes_no_shard_at_each_run(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    dataset = of(folder)
    (folder / "a.png").unlink()
    before = shards(embed(dataset, tmp_path, GridEncoder()).store)
    run = embed(dataset, tmp_path, GridEncoder())
    assert shards(run.store) == before
    assert run.lanes[0].failed == 1


def test_other_models_have_stores_of_their_own(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1}))
    run = embed(dataset, tmp_path, GridEncoder("one"), GridEncoder("two"))
    assert run.lanes[0].store.path != run.lanes[1].store.path
    assert [info.model for info in list_stores(tmp_path)] == ["one", "two"]


def test_an_image_of_a_time_that_no_clock_shows_is_embedded(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    os.utime(folder / "a.png", (2**34, 2**34))  # the year 2514: its nanoseconds do not fit 64 bits
    found = contents(embed(of(folder), tmp_path, GridEncoder()).store, of(folder))
    assert all(isinstance(value, bytes) for value in found.values())


# ---- any history ends in the same store


class Killed(BaseException):
    """Stands for the end of the process: nothing but the operating system acts on it."""


@contextlib.contextmanager
def dies_at(point: int) -> Iterator[None]:
    """Let the process die at its n-th step of writing; being dead, it also takes no later step."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps >= point:
            raise Killed

    write_table, fsync, rename = pq.write_table, os.fsync, Path.replace

    def half_written(table: pa.Table, stream: Any, **options: Any) -> None:
        buffer = io.BytesIO()
        write_table(table, buffer, **options)
        content = buffer.getvalue()
        step()
        stream.write(content[: len(content) // 2])
        stream.flush()
        step()
        stream.write(content[len(content) // 2 :])

    def synced(handle: int) -> None:
        step()
        fsync(handle)

    def renamed(source: Path, target: Path) -> Path:
        step()
        return rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq, "write_table", half_written)
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "replace", renamed)
        yield


NAMES = [f"{name}.png" for name in ("a", "b", "sub/a", "sub/b", "z")]
names = st.sampled_from(NAMES)
seeds = st.integers(0, 6)
steps = st.one_of(
    st.tuples(st.just("write"), names, seeds),
    st.tuples(st.just("write broken"), names, seeds),
    st.tuples(st.just("move"), names, names),
    st.tuples(st.just("copy"), names, names),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("embed")),
    st.tuples(st.just("embed and die"), st.integers(1, 12)),
    st.tuples(st.just("embed and cancel"), st.integers(0, 4)),
)


def take(step: tuple[Any, ...], folder: Path, home: Path, clock: int) -> None:
    """Take one step of a history."""
    match step:
        case ("write" | "write broken", name, seed):
            (folder / name).write_bytes(png(seed) if step[0] == "write" else b"broken %d" % seed)
            os.utime(folder / name, ns=(clock, clock))
        case ("move", name, target) if name != target and (folder / name).exists():
            (folder / name).replace(folder / target)
        case ("copy", name, target) if name != target and (folder / name).exists():
            shutil.copy2(folder / name, folder / target)
        case ("delete", name):
            (folder / name).unlink(missing_ok=True)
        case ("embed",):
            embed(of(folder), home, GridEncoder(batch_size=1))
        case ("embed and die", point):
            with contextlib.suppress(Killed), dies_at(point):
                embed(of(folder), home, GridEncoder(batch_size=1))
        case ("embed and cancel", after):
            seen: list[object] = []
            embed(
                of(folder),
                home,
                GridEncoder(batch_size=1),
                on_progress=seen.append,
                cancelled=lambda: len(seen) > after,
            )


@settings(max_examples=60)
@given(history=st.lists(steps, min_size=3, max_size=14), shard_seconds=st.sampled_from([0.0, 60.0]))
def test_any_history_ends_in_what_embedding_from_scratch_gives(
    history: list[tuple[Any, ...]], shard_seconds: float
) -> None:
    with tempfile.TemporaryDirectory() as top, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane, "SHARD_SECONDS", shard_seconds)  # 0: a shard for nearly every image
        folder, home = Path(top, "photos"), Path(top, "home")
        (folder / "sub").mkdir(parents=True)
        for clock, step in enumerate(history, start=1):
            with contextlib.suppress(EmptyDataset):
                take(step, folder, home, clock)
        with contextlib.suppress(EmptyDataset):
            dataset = of(folder)
            grown = embed(dataset, home, GridEncoder()).store
            scratch = embed(dataset, Path(top, "scratch"), GridEncoder()).store
            assert contents(grown, dataset) == contents(scratch, dataset)
            assert contents(grid_store(home, dataset, GridEncoder()), dataset) == contents(scratch, dataset)
            assert not list(grown.path.glob("*.part"))
            assert grown.missing(dataset.records) == []


@pytest.mark.parametrize("point", range(1, 9))
def test_death_at_any_step_of_writing_keeps_the_shards_written_before(
    point: int, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = of(fill({f"{number}.png": number for number in range(4)}))
    embed(first, tmp_path, GridEncoder())
    monkeypatch.setattr(lane, "SHARD_SECONDS", 0.0)
    second = of(fill({f"{number}.png": number for number in range(4, 8)}))
    with contextlib.suppress(Killed), dies_at(point):
        embed(second, tmp_path, GridEncoder())
    encoder = GridEncoder()
    store = embed(second, tmp_path, encoder).store
    assert encoder.embedded <= 4
    assert store.missing(second.records) == []
    assert not list(store.path.glob("*.part"))


# ---- damage


@pytest.mark.parametrize("damage", ["cut off", "zeros", "empty", "text", "another table"])
def test_a_damaged_shard_is_as_good_as_none(damage: str, fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1, "b.png": 2}))
    store = embed(dataset, tmp_path, GridEncoder()).store
    intact = contents(store, dataset)
    [shard] = shards(store)
    content = shard.read_bytes()
    match damage:
        case "cut off":
            shard.write_bytes(content[:-100])
        case "zeros":
            shard.write_bytes(bytes(len(content)))
        case "empty":
            shard.write_bytes(b"")
        case "text":
            shard.write_bytes(b"hello")
        case _:
            pq.write_table(pa.table({"image_id": ["a.png"]}), shard)
    encoder = GridEncoder()
    again = embed(dataset, tmp_path, encoder).store
    assert encoder.embedded == 2
    assert contents(again, dataset) == intact


@pytest.mark.parametrize("damage", ["cut off", "another table"])
def test_stores_with_a_damaged_shard_can_be_listed(damage: str, fill: Fill, tmp_path: Path) -> None:
    store = embed(of(fill({"a.png": 1})), tmp_path, GridEncoder()).store
    embed(of(fill({"b.png": 2, "c.png": 3})), tmp_path, GridEncoder())
    [first, second] = sorted(shards(store), key=lambda file: pq.read_metadata(file).num_rows)
    if damage == "cut off":
        first.write_bytes(first.read_bytes()[:-100])
    else:
        pq.write_table(pa.table({"image_id": ["a.png"]}), first)
    [info] = list_stores(tmp_path)
    assert info.model == "grid"
    assert info.rows() >= 2
    assert info.size() > second.stat().st_size


def test_an_embedding_that_cannot_be_read_back_names_the_file(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1, "b.png": 2}))
    store = embed(dataset, tmp_path, GridEncoder()).store
    known = store.known(dataset.records[0])
    assert known
    [shard] = shards(store)
    shard.write_bytes(b"damaged")
    with pytest.raises(StorageError, match=shard.name):
        store.embeddings([known.place])


def test_a_shard_deleted_behind_an_open_store_is_forgotten(fill: Fill, tmp_path: Path) -> None:
    """This is what the message about a damaged shard tells the user to do."""
    dataset = of(fill({"a.png": 1, "b.png": 2}))
    store = embed(dataset, tmp_path, GridEncoder()).store
    stamp = store.stamp()
    shards(store)[0].unlink()
    store.refresh()
    assert store.missing(dataset.records) == list(dataset.records)
    assert store.known_content("") is None
    assert store.stamp() != stamp


def test_leftovers_of_a_killed_process_are_cleaned(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1}))
    store = embed(dataset, tmp_path, GridEncoder()).store
    (store.path / "shard-0123.parquet.abcdef01.part").write_bytes(b"half")
    (store.path / "index-0badcafe").mkdir()
    (store.path / "index-0badcafe" / "half.npy").write_bytes(b"half")
    with store.lock():
        pass
    assert [file.name for file in store.path.iterdir() if not file.name.startswith("shard-")] == [".lock"]


def test_a_store_whose_images_were_prepared_differently_is_refused(fill: Fill, tmp_path: Path) -> None:
    embed(of(fill({"a.png": 1})), tmp_path, GridEncoder())
    other = GridEncoder()
    other.preprocessing = "16 x 16 bicubic"
    with pytest.raises(StorageError, match="prepares images differently"):
        embed(of(fill({"b.png": 2})), tmp_path, other)


# ---- two at once


def test_who_cannot_have_the_lock_is_told(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1}))
    first, second = (grid_store(tmp_path, dataset, GridEncoder()) for _ in range(2))
    with first.lock(), pytest.raises(StoreBusy, match="Another process is embedding photos with grid"):
        second.lock()
    second.lock().release()


def test_a_lock_may_be_given_back_by_another_thread(fill: Fill, tmp_path: Path) -> None:
    """An iterator that embeds is advanced by one thread and may be closed by another."""
    store = grid_store(tmp_path, of(fill({"a.png": 1})), GridEncoder())
    lock = store.lock()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not lock.is_locked
    store.lock().release()  # and free for the next one


HOLD_THE_LOCK = """
import sys
from pathlib import Path
from tests.core.grid_encoder import GridEncoder, grid_store
from visexplore.core.datasets import open_dataset
with grid_store(Path(sys.argv[2]), open_dataset(sys.argv[1]), GridEncoder()).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_the_lock_holds_between_processes_and_ends_with_them(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.png": 1})
    store = grid_store(tmp_path, of(folder), GridEncoder())
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(folder), str(tmp_path)],
        cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(StoreBusy):
            store.lock()
        other.kill()
    store.lock().release()


def test_a_reader_sees_what_another_process_has_written_meanwhile(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1}))
    reader = grid_store(tmp_path, dataset, GridEncoder())
    empty = reader.stamp()
    embed(dataset, tmp_path, GridEncoder())
    assert reader.known(dataset.records[0]) is None
    reader.refresh()
    assert reader.known(dataset.records[0])
    assert reader.stamp() != empty


def test_writers_in_many_threads_lose_nothing(fill: Fill, tmp_path: Path) -> None:
    """Shards need no lock: each is written whole by one writer."""
    datasets = []
    for number in range(8):
        dataset = of(fill({f"{number}.png": number}))
        datasets.append(replace(dataset, records=dataset.records[-1:]))

    def write(dataset: Dataset) -> None:
        encoder = GridEncoder()
        store = grid_store(tmp_path, dataset, encoder)
        store.path.mkdir(parents=True, exist_ok=True)
        writer = ThreadPoolExecutor(1)
        own = lane.Lane("grid", store, lambda: encoder, writer)
        own.add(dataset.records[0], f"key {dataset.records[0].image_id}", "", own.encoder.preprocess(draw(1)))
        own.submit()
        own.close(cut_short=False)
        writer.shutdown()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, datasets))
    whole = of(tmp_path / "photos")
    assert grid_store(tmp_path, whole, GridEncoder()).missing(whole.records) == []


# ---- the files


def test_other_programs_can_read_a_shard(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"cats/a.png": 1, "dogs/b.png": 2, "dogs/broken.png": b"x"}))
    [shard] = shards(embed(dataset, tmp_path, GridEncoder()).store)
    table = pq.read_table(shard)
    assert table.schema.field("embedding").type == pa.list_(pa.float16(), 48)
    assert {"image_id", "content_key", "label", "ok", "error", "embedding"} <= set(table.column_names)
    assert table.column("image_id").to_pylist() == ["cats/a.png", "dogs/b.png", "dogs/broken.png"]
    assert table.column("label").to_pylist() == ["cats", "dogs", "dogs"]
    assert table.column("ok").to_pylist() == [True, True, False]
    vectors = table.column("embedding").to_pylist()
    assert vectors[2] is None
    assert np.linalg.norm(np.array(vectors[0], np.float32)) == pytest.approx(1, abs=1e-3)


def test_a_shard_is_compressed_by_zstd_over_split_bytes(fill: Fill, tmp_path: Path) -> None:
    dataset = of(fill({"a.png": 1}))
    [shard] = shards(embed(dataset, tmp_path, GridEncoder()).store)
    group = pq.read_metadata(shard).row_group(0)
    columns = {(column := group.column(number)).path_in_schema: column for number in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "BYTE_STREAM_SPLIT" in columns["embedding.list.element"].encodings


def test_a_store_says_what_it_holds_without_its_images(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    store = embed(of(folder), tmp_path, GridEncoder()).store
    shutil.rmtree(folder)
    [info] = list_stores(tmp_path)
    assert info == store.info()
    assert (info.path, info.dataset, info.title, info.model) == (store.path, str(folder), "photos", "grid")
    assert (info.recipe, info.dim, info.preprocessing) == (store.recipe, 48, "16 x 16 box")
    assert info.rows() == 2


def test_no_temporary_name_stays_beside_the_shards(fill: Fill, tmp_path: Path) -> None:
    store = embed(of(fill({"a.png": 1})), tmp_path, GridEncoder()).store
    assert all(file.suffix == ".parquet" or file.name == ".lock" for file in store.path.iterdir())


def test_a_home_that_cannot_be_written_is_one_sentence(fill: Fill, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        embed(of(fill({"a.png": 1})), tmp_path / "file", GridEncoder())


def test_names_that_are_no_unicode_survive_in_the_store(folder: Path, tmp_path: Path) -> None:
    name = b"caf\xe9 \xff.png"
    (folder / os.fsdecode(name)).write_bytes(encoded(draw(1)))
    dataset = of(folder)
    found = contents(embed(dataset, tmp_path, GridEncoder()).store, dataset)
    assert list(found) == [r"caf\xe9 \xff.png"]
    assert isinstance(found[r"caf\xe9 \xff.png"], bytes)
