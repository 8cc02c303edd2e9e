"""Models that are not on this machine, from the command line: fetching, embedding, searching with words, checking."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.tiny_models import save_checkpoint as save_timm
from tests.core.tiny_transformers import save_checkpoint
from tests.loopback_hub import LoopbackHub
from tests.pictures import png
from tests.tui.command_line import SCRIPT, CommandLine, Result, run_on_terminal, without_sequences
from visexplore.core.encoders import golden
from visexplore.tui.commands import progress as progress_module

CLIP = "openai/clip-vit-base-patch32"
VIT = "google/vit-base-patch16-224-in21k"
WEIGHTS = f"*{CLIP}/resolve/*/model.safetensors"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories of tiny models: two that the catalogue knows, and one outside it that embeds images only."""
    folder = tmp_path_factory.mktemp("repositories")
    save_checkpoint("clip", folder / CLIP)
    for name in (VIT, "someone/vit"):
        save_checkpoint("vit", folder / name)
    return folder


@pytest.fixture
def hub(repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub that has them, and an empty cache for what is fetched."""
    with LoopbackHub(repositories) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield hub


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A dataset of three pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(png(seed))
    return folder


def size(repositories: Path, name: str) -> int:
    return sum(file.stat().st_size for file in (repositories / name).iterdir())


def stores(cli: CommandLine) -> list[str]:
    return [store["model"] for store in cli("cache", "ls", "--json").json["stores"]]


# ---- fetching


def test_fetch_says_sizes_and_licences_before_and_what_came_after(cli: CommandLine, hub: LoopbackHub) -> None:
    done = cli("models", "fetch", "clip-vit-b32", "vit-b16-in21k", "efficientnet-lite0")
    assert done.code == 0
    bundled, clip, vit, total, *came = done.out.splitlines()
    assert bundled == "efficientnet-lite0: nothing to fetch, its weights came with the install, licence: Apache-2.0"
    assert clip == f"clip-vit-b32: 0.2 MB to fetch from {CLIP}, licence: MIT"
    assert vit == f"vit-b16-in21k: 0.1 MB to fetch from {VIT}, licence: Apache-2.0"
    assert total == "In all 0.3 MB to fetch."
    assert [re.sub(r"in \d+\.\d s", "", line) for line in came] == [
        "clip-vit-b32: fetched 0.2 MB .",
        "vit-b16-in21k: fetched 0.1 MB .",
    ]
    assert done.err == ""  # too quick for a line of progress


def test_fetched_model_is_on_disk_and_is_not_fetched_again(cli: CommandLine, hub: LoopbackHub) -> None:
    assert cli("models", "fetch", "clip-vit-b32").code == 0
    asked = len(hub.requests)
    again = cli("models", "fetch", "clip-vit-b32", "clip-vit-b32@cls")  # whose weights are the same
    assert again.out == "clip-vit-b32: nothing to fetch, 0.2 MB are on disk already, licence: MIT\n"
    assert len(hub.requests) == asked
    assert re.search(r"^clip-vit-b32 .* on disk$", cli("models").out, re.MULTILINE)
    card = cli("models", "clip-vit-b32").out
    assert "weights: on disk\n" in card
    assert "runs here now: yes\n" in card


def test_fetch_json(cli: CommandLine, hub: LoopbackHub, repositories: Path) -> None:
    line = ("models", "fetch", "clip-vit-b32", "efficientnet-lite0", "--json")
    first, again = cli(*line), cli(*line)
    assert (first.err, again.err) == ("", "")
    facts = {"model": "clip-vit-b32", "repository": CLIP, "bytes": size(repositories, CLIP), "status": "on disk"}
    bundled = {
        "model": "efficientnet-lite0", "repository": "timm/tf_efficientnet_lite0.in1k", "bytes": None, "fetched": 0,
        "status": "bundled",
    }  # fmt: skip
    assert first.json == [facts | {"fetched": size(repositories, CLIP)}, bundled]
    assert again.json == [facts | {"fetched": 0}, bundled]
    assert list(first.json[0]) == ["model", "repository", "bytes", "fetched", "status"]


def test_fetch_of_a_model_in_a_folder(cli: CommandLine, repositories: Path) -> None:
    done = cli("models", "fetch", repositories / VIT)
    assert done.out == f"{VIT.split('/')[1]}: nothing to fetch, it is in {repositories / VIT}\n"


def test_nothing_is_fetched_when_one_of_the_models_cannot_be_had(cli: CommandLine, hub: LoopbackHub) -> None:
    for name in ("simvlm", "clip", "no-such-model"):
        assert cli("models", "fetch", "clip-vit-b32", name).code in (1, 2)
        assert hub.requests == []
    failed = cli("models", "fetch", "clip-vit-b32", "hf:nobody/nothing")
    assert failed.code == 1
    assert re.match(r"Error: hf-nobody-nothing .*cannot be fetched: there is no .*repository", failed.err)
    assert hub.downloads() == []


def test_progress_of_a_download_is_told_in_lines(
    cli: CommandLine, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_PLAIN_PROGRESS_SECONDS", 0.1)
    hub.fault(WEIGHTS, drip=0.01)  # 2 s in all: in the first second no rate is told
    told = cli("models", "fetch", "clip-vit-b32").err.splitlines()
    assert len(told) >= 2
    for line in told:
        assert re.fullmatch(r"fetching clip-vit-b32: 0\.\d MB of 0\.2 MB(, \d\.\d MB/s, [\d.]+ s left)?", line), line
    assert told[-1].endswith(" left")
    assert cli("models", "fetch", "vit-b16-in21k", "--quiet").err == ""


def test_progress_of_a_download_on_a_terminal(hub: LoopbackHub) -> None:
    hub.fault(WEIGHTS, drip=0.01)
    shown = run_on_terminal("models", "fetch", "clip-vit-b32")
    assert shown.code == 0
    seen = without_sequences(shown.out)
    assert re.search(r"fetching clip-vit-b32 ━.* 0\.\d MB of 0\.2 MB, \d\.\d MB/s, [\d.]+ s left", seen)
    assert re.search("━[╸╺]", seen)  # the end of what is filled
    assert seen.splitlines()[0].startswith("clip-vit-b32: 0.2 MB to fetch")
    assert seen.splitlines()[-1].startswith("clip-vit-b32: fetched 0.2 MB in ")
    assert shown.out.count("\x1b[?25l") == shown.out.count("\x1b[?25h")  # the cursor is shown again


def interrupted(hub: LoopbackHub, *line: str | Path) -> Result:
    """Run a command and press Ctrl-C once the weights are on their way."""
    hub.fault(WEIGHTS, drip=0.05)
    child = subprocess.Popen([SCRIPT, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not hub.downloads("model.safetensors") and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)  # some KB
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return Result(child.returncode, out, err)


def test_interrupted_fetch_goes_on_from_there(cli: CommandLine, hub: LoopbackHub, repositories: Path) -> None:
    stopped = interrupted(hub, "models", "fetch", "clip-vit-b32")
    assert stopped.code == 130
    assert re.fullmatch(
        r"Stopped\. 0\.\d MB of 0\.2 MB of clip-vit-b32 are here; the same command goes on from there\.\n", stopped.err
    )
    [report] = cli("models", "fetch", "clip-vit-b32", "--json").json
    assert 0 < report["fetched"] < report["bytes"] == size(repositories, CLIP)
    first, resumed = hub.downloads("model.safetensors")
    assert (first.range, resumed.range is not None) == (None, True)


def test_embedding_interrupted_while_it_fetches(cli: CommandLine, hub: LoopbackHub, photos: Path) -> None:
    stopped = interrupted(hub, "embed", photos, "-m", "clip-vit-b32")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1].endswith("of clip-vit-b32 are here; the same command goes on from there.")
    assert stores(cli) == []


# ---- embedding


def test_embedding_with_a_model_that_is_not_here_fetches_it_first(
    cli: CommandLine, hub: LoopbackHub, photos: Path
) -> None:
    done = cli("embed", photos, "-m", "clip-vit-b32")
    assert done.code == 0
    assert done.out.startswith("clip-vit-b32: embedded 3 images of photos in ")
    cost, announced, fetched = done.err.splitlines()[:3]
    assert cost == ("clip-vit-b32 embeds 3 images: about 1.7 GB memory, 3 kB on disk, download 605 MB, licence MIT.")
    assert announced == f"clip-vit-b32: 0.2 MB to fetch from {CLIP}, licence: MIT"
    assert fetched.startswith("clip-vit-b32: fetched 0.2 MB in ")
    again = cli("embed", photos, "-m", "clip-vit-b32")
    assert (again.out, again.err) == ("clip-vit-b32: nothing to do, 3 images of photos embedded already.\n", "")


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_embedding_fetches_without_a_word_for_programs(
    cli: CommandLine, hub: LoopbackHub, photos: Path, option: str
) -> None:
    done = cli("embed", photos, "-m", "vit-b16-in21k", option)
    assert (done.code, done.err) == (0, "")
    assert hub.downloads("model.safetensors")


def test_unknown_dataset_is_told_before_anything_is_fetched(cli: CommandLine, hub: LoopbackHub) -> None:
    assert cli("embed", "/nowhere/photos", "-m", "clip-vit-b32").code == 2
    assert hub.requests == []


def test_what_was_derived_about_a_model_is_told(cli: CommandLine, repositories: Path, photos: Path) -> None:
    line = ("embed", photos, "-m", repositories / "someone/vit")
    done = cli(*line)
    assert re.search(r"^Note: vit: By its config\.json it is of the type vit: kept is ", done.err, re.MULTILINE)
    (photos / "4.png").write_bytes(png(4))
    assert cli(*line, "--quiet").err == ""
    (photos / "5.png").write_bytes(png(5))
    [report] = cli(*line, "--json").json
    assert report["remarks"][0].startswith("By its config.json")


def test_precision_is_told_when_it_is_not_float32(cli: CommandLine, photos: Path) -> None:
    line = ("embed", photos, "-m", "efficientnet-lite0", "--device", "cpu")
    assert "32" not in cli(*line).out
    assert re.search(r" images/s, in bfloat16, slowest: ", cli(*line, "--precision", "bf16").out)


# ---- code that comes with weights

MODELING = """
from pathlib import Path
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

Path({mark!r}).touch()


class OddConfig(PreTrainedConfig):
    model_type = "odd_net"


class OddModel(PreTrainedModel):
    config_class = OddConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.patches = torch.nn.Conv2d(3, 16, 8, 8)
        self.post_init()

    def forward(self, pixel_values):
        return BaseModelOutputWithPooling(last_hidden_state=self.patches(pixel_values))
"""


@pytest.fixture
def mark(repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the code of `someone/odd` makes when it runs."""
    from safetensors.torch import save_file
    from torch import ones, zeros

    folder, mark = repositories / "someone" / "odd", tmp_path / "it-ran"
    save_checkpoint("vit", folder)
    (folder / "modeling_odd.py").write_text(MODELING.format(mark=str(mark)))
    references = {"AutoConfig": "modeling_odd.OddConfig", "AutoModel": "modeling_odd.OddModel"}
    config = {"model_type": "odd_net", "auto_map": references, "architectures": ["OddModel"], "image_size": 32}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"patches.weight": ones(16, 3, 8, 8), "patches.bias": zeros(16)}, folder / "model.safetensors")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    return mark


