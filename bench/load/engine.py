"""10,000 analyses in one process, over a source that answers at once and a clock that does not wait."""

import asyncio
import heapq
import itertools
import os
import time
from collections.abc import Callable, Sequence

from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Ports
from analyzer.engine.runner import Runner
from analyzer.model.event import Event
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Buckets, Cursor, Events, History, Level, Reading, Side, Window
from analyzer.model.report import Report
from analyzer.model.ruleset import HistogramMetric, Metric, RatioMetric, RuleSet
from analyzer.model.target import Confirm, Deployment, Intent, PlatformKind, Receipt, Revision, Target
from bench.load.order import INTERVAL, rule_set
from bench.load.process import taken

ANALYSES = 10_000
START = 1.8e9
WARM_UP, MEASURED = 1, 1
"""Intervals."""
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, float("inf"))
CORES = 2.5
"""The limit: a process has one, so that it says how far the engine alone is from what a process can do."""


class VirtualClock:
    """Time that passes when all of so many analyses sleep."""

    def __init__(self, analyses: int) -> None:
        self._now = START
        self._awake = analyses
        self._all_asleep = asyncio.Event()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        wakes = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), wakes))
        self._awake -= 1
        if self._awake == 0:
            self._all_asleep.set()
        await wakes

    async def pass_until(self, end: float) -> None:
        """Let time pass, from one that wakes to the next."""
        while True:
            await self._all_asleep.wait()
            if self._sleepers[0][0] > end:
                break
            self._now = max(self._now, self._sleepers[0][0])
            self._all_asleep.clear()
            while self._sleepers and self._sleepers[0][0] <= self._now:
                heapq.heappop(self._sleepers)[2].set_result(None)
                self._awake += 1
        self._now = end


class Stub:
    """A source that knows the answer, a platform where nothing happens, a record that forgets."""

    def __init__(self, target: Target) -> None:
        self.deployment = Deployment(target=target, current=Revision(number="2"), wanted=Revision(number="1"))
        self.windows = 0

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        kind = "ratio" if isinstance(metric, RatioMetric) else "gauge"
        kind = "histogram" if isinstance(metric, HistogramMetric) else kind
        unit = {"ratio": "share", "histogram": "seconds"}.get(kind)
        return Query(metric=name, kind=kind, selectors={}, unit=unit, sides=sides)

    async def lag(self, query: Query) -> float:
        _ = query
        return 5.0

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        _ = cursor
        self.windows += 1
        return self._reading(query, window), Cursor(read_to=window.end)

    async def history(self, query: Query, span: Window, interval: float) -> History:
        ends = range(int(span.start + interval), int(span.end) + 1, int(interval))
        readings = tuple(self._reading(query, Window(start=end - interval, end=end)) for end in ends)
        return History(metric=query.metric, span=span, readings=readings)

    def _reading(self, query: Query, window: Window) -> Reading:
        number = int(window.end / INTERVAL)
        sides = [self._side(query.kind, number), self._side(query.kind, number + 1)]
        return Reading(metric=query.metric, window=window, canary=sides[0], baseline=sides[1])

    @staticmethod
    def _side(kind: str, number: int) -> Side:
        if kind == "ratio":
            return Events(total=1500, bad=float(2 + number % 3))
        if kind == "histogram":
            return Buckets(bounds=BOUNDS, counts=(400.0, 500.0, 300.0 + number % 5, 200.0, 60.0, 30.0, 9.0, 1.0))
        return Level(mean=20.0 + number % 3, by={"a": 19.0 + number % 3, "b": 21.0 + number % 3})

    async def look(self) -> Deployment:
        return self.deployment

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        raise AssertionError(intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        raise AssertionError(intent, confirm)

    async def append(self, event: Event) -> None:
        """Forgotten."""

    def changed(self, report: Callable[[], Report], event: Event) -> None:
        """Not shown."""


def run() -> bool:
    """Print the cost of an interval; whether it is within the limit."""
    cpu, windows, memory = asyncio.run(_run())
    cores = cpu / INTERVAL
    print(
        f"\nThe engine alone: {ANALYSES} analyses of 4 rules every {INTERVAL:g} s, over a source that answers at once"
    )
    each = memory / ANALYSES / 1024
    print(f"  one core is enough for {ANALYSES / cores:.0f} of them")
    print(f"  {1e6 * cpu / windows:8.0f} µs a window of a metric, {each:.0f} KiB of memory an analysis")
    print(f"  {'CPU':<50} {cores:8.3f} cores  limit {CORES:g}  {'ok' if cores <= CORES else 'FAILED'}")
    return cores <= CORES


async def _run() -> tuple[float, float, int]:
    """CPU seconds and windows of one interval, and bytes of memory."""
    clock, before = VirtualClock(ANALYSES), taken(os.getpid()).memory
    rules = RuleSet.model_validate(rule_set("web"))
    stubs = [Stub(Target(kind=PlatformKind.COMMAND, name=f"svc-{number}")) for number in range(ANALYSES)]
    work = [asyncio.ensure_future(_runner(stub, rules, clock).run()) for stub in stubs]
    await clock.pass_until(START + (WARM_UP + 1) * INTERVAL)
    windows, began = _windows(stubs), time.process_time()
    await clock.pass_until(clock.now() + MEASURED * INTERVAL)
    cpu = time.process_time() - began
    memory = taken(os.getpid()).memory - before
    for each in work:
        each.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    return cpu / MEASURED, (_windows(stubs) - windows) / MEASURED, memory


def _windows(stubs: Sequence[Stub]) -> int:
    return sum(stub.windows for stub in stubs)


def _runner(stub: Stub, rules: RuleSet, clock: VirtualClock) -> Runner:
    plan = plan_analysis(
        id="load",
        rule_set=rules,
        parameters={},
        deployment=stub.deployment,
        source=stub,
        upgraded_at=START,
        started_at=START,
        acting=False,
    )
    return Runner(plan, Ports(stub, stub, stub, stub, clock))
