"""`visexplore report`: the catalogue and example queries under each model, as pictures and pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visexplore.core.explorer import Explorer
from visexplore.core.messages import Progress
from visexplore.core.pages import write_report
from visexplore.core.text import count
from visexplore.tui.commands.common import INTERRUPTED, Globals, tell
from visexplore.tui.commands.compare import BUNDLED
from visexplore.tui.commands.output import Output
from visexplore.tui.commands.progress import progress_view, stop_on_interrupt


def run(
    options: Globals,
    specs: Sequence[str],
    models: Sequence[str] | None,
    *,
    out: str,
    queries: Sequence[str],
    split: str | None,
    device: str,
    precision: str,
    as_json: bool,
) -> int:
    """Embed what is missing, draw the strips, write the pages."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings, device=device, precision=precision)
    with stop_on_interrupt() as stopped, progress_view(settings, options, silent=as_json) as view:
        steps = write_report(
            explorer,
            specs,
            models or BUNDLED,
            Path(out).expanduser(),
            queries=queries,
            split=split,
            cancelled=stopped,
        )
        written = None
        for step in steps:
            if isinstance(step, Progress):
                view.show(step)
            else:
                written = step
    if written is None:
        tell("Stopped. What is embedded is kept; the same command goes on from there.")
        return INTERRUPTED
    if as_json:
        output.json(
            {
                "markdown": str(written.markdown),
                "html": str(written.html),
                "strips": [str(file) for file in written.strips],
            }
        )
    else:
        output.line(f"{count(len(written.strips), 'strip')} and two pages written:")
        output.line(f"  {written.html}")
        output.line(f"  {written.markdown}")
    return 0
