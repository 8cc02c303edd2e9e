"""Checkpoints of the Hugging Face hub: find them in its cache, fetch them into it. Nothing else talks to a hub.

The files are fetched with plain HTTP, not with huggingface_hub's `hf_hub_download` (2.4 was read): that one writes
each download to a file of its own name and deletes it when it fails, so nothing is left to resume after a cut
connection, a cancelled run or a kill; it looks up from the network once in 10 MB; and it takes the endpoint and
`HF_HUB_OFFLINE` from the environment as it was at import. Its other way, hf_xet, writes to the same short-lived file,
reports nothing that could be resumed and cannot be stopped from outside. The hub serves every xet file up to 50 GB
over plain HTTP too, with byte ranges, so nothing is lost but deduplication between files.

The cache that is written is the hub's own: blobs named by their digest, links to them from `snapshots/COMMIT`,
`refs/main`, the same locks, and `BLOB.incomplete` for what has come so far.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote

from visexplore.core.catalogue import Checkpoint, default_hub_cache
from visexplore.core.errors import CannotLoadModel, StorageError

if TYPE_CHECKING:
    import httpx2

TICK_SECONDS: Final = 0.1
"""The time between two reports of a download."""

RATE_SECONDS: Final = 8.0
"""The time over which the rate of a download is taken."""

RETRY_WAITS: tuple[float, ...] = (0.5, 1.0, 2.0)
"""Seconds before each further attempt to get on with a file; every byte that comes starts the list afresh."""

_PATIENCE_SECONDS: Final = 0.5  # that a cancelled download gets to end in order
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where a download stands.

    Attributes:
        done: bytes on disk, including what earlier runs fetched.
        total: bytes of all files of the checkpoint.
        bytes_per_second: over the last seconds.
        eta_seconds: until the end; None while nothing is known.
    """

    done: int
    total: int
    bytes_per_second: float = 0.0
    eta_seconds: float | None = None