def test_code_of_a_repository_does_not_run_by_itself(
    cli: CommandLine, hub: LoopbackHub, photos: Path, mark: Path
) -> None:
    for trusted in ([], ["--trust-remote-code", CLIP]):
        refused = cli("embed", photos, "-m", "hf:someone/odd", "--quiet", *trusted)
        assert refused.code == 1
        assert re.fullmatch(r"Error: hf-someone-odd needs .*--trust-remote-code someone/odd\n", refused.err)
        assert not mark.exists()


def test_code_of_a_repository_runs_where_the_user_names_it(
    cli: CommandLine, hub: LoopbackHub, photos: Path, mark: Path
) -> None:
    trusting = cli("--trust-remote-code", "someone/odd", "embed", photos, "-m", "hf:someone/odd", "--quiet")
    assert (trusting.code, trusting.err) == (0, "")
    assert mark.exists()
    assert trusting.out.startswith("hf-someone-odd: embedded 3 images")
    check = ("doctor", "encoders", "-m", "hf:someone/odd")
    assert (cli(*check).code, cli(*check, "--trust-remote-code", "someone/odd").code) == (1, 0)


# ---- words


def test_query_with_words_embeds_and_finds(cli: CommandLine, hub: LoopbackHub, photos: Path) -> None:
    line = ("query", photos, "--text", "a red mug", "-m", "clip-vit-b32", "-k", "2")
    shown = cli(*line)
    assert shown.code == 0
    first, _, facts, columns, *rows = shown.out.splitlines()
    assert first == 'query "a red mug"'
    assert facts.startswith("clip-vit-b32: 3 images searched, 24 numbers an embedding, ")
    assert columns.split() == ["RANK", "SCORE", "LABEL", "IMAGE"]
    found = cli(*line, "--json").json
    assert found["query"] == {"image_id": "", "path": "", "label": None, "text": "a red mug"}
    neighbours = found["results"][0]["neighbours"]
    assert [row.split() for row in rows] == [[str(n["rank"]), f"{n['score']:.4f}", n["image_id"]] for n in neighbours]
    other = cli("query", photos, "--text", "x", "-m", "clip-vit-b32", "--json").json["results"][0]["neighbours"]
    assert other[0]["score"] != neighbours[0]["score"]


