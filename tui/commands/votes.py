"""`visexplore votes`: what the blind tournament on a dataset has come to, and beginning it anew."""

from __future__ import annotations

import sys

from visexplore.core.blind_tournament import standing_of, vote_file
from visexplore.core.errors import UserError
from visexplore.core.explorer import Explorer
from visexplore.core.report.tournament_words import standing_sentences
from visexplore.core.standing import plain_name
from visexplore.core.text import count, printable
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Column, Output

_STEPS = {"ahead": "surely ahead of the next", "same": "as good as the next", "open": "open"}


def run(options: Globals, spec: str, *, reset: bool, yes: bool, as_json: bool) -> int:
    """Print the standing of the models that were voted on, or delete the votes."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings)
    file, title = vote_file(explorer, spec), explorer.dataset(spec).title
    cast = len(file.read())
    if reset:
        if cast and not yes:
            _ask(count(cast, "vote"), title)
        file.clear()
        if as_json:
            output.json({"deleted": cast, "file": str(file.path)})
        else:
            output.line(f"Deleted {count(cast, 'vote')} on {title}." if cast else f"There are no votes on {title}.")
        return 0
    standing = standing_of(file.read())
    if as_json:
        output.json(
            {
                "dataset": explorer.dataset(spec).spec,
                "file": str(file.path),
                "votes": standing.votes,
                "ties": standing.ties,
                "settled": bool(standing.votes) and standing.settled,
                "standing": [
                    {
                        "model": plain_name(one.model),
                        "recipe": one.model.rpartition("#")[2],
                        "rating": one.rating,
                        "low": one.low,
                        "high": one.high,
                        "votes": one.votes,
                        "next": step,
                    }
                    for one, step in zip(standing.ratings, [*standing.steps, None], strict=True)
                ]
                if standing.votes
                else [],
            }
        )
        return 0
    if not standing.votes:
        output.line(f"No votes on {title} yet: open it with `visexplore`, embed two models, and press T.")
        return 0
    for sentence in standing_sentences(standing):
        output.line(sentence)
    columns = [
        Column("model", style="bold"),
        Column("rating", right=True),
        Column("95 % interval", right=True),
        Column("votes", right=True),
        Column("order"),
        Column("recipe", least=100),
    ]
    output.table(
        columns,
        [
            (
                plain_name(one.model),
                f"{round(one.rating):+d}",
                f"{round(one.low):+d} to {round(one.high):+d}",
                f"{one.votes:,}",
                _STEPS[step] if step else "",
                one.model.rpartition("#")[2],
            )
            for one, step in zip(standing.ratings, [*standing.steps, None], strict=True)
        ],
    )
    output.note("Elo points, of the queries on which the models differ most: 400 more are ten wins to one.")
    return 0


def _ask(what: str, title: str) -> None:
    """Say what would go and ask.

    Raises:
        UserError: nobody can answer, or the answer is no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(f"This would delete {what} on {title}", "Give --yes to do so.")
    sys.stderr.write(f"Delete {what} on {printable(title)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was deleted")
