"""An instance serves what it draws, counts it, dies, and comes back."""

import asyncio
import socket
import time

import httpx
import pytest

from analyzer.demo.behaviour import GOOD, Behaviour, Crashes, Latency
from analyzer.demo.instance import Instance
from analyzer.errors import DemoError
from tests.demo.patience import until

pytestmark = pytest.mark.anyio

QUICK = Latency(median=0.001, sigma=0.1)
BROKEN = Behaviour(base_error_rate=1.0, latency=QUICK)
HALF = Behaviour(base_error_rate=0.5, latency=QUICK)


async def codes(instance: Instance, times: int) -> list[int]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return [(await client.get(instance.url)).status_code for _ in range(times)]


def is_busy(instance: Instance) -> bool:
    """Whether a request is under way: each one takes memory."""
    memory = instance.metrics.registry.get_sample_value("process_resident_memory_bytes")
    assert memory is not None
    return memory > GOOD.memory


async def test_it_serves_and_counts_what_it_served() -> None:
    async with Instance(HALF, seed=3) as instance:
        seen = await codes(instance, 60)
    assert {code: seen.count(code) for code in (200, 500)} == instance.tally.by_code()
    assert instance.tally.bad == seen.count(500) > 0
    assert instance.tally.total == sum(instance.tally.buckets) == 60


async def test_the_same_seed_answers_the_same() -> None:
    async with Instance(HALF, seed=3) as one, Instance(HALF, seed=3) as other, Instance(HALF, seed=4) as third:
        answers = [await codes(instance, 30) for instance in (one, other, third)]
    assert answers[0] == answers[1] != answers[2]


async def test_a_request_takes_as_long_as_was_drawn_and_is_measured_so() -> None:
    async with Instance(Behaviour(base_error_rate=0, latency=Latency(median=0.06, sigma=0))) as instance:
        begin = time.perf_counter()
        await codes(instance, 1)
        elapsed = time.perf_counter() - begin
    assert 0.06 <= instance.tally.seconds <= elapsed


async def test_answers_are_not_held_back_by_nagles_algorithm() -> None:
    async with Instance(GOOD) as instance, httpx.AsyncClient(trust_env=False) as client:
        await client.get(instance.url)  # keeps its connection
        assert instance._server is not None
        [connection] = instance._server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_every_path_and_method_is_a_request_but_metrics_and_readiness_are_not() -> None:
    async with Instance(GOOD) as instance, httpx.AsyncClient(base_url=instance.url, trust_env=False) as client:
        assert (await client.post("/carts/7")).status_code == 200
        assert (await client.get("/-/ready")).text == "ready\n"
        assert 'http_requests_total{code="200",method="POST"} 1.0' in (await client.get("/metrics")).text
        assert instance.tally.requests == {(200, "POST"): 1}


async def test_its_behaviour_can_change_while_it_serves() -> None:
    async with Instance(Behaviour(base_error_rate=0, latency=QUICK)) as instance:
        before = await codes(instance, 5)
        instance.behaviour = BROKEN
        assert (before, await codes(instance, 5)) == ([200] * 5, [500] * 5)


async def test_a_dead_one_refuses_connections_and_comes_back_at_its_address_with_counters_at_zero() -> None:
    async with Instance(BROKEN) as instance:
        address = instance.address
        await codes(instance, 3)
        await instance.die()
        assert not instance.alive
        with pytest.raises(httpx.ConnectError):
            await codes(instance, 1)
        began = instance.lives[0]
        await instance.rise()
        assert (instance.alive, instance.address, instance.restarts) == (True, address, 1)
        assert await codes(instance, 2) == [500, 500]
        assert began.tally.total == 3
        assert instance.tally.total == 2
        assert instance.served.total == 5


async def test_dying_resets_what_is_under_way_and_does_not_count_it() -> None:
    async with Instance(Behaviour(latency=Latency(median=30, sigma=0))) as instance:
        request = asyncio.create_task(codes(instance, 1))
        await until(lambda: is_busy(instance))
        await instance.die()
        with pytest.raises(httpx.TransportError):
            await request
        assert instance.served.total == 0


async def test_stopping_answers_what_is_under_way() -> None:
    instance = Instance(Behaviour(base_error_rate=0, latency=Latency(median=0.3, sigma=0)))
    await instance.start()
    request = asyncio.create_task(codes(instance, 1))
    await until(lambda: is_busy(instance))
    await instance.stop()
    assert await request == [200]
    assert instance.tally.total == 1


async def test_a_crashing_one_comes_back_again_and_again() -> None:
    crashing = Behaviour(latency=QUICK, crashes=Crashes(after=0.1, back_off=0.02))
    async with Instance(crashing) as instance:
        await until(lambda: instance.restarts >= 3)
        instance.behaviour = Behaviour(latency=QUICK)
        await until(lambda: instance.alive)
        assert await codes(instance, 1) == [200]
        assert instance.tally.total == 1


async def test_a_behaviour_that_crashes_can_be_set_later_and_taken_away_again() -> None:
    async with Instance(GOOD) as instance, asyncio.timeout(10):
        instance.behaviour = Behaviour(crashes=Crashes(after=1000))
        instance.behaviour = Behaviour(crashes=Crashes(after=0.02, back_off=1000))
        await instance.dead.wait()
        assert not instance.alive


async def test_without_restarts_it_stays_dead() -> None:
    crashing = Behaviour(crashes=Crashes(after=0.02, back_off=0))
    async with Instance(crashing, restarts=False) as instance, asyncio.timeout(10):
        await instance.dead.wait()
        await asyncio.sleep(0.05)
        assert not instance.alive
        assert len(instance.lives) == 1


async def test_it_can_refuse_to_be_scraped() -> None:
    async with Instance(GOOD) as instance, httpx.AsyncClient(trust_env=False) as client:
        instance.scrapeable = False
        assert (await client.get(f"{instance.url}/metrics")).status_code == 503
        instance.scrapeable = True
        assert (await client.get(f"{instance.url}/metrics")).status_code == 200


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with Instance(GOOD) as instance:
        port = int(instance.address.rpartition(":")[2])
        with pytest.raises(DemoError, match=f"port {port} of 127.0.0.1 cannot be used"):
            Instance(GOOD, port=port)


async def test_many_live_in_one_process_and_leave_nothing() -> None:
    before = asyncio.all_tasks()
    instances = [Instance(GOOD, seed=seed) for seed in range(4)]
    for instance in instances:
        await instance.start()
    assert len({instance.address for instance in instances}) == 4
    await asyncio.gather(*(codes(instance, 2) for instance in instances))
    assert [instance.tally.total for instance in instances] == [2, 2, 2, 2]
    await asyncio.gather(*(instance.stop() for instance in instances))
    assert asyncio.all_tasks() == before
