"""The command lines: their arguments, options and help. Each command's work is in its own module.

Nothing that works is imported before a command is called, so that help and mistakes are told at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from visexplore.tui.commands.common import Globals, guard, tell

type Body = Callable[..., int | None]


class _Commands(TyperGroup):
    """Commands whose names may have two words: `models fetch` beside `models`, which takes arguments itself."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - no names
        """Find the command that a line names by its first two words, or else by its first."""
        if (name := " ".join(args[:2])) in self.commands:
            args = [name, *args[2:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="visexplore",
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    subcommand_metavar="[DATASET] | COMMAND [ARGS]...",
    help="Show which pretrained visual model suits your own images.\n\n`visexplore [DATASET]` opens the explorer on a "
    "folder of images, or on the bundled `sample`. A folder that is called like a command is written ./models.",
)
cache_app = typer.Typer(
    help="Show, write out or delete what is stored: embeddings and thumbnails.", rich_markup_mode=None
)
app.add_typer(cache_app, name="cache")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"visexplore {version('visexplore')}")
        raise typer.Exit


def _globals(
    home: Annotated[
        str | None,
        typer.Option("--home", metavar="DIR", help="Where embeddings, thumbnails and logs are kept."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Open no socket at all.")] = False,
    graphics: Annotated[
        Literal["auto", "kitty", "sixel", "halfblock", "text"] | None,
        typer.Option("--graphics", help="How pictures are drawn."),
    ] = None,
    color: Annotated[
        Literal["auto", "truecolor", "256", "16", "none"] | None,
        typer.Option("--color", help="How many colours the terminal has."),
    ] = None,
    theme: Annotated[
        Literal["auto", "dark", "light", "high-contrast-dark", "high-contrast-light"] | None,
        typer.Option("--theme", help="How the explorer looks."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tracebacks, and lists in full.")] = False,
    trust_remote_code: Annotated[
        list[str] | None,
        typer.Option(
            "--trust-remote-code",
            metavar="REPO",
            help="Let Python code run that comes with this hub repository; repeat it for several.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> Globals:
    del version  # its callback has acted on it
    return Globals(home, offline, graphics, color, quiet, verbose, tuple(trust_remote_code or ()), theme)


_GLOBALS = inspect.signature(_globals, eval_str=True).parameters


def _shape(function: Callable[..., object], like: Callable[..., object] | None = None) -> None:
    """Make Typer see `function` with a context, the parameters of `like` after its first, and the global ones."""
    own = list(inspect.signature(like, eval_str=True).parameters.values())[1:] if like else []
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [
        context,
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *_GLOBALS.values())),
    ]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    function.__dict__["__signature__"] = inspect.Signature(parameters)


def _command(name: str, parent: typer.Typer = app) -> Callable[[Body], Body]:
    """Add a command that takes the global options too, and that tells failures in one sentence."""

    def add(body: Body) -> Body:
        def command(ctx: typer.Context, **values: object) -> int:
            given = _globals(**{name: values.pop(name) for name in _GLOBALS})  # type: ignore[arg-type]
            options = given.over(ctx.find_root().obj or Globals())
            return guard(lambda: body(options, **values), options)

        _shape(command, body)
        parent.command(name, help=body.__doc__)(command)
        return body

    return add


def _before_command(ctx: typer.Context, **values: object) -> None:
    ctx.obj = _globals(**values)  # type: ignore[arg-type]


_shape(_before_command)
app.callback()(_before_command)


def run(argv: Sequence[str]) -> int:
    """Run a command line; return the exit code."""
    command = typer.main.get_command(app)
    try:
        return command.main(list(argv), prog_name="visexplore", standalone_mode=False) or 0
    except Exception as error:
        # Mistakes in the line. Their class has no public name, and Typer would print the words unescaped.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "visexplore"
        message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
        tell(f"Error: {message}. Try `{path} --help`.")
        return 2


Model = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        help="A catalogue name, timm:NAME, hf:REPO, open_clip:ARCH/TAG or a folder; @POOLING behind it chooses "
        "another vector. Repeat it for several models.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, ... or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Precision = Annotated[str, typer.Option("--precision", metavar="P", help="auto, float32, bf16 or fp16.")]
DatasetArgument = typer.Argument(metavar="DATASET", help="A folder of images, or `sample`.", show_default=False)


@_command("explore")
def _explore(
    options: Globals,
    dataset: Annotated[str, DatasetArgument] = "",
    model: Annotated[
        str,
        typer.Option("-m", "--model", metavar="MODEL", help="The model to begin with.", show_default=False),
    ] = "",
    device: Device = "auto",
) -> int:
    """Open the explorer: this is what `visexplore [DATASET]` does."""
    from visexplore.tui.cli import explore

    return explore(dataset, model, device, options)


@_command("serve")
def _serve(
    options: Globals,
    dataset: Annotated[str, DatasetArgument] = "",
    model: Annotated[
        str,
        typer.Option("-m", "--model", metavar="MODEL", help="The model to begin with.", show_default=False),
    ] = "",
    device: Device = "auto",
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Whose browsers may connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 for any that is free.")] = 8000,
) -> int:
    """Serve the explorer to a browser: the page of each visitor has one of its own."""
    from visexplore.tui.commands import serve

    return serve.run(options, dataset, model, device, host=host, port=port)


@_command("config")
def _config(
    options: Globals,
    template: Annotated[bool, typer.Option("--template", help="Print a file to begin with.")] = False,
    json: Json = False,
) -> int:
    """Print the settings and where each comes from."""
    from visexplore.tui.commands import config

    return config.run(options, template=template, as_json=json)


@_command("models")
def _models(
    options: Globals,
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="A family or a checkpoint to show in full, or words to look for."),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="ID", help="Of one family.")] = None,
    text: Annotated[str, typer.Option(metavar="WORDS", help="All of these words occur.")] = "",
    organisation: Annotated[str | None, typer.Option(metavar="NAME", help="Made there.")] = None,
    year: Annotated[int | None, typer.Option(metavar="YEAR", help="First public in that year.")] = None,
    loader: Annotated[str | None, typer.Option(metavar="LIBRARY", help="Loaded with that library.")] = None,
    modality: Annotated[str | None, typer.Option(metavar="WORD", help="Such as text.")] = None,
    licence: Annotated[str | None, typer.Option(metavar="NAME", help="Weights under that licence.")] = None,
    here: Annotated[bool, typer.Option("--here", help="Runs here now, without a download.")] = False,
    json: Json = False,
) -> int:
    """List the catalogue, or show one of its entries in full. `visexplore models fetch NAME` downloads one."""
    from visexplore.tui.commands import models

    return models.run(
        options,
        names=name or [],
        as_json=json,
        runs_here=here,
        wanted={
            "text": text, "family": family, "organisation": organisation, "year": year, "loader": loader,
            "modality": modality, "licence": licence,
        },
    )  # fmt: skip


@_command("models fetch")
def _models_fetch(
    options: Globals,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As for --model.", show_default=False)],
    json: Json = False,
) -> int:
    """Download the weights of models, so that they run without a network; goes on where it was stopped."""
    from visexplore.tui.commands import fetch

    return fetch.run(options, names, as_json=json)


@_command("datasets")
def _datasets(options: Globals, json: Json = False) -> int:
    """List the known datasets, where they are expected, and what of them is embedded."""
    from visexplore.tui.commands import datasets

    return datasets.run(options, as_json=json)


@_command("embed")
def _embed(
    options: Globals,
    dataset: Annotated[str, DatasetArgument],
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Images of a batch; by default what suits the device."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="The first N images only.")] = None,
    json: Json = False,
) -> int:
    """Embed a dataset with one or several models; what is embedded already is reused."""
    from visexplore.tui.commands import embed

    return embed.run(
        options,
        dataset,
        model,
        device=device,
        precision=precision,
        batch_size=batch_size,
        limit=limit,
        as_json=json,
    )


@_command("query")
def _query(
    options: Globals,
    dataset: Annotated[str, DatasetArgument],
    image: Annotated[
        str | None, typer.Option(metavar="PATH|URL|-", help="Search with this picture; - is standard input.")
    ] = None,
    image_id: Annotated[
        str | None, typer.Option("--id", metavar="IMAGE_ID", help="Search with this image of the dataset.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Search with these words; the model needs a text tower.")
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="EXPRESSION",
            help="Search with images and words together, weights before a colon: '2:cat + ./pool.jpg - fruit'.",
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="L,T,R,B",
            help="Search with this part of --image or --id: left, top, right and bottom edge as fractions or percent.",
        ),
    ] = None,
    model: Model = None,
    k: Annotated[int, typer.Option("-k", metavar="K", min=1, help="How many neighbours.")] = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    strip: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write query and neighbours side by side as one picture a model, below DIR."),
    ] = None,
    json: Json = False,
) -> int:
    """Find the nearest images of a dataset; embeds first what is not embedded yet."""
    from visexplore.tui.commands import query

    return query.run(
        options,
        dataset,
        model,
        image=image,
        image_id=image_id,
        text=text,
        mix=mix,
        crop=crop,
        k=k,
        device=device,
        precision=precision,
        strips=strip,
        as_json=json,
    )


