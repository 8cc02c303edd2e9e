"""Downloads from a real HTTP server on this machine: what comes, what stays after any failure, what is said."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.loopback_hub import LoopbackHub
from visexplore.core.catalogue import Checkpoint, Loader
from visexplore.core.errors import CannotLoadModel, StorageError
from visexplore.core.hub import Transfer, download_size, fetch, snapshot
from visexplore.core.hub import client as hub_client
from visexplore.core.hub.download import TICK_SECONDS

pytestmark = pytest.mark.slow

REPO = "someone/tiny"
WEIGHTS = random.Random(0).randbytes(300_000)
VIT: Mapping[str, bytes] = {
    "config.json": b'{"model_type": "vit"}',
    "preprocessor_config.json": b"{}",
    "model.safetensors": WEIGHTS,
}
TOTAL = sum(map(len, VIT.values()))


def checkpoint(loader: Loader = "transformers", **facts: Any) -> Checkpoint:
    return Checkpoint(id=REPO, loader=loader, slug="tiny", **{"hub_id": REPO} | facts)


TINY = checkpoint()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty; it does not exist yet."""
    path = tmp_path / "cache" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(path))
    return path


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub without repositories, which HF_ENDPOINT names; waiting between attempts is short."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(hub_client, "RETRY_WAITS", (0.01, 0.01))
    with LoopbackHub(tmp_path / "repositories") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def publish(hub: LoopbackHub) -> Callable[[Mapping[str, bytes]], None]:
    """Write files into the repository REPO."""

    def write(files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            file = hub.folder / REPO / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    return write


@pytest.fixture
def vit(hub: LoopbackHub, publish: Callable[[Mapping[str, bytes]], None]) -> LoopbackHub:
    """A hub whose REPO holds the three files of VIT."""
    publish(VIT)
    return hub


Publish = Callable[[Mapping[str, bytes]], None]


def fetched(wanted: Checkpoint = TINY, **options: Any) -> list[Transfer]:
    return list(fetch(wanted, **{"offline": False} | options))


def fetched_files(wanted: Checkpoint = TINY, **options: Any) -> set[str]:
    """Fetch, and return the names of what is in the snapshot then."""
    fetched(wanted, **options)
    place = snapshot(wanted)
    assert place
    return {file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()}


def blob(cache: Path, content: bytes = WEIGHTS) -> Path:
    return cache / "models--someone--tiny" / "blobs" / hashlib.sha256(content).hexdigest()


def incomplete(cache: Path) -> Path:
    return blob(cache).with_name(blob(cache).name + ".incomplete")


def cancel_at(done: int) -> Transfer:
    """Fetch until `done` bytes are there, then cancel; return the last report."""
    last = Transfer(0, 0)

    def enough() -> bool:
        return last.done >= done

    for transfer in fetch(TINY, offline=False, cancelled=enough):
        last = transfer
    return last


# ---- what comes


@pytest.mark.slow
def test_a_download_is_a_cache_that_transformers_loads(hub: LoopbackHub, cache: Path) -> None:
    import torch
    from transformers import AutoImageProcessor, ViTConfig, ViTImageProcessor, ViTModel

    model = ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    model.save_pretrained(hub.folder / REPO)
    ViTImageProcessor(size={"height": 20, "width": 20}).save_pretrained(hub.folder / REPO)

    assert snapshot(TINY) is None
    last = fetched()[-1]
    assert last.done == last.total == sum(file.stat().st_size for file in (hub.folder / REPO).iterdir())
    assert snapshot(TINY) == cache / "models--someone--tiny" / "snapshots" / hub.commit(REPO)

    loaded = ViTModel.from_pretrained(REPO, local_files_only=True, cache_dir=cache)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    processor = AutoImageProcessor.from_pretrained(REPO, local_files_only=True, cache_dir=cache)
    assert processor.size["height"] == 20


def test_what_the_hubs_own_library_fetched_is_found_and_not_fetched_again(vit: LoopbackHub, cache: Path) -> None:
    code = f"from huggingface_hub import snapshot_download; print(snapshot_download({REPO!r}))"
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert snapshot(TINY) == Path(done.stdout.strip())
    vit.requests.clear()
    assert fetched()[-1] == Transfer(TOTAL, TOTAL)
    assert vit.downloads() == []


def test_only_the_files_of_the_loader_are_fetched(vit: LoopbackHub, publish: Publish) -> None:
    others = "flax_model.msgpack tf_model.h5 pytorch_model.bin onnx/model.onnx model.fp16.safetensors README.md a.png"
    publish(dict.fromkeys([*others.split(), "pytorch_model.bin.index.json", "modeling.py", "1/config.json"], b"x"))
    publish({"vocab.txt": b"a", "merges.txt": b"b", "spiece.model": b"c", "tokenizer.json": b"{}"})
    assert fetched_files() == {*VIT, "vocab.txt", "merges.txt", "spiece.model", "tokenizer.json"}


def test_code_is_fetched_only_where_it_is_trusted(vit: LoopbackHub, publish: Publish) -> None:
    publish({"modeling_tiny.py": b"raise SystemExit", "sub/other.py": b""})
    assert fetched_files() == set(VIT)
    assert fetched_files(trust_remote_code=True) == {*VIT, "modeling_tiny.py"}


def test_pickled_weights_are_fetched_where_there_are_no_others(publish: Publish) -> None:
    publish({name: content for name, content in VIT.items() if name != "model.safetensors"})
    publish({"pytorch_model.bin": WEIGHTS, "flax_model.msgpack": b"x"})
    assert fetched_files() == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}


