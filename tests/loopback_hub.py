"""A model hub on 127.0.0.1: folders of small files as repositories, and every way in which a hub can fail."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

LFS = frozenset({".safetensors", ".bin", ".pth", ".h5", ".msgpack", ".onnx"})
"""Endings of the files that a hub keeps outside git and knows by their SHA-256."""


class Request(NamedTuple):
    method: str
    path: str
    range: str | None


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose path matches `path`; see `LoopbackHub.fault`."""

    path: str
    times: float
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    cut_after: int | None = None
    drip: float = 0.0
    silence: float = 0.0
    ignores_range: bool = False


@dataclass(frozen=True)
class Blob:
    """A file as a hub describes it."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git(self) -> str:
        stored = self.content
        if self.lfs:
            stored = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (
                self.sha256.encode(),
                len(self.content),
            )
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()


class LoopbackHub:
    """Serve `folder/OWNER/NAME/...` as repositories while the `with` block runs; a file that changes is a new commit.

    Attributes:
        url: what to set `HF_ENDPOINT` to.
        requests: every request so far, of all repositories.
        tokens: what each requested path was asked for with: the `Authorization` header, or None.
        storage: URL of another host that large files are redirected to, as big hubs do; empty: no redirection.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[Request] = []
        self.tokens: dict[str, str | None] = {}
        self.storage = ""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, path: str, *, times: float = 1, **what: Any) -> None:
        """Script what goes wrong with the next `times` requests (`math.inf`: all) whose path matches `path`.

        Args:
            path: pattern such as `*/model.safetensors` or `/api/*`.
            times: how often.
            what: `status` and `headers` of the answer; other `content`; `cut_after` so many bytes of the body;
                `drip`, seconds before each KB; `silence`, seconds before the answer; `ignores_range`.
        """
        self._faults.append(Fault(path, times, **what))

    def downloads(self, ending: str = "") -> list[Request]:
        """Return the requests for the content of files whose path ends so."""
        return [r for r in self.requests if r.method == "GET" and "/resolve/" in r.path and r.path.endswith(ending)]

    def files(self, repository: str) -> dict[str, Blob]:
        folder = self.folder / repository
        return {
            file.relative_to(folder).as_posix(): Blob(file.read_bytes(), file.suffix in LFS)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    def commit(self, repository: str) -> str:
        told = [f"{path} {blob.git}" for path, blob in self.files(repository).items()]
        return hashlib.sha1("\n".join(told).encode()).hexdigest()

    def next_fault(self, path: str) -> Fault:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fnmatchcase(path, fault.path):
                    fault.times -= 1
                    return fault
        return Fault(path, 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: LoopbackHub, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def log_message(self, *arguments: object) -> None:
        """Stay silent: the tests read `requests`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(Request(self.command, path, self.headers.get("Range")))
        self.hub.tokens[path] = self.headers.get("Authorization")
        fault = self.hub.next_fault(path)
        time.sleep(fault.silence)
        if fault.status != 200:
            return self.answer(fault.status, fault.headers)
        if api := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            return self.tell(api[1], api[2] == "tree", api[3] or "main", fault)
        if file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.give(file[1], file[2], file[3], fault)
        if stored := re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)", path):
            return self.send(self.hub.files(stored[1])[stored[2]].content, fault, {})
        return self.answer(404, {})

    def tell(self, repository: str, tree: bool, revision: str, fault: Fault) -> None:
        files, commit = self.hub.files(repository), self.hub.commit(repository)
        if not files:
            # A hub tells those who are not logged in that they are, for repositories that do not exist.
            return self.answer(401, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", commit):
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        told: Any
        if tree:
            told = [
                {"type": "file", "path": path, "size": len(blob.content), "oid": blob.git}
                | ({"lfs": {"oid": blob.sha256, "size": len(blob.content), "pointerSize": 134}} if blob.lfs else {})
                for path, blob in files.items()
            ]
        else:
            siblings = [
                {"rfilename": path, "size": len(blob.content), "blobId": blob.git}
                | ({"lfs": {"sha256": blob.sha256, "size": len(blob.content), "pointerSize": 134}} if blob.lfs else {})
                for path, blob in files.items()
            ]
            if "blobs=true" not in self.path:
                siblings = [{"rfilename": path} for path in files]
            told = {"id": repository, "modelId": repository, "sha": commit, "private": False, "siblings": siblings}
        return self.send(json.dumps(told).encode(), fault, {"Content-Type": "application/json"})

    def give(self, repository: str, revision: str, path: str, fault: Fault) -> None:
        files, commit = self.hub.files(repository), self.hub.commit(repository)
        if not files:
            return self.answer(401, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", commit):
            return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        if path not in files:
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        blob = files[path]
        headers = {"ETag": f'"{blob.git}"', "X-Repo-Commit": commit}
        if blob.lfs:
            headers |= {"X-Linked-ETag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
            if self.hub.storage:
                return self.answer(302, headers | {"Location": f"{self.hub.storage}/storage/{repository}/{path}"})
        return self.send(blob.content, fault, headers)

    def send(self, content: bytes, fault: Fault, headers: Mapping[str, str]) -> None:
        if fault.content is not None:
            content = fault.content
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and not fault.ignores_range:
            start, total = int(wanted[1]), len(content)
            content = content[start:]
            self.answer(206, {**headers, "Content-Range": f"bytes {start}-{total - 1}/{total}"}, len(content))
        else:
            self.answer(200, headers, len(content))
        if self.command == "HEAD":
            return
        end = len(content) if fault.cut_after is None else fault.cut_after
        step = 1024 if fault.drip else 1 << 20
        try:
            for start in range(0, end, step):
                time.sleep(fault.drip)
                self.wfile.write(content[start : min(start + step, end)])
        except OSError:  # nobody listens any more
            self.close_connection = True
        if end < len(content):
            self.close_connection = True

    def answer(self, status: int, headers: Mapping[str, str], length: int = 0) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()
