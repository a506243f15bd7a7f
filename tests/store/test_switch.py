"""The switch is one for all replicas, and no more acts are counted than are allowed, whoever asks at the same time."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from sqlalchemy import text

from analyzer.errors import StoreError, StoreUnavailable
from analyzer.model.event import Acted, Ended, Event, Held, Intended
from analyzer.model.report import ActionResult, Guard
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.entry import Summary
from analyzer.store.switch import Act, Setting, Switch
from tests.store.drafts import DONE, INTENT
from tests.store.orders import begun, event
from tests.store.postgresql import PostgreSQL

pytestmark = pytest.mark.anyio

OFF = Setting("off", by="ann@example.org", why="an incident: ü 😀", at=1_800_000_000.25)


def act(id_: str, at: float = 1000.0, **other: int) -> Act:
    return Act(at, id_, "shop", "rollback", "helm/web", **other)


@pytest.fixture
def switch(database: Database) -> Switch:
    return Switch(database)


class TestTheSwitch:
    async def test_nobody_has_set_it(self, switch: Switch) -> None:
        assert await switch.get() is None

    async def test_it_stands_where_it_was_set_last(self, switch: Switch) -> None:
        await switch.set(OFF)
        assert await switch.get() == OFF
        on = Setting("on", by="bob", why="", at=1.0)
        await switch.set(on)
        assert await switch.get() == on

    async def test_other_replicas_see_it_and_it_survives(self, url: str) -> None:
        async with Database.open(url) as one, Database.open(url) as other:
            assert await Switch(other).get() is None
            await Switch(one).set(OFF)
            assert await Switch(other).get() == OFF
        async with Database.open(url) as later:
            assert await Switch(later).get() == OFF

    async def test_two_who_set_it_first_at_the_same_time(self, url: str) -> None:
        async with Database.open(url) as one, Database.open(url) as other:
            settings = [replace(OFF, by=f"person {number}") for number in range(10)]
            await asyncio.gather(*(Switch((one, other)[n % 2]).set(setting) for n, setting in enumerate(settings)))
            assert await Switch(one).get() in settings

    async def test_whatever_was_written_is_kept_as_text(self, switch: Switch) -> None:
        await switch.set(Setting("off", by="a\0b", why="half a sign: \ud83d", at=1.0))
        assert await switch.get() == Setting("off", by="a\ufffdb", why="half a sign: ?", at=1.0)


class TestCountingActs:
    async def test_as_many_as_are_allowed(self, switch: Switch) -> None:
        assert [await switch.take(act(f"a{n}"), most=3, since=0.0) for n in range(5)] == [True] * 3 + [False] * 2
        assert await switch.taken(since=0.0) == 3

    async def test_none_is_allowed(self, switch: Switch) -> None:
        assert not await switch.take(act("a"), most=0, since=0.0)

    async def test_who_asks_again_is_not_counted_twice(self, switch: Switch) -> None:
        assert await switch.take(act("a", at=1000.0), most=2, since=0.0)
        assert await switch.take(act("a", at=1500.0), most=2, since=0.0)
        assert await switch.taken(since=0.0) == 1
        assert await switch.take(act("b"), most=2, since=0.0)
        assert await switch.take(act("a"), most=2, since=0.0), "it was counted: what came after it does not matter"
        assert await switch.take(act("a"), most=0, since=0.0)
        assert not await switch.take(act("a", attempt=2), most=2, since=0.0)

    async def test_who_was_refused_may_ask_again(self, switch: Switch) -> None:
        assert await switch.take(act("a", at=1000.0), most=1, since=0.0)
        assert not await switch.take(act("b", at=1100.0), most=1, since=900.0)
        assert await switch.take(act("b", at=2000.0), most=1, since=1000.0)

    async def test_one_that_was_counted_long_ago_counts_anew(self, switch: Switch) -> None:
        """Many that were cut off long ago and go on together are as many acts now."""
        for number in range(3):
            assert await switch.take(act(f"a{number}", at=1000.0), most=3, since=0.0)
        again = [await switch.take(act(f"a{n}", at=9000.0), most=2, since=8000.0) for n in range(3)]
        assert again == [True, True, False]
        assert await switch.taken(since=8000.0) == 2

    async def test_pruning_forgets_old_ones(self, switch: Switch) -> None:
        for number in range(4):
            await switch.take(act(f"a{number}", at=1000.0 + number), most=9, since=0.0)
        assert await switch.prune(older_than=1002.0) == 2
        assert await switch.taken(since=0.0) == 2
        assert await switch.prune(older_than=1002.0) == 0

    async def test_without_its_counter_nothing_is_allowed(self, switch: Switch, database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM counters WHERE name = 'taken'"))
        with pytest.raises(StoreError):
            await switch.take(act("a"), most=9, since=0.0)


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[list[Switch]]:
    async with Database.open(url) as one, Database.open(url) as other, Database.open(url) as third:
        yield [Switch(database) for database in (one, other, third)]


async def test_replicas_never_count_more_than_are_allowed(replicas: list[Switch]) -> None:
    asked = [replicas[n % 3].take(act(f"a{n}"), most=7, since=0.0) for n in range(30)]
    assert sum(await asyncio.gather(*asked)) == 7
    assert await replicas[0].taken(since=0.0) == 7


async def test_the_same_act_asked_for_by_two_replicas_is_counted_once(replicas: list[Switch]) -> None:
    """The one that lost its lease, and the one that took it over."""
    asked = [replicas[n % 3].take(act("a"), most=1, since=0.0) for n in range(9)]
    assert await asyncio.gather(*asked) == [True] * 9
    assert await replicas[0].taken(since=0.0) == 1


async def test_where_transactions_see_the_past_none_is_counted_too_many(postgresql: PostgreSQL) -> None:
    """A database may be set so that each transaction sees it as it was at its begin."""
    url = await postgresql.new_database()
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    await connection.close()
    async with Database.open(url) as one, Database.open(url) as other:
        asked = [Switch((one, other)[n % 2]).take(act(f"a{n}"), most=3, since=0.0) for n in range(12)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert not [each for each in answers if not isinstance(each, bool | StoreUnavailable)]
        assert await Switch(one).taken(since=0.0) == sum(each is True for each in answers) <= 3
        assert answers.count(True) >= 1


TAKE = """
import asyncio, sys
from analyzer.store.database import Database
from analyzer.store.switch import Act, Switch

