"""The application behind a real server, on a port that the system chooses."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from analyzer.api.app import close_streams, make_app
from analyzer.service.running import Service
from analyzer.store.database import Database
from tests.api.house import service_on, settings

DEADLINE = 20.0


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Where it is served, in this event loop."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(DEADLINE):
            while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        close_streams(app)
        server.should_exit = True
        await asyncio.wait_for(task, DEADLINE)


@contextmanager
def served(database_url: str, prepare: Callable[[Service], Awaitable[None]], **other: object) -> Iterator[str]:
    """Where it is served, in a thread of its own; `prepare` puts something into its store before."""
    address: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        async with Database.open(database_url) as database:
            service = service_on(database, settings(**other))
            await prepare(service)
            async with serving(make_app(service)) as url:
                address.append(url)
                ready.set()
                await asyncio.to_thread(stop.wait)

    def main() -> None:
        try:
            asyncio.run(run())
        finally:
            ready.set()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        assert ready.wait(DEADLINE)
        yield address[0]
    finally:
        stop.set()
        thread.join(DEADLINE)
