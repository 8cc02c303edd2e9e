"""The web server of `visexplore serve`: textual-serve's, which answers only its own page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class WebServer(Server):
    """Serves a Textual program to browsers.

    A page of another site could open the socket too: browsers let it. So the socket is only for pages that came from
    here, and a local server goes by no other name than a local one.

    Args:
        command: runs the program for one page, a line for a shell.
        host: that is listened on.
        port: of it.
        title: of the page.
        is_local: only this machine can connect.
    """

    def __init__(self, command: str, *, host: str, port: int, title: str, is_local: bool) -> None:
        super().__init__(command, host, port, title)
        self._host = host
        self._is_local = is_local

    async def app(self) -> web.Application:
        """Return the web application."""
        app = await self._make_app()
        app.middlewares.append(self._refuse_strangers)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: it was said before."""

    @web.middleware
    async def _refuse_strangers(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        is_ours = not origin or urlsplit(origin).netloc == request.host
        name = urlsplit(f"//{request.host}").hostname or ""
        if not is_ours or (self._is_local and name not in _LOCAL_NAMES | {self._host}):
            raise web.HTTPForbidden(text="This page is served to itself alone.")
        return await handler(request)

    async def handle_index(self, request: web.Request) -> Any:  # noqa: ANN401 - what aiohttp_jinja2 makes of it
        """Return the page, whose addresses are those that it was asked by: there may be a tunnel between."""
        self.public_url = f"{request.scheme}://{request.host}"
        return await super().handle_index(request)
