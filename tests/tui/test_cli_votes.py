"""`visexplore votes`: the standing for people and programs, and beginning anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.command_line import EVIL, CommandLine
from visexplore.core.blind_tournament import vote_file
from visexplore.core.evaluation.votes import Outcome, Vote
from visexplore.core.explorer import Explorer
from visexplore.core.settings import load_settings

Cast = Callable[..., Path]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def cast() -> Cast:
    """Cast votes on the bundled sample; returns their file."""

    def vote(*votes: tuple[str, str, Outcome]) -> Path:
        file = vote_file(Explorer(load_settings()), "sample")
        for number, (left, right, outcome) in enumerate(votes):
            file.append(Vote(f"{number}.jpg", f"{left}#12ab", f"{right}#34cd", outcome))
        return file.path

    return vote


def test_the_standing_is_printed_with_the_winner_in_words(cli: CommandLine, cast: Cast) -> None:
    cast(*[("lite0", "lite1", "left")] * 30)
    shown = cli("votes", "sample")
    assert shown.code == 0
    assert "lite0 is preferred to lite1, surely." in shown.out
    assert "30 votes: the order is settled." in shown.out
    assert [line.split()[0] for line in shown.out.splitlines()[3:]] == ["lite0", "lite1"]


def test_programs_get_ratings_with_intervals(cli: CommandLine, cast: Cast) -> None:
    path = cast(("lite0", "lite1", "left"), ("lite0", "lite1", "tie"), ("lite0", "lite1", "skip"))
    found = cli("votes", "sample", "--json").json
    assert (found["votes"], found["ties"], found["settled"], found["file"]) == (2, 1, False, str(path))
    first, second = found["standing"]
    assert (first["model"], first["recipe"], first["next"]) == ("lite0", "12ab", "open")
    assert (second["model"], second["recipe"], second["next"]) == ("lite1", "34cd", None)
    assert first["low"] < first["rating"] < first["high"]
    assert first["rating"] == pytest.approx(-second["rating"])


def test_without_votes_it_is_said_how_to_cast_them(cli: CommandLine) -> None:
    shown = cli("votes", "sample")
    assert (shown.code, shown.err) == (0, "")
    assert "press T" in shown.out
    assert cli("votes", "sample", "--json").json["standing"] == []


def test_votes_are_not_deleted_without_a_word_of_the_user(cli: CommandLine, cast: Cast) -> None:
    path = cast(("lite0", "lite1", "left"))
    refused = cli("votes", "sample", "--reset")
    assert refused.code == 2
    assert refused.err == "Error: This would delete 1 vote on sample. Give --yes to do so.\n"
    assert path.exists()


def test_yes_deletes_them(cli: CommandLine, cast: Cast) -> None:
    path = cast(("lite0", "lite1", "left"))
    assert cli("votes", "sample", "--reset", "--yes").out == "Deleted 1 vote on sample.\n"
    assert not path.exists()
    assert cli("votes", "sample", "--reset", "--json").json["deleted"] == 0


def test_evil_names_are_harmless(cli: CommandLine, cast: Cast) -> None:
    cast((EVIL, "lite1", "left"))
    assert "\x1b" not in cli("votes", "sample").out
