"""What is old is removed at the start and every hour, and trouble with it never ends the service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from analyzer.errors import StoreUnavailable
from analyzer.model.event import Ended
from analyzer.service.retention import AGAIN, COUNTED, EVERY, LONGER, keep_tidy
from analyzer.service.settings import Settings
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit, Deed
from analyzer.store.database import Database
from analyzer.store.entry import Entry
from analyzer.store.switch import Act, Switch

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
DAY = 86400.0


@dataclass
class Clock:
    """Time jumps by what is slept; `stop` is set after so many pauses."""

    stop: asyncio.Event
    rounds: int
    time: float = NOW
    pauses: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        if len(self.pauses) >= self.rounds:
            self.stop.set()


@dataclass
class Kept:
    """The store, and the service that keeps it tidy for some rounds."""

    analyses: Analyses
    audit: Audit
    switch: Switch
    complaints: list[str] = field(default_factory=list)

    async def tidy(self, rounds: int = 1, **settings: object) -> Clock:
        stop = asyncio.Event()
        clock = Clock(stop, rounds)
        chosen = Settings.model_validate(settings)
        await asyncio.wait_for(self.go(chosen, clock, stop), 30)
        return clock

    async def go(self, settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
        await keep_tidy(self.analyses, self.audit, self.switch, settings, clock, stop, self.complaints.append)

    async def ended(self, **at: float) -> None:
        """Analyses by their ids, and when they ended."""
        for id_, when in at.items():
            await self.running(id_)
            (claim,) = await self.analyses.claim("one", 1.0, 1.0, 1)
            await self.analyses.append(id_, claim.lease, [Ended(at=when)])

    async def running(self, id_: str, created_at: float = 0.5) -> None:
        await self.analyses.create(Entry(id_, f"key of {id_}", "shop", "helm", "web", "{}", created_at))

    async def ids(self) -> Sequence[str]:
        return sorted(found.id for found in (await self.analyses.find()).entries)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as database:
        yield Kept(Analyses(database), Audit(database), Switch(database))


async def test_by_age(kept: Kept) -> None:
    await kept.ended(old=NOW - 90 * DAY - 1, young=NOW - 90 * DAY + 1)
    await kept.running("running")
    await kept.tidy()
    assert await kept.ids() == ["running", "young"]


async def test_by_number(kept: Kept) -> None:
    await kept.ended(a=NOW - 5, b=NOW - 3, c=NOW - 4, d=NOW - 9)
    await kept.running("running")
    await kept.tidy(keep_most=2)
    assert await kept.ids() == ["b", "c", "running"]


async def test_again_every_hour(kept: Kept) -> None:
    await kept.ended(soon=NOW - DAY + 2.5 * EVERY, later=NOW - DAY + 3.5 * EVERY)
    clock = await kept.tidy(rounds=4, keep_for=timedelta(days=1))
    assert clock.pauses == [EVERY] * 4
    assert await kept.ids() == ["later"]


async def test_the_audit_outlives_the_analyses(kept: Kept) -> None:
    await kept.ended(a=NOW - 90 * DAY + 1)
    longest = 90 * DAY + LONGER.total_seconds()
    await kept.audit.append(Deed(NOW - longest - 1, "ann", "start", "b"))
    await kept.audit.append(Deed(NOW - longest + 1, "ann", "start", "a"))
    await kept.audit.append(Deed(NOW - 100 * DAY, "ann", "approve", "a"))
    await kept.tidy()
    assert await kept.ids() == ["a"]
    assert [deed.what for deed in await kept.audit.list()] == ["approve", "start"]
    assert [deed.analysis_id for deed in await kept.audit.list()] == ["a", "a"]


async def test_acts_that_have_not_counted_for_long_are_forgotten(kept: Kept) -> None:
    for id_, age in {"old": COUNTED + 1, "young": COUNTED - 1}.items():
        await kept.switch.take(Act(NOW - age, id_, "shop", "rollback", "helm/web"), most=9, since=0.0)
    await kept.tidy()
    assert await kept.switch.taken(0.0) == 1


async def test_trouble_is_told_and_tried_again_sooner(kept: Kept) -> None:
    left = 2

    class Away(Analyses):
        async def prune(self, older_than: float | None = None, keep: int | None = None) -> int:
            nonlocal left
            left -= 1
            if left >= 0:
                raise StoreUnavailable("the SQLite file canary.db: no room left on its disk")
            return await super().prune(older_than, keep)

    await kept.ended(old=0.75)
    kept.analyses = Away(kept.analyses._database)
    clock = await kept.tidy(rounds=3)
    assert clock.pauses == [AGAIN, AGAIN, EVERY]
    sentence = "what is old cannot be removed now: the SQLite file canary.db: no room left on its disk"
    assert kept.complaints == [sentence] * 2
    assert await kept.ids() == []


class Endless(Clock):
    """Whose first pause never ends by itself."""

    def __init__(self, stop: asyncio.Event) -> None:
        super().__init__(stop, rounds=1)
        self.sleeps = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.set()
        self.pauses.append(seconds)
        await asyncio.Event().wait()


async def test_a_stop_ends_a_pause_at_once(kept: Kept) -> None:
    stop = asyncio.Event()
    clock = Endless(stop)
    task = asyncio.ensure_future(kept.go(Settings(), clock, stop))
    async with asyncio.timeout(30):
        await clock.sleeps.wait()
        stop.set()
        await task


async def test_its_own_cancellation_leaves_nothing_behind(kept: Kept) -> None:
    before = asyncio.all_tasks()
    stop = asyncio.Event()
    clock = Endless(stop)
    task = asyncio.ensure_future(kept.go(Settings(), clock, stop))
    async with asyncio.timeout(30):
        await clock.sleeps.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == before


async def test_a_stop_ends_a_round_that_takes_long(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left to remove is removed after the next start, and nothing is half removed."""
    monkeypatch.setattr("analyzer.store.analyses.PRUNED_AT_ONCE", 1)
    stop = asyncio.Event()

    class Slow(Analyses):
        async def _prune_some(self, older_than: float | None, keep: int | None) -> Sequence[str]:
            removed = await super()._prune_some(older_than, keep)
            if len(await kept.ids()) == 15:
                stop.set()
            return removed

    await kept.ended(**{f"a{number:02}": 1.0 + number for number in range(20)})
    kept.analyses = Slow(kept.analyses._database)
    async with asyncio.timeout(30):
        await kept.go(Settings(), Clock(stop, rounds=9), stop)
    left = await kept.ids()
    assert 13 <= len(left) <= 15
    for id_ in left:
        assert len(await kept.analyses.events(id_)) == 1
    await kept.tidy()
    assert await kept.ids() == []
    assert kept.complaints == []


async def test_nothing_is_done_once_it_is_stopped(kept: Kept) -> None:
    await kept.ended(old=0.75)
    stop = asyncio.Event()
    stop.set()
    await kept.go(Settings(), Clock(stop, rounds=1), stop)
    assert await kept.ids() == ["old"]


async def test_two_replicas_at_the_same_time(kept: Kept) -> None:
    await kept.ended(**{f"a{number:03}": 1.0 + number for number in range(120)})
    await asyncio.gather(kept.tidy(), kept.tidy())
    assert await kept.ids() == []
    assert kept.complaints == []
