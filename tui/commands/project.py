"""`visexplore project`: a map of a dataset's embeddings, as a table of places for other programs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from visexplore.core.errors import StorageError
from visexplore.core.explorer import Explorer
from visexplore.core.text import count, printable
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.fetch import named_model
from visexplore.tui.commands.output import Output

if TYPE_CHECKING:
    from visexplore.core.evaluation.projection import Method

HEAD = ("image_id", "label", "x", "y")


def run(options: Globals, spec: str, model: str, *, method: Method, file: str | None, as_json: bool) -> int:
    """Make the map, and write it to a file or print it."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings)
    checkpoint = named_model(explorer, model)
    positions, found = explorer.projection(spec, checkpoint.key, method)
    dataset = explorer.dataset(spec)

    def rows() -> Iterator[tuple[str, str, float, float]]:
        for position, (x, y) in zip(positions.tolist(), found.places.tolist(), strict=True):
            record = dataset.records[position]
            yield record.image_id, record.label or "", x, y

    if as_json:
        points = [dict(zip(HEAD, row, strict=True)) for row in rows()]
        facts = {"dataset": dataset.spec, "model": checkpoint.slug, "method": found.method}
        output.json(
            facts | {"images": found.images, "fitted": found.fitted, "explained": found.explained, "points": points}
        )
        return 0
    if file is None:
        safe = printable if output.is_tty else str
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(HEAD)
        lines.writerows((safe(image_id), safe(label), f"{x:.6g}", f"{y:.6g}") for image_id, label, x, y in rows())
    else:
        path = Path(file).expanduser()
        try:
            # Names of files that are no UTF-8 are written as the bytes that they are.
            with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                lines = csv.writer(stream)
                lines.writerow(HEAD)
                lines.writerows(rows())
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written ({error.strerror or error})", "Name another file or free some space."
            ) from error
    sampled = f" a random {found.fitted:,} of" if found.fitted < found.images else ""
    held = ""
    if found.explained is not None:
        held = f"; the axes hold {found.explained[0]:.1%} + {found.explained[1]:.1%} of the variance"
        held += f", from{sampled} these" if sampled else ""
        sampled = ""
    output.note(f"{found.method.upper()} of{sampled} {count(found.images, 'image')} under {checkpoint.slug}{held}.")
    return 0
