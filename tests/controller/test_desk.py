"""What waits on the desk: tried again, replaced by what is newer, and never in the way of the rest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from analyzer.controller.desk import AT_ONCE, LATER, Desk
from analyzer.controller.ordering import Ordering, Refused
from analyzer.controller.sighting import Candidate, Outcome, Place, Settled
from analyzer.controller.turns import Turns
from analyzer.errors import PlatformUnavailable
from analyzer.model.target import PlatformKind
from analyzer.service.watch_telemetry import WatchTelemetry
from tests.controller.conftest import QuickClock, until

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000.0
FIRST = Settled(Outcome.FIRST, "it is the first")


def place(name: str = "web") -> Place:
    return Place(PlatformKind.HELM, "shop", name)


class Orders(Ordering):
    """Orders all but what a test refuses."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.ordered: list[int] = []
        self.told: list[str] = []
        self.away = 0

    async def order(self, candidate: Candidate) -> Settled:
        if self.refusals:
            raise Refused(self.refusals.pop(0), ())
        self.ordered.append(candidate.revision)
        return Settled(Outcome.ORDERED)

    async def tell(self, candidate: Candidate, refused: Refused) -> str:
        if self.away:
            self.away -= 1
            raise PlatformUnavailable("away")
        self.told.append(f"{candidate.revision}: {refused}")
        return ""


class Bench:
    def __init__(self) -> None:
        self.registry, self.clock, self.orders = CollectorRegistry(), QuickClock(NOW), Orders()
        telemetry = WatchTelemetry(self.registry, self.clock.now)
        self.desk = Desk(self.orders, telemetry, self.clock, 3600)

    def became(self, outcome: str) -> float:
        return self.registry.get_sample_value("canary_watch_upgrades_total", {"outcome": outcome}) or 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.desk.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def candidate(revision: int = 2) -> Callable[[], Awaitable[Candidate]]:
    async def look() -> Candidate:
        return Candidate(place(), revision, f"key-{revision}", NOW, ())

    return look


def fails(times: int, error: Exception) -> Callable[[], Awaitable[Settled]]:
    left = [error] * times

    async def look() -> Settled:
        if left:
            raise left.pop()
        return FIRST

    return look


async def test_an_outage_of_hours_is_waited_for() -> None:
    bench = Bench()
    with capture_logs() as logs:
        async with bench.running():
            bench.desk.put(place(), 2, fails(1200, PlatformUnavailable("away")))
            await until(lambda: bench.became("first") == 1)
    assert max(bench.clock.slept) == LATER
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["an upgrade waits"]


async def test_what_nobody_foresaw_hinders_nobody_else() -> None:
    bench = Bench()
    with capture_logs() as logs:
        async with bench.running():
            bench.desk.put(place("odd"), 2, fails(3, ZeroDivisionError()))
            bench.desk.put(place(), 2, candidate())
            await until(lambda: bench.became("first") == 1 and bench.orders.ordered == [2])
    assert sum("exc_info" in each for each in logs) == 3


async def test_a_newer_revision_replaces_one_that_is_looked_at() -> None:
    bench, going = Bench(), asyncio.Event()

    async def slow() -> Settled:
        await going.wait()
        raise PlatformUnavailable("away")

    async with bench.running():
        bench.desk.put(place(), 2, slow)
        await asyncio.sleep(0.01)
        bench.desk.put(place(), 3, candidate(3))
        await until(lambda: bench.orders.ordered == [3])
        going.set()
        await asyncio.sleep(0.05)
    assert bench.clock.slept == []  # nobody waits for the older one


async def test_what_is_gone_is_not_looked_at_again() -> None:
    bench = Bench()
    async with bench.running():
        bench.desk.put(place(), 2, fails(10**6, PlatformUnavailable("away")))
        await until(lambda: len(bench.clock.slept) > 2)
        bench.desk.drop(place())
        await asyncio.sleep(0.01)
        before = len(bench.clock.slept)
        await asyncio.sleep(0.05)
        assert len(bench.clock.slept) == before


async def test_nobody_waits_for_the_thousands_of_another_namespace() -> None:
    bench, looked = Bench(), []

    def look(of: Place) -> Callable[[], Awaitable[Settled]]:
        async def found() -> Settled:
            looked.append(of)
            await asyncio.sleep(0)
            return FIRST

        return found

    flood = [Place(PlatformKind.HELM, "flood", f"r{number}") for number in range(1000)]
    for each in [*flood, place()]:
        bench.desk.put(each, 2, look(each))
    async with bench.running():
        await until(lambda: bench.became("first") == 1001)
    assert looked.index(place()) < 2 * AT_ONCE
    assert len(set(looked)) == 1001


async def test_what_changes_all_the_time_waits_once() -> None:
    turns: Turns[int] = Turns()
    for number in range(10_000):
        turns.put(place(), number)
    turns.put(place("db"), 1)
    assert len(turns) == 2
    assert [await turns.get(), await turns.get()] == [9_999, 1]
    turns.put(place(), 5)
    turns.drop(place())
    turns.drop(place("unknown"))
    later = asyncio.create_task(turns.get())
    await asyncio.sleep(0.01)
    turns.put(place("db"), 7)
    assert await later == 7
    assert len(turns) == 0


async def test_of_one_name_in_two_storages_neither_hides_the_other() -> None:
    bench = Bench()
    secret, map_ = (Place(PlatformKind.HELM, "shop", "web", storage) for storage in ("secrets", "configmaps"))
    async with bench.running():
        bench.desk.put(secret, 9, fails(3, PlatformUnavailable("away")))
        bench.desk.put(map_, 5, fails(0, PlatformUnavailable("away")))
        bench.desk.drop(map_)
        await until(lambda: bench.became("first") >= 1 and bool(bench.clock.slept))
        await until(lambda: len(bench.clock.slept) == 3)


async def test_each_refusal_is_told_once() -> None:
    bench = Bench()
    bench.orders.refusals = ["no such rule set"] * 3 + ["a parameter is missing"] * 2
    async with bench.running():
        bench.desk.put(place(), 2, candidate())
        await until(lambda: bench.orders.ordered == [2])
    assert bench.orders.told == ["2: no such rule set", "2: a parameter is missing"]
    assert bench.became("refused") == 2


async def test_what_could_not_be_told_is_told_later() -> None:
    bench = Bench()
    bench.orders.refusals, bench.orders.away = ["no such rule set"] * 5, 2
    async with bench.running():
        bench.desk.put(place(), 2, candidate())
        await until(lambda: bench.orders.ordered == [2])
    assert bench.orders.told == ["2: no such rule set"]
    assert bench.became("refused") == 1
