"""A comparison in a file, with all that decides it: to do it again, and to tell what has changed since."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from visexplore.core.comparison import Comparison, Interval, score_title
from visexplore.core.errors import StorageError, UserError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison was asked for; see `Explorer.compare`.

    Attributes:
        spec: of the dataset.
        models: as they were named.
        ks: K of Recall@K.
        split: which images take part; None for the dataset's own choice.
        main: the score that decides.
        duplicates: also scored without near-duplicates.
        baselines: took part.
        self_retrieval: changed pictures.
        device: as it was named.
        precision: as it was named.
    """

    spec: str
    models: tuple[str, ...]
    ks: tuple[int, ...]
    split: str | None
    main: str
    duplicates: bool
    baselines: bool
    self_retrieval: int
    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison and what it was asked for."""

    asked: Asked
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same in two comparisons.

    Attributes:
        kind: `order`, `score`, `model`, `recipe`, `dataset`, `version` or `within` (a score that changed within its
            intervals).
        model: whose; empty where it is of none.
        sentence: that tells it.
    """

    kind: str
    model: str
    sentence: str


def write_verdict(file: Path, comparison: Comparison, asked: Asked) -> None:
    """Write a comparison, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    document = {"format": FORMAT, "asked": asdict(asked), "comparison": asdict(comparison)}
    fresh = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump(_without_nan(document), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror or error})", "Name another file or free some space."
        ) from error


def read_verdict(file: Path) -> Verdict:
    """Read what `write_verdict` wrote.

    Raises:
        UserError: there is no such file, or it is no verdict.
    """
    try:
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is no verdict file: it is not JSON", "Write one with --save FILE.") from error
    version = document.get("format") if isinstance(document, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise UserError(f"{file} was written by a newer visexplore (format {version})", "Update this one.")
    try:
        found: Verdict = _adapter().validate_python({name: document[name] for name in ("asked", "comparison")})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is no verdict file, or it is damaged ({_where(error)})", "Write one with --save FILE."
        ) from error
    return found


@cache
def _adapter() -> Any:  # noqa: ANN401 - pydantic's own type; it takes long to import
    from pydantic import TypeAdapter

    return TypeAdapter(Verdict)


def _where(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if errors is None:
        return f"it lacks {error}"
    first = errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON in which what is no number is a word, which is read as a number again."""
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def differences(before: Comparison, after: Comparison) -> list[Difference]:
    """Return what is not the same in two comparisons, what matters most first."""
    order = ("order", "score", "model", "dataset", "recipe", "version", "within")
    return sorted(_differences(before, after), key=lambda difference: order.index(difference.kind))


def _differences(before: Comparison, after: Comparison) -> Iterator[Difference]:
    old, new = ({row.model: row for row in found.models} for found in (before, after))
    both = [name for name in old if name in new]
    ranked = [name for name in new if name in old]
    if both != ranked and before.labelled and after.labelled:
        yield Difference("order", "", f"The order was {', '.join(both)} and is {', '.join(ranked)}.")
    for name in old.keys() - new.keys():
        yield Difference("model", name, f"{name} takes no part any more.")
    for name in new.keys() - old.keys():
        yield Difference("model", name, f"{name} is new.")
    if (before.dataset, before.split) != (after.dataset, after.split):
        yield Difference(
            "dataset",
            "",
            f"It was {before.dataset}, split {before.split}, and is {after.dataset}, split {after.split}.",
        )
    elif before.fingerprint != after.fingerprint:
        yield Difference(
            "dataset", "", f"The dataset has changed: it had {before.images:,} images and has {after.images:,}."
        )
    for name in both:
        if old[name].recipe != new[name].recipe or old[name].revision != new[name].revision:
            yield Difference(
                "recipe", name, f"{name} is another one: it was {old[name].revision} and is {new[name].revision}."
            )
        yield from _changed_scores(name, old[name].scores, new[name].scores)
    for library in sorted(before.versions.keys() | after.versions.keys()):
        was, now = before.versions.get(library, "not there"), after.versions.get(library, "not there")
        if was != now:
            yield Difference("version", "", f"{library} was {was} and is {now}.")


def _changed_scores(model: str, old: Mapping[str, Interval], new: Mapping[str, Interval]) -> Iterator[Difference]:
    for score, was in old.items():
        now = new.get(score)
        if now is None or math.isclose(was.value, now.value, abs_tol=1e-9):
            continue
        apart = now.low > was.high or now.high < was.low
        change = f"{score_title(score)} of {model} was {was.value:.4f} and is {now.value:.4f}"
        if apart:
            yield Difference("score", model, f"{change}: the intervals do not overlap.")
        else:
            yield Difference("within", model, f"{change}, within the intervals.")
