"""`visexplore models fetch`: the weights of models onto this machine. Other commands fetch what they need this way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from visexplore.core import hub
from visexplore.core.catalogue import Checkpoint, WeightsStatus, weights_status
from visexplore.core.errors import CannotLoadModel, UnknownModel
from visexplore.core.explorer import Explorer
from visexplore.core.messages import Progress
from visexplore.tui.commands.common import Globals, tell
from visexplore.tui.commands.output import Output, duration, megabytes
from visexplore.tui.commands.progress import progress_view, stop_on_interrupt


def run(options: Globals, names: Sequence[str], *, as_json: bool) -> int:
    """Say what is to be fetched of the named models, fetch it, and say where each of them stands."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings)
    # Whatever pooling is named, the weights are the same.
    weights = dict.fromkeys(named_model(explorer, name).weights for name in names)
    checkpoints = [explorer.checkpoint(name) for name in weights]
    for checkpoint in checkpoints:
        explorer.recipe(checkpoint.key)  # what cannot be had at all is told before anything is fetched

    def say(text: str) -> None:
        if not as_json:
            output.line(text)
            sys.stdout.flush()

    for checkpoint in checkpoints:
        if not is_missing(checkpoint):
            say(_already_here(checkpoint))
    fetched = fetch_missing(explorer, checkpoints, options, silent=as_json, say=say)
    if as_json:
        output.json([_facts(checkpoint, fetched.get(checkpoint.slug, 0)) for checkpoint in checkpoints])
    return 0


def named_model(explorer: Explorer, name: str) -> Checkpoint:
    """Return the checkpoint that `name` means.

    Raises:
        UnknownModel: there is no such model, or the name is that of a family.
        CannotLoadModel: it is the name of a family whose weights were never released.
    """
    try:
        return explorer.checkpoint(name)
    except UnknownModel as error:
        catalogue = explorer.catalogue
        family = next((family for family in catalogue.families if family.id == name.strip().lower()), None)
        if family is None:
            raise
        if family.checkpoints:
            models = ", ".join(checkpoint.slug for checkpoint in family.checkpoints)
            raise UnknownModel(f"'{name}' is a family of models", f"Name one of them: {models}.") from error
        nearest = f"The nearest model is {catalogue.find(family.nearest).slug}." if family.nearest else ""
        reason = family.unreleased.rstrip(".") or "it has no model in the catalogue"
        raise CannotLoadModel(f"{family.name} cannot be had: {reason}", nearest) from error


def is_missing(checkpoint: Checkpoint) -> bool:
    """Whether its weights would have to be fetched before it can embed."""
    here = checkpoint.folder or checkpoint.loader == "vectors" or weights_status(checkpoint) is WeightsStatus.BUNDLED
    return not here and hub.snapshot(checkpoint) is None


def fetch_missing(
    explorer: Explorer,
    checkpoints: Iterable[Checkpoint],
    options: Globals,
    *,
    silent: bool = False,
    say: Callable[[str], None] = tell,
) -> dict[str, int]:
    """Fetch the weights that are not on this machine; returns the bytes that came, by slug.

    Args:
        explorer: does the work.
        checkpoints: the models that are needed.
        options: the global options.
        silent: say and show something on a terminal only.
        say: takes the sentences about each model; by default they are notes on standard error.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; what has come by then is kept.
        CannotLoadModel, StorageError: as `Explorer.fetch`.
    """
    missing = [checkpoint for checkpoint in checkpoints if is_missing(checkpoint)]
    if not missing:
        return {}
    if (say is tell and options.quiet) or (silent and not sys.stderr.isatty()):
        say = _say_nothing
    settings = explorer.settings
    # Whether each of them can be had is told before the first one is fetched.
    sizes = {checkpoint.slug: hub.download_size(checkpoint, offline=settings.offline) for checkpoint in missing}
    for checkpoint in missing:
        licence = f"licence: {checkpoint.licence}" if checkpoint.licence else "its licence is on its page of the hub"
        say(f"{checkpoint.slug}: {megabytes(sizes[checkpoint.slug])} to fetch from {checkpoint.hub_id}, {licence}")
    if len(missing) > 1:
        say(f"In all {megabytes(sum(sizes.values()))} to fetch.")
    with stop_on_interrupt() as stopped:
        for checkpoint in missing:
            started, last = time.monotonic(), None
            with progress_view(settings, options, silent=silent) as view:
                for last in explorer.fetch([checkpoint.key], cancelled=stopped):
                    view.show(last)
            if stopped():
                raise KeyboardInterrupt(_where_it_stopped(last))
            came = megabytes(sizes[checkpoint.slug])
            say(f"{checkpoint.slug}: fetched {came} in {duration(time.monotonic() - started)}.")
    return sizes


def _say_nothing(text: str) -> None:
    del text


def _where_it_stopped(last: Progress | None) -> str:
    here = f"{megabytes(last.bytes_done)} of {megabytes(last.bytes_total)} of {last.model} are here" if last else ""
    return " ".join(filter(None, ("Stopped.", here and f"{here}; the same command goes on from there.")))


def _size_on_disk(checkpoint: Checkpoint) -> int | None:
    """Return the bytes of its files in the hub's cache; None where its weights are not from there."""
    if checkpoint.folder or weights_status(checkpoint) is WeightsStatus.BUNDLED:
        return None
    return next(hub.fetch(checkpoint, offline=True)).total


def _already_here(checkpoint: Checkpoint) -> str:
    licence = f", licence: {checkpoint.licence}" if checkpoint.licence else ""
    if checkpoint.folder:
        return f"{checkpoint.slug}: nothing to fetch, it is in {checkpoint.folder}{licence}"
    size = _size_on_disk(checkpoint)
    if size is None:
        return f"{checkpoint.slug}: nothing to fetch, its weights came with the install{licence}"
    return f"{checkpoint.slug}: nothing to fetch, {megabytes(size)} are on disk already{licence}"


def _facts(checkpoint: Checkpoint, fetched: int) -> dict[str, Any]:
    """Return the JSON object of one model: the bytes of its files, and how many of them came in this run."""
    return {
        "model": checkpoint.slug,
        "repository": checkpoint.hub_id,
        "bytes": _size_on_disk(checkpoint),
        "fetched": fetched,
        "status": str(weights_status(checkpoint)),
    }
