"""What the process that answers and the one that works on analyses tell each other, over a pair of sockets.

Both are of one program, and nobody else has an end of it: messages are pickled.
"""

import asyncio
import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from prometheus_client.metrics_core import Metric

from analyzer.errors import CanaryError

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True)
class Begin:
    """To the worker: the database is ready, work."""


@dataclass(frozen=True)
class Wake:
    """To the worker: there are new orders or decisions."""


@dataclass(frozen=True)
class Stop:
    """To the worker: hand everything on, and end."""


@dataclass(frozen=True)
class Measure:
    """To the worker: tell your metrics, under this number."""

    number: int


@dataclass(frozen=True)
class Alone:
    """From the worker: no other process works on this database, if it is one that cannot be shared."""


@dataclass(frozen=True)
class Standing:
    """From the worker, every second: why it is not ready, a sentence each."""

    troubles: Sequence[str]


@dataclass(frozen=True)
class Measured:
    """From the worker: its metrics."""

    number: int
    metrics: Sequence[Metric]


@dataclass(frozen=True)
class Ended:
    """From the worker, as its last word: what it has ended with."""

    error: CanaryError | None


class Channel:
    """One end of it, in one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Over one end of a pair of sockets."""
        return cls(*await asyncio.open_connection(sock=end))

    def tell(self, message: object) -> None:
        """Send it; that the other one is no more is found out by `hear`."""
        body = pickle.dumps(message)
        self._writer.write(_LENGTH.pack(len(body)) + body)

    async def hear(self) -> object:
        """The next message.

        Raises:
            EOFError: the other one is no more.
        """
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return pickle.loads(await self._reader.readexactly(length))  # noqa: S301 -- from our own other half
        except ConnectionError as error:
            raise EOFError from error

    async def close(self) -> None:
        """Send what waits, and nothing more."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
