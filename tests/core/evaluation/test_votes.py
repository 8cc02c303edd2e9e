from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visexplore.core.errors import StorageError
from visexplore.core.evaluation.votes import Outcome, Vote, VoteFile

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VOTES = st.builds(Vote, query=TEXTS, left=TEXTS, right=TEXTS, outcome=st.sampled_from(["left", "right", "tie"]))
ONE, TWO, THREE = (Vote(f"{name}.jpg", "a", "b", "left") for name in ("one", "two", "three"))


@pytest.fixture
def file(tmp_path: Path) -> VoteFile:
    return VoteFile(tmp_path / "tournaments" / "votes.jsonl")


@settings(max_examples=25)
@given(st.lists(VOTES, max_size=8))
def test_votes_are_read_back_as_they_were_cast(votes: list[Vote]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "votes.jsonl")
        for vote in votes:
            VoteFile(path).append(vote)
        assert VoteFile(path).read() == votes


def test_a_file_that_is_not_there_holds_no_votes(file: VoteFile) -> None:
    assert file.read() == []


def test_the_last_vote_can_be_taken_back_again_and_again(file: VoteFile) -> None:
    for vote in (ONE, TWO, THREE):
        file.append(vote)
    file.undo()
    file.undo()
    assert file.read() == [ONE]
    file.append(THREE)
    assert file.read() == [ONE, THREE]


def test_taking_back_what_was_never_cast_does_nothing(file: VoteFile) -> None:
    file.undo()
    file.append(ONE)
    assert file.read() == [ONE]


def test_a_file_that_is_cut_anywhere_keeps_all_whole_lines_and_takes_new_ones(file: VoteFile) -> None:
    for vote in (ONE, TWO):
        file.append(vote)
    whole = file.path.read_bytes()
    for length in range(len(whole)):
        file.path.write_bytes(whole[:length])
        kept = [ONE, TWO][: whole[:length].count(b"\n")]
        assert file.read() == kept
        file.append(THREE)
        assert file.read() == [*kept, THREE] or whole[length : length + 1] == b"\n"


def test_a_line_whose_end_alone_was_lost_is_no_vote_until_the_next_one_ends_it(file: VoteFile) -> None:
    file.append(ONE)
    file.path.write_bytes(file.path.read_bytes()[:-1])
    assert file.read() == []
    file.append(TWO)
    assert file.read() == [ONE, TWO]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'"undo"',
        b'{"undo": false}',
        b'{"query": "x", "left": "a", "right": "b", "outcome": "both"}',
        b'{"query": "x", "left": "a", "right": "b", "outcome": []}',
        b'{"query": 1, "left": "a", "right": "b", "outcome": "tie"}',
        b'{"query": "x", "left": "a", "right": "b", "outcome": "tie", "more": "x"}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_lines_that_are_no_votes_are_ignored(line: bytes, file: VoteFile) -> None:
    file.append(ONE)
    with file.path.open("ab") as raw:
        raw.write(line + b"\n")
    file.append(TWO)
    assert file.read() == [ONE, TWO]


def test_a_file_that_cannot_be_read_or_written_is_said_so(file: VoteFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be read"):
        file.read()
    with pytest.raises(StorageError, match="cannot be written"):
        file.append(ONE)


WRITER = """
import sys
from pathlib import Path
from visexplore.core.evaluation.votes import Vote, VoteFile
file = VoteFile(Path(sys.argv[1]))
for number in range(100_000):
    file.append(Vote(f"{number}", "a" * 5000, "b", "tie"))
    print(number, flush=True)
"""


def test_a_kill_loses_no_vote_that_was_cast(file: VoteFile) -> None:
    for _ in range(2):
        before = len(file.read())
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file.path)], stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(0.2)
        os.kill(writer.pid, signal.SIGKILL)
        said = 1 + writer.stdout.read().count(b"\n")
        writer.wait()
        found = file.read()[before:]
        assert said <= len(found) <= said + 1
        assert [vote.query for vote in found] == [str(number) for number in range(len(found))]


def test_each_vote_is_synced(file: VoteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    file.append(ONE)
    assert len(synced) == 2  # the file, and the folder that has a new file
    file.append(TWO)
    assert len(synced) == 3


def test_outcomes_are_four() -> None:
    assert set(Outcome.__args__) == {"left", "right", "tie", "skip"}  # type: ignore[attr-defined]
