"""Conditions on a comparison, for somebody's CI: `recall@5 < 0.8`, `low(map_at_r) of efficientnet-lite0 <= 0.5`.

    CONDITION = SCORE [of MODEL] OP NUMBER
    SCORE     = a score, low(SCORE) or high(SCORE) for the ends of its interval, or a cost
    OP        = < <= > >=

Without a model it is asked of every row that is no baseline.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from visexplore.core.comparison import Comparison, Interval, Judged
from visexplore.core.errors import UserError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COSTS = ("images_per_second", "bytes_per_million", "parameters", "device_memory")
_GRAMMAR = re.compile(
    r"\s*(?:(?P<end>low|high)\((?P<inner>[a-z_@0-9]+)\)|(?P<score>[a-z_@0-9]+))"
    r"(?:\s+of\s+(?P<model>\S.*?))?\s*(?P<operator><=|>=|<|>)\s*(?P<number>[-+0-9.eE]+)\s*"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What must not hold.

    Attributes:
        text: as it was written.
        score: name of a score, of a cost, or `hubness`.
        end: `low` or `high` for that end of the score's interval; empty for its mean.
        model: whose; empty for every model that is no baseline.
        operator: `<`, `<=`, `>` or `>=`.
        number: to compare with.
    """

    text: str
    score: str
    end: str
    model: str
    operator: str
    number: float

    def holds(self, found: Comparison) -> list[str]:
        """Return a sentence for each model for which it holds, or of which the value is not known.

        What cannot be checked must not pass in silence.

        Raises:
            UserError: there is no such score or model.
        """
        rows = [row for row in found.models if (row.model == self.model if self.model else row.kind != "baseline")]
        if not rows:
            names = ", ".join(row.model for row in found.models)
            raise UserError(
                f"'{self.text}' is about a model that was not compared: {self.model}", f"Compared: {names}."
            )
        return [sentence for row in rows if (sentence := self._of(row))]

    def _of(self, row: Judged) -> str:
        known = [*row.scores, *_COSTS, "hubness"]
        if self.score not in known or (self.end and self.score not in row.scores):
            raise UserError(f"'{self.text}' asks for a score that there is not", f"Known here: {', '.join(known)}.")
        value = _value(row, self.score, self.end)
        if value is None or math.isnan(value):
            return f"{row.model} has no {self.score}, so '{self.text}' cannot be checked."
        if _OPERATORS[self.operator](value, self.number):
            asked = f"{self.end}({self.score})" if self.end else self.score
            return f"{asked} of {row.model} is {value:.4g}: {self.text}."
        return ""


def _value(row: Judged, score: str, end: str) -> float | None:
    if score == "hubness":
        return row.hubness
    if score in _COSTS:
        cost: float | None = getattr(row.cost, score)
        return cost
    interval: Interval = row.scores[score]
    return {"": interval.value, "low": interval.low, "high": interval.high}[end]


def parse_condition(text: str) -> Condition:
    """Return the condition that a text means.

    Raises:
        UserError: it is none.
    """
    found = _GRAMMAR.fullmatch(text)
    try:
        number = float(found["number"]) if found else math.nan
    except ValueError:
        number = math.nan
    if found is None or not math.isfinite(number):
        raise UserError(
            f"'{text}' is no condition", "It looks like 'recall@5 < 0.8' or 'low(map_at_r) of MODEL <= 0.5'."
        )
    return Condition(
        text=" ".join(text.split()),
        score=found["inner"] or found["score"],
        end=found["end"] or "",
        model=(found["model"] or "").strip(),
        operator=found["operator"],
        number=number,
    )
