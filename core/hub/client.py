"""What is asked of a hub over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from visexplore.core.catalogue import Checkpoint
from visexplore.core.errors import CannotLoadModel
from visexplore.core.hub.files import Incomplete, RemoteFile

if TYPE_CHECKING:
    import httpx2

RETRY_WAITS: tuple[float, ...] = (0.5, 1.0, 2.0)
"""Seconds before each further attempt to get on with a file; every byte that comes starts the list afresh."""


class Stopped(Exception):
    """The download was cancelled."""


class Lost(Exception):
    """An answer did not come, or not to its end, which another attempt may mend. `told` is what to say if not."""

    def __init__(self, told: CannotLoadModel) -> None:
        super().__init__(told)
        self.told = told


class Hub:
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
        """Close all connections."""
        self._client.close()

    def problem(self, what: str, hint: str) -> CannotLoadModel:
        """Return the error that says why the checkpoint cannot be fetched, and what to do."""
        return CannotLoadModel(f"{self._name} cannot be fetched: {what}", hint)

    def listing(self, revision: str) -> tuple[str, dict[str, RemoteFile]]:
        """Return the commit that `revision` means and all files of it, by their paths."""
        return self._persistently(partial(self._listing, revision))

    def _listing(self, revision: str) -> tuple[str, dict[str, RemoteFile]]:
        url = f"{self._endpoint}/api/models/{self._repository}/revision/{revision}?blobs=true"
        with self._answer(url, {}, "the list of files") as response:
            response.read()
            try:
                answer = response.json()
                files = [
                    RemoteFile(entry["rfilename"], int(lfs["size"]), str(lfs["sha256"]))
                    if (lfs := entry.get("lfs"))
                    else RemoteFile(entry["rfilename"], int(entry["size"]), str(entry["blobId"]))
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

    def receive(self, commit: str, file: RemoteFile, received: Incomplete) -> None:
        """Write what is missing of `file` to `received`, however often the connection is cut, as long as bytes come."""
        self._persistently(partial(self._receive, commit, file, received), lambda: received.size)

    def _receive(self, commit: str, file: RemoteFile, received: Incomplete) -> None:
        if received.size == file.size:
            return
        url = f"{self.page}/resolve/{commit}/{quote(file.path)}"
        wanted = {"Range": f"bytes={received.size}-"} if received.size else {}
        with self._answer(url, wanted, file.path) as response:
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {received.size}-")
            if response.status_code != 206 or not resumed:
                if response.status_code == 206:
                    raise Lost(self._cut(file.path))
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
            raise Lost(self._cut(file.path))

    def _check_size(self, file: RemoteFile, size: int) -> None:
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
            except Lost as lost:
                failures = 1 if progress() > before else failures + 1
                if failures > len(RETRY_WAITS):
                    raise lost.told from lost
                if self._stop.wait(RETRY_WAITS[failures - 1]):
                    raise Stopped from None

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
            raise Lost(self.problem(f"{self._endpoint} said nothing for {seconds}", unreachable)) from error
        except (httpx2.ReadError, httpx2.RemoteProtocolError) as error:
            raise Lost(self._cut(what)) from error
        except httpx2.NetworkError as error:
            why = f"{self._endpoint} cannot be reached ({_in_one_line(error)})"
            raise Lost(self.problem(why, unreachable)) from error
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
        raise Lost(told) if status >= 500 else told


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
