"""A picture from outside the dataset as a query: a file, a URL, or standard input."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

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
    path = name.strip().strip("'\"")
    if path.startswith("file://"):
        path = urllib.parse.unquote(path.removeprefix("file://"))
    try:
        with open(os.path.expanduser(path), "rb") as stream:  # noqa: PTH111, PTH123 - Path fails at `~nobody`
            return stream.read(_MAX_BYTES)  # a device or a pipe may never end
    except FileNotFoundError as error:
        raise UserError(
            f"There is no file '{name}'", "Check the path; it is read on the machine that visexplore runs on."
        ) from error
    except IsADirectoryError as error:
        raise UserError(f"'{name}' is a folder, not a picture", "Name one of the files in it.") from error
    except OSError as error:
        raise UnreadableImage(f"'{name}' cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"'{name}' is no path ({error})") from error


def _fetch(address: str, *, offline: bool) -> bytes:
    if offline:
        raise UserError(f"--offline forbids to fetch {address}", "Download the picture first and name its file.")
    plain = urllib.parse.quote(address, safe=":/?#[]@!$&'()*+,;=%~")  # people paste spaces and umlauts
    try:
        request = urllib.request.Request(plain, headers={"User-Agent": "visexplore"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            data: bytes = answer.read(_MAX_BYTES)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", None) or error).strip() or type(error).__name__
        raise UnreadableImage(
            f"{address} cannot be fetched ({reason})", "Check the address and the network."
        ) from error
    return data
