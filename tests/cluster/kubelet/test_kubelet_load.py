"""What the load counts, against simulated services in this process."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from analyzer.demo.port import LOOPBACK, Port
from tests.cluster.kubelet.plan import Exit, plan_of
from tests.cluster.kubelet.service import Service
from tests.cluster.load import LeanLoad
from tests.demo.patience import until

pytestmark = pytest.mark.anyio


class Pods:
    """Simulated services, by tag."""

    def __init__(self) -> None:
        self._ports: list[Port] = []
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[Exit]] = []

    async def add(self, tag: str) -> str:
        self._ports.append(port := Port())
        service = Service(plan_of(f"x:{tag}"), LOOPBACK, port.number, "seed")
        self._tasks.append(asyncio.ensure_future(service(self._stop)))
        await until(lambda: listens(port.number))
        return f"http://{LOOPBACK}:{port.number}"

    async def end(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        for port in self._ports:
            port.close()


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    pods = Pods()
    yield pods
    await pods.end()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


async def served(url: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{url}/metrics")).text
    return sum(float(value) for value in re.findall(r"^http_requests_total{[^}]*} (\S+)$", text, re.MULTILINE))


async def test_requests_are_spread_evenly_and_each_is_counted(pods: Pods) -> None:
    urls = [await pods.add("clean") for _ in range(3)]
    async with LeanLoad(lambda: urls, 300) as load:
        await until(lambda: load.total().sent >= 150)
    counts = [load.total([url]) for url in urls]
    assert max(one.sent for one in counts) - min(one.sent for one in counts) <= 1
    assert all(one.ok == one.sent and one.bad == 0 for one in counts)
    assert [await served(url) for url in urls] == [one.ok for one in counts]


async def test_errors_are_bad(pods: Pods) -> None:
    good, bad = await pods.add("clean"), await pods.add("errors-99.9")
    async with LeanLoad(lambda: [good, bad], 200) as load:
        await until(lambda: load.total().sent >= 60)
    assert load.total([good]).bad == 0
    assert load.total([bad]).bad >= 25


async def test_a_crash_is_bad_for_those_under_way_and_those_after_it(pods: Pods) -> None:
    url = await pods.add("clean-slow-3-crashing-0.5")
    async with LeanLoad(lambda: [url], 100) as load:
        await until(lambda: load.total().bad >= 30)
    counts = load.total()
    assert counts.ok > 0
    assert counts.ok + counts.bad == counts.sent
    assert counts.first_bad is not None


async def test_a_connection_that_was_closed_while_idle_is_opened_anew(pods: Pods) -> None:
    url = await pods.add("clean")
    load = LeanLoad(lambda: [url], 50)
    await load.start()
    await until(lambda: load.total().ok >= 3)
    load.rate = 0
    await until(lambda: load.total().ok == load.total().sent)
    for wire in load._idle[url]:
        wire._writer.transport.abort()
    await asyncio.sleep(0)
    before = load.total().ok
    load.rate = 50
    await until(lambda: load.total().ok >= before + 3)
    await load.stop()
    assert load.total().bad == 0