async def main(url, owner):
    async with Database.open(url) as database:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(100_000):
            act = Act(1000.0, f"{owner} {number}", "shop", "rollback", "helm/web")
            print(int(await Switch(database).take(act, most=40, since=0.0)), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_are_killed_leave_a_count_that_is_right(url: str) -> None:
    """What was allowed is counted; what was counted and not told any more is one for each process, at most."""
    async with Database.open(url) as database:
        switch = Switch(database)
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", TAKE, url, f"owner {number}"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for number in range(2)
        ]
        allowed = 0
        try:
            for process in processes:
                assert process.stdout is not None
                assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(b"\n")
            for process in processes:
                assert process.stdout is not None
                for _ in range(5):
                    allowed += await asyncio.wait_for(process.stdout.readline(), 30) == b"1\n"
        finally:
            for process in processes:
                process.kill()
        for process in processes:
            rest, _ = await asyncio.wait_for(process.communicate(), 30)
            allowed += rest.count(b"1\n")
        taken = await switch.taken(since=0.0)
        assert allowed <= taken <= min(40, allowed + 2)


async def test_of_two_replicas_that_would_act_on_one_target_one_may(replicas: list[Switch]) -> None:
    acts = [Act(100.0, f"analysis {number}", "shop", "rollback", "command/web") for number in range(len(replicas))]
    taken = await asyncio.gather(
        *(switch.take(act, 100, 0.0, once_since=50.0) for switch, act in zip(replicas, acts, strict=True))
    )
    assert sum(taken) == 1
    first = acts[taken.index(True)]
    assert {await switch.acted(act, 50.0) for switch, act in zip(replicas, acts, strict=True) if act != first} == {
        first.analysis_id
    }
    assert await replicas[0].acted(first, 50.0) == ""


QUOTED = 'somebody says "type":"acted" in a sentence'
INTENDED = Intended(at=1000.0, intent=INTENT)


class TestActsUnderWay:
    async def test_from_the_count_to_the_receipt(self, switch: Switch, analyses: Analyses) -> None:
        """While recovery is verified the row still says unverified, as it did during the act."""
        (claim,) = await begun(analyses, "a")
        assert await switch.under_way(act("b"), 0.0) == ""
        assert await switch.take(act("a"), 9, 0.0, begun_since=0.0)
        assert not await switch.take(act("b"), 9, 0.0, begun_since=0.0)
        unverified = Summary(result=ActionResult.UNVERIFIED)
        await analyses.append(claim.id, claim.lease, [event(1, QUOTED), INTENDED], summary=unverified)
        assert not await switch.take(act("b"), 9, 0.0, begun_since=0.0)
        assert await switch.under_way(act("b"), 0.0) == "a"
        assert await switch.under_way(act("a"), 0.0) == "", "one's own"
        assert await switch.under_way(replace(act("b"), target="helm/api"), 0.0) == ""
        assert await switch.under_way(act("b"), 1000.0) == "", "too long ago"
        await analyses.append(claim.id, claim.lease, [Acted(at=1008.0, receipt=DONE)], summary=unverified)
        assert await switch.under_way(act("b"), 0.0) == ""
        assert await switch.take(act("b"), 9, 0.0, begun_since=0.0)

    @pytest.mark.parametrize(
        ("last", "result"),
        [
            (Held(at=1.0, guard=Guard.STOPPED, reason="its database was away"), ActionResult.HELD),
            (Ended(at=1.0, cause="could not analyse"), ActionResult.UNVERIFIED),
        ],
    )
    async def test_what_came_to_no_receipt(
        self, switch: Switch, analyses: Analyses, last: Event, result: ActionResult
    ) -> None:
        (claim,) = await begun(analyses, "a")
        assert await switch.take(act("a"), 9, 0.0, begun_since=0.0)
        await analyses.append(claim.id, claim.lease, [last], summary=Summary(result=result))
        assert await switch.take(act("b"), 9, 0.0, begun_since=0.0)
