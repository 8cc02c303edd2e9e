"""The votes of a blind tournament, on disk: one JSON object a line, added and never changed.

A line counts once it ends. What a kill leaves of one is ignored, and so is anything else that is no vote.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from visexplore.core.errors import StorageError

Outcome = Literal["left", "right", "tie", "skip"]


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person said of two strips for one query.

    Attributes:
        query: image id.
        left: model of the left strip; a name that changes with its recipe.
        right: model of the right strip.
        outcome: which strip was better; `skip` if there is nothing to be said, and the query is not to come again.
    """

    query: str
    left: str
    right: str
    outcome: Outcome


class VoteFile:
    """Votes in a file, in the order in which they were cast.

    Args:
        path: the file; made with its folder at the first vote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Vote]:
        """Return the votes that stand; none if there is no file.

        Raises:
            StorageError: the file cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"The votes in {self.path} cannot be read ({error.strerror})", "Check who may read that file."
            ) from error
        votes: list[Vote] = []
        for line in data.split(b"\n")[:-1]:  # what follows the last line end was cut off
            match _parse(line):
                case Vote() as vote:
                    votes.append(vote)
                case "undo" if votes:
                    votes.pop()
        return votes

    def append(self, vote: Vote) -> None:
        """Add a vote; it is on disk when this returns.

        Raises:
            StorageError: the file cannot be written.
        """
        self._append(asdict(vote))

    def undo(self) -> None:
        """Take the last vote that stands back; it stays in the file, followed by a line that says so.

        Raises:
            StorageError: the file cannot be written.
        """
        self._append({"undo": True})

    def clear(self) -> None:
        """Delete the file.

        Raises:
            StorageError: it cannot be deleted.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The votes in {self.path} cannot be deleted ({error.strerror})", "Check who may write there."
            ) from error

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("ab+") as file:
                line = json.dumps(entry).encode() + b"\n"
                # The first half of a line that was cut off must not swallow this one.
                file.write(line if _ends_a_line(file.fileno()) else b"\n" + line)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(
                f"The vote cannot be written to {self.path} ({error.strerror})",
                "Free some space or check who may write there; the votes before it are kept.",
            ) from error


def _parse(line: bytes) -> Vote | Literal["undo"] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):  # also of bytes that are no UTF-8
        return None
    if entry == {"undo": True}:
        return "undo"
    if not isinstance(entry, dict) or set(entry) != {"query", "left", "right", "outcome"}:
        return None
    if not all(isinstance(value, str) for value in entry.values()) or entry["outcome"] not in get_args(Outcome):
        return None
    return Vote(**entry)


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
