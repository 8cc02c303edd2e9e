"""`visexplore models`: the catalogue as a table, or one entry with everything that is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from visexplore.core.catalogue import (
    LIBRARIES,
    OUTSIDE,
    POOLINGS,
    Catalogue,
    Checkpoint,
    Family,
    Link,
    Paper,
    WeightsStatus,
    load_catalogue,
    weights_status,
)
from visexplore.core.catalogue import as_json as catalogue_json
from visexplore.core.catalogue import runs_here as checkpoint_runs_here
from visexplore.core.cost import embedding_cost
from visexplore.core.errors import UnknownModel, UserError
from visexplore.core.text import count
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.output import Cell, Column, Output, plain
from visexplore.tui.weights import short_status

_COST_OF = 1000  # images


def run(options: Globals, *, names: Sequence[str], as_json: bool, runs_here: bool, wanted: Mapping[str, Any]) -> int:
    """Print the entry of that name, or what matches.

    Args:
        options: the global options.
        names: one name of an entry, or words to look for.
        as_json: print JSON.
        runs_here: only what runs here without a download.
        wanted: the other filters, as `Catalogue.filter` takes them.
    """
    if names and names[0] == "fetch":
        line = " ".join(["visexplore models fetch", *names[1:]])
        raise UserError("`fetch` has to follow `models` before any option", f"Run: {line}")
    settings = options.settings()
    output = Output(options, settings)
    catalogue = load_catalogue(settings.models_file)
    if wanted["loader"] and wanted["loader"].lower() not in LIBRARIES:
        raise UserError(f"No loader is called '{wanted['loader']}'", f"Loaders: {', '.join(LIBRARIES)}.")
    filters = {**wanted, "runs_here": checkpoint_runs_here if runs_here else None}
    if len(names) == 1 and not any(filters.values()):
        entry = _named(catalogue, names[0])
        if isinstance(entry, UnknownModel):
            families = catalogue.filter(names[0])
            if not families:
                raise entry
        else:
            _print_entry(output, catalogue, entry, partial(_cost_here, settings.home, catalogue), as_json=as_json)
            return 0
    else:
        filters["text"] = " ".join([*names, wanted["text"]])
        families = catalogue.filter(**filters)
    if as_json:
        output.json(catalogue_json(families, weights_status))
    else:
        _print_list(output, catalogue, families)
    return 0


def _named(catalogue: Catalogue, name: str) -> Family | Checkpoint | UnknownModel:
    try:
        return catalogue.family(name)
    except UnknownModel:
        pass
    try:
        return catalogue.resolve(name)
    except UnknownModel as error:
        families = get_close_matches(name.lower(), [family.id for family in catalogue.families], 3)
        if not families:
            return error
        return UnknownModel(f"{error.message}; families of a similar name: {', '.join(families)}", error.hint)


# ---- the list


def _print_list(output: Output, catalogue: Catalogue, families: Sequence[Family]) -> None:
    columns = [
        Column("model", style="bold", keep=True),
        Column("family", least=90),
        Column("loader"),
        Column("dim", right=True),
        Column("input", right=True, least=110),
        Column("params M", right=True),
        Column("licence", least=100),
        Column("weights"),
    ]
    rows = [row for family in families for row in _rows(catalogue, family)]
    if rows:
        output.table(columns, rows)
    checkpoints = sum(len(family.checkpoints) for family in families)
    here = sum(checkpoint_runs_here(checkpoint) for family in families for checkpoint in family.checkpoints)
    output.note(
        f"{count(checkpoints, 'checkpoint')} in {len(families)} {'family' if len(families) == 1 else 'families'}, "
        f"{here} run here now. `visexplore models NAME` shows one in full, `visexplore models fetch NAME` downloads it."
        if rows
        else "No model of the catalogue matches."
    )


def _rows(catalogue: Catalogue, family: Family) -> Iterable[Sequence[str]]:
    if not family.checkpoints:
        reason = "never released" if family.unreleased else ""
        nearest = f"nearest: {catalogue.find(family.nearest).slug}" if family.nearest else ""
        yield ("-", family.id, "", "", "", "", "", ", ".join(filter(None, (reason, nearest))))
    for checkpoint in family.checkpoints:
        yield (
            checkpoint.slug,
            family.id,
            checkpoint.loader,
            plain(checkpoint.dim),
            plain(checkpoint.input_size),
            plain(checkpoint.parameters_m),
            checkpoint.licence,
            _weights(checkpoint),
        )


def _weights(checkpoint: Checkpoint) -> str:
    """Return where the weights are, or how much there is to download, and what else is missing."""
    words = short_status(checkpoint, weights_status(checkpoint))
    return f"{words}, needs {LIBRARIES[checkpoint.loader]}" if _missing_library(checkpoint) else words


_EXTRAS = {"diffusers": "'visexplore[diffusion]'"}


def _missing_library(checkpoint: Checkpoint) -> str:
    """Return which library has to be installed for the model, and how; empty if it is here."""
    module = LIBRARIES[checkpoint.loader]
    if find_spec(module) is not None:
        return ""
    return _with(f"{module}, which is not installed", f"uv pip install {_EXTRAS.get(module, module)}")


# ---- one entry


def _print_entry(
    output: Output,
    catalogue: Catalogue,
    entry: Family | Checkpoint,
    cost_here: Callable[[Checkpoint], str],
    *,
    as_json: bool,
) -> None:
    family = entry if isinstance(entry, Family) else replace(_family_of(catalogue, entry), checkpoints=(entry,))
    if as_json:
        output.json(catalogue_json([family], weights_status))
        return
    if isinstance(entry, Family):
        _print_family(output, family)
        if len(family.checkpoints) == 1:
            output.line()
            _print_checkpoint(output, family.checkpoints[0], family, cost_here(family.checkpoints[0]))
        elif family.checkpoints:
            output.line()
            _print_list(output, catalogue, [family])
    else:
        _print_checkpoint(output, entry, family, cost_here(entry))


def _family_of(catalogue: Catalogue, checkpoint: Checkpoint) -> Family:
    if checkpoint.family != OUTSIDE:
        return catalogue.family(checkpoint.family)
    return Family(id=OUTSIDE, name="outside the catalogue")


def _print_family(output: Output, family: Family) -> None:
    output.line(f"{family.name} ({family.id})", style="bold")
    if family.remark:
        output.line(family.remark)
    output.line()
    output.facts(
        {
            "organisation": family.organisation,
            "kind": family.kind,
            "takes": family.modality,
            "status": family.status,
            "never released": family.unreleased or family.unreleased_part,
            "nearest": _with(family.nearest, family.nearest_note),
            "sizes": family.parameters,
            "weights then": family.weights_then,
            "weights now": family.weights_now,
            "licence of the code": family.licence_code,
            "licence of the weights": family.licence_weights,
        },
    )
    output.line()
    _print_sources(output, family)


def _print_sources(output: Output, family: Family) -> None:
    """Print what the seed document says beside what was found out since."""
    agrees = {"yes": "agrees", "no": "differs from the seed document", "unstated": "the seed document names none"}
    checked: dict[str, Cell] = {
        "first public": _with(family.first_public, family.first_public_note),
        "venue": _with(family.venue, agrees[family.venue_agrees]),
        "venue checked in": family.venue_source,
        "training data": family.training_data,
        "code": family.code,
        "papers": [_paper(paper) for paper in family.papers],
    }
    seed = family.seed
    said: dict[str, Cell] = (
        {
            "first public": seed.date,
            "venue": seed.venue,
            "training data": seed.data,
            "code": [_link(link) for link in seed.models],
            "papers": [_link(link) for link in seed.papers],
            "remarks": seed.remarks,
            "listed as": _with(seed.title, seed.section),
            "figure": seed.figure,
        }
        if seed
        else {}
    )
    rows = [(name, checked.get(name, ""), said.get(name, "")) for name in {**checked, **said}]
    if output.is_tty and said:
        columns = [Column("", keep=True), Column("verified"), Column("seed document", style="italic")]
        output.table(columns, [row for row in rows if any(row[1:])])
    else:
        output.facts(checked)
        output.facts({f"{name} (seed document)": text for name, text in said.items()})
    output.facts({"seed document errs": family.corrections})


def _print_checkpoint(output: Output, checkpoint: Checkpoint, family: Family, cost: str) -> None:
    output.line(f"{checkpoint.slug}", style="bold")
    output.line()
    rgb = {"mean": checkpoint.mean, "std": checkpoint.std}
    output.facts(
        {
            "id": checkpoint.id,
            "family": _with(family.name, f"visexplore models {family.id}" if family.id != OUTSIDE else ""),
            "loader": checkpoint.loader,
            "class": checkpoint.model_class,
            "hub": "/".join(filter(None, (checkpoint.hub_id, checkpoint.subfolder))),
            "package": checkpoint.package or "",
            "folder": checkpoint.folder,
            "weights": _with(str(weights_status(checkpoint)), checkpoint.unreleased),
            "needs": _missing_library(checkpoint),
            "runs here now": _runs_here(checkpoint),
            "in the seed document": _with("yes", checkpoint.seed_name) if checkpoint.seed_named else "",
            "size": checkpoint.size_class,
            "takes": checkpoint.modality,
            "text tower": "yes" if checkpoint.has_text_tower else "no",
            "embedding": count(checkpoint.dim, "number") if checkpoint.dim else "known once it is loaded",
            "text embedding": count(checkpoint.text_dim, "number") if checkpoint.text_dim else "",
            "pooling": checkpoint.pooling
            + (", chosen instead of the standard one" if checkpoint.pooling_choice else ""),
            "other poolings": _other_poolings(checkpoint),
            "input": f"{checkpoint.input_size} x {checkpoint.input_size} pixels" if checkpoint.input_size else "",
            "resize": checkpoint.resize,
            "centre crop": plain(checkpoint.crop_pct),
            "interpolation": checkpoint.interpolation,
            **{name: ", ".join(map(plain, values)) if values else "" for name, values in rgb.items()},
            "parameters": _with(
                f"{plain(checkpoint.parameters_m)} million" if checkpoint.parameters_m else "",
                f"{plain(checkpoint.image_tower_parameters_m)} million for images"
                if checkpoint.image_tower_parameters_m
                else "",
            ),
            "download": _with(
                f"{plain(checkpoint.weights_mb)} MB" if checkpoint.weights_mb else "", checkpoint.weights_mb_source
            ),
            "cost here": cost,
            "format": checkpoint.weights_format,
            "licence": _with(checkpoint.licence, checkpoint.licence_note),
            "training data": checkpoint.training_data,
            "notes": checkpoint.notes,
        },
    )


def _cost_here(home: Path, catalogue: Catalogue, checkpoint: Checkpoint) -> str:
    """Return what embedding a thousand images costs on this machine, as far as anything was measured on it."""
    if checkpoint.unreleased:
        return ""
    from visexplore.core.embedding.rate import known_rates

    rates = known_rates(home, catalogue, "auto")
    return embedding_cost(checkpoint, weights_status(checkpoint), _COST_OF, rates).line()


def _runs_here(checkpoint: Checkpoint) -> str:
    if checkpoint_runs_here(checkpoint):
        return "yes"
    if weights_status(checkpoint) is not WeightsStatus.TO_DOWNLOAD or checkpoint.folder:
        return "no"
    return f"no (visexplore models fetch {_standard(checkpoint)})"


def _standard(checkpoint: Checkpoint) -> str:
    """Return the name of the same weights without a chosen pooling."""
    name = checkpoint.slug if checkpoint.family != OUTSIDE else checkpoint.key
    return name.removesuffix(f"@{checkpoint.pooling_choice}")


def _other_poolings(checkpoint: Checkpoint) -> str:
    """Return how to choose another vector; which ones a network has is known for certain once it is loaded."""
    shared_space = checkpoint.has_text_tower or checkpoint.text_dim or checkpoint.family == OUTSIDE
    others = [
        f"@{choice}"
        for choice in POOLINGS
        if choice != checkpoint.pooling_choice and (shared_space or choice not in ("projected", "unprojected"))
    ]
    return "" if checkpoint.unreleased else _with(", ".join(others), f"for example {_standard(checkpoint)}{others[0]}")


def _with(value: str, note: str) -> str:
    return f"{value} ({note})" if value and note else value


def _paper(paper: Paper) -> str:
    return " ".join(filter(None, (_with(paper.title, paper.venue), paper.url)))


def _link(link: Link) -> str:
    words = link.url if link.label == link.url else " ".join(filter(None, (link.label, link.url)))
    return _with(words, link.note)