# --- which files a checkpoint needs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One model, tokenizer or scheduler: the files of one folder of a repository.

    Attributes:
        folder: its path with a slash at the end; empty for the root.
        weights: names of weights, best first; the first that is there is taken and no other.
        required: files that have to be there.
        one_of: of each of these groups the loader needs one file, if the repository has any of the group.
        wanted: patterns of files that are taken where they are.
    """

    folder: str
    weights: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    wanted: tuple[str, ...] = ()


_INDEX: Final = ".index.json"  # ends the name of the file that lists the shards of weights
_TRANSFORMERS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_DIFFUSERS: Final = tuple(
    f"diffusion_pytorch_model.{suffix}" for suffix in ("safetensors", f"safetensors{_INDEX}", "bin", f"bin{_INDEX}")
)
# The order in which open_clip 3.3 looks for weights in a folder, without those names that in repositories of other
# libraries hold something else: `model.safetensors` is an image tower alone, or a model of transformers.
_OPEN_CLIP: Final = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
_PROCESSOR: Final = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def _parts(checkpoint: Checkpoint) -> tuple[_Part, ...]:
    match checkpoint.loader:
        case "baseline" | "vectors":
            return ()
        case "transformers":
            groups = (_PROCESSOR, _TOKENIZER) if checkpoint.has_text_tower else (_PROCESSOR,)
            patterns = ("*.json", "*.txt", "*.model", "vocab.*", "merges.*")
            return (_Part("", _TRANSFORMERS, ("config.json",), groups, patterns),)
        case "timm":
            # timm knows the configuration of its own names, and itself fetches nothing but the weights.
            return (_Part("", ("model.safetensors", "pytorch_model.bin"), wanted=("config.json",)),)
        case "open_clip":  # the same holds for it, but for some text towers' tokenizers
            extras = ("open_clip_config.json", "config.json", *_TOKENIZER, "special_tokens_map.json", "merges.txt")
            return (_Part("", _OPEN_CLIP, wanted=extras),)
        case "internimage":
            return (_Part("", _TRANSFORMERS[:2], ("config.json",), (_PROCESSOR,), _PROCESSOR),)
        case "diffusers":
            vae = _Part("vae/", _DIFFUSERS, ("config.json",))
            if "unet" not in (checkpoint.subfolder, checkpoint.id.rpartition(":")[2]):
                return (vae,)
            return (
                vae,
                _Part("unet/", _DIFFUSERS, ("config.json",)),
                _Part("text_encoder/", _TRANSFORMERS, ("config.json",)),
                _Part("tokenizer/", required=("tokenizer_config.json",), wanted=("*.json", "*.txt", "*.model")),
                _Part("scheduler/", required=("scheduler_config.json",)),
            )


class _Unusable(Exception):
    """A repository lacks what the loader needs; the text says what."""


def _wanted(parts: tuple[_Part, ...], names: Collection[str], place: Path, *, code: bool) -> list[str]:
    """Return which of a repository's files are needed, weights last: where they are, everything else is.

    Args:
        parts: what the checkpoint consists of.
        names: paths of all files of the repository.
        place: the folder of its snapshot; weights that are there already are preferred to better ones.
        code: whether Python code is taken too.

    Raises:
        _Unusable: something is missing.
    """
    small: list[str] = []
    weights: list[str] = []
    for part in parts:
        inside = [
            name.removeprefix(part.folder)
            for name in sorted(names)
            if name.startswith(part.folder) and "/" not in name.removeprefix(part.folder) and _is_plain(name)
        ]
        if missing := [name for name in part.required if name not in inside]:
            raise _Unusable(f"has no {part.folder}{missing[0]}")
        patterns = (*part.required, *part.wanted, *(("*.py",) if code else ()))
        chosen = [name for name in inside if not name.endswith(_INDEX) and any(fnmatchcase(name, p) for p in patterns)]
        small += [part.folder + name for name in chosen]
        if not part.weights:
            continue
        offered = [name for name in part.weights if name in inside]
        here = [name for name in offered if _has_weights(place / part.folder, name)]
        if not offered:
            raise _Unusable(f"has no {part.folder}{part.weights[0]} and no other weights that can be loaded")
        name = (here or offered)[0]
        if name.endswith(_INDEX):
            small.append(part.folder + name)
            stem, suffix = name.removesuffix(_INDEX).rsplit(".", 1)
            shard = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}")
            weights += [part.folder + other for other in inside if shard.fullmatch(other)]
        else:
            weights.append(part.folder + name)
    return small + weights


def _is_plain(path: str) -> bool:
    """Whether a path that a hub tells stays inside the folder that it is put into, and can be printed."""
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


# --- what is in the cache -----------------------------------------------------------------------------------


def _repository_folder(checkpoint: Checkpoint, hub_cache: Path) -> Path:
    return hub_cache / f"models--{checkpoint.hub_id.replace('/', '--')}"


def snapshot(checkpoint: Checkpoint, hub_cache: Path | None = None) -> Path | None:
    """Return the folder of a snapshot that holds every file that `checkpoint` needs; None if there is none.

    That is the root of the repository, also where the weights are in a sub-folder of it. The snapshot that `main`
    means is preferred, then the newest one. A checkpoint with a folder of its own has that one. Looks at names only,
    and reads the index of weights that come in shards.

    For timm and open_clip the weights alone are enough: both libraries know the configuration of their own names.

    Args:
        checkpoint: the checkpoint in question.
        hub_cache: Hugging Face cache to look in; the user's own if None.
    """
    if checkpoint.folder:
        own = Path(checkpoint.folder).expanduser()
        return own if own.exists() else None
    if not checkpoint.hub_id:
        return None
    repository = _repository_folder(checkpoint, hub_cache or default_hub_cache())
    try:
        found = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(repository / "snapshots")]
    except OSError:
        return None
    main, parts = _main(repository), _parts(checkpoint)
    for _, commit in sorted(found, key=lambda entry: (entry[1] == main, *entry), reverse=True):
        if _is_complete(repository, commit, parts):
            return repository / "snapshots" / commit
    return None


def _main(repository: Path) -> str:
    try:
        return (repository / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_complete(repository: Path, commit: str, parts: tuple[_Part, ...]) -> bool:
    place, no_exist = repository / "snapshots" / commit, repository / ".no_exist" / commit
    for part in parts:
        folder = place / part.folder
        if not all((folder / name).is_file() for name in part.required):
            return False
        for group in part.one_of:
            known = any((folder / name).is_file() for name in group)
            # The hub's own library keeps such marks too, of files that it asked for in vain.
            if not known and not all((no_exist / part.folder / name).is_file() for name in group):
                return False
        # The loader takes the first that it finds, whether or not the others are whole.
        first = next((name for name in part.weights if (folder / name).is_file()), "")
        if part.weights and not _has_weights(folder, first):
            return False
    return True


def _has_weights(folder: Path, name: str) -> bool:
    """Whether the weights called `name` are in `folder`, all shards of them if it is an index."""
    file = folder / name
    if not name or not file.is_file():  # the link of a lost blob dangles, which is_file() refuses
        return False
    if not name.endswith(_INDEX):
        return True
    try:
        shards = set(json.loads(file.read_text("utf-8"))["weight_map"].values())
        return bool(shards) and all((folder / shard).is_file() for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


# --- what is to be fetched ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a repository: its path there, its size in bytes, and the digest by which the hub knows it.

    The digest is the SHA-256 of a file in LFS, and of others git's SHA-1 of a blob. It names the blob in the cache.
    """

    path: str
    size: int
    digest: str

    def hasher(self) -> hashlib._Hash:
        if len(self.digest) == 64:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The files of one checkpoint at one commit, and where they go.

    Attributes:
        repository: its folder in the cache.
        commit: the commit's hash.
        files: what is needed, in the order of fetching.
        absent: files that the loader looks for and the repository does not have.
    """

    repository: Path
    commit: str
    files: tuple[_File, ...]
    absent: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(file.size for file in self.files)

    def link(self, file: _File) -> Path:
        return self.repository / "snapshots" / self.commit / file.path

    def blob(self, file: _File) -> Path:
        return self.repository / "blobs" / file.digest

    def incomplete(self, file: _File) -> Path:
        return self.repository / "blobs" / f"{file.digest}.incomplete"

    def lock(self, file: _File) -> Path:
        return self.repository.parent / ".locks" / self.repository.name / f"{file.digest}.lock"

    def is_there(self, file: _File) -> bool:
        return _size(self.link(file)) == file.size

    def done(self) -> int:
        """Return how many bytes are on disk, whoever fetched them."""
        return sum(
            file.size
            if file.size in (_size(self.link(file)), _size(self.blob(file)))
            else min(max(_size(self.incomplete(file)), 0), file.size)
            for file in self.files
        )


def _size(file: Path) -> int:
    """Return the size of a file in bytes, -1 if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return -1