Compared = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        help="As for embed; also vectors:FILE, baseline:NAME, and what is made of others: rrf:A,B, mean:A,B, pca:D:A, "
        "int8:A, binary:A. Repeat it for several; by default what has embedded the dataset.",
    ),
]


@_command("compare")
def _compare(
    options: Globals,
    dataset: Annotated[str | None, typer.Argument(metavar="DATASET", help="A folder of images, or `sample`.")] = None,
    model: Compared = None,
    k: Annotated[list[int] | None, typer.Option("-k", metavar="K", min=1, help="Of Recall@K; repeat it.")] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which images take part: test, retrieval, all, ...")
    ] = None,
    by: Annotated[
        str,
        typer.Option(metavar="SCORE", help="The score that decides: recall@K, map_at_r, r_precision or knn_accuracy."),
    ] = "recall@1",
    duplicates: Annotated[
        bool, typer.Option("--duplicates/--no-duplicates", help="Also score without near-duplicates.")
    ] = True,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Let chance, colours and a perceptual hash take part.")
    ] = True,
    self_retrieval: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Change N pictures (crop, flip, blur, JPEG, grey) and look who finds them again."
        ),
    ] = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write the verdict as one web page.")] = None,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a verdict file, for --rerun and --diff.")
    ] = None,
    rerun: Annotated[
        str | None, typer.Option(metavar="FILE", help="Do again what a verdict file records, and say what changed.")
    ] = None,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FILE FILE", help="Say what is different between two verdict files."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Exit with 1 where it holds, as 'recall@5 < 0.8'; repeat it."),
    ] = None,
    json: Json = False,
) -> int:
    """Say which model is best on a dataset: scores with confidence beside costs; embeds first what is missing."""
    from visexplore.tui.commands import compare

    if diff is not None:
        return compare.run_diff(options, *diff, as_json=json)
    return compare.run(
        options,
        dataset,
        model,
        ks=k,
        split=split,
        main=by,
        duplicates=duplicates,
        baselines=baselines,
        self_retrieval=self_retrieval,
        device=device,
        precision=precision,
        html=html,
        save=save,
        rerun=rerun,
        fail_if=fail_if,
        as_json=json,
    )


