"""What simulated containers do while they run: serve, work for a moment, or idle."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Final

from analyzer.demo.application import Application
from analyzer.demo.behaviour import MEBIBYTE, Outcome
from analyzer.demo.metrics import Metrics
from analyzer.demo.server import Server
from tests.cluster.kubelet.plan import CRASHED, Exit, Plan

Payload = Callable[[asyncio.Event], Awaitable[Exit]]
"""Runs one life of a container, until it ends by itself or the event tells it to."""

_TASK: Final = 1.0  # seconds that a task takes
_MEMORY_PER_REQUEST: Final = 0.25 * MEBIBYTE


class Life:
    """One life of the simulated service: what its application asks of it."""

    scrapeable = True

    def __init__(self, plan: Plan, seed: str) -> None:
        self._plan, self._luck = plan, Random(seed)
        self._started = time.time()
        self.application = Application(self, Metrics(self._started, self._memory))

    def draw(self) -> Outcome:
        now = time.time()
        return self._plan.behaviour_at(now - self._started).draw(self._luck, now)

    def _memory(self) -> float:
        return self._plan.memory_at(time.time() - self._started) + _MEMORY_PER_REQUEST * self.application.in_flight


class Service:
    """A container that serves at an address and port, each life with the next luck of its seed."""

    def __init__(self, plan: Plan, address: str, port: int, seed: str) -> None:
        self._plan, self._place, self._seed = plan, (address, port), seed
        self._lives = 0

    async def __call__(self, stop: asyncio.Event) -> Exit:
        self._lives += 1
        life = Life(self._plan, f"{self._seed}/{self._lives}")
        if self._plan.starts_after and await _told(stop, self._plan.starts_after):
            return Exit()
        try:
            server = Server(life.application.app, _bound(self._place))
        except OSError:
            return CRASHED
        await server.start()
        try:
            return await idle(self._plan, stop)
        except asyncio.CancelledError:
            await server.die()
            raise
        finally:
            await (server.stop() if stop.is_set() else server.die())


async def idle(plan: Plan, stop: asyncio.Event) -> Exit:
    """Run until told to end, or until the plan ends it."""
    if await _told(stop, plan.ends[0] if plan.ends else None):
        return Exit()
    assert plan.ends is not None
    return plan.ends[1]


async def work(plan: Plan, stop: asyncio.Event) -> Exit:
    """A task: it ends after a moment."""
    after, end = plan.ends or (_TASK, Exit())
    return Exit(143, "Error") if await _told(stop, after) else end


async def _told(event: asyncio.Event, patience: float | None) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await event.wait()
    return event.is_set()


def _bound(place: tuple[str, int]) -> socket.socket:
    # Named TCP, or asyncio would not know it for TCP and would leave Nagle's algorithm on: 40 ms a request.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    return bound
