"""`visexplore embed`: embed a dataset, with progress on standard error and one sentence a model at the end."""

from __future__ import annotations

from collections.abc import Sequence

from visexplore.core.catalogue import DEFAULT_MODEL
from visexplore.core.cost import total
from visexplore.core.explorer import Explorer
from visexplore.core.messages import EmbedReport
from visexplore.core.text import count
from visexplore.tui.commands.common import INTERRUPTED, Globals, tell
from visexplore.tui.commands.fetch import fetch_missing, is_missing, named_model
from visexplore.tui.commands.output import Output, duration
from visexplore.tui.commands.progress import progress_view, stop_on_interrupt

_SKIPPED_SHOWN = 10


def run(
    options: Globals,
    spec: str,
    models: Sequence[str] | None,
    *,
    device: str,
    precision: str,
    batch_size: int | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """Embed and report; the exit code is that of the command."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings, device=device, precision=precision, batch_size=batch_size)
    reports = embed(explorer, spec, models or [DEFAULT_MODEL], options, limit=limit, silent=as_json, say_costs=True)
    if as_json:
        output.json([report.as_json() for report in reports])
    else:
        for report in reports:
            _print_report(output, report, explorer.dataset(spec).title)
        for problem in explorer.dataset(spec).problems:
            output.note(f"Note: {problem.path}: {problem.reason}")
    if any(report.cancelled for report in reports):
        for report in reports:
            kept = report.embedded + report.reused
            tell(f"Stopped. {kept:,} of {count(report.images, 'image')} are embedded with {report.model} and kept; "
                 "the same command goes on from there.")  # fmt: skip
        return INTERRUPTED
    return 0


def embed(
    explorer: Explorer,
    spec: str,
    models: Sequence[str],
    options: Globals,
    *,
    limit: int | None = None,
    silent: bool = False,
    say_costs: bool = False,
) -> list[EmbedReport]:
    """Embed what is missing, showing progress on standard error; Ctrl-C ends it early and keeps what is done.

    Weights that are not on this machine are fetched first.

    Args:
        explorer: does the work.
        spec: names the dataset.
        models: names of the models.
        options: the global options.
        limit: look at the first so many images only.
        silent: show progress on a terminal only.
        say_costs: say before what each model will cost.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed before anything was embedded.
    """
    checkpoints = [named_model(explorer, model) for model in models]
    names = [checkpoint.key for checkpoint in checkpoints]
    say_costs = say_costs and not silent and not options.quiet
    if any(map(is_missing, checkpoints)):
        explorer.dataset(spec)  # whatever else is wrong is told before the download
        for name in names:
            explorer.recipe(name)
        if say_costs and not explorer.settings.offline:
            _tell_costs(explorer, spec, names, limit)
            say_costs = False
        fetch_missing(explorer, checkpoints, options, silent=silent)
    reports = []
    with stop_on_interrupt() as stopped, progress_view(explorer.settings, options, silent=silent) as view:
        for step in explorer.embed(spec, names, limit=limit, cancelled=stopped, rescan=False):
            if isinstance(step, EmbedReport):
                reports.append(step)
                continue
            if say_costs and step.stage == "embedding":  # now that nothing is in the way any more
                _tell_costs(explorer, spec, names, limit)
                say_costs = False
            view.show(step)
    if not silent:
        for report in reports:
            for remark in report.remarks:
                if not options.quiet:
                    tell(f"Note: {report.model}: {remark}")
    if stopped() and not reports:
        raise KeyboardInterrupt
    return reports


def _tell_costs(explorer: Explorer, spec: str, models: Sequence[str], limit: int | None) -> None:
    rates = explorer.rates()
    costs = [(model, explorer.cost(spec, model, limit=limit, rates=rates)) for model in models]
    for model, cost in costs:
        if cost.images:
            tell(f"{explorer.row_name(model)} embeds {cost.line()}.")
    if sum(cost.images > 0 for _, cost in costs) > 1:
        tell(f"In all: {total([cost for _, cost in costs]).words()}. They share one decode, so less than that.")


def _print_report(output: Output, report: EmbedReport, title: str) -> None:
    output.line(_sentence(report, title), style="bold")
    if not report.skipped:
        return
    output.line(f"{count(len(report.skipped), 'image')} could not be embedded:")
    shown = report.skipped if output.verbose else report.skipped[:_SKIPPED_SHOWN]
    for skipped in shown:
        output.line(f"  {skipped.image_id}: {skipped.reason}")
    if len(shown) < len(report.skipped):
        output.line(f"  and {len(report.skipped) - len(shown):,} more; --verbose lists them all")


def _sentence(report: EmbedReport, title: str) -> str:
    if not report.embedded:
        return f"{report.model}: nothing to do, {count(report.reused, 'image')} of {title} embedded already."
    rate = f"{report.images_per_second:,.1f} images/s"
    precision = f", in {report.precision}" if report.precision not in ("", "float32") else ""
    slowest = f", slowest: {report.bottleneck}" if report.bottleneck else ""
    reused = f", {report.reused:,} were there already" if report.reused else ""
    return (
        f"{report.model}: embedded {count(report.embedded, 'image')} of {title} "
        f"in {duration(report.seconds)} ({rate}{precision}{slowest}){reused}."
    )
