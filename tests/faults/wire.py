"""A wire between the analyzer and a server, which a test can cut, stop up, slow down or fill with noise."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

from analyzer.demo.port import LOOPBACK, Port


class State(Enum):
    """What the wire does with what comes from the server."""

    WHOLE = auto()
    CUT = auto()  # connections break, and new ones break at once
    STOPPED_UP = auto()  # connections stay, and nothing arrives in either direction
    LATE = auto()  # answers arrive `delay` seconds late
    DRIPPING = auto()  # a byte every `delay` seconds
    NOISY = auto()  # other bytes arrive than were sent


class Wire:
    """`async with wire(host_port) as line`: connect to `line.port` and speak with the server.

    Whatever state it changes to holds for what arrives from then on, on connections that are open, too.
    """

    def __init__(self, server_port: int, seed: int = 1) -> None:
        self._server_port = server_port
        self._luck = random.Random(seed)
        self._port = Port()
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._changed = asyncio.Event()
        self._state, self._delay = State.WHOLE, 0.0
        self._stop_after = b""
        self._stopped = asyncio.Event()

    @property
    def port(self) -> int:
        """Where to connect to, on the loopback."""
        return self._port.number

    def become(self, state: State, delay: float = 0.0) -> None:
        """Change; open connections break when it is cut."""
        self._state, self._delay = state, delay
        self._changed.set()
        self._changed = asyncio.Event()
        if state == State.CUT:
            self.break_all()

    def stop_after(self, words: bytes) -> asyncio.Event:
        """Let nothing more through in either direction once the server has been sent these; set when that is so."""
        self._stop_after = words
        return self._stopped

    def break_all(self) -> None:
        """Break each open connection, as a machine that is switched off and on."""
        for writers in self._connections.values():
            for writer in writers:
                _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = [writer]
        try:
            if self._state != State.CUT:
                await self._join(reader, writer, task)
        except (OSError, asyncio.CancelledError):
            pass  # it is the purpose of this wire; and nobody waits for who serves a connection
        finally:
            for each in self._connections.pop(task):
                _reset(each)

    async def _join(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: "asyncio.Task[None]"
    ) -> None:
        to_server = await asyncio.open_connection(LOOPBACK, self._server_port)
        self._connections[task].append(to_server[1])
        ways = [
            asyncio.ensure_future(self._carry(reader, to_server[1], answers=False)),
            asyncio.ensure_future(self._carry(to_server[0], writer, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await _read(source):
            await self._flows()
            if answers and self._state == State.DRIPPING:
                await self._drip(data, sink)
                continue
            if answers and self._state == State.LATE:
                await self._pause(self._delay)
            if answers and self._state == State.NOISY:
                data = self._luck.randbytes(len(data))
            sink.write(data)
            await sink.drain()
            if not answers and self._stop_after and self._stop_after in data:
                self._stop_after = b""
                self.become(State.STOPPED_UP)
                self._stopped.set()
        await self._flows()  # nor does anybody hear that the other end has gone

    async def _flows(self) -> None:
        while self._state == State.STOPPED_UP:
            await self._changed.wait()

    async def _drip(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        for number in range(len(data)):
            if self._state != State.DRIPPING:
                sink.write(data[number:])
                return
            sink.write(data[number : number + 1])
            await sink.drain()
            await self._pause(self._delay)

    async def _pause(self, seconds: float) -> None:
        """So many seconds, or until the wire changes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def close(self) -> None:
        self._port.close()

    def listener(self) -> socket.socket:
        return self._port.listener()


@asynccontextmanager
async def wire(server_port: int) -> AsyncIterator[Wire]:
    """A wire to a port of the loopback; whole at first."""
    line = Wire(server_port)
    server = await asyncio.start_server(line.serve, sock=line.listener())
    try:
        yield line
    finally:
        server.close()
        line.break_all()
        line.become(State.WHOLE)
        for task in [*line._connections]:
            task.cancel()
            await asyncio.wait([task])
        await server.wait_closed()
        line.close()


async def _read(source: asyncio.StreamReader) -> bytes:
    """What comes next; nothing once the other end has gone, however it went."""
    try:
        return await source.read(65536)
    except OSError:
        return b""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection (RST): nobody has said goodbye."""
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