def test_query_with_words_on_a_terminal_shows_pictures_of_the_neighbours_alone(
    cli: CommandLine, hub: LoopbackHub, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process: another one would import transformers again, which takes longer than all else here.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = ("query", photos, "--text", "a red mug", "-m", "clip-vit-b32", "--graphics", "halfblock", "--quiet")
    shown = cli(*line, "--color", "truecolor")
    assert shown.code == 0
    first, *lines = without_sequences(shown.out).splitlines()
    assert first == 'query "a red mug"'
    pictures = [line.split() for line in lines if "▀" in line]
    assert pictures
    assert {len(parts) for parts in pictures} == {3}
    captions = [line.split()[::2] for line in lines if re.match(r"1  -?0\.\d{3} ", line)]
    assert captions == [["1", "2", "3"]]


def test_words_are_refused_before_embedding_where_only_the_model_knows_that_it_has_no_text_tower(
    cli: CommandLine, hub: LoopbackHub, photos: Path
) -> None:
    failed = cli("query", photos, "--text", "a red mug", "-m", "hf:someone/vit", "--quiet")
    assert failed.code == 2
    assert re.fullmatch(r"Error: hf-someone-vit cannot search by text: .*Some that can: clip-vit-b32, .*\n", failed.err)
    assert stores(cli) == []


def test_query_computes_in_the_precision_that_is_asked_for(cli: CommandLine, photos: Path) -> None:
    line = ("query", photos, "--id", "0.png", "--json", "--quiet", "--device", "cpu")
    exact, half = (cli(*line, "--precision", precision).json["results"][0] for precision in ("float32", "bf16"))
    assert exact["recipe"] != half["recipe"]
    assert exact["neighbours"][0]["score"] != half["neighbours"][0]["score"]


# ---- checking


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model that the user's models.toml names."""
    save_timm(tmp_path / "mine", "test_vit", 160)
    config = tmp_path / "config"
    config.mkdir()
    (config / "models.toml").write_text(
        '[[family]]\nid = "own"\n[[family.checkpoint]]\n'
        f'id = "own/mine"\nslug = "mine"\nloader = "timm"\nfolder = "{tmp_path / "mine"}"\npooling = "as I like it"\n'
    )
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(config))
    return tmp_path / "mine"


