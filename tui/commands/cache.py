"""`visexplore cache`: what is stored below the home folder, and deleting what the user names of it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visexplore.core.embedding.store import StoreInfo, storage_error
from visexplore.core.embedding.vectors_file import write_vectors
from visexplore.core.errors import UnknownModel, UserError
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.explorer import Explorer
from visexplore.core.text import count, printable
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Column, Output, megabytes

_THUMBNAIL = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}\.jpg")


def run_ls(options: Globals, *, as_json: bool) -> int:
    """List the stored embeddings and the thumbnails."""
    settings = options.settings()
    output = Output(options, settings)
    stores = [_facts(info) for info in Explorer(settings).stores()]
    thumbnails = sum(file.stat().st_size for file in thumbnail_files(settings.thumbnails))
    total = sum(store["bytes"] for store in stores) + thumbnails
    if as_json:
        output.json(
            {
                "home": str(settings.home),
                "stores": stores,
                "thumbnails": {"path": str(settings.thumbnails), "bytes": thumbnails},
                "bytes": total,
            }
        )
        return 0
    columns = [
        Column("dataset", style="bold"),
        Column("model"),
        Column("stored", right=True),
        Column("size", right=True),
        Column("recipe"),
        Column("path"),
    ]
    rows = [
        (store["dataset"], store["model"], f"{store['images']:,}", megabytes(store["bytes"]), store["recipe"],
         store["path"])
        for store in stores
    ]  # fmt: skip
    if thumbnails:
        rows.append(("thumbnails", "", "", megabytes(thumbnails), "", str(settings.thumbnails)))
    if rows:
        output.table(columns, rows)
    output.line(f"{megabytes(total)} in {settings.home}")
    return 0


def _facts(info: StoreInfo) -> dict[str, Any]:
    return {
        "dataset": info.dataset,
        "title": info.title,
        "model": info.model,
        "recipe": info.recipe.digest,
        "dim": info.dim,
        "images": info.rows(),
        "bytes": info.size(),
        "path": str(info.path),
    }


def thumbnail_files(folder: Path) -> list[Path]:
    """Return the files below `folder` that the thumbnail cache has written, and no others."""
    return [file for file in folder.glob("*/*.jpg") if _THUMBNAIL.fullmatch(f"{file.parent.name}/{file.name}")]


def run_export(
    options: Globals, spec: str, model: str, file: str, *, force: bool, precision: str, as_json: bool
) -> int:
    """Write the embeddings of a dataset's images, as they are now, to a file for other programs."""
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings, precision=precision)
    path = Path(file).expanduser()
    if path.exists() and not force:
        raise UserError(f"{path} is there already", "Name another file, or replace it with --force.")
    dataset = explorer.dataset(spec)
    space = explorer.space(spec, model)
    if not isinstance(space, EmbeddingSpace):
        raise UserError(f"{space.name} has no vectors to write", "Export the models that it is made of.")
    records = [dataset.records[position] for position in space.positions.tolist()]
    write_vectors(path, [record.image_id for record in records], [record.label for record in records], space.vectors)
    if as_json:
        output.json(
            {
                "file": str(path.absolute()),
                "model": space.name,
                "dataset": dataset.spec,
                "images": len(records),
                "dim": space.dim,
                "bytes": path.stat().st_size,
            }
        )
    else:
        output.line(
            f"{count(len(records), 'embedding')} of {dataset.title} with {space.name} written to {path} "
            f"({megabytes(path.stat().st_size)})."
        )
    return 0


def run_rm(
    options: Globals,
    what: str | None,
    models: Sequence[str],
    *,
    everything: bool,
    thumbnails: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete the named embeddings and, if asked for, the thumbnails."""
    if not (what or everything or thumbnails):
        raise UserError(
            "Nothing is named to delete", "Name a path or a dataset that `cache ls` shows, or --thumbnails, or --all."
        )
    settings = options.settings()
    output = Output(options, settings)
    explorer = Explorer(settings)
    stores = _named(explorer, what, models) if what else []
    if everything:
        stores = explorer.stores()
    pictures = thumbnail_files(settings.thumbnails) if thumbnails or everything else []
    size = sum(store.size() for store in stores) + sum(file.stat().st_size for file in pictures)
    paths = [str(store.path) for store in stores] + [str(settings.thumbnails)] * bool(pictures)
    if paths and not yes:
        _ask(stores, len(pictures), size)
    for store in stores:
        explorer.remove_store(store)
        _remove_empty(store.path.parent)
    _remove_thumbnails(pictures, settings.thumbnails)
    if as_json:
        output.json({"removed": paths, "bytes": size})
    else:
        output.line(f"Deleted {megabytes(size)}." if paths else "There is nothing to delete.")
    return 0


def _named(explorer: Explorer, what: str, models: Sequence[str]) -> list[StoreInfo]:
    """Return the stores of the dataset `what`, or the one at that path; with `models` only theirs.

    Raises:
        UserError: nothing of that name is stored.
    """
    # As datasets are named: `sample` is the bundled one, even beside a folder of that name.
    place = what if what == "sample" else os.path.abspath(os.path.expanduser(what))  # noqa: PTH100, PTH111
    slugs = {_slug(explorer, model) for model in models}
    named = [info for info in explorer.stores() if place in (info.dataset, str(info.path), os.path.realpath(info.path))]
    found = [info for info in named if not slugs or info.model in slugs]
    if not found:
        with_models = f" with {' or '.join(sorted(slugs))}" if slugs and named else ""
        raise UserError(f"Nothing is stored of '{what}'{with_models}", "`visexplore cache ls` shows what is.")
    return found


def _slug(explorer: Explorer, model: str) -> str:
    try:
        return explorer.catalogue.resolve(model).slug
    except UnknownModel:
        return model  # embeddings outlive the entry of a user's own catalogue


def _ask(stores: Sequence[StoreInfo], pictures: int, size: int) -> None:
    """Say what would go and ask.

    Raises:
        UserError: nobody can answer, or the answer is no.
    """
    parts = [f"the embeddings of {info.title} with {info.model}" for info in stores[:3]]
    if len(stores) > 3:
        parts.append(f"{count(len(stores) - 3, 'other store')} of embeddings")
    if pictures:
        parts.append(count(pictures, "thumbnail"))
    what = printable(f"{', '.join(parts)} ({megabytes(size)})")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(f"This would delete {what}", "Give --yes to do so.")
    sys.stderr.write(f"Delete {what}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was deleted")


def _remove_thumbnails(files: Sequence[Path], folder: Path) -> None:
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    for parent in {file.parent for file in files}:
        _remove_empty(parent)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