def test_weights_that_are_here_are_not_fetched_in_another_format(hub: LoopbackHub, publish: Publish) -> None:
    publish({"config.json": b"{}", "pytorch_model.bin": WEIGHTS})
    fetched()
    place = snapshot(TINY)
    assert place
    publish({"model.safetensors": b"other", "tokenizer.json": b"{}"})  # as if the first fetch had overlooked them
    place.rename(place.with_name(hub.commit(REPO)))
    assert fetched_files() == {"config.json", "pytorch_model.bin", "tokenizer.json"}


SHARDS = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 1000 for n in (1, 2)}
INDEX = {"model.safetensors.index.json": json.dumps({"weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()}


def test_weights_in_shards_are_complete_only_with_every_shard(hub: LoopbackHub, publish: Publish, cache: Path) -> None:
    publish({"config.json": b"{}", "preprocessor_config.json": b"{}", "pytorch_model.bin": WEIGHTS} | INDEX | SHARDS)
    hub.fault("*/model-00002-*", status=403)
    with pytest.raises(CannotLoadModel):
        fetched()
    [place] = (cache / "models--someone--tiny" / "snapshots").iterdir()
    assert (place / "model-00001-of-00002.safetensors").is_file()
    assert snapshot(TINY) is None
    assert fetched_files() == {"config.json", "preprocessor_config.json", *INDEX, *SHARDS}


def test_an_index_of_shards_that_are_not_there_is_told(publish: Publish) -> None:
    publish({"config.json": b"{}", "preprocessor_config.json": b"{}"} | INDEX | dict([*SHARDS.items()][:1]))
    with pytest.raises(
        CannotLoadModel, match="tiny \\(someone/tiny\\) cannot be fetched: the index of its weights names"
    ):
        fetched()


PIPELINE = {
    **dict.fromkeys(["model_index.json", "v1-5-pruned.safetensors", "safety_checker/model.safetensors"], b"x"),
    **dict.fromkeys(["vae/config.json", "vae/diffusion_pytorch_model.safetensors"], b"{}"),
    **dict.fromkeys(["vae/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.fp16.safetensors"], b"x"),
    **dict.fromkeys(["unet/config.json", "unet/diffusion_pytorch_model.bin"], b"{}"),
    **dict.fromkeys(["unet/diffusion_pytorch_model.non_ema.bin"], b"x"),
    **dict.fromkeys(["text_encoder/config.json", "text_encoder/model.safetensors"], b"{}"),
    **dict.fromkeys(["tokenizer/tokenizer_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"], b"{}"),
    "scheduler/scheduler_config.json": b"{}",
}
VAE = {"vae/config.json", "vae/diffusion_pytorch_model.safetensors"}
UNET = VAE | {name for name in PIPELINE if name.startswith(("unet/", "text_", "tokenizer/", "scheduler/"))} - {
    "unet/diffusion_pytorch_model.non_ema.bin"
}


@pytest.mark.parametrize(
    ("wanted", "there", "needed"),
    [
        (
            checkpoint("timm"),
            {"config.json", "model.safetensors", "pytorch_model.bin", "README.md"},
            "config.json model.safetensors",
        ),
        (checkpoint("timm"), {"config.json", "pytorch_model.bin", "tokenizer.json"}, "config.json pytorch_model.bin"),
        (
            checkpoint("open_clip"),
            {
                "open_clip_config.json",
                "open_clip_pytorch_model.bin",
                "open_clip_model.safetensors",
                "model.safetensors",
            },
            "open_clip_config.json open_clip_model.safetensors",
        ),
        (checkpoint("open_clip"), {"open_clip_pytorch_model.bin", "model.safetensors"}, "open_clip_pytorch_model.bin"),
        (checkpoint("diffusers", subfolder="vae"), PIPELINE, " ".join(VAE)),
        (checkpoint("diffusers", subfolder="unet"), PIPELINE, " ".join(UNET)),
        (
            checkpoint("internimage"),
            {"config.json", "preprocessor_config.json", "model.safetensors", "intern_image.py", "pytorch_model.bin"},
            "config.json preprocessor_config.json model.safetensors",
        ),
    ],
    ids=["timm", "timm-bin", "open_clip", "open_clip-bin", "vae", "unet", "internimage"],
)
def test_each_loader_gets_its_own_files(publish: Publish, wanted: Checkpoint, there: set[str], needed: str) -> None:
    publish({name: name.encode() for name in there})
    assert fetched_files(wanted) == set(needed.split())


def test_a_file_that_the_repository_does_not_have_is_not_waited_for(publish: Publish) -> None:
    publish({"config.json": b"{}", "model.safetensors": WEIGHTS})  # no image processor
    assert fetched_files() == {"config.json", "model.safetensors"}


def test_a_second_fetch_transfers_nothing(vit: LoopbackHub) -> None:
    fetched()
    vit.requests.clear()
    assert {(transfer.done, transfer.total) for transfer in fetched()} == {(TOTAL, TOTAL)}
    assert vit.downloads() == []


def test_what_is_complete_stays_at_its_commit_and_needs_no_hub(vit: LoopbackHub, publish: Publish) -> None:
    fetched()
    place = snapshot(TINY)
    publish({"README.md": b"new", "model.safetensors": b"new weights"})
    fetched()  # the hub does not know that commit any more
    vit.fault("*", status=500, times=math.inf)
    assert fetched()[-1].done == TOTAL
    assert snapshot(TINY) == place


def test_weights_that_a_new_commit_did_not_change_are_not_fetched_again(
    vit: LoopbackHub, publish: Publish, cache: Path
) -> None:
    vit.fault("*/model.safetensors", drip=0.01)
    assert cancel_at(150_000).done < len(WEIGHTS)
    kept = incomplete(cache).stat().st_size
    publish({"config.json": b"changed"})
    fetched()
    assert vit.downloads("model.safetensors")[-1].range == f"bytes={kept}-"
    assert snapshot(TINY) == cache / "models--someone--tiny" / "snapshots" / vit.commit(REPO)


def test_progress_tells_bytes_rate_and_time_left(vit: LoopbackHub) -> None:
    vit.fault("*/model.safetensors", drip=0.01)  # at most 100 kB a second
    started = time.monotonic()
    transfers = fetched()
    assert {transfer.total for transfer in transfers} == {TOTAL}
    assert [transfer.done for transfer in transfers] == sorted(transfer.done for transfer in transfers)
    assert transfers[-1].done == TOTAL
    assert 10 < len(transfers) < (time.monotonic() - started) / TICK_SECONDS + 2
    middle = transfers[len(transfers) // 2]
    assert 1_000 < middle.bytes_per_second < 110_000
    assert middle.eta_seconds == pytest.approx((TOTAL - middle.done) / middle.bytes_per_second)


def test_the_size_of_a_download_is_asked_without_downloading(vit: LoopbackHub, cache: Path) -> None:
    assert download_size(TINY) == TOTAL
    assert not cache.exists()
    vit.fault("*/model.safetensors", drip=0.01)
    cancel_at(100_000)
    assert download_size(TINY) == len(WEIGHTS) - incomplete(cache).stat().st_size
    fetched()
    assert download_size(TINY) == download_size(TINY, offline=True) == 0


def test_the_token_goes_to_the_hub_and_not_to_the_host_of_large_files(
    vit: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    vit.storage = f"http://localhost:{vit.port}"
    fetched()
    assert vit.tokens[f"/api/models/{REPO}/revision/main"] == "Bearer hf_secret"
    assert vit.tokens[f"/{REPO}/resolve/{vit.commit(REPO)}/model.safetensors"] == "Bearer hf_secret"
    assert vit.tokens[f"/storage/{REPO}/model.safetensors"] is None


# ---- resuming


def test_a_cut_connection_is_resumed_with_what_is_missing(vit: LoopbackHub) -> None:
    vit.fault("*/model.safetensors", cut_after=100_000)
    fetched()
    ranges = [request.range for request in vit.downloads("model.safetensors")]
    assert ranges == [None, "bytes=100000-"]


def test_a_cut_connection_behind_a_redirection_is_resumed_too(vit: LoopbackHub) -> None:
    vit.storage = f"http://localhost:{vit.port}"
    vit.fault("/storage/*", cut_after=100_000)
    fetched()
    stored = [request.range for request in vit.requests if request.path.startswith("/storage/")]
    assert stored == [None, "bytes=100000-"]


def test_a_connection_may_be_cut_as_often_as_it_likes_while_bytes_come(vit: LoopbackHub) -> None:
    vit.fault("*/model.safetensors", cut_after=50_000, times=5)
    assert fetched()[-1].done == TOTAL
    assert len(vit.downloads("model.safetensors")) == 6


def test_a_connection_that_is_always_cut_is_an_error_and_what_came_stays(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*/model.safetensors", cut_after=50_000)
    vit.fault("*/model.safetensors", cut_after=0, times=math.inf)
    with pytest.raises(CannotLoadModel, match=r"cut in the middle of model\.safetensors") as caught:
        fetched()
    assert "goes on from there" in caught.value.hint
    assert incomplete(cache).read_bytes() == WEIGHTS[:50_000]


def test_a_cancelled_download_ends_within_a_second_and_is_resumed(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*/model.safetensors", drip=0.02)
    cancelled: list[float] = []

    def enough() -> bool:
        if incomplete(cache).exists() and incomplete(cache).stat().st_size > 50_000:
            cancelled.append(time.monotonic())
        return bool(cancelled)

    fetched(cancelled=enough)
    assert time.monotonic() - cancelled[0] < 1.5
    kept = incomplete(cache).stat().st_size
    assert 50_000 < kept < len(WEIGHTS)
    assert snapshot(TINY) is None
    fetched()
    assert vit.downloads("model.safetensors")[-1].range == f"bytes={kept}-"
    assert blob(cache).read_bytes() == WEIGHTS
    assert not incomplete(cache).exists()


@pytest.mark.parametrize("path", ["/api/*", "*/model.safetensors"])
def test_cancelling_does_not_wait_for_a_silent_hub(vit: LoopbackHub, path: str) -> None:
    vit.fault(path, silence=5)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    assert all(transfer.done < transfer.total for transfer in fetch(TINY, offline=False, cancelled=stop.is_set))
    assert time.monotonic() - started < 2


def test_a_closed_iterator_ends_the_download(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*/model.safetensors", drip=0.02)
    for transfer in (transfers := fetch(TINY, offline=False)):
        if transfer.done > 20_000:
            break
    transfers.close()  # type: ignore[attr-defined]
    size = incomplete(cache).stat().st_size
    time.sleep(0.3)
    assert incomplete(cache).stat().st_size == size


FETCH = """
from visexplore.core.catalogue import Checkpoint
from visexplore.core.hub import fetch
for transfer in fetch(Checkpoint(id="someone/tiny", loader="transformers"), offline=False):
    print(transfer.done, flush=True)
"""


def test_after_a_kill_in_the_middle_of_a_file_the_rest_is_fetched(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*/model.safetensors", drip=0.02)
    with subprocess.Popen([sys.executable, "-c", FETCH], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) > 100_000:
                process.kill()
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL
    kept = incomplete(cache).stat().st_size
    assert 100_000 - 1000 < kept < len(WEIGHTS)
    assert snapshot(TINY) is None
    fetched()
    assert vit.downloads("model.safetensors")[-1].range == f"bytes={kept}-"
    assert blob(cache).read_bytes() == WEIGHTS


def test_a_hub_that_knows_no_ranges_sends_the_file_anew(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*/model.safetensors", cut_after=100_000)
    vit.fault("*/model.safetensors", ignores_range=True)
    fetched()
    assert blob(cache).read_bytes() == WEIGHTS


def test_two_downloads_of_one_model_at_once_fetch_it_once(vit: LoopbackHub) -> None:
    vit.fault("*/model.safetensors", drip=0.002, times=math.inf)
    threads = [threading.Thread(target=fetched) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert snapshot(TINY)
    assert len(vit.downloads("model.safetensors")) == 1


def test_cancelling_does_not_wait_for_another_process_that_fetches(vit: LoopbackHub, cache: Path) -> None:
    from filelock import FileLock

    lock = cache / ".locks" / "models--someone--tiny" / f"{blob(cache).name}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        started = time.monotonic()
        cancel_at(len(VIT["config.json"]))
        assert time.monotonic() - started < 5
    assert vit.downloads("model.safetensors") == []
    fetched()


def test_what_another_process_fetched_meanwhile_is_taken(vit: LoopbackHub, cache: Path) -> None:
    from filelock import FileLock

    lock = cache / ".locks" / "models--someone--tiny" / f"{blob(cache).name}.lock"
    lock.parent.mkdir(parents=True)
    link = cache / "models--someone--tiny" / "snapshots" / vit.commit(REPO) / "model.safetensors"
    fetching = threading.Thread(target=fetched)
    with FileLock(lock):
        fetching.start()
        while len(vit.downloads()) < 2 or not link.with_name("preprocessor_config.json").exists():
            time.sleep(0.01)
        blob(cache).write_bytes(WEIGHTS)
        link.symlink_to(blob(cache))
        made = link.lstat().st_ctime_ns
    fetching.join()
    assert vit.downloads("model.safetensors") == []
    assert link.lstat().st_ctime_ns == made  # somebody may be reading it


# ---- what goes wrong


def assert_told(error: CannotLoadModel | StorageError, message: str, hint: str) -> None:
    assert error.message.startswith(f"tiny ({REPO}) ")
    assert message in error.message
    assert hint in error.hint
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        ({"path": "*.json", "status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "gated", "hf auth login"),
        ({"path": "/api/*", "status": 401}, "gated or closed to you", "/someone/tiny and log in"),
        ({"path": "*.json", "status": 403}, "gated or closed to you (error 403)", "Accept its licence"),
        (
            {"path": "/api/*", "status": 401, "headers": {"X-Error-Code": "RepoNotFound"}},
            "no such repository",
            "Check the name",
        ),
        ({"path": "/api/*", "status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}}, "no revision main", "See"),
        (
            {"path": "*.json", "status": 404, "headers": {"X-Error-Code": "EntryNotFound"}},
            "config.json is missing",
            "files",
        ),
        ({"path": "*", "status": 429, "headers": {"Retry-After": "7"}}, "too many requests", "in 7 seconds"),
        ({"path": "*", "status": 429}, "too many requests", "in a few minutes"),
        ({"path": "*.safetensors", "status": 500}, "answered with error 500", "Try again later"),
        ({"path": "/api/*", "status": 503}, "answered with error 503", "Try again later"),
        ({"path": "/api/*", "status": 418}, "answered with error 418", "Try again later"),
        ({"path": "/api/*", "content": b"<html>Log in</html>"}, "is no hub", "HF_ENDPOINT"),
        ({"path": "*.safetensors", "content": WEIGHTS + b"!"}, "comes with 300,001 bytes", "Try again"),
        ({"path": "*.safetensors", "content": WEIGHTS[:-1]}, "comes with 299,999 bytes", "Try again"),
        (
            {"path": "*.safetensors", "content": WEIGHTS[::-1]},
            "model.safetensors arrived damaged",
            "again",
        ),
        (
            {"path": "*.json", "content": b'{"model_type": "bit"}'},
            "config.json arrived damaged",
            "again",
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values()))[:40] if isinstance(value, dict) else "",
)
def test_what_the_hub_does_wrong_is_told_in_one_sentence(
    vit: LoopbackHub, fault: dict[str, Any], message: str, hint: str
) -> None:
    vit.fault(**{"times": math.inf} | fault)
    with pytest.raises(CannotLoadModel) as caught:
        fetched()
    assert_told(caught.value, message, f"{vit.url}/someone/tiny and log in" if "/someone/" in hint else hint)
    assert snapshot(TINY) is None


def test_a_hub_that_has_trouble_once_is_asked_again(vit: LoopbackHub) -> None:
    vit.fault("/api/*", status=503)
    vit.fault("*.safetensors", status=500)
    assert fetched()[-1].done == TOTAL


def test_a_repository_that_does_not_exist_is_told(hub: LoopbackHub) -> None:
    with pytest.raises(CannotLoadModel) as caught:
        fetched()
    assert_told(caught.value, f"there is no such repository at {hub.url}, or it is private", "Check the name")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config.json": b"{}", "flax_model.msgpack": b"x"}, "has no model.safetensors and no other weights"),
        ({"model.safetensors": b"x"}, "has no config.json"),
    ],
)
def test_a_repository_that_the_loader_cannot_use_is_told(
    publish: Publish, files: Mapping[str, bytes], message: str
) -> None:
    publish(files)
    with pytest.raises(CannotLoadModel) as caught:
        fetched()
    assert_told(caught.value, message, "is it a transformers model?")


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be reached"),
        ("http://no-such-host.invalid", "http://no-such-host.invalid cannot be reached"),
        ("huggingface.co", "huggingface.co/api/models/someone/tiny/revision/main?blobs=true cannot be asked for"),
    ],
    ids=["refused", "no name", "no URL"],
)
def test_a_hub_that_cannot_be_reached_is_told(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, endpoint: str, message: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(CannotLoadModel) as caught:
        fetched()
    assert_told(caught.value, message, "HF_ENDPOINT")


def test_a_hub_that_says_nothing_is_told(vit: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    vit.fault("*/model.safetensors", silence=3, times=math.inf)
    with pytest.raises(CannotLoadModel, match="said nothing for 1 seconds"):
        fetched()


def test_a_proxy_that_makes_no_sense_is_told_without_its_password(
    vit: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://me:password@nowhere")
    with pytest.raises(CannotLoadModel, match="proxy") as caught:
        fetched()
    assert "password" not in str(caught.value)


def test_damaged_weights_are_deleted_and_the_next_fetch_brings_sound_ones(vit: LoopbackHub, cache: Path) -> None:
    vit.fault("*.safetensors", content=WEIGHTS[::-1])
    with pytest.raises(CannotLoadModel, match="arrived damaged"):
        fetched()
    assert not blob(cache).exists()
    assert not incomplete(cache).exists()
    fetched()
    assert blob(cache).read_bytes() == WEIGHTS


def test_weights_damaged_on_disk_are_fetched_again_once_their_snapshot_is_deleted(
    vit: LoopbackHub, cache: Path
) -> None:
    fetched()
    place = snapshot(TINY)
    assert place
    blob(cache).write_bytes(WEIGHTS[::-1])
    shutil.rmtree(place)
    fetched()
    assert blob(cache).read_bytes() == WEIGHTS
    assert len(vit.downloads("/config.json")) == 1  # that blob was sound


def test_names_that_lead_out_of_the_cache_are_not_written(vit: LoopbackHub, tmp_path: Path, cache: Path) -> None:
    evil = [
        {"rfilename": f"{up}evil.json", "size": 1, "blobId": "0" * 40} for up in ("../", "/tmp/", "x/../", "a\x1b[2J")
    ]
    files = [
        {
            "rfilename": name,
            "size": len(content),
            "blobId": blob.git,
            "lfs": blob.lfs and {"size": len(content), "sha256": blob.sha256},
        }
        for name, content in VIT.items()
        for blob in [vit.files(REPO)[name]]
    ]
    listing = {"sha": vit.commit(REPO), "siblings": [*evil, *files]}
    vit.fault("/api/*", content=json.dumps(listing).encode())
    assert fetched_files() == set(VIT)


@pytest.mark.parametrize("sha", ["../../../evil", "main", 5])
def test_a_listing_without_hashes_is_refused(vit: LoopbackHub, sha: object) -> None:
    vit.fault("/api/*", content=json.dumps({"sha": sha, "siblings": []}).encode())
    with pytest.raises(CannotLoadModel, match="is no hub"):
        fetched()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system with the options given, as the disk of the cache."""
    mount = tmp_path / "disk"
    mount.mkdir()

    def make(options: str) -> Path:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)], capture_output=True)
        if made.returncode:
            pytest.skip(f"no right to mount a small disk: {made.stderr.decode().strip()}")
        monkeypatch.setenv("HF_HUB_CACHE", str(mount / "hub"))
        return mount

    yield make
    subprocess.run(["umount", str(mount)], capture_output=True)


def test_too_small_a_disk_is_told_before_anything_is_fetched(vit: LoopbackHub, disk: Callable[[str], Path]) -> None:
    mount = disk("size=200k")
    with pytest.raises(StorageError) as caught:
        fetched()
    assert_told(caught.value, "needs 0.30 MB more, and 0.20 MB are left on the disk", "HF_HUB_CACHE")
    assert list(mount.iterdir()) == []
    assert vit.downloads() == []


def test_a_disk_that_fills_up_meanwhile_is_told_and_what_came_stays(
    vit: LoopbackHub, disk: Callable[[str], Path]
) -> None:
    mount = disk("size=400k")
    vit.fault("*.safetensors", drip=0.01)
    ballast = mount / "ballast"

    def fill() -> bool:
        if incomplete(mount / "hub").exists() and incomplete(mount / "hub").stat().st_size > 50_000:
            ballast.write_bytes(bytes(250_000))
        return False

    with pytest.raises(StorageError) as caught:
        fetched(cancelled=fill)
    assert_told(caught.value, f"the disk that holds {mount / 'hub'} is full", "What has come is kept")
    kept = incomplete(mount / "hub").read_bytes()
    assert len(kept) > 50_000
    assert WEIGHTS.startswith(kept)
    ballast.unlink()
    fetched()
    assert blob(mount / "hub").read_bytes() == WEIGHTS


def test_a_cache_that_cannot_be_written_is_told(vit: LoopbackHub, disk: Callable[[str], Path]) -> None:
    mount = disk("size=1m,ro")
    with pytest.raises(StorageError) as caught:
        fetched()
    assert_told(caught.value, f"the cache {mount / 'hub'} cannot be written (Read-only file system)", "HF_HUB_CACHE")


def test_a_file_where_the_cache_should_be_is_told(vit: LoopbackHub, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot be written \(Not a directory\)"):
        fetched()


def test_a_disk_without_symbolic_links_will_do(vit: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert fetched_files() == set(VIT)
    vit.requests.clear()
    fetched()
    assert vit.downloads() == []


# ---- without a network


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_sockets")
def test_offline_opens_no_socket(vit: LoopbackHub) -> None:
    for ask in (fetched, download_size):
        with pytest.raises(CannotLoadModel) as caught:
            ask(TINY, offline=True)
        assert_told(caught.value, "--offline forbids", "`visexplore models fetch tiny` once with network, or copy")
    with pytest.raises(AssertionError, match="a socket was opened"):  # which shows that the block works
        fetched()
    assert vit.requests == []


def test_offline_is_content_with_what_is_complete(vit: LoopbackHub, request: pytest.FixtureRequest) -> None:
    fetched()
    request.getfixturevalue("no_sockets")
    assert fetched(offline=True) == [Transfer(TOTAL, TOTAL)]


def test_half_a_download_is_not_enough_offline(vit: LoopbackHub) -> None:
    vit.fault("*/model.safetensors", drip=0.01)
    cancel_at(50_000)
    with pytest.raises(CannotLoadModel, match="--offline"):
        fetched(offline=True)


# ---- checkpoints that no hub has


def test_a_local_folder_needs_no_download(tmp_path: Path) -> None:
    here = checkpoint(folder=str(tmp_path), hub_id="")
    assert snapshot(here) == tmp_path
    assert fetched(here) == [Transfer(0, 0)]
    gone = checkpoint(folder=str(tmp_path / "gone"), hub_id="")
    assert snapshot(gone) is None
    with pytest.raises(CannotLoadModel, match="tiny is not at"):
        fetched(gone)


def test_weights_that_nobody_has_are_told() -> None:
    with pytest.raises(CannotLoadModel, match="were never released: kept secret"):
        fetched(checkpoint(unreleased="kept secret"))
    with pytest.raises(CannotLoadModel, match="not known which hub repository"):
        fetched(checkpoint("open_clip", hub_id=""))


# ---- the snapshot


def make_snapshot(cache: Path, commit: str, files: Mapping[str, bytes], age: int = 0) -> Path:
    place = cache / "models--someone--tiny" / "snapshots" / commit
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    os.utime(place, (time.time() - age,) * 2)
    return place


def point_main(cache: Path, commit: str) -> None:
    reference = cache / "models--someone--tiny" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(commit)


def test_the_snapshot_is_mains_else_the_newest_complete_one(cache: Path) -> None:
    assert snapshot(TINY) is None
    old = make_snapshot(cache, "a", VIT, age=50)
    new = make_snapshot(cache, "b", VIT, age=20)
    half = make_snapshot(cache, "c", {"config.json": b"{}"})
    assert snapshot(TINY) == new
    point_main(cache, "a")
    assert snapshot(TINY) == old
    (cache / "models--someone--tiny" / "refs" / "main").write_text("c")
    assert snapshot(TINY) == new != half
    assert snapshot(TINY, cache / "elsewhere") is None


@pytest.mark.parametrize("missing", VIT)
def test_a_snapshot_without_one_of_its_files_does_not_count(cache: Path, missing: str) -> None:
    make_snapshot(cache, "a", {name: content for name, content in VIT.items() if name != missing})
    assert snapshot(TINY) is None


def test_a_link_to_a_blob_that_is_gone_does_not_count(vit: LoopbackHub, cache: Path) -> None:
    fetched()
    blob(cache).unlink()
    assert snapshot(TINY) is None


def test_a_model_that_embeds_texts_needs_a_tokenizer(cache: Path) -> None:
    clip = checkpoint(has_text_tower=True)
    place = make_snapshot(cache, "a", VIT)
    assert snapshot(clip) is None
    make_snapshot(cache, "a", {"tokenizer.json": b"{}"})
    assert snapshot(clip) == place


def test_the_weights_alone_are_enough_for_timm_and_open_clip(cache: Path) -> None:
    place = make_snapshot(cache, "a", {"model.safetensors": b"", "open_clip_model.safetensors": b""})
    assert snapshot(checkpoint("timm")) == snapshot(checkpoint("open_clip")) == place


def test_an_image_tower_alone_is_no_model_of_open_clip(cache: Path) -> None:
    make_snapshot(cache, "a", {"model.safetensors": b""})
    assert snapshot(checkpoint("open_clip")) is None


def test_finding_a_snapshot_imports_no_large_library(vit: LoopbackHub, cache: Path) -> None:
    fetched()
    code = """
import sys
from visexplore.core.catalogue import Checkpoint
from visexplore.core.hub import snapshot
assert snapshot(Checkpoint(id="someone/tiny", loader="transformers"))
print(*sorted({"torch", "httpx2", "huggingface_hub", "filelock", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
