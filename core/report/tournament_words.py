"""What a blind tournament says, in words: no more than the votes support."""

from __future__ import annotations

from visexplore.core.standing import Standing, plain_name
from visexplore.core.text import count, printable


def standing_sentences(standing: Standing) -> list[str]:
    """Return who is ahead, and how far the votes have got, as sentences that are safe to print; never empty."""
    if not standing.votes:
        return ["No votes yet."]
    return [_winner(standing), progress_sentence(standing)]


def progress_sentence(standing: Standing) -> str:
    """Return how many votes there are, and what of the order is still open."""
    said = count(standing.votes, "vote")
    if standing.ties:
        said += f" ({count(standing.ties, 'tie')})"
    left, places = standing.steps.count("open"), len(standing.steps)
    if not left:
        return f"{said}: the order is settled."
    if places == 1:
        return f"{said}: the order is open."
    return f"{said}: {left} of {places} places in the order {'is' if left == 1 else 'are'} open."


def _winner(standing: Standing) -> str:
    names = [printable(plain_name(rating.model)) for rating in standing.ratings]
    first, steps = standing.ratings[0], standing.steps
    if not steps:
        return f"{names[0]} is the only model."
    if steps[0] == "ahead":
        others = names[1] if len(names) == 2 else "all others"
        return f"{names[0]} is preferred to {others}, surely."
    if steps[0] == "same":
        equal = 1 + next((at for at, step in enumerate(steps) if step != "same"), len(steps))
        together = f"{', '.join(names[: equal - 1])} and {names[equal - 1]}"
        if equal == len(names):
            return f"{together} are equally good."
        beyond = "surely preferred to the others" if steps[equal - 1] == "ahead" else "ahead so far"
        return f"{together} are equally good, and {beyond}."
    lead = first.rating - standing.ratings[1].rating
    if lead < 1:
        return f"{names[0]} and {names[1]} are level so far."
    return f"{names[0]} leads {names[1]} by {lead:.0f} points, which may be chance."
