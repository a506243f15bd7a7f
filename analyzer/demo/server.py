"""An HTTP server in the running event loop that can be asked to end, or made to die as a killed process does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from analyzer.errors import DemoError

_KEEP_ALIVE: Final = 60  # seconds; longer than clients keep idle connections, so that none is closed under a request
_GRACE: Final = 5  # seconds


class Server:
    """Serves an application on a bound socket, which it closes in the end."""

    def __init__(self, app: ASGIApp, listener: socket) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # a killed request is no news here
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE,
        )
        self._server = _Embedded(config)
        self._listener = listener
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when connections are accepted. Raises DemoError if that cannot be."""
        serving = self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        listening = asyncio.create_task(self._server.listening.wait())
        try:
            await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            if not self._server.listening.is_set():
                await self.die()
        if not self._server.listening.is_set():
            raise DemoError(f"the simulated service could not start: {serving.exception()!r}")

    async def stop(self) -> None:
        """Accept nothing new, answer what is under way (for at most five seconds), and end."""
        if self._serving is not None:
            self._server.ending.set()
            await self._serving
            self._serving = None

    async def die(self) -> None:
        """End at once: connections are reset, requests under way are never answered."""
        if self._serving is None:
            return
        serving, self._serving = self._serving, None
        serving.cancel()
        state = self._server.server_state
        for server in self._server.servers:
            server.close()
        self._listener.close()
        for connection in list(state.connections):
            connection.transport.abort()
        requests = list(state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.wait([serving, *requests])


class _Embedded(uvicorn.Server):
    """Leaves the signals to the program that it is a part of, tells when it listens, and hears at once when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.servers = []
        self.listening, self.ending = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.ending.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
