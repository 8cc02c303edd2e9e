"""`visexplore serve`: the explorer in a browser, each page with a process of its own."""

from __future__ import annotations

import errno
import ipaddress
import shlex
import socket
import sys
from contextlib import suppress
from pathlib import Path

from visexplore.core.errors import UserError
from visexplore.tui.cli import check
from visexplore.tui.commands.common import Globals, tell

_TITLE = "visexplore"


def run(options: Globals, dataset: str, model: str, device: str, *, host: str, port: int) -> int:
    """Serve until Ctrl-C.

    Raises:
        UserError: textual-serve is missing, the port is in use, or what is to be explored cannot be.
    """
    settings = options.settings()
    spec = check(dataset, model, settings)
    try:
        from aiohttp import web

        from visexplore.tui.commands.web_server import WebServer
    except ModuleNotFoundError as error:
        raise UserError(
            "The explorer in a browser needs the package textual-serve, which is not installed",
            "Install it: uv pip install 'visexplore[serve]', or in a clone: uv sync --extra serve.",
        ) from error
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    is_local = _is_loopback(host)
    command = shlex.join(_command(options, spec, model, device))
    server = WebServer(command, host=host, port=port, title=_TITLE, is_local=is_local)
    if not is_local:
        tell(
            f"Warning: anybody who reaches {host}:{port} can see the images, read image files of yours and use this "
            "machine, as there is no password. A tunnel is safer: leave --host out and run on your own machine "
            f"`ssh -L {port}:localhost:{port} THIS_MACHINE`."
        )
    if not options.quiet:
        tell(f"The explorer of {spec} is at http://{_in_address(host)}:{port} until Ctrl-C is pressed.")
    web.run_app(server.app(), sock=listening, print=None, access_log=None, shutdown_timeout=2)
    return 0


def _command(options: Globals, spec: str, model: str, device: str) -> list[str]:
    """Return what runs the explorer for one page: this program once more."""
    home = str(Path(options.home).expanduser().absolute()) if options.home else ""
    valued = {
        "--home": home, "--graphics": options.graphics, "--color": options.color, "--theme": options.theme,
        "--model": model, "--device": device,
    }  # fmt: skip
    given = [f"{name}={value}" for name, value in valued.items() if value]
    given += [f"--trust-remote-code={name}" for name in options.trusted_code]
    given += ["--offline"] if options.offline else []
    program = "import sys; from visexplore.tui.cli import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", program, *given, spec]


def _listen(host: str, port: int) -> socket.socket:
    """Take the port now, while it can be told in a line that another program has it."""
    where = f"{host}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror as error:
        raise UserError(f"There is no address '{host}' to listen on", "Write --host 127.0.0.1 or 0.0.0.0.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"Choose another with --port {min(port + 1, 65535)}, or any that is free with --port 0."
            raise UserError(f"Another program already listens on {where}", hint) from error
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{where} cannot be listened on ({reason})", "Choose another --host or --port.") from error


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _in_address(host: str) -> str:
    """Return a host as it is written in an address."""
    return f"[{host}]" if ":" in host else host
