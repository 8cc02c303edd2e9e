"""All facts of a catalogue entry as lines of text for the screen."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from visexplore.core.catalogue import POOLINGS, Checkpoint, Family, WeightsStatus
from visexplore.core.dates import months_of
from visexplore.core.text import printable
from visexplore.tui.links import linked
from visexplore.tui.model_costs import Here, costs
from visexplore.tui.text_search import takes_text
from visexplore.tui.theme import MUTED
from visexplore.tui.weights import download_size


def _fact(name: str, value: object) -> Content:
    return Content.assemble((f"{name} " if name else "", MUTED), printable(str(value)))


def _heading(text: str) -> Content:
    return Content.styled(printable(text), "bold $primary")


def _linked(name: str, text: str, address: str) -> Content:
    return Content.assemble((f"{name} " if name else "", MUTED), linked(text, address))


def facts(family: Family, checkpoint: Checkpoint | None = None, here: Here | None = None) -> Iterator[Content]:
    """Yield all that is known of a checkpoint and its family, or of a family that has none."""
    if checkpoint is not None and here is not None:
        yield from checkpoint_facts(checkpoint, here)
    yield from family_facts(family)
    if checkpoint is not None and not checkpoint.unreleased:
        yield Content("")
        yield from _other_poolings(checkpoint)


def checkpoint_facts(checkpoint: Checkpoint, here: Here) -> Iterator[Content]:
    """Yield what is known of one checkpoint, and what it costs here."""
    yield _heading(checkpoint.slug)
    yield _fact("id", f"{checkpoint.loader}:{checkpoint.id}")
    if checkpoint.seed_name:
        yield _fact("in the seed document", checkpoint.seed_name)
    size = ", ".join(
        part for part in (f"{checkpoint.input_size} px" * bool(checkpoint.input_size), checkpoint.resize) if part
    )
    weights = ", ".join(part for part in (download_size(checkpoint), here.status.value) if part)
    searches_text = checkpoint.has_text_tower and takes_text(checkpoint)
    licence = f"{checkpoint.licence} ({checkpoint.licence_note})" if checkpoint.licence_note else checkpoint.licence
    parameters = f"{checkpoint.parameters_m:,.1f} M" if checkpoint.parameters_m else ""
    if parameters and checkpoint.image_tower_parameters_m:
        parameters += f" ({checkpoint.image_tower_parameters_m:,.1f} M for an image)"
    values = {
        "weights": weights,
        **dict(costs(here)),
        "licence": licence,
        "text tower": "yes: t searches with words" if searches_text else "no: images only",
        "embedding": f"{checkpoint.dim} numbers" if checkpoint.dim else "",
        "pooling": checkpoint.pooling,
        "input": size,
        "parameters": parameters,
        "takes": checkpoint.modality,
        "trained on": checkpoint.training_data,
        "note": checkpoint.notes,
    }
    yield from (_fact(name, value) for name, value in values.items() if value)
    if checkpoint.unreleased:
        yield _fact(WeightsStatus.UNRELEASED.value, checkpoint.unreleased)
    yield Content("")


def _other_poolings(checkpoint: Checkpoint) -> Iterator[Content]:
    """Say what else can be kept of an image; which of it a model has is known for certain once it is loaded."""
    yield _heading("Other poolings")
    yield _fact("m", f"chooses another: {checkpoint.slug}@gem, for example; each is a model of its own")
    for name, meaning in POOLINGS.items():
        if checkpoint.has_text_tower or name not in ("projected", "unprojected"):
            yield _fact(f"@{name}", meaning)


def family_facts(family: Family) -> Iterator[Content]:
    """Yield what is known of a family, the seed document's words beside what was verified since."""
    yield _heading(f"{family.name}, {family.organisation}" if family.organisation else family.name)
    yield from (_fact(name, value) for name, value in _family_values(family) if value)
    for paper in family.papers:
        yield _linked("paper", f"{paper.title} ({paper.venue})" if paper.venue else paper.title, paper.url)
        if paper.url:
            yield _linked("", paper.url, paper.url)
    for code in family.code:
        yield _linked("code", code, code)
    for correction in family.corrections:
        yield _fact("correction", correction)
    if family.seed is None:
        return
    yield Content("")
    yield _heading("In the seed document")
    seed = family.seed
    yield _fact("title", seed.title)
    dated = ", ".join(part for part in (seed.date, seed.venue) if part)
    if dated:
        yield _fact("date", dated)
    for line in (*seed.data, *seed.remarks):
        yield _fact("-", line)
    for name, links in (("model", seed.models), ("paper", seed.papers)):
        for link in links:
            words = _linked(name, " ".join(part for part in (link.label, link.url) if part), link.url)
            yield Content.assemble(words, f" {printable(link.note)}") if link.note else words


def _date_in_the_seed(family: Family) -> str:
    """Say where the seed document dates a system otherwise."""
    public, told = months_of(family.first_public), months_of(family.seed.date) if family.seed else None
    return f"the seed document says {told}" if public and told and not public.meets(told) else ""


def _family_values(family: Family) -> Iterator[tuple[str, str]]:
    venue = family.venue
    if family.venue_agrees == "no" and family.seed:
        venue += f" (the seed document says {family.seed.venue})"
    yield "", family.remark
    yield "kind", family.kind
    yield "first public", " - ".join(part for part in (family.first_public, family.first_public_note) if part)
    yield "", _date_in_the_seed(family)
    yield "venue", venue
    yield "trained on", family.training_data
    yield "sizes", family.parameters
    yield "weights then", family.weights_then
    yield "weights now", family.weights_now
    yield "never released", family.unreleased or family.unreleased_part
    yield "nearest", " ".join(part for part in (family.nearest, family.nearest_note) if part)
    yield (
        "licence",
        " / ".join(
            part
            for part in (
                f"code {family.licence_code}" if family.licence_code else "",
                f"weights {family.licence_weights}" if family.licence_weights else "",
            )
            if part
        ),
    )
