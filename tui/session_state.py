"""What the explorer remembers of each dataset until the next start: a small JSON file each, below the home folder.

Nothing of it matters enough to disturb anybody: files that are broken or not ours are passed over, and a home that
cannot be written is put up with.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from zlib import crc32

_VERSION = 1
_PAUSE = 1.0  # seconds between two writes
_LARGEST = 4_000_000  # bytes: no file of ours is as long
_MOST_FILES = 200
_STALE = 3600.0  # seconds after which a file that was never renamed belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where a user left a dataset.

    Attributes:
        spec: opens the dataset.
        title: its short name.
        model: what names the model: its slug, or the id of one outside the catalogue.
        image_id: query, where it was an image of the dataset.
        path: query, where it was a file outside of it, or an address.
        text: query, where it was words.
        panel: id of the active panel.
        label: whose images were listed; None for all.
        words: filter of the images.
        others: what other parts of the explorer keep: anything that JSON can hold, by their names.
    """

    spec: str
    title: str = ""
    model: str = ""
    image_id: str = ""
    path: str = ""
    text: str = ""
    panel: str = ""
    label: str | None = None
    words: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)

    def strings(self, name: str) -> list[str]:
        """Return a list of words that was kept in `others`; an empty one if there is none."""
        kept = self.others.get(name)
        return [word for word in kept if isinstance(word, str)] if isinstance(kept, list) else []


class Sessions:
    """The states of all datasets: those of this run at once in memory, on disk a second later.

    Args:
        folder: of the files; None keeps nothing on disk.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._states: dict[str, tuple[float, SessionState]] = {}
        self._unwritten: dict[str, SessionState] = {}
        self._lock = threading.Lock()  # of the two above
        self._writing = threading.Lock()
        self._due: threading.Timer | None = None

    def recall(self, spec: str) -> SessionState | None:
        """Return the state of a dataset, read from its file unless it is known."""
        with self._lock:
            known = self._states.get(spec)
        if known is None and self._folder is not None:
            known = _read(self._file(spec))
            if known is not None and known[1].spec == spec:
                self._learn(*known)
            else:
                known = None
        return known[1] if known else None

    def read_all(self) -> None:
        """Read all files, and delete those too many. May take as long as a slow disk: call it in a thread."""
        if self._folder is None:
            return
        found = []
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                if file.suffix == ".tmp":
                    _delete_if_stale(file)
                elif file.suffix == ".json" and (read := _read(file)):
                    found.append((read, file))
        found.sort(key=lambda entry: entry[0][0], reverse=True)
        for (when, state), _ in found[:_MOST_FILES]:
            self._learn(when, state)
        for _, file in found[_MOST_FILES:]:
            with contextlib.suppress(OSError):
                file.unlink()

    def _learn(self, when: float, state: SessionState) -> None:
        with self._lock:
            if state.spec not in self._states:  # what this run knows is newer
                self._states[state.spec] = when, state

    def recent(self) -> list[SessionState]:
        """Return the known states of datasets, the one used last first."""
        with self._lock:
            newest_first = sorted(self._states.values(), key=lambda entry: -entry[0])
        return [state for _, state in newest_first if state.title]

    def keep(self, state: SessionState) -> None:
        """Remember a state; it is written within a second, in a thread of its own."""
        with self._lock:
            known = self._states.get(state.spec)
            if known is not None and known[1] == state:
                return
            self._states[state.spec] = time.time(), state
            if self._folder is None:
                return
            self._unwritten[state.spec] = state
            if self._due is None:
                self._due = threading.Timer(_PAUSE, self._write)
                self._due.daemon = True
                self._due.start()

    def keep_other(self, spec: str, name: str, value: object) -> None:
        """Remember one of the `others` of a dataset."""
        state = self.recall(spec) or SessionState(spec)
        self.keep(replace(state, others={**state.others, name: value}))

    def close(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            if self._due is not None:
                self._due.cancel()
        self._write()

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                self._due = None
                states, self._unwritten = self._unwritten, {}
            for state in states.values():
                _write(self._file(state.spec), state)

    def _file(self, spec: str) -> Path:
        assert self._folder is not None
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", spec)[-40:].strip("-.") or "dataset"
        return self._folder / f"{name}-{crc32(os.fsencode(spec)):08x}.json"


def _read(file: Path) -> tuple[float, SessionState] | None:
    """Return when a file was written and the state in it; None if it is broken or not ours."""
    import json  # 3 ms, and at the first start there is nothing to read

    try:
        with file.open("rb") as stream:
            when = os.fstat(stream.fileno()).st_mtime
            values = json.loads(stream.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.pop("version", None) != _VERSION:
        return None
    types: dict[str, type | tuple[type, ...]] = {entry.name: str for entry in fields(SessionState)}
    types |= {"label": (str, type(None)), "others": dict}
    # A later version may know more: what this one does not know is left out, and what it needs has to be right.
    values = {name: value for name, value in values.items() if name in types}
    if not values.get("spec") or any(not isinstance(value, types[name]) for name, value in values.items()):
        return None
    path = values.get("path", "")
    if path and not os.path.isfile(path):  # noqa: PTH113 - false for what can be no path at all
        values["path"] = ""  # gone; an address would be asked for without a word
    return when, SessionState(**values)


def _write(file: Path, state: SessionState) -> None:
    import json

    draft = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        text = json.dumps({"version": _VERSION, **asdict(state)}, indent=1)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, "utf-8")
        draft.replace(file)
    except (OSError, TypeError, ValueError):
        with contextlib.suppress(OSError):
            draft.unlink()


def _delete_if_stale(file: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - file.stat().st_mtime > _STALE:
            file.unlink()
