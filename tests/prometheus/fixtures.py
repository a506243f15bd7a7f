"""A real Prometheus for any test; they fail, and are not skipped, where there is none.

- `launch_prometheus`: `prometheus = await launch_prometheus(Settings(...))`, as many as a test wants
- `launch_shared_prometheus`: the same for the fixtures of a whole module
- `prometheus_url`: one without targets, shared by the module; also for tests that are not asynchronous
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from analyzer.demo.prometheus import Prometheus, Settings

Launch = Callable[[Settings], Awaitable[Prometheus]]
FIXTURES = frozenset({"launch_prometheus", "launch_shared_prometheus", "prometheus_url"})


@pytest.fixture
async def launch_prometheus(anyio_backend: str) -> AsyncIterator[Launch]:
    assert anyio_backend == "asyncio"
    async with AsyncExitStack() as stack:
        yield lambda settings: stack.enter_async_context(Prometheus.start(settings))


@pytest.fixture(scope="module")
async def launch_shared_prometheus(anyio_backend: str) -> AsyncIterator[Launch]:
    assert anyio_backend == "asyncio"
    async with AsyncExitStack() as stack:
        yield lambda settings: stack.enter_async_context(Prometheus.start(settings))


@pytest.fixture(scope="module")
async def prometheus_url(launch_shared_prometheus: Launch) -> str:
    return (await launch_shared_prometheus(Settings())).url
