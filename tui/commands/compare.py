"""`visexplore compare`: which of several models is best on a dataset, with confidence, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from visexplore.core.comparison import Comparison, Judged, score_title
from visexplore.core.errors import UserError
from visexplore.core.evaluation.conditions import parse_condition
from visexplore.core.evaluation.verdict import KS
from visexplore.core.evaluation.verdict_file import Asked, differences, read_verdict, write_verdict
from visexplore.core.explorer import Explorer
from visexplore.core.messages import Progress
from visexplore.core.pages import write_verdict_page
from visexplore.core.report.verdict_words import verdict_sentences
from visexplore.core.text import count
from visexplore.tui.commands.common import INTERRUPTED, Globals, tell
from visexplore.tui.commands.output import Column, Output, megabytes
from visexplore.tui.commands.progress import progress_view, stop_on_interrupt

BUNDLED = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""What is compared where nothing else is named or embedded."""

FAILED = 1


def run(
    options: Globals,
    spec: str | None,
    models: Sequence[str] | None,
    *,
    ks: Sequence[int] | None,
    split: str | None,
    main: str,
    duplicates: bool,
    baselines: bool,
    self_retrieval: int,
    device: str,
    precision: str,
    html: str | None,
    save: str | None,
    rerun: str | None,
    fail_if: Sequence[str] | None,
    as_json: bool,
) -> int:
    """Compare and print; the exit code is 1 where a condition of `--fail-if` holds."""
    settings = options.settings()
    output = Output(options, settings)
    conditions = [parse_condition(text) for text in fail_if or ()]
    before = None
    if rerun is not None:
        if spec is not None or models:
            raise UserError("--rerun takes dataset and models from its file", "Leave them out.")
        verdict = read_verdict(Path(rerun).expanduser())
        before, asked = verdict.comparison, verdict.asked
    elif spec is None:
        raise UserError("No dataset is named", "Give one, such as: visexplore compare ~/photos -m efficientnet-lite0.")
    else:
        asked = Asked(
            spec=spec,
            models=tuple(models or ()),
            ks=tuple(ks or KS),
            split=split,
            main=main,
            duplicates=duplicates,
            baselines=baselines,
            self_retrieval=self_retrieval,
            device=device,
            precision=precision,
        )
    explorer = Explorer(settings, device=asked.device, precision=asked.precision)
    asked = _with_models(explorer, asked)
    found = _compare(explorer, asked, options, silent=as_json)
    if found is None:
        tell("Stopped. What is embedded is kept; the same command goes on from there.")
        return INTERRUPTED
    if html is not None:
        write_verdict_page(explorer, asked.models, found, Path(html).expanduser())
        output.note(f"page written: {html}")
    if save is not None:
        write_verdict(Path(save).expanduser(), found, asked)
        output.note(f"verdict written: {save}")
    failures = [sentence for condition in conditions for sentence in condition.holds(found)]
    if as_json:
        output.json(found.as_json())
    else:
        show(output, found)
        if before is not None:
            _show_differences(output, before, found)
    for sentence in failures:
        tell(f"Failed: {sentence}")
    return FAILED if failures else 0


def run_diff(options: Globals, one: str, other: str, *, as_json: bool) -> int:
    """Say what is different between two verdict files."""
    settings = options.settings()
    output = Output(options, settings)
    before, after = (read_verdict(Path(file).expanduser()).comparison for file in (one, other))
    if as_json:
        output.json([asdict(difference) for difference in differences(before, after)])
    else:
        _show_differences(output, before, after)
    return 0


def _with_models(explorer: Explorer, asked: Asked) -> Asked:
    """Name the models where none are: those that have embedded the dataset, or those that come with the install."""
    if asked.models:
        return asked
    states = explorer.cache_states(asked.spec)
    complete = [s.model for s in states if s.embedded + s.failed == s.total and not s.model.startswith("baseline")]
    return replace(asked, models=tuple(complete) if len(complete) > 1 else BUNDLED)


def _compare(explorer: Explorer, asked: Asked, options: Globals, *, silent: bool) -> Comparison | None:
    with stop_on_interrupt() as stopped, progress_view(explorer.settings, options, silent=silent) as view:
        for step in explorer.compare(
            asked.spec,
            asked.models,
            ks=asked.ks,
            split=asked.split,
            main=asked.main,
            duplicates=asked.duplicates,
            baselines=asked.baselines,
            self_retrieval=asked.self_retrieval,
            cancelled=stopped,
        ):
            if isinstance(step, Progress):
                view.show(step)
            else:
                return step
    return None


# ---- what is shown