def _plan(checkpoint: Checkpoint, hub: _Hub, *, code: bool) -> _Plan | None:
    """Ask the hub what is needed; None where the hub cannot tell and everything is on disk."""
    cache = default_hub_cache()
    repository, parts = _repository_folder(checkpoint, cache), _parts(checkpoint)
    # Weights that are here stay what they are: a later commit, most often to a README, would be another revision.
    here = snapshot(checkpoint, cache)
    try:
        commit, files = hub.listing(here.name if here else "main")
    except CannotLoadModel:
        if here:
            return None
        raise
    try:
        names = _wanted(parts, files.keys(), repository / "snapshots" / commit, code=code)
    except _Unusable as error:
        raise hub.problem(
            f"the repository {error}",
            f"Its files are at {hub.page}: is it a {checkpoint.loader} model?",
        ) from None
    groups = [[part.folder + name for name in group] for part in parts for group in part.one_of]
    absent = [name for group in groups if not files.keys() & set(group) for name in group]
    return _Plan(repository, commit, tuple(files[name] for name in names), tuple(absent))


def download_size(checkpoint: Checkpoint, *, offline: bool = False) -> int:
    """Return how many bytes are still to be fetched, as the hub says; only names and sizes are asked for.

    Args:
        checkpoint: the checkpoint in question.
        offline: open no socket: what is complete on disk needs 0 bytes, anything else is an error.

    Raises:
        CannotLoadModel: the hub cannot be asked or does not have the checkpoint.
    """
    _check(checkpoint, offline=offline)
    if offline or checkpoint.folder:
        return 0
    with contextlib.closing(_Hub(checkpoint, threading.Event())) as hub:
        plan = _plan(checkpoint, hub, code=False)
    return plan.total - plan.done() if plan else 0


