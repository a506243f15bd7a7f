"""The service that a simulated container runs, over real sockets."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from analyzer.demo.behaviour import MEBIBYTE
from analyzer.demo.port import LOOPBACK, Port
from tests.cluster.kubelet.plan import CRASHED, KILLED, Exit, Plan, plan_of
from tests.cluster.kubelet.service import Service, work

pytestmark = pytest.mark.anyio


class Served:
    def __init__(self, service: Service, url: str) -> None:
        self.stop = asyncio.Event()
        self.url = url
        self.running = asyncio.ensure_future(service(self.stop))


def service(plan: Plan, port: Port) -> tuple[Service, str]:
    return Service(plan, LOOPBACK, port.number, "seed"), f"http://{LOOPBACK}:{port.number}"


@asynccontextmanager
async def serving(tag: str) -> AsyncIterator[Served]:
    with Port() as port:
        served = Served(*service(plan_of(f"x:{tag}"), port))
        try:
            yield served
        finally:
            served.stop.set()
            await asyncio.wait_for(served.running, 10)


async def get(url: str) -> httpx.Response:
    """Retries while nobody listens yet."""
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                return await client.get(url)
            except httpx.ConnectError:
                await asyncio.sleep(0.01)


def number(metrics: str, name: str) -> float:
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
    assert found, metrics
    return float(found[1])


async def memory(served: Served) -> float:
    return number((await get(f"{served.url}/metrics")).text, "process_resident_memory_bytes")


async def test_instances_in_one_process_have_counters_of_their_own() -> None:
    begin = time.time()
    async with serving("clean") as one, serving("clean") as other:
        for _ in range(3):
            assert (await get(one.url)).status_code == 200
        await get(other.url)
        first, second = [(await get(f"{each.url}/metrics")).text for each in (one, other)]
    assert number(first, "http_requests_total") == 3
    assert number(second, "http_requests_total") == 1
    assert begin <= number(first, "process_start_time_seconds") <= time.time()


async def test_errors_are_answered() -> None:
    async with serving("errors-99.9") as one:
        codes = [(await get(one.url)).status_code for _ in range(10)]
    assert codes.count(500) >= 8


async def test_late_errors_are_not_there_before() -> None:
    async with serving("clean-late-errors-1-100") as one:
        assert (await get(one.url)).status_code == 200
        async with asyncio.timeout(10):
            while (await get(one.url)).status_code == 200:
                pass


async def test_leaking_shows_in_the_memory() -> None:
    async with serving("leaking-1000") as one:
        before = await memory(one)
        await asyncio.sleep(0.05)
        after = await memory(one)
    assert after - before >= 50 * MEBIBYTE


async def test_a_slow_start_refuses_until_it_is_over() -> None:
    begin = time.monotonic()
    async with serving("slow-start-0.5") as one:
        await get(one.url)
        assert time.monotonic() - begin >= 0.5


@pytest.mark.parametrize(("tag", "end"), [("crashing-0.1", CRASHED), ("oom-0.1", KILLED)])
async def test_it_ends_as_its_plan_says_and_lives_again(tag: str, end: Exit) -> None:
    with Port() as port:
        life, url = service(plan_of(f"x:{tag}"), port)
        for _ in range(2):
            assert await asyncio.wait_for(life(asyncio.Event()), 10) == end
            async with httpx.AsyncClient(trust_env=False) as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get(url)


async def test_one_that_is_stopped_answers_what_is_under_way() -> None:
    async with serving("clean-slow-50") as one:
        idle = await memory(one)
        answer = asyncio.ensure_future(get(one.url))
        while await memory(one) == idle:  # a request under way takes memory
            assert not answer.done()
        one.stop.set()
        assert (await answer).status_code == 200
        assert await one.running == Exit()


async def test_a_port_that_is_taken_is_a_crash() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        life = Service(plan_of("x:good"), "127.0.0.1", holder.getsockname()[1], "seed")
        assert await life(asyncio.Event()) == CRASHED


@pytest.mark.parametrize(("tag", "code"), [("good", 0), ("crashing", 1), ("oom-0", 137)])
async def test_tasks_end_by_themselves(tag: str, code: int) -> None:
    assert (await asyncio.wait_for(work(plan_of(f"x:{tag}"), asyncio.Event()), 10)).code == code
