"""Connections whose requests do not arrive are closed; others are not."""

import asyncio
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.responses import PlainTextResponse

from analyzer.cli.arrival import PromptProtocol


class Hasty(PromptProtocol):
    arrival = 0.5


def on_port(test: Callable[[int], Awaitable[None]]) -> None:
    async def go() -> None:
        config = uvicorn.Config(PlainTextResponse("well"), port=0, http=Hasty, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve())
        try:
            async with asyncio.timeout(20):
                while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
                    await asyncio.sleep(0.01)
                await test(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    asyncio.run(go())


def test_half_a_request() -> None:
    async def test(port: int) -> None:
        for half in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(half)
            assert await reader.read() == b""
            writer.close()

    on_port(test)


def test_a_connection_that_is_used_again() -> None:
    """It may be idle for longer in between, and its next request must arrive in time, too."""

    async def test(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for pause in (0.0, 0.8):
            await asyncio.sleep(pause)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"well")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await reader.read() == b""
        writer.close()

    on_port(test)