def _check(checkpoint: Checkpoint, *, offline: bool) -> None:
    """Raise CannotLoadModel if it is known without a hub that `checkpoint` cannot be had."""
    if checkpoint.unreleased:
        raise CannotLoadModel(f"The weights of {checkpoint.slug} were never released: {checkpoint.unreleased}")
    if snapshot(checkpoint):
        return
    if checkpoint.folder:
        raise CannotLoadModel(f"{checkpoint.slug} is not at {checkpoint.folder}", "Check the path.")
    if not checkpoint.hub_id:
        raise CannotLoadModel(
            f"{checkpoint.slug} cannot be fetched: it is not known which hub repository holds it",
            "Add it to models.toml with its hub_id.",
        )
    if offline:
        raise CannotLoadModel(
            f"{checkpoint.slug} ({checkpoint.hub_id}) is not on this machine, and --offline forbids to fetch it",
            f"Run `visexplore models fetch {checkpoint.slug}` once with network, or copy a hub cache here.",
        )


# --- fetching -----------------------------------------------------------------------------------------------


def fetch(
    checkpoint: Checkpoint,
    *,
    offline: bool,
    cancelled: Callable[[], bool] = lambda: False,
    trust_remote_code: bool = False,
) -> Iterator[Transfer]:
    """Fetch what is missing of `checkpoint` into the hub's own cache; yields about ten times a second.

    The last value has `done == total`, unless the download was cancelled. Whatever came stays, also half a file, and
    the next run fetches the rest. Every file is checked against the digest that the hub tells. A checkpoint that is
    complete stays at its commit.

    Args:
        checkpoint: what to fetch.
        offline: open no socket: what is complete on disk is fetched, anything else is an error.
        cancelled: asked ten times a second; the iterator ends within a second, also inside a file.
        trust_remote_code: fetch the repository's own Python code too, for the loader that can run it.

    Raises:
        CannotLoadModel: the hub cannot be reached, does not have the files or does not give them, or they arrive
            damaged.
        StorageError: the disk is full, or the cache cannot be written.
    """
    _check(checkpoint, offline=offline)
    if offline or checkpoint.folder:
        size = _size_on_disk(checkpoint)
        yield Transfer(size, size)
        return
    work = _Work(checkpoint, code=trust_remote_code and checkpoint.loader == "transformers")
    # A thread that is not waited for: it may be inside a call to the network that takes ten seconds to give up.
    thread = threading.Thread(target=work.run, name=f"fetch {checkpoint.slug}", daemon=True)
    speed = _Speed()
    thread.start()
    try:
        while True:
            thread.join(TICK_SECONDS)
            if not thread.is_alive():
                break
            if cancelled():
                return
            if plan := work.plan:
                yield speed.transfer(plan.done(), plan.total)
    finally:
        work.stop.set()
        thread.join(_PATIENCE_SECONDS)
    if work.error:
        raise work.error
    size = work.plan.total if work.plan else _size_on_disk(checkpoint)
    yield Transfer(size, size)


def _size_on_disk(checkpoint: Checkpoint) -> int:
    place = snapshot(checkpoint)
    if checkpoint.folder or place is None:
        return 0
    names = [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()]
    return sum(_size(place / name) for name in _wanted(_parts(checkpoint), names, place, code=False))


