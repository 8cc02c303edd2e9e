"""`visexplore serve`: a real server on a free port, and its page's socket, as a browser uses them."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.tui.command_line import SCRIPT, CommandLine, without_sequences
from visexplore.tui.commands.common import Globals
from visexplore.tui.commands.serve import _command, _is_loopback
from visexplore.tui.terminal import Color, Graphics, is_served, served

START = 90.0  # seconds that a busy machine may take


@pytest.fixture
def visexplore(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server."""
    home = tmp_path_factory.mktemp("served")
    child = subprocess.Popen(
        [SCRIPT, "--home", home, "serve", "sample", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    line = child.stderr.readline()
    found = re.search(r"http://\S+", line)
    assert found, line
    yield found[0]
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 0
    child.stderr.close()


async def test_the_page_names_a_socket_at_the_address_it_was_asked_by(server: str) -> None:
    port = server.rpartition(":")[2]
    async with aiohttp.ClientSession() as session, session.get(f"http://localhost:{port}/") as answer:
        page = await answer.text()
    assert answer.status == 200
    assert f"ws://localhost:{port}/ws" in page
    assert f"http://localhost:{port}/static/" in page


@pytest.mark.slow
async def test_the_explorer_paints_answers_keys_and_leaves(server: str) -> None:
    port = server.rpartition(":")[2]
    seen = ""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server}/ws?width=100&height=30", origin=f"http://127.0.0.1:{port}") as page,
    ):
        await page.send_json(["resize", {"width": 100, "height": 30}])

        async def until(words: str) -> None:
            nonlocal seen
            async with asyncio.timeout(START):
                while words not in without_sequences(seen):
                    message = await page.receive()
                    assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
                    seen += message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else ""

        await until("sample under efficientnet-lite0")
        await until("220 images")
        assert "\x1b[c" not in seen
        assert "\x1b[16t" not in seen
        await page.send_json(["stdin", "?"])
        await until("arrows scroll, Esc closes")
        assert "▀" in seen  # pictures as half blocks
        await page.send_json(["stdin", "q"])  # the help
        await page.send_json(["stdin", "q"])  # the explorer
        async with asyncio.timeout(START):
            while not page.closed:
                await page.receive()


async def test_a_page_of_another_site_is_turned_away(server: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{server}/ws", origin="http://evil.example")
        assert caught.value.status == 403
        async with session.get(server, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403


def test_a_port_in_use_is_told_in_a_sentence(visexplore: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = visexplore("serve", "--port", str(port))
    assert result.code == 2
    assert f"Another program already listens on 127.0.0.1:{port}. Choose another with --port" in result.err


def test_an_address_of_nobody_is_told(visexplore: CommandLine) -> None:
    result = visexplore("serve", "--host", "no-such-host.invalid", "--port", "0")
    assert result.code == 2
    assert "There is no address 'no-such-host.invalid' to listen on" in result.err


def test_a_wrong_dataset_is_told_before_it_serves(visexplore: CommandLine) -> None:
    result = visexplore("serve", "/no/such/folder")
    assert result.code == 2
    assert "/no/such/folder" in result.err


def test_the_missing_extra_is_told_with_what_installs_it(
    visexplore: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    result = visexplore("serve")
    assert result.code == 2
    assert "textual-serve, which is not installed" in result.err
    assert "visexplore[serve]" in result.err


def test_a_wider_binding_is_warned_of(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [SCRIPT, "--home", tmp_path, "serve", "--host", "0.0.0.0", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    warning = child.stderr.readline()
    child.send_signal(signal.SIGTERM)
    child.wait(30)
    child.stderr.close()
    assert warning.startswith("Warning: anybody who reaches 0.0.0.0:")
    assert "no password" in warning
    assert "ssh -L" in warning


@pytest.mark.parametrize(
    ("host", "is_local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)]
)
def test_loopback_is_known(host: str, is_local: bool) -> None:
    assert _is_loopback(host) is is_local


def test_options_are_passed_on() -> None:
    options = Globals(home="/vis", graphics="sixel", theme="light", offline=True, trusted_code=("a/b",))
    line = _command(options, "/my photos", "clip-vit-b32", "cpu")
    expected = ["--home=/vis", "--graphics=sixel", "--theme=light", "--model=clip-vit-b32", "--device=cpu"]
    assert line[4:] == [*expected, "--trust-remote-code=a/b", "--offline", "/my photos"]


class TestTerminal:
    def test_a_browser_has_half_blocks_in_all_colours(self) -> None:
        terminal = served(env={"COLUMNS": "120", "ROWS": "40"})
        assert (terminal.columns, terminal.rows) == (120, 40)
        assert (terminal.graphics, terminal.color) == (Graphics.HALFBLOCK, Color.TRUECOLOR)
        assert served(Graphics.TEXT, env={}).graphics is Graphics.TEXT

    def test_only_textuals_web_driver_means_a_browser(self) -> None:
        assert is_served({"TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"})
        assert not is_served({})
        assert not is_served({"TEXTUAL_DRIVER": "textual.drivers.linux_driver:LinuxDriver"})
