"""A file of a repository, and what has come of it so far."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

READ_BYTES: Final = 1 << 20
"""How much of a file is read at a time."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: its path there, its size in bytes, and the digest by which the hub knows it.

    The digest is the SHA-256 of a file in LFS, and of others git's SHA-1 of a blob. It names the blob in the cache.
    """

    path: str
    size: int
    digest: str

    def hasher(self) -> hashlib._Hash:
        """Return what makes the digest out of the bytes of the file."""
        if len(self.digest) == 64:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


class Incomplete:
    """A file that is being received: what has come of it, on disk, and the digest of that so far."""

    def __init__(self, path: Path, file: RemoteFile, go_on: Callable[[], None]) -> None:
        """Open `path`, with what earlier runs left there; `go_on` raises if the download is to end."""
        self.size = 0
        self._file = file
        self._go_on = go_on
        self._stream: IO[bytes] = path.open("a+b", buffering=0)  # what is written survives a kill
        self._hasher = file.hasher()
        try:
            if size_of(path) > file.size:
                self.restart()
            self._stream.seek(0)
            for block in iter(partial(self._stream.read, READ_BYTES), b""):
                go_on()
                self._take(block)
        except BaseException:
            self.close()
            raise

    def _take(self, block: bytes) -> None:
        self._hasher.update(block)
        self.size += len(block)

    def write(self, block: bytes) -> None:
        """Append what came."""
        self._go_on()
        rest = memoryview(block)
        while rest:  # an unbuffered file on an almost full disk takes only what fits
            rest = rest[self._stream.write(rest) :]
        self._take(block)

    def restart(self) -> None:
        """Begin from nothing."""
        self._stream.truncate(0)
        self._hasher = self._file.hasher()
        self.size = 0

    def is_sound(self) -> bool:
        """Whether the file is whole and has the digest that the hub tells."""
        return self.size == self._file.size and self._hasher.hexdigest() == self._file.digest

    def close(self) -> None:
        """Close it; what came stays on disk."""
        self._stream.close()


def size_of(file: Path) -> int:
    """Return the size of a file in bytes, -1 if there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return -1