def test_doctor_looks_at_every_model_that_is_here(cli: CommandLine, own_model: Path, hub: LoopbackHub) -> None:
    cli("models", "fetch", "clip-vit-b32", "--quiet")
    first = cli("doctor", "encoders", "--json")
    assert (first.code, first.err) == (0, "")
    slugs = ["clip-vit-b32", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "mine"]
    verdicts = {found["model"]: found["verdict"] for found in first.json}
    assert verdicts == dict.fromkeys(slugs, "as before") | {"clip-vit-b32": "recorded now", "mine": "recorded now"}
    assert list(first.json[0]) == [
        "model", "verdict", "note", "recipe", "pooling", "preprocessing", "dim", "precision", "device", "drift",
        "limit", "seconds", "remarks",
    ]  # fmt: skip
    shown = cli("doctor", "encoders", "-m", "mine", "-m", "clip-vit-b32")
    assert shown.code == 0
    mine, clip, summary = shown.out.split("\n\n")
    facts = mine.splitlines()
    assert facts[0] == "mine: as before"
    assert "  pooling: as I like it" in facts
    assert any(re.match(r"  preprocessing: .*input size 3 x 160 x 160, interpolation bilinear", fact) for fact in facts)
    assert "  embedding: 64 numbers in float32 on cpu" in facts
    assert any(re.fullmatch(r"  drift: \d\.\de-\d\d \(up to 1e-04 is no change\)", fact) for fact in facts)
    assert "crop size 32 x 32, " in clip
    assert summary == "2 models: 2 as before.\n"


