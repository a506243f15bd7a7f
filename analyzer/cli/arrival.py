"""HTTP/1.1 with a bound on how long a request's first lines may take to arrive: who sends them forever, or never, would
keep a connection of ours without showing who they are."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVAL = 30.0
"""Seconds in which the lines before a request's body must be there."""


class PromptProtocol(H11Protocol):
    """uvicorn's, which waits for ever."""

    arrival = ARRIVAL
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio has it."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._limit is None:
            self._limit = asyncio.get_running_loop().call_later(self.arrival, self.transport.close)

    def _forget(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
