"""HTTP clients for a load generator: one for each request under way."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import httpx

_KEEP_IDLE: Final = 5.0  # seconds; shorter than the simulated service keeps idle connections


class Clients:
    """Lends out `httpx` clients, the one used last first, and makes as many as are wanted at once.

    One client for all would be simpler, but its pool looks at all connections for each request: when the machine is
    busy and connections become many, each request costs more, and the load brings itself down. A pool here has one
    connection for each endpoint.
    """

    def __init__(self, patience: float, stack: AsyncExitStack) -> None:
        self._patience, self._stack = patience, stack
        self._context = ssl.create_default_context()  # shared: to make one takes as long as many requests
        self._free: list[httpx.AsyncClient] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, patience: float) -> AsyncIterator["Clients"]:
        """Clients that wait for an answer for so many seconds; all are closed on the way out."""
        async with AsyncExitStack() as stack:
            yield cls(patience, stack)

    @contextmanager
    def lend(self) -> Iterator[httpx.AsyncClient]:
        """A client for one request."""
        client = self._free.pop() if self._free else self._make()
        try:
            yield client
        finally:
            self._free.append(client)

    def _make(self) -> httpx.AsyncClient:
        limits = httpx.Limits(keepalive_expiry=_KEEP_IDLE)
        client = httpx.AsyncClient(limits=limits, timeout=self._patience, trust_env=False, verify=self._context)
        self._stack.push_async_callback(client.aclose)
        return client
