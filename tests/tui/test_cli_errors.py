"""Whatever goes wrong is told in one sentence with the right exit code, and nothing hostile reaches the terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import png
from tests.tui.command_line import (
    EVIL,
    SCRIPT,
    CommandLine,
    Result,
    hostile_characters,
    run_on_terminal,
    run_script,
    without_sequences,
)
from visexplore.core.messages import Progress
from visexplore.tui.commands import progress as progress_module


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        (folder / f"{seed}.png").write_bytes(png(seed))
    return folder


def assert_one_sentence(failed: Result, code: int, *parts: str) -> None:
    """Check that a command failed with this code and told why in one line, without a traceback."""
    assert failed.code == code, failed.err
    assert failed.out == ""
    assert re.fullmatch(r"Error: [^\n]+\n", failed.err), failed.err
    assert "Traceback" not in failed.err
    for part in parts:
        assert part in failed.err


# ---- the user's mistakes


@pytest.mark.parametrize("line", ["embed sample -m effnet-lite0", "query sample --id x -m effnet-lite0"])
def test_unknown_model(cli: CommandLine, line: str) -> None:
    assert_one_sentence(cli(*line.split()), 2, "No model is called 'effnet-lite0'", "efficientnet-lite0")


def test_unknown_entry_of_the_catalogue(cli: CommandLine) -> None:
    assert_one_sentence(cli("models", "clpi"), 2, "No model is called 'clpi'", "clip")
    assert_one_sentence(cli("models", "--family", "clpi"), 2, "No family has the id 'clpi'", "clip")
    assert_one_sentence(cli("models", "--loader", "keras"), 2, "No loader is called 'keras'", "timm")


@pytest.mark.parametrize("line", ["embed {} -m", "query {} --id 0.png -m", "models fetch", "doctor encoders -m"])
def test_family_in_place_of_a_model(cli: CommandLine, folder: Path, line: str) -> None:
    words = line.format(folder).split()
    assert_one_sentence(cli(*words, "clip"), 2, "'clip' is a family of models", "Name one of them: clip-vit-b32, ")
    failed = cli(*words, "SimVLM")
    assert_one_sentence(failed, 1, "SimVLM cannot be had: Google published neither", "nearest model is coca-vit-b32.")


@pytest.mark.parametrize("line", ["embed {} -m", "query {} --id 0.png -m", "models fetch"])
def test_model_that_is_not_on_disk_without_a_network(cli: CommandLine, folder: Path, line: str) -> None:
    failed = cli(*line.format(folder).split(), "clip-vit-b32", "--offline")
    assert_one_sentence(failed, 1, "clip-vit-b32 (openai/clip-vit-base-patch32) is not on this machine", "--offline")


@pytest.mark.parametrize("name", ["clip", "/x", "a/b/c", ""])
def test_trusting_what_is_no_repository(cli: CommandLine, name: str) -> None:
    failed = cli("models", "--trust-remote-code", name)
    assert_one_sentence(failed, 2, f"'{name}' is no repository", "--trust-remote-code OWNER/NAME")


@pytest.mark.parametrize("command", [[], ["embed"], ["query", "--id", "x"]])
def test_unknown_dataset(cli: CommandLine, command: list[str]) -> None:
    failed = cli(*command, "/nowhere/photos")
    assert_one_sentence(failed, 2, "There is no dataset '/nowhere/photos' and no folder at that path")


@pytest.mark.parametrize("command", [[], ["embed"], ["query", "--id", "x"]])
def test_file_as_dataset(cli: CommandLine, folder: Path, command: list[str]) -> None:
    assert_one_sentence(cli(*command, folder / "0.png"), 2, "is a file, not a folder of images")


@pytest.mark.parametrize("files", [[], ["notes.txt", ".hidden.png"]])
@pytest.mark.parametrize("command", [["embed"], ["query", "--id", "x"]])
def test_folder_without_images(cli: CommandLine, tmp_path: Path, files: list[str], command: list[str]) -> None:
    for name in files:
        (tmp_path / name).write_bytes(png(1))
    assert_one_sentence(cli(*command, tmp_path), 2, f"{tmp_path} holds no images")


def test_unknown_image(cli: CommandLine, folder: Path) -> None:
    failed = cli("query", folder, "--id", "0.pgn")
    assert_one_sentence(failed, 2, "photos has no image '0.pgn'", "Did you mean '0.png'?")


@pytest.mark.parametrize(
    "given",
    [[], ["--id", "0.png", "--image", "0.png"], ["--text", "mug", "--id", "0.png"], ["--text", "", "--id", "x"]],
)
def test_query_wants_one_query(cli: CommandLine, folder: Path, given: list[str]) -> None:
    assert_one_sentence(cli("query", folder, *given), 2, "--image PATH", "--id ID", "--text WORDS")


@pytest.mark.parametrize("words", ["", " \t"])
def test_query_with_no_words(cli: CommandLine, folder: Path, words: str) -> None:
    assert_one_sentence(cli("query", folder, "--text", words), 2, "The text to search with is empty")


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("efficientnet-lite0", "it embeds images only"),
        ("vilt-b32", "it embeds images only"),
        ("clip-vit-b32@cls", "its 'cls' vectors share no space with texts"),
    ],
)
def test_query_with_words_and_a_model_without_a_text_tower(
    cli: CommandLine, folder: Path, model: str, why: str
) -> None:
    failed = cli("query", folder, "--text", "a red mug", "-m", model)
    assert_one_sentence(failed, 2, f"{model} cannot search by text: {why}", "clip-vit-b32, coca-vit-b32")
    assert cli("cache", "ls", "--json").json["stores"] == []  # refused before anything is embedded


def test_query_image_that_is_not_there(cli: CommandLine, folder: Path) -> None:
    assert_one_sentence(cli("query", folder, "--image", "/nowhere/x.png"), 2, "There is no file '/nowhere/x.png'")
    assert_one_sentence(cli("query", folder, "--image", folder), 2, "is a folder, not a picture")


def test_query_with_empty_standard_input() -> None:
    failed = run_script("query", "sample", "--image", "-", stdin=subprocess.DEVNULL)
    assert_one_sentence(failed, 2, "Standard input is empty")


def test_query_with_what_is_no_picture(cli: CommandLine, folder: Path) -> None:
    (folder / "2.png").write_bytes(b"no picture")
    (folder / "3.png").write_bytes(png(3)[:100])
    for name in ("2.png", "3.png"):
        assert_one_sentence(cli("query", folder, "--id", name), 1, f"'{name}' cannot be read as a picture (")
        failed = cli("query", folder, "--image", folder / name)
        assert_one_sentence(failed, 1, f"'{folder / name}' cannot be read as a picture (")


def test_query_in_a_folder_of_broken_pictures(cli: CommandLine, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "query.png"
    outside.write_bytes(png(5))
    for file in folder.iterdir():
        file.write_bytes(b"broken")
    failed = cli("query", folder, "--image", outside, "--quiet")
    assert_one_sentence(failed, 1, "None of the 2 images of photos can be read", "0.png")


def test_device_and_precision_that_do_not_exist(cli: CommandLine, folder: Path) -> None:
    assert_one_sentence(cli("embed", folder, "--device", "gpu"), 2, "'gpu' is no device")
    for command in (["embed", folder], ["query", folder, "--id", "0.png"]):
        assert_one_sentence(cli(*command, "--precision", "int3"), 2, "'int3' is no precision")
    (folder / "2.png").write_bytes(png(2))
    failed = cli("query", folder, "--image", folder / "2.png", "--device", "gpu", "--quiet")
    assert_one_sentence(failed, 2, "'gpu' is no device")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--graphics neon", "--graphics"),
        ("models --color=17", "--color"),
        ("embed", "DATASET"),
        ("embed sample --batch-size 0", "--batch-size"),
        ("embed sample --limit many", "--limit"),
        ("query sample --id x -k 0", "-k"),
        ("models --year soon", "--year"),
        ("models --home", "--home"),
        ("sample extra", "extra"),
        ("--wrong sample", "--wrong"),
        ("models fetch", "NAME"),
        ("models --json fetch clip-vit-b32", "Run: visexplore models fetch clip-vit-b32"),
        ("doctor encoders --device gpu -m efficientnet-lite9", "No model is called"),
        ("doctor memory", "memory"),
        ("cache", "Missing command"),
        ("cache list", "'list'"),
        ("cache rm", "Nothing is named to delete"),
        ("cache rm nothing --yes", "Nothing is stored of 'nothing'"),
    ],
)
def test_usage_mistakes(cli: CommandLine, line: str, said: str) -> None:
    assert_one_sentence(cli(*line.split()), 2, said)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("modles", "models"),
        ("dataset", "datasets"),
        ("embedd ~/photos", "embed"),
        ("qeury sample --id x", "query"),
        ("--offline doctr --json", "doctor"),
    ],
)
def test_mistyped_command(
    cli: CommandLine, line: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_sentence(cli(*line.split()), 2, f"Did you mean `visexplore {meant}`?")


def test_explorer_without_a_terminal() -> None:
    failed = run_script(stdin=subprocess.DEVNULL)
    assert_one_sentence(failed, 2, "needs a terminal", "`visexplore query`", "`visexplore embed`")


def test_explorer_with_an_unknown_model(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda fd: True)
    assert_one_sentence(cli("-m", "effnet-lite0"), 2, "No model is called 'effnet-lite0'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("graphics = 'neon'", "'neon' in config.toml is no value of `graphics`"),
        ("color = 'pink'", "'pink' in config.toml is no value of `color`"),
        ("colour = '16'", "unknown key 'colour'"),
        ("home = ", "is not valid TOML"),
    ],
)
def test_wrong_configuration(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    assert_one_sentence(cli("models"), 2, said)


def test_wrong_models_file(cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.toml").write_text("[[family]]\nid = 'mine'\ncolour = 'red'\n")
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    for line in (["models"], ["embed", "sample"]):
        assert_one_sentence(cli(*line), 2, f"{tmp_path / 'models.toml'}, line 3")


# ---- what the machine refuses


def test_file_in_place_of_the_home_folder(cli: CommandLine, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")
    failed = cli("embed", folder, "--home", tmp_path / "home")
    assert_one_sentence(failed, 1, f"{tmp_path / 'home'}", "cannot be written", "--home")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """A mount point, and the beginning of the command that mounts something on it."""
    point = tmp_path / "mount"
    point.mkdir()
    yield point, ["mount"]
    subprocess.run(["umount", str(point)], capture_output=True, check=False)


def _mounted(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs root, and a container that allows it")


def test_home_without_write_permission(cli: CommandLine, folder: Path, mount: tuple[Path, list[str]]) -> None:
    point, command = mount
    _mounted([*command, "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(point)])
    assert_one_sentence(cli("embed", folder, "--home", point), 1, f"{point}", "cannot be written", "--home")


def test_full_disk(cli: CommandLine, folder: Path, mount: tuple[Path, list[str]]) -> None:
    point, command = mount
    _mounted([*command, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(point)])
    assert cli("embed", folder, "--home", point, "--limit", "1").code == 0
    filler = point / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(100_000))
    failed = cli("embed", folder, "--home", point, "--quiet")
    assert_one_sentence(failed, 1, f"The disk that holds {point}", "is full", "kept")
    assert not list(point.rglob("*.part"))
    filler.unlink()
    [report] = cli("embed", folder, "--home", point, "--json").json
    assert (report["embedded"], report["reused"]) == (1, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_images_without_read_permission_are_skipped(cli: CommandLine, folder: Path) -> None:
    (folder / "0.png").chmod(0)
    done = cli("embed", folder)
    assert done.code == 0
    assert "  0.png: Permission denied" in done.out.splitlines()
    assert_one_sentence(cli("query", folder, "--id", "0.png"), 1, "'0.png' cannot be read", "Permission denied")


def test_interrupted_embedding_keeps_what_is_done(
    cli: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2, 60):
        (folder / f"{seed}.png").write_bytes(png(seed))

    class PressesControlC:
        def show(self, progress: Progress) -> None:
            if progress.done and not pressed:
                pressed.append(progress.done)
                os.kill(os.getpid(), signal.SIGINT)

    pressed: list[int] = []
    monkeypatch.setattr(progress_module, "PlainView", PressesControlC)
    stopped = cli("embed", folder, "--batch-size", "1")
    assert stopped.code == 130
    kept = re.search(
        r"Stopped\. (\d+) of 60 images are embedded with efficientnet-lite0 and kept; "
        r"the same command goes on from there\.\n",
        stopped.err,
    )
    assert kept is not None, stopped.err
    assert pressed[0] <= int(kept[1]) < 60
    monkeypatch.setattr(progress_module, "PlainView", progress_module.NoView)
    [report] = cli("embed", folder, "--json").json
    assert (report["reused"], report["embedded"]) == (int(kept[1]), 60 - int(kept[1]))


def test_second_interrupt_ends_at_once(folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from visexplore.tui.commands.progress import stop_on_interrupt\n"
        "with stop_on_interrupt() as stopped:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print(stopped(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "True\n", "")


def test_interrupt_elsewhere(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("visexplore.tui.commands.models.load_catalogue", interrupt)
    stopped = cli("models")
    assert (stopped.code, stopped.out, stopped.err) == (130, "", "Stopped. What was embedded is kept.\n")


def test_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([SCRIPT, "models", "--json"], stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_full_device_as_standard_output() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([SCRIPT, "models", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert_one_sentence(Result(done.returncode, "", done.stderr), 1, "full")


def test_fault_of_ours(cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ValueError(f"{EVIL} [/]\nmore")

    monkeypatch.setattr("visexplore.tui.commands.models.load_catalogue", fail)
    log = tmp_path / "logs" / "errors.log"
    failed = cli("models", "--home", tmp_path)
    assert_one_sentence(failed, 1, "failed unexpectedly (ValueError: ", f"The traceback is in {log}")
    assert not hostile_characters(failed.err)
    assert "Traceback" in log.read_text()
    shown = cli("models", "--home", tmp_path, "--verbose")
    assert shown.err.startswith("Traceback")
    assert not hostile_characters(shown.err)
    monkeypatch.setattr("visexplore.tui.commands.common.load_settings", fail)
    assert_one_sentence(cli("models"), 1, "failed unexpectedly (ValueError: ", "--verbose")


# ---- hostile names


@pytest.fixture
def evil_folder(tmp_path: Path) -> Path:
    """A dataset of a hostile name with hostile labels and file names, one of them broken."""
    folder = tmp_path / EVIL
    for label in (EVIL, f"{EVIL}2"):
        (folder / label).mkdir(parents=True)
        for seed in range(2):
            (folder / label / f"{seed}{EVIL}.png").write_bytes(png(seed + len(label)))
    (folder / EVIL / f"broken{EVIL}.png").write_bytes(b"broken")
    return folder


def _image_ids(cli: CommandLine, folder: Path) -> list[str]:
    [result] = cli("query", folder, "--image", next(folder.rglob("[01]*.png")), "--json").json["results"]
    return [neighbour["image_id"] for neighbour in result["neighbours"]]


def test_hostile_names_in_every_command(cli: CommandLine, evil_folder: Path) -> None:
    image_id = _image_ids(cli, evil_folder)[0]
    lines: list[list[str | Path]] = [
        ["embed", evil_folder],
        ["embed", evil_folder, "--json"],
        ["query", evil_folder, "--id", image_id],
        ["query", evil_folder, "--id", image_id, "--json"],
        ["query", evil_folder, "--image", next(evil_folder.rglob("0*.png"))],
        ["datasets"],
        ["datasets", "--json"],
        ["cache", "ls"],
        ["cache", "ls", "--json"],
        ["cache", "rm", evil_folder, "--yes"],
    ]
    for line in lines:
        done = cli(*line)
        assert done.code == 0, done.err
        assert not hostile_characters(done.out + done.err), line
        assert "[red]" in done.out or line[1] == "rm"
    assert_one_sentence(cli("query", evil_folder, "--id", image_id[:-5]), 2, "[red]")


def test_hostile_words_in_every_mistake(cli: CommandLine, folder: Path) -> None:
    evil = f"{EVIL}[/]"
    lines: list[list[str | Path]] = [
        [evil],
        [f"model{evil}"],
        ["--graphics", evil],
        [f"--{evil}"],
        ["-m", evil],
        ["models", evil],
        ["models", "--family", evil],
        ["models", "--loader", evil],
        ["models", "--year", evil],
        ["embed", evil],
        ["embed", folder, "-m", evil],
        ["embed", folder, "-m", f"timm:{evil}"],
        ["embed", folder, "-m", f"./{evil}"],
        ["embed", folder, "--device", evil],
        ["embed", folder, "--precision", evil],
        ["query", evil, "--id", evil],
        ["query", folder, "--id", evil],
        ["query", folder, "--image", evil],
        ["query", folder, "--image", f"http://{evil}"],
        ["query", folder, "--text", evil],
        ["models", "fetch", evil],
        ["doctor", "encoders", "-m", evil],
        ["models", "--trust-remote-code", evil],
        ["cache", evil],
        ["cache", "rm", evil],
    ]
    for line in lines:
        failed = cli(*line)
        assert failed.code == 2, (line, failed)
        assert not hostile_characters(failed.out + failed.err), line
        assert re.fullmatch(r"Error: [^\n]+\n", failed.err), failed.err
    nothing = cli("models", "--text", evil)
    assert (nothing.code, nothing.out) == (0, "")


def test_hostile_home(cli: CommandLine, folder: Path, tmp_path: Path) -> None:
    home = tmp_path / EVIL.removesuffix("\udcff")
    for line in (["embed", folder], ["cache", "ls"], ["datasets"], ["doctor", "--offline"]):
        done = cli(*line, "--home", home)
        assert done.code == 0
        assert not hostile_characters(done.out + done.err)


def test_hostile_names_on_a_terminal(cli: CommandLine, evil_folder: Path) -> None:
    image_id = _image_ids(cli, evil_folder)[0]
    lines: list[list[str | Path]] = [
        ["query", evil_folder, "--id", image_id, "--graphics", "halfblock"],
        ["datasets"],
        ["cache", "ls"],
    ]
    for line in lines:
        shown = run_on_terminal(*line, columns=400)  # wide, so that names are not folded
        assert shown.code == 0
        assert not hostile_characters(without_sequences(shown.out)), line
        assert "[red]" in shown.out.replace("\n", "")


def test_progress_of_hostile_models_is_not_markup(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(f"{EVIL}[/]", "embedding", 1, 2, images_per_second=3, eta_seconds=4)
    view = progress_module.PlainView()
    view._last -= 10
    view.show(progress)
    view.show(progress)
    [line] = capfd.readouterr().err.splitlines()
    assert not hostile_characters(line)
    assert line.endswith(": 1 of 2, 3 images/s, 4.0 s left")
