"""Who follows the changes hears of every one, in an order that holds."""

import asyncio

import pytest

from analyzer.model.event import Ended
from analyzer.store.analyses import Analyses
from analyzer.store.changes import take_positions
from analyzer.store.database import Database
from analyzer.store.entry import Decision, DecisionKind, Entry, State
from tests.store.orders import begun, entry, event

pytestmark = pytest.mark.anyio


async def test_every_kind_of_change_is_heard_of(analyses: Analyses) -> None:
    start = await analyses.position()
    await analyses.create(entry("a"))
    await analyses.create(entry("b"))
    assert [changed.id for changed in await analyses.changes(start)] == ["a", "b"]
    (claim, _) = await analyses.claim("me", 1.0, 9.0, 2)
    after = await analyses.position()
    assert [changed.id for changed in await analyses.changes(start, limit=1)] == ["a"]
    await analyses.append("a", claim.lease, [event(1)])
    assert [changed.id for changed in await analyses.changes(start)] == ["b", "a"]
    await analyses.ask("b", Decision(DecisionKind.REJECT, "ann", "", 3.0))
    changed = await analyses.changes(after)
    assert [(row.id, row.last_seq, row.asked is None) for row in changed] == [("a", 1, True), ("b", 0, False)]
    assert await analyses.changes(await analyses.position()) == []


async def test_what_changes_nothing_is_no_change(analyses: Analyses) -> None:
    await begun(analyses, "a")
    start = await analyses.position()
    await analyses.create(entry("b", key="key of a"))
    await analyses.renew("first", ["a"], 1000.0, 9.0)
    assert await analyses.changes(start) == []


async def test_no_change_is_missed_while_many_write(url: str) -> None:
    async with Database.open(url) as one, Database.open(url) as other, Database.open(url) as third:
        stores, follower = [Analyses(one), Analyses(other)], Analyses(third)
        claims = await begun(stores[0], *(f"a{n}" for n in range(8)))

        async def write(number: int) -> None:
            claim = claims[number]
            for count in range(15):
                await stores[number % 2].append(claim.id, claim.lease, [event(count)])
            await stores[number % 2].append(claim.id, claim.lease, [Ended(at=99.0)])

        seen: dict[str, Entry] = {}

        async def follow() -> None:
            after = 0
            while sum(row.state == State.ENDED for row in seen.values()) < len(claims):
                for row in await follower.changes(after, limit=3):
                    assert row.position > after
                    after = row.position
                    assert row.id not in seen or row.last_seq >= seen[row.id].last_seq
                    seen[row.id] = row

        async with asyncio.timeout(60):
            await asyncio.gather(follow(), *(write(number) for number in range(len(claims))))
        assert {row.last_seq for row in seen.values()} == {16}


@pytest.mark.postgresql
async def test_a_position_is_not_seen_before_the_ones_below_it(postgresql: object) -> None:
    """Sequences and clocks give numbers that become visible in another order: a follower would miss the late ones."""
    url = await postgresql.new_database()  # type: ignore[attr-defined]
    async with Database.open(url) as one, Database.open(url) as other:
        analyses = Analyses(other)
        (claim,) = await begun(analyses, "a")
        async with one.write() as slow:
            (low,) = await take_positions(slow, 1)
            quick = asyncio.ensure_future(analyses.append("a", claim.lease, [event(1)]))
            done, _ = await asyncio.wait([quick], timeout=0.3)
            assert not done
            assert await analyses.position() < low
        await quick
        assert (await analyses.get("a")).position > low
