"""A blind tournament on one dataset: what to show next, and what the votes say so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visexplore.core.errors import UserError
from visexplore.core.evaluation.disputed import nearest_positions
from visexplore.core.evaluation.space import Space
from visexplore.core.evaluation.tournament import next_question, standing
from visexplore.core.evaluation.votes import Vote, VoteFile
from visexplore.core.standing import Question, Standing

if TYPE_CHECKING:
    from visexplore.core.explorer import Explorer
    from visexplore.core.messages import ModelResult

STRIP = 5
"""Neighbours of a strip."""
_MOST_QUERIES = 2000  # to choose from: more than anybody will vote on
_SEED = 0


@dataclass(frozen=True, slots=True)
class Round:
    """What to ask next and what is known; `question`, `left` and `right` are None where nothing is left to ask."""

    question: Question | None
    standing: Standing
    left: ModelResult | None = None
    right: ModelResult | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The models that take part: their spaces, and the neighbours of the queries to choose from."""

    spec: str
    spaces: tuple[Space, ...]
    models: dict[str, str]  # the model of each name in the votes
    queries: tuple[str, ...]
    neighbours: dict[str, NDArray[np.int64]]


def vote_file(explorer: Explorer, spec: str) -> VoteFile:
    """Return where the votes on a dataset are kept.

    Raises:
        UnknownDataset, EmptyDataset: see `Explorer.dataset`.
    """
    return VoteFile(explorer.settings.home / "votes" / f"{explorer.dataset(spec).slug}.jsonl")


def standing_of(votes: Sequence[Vote]) -> Standing:
    """Return the standing of all models that votes are about, in the order in which they were first voted on."""
    names = dict.fromkeys(name for vote in votes if vote.outcome != "skip" for name in (vote.left, vote.right))
    return standing(list(names), votes)


class BlindTournament:
    """Asks and takes votes; they are kept below the home folder, one file a dataset.

    In the file a model is called by its name and the digest of its recipe: votes on what it was before it was loaded
    in another way do not count for what it is now.

    Args:
        explorer: knows the dataset and its embeddings.
    """

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._field: _Field | None = None

    def ask(self, spec: str, models: Sequence[str]) -> Round:
        """Return the next question, without having voted.

        Raises:
            NotEmbedded, UnknownModel, UnknownDataset, StorageError: see `Explorer.space` and `VoteFile`.
            UserError: fewer than two models, or no image that all of them have embedded.
        """
        field = self._look(spec, models)
        votes = self._votes(spec).read()
        names = list(field.models)
        question = next_question(field.queries, field.neighbours, votes, seed=_SEED)
        if question is None:
            return Round(None, standing(names, votes))
        sides = [field.models[question.left], field.models[question.right]]
        left, right = self._explorer.query(spec, sides, image_id=question.query, k=STRIP).results
        return Round(question, standing(names, votes), left, right)

    def vote(self, spec: str, models: Sequence[str], vote: Vote | None) -> Round:
        """Keep a vote, or where it is None take back the last one on these models, and return the next question.

        Raises:
            StorageError: the vote cannot be written.
        """
        names = self._look(spec, models).models
        file = self._votes(spec)
        if vote is not None:
            file.append(vote)
        # What was cast on other models since is not the user's last word here, and stays.
        elif (cast := file.read()) and {cast[-1].left, cast[-1].right} <= set(names):
            file.undo()
        return self.ask(spec, models)

    def _votes(self, spec: str) -> VoteFile:
        return vote_file(self._explorer, spec)

    def _look(self, spec: str, models: Sequence[str]) -> _Field:
        spaces = tuple(self._explorer.space(spec, model) for model in models)
        known = self._field
        # A space is made anew when what is embedded has changed.
        same = known is not None and known.spec == spec and len(known.spaces) == len(spaces)
        if known is None or not same or any(a is not b for a, b in zip(known.spaces, spaces, strict=True)):
            known = self._field = self._enter(spec, models, spaces)
        return known

    def _enter(self, spec: str, models: Sequence[str], spaces: tuple[Space, ...]) -> _Field:
        if len(spaces) < 2:
            raise UserError("A tournament needs two models", "Embed the dataset with another one.")
        everywhere = reduce(np.intersect1d, (space.positions for space in spaces))
        k = min(STRIP, min(len(space.positions) for space in spaces) - 1)
        if not len(everywhere) or k < 1:
            raise UserError("There is no image with neighbours under all of these models", "Embed the rest first.")
        if len(everywhere) > _MOST_QUERIES:
            chosen = np.random.default_rng(_SEED).choice(len(everywhere), _MOST_QUERIES, replace=False)
            everywhere = everywhere[np.sort(chosen)]
        records = self._explorer.dataset(spec).records
        queries = tuple(records[position].image_id for position in everywhere.tolist())
        results = self._explorer.query(spec, models, image_id=queries[0], k=1).results
        names = [f"{model}#{result.recipe}" for model, result in zip(models, results, strict=True)]
        return _Field(
            spec=spec,
            spaces=spaces,
            models=dict(zip(names, models, strict=True)),
            queries=queries,
            neighbours={
                name: nearest_positions(space, everywhere, k) for name, space in zip(names, spaces, strict=True)
            },
        )
