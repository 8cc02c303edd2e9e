"""The verdict in words, for whoever has to choose: no more than the statistics support.

A model is "surely" better only where the pairwise test, corrected for the number of pairs, says so; where it does not,
the two are called a tie. Baselines are in no pairwise test, so only their intervals are told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from visexplore.core.comparison import Comparison, Interval, Judged, Pair, score_title
from visexplore.core.text import printable

FEW_QUERIES: Final = 50
"""Below this the tests were not tried by simulation, and can tell only large differences."""

_NAMED = 3  # more names than this make a sentence unreadable
_NOTABLY = 1.1  # times as fast or as small that are worth a word


def verdict_sentences(comparison: Comparison) -> list[str]:
    """Return the verdict as sentences, the most important first; never empty, safe to print."""
    if not comparison.labelled:
        return _without_labels(comparison)
    ranked = _ranked(comparison)
    if not ranked or not comparison.queries:
        return ["No query could be scored, so nothing says which model is best."]
    models = [row for row in ranked if row.kind != "baseline"]
    baselines = [row for row in ranked if row.kind == "baseline"]
    if not models:
        return [f"Only baselines were scored; the highest is {_scored(comparison, baselines[0])}."]
    said = [*_about_best(comparison, models), *_about_baselines(comparison, models[0], baselines)]
    if baselines and _value(comparison, baselines[0]) >= _value(comparison, models[0]):
        said = [said[-1], *said[:-1]]  # whoever reads one sentence only must read this one
    if comparison.queries < FEW_QUERIES:
        said.append(
            f"Only {_queries(comparison.queries)} could be scored: "
            "too few to tell models apart unless they differ much."
        )
    return said + _about_duplicates(comparison, models)


def oriented(pair: Pair, first: str) -> Pair:
    """Return `pair` with the model `first`, one of its two, as `a`."""
    if pair.a == first:
        return pair
    turned = {"better": "worse", "worse": "better", "tie": "tie"}
    return Pair(
        pair.b,
        pair.a,
        -pair.difference,
        -pair.high,
        -pair.low,
        pair.p,
        pair.p_holm,
        turned[pair.verdict],  # type: ignore[arg-type]  # the same three words
    )


def _about_best(comparison: Comparison, models: Sequence[Judged]) -> list[str]:
    best, others = models[0], models[1:]
    against = {
        pair.b: pair
        for pair in (oriented(pair, best.model) for pair in comparison.pairs if best.model in (pair.a, pair.b))
    }
    beaten = [row for row in others if row.model in against and against[row.model].verdict == "better"]
    ties = [row for row in others if row.model in against and against[row.model].verdict != "better"]
    untested = [row for row in others if row.model not in against]
    score = _score(comparison, best)
    name, title = printable(best.model), score_title(comparison.main)
    surely = f"surely better than {_names(beaten, of=len(others))}"
    if not others:
        return [f"{name} has {title} {score}; no other model was compared with it."]
    if ties:
        tied = f"it is a tie with {_names(ties, of=len(others))}: these queries cannot tell which is better"
        behind = f", {surely}" if beaten else ""
        first = f"{name} has the highest {title}, {score}{behind}, but {tied}."
    elif beaten:
        first = f"{name} is best: {title} {score}, {surely}."
    else:
        first = f"{name} has the highest {title}, {score}; no test says whether that is chance."
    said = [first]
    said += [_about_tie(comparison, best, row, against[row.model]) for row in ties[:_NAMED]]
    if beaten and untested:
        said.append(f"No test compares it with {_names(untested, of=0)}.")
    return said


def _about_tie(comparison: Comparison, best: Judged, other: Judged, pair: Pair) -> str:
    """Say how far a tie is behind, what the true difference may be, and what it is cheaper in."""
    digits = _digits(comparison)
    behind = f"{pair.difference:.{digits}f} behind" if round(pair.difference, digits) else "the same mean"
    gains = _gains(best, other)
    but = f", and {' and '.join(gains)}" if gains else ""
    return (
        f"{printable(other.model)} is a tie with {printable(best.model)} ({behind}; "
        f"the true difference may be {_fixed(pair.low, digits)} to {_fixed(pair.high, digits)}){but}."
    )


def _gains(best: Judged, other: Judged) -> list[str]:
    """Return what `other` is clearly cheaper in, speeds only where they were measured on the same device."""
    gains = []
    ours, theirs = best.cost.images_per_second, other.cost.images_per_second
    same_device = best.cost.device and best.cost.device == other.cost.device
    if ours and theirs and same_device and theirs / ours >= _NOTABLY:
        gains.append(f"{theirs / ours:.1f} times as fast")
    if best.cost.bytes_per_million and other.cost.bytes_per_million:
        smaller = best.cost.bytes_per_million / other.cost.bytes_per_million
        if smaller >= _NOTABLY:
            gains.append(f"its index is {smaller:.1f} times smaller")
    return gains


def _about_baselines(comparison: Comparison, best: Judged, baselines: Sequence[Judged]) -> list[str]:
    if not baselines:
        return []
    top = baselines[0]
    title = score_title(comparison.main)
    if _value(comparison, top) >= _value(comparison, best):
        return [
            f"No model scores higher than a baseline here: {printable(top.model)} has {title} "
            f"{_score(comparison, top)}, the best model, {printable(best.model)}, {_score(comparison, best)}."
        ]
    if top.scores[comparison.main].high >= best.scores[comparison.main].low:
        return [
            f"The interval of the best baseline, {_scored(comparison, top)}, overlaps that of {printable(best.model)}: "
            "it is not sure that any model is better than it."
        ]
    return [f"The best baseline is {_scored(comparison, top)}."]


def _about_duplicates(comparison: Comparison, models: Sequence[Judged]) -> list[str]:
    """Say so if another model has the highest score once near-duplicates are left out."""
    left = [(row.without_duplicates.get(comparison.main, math.nan), row) for row in models]
    left = [(value, row) for value, row in left if math.isfinite(value)]
    if len(left) < 2 or not comparison.duplicates:
        return []
    highest, leader = max(left, key=lambda one: one[0])
    ours = models[0].without_duplicates.get(comparison.main, math.nan)
    digits = _digits(comparison)
    if not math.isfinite(ours) or f"{highest:.{digits}f}" == f"{ours:.{digits}f}":
        return []
    return [
        f"Without near-duplicates {printable(leader.model)} has the highest {score_title(comparison.main)}, "
        f"{highest:.{digits}f} against {ours:.{digits}f} of {printable(models[0].model)}; "
        "that difference is not tested."
    ]


def _without_labels(comparison: Comparison) -> list[str]:
    said = ["There are no labels, so nothing here says which model is right, only where they differ."]
    agreed = sorted(comparison.agreement, key=lambda pair: -pair.overlap)
    if agreed:
        most, least = agreed[0], agreed[-1]
        said.append(
            f"{printable(most.a)} and {printable(most.b)} agree most: they share {most.overlap:.0%} of the "
            f"{comparison.k} nearest images of a query in the mean."
        )
        if len(agreed) > 1:
            said.append(f"{printable(least.a)} and {printable(least.b)} agree least: {least.overlap:.0%}.")
    tried = [(_mean(row.self_retrieval), row) for row in comparison.models if row.self_retrieval]
    tried = [one for one in tried if math.isfinite(one[0]) and one[1].kind != "baseline"]
    if len(tried) > 1:
        share, row = max(tried, key=lambda one: one[0])
        said.append(
            f"{printable(row.model)} finds the original of a changed picture most often ({share:.0%}): a proxy, which "
            "says how steady a model is, not how good."
        )
    if comparison.contested:
        said.append(
            f"They differ most on {printable(comparison.contested[0].image_id)}: look at the contested queries, "
            "or vote in the blind tournament."
        )
    return said


def _ranked(comparison: Comparison) -> list[Judged]:
    """Return the rows that have a main score, the highest first; equal ones in the order of the comparison."""
    rows = [row for row in comparison.models if comparison.main in row.scores]
    rows = [row for row in rows if math.isfinite(_value(comparison, row))]
    return sorted(rows, key=lambda row: -_value(comparison, row))


def _value(comparison: Comparison, row: Judged) -> float:
    return row.scores[comparison.main].value


def _score(comparison: Comparison, row: Judged) -> str:
    return score_words(row.scores[comparison.main], _digits(comparison))


def score_words(interval: Interval, digits: int = 3) -> str:
    """Return a score with its interval: `0.87 (0.84 to 0.90)`."""
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _scored(comparison: Comparison, row: Judged) -> str:
    return f"{printable(row.model)} with {score_title(comparison.main)} {_score(comparison, row)}"


def _digits(comparison: Comparison) -> int:
    """Return the decimals that intervals of so many queries are worth."""
    return 2 if comparison.queries < 1000 else 3


def _names(rows: Sequence[Judged], *, of: int) -> str:
    """Return the names in words; `all 5 others` where they are all of them and too many to name."""
    names = [printable(row.model) for row in rows]
    if len(names) > _NAMED and len(names) == of:
        return f"all {of} other models"
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    comma = "; " if any("," in name for name in names) else ", "  # names of fusions have commas themselves
    return " and ".join([comma.join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _mean(shares: dict[str, float]) -> float:
    return sum(shares.values()) / len(shares)


def _fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _queries(number: int) -> str:
    return "1 query" if number == 1 else f"{number:,} queries"