class _Speed:
    """The rate of a download over its last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def transfer(self, done: int, total: int) -> Transfer:
        now = time.monotonic()
        self._samples.append((now, done))
        while self._samples[0][0] < now - RATE_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        # The first second has small files and the wait for large ones: no rate to go by.
        rate = max(done - before, 0) / (now - since) if now > since + 1 else 0.0
        return Transfer(done, total, rate, (total - done) / rate if rate > 0 else None)


class _Stopped(Exception):
    """The download was cancelled."""


class _Work:
    """What the thread of a download does.

    Attributes:
        stop: set from outside to end it.
        plan: what it fetches; None until the hub has told, and where everything is here and the hub cannot tell.
        error: what it ended with; None if nothing went wrong.
    """

    def __init__(self, checkpoint: Checkpoint, *, code: bool) -> None:
        self.stop = threading.Event()
        self.plan: _Plan | None = None
        self.error: Exception | None = None
        self._checkpoint = checkpoint
        self._code = code

    def run(self) -> None:
        try:
            with contextlib.closing(_Hub(self._checkpoint, self.stop)) as hub:
                self.plan = _plan(self._checkpoint, hub, code=self._code)
                if self.plan:
                    self._fetch(hub, self.plan)
        except _Stopped:
            pass
        except OSError as error:
            self.error = _disk_error(error, default_hub_cache(), self._checkpoint)
        except Exception as error:  # whatever it is, the thread that waits has to learn of it
            self.error = error

    def _fetch(self, hub: _Hub, plan: _Plan) -> None:
        _check_room(plan, self._checkpoint)
        for file in plan.files:
            if not plan.is_there(file):
                with self._locked(plan.lock(file)):
                    self._fetch_file(hub, plan, file)
        parts = _parts(self._checkpoint)
        if not _is_complete(plan.repository, plan.commit, parts):
            for name in plan.absent:
                mark = plan.repository / ".no_exist" / plan.commit / name
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
        if not _is_complete(plan.repository, plan.commit, parts):
            raise hub.problem(
                "the index of its weights names files that the repository does not have",
                f"Its files are at {hub.page}.",
            )
        if _main(plan.repository) != plan.commit:
            _write_whole(plan.repository / "refs" / "main", plan.commit)

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Keep other processes off a blob, huggingface_hub's too: it takes the same locks."""
        from filelock import FileLock, Timeout  # imports asyncio, 0.1 s

        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, mode=0o664)
        while True:
            try:
                lock.acquire(timeout=TICK_SECONDS)
                break
            except Timeout:
                self._go_on()
        try:
            yield
        finally:
            lock.release()

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise _Stopped

    def _fetch_file(self, hub: _Hub, plan: _Plan, file: _File) -> None:
        link, blob, incomplete = plan.link(file), plan.blob(file), plan.incomplete(file)
        if plan.is_there(file):  # another process was quicker
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        # A blob that nothing links to is of a run that ended just there, of another commit, or of someone who deleted
        # the snapshot because it was damaged.
        if not self._is_whole(blob, file):
            blob.unlink(missing_ok=True)
            with contextlib.closing(_Incomplete(incomplete, file, self._go_on)) as received:
                hub.receive(plan.commit, file, received)
                sound = received.is_sound()
            if not sound:
                incomplete.unlink()
                raise hub.problem(
                    f"{file.path} arrived damaged: its checksum is not the hub's",
                    "It was deleted. Fetch it again; if it happens again, something on the way changes downloads.",
                )
            incomplete.replace(blob)
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(os.path.relpath(blob, link.parent))
        except OSError:
            blob.replace(link)  # a file system without links, on which the hub's own library does the same

    def _is_whole(self, blob: Path, file: _File) -> bool:
        if _size(blob) != file.size or not blob.is_file():
            return False
        hasher = file.hasher()
        with blob.open("rb") as stream:
            for block in iter(partial(stream.read, _READ_BYTES), b""):
                self._go_on()
                hasher.update(block)
        return hasher.hexdigest() == file.digest


class _Incomplete:
    """A file that is being received: what has come of it, on disk, and the digest of that so far."""

    def __init__(self, path: Path, file: _File, go_on: Callable[[], None]) -> None:
        """Open `path`, with what earlier runs left there; `go_on` raises if the download is to end."""
        self.size = 0
        self._file = file
        self._go_on = go_on
        self._stream: IO[bytes] = path.open("a+b", buffering=0)  # what is written survives a kill
        self._hasher = file.hasher()
        try:
            if _size(path) > file.size:
                self.restart()
            self._stream.seek(0)
            for block in iter(partial(self._stream.read, _READ_BYTES), b""):
                go_on()
                self._take(block)
        except BaseException:
            self.close()
            raise

    def _take(self, block: bytes) -> None:
        self._hasher.update(block)
        self.size += len(block)

    def write(self, block: bytes) -> None:
        self._go_on()
        rest = memoryview(block)
        while rest:  # an unbuffered file on an almost full disk takes only what fits
            rest = rest[self._stream.write(rest) :]
        self._take(block)

    def restart(self) -> None:
        self._stream.truncate(0)
        self._hasher = self._file.hasher()
        self.size = 0

    def is_sound(self) -> bool:
        return self.size == self._file.size and self._hasher.hexdigest() == self._file.digest

    def close(self) -> None:
        self._stream.close()


