"""A picture from outside the dataset as a query: a file, a URL, or standard input."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

from visexplore.core.errors import UnreadableImage, UserError

_MAX_BYTES = 200_000_000
_TIMEOUT = 20.0


def read_query_image(name: str, *, offline: bool = False) -> bytes:
    """Return the bytes of the picture at a path, at an http(s) address, or of standard input (`-`).

    Raises:
        UserError: nothing is there, or a URL is named while offline.
        UnreadableImage: it cannot be read or fetched.
    """
    if name == "-":
        data = sys.stdin.buffer.read(_MAX_BYTES)
        if not data:
            raise UserError("Standard input is empty", "Pipe a picture in: visexplore query DATASET --image - < x.jpg")
        return data
    if name.startswith(("http://", "https://")):
        return _fetch(name, offline=offline)
    # A path pasted from elsewhere comes in quotes, or as a file:// address.
    path = Path(name.strip().strip("'\"").removeprefix("file://")).expanduser()
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"There is no file '{name}'", "Check the path; it is read on the machine that visexplore runs on."
        ) from error
    except IsADirectoryError as error:
        raise UserError(f"'{name}' is a folder, not a picture", "Name one of the files in it.") from error
    except OSError as error:
        raise UnreadableImage(f"'{name}' cannot be read ({error.strerror})") from error


def _fetch(address: str, *, offline: bool) -> bytes:
    if offline:
        raise UserError(f"--offline forbids to fetch {address}", "Download the picture first and name its file.")
    request = urllib.request.Request(address, headers={"User-Agent": "visexplore"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            data: bytes = answer.read(_MAX_BYTES)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UnreadableImage(
            f"{address} cannot be fetched ({reason})", "Check the address and the network."
        ) from error
    return data
