"""A database, and supervisors on it, with analyses whose Prometheus and platform are in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.model.event import Event
from analyzer.platforms.cluster import Cluster
from analyzer.service.assembly import Prepared
from analyzer.service.settings import Settings
from analyzer.service.supervisor import Supervisor
from analyzer.service.telemetry import Telemetry
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database
from analyzer.store.entry import Entry, State
from tests.engine.world import START, TARGET, Platform, Script, Source, rates, rule_set

GOOD, BAD = rates(0.001), rates(0.2)


class Clock:
    """Time goes on by itself, a second of the analyses' in a turn of the loop: many wait for it at once."""

    def __init__(self) -> None:
        self.time = START
        self.stands = False

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        while self.time < until:
            await asyncio.sleep(0.0005)
            if not self.stands:
                self.time += 0.25


@dataclass
class Shop:
    """Makes what analyses need, of stubs; `scripts` say what each one's Prometheus has."""

    clock: Clock
    scripts: dict[str, Script] = field(default_factory=dict)
    platforms: dict[str, Platform] = field(default_factory=dict)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    retries: bool = False
    cluster: Cluster = field(default_factory=Cluster)

    @asynccontextmanager
    async def prepared(self, entry: Entry, *, dry_run: bool) -> AsyncIterator[Prepared]:
        if self.errors.get(entry.id):
            raise self.errors[entry.id].pop(0)
        order = AnalysisOrder(
            id=entry.id,
            target=TARGET,
            rules="test",
            parameters={},
            access=PrometheusAccess(url="http://prometheus"),
            wanted=Wanted(since=START),
            retry=self.retries,
            acting=not dry_run,
        )
        platform = self.platforms.setdefault(entry.id, Platform())
        yield Prepared(order, rule_set(), Source(self.scripts.get(entry.id, GOOD), self.clock), platform)


@dataclass
class Floor:
    """A database, and the supervisors on it."""

    database: Database
    shop: Shop
    clock: Clock

    @property
    def analyses(self) -> Analyses:
        return self._analyses

    def __post_init__(self) -> None:
        self._analyses = Analyses(self.database)

    async def order(self, *ids: str) -> None:
        for id_ in ids:
            order = {"order": {"target": "helm/web", "namespace": "prod", "rule_set": "x"}, "by": "ann"}
            await self._analyses.create(
                Entry(id_, f"key {id_}", "prod", "helm", "web", json.dumps(order), self.clock.now())
            )

    def supervisor(self, **settings: object) -> Supervisor:
        @asynccontextmanager
        async def assemble(*_: object) -> AsyncIterator[Shop]:
            yield self.shop

        return Supervisor(
            Settings.model_validate({"lease": 10, **settings}),
            self.database,
            Analyses(self.database),
            Audit(self.database),
            Telemetry(),
            assemble=assemble,
            clock=self.clock,
        )

    async def events(self, id_: str) -> Sequence[Event]:
        return [each.event for each in await self._analyses.events(id_, limit=10_000)]

    async def until(self, what: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while not await what():  # noqa: ASYNC110 -- what is awaited stands in a database
                await asyncio.sleep(0.01)

    async def until_ended(self, *ids: str) -> None:
        async def ended() -> bool:
            return all([(await self._analyses.get(id_)).state == State.ENDED for id_ in ids])

        await self.until(ended)


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[Supervisor]:
    stop = asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


def on_floor(tmp_path: Path, test: Callable[[Floor], Awaitable[None]]) -> None:
    async def go() -> None:
        clock = Clock()
        async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as database:
            await test(Floor(database, Shop(clock), clock))

    asyncio.run(go())