def _write_whole(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    half.write_text(text, "utf-8")
    half.replace(file)


# --- disk ---------------------------------------------------------------------------------------------------


def _check_room(plan: _Plan, checkpoint: Checkpoint) -> None:
    cache = plan.repository.parent
    missing = plan.total - plan.done()
    free = shutil.disk_usage(next(place for place in (cache, *cache.absolute().parents) if place.exists())).free
    if missing > free:
        raise StorageError(
            f"{checkpoint.slug} ({checkpoint.hub_id}) needs {_megabytes(missing)} more, and {_megabytes(free)} "
            f"are left on the disk that holds {cache}",
            _MAKE_ROOM,
        )


_MAKE_ROOM: Final = "Free some space, or name a folder on another disk with HF_HUB_CACHE."


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.2f} MB"


def _disk_error(error: OSError, cache: Path, checkpoint: Checkpoint) -> StorageError:
    model = f"{checkpoint.slug} ({checkpoint.hub_id}) cannot be stored"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{model}: the disk that holds {cache} is full", f"{_MAKE_ROOM} What has come is kept.")
    why = error.strerror or type(error).__name__
    return StorageError(
        f"{model}: the cache {cache} cannot be written ({why})",
        "Check who owns it, or name another folder with HF_HUB_CACHE.",
    )


# --- HTTP ---------------------------------------------------------------------------------------------------


class _Lost(Exception):
    """An answer did not come, or not to its end, which another attempt may mend. `told` is what to say if not."""

    def __init__(self, told: CannotLoadModel) -> None:
        super().__init__(told)
        self.told = told


