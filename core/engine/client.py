"""The parent's end of the engine: it starts the child, sends requests, and hands every event to a callback."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from io import FileIO
from typing import TYPE_CHECKING

from visexplore.core.engine.protocol import Died, Event, Request
from visexplore.core.errors import EngineDied, StorageError
from visexplore.core.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Engine:
    """The parent's end: starts the child, sends requests, hands events to `on_event` from a thread of its own.

    A child that ends unexpectedly is reported as `Died`; `start` makes a new one.
    """

    def __init__(self, settings: Settings, on_event: Callable[[Event], None], device: str = "auto") -> None:
        self.settings = settings
        self.on_event = on_event
        self._device = device
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._tickets = 0
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the child; it takes requests at once and answers `Ready` when it can.

        Raises:
            StorageError: its log file cannot be written.
        """
        output = self._open_log()
        ours, theirs = socket.socketpair()
        threads = str(max(1, (os.cpu_count() or 1) - 1))
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "PYTHONFAULTHANDLER": "1",
        }
        with output, theirs:
            self._child = subprocess.Popen(
                # -P: a file in the current folder must not pass for a module of the same name.
                [sys.executable, "-P", "-m", "visexplore.core.engine.server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[theirs.fileno()], env=environment, start_new_session=True,
            )  # fmt: skip
        from multiprocessing.connection import Connection  # 8 ms, and the first frame comes before the engine

        self._connection = Connection(ours.detach())
        self._closing = False
        self._connection.send((self.settings, self._device))
        threading.Thread(target=self._receive, args=(self._connection, self._child), daemon=True).start()

    def check_log(self) -> None:
        """Find out before there is a screen whether `start` will be able to write its log.

        Raises:
            StorageError: it will not.
        """
        self._open_log().close()

    def _open_log(self) -> FileIO:
        log = self.settings.engine_log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            return log.open("ab", buffering=0)
        except OSError as error:
            raise StorageError(
                f"{log} cannot be written ({error.strerror})",
                "Choose another place with --home DIR or VISEXPLORE_HOME.",
            ) from error

    def ticket(self) -> int:
        """Return a number that no request has had."""
        self._tickets += 1
        return self._tickets

    def send(self, request: Request) -> None:
        """Send a request; one that a dead engine does not get is lost, as `Died` says."""
        with self._sending, contextlib.suppress(OSError, ValueError):
            if self._connection is not None:
                self._connection.send(request)

    def stop(self) -> None:
        """End the child. Embedding that was going on is kept up to the last shard."""
        self._closing = True
        if self._connection is not None:
            with self._sending, contextlib.suppress(OSError):
                self._connection.send(None)
        if self._child is not None:
            try:
                self._child.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _receive(self, connection: Connection, child: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                event = connection.recv()
            except (EOFError, OSError):
                break
            self.on_event(event)
        connection.close()
        code = child.wait()
        if not self._closing:
            reason = f"it was ended by signal {-code}" if code < 0 else f"exit code {code}"
            hint = (
                "The machine may have run out of memory."
                if code == -9
                else f"Its last words are in {self.settings.engine_log}."
            )
            self.on_event(Died(EngineDied(f"The engine stopped unexpectedly ({reason})", hint)))
