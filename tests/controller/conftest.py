"""An API server on a real socket, whose lists and watches each test scripts; and a clock that does not wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from analyzer.platforms.cluster import Cluster, ClusterSettings
from tests.controller.watched_api import WatchedApi, serving
from tests.platforms.fake_kubeconfig import written


class QuickClock:
    """Unix seconds that a test sets; sleeping takes no time, and is noted."""

    def __init__(self, now: float) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock(1_800_000_000.0)


@pytest.fixture
def api() -> Iterator[WatchedApi]:
    with serving() as found:
        yield found


@pytest.fixture
async def cluster(api: WatchedApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(ClusterSettings(kubeconfig=str(written(tmp_path, api.url)), time_limit=5, connections=0))
    yield found
    await found.close()


async def until(holds: Callable[[], Awaitable[bool] | bool]) -> None:
    """TimeoutError if that never holds."""
    async with asyncio.timeout(20):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
