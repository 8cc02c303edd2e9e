"""`visexplore bench`: how fast each stage of embedding is here, and how near the pipeline comes to the slowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from visexplore.core.catalogue import DEFAULT_MODEL
from visexplore.core.embedding.bench import Rates
from visexplore.core.explorer import Explorer
from visexplore.tui.commands.common import INTERRUPTED, Globals, tell
from visexplore.tui.commands.fetch import fetch_missing, named_model
from visexplore.tui.commands.output import Column, Output, megabytes
from visexplore.tui.commands.progress import stop_on_interrupt


def run(
    options: Globals,
    spec: str,
    models: Sequence[str] | None,
    *,
    device: str,
    precision: str,
    batch_size: int | None,
    limit: int,
    repeats: int,
    as_json: bool,
) -> int:
    """Measure each model and print its rates."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings, device=device, precision=precision, batch_size=batch_size)
    checkpoints = [named_model(explorer, model) for model in models or [DEFAULT_MODEL]]
    explorer.dataset(spec)
    fetch_missing(explorer, checkpoints, options, silent=as_json)
    found: list[Rates] = []
    with stop_on_interrupt() as stopped:
        for checkpoint in checkpoints:
            if not options.quiet and not as_json:
                tell(f"{checkpoint.slug}: measuring")
            rates = explorer.bench(spec, checkpoint.key, limit=limit, repeats=repeats, cancelled=stopped)
            if rates is None:
                tell("Stopped.")
                return INTERRUPTED
            found.append(rates)
    if as_json:
        output.json([asdict(rates) for rates in found])
    else:
        _print(output, found)
    return 0


def _print(output: Output, found: Sequence[Rates]) -> None:
    columns = [
        Column("model", keep=True),
        Column("reading", right=True),
        Column("decoding", right=True),
        Column("model alone", right=True),
        Column("pipeline", right=True),
        Column("of the slowest", right=True),
        Column("ceiling", right=True),
        Column("memory", right=True, least=90),
        Column("on", least=100),
    ]
    output.table(
        columns,
        [
            (
                one.model,
                f"{one.reading:,.0f}",
                f"{one.decoding:,.0f}",
                f"{one.model_alone:,.1f}",
                f"{one.pipeline:,.1f}",
                f"{one.ratio:.2f}",
                f"{one.ceiling:,.1f}",
                "" if one.device_memory is None else megabytes(one.device_memory),
                f"{one.device}, {one.precision}, batches of {one.batch_size}",
            )
            for one in found
        ],
    )
    first = found[0]
    output.line(
        f"Images a second, median of {first.repeats}, on {first.images:,} images and {first.cores} cores. "
        "The ceiling is the slowest stage, or what the cores can do where decoding and model share them.",
        style="dim",
    )
