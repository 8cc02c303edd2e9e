"""Fetching the files of a checkpoint from the hub into its cache: resumed, checked, cancellable."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from visexplore.core.catalogue import Checkpoint, default_hub_cache
from visexplore.core.errors import CannotLoadModel, StorageError
from visexplore.core.hub.cache import is_complete, main_commit, repository_folder, snapshot
from visexplore.core.hub.client import Hub, Stopped
from visexplore.core.hub.files import READ_BYTES, Incomplete, RemoteFile, size_of
from visexplore.core.hub.needs import Unusable, parts_of, wanted_files

TICK_SECONDS: Final = 0.1
"""The time between two reports of a download."""

RATE_SECONDS: Final = 8.0
"""The time over which the rate of a download is taken."""

_PATIENCE_SECONDS: Final = 0.5  # that a cancelled download gets to end in order


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
    files: tuple[RemoteFile, ...]
    absent: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(file.size for file in self.files)

    def link(self, file: RemoteFile) -> Path:
        return self.repository / "snapshots" / self.commit / file.path

    def blob(self, file: RemoteFile) -> Path:
        return self.repository / "blobs" / file.digest

    def incomplete(self, file: RemoteFile) -> Path:
        return self.repository / "blobs" / f"{file.digest}.incomplete"

    def lock(self, file: RemoteFile) -> Path:
        return self.repository.parent / ".locks" / self.repository.name / f"{file.digest}.lock"

    def is_there(self, file: RemoteFile) -> bool:
        return size_of(self.link(file)) == file.size

    def done(self) -> int:
        """Return how many bytes are on disk, whoever fetched them."""
        return sum(
            file.size
            if file.size in (size_of(self.link(file)), size_of(self.blob(file)))
            else min(max(size_of(self.incomplete(file)), 0), file.size)
            for file in self.files
        )


def _plan(checkpoint: Checkpoint, hub: Hub, *, code: bool) -> _Plan | None:
    """Ask the hub what is needed; None where the hub cannot tell and everything is on disk."""
    cache = default_hub_cache()
    repository, parts = repository_folder(checkpoint, cache), parts_of(checkpoint)
    # Weights that are here stay what they are: a later commit, most often to a README, would be another revision.
    here = snapshot(checkpoint, cache)
    try:
        commit, files = hub.listing(here.name if here else "main")
    except CannotLoadModel:
        if here:
            return None
        raise
    try:
        names = wanted_files(parts, files.keys(), repository / "snapshots" / commit, code=code)
    except Unusable as error:
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
    with contextlib.closing(Hub(checkpoint, threading.Event())) as hub:
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
    return sum(size_of(place / name) for name in wanted_files(parts_of(checkpoint), names, place, code=False))


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
            with contextlib.closing(Hub(self._checkpoint, self.stop)) as hub:
                self.plan = _plan(self._checkpoint, hub, code=self._code)
                if self.plan:
                    self._fetch(hub, self.plan)
        except Stopped:
            pass
        except OSError as error:
            self.error = _disk_error(error, default_hub_cache(), self._checkpoint)
        except Exception as error:  # whatever it is, the thread that waits has to learn of it
            self.error = error

    def _fetch(self, hub: Hub, plan: _Plan) -> None:
        _check_room(plan, self._checkpoint)
        for file in plan.files:
            if not plan.is_there(file):
                with self._locked(plan.lock(file)):
                    self._fetch_file(hub, plan, file)
        parts = parts_of(self._checkpoint)
        if not is_complete(plan.repository, plan.commit, parts):
            for name in plan.absent:
                mark = plan.repository / ".no_exist" / plan.commit / name
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()
        if not is_complete(plan.repository, plan.commit, parts):
            raise hub.problem(
                "the index of its weights names files that the repository does not have",
                f"Its files are at {hub.page}.",
            )
        if main_commit(plan.repository) != plan.commit:
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
            raise Stopped

    def _fetch_file(self, hub: Hub, plan: _Plan, file: RemoteFile) -> None:
        link, blob, incomplete = plan.link(file), plan.blob(file), plan.incomplete(file)
        if plan.is_there(file):  # another process was quicker
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        # A blob that nothing links to is of a run that ended just there, of another commit, or of someone who deleted
        # the snapshot because it was damaged.
        if not self._is_whole(blob, file):
            blob.unlink(missing_ok=True)
            with contextlib.closing(Incomplete(incomplete, file, self._go_on)) as received:
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

    def _is_whole(self, blob: Path, file: RemoteFile) -> bool:
        if size_of(blob) != file.size or not blob.is_file():
            return False
        hasher = file.hasher()
        with blob.open("rb") as stream:
            for block in iter(partial(stream.read, READ_BYTES), b""):
                self._go_on()
                hasher.update(block)
        return hasher.hexdigest() == file.digest


def _write_whole(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    half.write_text(text, "utf-8")
    half.replace(file)


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
