"""Where the files inside a tar are, so that each can be read by itself.

The standard library's reader takes 0.1 ms for a member, 3 minutes for a dataset of a million samples; this one, which
knows what POSIX.1-2001 (pax), ustar and GNU tar write, a tenth of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 512
_REGULAR = b"0\x007"  # kinds of members: a file, a file of the oldest format, a contiguous file
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}
_MOST_HEADER_BYTES = 1_000_000


class TarDamaged(Exception):
    """The rest of the file is no tar; its text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a tar: its name as the operating system would have it, where its bytes begin, and how many."""

    name: str
    offset: int
    size: int


def members(path: Path) -> Iterator[Member]:
    """Yield the regular files of a tar that is not compressed, in their order.

    Raises:
        OSError: the file cannot be read.
        TarDamaged: it is no tar, or ends too early; all that came before is good.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        yield from _members(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def _members(handle: int, end: int) -> Iterator[Member]:
    position = 0
    pax: dict[str, bytes] = {}  # says more of the next member than its header has room for
    long_name = b""
    while position < end:
        header = os.pread(handle, _BLOCK, position)
        if len(header) == _BLOCK and not any(header):
            return
        _check(header, first=position == 0)
        size = int(pax["size"]) if "size" in pax else _number(header[124:136])
        offset, kind = position + _BLOCK, header[156:157]
        position = offset + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if offset + size > end:
            raise TarDamaged("it is cut off")
        if kind in (b"x", b"g", b"L"):
            if size > _MOST_HEADER_BYTES:
                raise TarDamaged("it has a name of more than a megabyte")
            content = os.pread(handle, size, offset)
            if kind == b"x":
                pax = _pax_fields(content)
            elif kind == b"L":
                long_name = content.rstrip(b"\0")
            continue
        if kind == b"K":  # the long target of a link
            continue
        if kind in _REGULAR and not any(field.startswith("GNU.sparse") for field in pax):
            name = pax.get("path") or long_name or _name(header)
            yield Member(os.fsdecode(name), offset, size)
        pax, long_name = {}, b""


def _check(header: bytes, *, first: bool) -> None:
    if len(header) == _BLOCK and not first and header[257:262] == b"ustar":
        return
    for magic, packer in _PACKED.items():
        if first and header.startswith(magic):
            raise TarDamaged(f"it is compressed with {packer}, so single images cannot be read out of it: unpack it")
    if len(header) < _BLOCK:
        raise TarDamaged("it is no tar" if first else "it is cut off")
    summed = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    try:
        told = _number(header[148:156])
    except TarDamaged:
        told = -1
    if told != summed:
        raise TarDamaged("it is no tar" if first else "it is damaged")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # too large for octal digits
        return int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise TarDamaged("it is damaged") from error


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax_fields(content: bytes) -> dict[str, bytes]:
    r"""Return the fields of an extended header, each `LENGTH NAME=VALUE\n`."""
    fields = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or int(length) <= len(length) + 1:
            break
        name, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        fields[name.decode("utf-8", "replace")] = value
        content = content[int(length) :]
    if not fields.get("size", b"0").isdigit():
        raise TarDamaged("it is damaged")
    return fields