class _Hub:
    """A hub as one checkpoint sees it: every failure becomes a sentence that names the checkpoint.

    Attributes:
        page: URL of the repository's page, for people.
    """

    def __init__(self, checkpoint: Checkpoint, stop: threading.Event) -> None:
        import httpx2
        from huggingface_hub import constants, get_token

        self._repository = checkpoint.hub_id
        self._name = f"{checkpoint.slug} ({checkpoint.hub_id})"
        self._stop = stop
        self._endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        self.page = f"{self._endpoint}/{self._repository}"
        # Sizes and byte ranges are those of the file only as long as nothing is compressed on the way.
        headers = {"User-Agent": "visexplore", "Accept-Encoding": "identity"}
        try:
            if not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and (token := get_token()):
                headers["Authorization"] = f"Bearer {token}"
            # On the way to another host, such as the one that a hub keeps large files on, httpx2 drops the token.
            self._client = httpx2.Client(headers=headers, timeout=self._timeout, follow_redirects=True)
        except (ValueError, ImportError, OSError) as error:  # whose text may hold a password or the token
            raise self.problem(
                "the token for the hub, the address of the proxy or the certificates cannot be used",
                "Check HF_TOKEN, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE.",
            ) from error

    def close(self) -> None:
        self._client.close()

    def problem(self, what: str, hint: str) -> CannotLoadModel:
        return CannotLoadModel(f"{self._name} cannot be fetched: {what}", hint)

    def listing(self, revision: str) -> tuple[str, dict[str, _File]]:
        """Return the commit that `revision` means and all files of it, by their paths."""
        return self._persistently(partial(self._listing, revision))

    def _listing(self, revision: str) -> tuple[str, dict[str, _File]]:
        url = f"{self._endpoint}/api/models/{self._repository}/revision/{revision}?blobs=true"
        with self._answer(url, {}, "the list of files") as response:
            response.read()
            try:
                answer = response.json()
                files = [
                    _File(entry["rfilename"], int(lfs["size"]), str(lfs["sha256"]))
                    if (lfs := entry.get("lfs"))
                    else _File(entry["rfilename"], int(entry["size"]), str(entry["blobId"]))
                    for entry in answer["siblings"]
                ]
                # These become names of files.
                if not all(
                    re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", name)
                    for name in (answer["sha"], *(f.digest for f in files))
                ):
                    raise ValueError("no hash")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise self.problem(
                    f"what answers at {self._endpoint} is no hub",
                    "Check HF_ENDPOINT, and whether the network asks to log in first.",
                ) from error
        return answer["sha"], {file.path: file for file in files}

    def receive(self, commit: str, file: _File, received: _Incomplete) -> None:
        """Write what is missing of `file` to `received`, however often the connection is cut, as long as bytes come."""
        self._persistently(partial(self._receive, commit, file, received), lambda: received.size)

    def _receive(self, commit: str, file: _File, received: _Incomplete) -> None:
        if received.size == file.size:
            return
        url = f"{self.page}/resolve/{commit}/{quote(file.path)}"
        wanted = {"Range": f"bytes={received.size}-"} if received.size else {}
        with self._answer(url, wanted, file.path) as response:
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {received.size}-")
            if response.status_code != 206 or not resumed:
                if response.status_code == 206:
                    raise _Lost(self._cut(file.path))
                received.restart()
            length = response.headers.get("Content-Length", "")
            if length.isdigit() and "Content-Encoding" not in response.headers:
                self._check_size(file, received.size + int(length))
            for block in response.iter_bytes():
                if (size := received.size + len(block)) > file.size:
                    received.restart()
                    self._check_size(file, size)
                received.write(block)
        if received.size < file.size:
            raise _Lost(self._cut(file.path))

    def _check_size(self, file: _File, size: int) -> None:
        if size != file.size:
            raise self.problem(
                f"{file.path} comes with {size:,} bytes, and the hub tells {file.size:,}",
                "Try again later; if it happens again, something on the way changes downloads.",
            )

    def _persistently[T](self, attempt: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
        """Return what `attempt` returns; one that is lost is repeated while it makes progress or waits are left."""
        failures = 0
        while True:
            before = progress()
            try:
                return attempt()
            except _Lost as lost:
                failures = 1 if progress() > before else failures + 1
                if failures > len(RETRY_WAITS):
                    raise lost.told from lost
                if self._stop.wait(RETRY_WAITS[failures - 1]):
                    raise _Stopped from None

    @contextlib.contextmanager
    def _answer(self, url: str, headers: dict[str, str], what: str) -> Iterator[httpx2.Response]:
        """Ask for `url` and give the answer's head; what goes wrong, also while its body is read, is told."""
        import httpx2

        unreachable = "Check the network, the proxy settings and HF_ENDPOINT. What has come is kept."
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                self._check_status(response, what)
                yield response
        except httpx2.TimeoutException as error:
            seconds = f"{self._timeout:g} seconds"
            raise _Lost(self.problem(f"{self._endpoint} said nothing for {seconds}", unreachable)) from error
        except (httpx2.ReadError, httpx2.RemoteProtocolError) as error:
            raise _Lost(self._cut(what)) from error
        except httpx2.NetworkError as error:
            why = f"{self._endpoint} cannot be reached ({_in_one_line(error)})"
            raise _Lost(self.problem(why, unreachable)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self.problem(f"{url} cannot be asked for ({_in_one_line(error)})", unreachable) from error

    def _cut(self, what: str) -> CannotLoadModel:
        return self.problem(
            f"the connection was cut in the middle of {what}, again and again",
            "What has come is kept: run it again and it goes on from there.",
        )

    def _check_status(self, response: httpx2.Response, what: str) -> None:
        status, code = response.status_code, response.headers.get("X-Error-Code", "")
        if status < 300:
            return
        if status == 404 and code == "EntryNotFound":
            raise self.problem(f"{what} is missing in the repository", f"Its files are at {self.page}.")
        if code == "RevisionNotFound":
            raise self.problem("the repository has no revision main", f"See {self.page}.")
        if code == "RepoNotFound" or status == 404:
            # A hub does not tell strangers whether a repository is private or does not exist: it says 401 to both.
            raise self.problem(
                f"there is no such repository at {self._endpoint}, or it is private",
                "Check the name; for a private one log in with `hf auth login`.",
            )
        if status in (401, 403):
            raise self.problem(
                f"the repository is gated or closed to you (error {status})",
                f"Accept its licence at {self.page} and log in with `hf auth login`.",
            )
        if status == 429:
            wait = response.headers.get("Retry-After", "")
            raise self.problem(
                f"{self._endpoint} has had too many requests from here",
                f"Try again in {f'{wait} seconds' if wait.isdigit() else 'a few minutes'}; "
                "those who log in with `hf auth login` may ask more often.",
            )
        told = self.problem(f"{self._endpoint} answered with error {status}", "Try again later. What has come is kept.")
        raise _Lost(told) if status >= 500 else told


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