def test_doctor_exits_with_1_when_a_model_has_drifted(
    cli: CommandLine, own_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = ("doctor", "encoders", "-m", "mine", "--home", tmp_path / "home")
    assert cli(*line).code == 0
    [file] = (tmp_path / "home" / "golden").iterdir()
    kept = json.loads(file.read_text())
    [entry] = kept.values()
    entry["made_with"]["torch"] = "1.0"
    entry["vectors"] = entry["vectors"][1:] + entry["vectors"][:1]
    file.write_text(json.dumps(kept))
    shown = cli(*line, "-m", "efficientnet-lite0")
    assert shown.code == 1
    assert shown.out.startswith("mine: drifted\n")
    assert "\n  note: Since then: torch 1.0 -> " in shown.out
    assert f"delete {file}" in shown.out
    assert shown.out.endswith("2 models: 1 as before, 1 drifted.\n")


def test_doctor_tells_a_model_that_cannot_be_loaded_in_a_line_and_goes_on(cli: CommandLine, own_model: Path) -> None:
    (own_model / "model.safetensors").write_bytes(b"damaged")
    shown = cli("doctor", "encoders", "-m", "mine", "-m", "efficientnet-lite0", "-m", "clip-vit-b32")
    assert shown.code == 1
    assert re.match(r"mine: failed\. The weights in .*\n\nefficientnet-lite0: as before\n", shown.out)
    fetch = "Fetch them (605 MB): visexplore models fetch clip-vit-b32"
    assert f"clip-vit-b32: failed. The weights of clip-vit-b32 are not on this machine. {fetch}\n" in shown.out
    assert shown.out.endswith("3 models: 1 as before, 2 failed.\n")


def test_doctor_loads_where_and_as_it_is_told(cli: CommandLine, own_model: Path) -> None:
    [found] = cli("doctor", "encoders", "-m", "mine", "--precision", "bf16", "--device", "cpu", "--json").json
    assert (found["precision"], found["device"]) == ("bfloat16", "cpu")
    [found] = cli("doctor", "encoders", "-m", "mine", "--json").json
    assert (found["precision"], found["limit"]) == ("float32", golden.LIMIT_HALF)  # the recorded ones are in bfloat16
