"""Every command and flag of the command line, in plain form, as JSON and on a terminal."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.pictures import png
from tests.tui.command_line import CommandLine, Result, run_on_terminal, run_script, without_sequences
from visexplore.core.catalogue import DEFAULT_MODEL, Family, load_catalogue
from visexplore.core.settings import Settings
from visexplore.tui import cli as cli_module
from visexplore.tui.cli import COMMANDS, main, read_line
from visexplore.tui.commands import lines
from visexplore.tui.terminal import Terminal

LABELS = ("boats", "cats", "trees")
PER_LABEL = 4


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three labels of four pictures; those of a label are alike in nothing but their folder."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for seed in range(PER_LABEL):
            (folder / label / f"{seed}.png").write_bytes(png(10 * number + seed))
    (folder / "cats" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A home in which the photos are embedded with the default model."""
    home = tmp_path_factory.mktemp("home")
    assert main(["embed", str(photos), "--home", str(home), "--quiet"]) == 0
    return home


# ---- the line itself


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("", "", []),
        ("photos", "", ["photos"]),
        ("models clip", "models", []),
        ("--home models models", "models", []),
        ("--home=models photos", "", ["photos"]),
        ("-m embed photos", "", ["photos"]),
        ("./models", "", ["./models"]),
        ("photos models", "", ["photos", "models"]),
        ("--offline --quiet doctor --json", "doctor", []),
        ("--trust-remote-code models models fetch", "models", []),
        ("--trust-remote-code=a/b photos", "", ["photos"]),
    ],
)
def test_command_is_found_behind_global_options(line: str, command: str, words: list[str]) -> None:
    read = read_line(line.split())
    assert (read.command, read.words) == (command, words)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "photos",
        "photos -m efficientnet-lite1",
        "--model=efficientnet-lite1 photos --device cpu",
        "--home /tmp/x --offline --graphics sixel --color=256 --quiet --verbose photos",
        "--trust-remote-code a/b photos --trust-remote-code=c/d",
        "-m a -m b",
    ],
)
def test_line_read_without_typer_means_what_typer_makes_of_it(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(cli_module, "explore", lambda *call: calls.append(call))
    assert read_line(line.split()).plain
    assert main(line.split()) == 0
    assert lines.run(["explore", *line.split()]) == 0
    assert calls[0] == calls[1]


@pytest.mark.parametrize("line", ["--graphics", "--graphics=neon", "--color 17", "--home=", "a b", "-x", "-- photos"])
def test_unusual_line_is_left_to_typer(line: str) -> None:
    assert not read_line(line.split()).plain


def test_commands_that_are_known_without_typer_are_all_there_are(cli: CommandLine) -> None:
    listed = re.search(r"Commands:\n(.*)", cli("--help").out, re.DOTALL)
    assert listed is not None
    assert {line.split()[0] for line in listed[1].splitlines() if re.match(r"  \w", line)} == set(COMMANDS)


TWO_WORDS = (["cache", "ls"], ["cache", "rm"], ["models", "fetch"], ["doctor", "encoders"])


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), *TWO_WORDS])
def test_help_of_every_command_names_the_global_options(cli: CommandLine, command: list[str]) -> None:
    shown = cli(*command, "--help")
    assert shown.code == 0
    assert shown.err == ""
    if command != ["cache"]:
        for option in (
            "--home", "--offline", "--graphics", "--color", "--quiet", "--verbose", "--trust-remote-code", "--version",
        ):  # fmt: skip
            assert option in shown.out


@pytest.mark.parametrize("line", ["--version", "models --version", "--offline --version", "photos --help --version"])
def test_version(cli: CommandLine, line: str) -> None:
    shown = cli(*line.split())
    assert shown.code == 0
    assert re.fullmatch(r"visexplore \d+\.\d+\.\d+\S*\n", shown.out) or "--help" in line


