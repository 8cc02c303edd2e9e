"""`visexplore doctor encoders`: whether the models on this machine load, and give the vectors that they gave before."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from visexplore.core.catalogue import WeightsStatus, weights_status
from visexplore.core.encoders.golden import Check, Verdict, check, free_memory
from visexplore.core.explorer import Explorer
from visexplore.core.text import count, printable
from visexplore.tui.commands.common import Globals, look_at_terminal
from visexplore.tui.commands.fetch import named_model
from visexplore.tui.commands.output import Output, duration, make_console, plain

if TYPE_CHECKING:
    from visexplore.core.settings import Settings

_STYLES = {Verdict.DRIFTED: "bold red", Verdict.FAILED: "bold red", Verdict.RECORDED: "yellow", Verdict.AS_BEFORE: ""}


def run(options: Globals, models: Sequence[str] | None, *, device: str, precision: str, as_json: bool) -> int:
    """Look at each model in turn; the exit code is 1 if one has drifted or cannot be loaded.

    Args:
        options: the global options.
        models: names of the models; None means every one whose weights are on this machine.
        device: where to load them.
        precision: the arithmetic to use.
        as_json: print JSON.
    """
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings)
    if models:
        checkpoints = list({(c := named_model(explorer, name)).key: c for name in models}.values())
    else:
        here = {WeightsStatus.BUNDLED, WeightsStatus.ON_DISK}
        checkpoints = [c for c in explorer.catalogue.checkpoints if weights_status(c) in here]
    checks = []
    for checkpoint in checkpoints:
        with _busy(checkpoint.slug, settings, options):
            checked = check(
                checkpoint, settings.home, device=device, precision=precision, trusted_code=settings.trusted_code
            )
            free_memory()
        checks.append(checked)
        if not as_json:
            _print(output, checked)
    if as_json:
        output.json([checked.as_json() for checked in checks])
    else:
        output.line(_summary(checks), style="bold")
    return 1 if any(checked.verdict in (Verdict.DRIFTED, Verdict.FAILED) for checked in checks) else 0


@contextmanager
def _busy(model: str, settings: Settings, options: Globals) -> Iterator[None]:
    """Show on a terminal which model is being looked at: large ones take a minute."""
    if options.quiet or not sys.stderr.isatty():
        yield
        return
    from rich.text import Text

    console = make_console(look_at_terminal(settings, pictures=False), stderr=True)
    with console.status(Text(printable(f"looking at {model}"))):
        yield


def _print(output: Output, checked: Check) -> None:
    if checked.verdict is Verdict.FAILED:
        output.line(f"{checked.model}: {checked.verdict}. {checked.note}", style=_STYLES[checked.verdict])
        output.line()
        return
    output.line(f"{checked.model}: {checked.verdict}", style=_STYLES[checked.verdict])
    drift = "" if checked.drift is None else f"{checked.drift:.1e} (up to {checked.limit:.0e} is no change)"
    output.facts(
        {
            "  recipe": checked.recipe,
            "  pooling": checked.pooling,
            "  preprocessing": ", ".join(_in_words(json.loads(checked.preprocessing))),
            "  embedding": f"{count(checked.dim or 0, 'number')} in {checked.precision} on {checked.device}",
            "  drift": drift,
            "  took": duration(checked.seconds),
            "  note": [*checked.remarks, *filter(None, [checked.note])],
        }
    )
    output.line()


def _in_words(facts: dict[str, Any]) -> Iterator[str]:
    """Yield `size 3 x 224 x 224`, `interpolation bicubic` or `do resize` for each fact; leaves out empty ones."""
    for name, value in facts.items():
        words = name.replace("_", " ")
        if isinstance(value, dict) and value.keys() == {"height", "width"}:
            value = [value["height"], value["width"]]
        if value is True:
            yield words
        elif isinstance(value, dict):
            yield from (f"{words} {inner}" for inner in _in_words(value))
        elif isinstance(value, list):
            between = " x " if all(isinstance(part, int) for part in value) else " "
            yield f"{words} {between.join(map(_word, value))}"
        elif value is not None:
            yield f"{words} {_word(value)}"


def _word(value: object) -> str:
    return plain(value) if isinstance(value, float) else str(value)


def _summary(checks: Sequence[Check]) -> str:
    numbers = {verdict: sum(checked.verdict is verdict for checked in checks) for verdict in Verdict}
    parts = [f"{number} {verdict}" for verdict, number in numbers.items() if number]
    return f"{count(len(checks), 'model')}: {', '.join(parts)}." if parts else "No model's weights are on this machine."
