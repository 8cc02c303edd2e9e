from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.pictures import png
from visexplore.core import query_image
from visexplore.core.errors import UnreadableImage, UserError
from visexplore.core.query_image import read_query_image


class Site(BaseHTTPRequestHandler):
    """Serves one picture, and every way in which a server may fail."""

    def do_GET(self) -> None:
        match self.path:
            case "/a%20b.png" | "/%C3%A4.png?x=1":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(png(1))
            case "/garbage":
                self.wfile.write(b"this is no HTTP\r\n\r\n")
            case "/cut":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"ff\r\nonly this")
            case _:
                self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', " {} \n"])
def test_a_path_may_come_in_quotes(form: str, tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(png(1))
    assert read_query_image(form.format(tmp_path / "a b.png")) == png(1)


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    """As file managers copy it."""
    (tmp_path / "ä b.png").write_bytes(png(1))
    assert read_query_image((tmp_path / "ä b.png").as_uri()) == png(1)


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(png(1))
    assert read_query_image("~/a.png") == png(1)


@pytest.mark.parametrize("name", ["no/such/file.png", "~nobody-of-that-name/a.png", "nul\0byte.png", "", "."])
def test_what_is_no_file_is_the_users_mistake(name: str) -> None:
    with pytest.raises(UserError):
        read_query_image(name)


def test_a_name_that_is_too_long_is_one_sentence() -> None:
    with pytest.raises(UnreadableImage, match="File name too long"):
        read_query_image("x" * 5000)


def test_a_file_without_end_is_read_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_image, "_MAX_BYTES", 1000)
    assert read_query_image("/dev/zero") == bytes(1000)


def test_a_pipe_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(png(1)))
    writer.start()
    assert read_query_image(str(tmp_path / "pipe")) == png(1)
    writer.join()


@pytest.mark.parametrize("path", ["/a%20b.png", "/a b.png", "/ä.png?x=1", "/%C3%A4.png?x=1"])
def test_an_address_is_fetched_as_people_paste_it(path: str, site: str) -> None:
    assert read_query_image(site + path) == png(1)


@pytest.mark.parametrize("path", ["/no.png", "/garbage", "/cut"])
def test_a_server_that_fails_is_one_sentence(path: str, site: str) -> None:
    with pytest.raises(UnreadableImage, match="cannot be fetched") as caught:
        read_query_image(site + path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://", "http://[", "http://127.0.0.1:1/a.png", "http://x:y/a.png"])
def test_an_address_that_is_none_is_one_sentence(address: str) -> None:
    with pytest.raises(UnreadableImage, match="cannot be fetched"):
        read_query_image(address)


def test_offline_fetches_nothing(site: str) -> None:
    with pytest.raises(UserError, match="--offline forbids"):
        read_query_image(f"{site}/a%20b.png", offline=True)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(png(1))))
    assert read_query_image("-") == png(1)


def test_empty_standard_input_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(UserError, match="Standard input is empty"):
        read_query_image("-")