def test_global_options_stand_before_or_after_the_command(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    before, after = cli("--home", home, "cache", "ls", "--json"), cli("cache", "ls", "--json", "--home", home)
    assert before == after
    assert cli("--home", tmp_path, "cache", "ls", "--home", home, "--json") == after


def test_commands_of_two_words_stand_behind_global_options_too(cli: CommandLine) -> None:
    for line in ("models fetch", "doctor encoders"):
        assert cli("--quiet", *line.split(), "--help").out.startswith(f"Usage: visexplore {line} [OPTIONS]")
        assert cli(*line.split(), "--help", "--quiet").out.startswith(f"Usage: visexplore {line} [OPTIONS]")


def test_trusted_repositories_before_and_after_the_command_are_all_trusted(
    cli: CommandLine, explorer: list[Any]
) -> None:
    assert cli("--trust-remote-code", "a/b", "explore", "--trust-remote-code", "c/d").code == 0
    assert cli("--trust-remote-code=a/b", "--trust-remote-code", "c/d").code == 0
    assert [settings.trusted_code for settings, *_ in explorer] == [("a/b", "c/d")] * 2
    assert cli().code == 0
    assert explorer[-1][0].trusted_code == ()


# ---- the explorer


@pytest.fixture
def explorer(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the screen, on a terminal; records what it is called with."""
    calls: list[Any] = []

    def run(settings: Settings, spec: str, terminal: Terminal, model: str, device: str = "auto") -> int:
        calls.append((settings, spec, terminal, model, device))
        return 0

    app = ModuleType("visexplore.tui.app")
    app.__dict__["run"] = run
    monkeypatch.setitem(sys.modules, "visexplore.tui.app", app)
    monkeypatch.setattr(os, "isatty", lambda fd: True)
    monkeypatch.setattr(cli_module, "look_at_terminal", lambda settings: Terminal(is_tty=True))
    monkeypatch.setenv("TEXTUAL_COLOR_SYSTEM", "")
    monkeypatch.setenv("NO_COLOR", "")
    return calls


def test_explorer_opens_on_the_sample_with_the_bundled_model(cli: CommandLine, explorer: list[Any]) -> None:
    assert cli().code == 0
    [(_, spec, _, model, device)] = explorer
    assert (spec, model, device) == ("sample", "", "auto")  # the one that it was left with, or the bundled one


def test_explorer_takes_a_folder_a_model_and_global_options(
    cli: CommandLine, explorer: list[Any], photos: Path, tmp_path: Path
) -> None:
    assert cli(photos, "-m", "efficientnet-lite1", "--device", "cpu", "--home", tmp_path, "--graphics=text").code == 0
    [(settings, spec, _, model, device)] = explorer
    assert (settings.home, settings.graphics) == (tmp_path, "text")
    assert (spec, model, device) == (str(photos), "efficientnet-lite1", "cpu")


def test_folder_called_like_a_command(
    cli: CommandLine, explorer: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli("./models").code == 0
    assert explorer[0][1] == str(tmp_path / "models")
    assert cli("models", "clip").out.startswith("CLIP")


def test_folder_called_nearly_like_a_command(
    cli: CommandLine, explorer: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli("model").code == 0
    assert explorer[0][1] == str(tmp_path / "model")


def test_way_to_the_explorer_imports_no_library() -> None:
    program = (
        "import os, sys, types\n"
        "sys.modules['visexplore.tui.app'] = app = types.ModuleType('app')\n"
        "app.run = lambda *call: 0\n"
        "os.isatty = lambda fd: fd == 0 or sys._getframe(1).f_code.co_name == 'explore'\n"
        "from visexplore.tui.cli import main\n"
        "code = main(['-m', 'efficientnet-lite1'])\n"
        "heavy = {'typer', 'click', 'pydantic', 'rich', 'textual', 'numpy', 'PIL', 'torch', 'faiss', 'pyarrow'}\n"
        "print(code, sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 []\n", "")


# ---- models


def test_models_lists_the_catalogue(cli: CommandLine) -> None:
    listed = cli("models")
    assert listed.code == 0
    head, *rows = listed.out.splitlines()
    assert head.split() == [
        "MODEL",
        "FAMILY",
        "LOADER",
        "DIM",
        "INPUT",
        "PARAMS",
        "M",
        "LICENCE",
        "WEIGHTS",
    ]
    assert any(row.startswith("clip-vit-b32 ") for row in rows)
    assert any(row.startswith("clip-vit-b32 ") and row.endswith(" 605 MB") for row in rows)
    assert any(row.startswith("efficientnet-lite0 ") and row.endswith(" bundled") for row in rows)
    assert listed.err == (
        "72 checkpoints in 20 families, 3 run here now. "
        "`visexplore models NAME` shows one in full, `visexplore models fetch NAME` downloads it.\n"
    )
    assert cli("models", "--quiet").err == ""


SEED_FAMILIES = [family for family in load_catalogue().families if family.seed]


@pytest.mark.parametrize("family", SEED_FAMILIES, ids=lambda family: family.id)
def test_every_system_of_the_seed_lists_what_can_be_loaded_or_why_nothing_can(cli: CommandLine, family: Family) -> None:
    rows = cli("models", "--family", family.id).out.splitlines()[1:]
    assert rows
    if all(checkpoint.unreleased for checkpoint in family.checkpoints):
        assert family.unreleased
        nearest = load_catalogue().find(family.nearest).slug
        assert [row.partition("never released, nearest: ")[2] for row in rows] == [nearest]
        assert family.unreleased in cli("models", family.id).out
    else:
        assert {row.split()[0] for row in rows} == {checkpoint.slug for checkpoint in family.checkpoints}
        assert all(re.search(r" (bundled|on disk|[\d,]+ MB)$", row) for row in rows)


@pytest.mark.parametrize(
    ("line", "slugs"),
    [
        ("--here", {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}),
        ("--family DAVIT", {"davit-tiny", "davit-base"}),
        ("--text swinv2 --loader timm", {"swinv2-tiny-timm", "swinv2-large-384"}),
        ("swin tiny", {"swinv2-tiny", "swinv2-tiny-timm"}),
        ("--organisation kakao --year 2021 --modality text", {"vilt-b32", "vilt-b32-vqa"}),
        ("--licence openrail", set()),
        ("--family clip --text openclip", {"openclip-vit-b32"}),
    ],
)
def test_models_filters(cli: CommandLine, line: str, slugs: set[str]) -> None:
    found = cli("models", *line.split(), "--json")
    assert found.code == 0
    assert {c["slug"] for family in found.json["families"] for c in family["checkpoints"]} == slugs
    assert found.err == ""


def test_models_json_has_the_promised_keys_first(cli: CommandLine) -> None:
    [family] = cli("models", "--json", "--family", "clip").json["families"]
    assert list(family)[:13] == [
        "id", "name", "organisation", "first_public", "venue", "seed", "training_data", "papers", "code", "remark",
        "weights_then", "weights_now", "checkpoints",
    ]  # fmt: skip
    assert list(family["checkpoints"][0])[:11] == [
        "id", "slug", "loader", "dim", "input_size", "parameters_m", "weights_mb", "modality", "licence", "pooling",
        "status",
    ]  # fmt: skip


def test_models_with_a_family_prints_what_is_known_and_what_the_seed_says(cli: CommandLine) -> None:
    shown = cli("models", "ViT")
    assert "venue: ICLR 2021 (differs from the seed document)" in shown.out
    assert "venue (seed document): ICML" in shown.out
    assert "seed document errs: Venue is ICLR 2021" in shown.out
    assert "vit-b16-in21k" in shown.out


def test_models_with_a_never_released_family_says_why(cli: CommandLine) -> None:
    assert "never released: Google published neither code nor weights" in cli("models", "simvlm").out


@pytest.mark.parametrize("name", ["clip-vit-b32", "openai/clip-vit-base-patch32"])
def test_models_with_a_checkpoint_prints_all_of_it(cli: CommandLine, name: str) -> None:
    shown = cli("models", name).out
    for fact in (
        "id: openai/clip-vit-base-patch32",
        "embedding: 512 numbers",
        "licence: MIT",
        "weights: to download",
        "download: 605 MB",
        "runs here now: no (visexplore models fetch clip-vit-b32)",
        "pooling: pooled CLS token, projected to the space shared with texts",
        "other poolings: @cls, @mean, @cls+mean, @gem, @projected, @unprojected (for example clip-vit-b32@cls)",
    ):
        assert fact in shown
    [family] = cli("models", name, "--json").json["families"]
    assert [checkpoint["slug"] for checkpoint in family["checkpoints"]] == ["clip-vit-b32"]


def test_models_with_a_chosen_pooling(cli: CommandLine) -> None:
    shown = cli("models", "deit-tiny@gem").out
    assert "pooling: the generalised mean of the patch tokens (GeM, p = 3), chosen instead of the standard one" in shown
    assert "other poolings: @cls, @mean, @cls+mean (for example deit-tiny@cls)" in shown
    assert "runs here now: no (visexplore models fetch deit-tiny)" in shown


def test_models_whose_library_is_missing_say_what_they_need(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "visexplore.tui.commands.models.find_spec", lambda name: None if name == "diffusers" else real(name)
    )
    assert (
        "needs: diffusers, which is not installed (uv pip install 'visexplore[diffusion]')"
        in cli("models", "sd15-vae").out
    )
    rows = cli("models", "--family", "stable-diffusion").out.splitlines()[1:]
    assert rows
    assert all(row.endswith(" MB, needs diffusers") for row in rows)
    assert "needs:" not in cli("models", "clip-vit-b32").out


def test_models_knows_ids_outside_the_catalogue(cli: CommandLine) -> None:
    assert "loader: timm" in cli("models", "timm:resnet50").out
    assert cli("models", "timm:resnet50", "--json").json["families"][0]["id"] == "outside"


def test_models_that_match_nothing(cli: CommandLine) -> None:
    found = cli("models", "--year", "1999")
    assert (found.code, found.out) == (0, "")
    assert found.err == "No model of the catalogue matches.\n"
    assert cli("models", "--year", "1999", "--json").json == {"families": []}


# ---- embed


def test_embed_reports_each_model(cli: CommandLine, photos: Path, tmp_path: Path) -> None:
    line = ("embed", photos, "--home", tmp_path, "--limit", "7", "--batch-size", "3", "--device", "cpu")
    first = cli(*line, "-m", "efficientnet-lite0", "-m", "efficientnet-lite1")
    assert first.code == 0
    for model, said in zip(("efficientnet-lite0", "efficientnet-lite1"), first.out.splitlines(), strict=True):
        assert re.match(rf"{model}: embedded 7 images of photos in \d+\.\d s \(\d+\.\d images/s", said)
    again = cli(*line)
    assert again.out == "efficientnet-lite0: nothing to do, 7 images of photos embedded already.\n"


def test_embed_json(cli: CommandLine, photos: Path, home: Path) -> None:
    done = cli("embed", photos, "--home", home, "--json")
    assert (done.code, done.err) == (0, "")
    [report] = done.json
    assert list(report) == [
        "model", "dataset", "images", "embedded", "reused", "skipped", "seconds", "images_per_second", "bottleneck",
        "store", "precision", "remarks",
    ]  # fmt: skip
    assert (report["model"], report["dataset"]) == (DEFAULT_MODEL, str(photos))
    assert (report["images"], report["embedded"], report["reused"]) == (13, 0, 12)
    assert report["skipped"] == [{"image_id": "cats/broken.jpg", "reason": "Not an image that Pillow can read"}]
    assert Path(report["store"]).is_relative_to(home)


def test_embed_lists_skipped_images(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.png").write_bytes(png(1))
    for number in range(12):
        (folder / f"bad{number:02}.jpg").write_bytes(b"bad")
    line = ("embed", folder, "--home", tmp_path / "home")
    listed = cli(*line).out.splitlines()
    assert listed[1] == "12 images could not be embedded:"
    assert listed[2] == "  bad00.jpg: Not an image that Pillow can read"
    assert listed[12] == "  and 2 more; --verbose lists them all"
    assert "  bad11.jpg: Not an image that Pillow can read" in cli(*line, "--verbose").out.splitlines()


# ---- query

COLUMNS = ["RANK", "SCORE", "PERCENTILE", "LABEL", "IMAGE"]


def test_query_with_an_image_of_the_dataset(cli: CommandLine, photos: Path, home: Path) -> None:
    found = cli("query", photos, "--id", "cats/1.png", "--home", home, "-k", "3")
    assert (found.code, found.err) == (0, "")
    query, _, facts, head, *rows = found.out.splitlines()
    assert query == "query cats/1.png  (cats)"
    assert facts.startswith("efficientnet-lite0: 12 images searched, 1,280 numbers an embedding, ")
    assert head.split() == COLUMNS
    assert len(rows) == 3
    for rank, row in enumerate(rows, start=1):
        found_rank, score, unusual, percent, mark, label, image = row.split()
        assert 0 <= float(unusual) <= 100
        assert percent == "%"
        assert (found_rank, mark) == (str(rank), "✓" if label == "cats" else "✗")
        assert -1 <= float(score) <= 1
        assert image.startswith(f"{label}/")
        assert image != "cats/1.png"


def test_query_json(cli: CommandLine, photos: Path, home: Path) -> None:
    found = cli("query", photos, "--id", "cats/1.png", "--home", home, "--json").json
    assert list(found) == ["dataset", "query", "results"]
    assert found["dataset"] == str(photos)
    assert found["query"] == {"image_id": "cats/1.png", "path": str(photos / "cats/1.png"), "label": "cats", "text": ""}
    [result] = found["results"]
    assert list(result) == ["model", "recipe", "dim", "seconds", "neighbours"]
    assert (result["model"], result["dim"], len(result["neighbours"])) == (DEFAULT_MODEL, 1280, 5)
    assert list(result["neighbours"][0]) == ["rank", "image_id", "path", "score", "label", "percentile"]
    assert "cats/1.png" not in {neighbour["image_id"] for neighbour in result["neighbours"]}


def _nearest(found: Result) -> str:
    """Return the id of the nearest image, which has to be the query itself."""
    [result] = found.json["results"]
    nearest = result["neighbours"][0]
    assert nearest["score"] == pytest.approx(1, abs=1e-3)
    return str(nearest["image_id"])


def test_query_with_a_file(cli: CommandLine, photos: Path, home: Path) -> None:
    found = cli("query", photos, "--image", photos / "boats/2.png", "--home", home, "--json")
    assert _nearest(found) == "boats/2.png"
    assert found.json["query"] == {"image_id": "", "path": str(photos / "boats/2.png"), "label": None, "text": ""}


def test_query_writes_strips_named_as_in_the_seed_document(
    cli: CommandLine, photos: Path, home: Path, tmp_path: Path
) -> None:
    found = cli("query", photos, "--id", "cats/1.png", "--home", home, "--strip", tmp_path / "out")
    [strip] = (tmp_path / "out").rglob("*.jpg")
    assert strip.name == "tf_efficientnet_lite0.in1k_query.jpg"
    assert f"strip written: {strip}" in found.err
    with Image.open(strip) as picture:
        assert picture.width > 4 * picture.height


def test_a_strip_that_cannot_be_written_is_one_sentence(
    cli: CommandLine, photos: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("in the way")
    failed = cli("query", photos, "--id", "cats/1.png", "--home", home, "--strip", tmp_path / "out")
    assert failed.code == 1
    assert "cannot be written" in failed.err.splitlines()[-1]


def test_query_with_standard_input(cli: CommandLine, photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((photos / "trees/3.png").read_bytes())))
    found = cli("query", photos, "--image", "-", "--home", home, "--json")
    assert _nearest(found) == "trees/3.png"


@pytest.fixture
def picture_server(photos: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write((photos / "cats/0.png").read_bytes())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so where it comes from
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cat.png"
        server.shutdown()


def test_query_with_an_address(
    cli: CommandLine, photos: Path, home: Path, picture_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    found = cli("query", photos, "--image", picture_server, "--home", home, "--json")
    assert _nearest(found) == "cats/0.png"
    refused = cli("query", photos, "--image", picture_server, "--home", home, "--offline")
    assert refused.code == 2
    assert refused.err.startswith("Error: --offline forbids to fetch http://127.0.0.1")


def test_query_embeds_what_is_missing_first(cli: CommandLine, photos: Path, tmp_path: Path) -> None:
    line = ("query", photos, "--id", "cats/1.png", "--home", tmp_path, "--json")
    cli("embed", photos, "--home", tmp_path, "--limit", "2")
    found = cli(*line, "-m", "efficientnet-lite0", "-m", "efficientnet-lite1", "-m", "EFFICIENTNET-LITE0")
    assert (found.code, found.err) == (0, "")
    assert [(r["model"], len(r["neighbours"])) for r in found.json["results"]] == [
        ("efficientnet-lite0", 5),
        ("efficientnet-lite1", 5),
    ]
    assert cli("embed", photos, "--home", tmp_path, "--json").json[0]["embedded"] == 0


def test_complete_dataset_is_not_embedded_again(
    cli: CommandLine, photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visexplore.tui.commands.query.embed", lambda *args, **options: pytest.fail("embedded again"))
    assert cli("query", photos, "--id", "cats/1.png", "--home", home).code == 0


# ---- datasets and cache


def test_datasets(cli: CommandLine, photos: Path, home: Path) -> None:
    sample, mine = cli("datasets", "--home", home, "--json").json["datasets"]
    assert (sample["spec"], sample["problem"], sample["models"]) == ("sample", "", [])
    assert sample["images"] > 100
    assert Path(sample["place"]).is_dir()
    assert (mine["spec"], mine["place"], mine["images"], mine["labels"]) == (str(photos), str(photos), 13, 3)
    assert mine["models"] == [{"model": DEFAULT_MODEL, "embedded": 12, "failed": 1, "total": 13}]
    plain = cli("datasets", "--home", home).out.splitlines()
    assert plain[0].split() == ["DATASET", "IMAGES", "LABELS", "EMBEDDED", "WITH", "PLACE"]
    assert plain[2].split() == ["photos", "13", "3", DEFAULT_MODEL, "12/13", str(photos)]


@pytest.fixture
def stored(cli: CommandLine, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A home of its own with two small datasets: (home, dataset, dataset)."""
    home = tmp_path / "home"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
        assert cli("embed", tmp_path / name, "--home", home, "-m", "efficientnet-lite0").code == 0
    assert cli("query", tmp_path / "one", "--id", "1.png", "--home", home).code == 0
    pictures = home / "thumbnails" / "ab"
    pictures.mkdir(parents=True)
    (pictures / f"ab{'0' * 30}.jpg").write_bytes(b"x" * 1000)
    (pictures / "holiday.jpg").write_bytes(b"not ours")
    return home, tmp_path / "one", tmp_path / "two"


def test_cache_rm_of_the_sample_leaves_a_folder_of_that_name(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "1.png").write_bytes(png(1))
    monkeypatch.chdir(tmp_path)
    assert cli("embed", "./sample").code == 0
    assert cli("embed", "sample", "--limit", "1").code == 0
    assert cli("cache", "rm", "sample", "--yes").code == 0
    [left] = cli("cache", "ls", "--json").json["stores"]
    assert left["dataset"] == str(tmp_path / "sample")


def test_datasets_that_are_gone_are_listed_with_what_is_stored(
    cli: CommandLine, stored: tuple[Path, Path, Path]
) -> None:
    home, one, _ = stored
    (one / "1.png").unlink()
    one.rmdir()
    gone = cli("datasets", "--home", home, "--json").json["datasets"][1]
    assert (gone["title"], gone["place"], gone["images"]) == ("one", str(one), None)
    assert gone["problem"].startswith("There is no dataset")
    assert gone["models"] == [{"model": DEFAULT_MODEL, "embedded": 1, "failed": 0, "total": 0}]
    assert f"{one} (There is no dataset" in cli("datasets", "--home", home).out


def test_cache_ls(cli: CommandLine, stored: tuple[Path, Path, Path]) -> None:
    home, one, two = stored
    listed = cli("cache", "ls", "--home", home, "--json").json
    assert list(listed) == ["home", "stores", "thumbnails", "bytes"]
    assert {store["dataset"] for store in listed["stores"]} == {str(one), str(two)}
    assert all(store["images"] == 1 and Path(store["path"]).is_dir() for store in listed["stores"])
    assert listed["thumbnails"] == {"path": str(home / "thumbnails"), "bytes": 1000}
    assert listed["bytes"] == sum(store["bytes"] for store in listed["stores"]) + 1000
    plain = cli("cache", "ls", "--home", home).out.splitlines()
    assert plain[0].split() == ["DATASET", "MODEL", "STORED", "SIZE", "RECIPE", "PATH"]
    assert plain[-1].endswith(f"in {home}")


def _datasets_left(cli: CommandLine, home: Path) -> list[str]:
    return sorted(Path(store["dataset"]).name for store in cli("cache", "ls", "--home", home, "--json").json["stores"])


def test_cache_rm_without_a_terminal_needs_yes(cli: CommandLine, stored: tuple[Path, Path, Path]) -> None:
    home, one, _ = stored
    asked = cli("cache", "rm", one, "--home", home)
    assert asked.code == 2
    assert asked.err.startswith("Error: This would delete the embeddings of one with efficientnet-lite0 (")
    assert asked.err.endswith(" MB). Give --yes to do so.\n")
    assert _datasets_left(cli, home) == ["one", "two"]


def test_cache_rm_deletes_what_is_named_and_nothing_else(cli: CommandLine, stored: tuple[Path, Path, Path]) -> None:
    home, one, two = stored
    assert cli("cache", "rm", one, "-m", "efficientnet-lite1", "--home", home, "--yes").code == 2
    removed = cli("cache", "rm", one, "-m", "efficientnet-lite0", "--home", home, "--yes", "--json").json
    assert [Path(path).is_relative_to(home / "embeddings") for path in removed["removed"]] == [True]
    assert removed["bytes"] > 0
    assert _datasets_left(cli, home) == ["two"]
    assert (one / "1.png").exists()
    [store] = cli("cache", "ls", "--home", home, "--json").json["stores"]
    assert cli("cache", "rm", store["path"], "--home", home, "--yes").out.startswith("Deleted ")
    assert _datasets_left(cli, home) == []
    assert (two / "1.png").exists()
    assert cli("cache", "rm", two, "--home", home, "--yes").code == 2


@pytest.mark.parametrize(("flag", "left"), [("--thumbnails", ["one", "two"]), ("--all", [])])
def test_cache_rm_of_thumbnails_and_all(
    cli: CommandLine, stored: tuple[Path, Path, Path], flag: str, left: list[str]
) -> None:
    home, one, _ = stored
    assert cli("cache", "rm", flag, "--home", home, "--yes").code == 0
    assert _datasets_left(cli, home) == left
    assert [file.name for file in (home / "thumbnails").glob("*/*")] == ["holiday.jpg"]
    assert (one / "1.png").exists()
    if flag == "--all":
        assert cli("cache", "rm", flag, "--home", home, "--yes").out == "There is nothing to delete.\n"


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", ["one", "two"]), (b"\n", ["one", "two"]), (b"y\n", ["two"])])
def test_cache_rm_asks_on_a_terminal(
    cli: CommandLine, stored: tuple[Path, Path, Path], answer: bytes, left: list[str]
) -> None:
    home, one, _ = stored
    asked = run_on_terminal("cache", "rm", one, "--home", home, keys=answer)
    assert "Delete the embeddings of one with efficientnet-lite0 (" in asked.out
    assert asked.code == (0 if answer == b"y\n" else 2)
    assert _datasets_left(cli, home) == left


# ---- on a terminal


@pytest.mark.parametrize("columns", [80, 200])
def test_query_shows_pictures_on_a_terminal(photos: Path, home: Path, columns: int) -> None:
    shown = run_on_terminal(
        "query", photos, "--id", "cats/1.png", "--home", home, "--graphics", "halfblock", columns=columns
    )
    assert shown.code == 0
    lines = without_sequences(shown.out).splitlines()
    assert lines[0] == "query cats/1.png  (cats)"
    assert max(map(len, lines)) <= columns
    pictures = [line for line in lines if "▀" in line]
    assert len(pictures) >= 4
    assert all(len(line.split()) == 6 for line in pictures[:2])
    captions = lines[lines.index("", 1) + 2 + len(pictures) :]
    assert captions[0].split()[:2] == ["query", "1"]
    assert captions[0].count("✓") + captions[0].count("✗") == 5
    assert captions[2].split()[0] == "1.png"


def test_query_on_a_terminal_without_colours_has_none(photos: Path, home: Path) -> None:
    shown = run_on_terminal("query", photos, "--id", "cats/1.png", "--home", home, "--color=none", "--graphics=text")
    assert shown.code == 0
    assert not re.search(r"\x1b\[[\d;]*[34][0-9]", shown.out)


def test_embed_shows_progress_on_a_terminal_and_wipes_it(photos: Path, tmp_path: Path) -> None:
    shown = run_on_terminal("embed", photos, "--home", tmp_path)
    assert shown.code == 0
    seen = without_sequences(shown.out)
    assert "loading efficientnet-lite0" in seen
    assert "0 of 13" in seen
    assert "efficientnet-lite0: embedded 12 images of photos" in seen
    assert "cats/broken.jpg: Not an image that Pillow can read" in seen
    assert shown.out.count("\x1b[?25l") == shown.out.count("\x1b[?25h")  # the cursor is shown again


@pytest.mark.parametrize("columns", [80, 140])
def test_models_fits_a_terminal(columns: int) -> None:
    shown = run_on_terminal("models", "--family", "efficientnet", "--quiet", columns=columns)
    lines = without_sequences(shown.out).splitlines()
    assert lines[0].split()[:2] == ["model", "family" if columns == 140 else "loader"]
    assert lines[1].split()[0] == "efficientnet-lite0"
    assert max(map(len, lines)) <= columns


def test_plain_output_has_no_control_codes() -> None:
    for line in (["models"], ["models", "vit"], ["datasets"], ["--help"]):
        shown = run_script(*line)
        assert shown.code == 0
        assert "\x1b" not in shown.out + shown.err


def test_output_that_is_no_utf8_is_no_error() -> None:
    shown = run_script("models", "vit", "--quiet", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert shown.code == 0
    assert shown.err == ""


def test_json_is_ascii(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "ça"
    folder.mkdir()
    (folder / "ü.png").write_bytes(png(1))
    printed = cli("embed", folder, "--home", tmp_path / "home", "--json").out
    assert printed.isascii()
    assert json.loads(printed)[0]["dataset"] == str(folder)
