"""What is said of votes: who wins only where it is sure."""

from __future__ import annotations

import pytest

from visexplore.core.report.tournament_words import progress_sentence, standing_sentences
from visexplore.core.standing import Rating, Standing, Step, plain_name


def standing(*steps: Step, votes: int = 9, ties: int = 0, gap: float = 50.0) -> Standing:
    names = "abcd"[: len(steps) + 1]
    ratings = tuple(Rating(f"{name}#12ab", -gap * place, -99.0, 99.0, votes) for place, name in enumerate(names))
    return Standing(ratings, steps, votes, ties)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (standing("ahead"), "a is preferred to b, surely."),
        (standing("ahead", "open"), "a is preferred to all others, surely."),
        (standing("same"), "a and b are equally good."),
        (standing("same", "ahead"), "a and b are equally good, and surely preferred to the others."),
        (standing("same", "same", "open"), "a, b and c are equally good, and ahead so far."),
        (standing("open"), "a leads b by 50 points, which may be chance."),
        (standing("open", gap=0.1), "a and b are level so far."),
        (standing(), "a is the only model."),
    ],
)
def test_who_is_ahead(of: Standing, said: str) -> None:
    assert standing_sentences(of)[0] == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (standing("ahead", votes=1), "1 vote: the order is settled."),
        (standing("open", ties=2), "9 votes (2 ties): the order is open."),
        (standing("ahead", "open"), "9 votes: 1 of 2 places in the order is open."),
        (standing("open", "open"), "9 votes: 2 of 2 places in the order are open."),
    ],
)
def test_how_far_the_votes_have_got(of: Standing, said: str) -> None:
    assert progress_sentence(of) == said


def test_without_votes_nothing_is_said_of_any_model() -> None:
    assert standing_sentences(standing("open", votes=0)) == ["No votes yet."]


def test_a_name_in_votes_is_shown_without_its_digest() -> None:
    assert [plain_name(name) for name in ("lite0#12ab", "folder#1/x#12ab", "plain")] == ["lite0", "folder#1/x", "plain"]