@_command("report")
def _report(
    options: Globals,
    dataset: Annotated[list[str], typer.Argument(metavar="DATASET...", help="Folders of images, or `sample`.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="DIR", help="Where to write strips and pages.")],
    model: Compared = None,
    queries: Annotated[
        list[str] | None,
        typer.Option("--queries", metavar="N|ID", help="How many queries, or which image; repeat it for several."),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Which images take part.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> int:
    """Write the catalogue and example queries under each model as pictures, a Markdown and an HTML page."""
    from visexplore.tui.commands import report

    return report.run(
        options,
        dataset,
        model,
        out=out,
        queries=queries or [],
        split=split,
        device=device,
        precision=precision,
        as_json=json,
    )


@_command("votes")
def _votes(
    options: Globals,
    dataset: Annotated[str, DatasetArgument] = "sample",
    reset: Annotated[bool, typer.Option("--reset", help="Delete the votes; says how many, and asks.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Show how models stand in the blind tournament on a dataset, which T opens in the explorer."""
    from visexplore.tui.commands import votes

    return votes.run(options, dataset, reset=reset, yes=yes, as_json=json)


@_command("project")
def _project(
    options: Globals,
    dataset: Annotated[str, DatasetArgument],
    model: Annotated[
        str, typer.Option("-m", "--model", metavar="MODEL", help="What has embedded it.", show_default=False)
    ] = "",
    method: Annotated[Literal["pca", "umap"], typer.Option(help="umap needs the extra of that name.")] = "pca",
    file: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write a CSV file instead of printing.")
    ] = None,
    json: Json = False,
) -> int:
    """Place the images of a dataset in a plane by their embeddings: image_id, label, x, y."""
    from visexplore.core.catalogue import DEFAULT_MODEL
    from visexplore.tui.commands import project

    return project.run(options, dataset, model or DEFAULT_MODEL, method=method, file=file, as_json=json)


@_command("bench")
def _bench(
    options: Globals,
    dataset: Annotated[str, DatasetArgument] = "sample",
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Images of a batch; by default what suits the device."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The first N images.")] = 400,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="How often to measure each stage.")] = 3,
    json: Json = False,
) -> int:
    """Measure how fast each stage of embedding is here: reading, decoding, the model, and all together."""
    from visexplore.tui.commands import bench

    return bench.run(
        options,
        dataset,
        model,
        device=device,
        precision=precision,
        batch_size=batch_size,
        limit=limit,
        repeats=repeats,
        as_json=json,
    )


@_command("doctor")
def _doctor(options: Globals, json: Json = False) -> int:
    """Look at terminal, pictures, device, hub and caches, and say what is wrong."""
    from visexplore.tui.commands import doctor

    return doctor.run(options, as_json=json)


@_command("doctor encoders")
def _doctor_encoders(
    options: Globals,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> int:
    """Load every model that is on this machine, and check that it still gives the vectors that it gave before."""
    from visexplore.tui.commands import doctor_encoders

    return doctor_encoders.run(options, model, device=device, precision=precision, as_json=json)


@_command("ls", cache_app)
def _cache_ls(options: Globals, json: Json = False) -> int:
    """List the stored embeddings and the thumbnails, with their sizes."""
    from visexplore.tui.commands import cache

    return cache.run_ls(options, as_json=json)


@_command("rm", cache_app)
def _cache_rm(
    options: Globals,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[PATH|DATASET]", help="A path that `cache ls` shows, or a dataset."),
    ] = None,
    model: Model = None,
    everything: Annotated[bool, typer.Option("--all", help="All embeddings and the thumbnails.")] = False,
    thumbnails: Annotated[bool, typer.Option("--thumbnails", help="The thumbnails.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Delete embeddings of a dataset or the thumbnails; says what would go, and asks."""
    from visexplore.tui.commands import cache

    return cache.run_rm(options, what, model or [], everything=everything, thumbnails=thumbnails, yes=yes, as_json=json)


@_command("export", cache_app)
def _cache_export(
    options: Globals,
    dataset: Annotated[str, DatasetArgument],
    model: Annotated[str, typer.Option("-m", "--model", metavar="MODEL", help="As for compare.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help=".parquet, .npy, .npz or .safetensors.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    precision: Precision = "auto",
    json: Json = False,
) -> int:
    """Write the embeddings of a dataset to a file, with the image ids; vectors:FILE reads it back."""
    from visexplore.tui.commands import cache

    return cache.run_export(options, dataset, model, out, force=force, precision=precision, as_json=json)