def show(output: Output, found: Comparison) -> None:
    """Print a verdict: what it says in words, the table, and what it was measured on."""
    for number, sentence in enumerate(verdict_sentences(found)):
        output.line(sentence, style="" if number else "bold")
    output.line()
    output.table(*(_scores_table(found) if found.labelled else _proxies_table(found)))
    output.line()
    _show_where_models_differ(output, found)
    output.line(_measured_on(found), style="dim")
    if found.labelled:
        output.line(
            f"Ranges are 95 % intervals. Models that share a letter are a tie in {score_title(found.main)}. "
            "◆: nothing else is as good, as fast and as small.",
            style="dim",
        )
    for note in found.notes:
        output.note(f"Note: {note}")


def _scores_table(found: Comparison) -> tuple[list[Column], list[tuple[str, ...]]]:
    first = found.models[0].scores
    names = [found.main, *(name for name in first if name != found.main)]
    columns = [
        Column("model", keep=True),
        Column(""),
        *(
            Column(score_title(name), right=True, keep=True, least=0 if place == 0 else 110 + 22 * place)
            for place, name in enumerate(names)
        ),
        Column("tie"),
        Column("images/s", right=True, least=80),
        Column("memory", right=True, least=130),
        Column("params", right=True, least=100),
        Column("numbers", right=True, least=90),
        Column("GB/million", right=True, least=85),
        Column("licence", least=140),
    ]
    rows = [
        (
            row.model,
            "◆" if row.pareto else "",
            *(_score(row, name) for name in names),
            row.group,
            *_cost(row),
        )
        for row in found.models
    ]
    return columns, rows


def _score(row: Judged, name: str) -> str:
    interval = row.scores[name]
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _cost(row: Judged) -> tuple[str, ...]:
    cost = row.cost
    return (
        "" if cost.images_per_second is None else f"{cost.images_per_second:,.0f}",
        "" if cost.device_memory is None else megabytes(cost.device_memory),
        "" if cost.parameters is None else f"{cost.parameters / 1e6:,.1f} M",
        "" if cost.dim is None else f"{cost.dim:,}",
        f"{cost.bytes_per_million / 1e9:.2f}",
        cost.licence,
    )


def _proxies_table(found: Comparison) -> tuple[list[Column], list[tuple[str, ...]]]:
    kinds = list(next((row.self_retrieval for row in found.models if row.self_retrieval), {}))
    columns = [
        Column("model", keep=True),
        *(Column(f"finds itself: {kind}", right=True) for kind in kinds),
        Column("hubness", right=True),
        Column("effective rank", right=True),
        Column("images/s", right=True),
        Column("memory", right=True, least=130),
        Column("params", right=True, least=100),
        Column("numbers", right=True, least=90),
        Column("GB/million", right=True, least=75),
        Column("licence", least=140),
    ]
    rows = [
        (
            row.model,
            *(f"{row.self_retrieval[kind]:.3f}" if kind in row.self_retrieval else "" for kind in kinds),
            f"{row.hubness:.2f}",
            "" if row.effective_rank is None else f"{row.effective_rank:.0f}",
            *_cost(row),
        )
        for row in found.models
    ]
    return columns, rows


def _show_where_models_differ(output: Output, found: Comparison) -> None:
    if found.agreement:
        least = min(found.agreement, key=lambda pair: pair.overlap)
        most = max(found.agreement, key=lambda pair: pair.overlap)
        output.line(
            f"Of {found.k} neighbours, {most.a} and {most.b} share {most.overlap:.0%}"
            + (f", {least.a} and {least.b} {least.overlap:.0%}" if least != most else "")
            + f". Most contested query: {found.contested[0].image_id}." * bool(found.contested)
        )
    if found.suspected:
        first = found.suspected[0]
        output.line(
            f"{count(len(found.suspected), 'label')} may be wrong: {first.image_id} is labelled {first.label}, "
            f"but all models say {first.suggested}."
        )


def _measured_on(found: Comparison) -> str:
    parts = [
        f"{found.title}, split {found.split}: {count(found.queries, 'query', 'queries')} in "
        f"{count(found.gallery, 'image')}"
    ]
    if found.alone:
        parts.append(f"{count(found.alone, 'query', 'queries')} left out, as nothing else has their label")
    if found.not_covered:
        parts.append(f"{count(found.not_covered, 'image')} left out, as a model has no embedding of them")
    if found.duplicates:
        parts.append(f"{count(found.duplicates, 'query', 'queries')} have near-duplicates in the gallery")
    return "; ".join(parts) + "."


def _show_differences(output: Output, before: Comparison, after: Comparison) -> None:
    output.line()
    found = differences(before, after)
    output.line("Since then:" if found else "Since then nothing has changed.", style="bold")
    for difference in found:
        output.line(f"  {difference.sentence}")
