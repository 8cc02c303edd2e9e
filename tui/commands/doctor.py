"""`visexplore doctor`: print what was found, and a picture that shows whether pictures are right."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Output, megabytes
from visexplore.tui.doctor import CARD_CAPTION, Findings, draw_test_card, examine
from visexplore.tui.terminal import Graphics, Terminal

_CARD_CELLS = (48, 12)
_ADVICE = {
    Graphics.KITTY: "If not, try --graphics halfblock, or --graphics sixel.",
    Graphics.SIXEL: "If not, try --graphics halfblock.",
    Graphics.HALFBLOCK: "Half blocks are coarse. If it is torn or grey, try --color 256 or --graphics text.",
    Graphics.TEXT: "Letters show the shapes only. A terminal with colours shows more: --graphics halfblock.",
}


def run(options: Globals, *, as_json: bool) -> int:
    """Print the findings; the exit code is 1 if something has to be mended before the app works."""
    settings = options.settings()
    output = Output(options, settings, pictures=True)
    terminal = output.terminal
    if as_json:
        findings = examine(settings)
        output.json({"terminal": _terminal_json(terminal), **asdict(findings)})
    else:
        _print_terminal(output, terminal)  # first, because the rest takes seconds
        findings = examine(settings)
        _print_findings(output, findings)
    return 1 if findings.problems else 0


def _terminal_json(terminal: Terminal) -> dict[str, Any]:
    return {**asdict(terminal), "graphics": str(terminal.graphics), "color": str(terminal.color)}


def _print_terminal(output: Output, terminal: Terminal) -> None:
    _section(output, "terminal", _terminal_facts(terminal))
    if terminal.is_tty:
        _print_card(output, terminal)


def _print_findings(output: Output, findings: Findings) -> None:
    _section(output, "device", _device_facts(findings))
    _section(
        output,
        "hub and caches",
        {
            "hub": f"{findings.hub.address} {findings.hub.note}",
            "home": findings.home,
            "embeddings": megabytes(findings.sizes["embeddings"]),
            "thumbnails": megabytes(findings.sizes["thumbnails"]),
            "hub cache": f"{megabytes(findings.sizes['hub cache'])} in {findings.hub_cache}",
        },
    )
    _section(
        output,
        "models",
        {
            "in the catalogue": str(findings.models),
            "bundled": ", ".join(findings.bundled),
            "your own": findings.models_file,
        },
    )
    _section(output, "versions", findings.versions)
    for problem in findings.problems:
        output.line(f"Problem: {problem.rstrip('.')}.", style="bold red")
    if not findings.problems:
        output.line("Everything that visexplore needs is in order.", style="green")


def _section(output: Output, title: str, facts: dict[str, str]) -> None:
    output.line(title, style="bold")
    output.facts({f"  {name}": value for name, value in facts.items()})
    output.line()


def _terminal_facts(terminal: Terminal) -> dict[str, str]:
    return {
        "name": terminal.name or "told none",
        "size": f"{terminal.columns} x {terminal.rows} cells of {terminal.cell_width} x {terminal.cell_height} pixels",
        "pictures": f"{terminal.graphics} ({terminal.graphics_reason})",
        "colours": f"{terminal.color} ({terminal.color_reason})",
        "tmux": "yes" if terminal.in_tmux else "",
    }


def _device_facts(findings: Findings) -> dict[str, str]:
    device = findings.device
    memory = f", {megabytes(device.memory_bytes)}" if device.memory_bytes else ""
    return {
        "models run on": f"{device.device} ({device.name}{memory})",
        "but": device.problem,
        "remedy": device.remedy,
        "cores": str(findings.cores),
        "memory": megabytes(findings.memory_bytes),
    }


def _print_card(output: Output, terminal: Terminal) -> None:
    from visexplore.tui.graphics import Pictures, install

    install(terminal)
    columns, rows = _CARD_CELLS
    output.console.print(
        Pictures([draw_test_card()], terminal, columns=min(columns, terminal.columns - 2), rows=rows), end=""
    )
    output.line(f"{CARD_CAPTION} {_ADVICE[terminal.graphics]}")
    output.line()
