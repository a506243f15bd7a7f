"""Analyses are ordered once, found again, and keep their events."""

import asyncio

import pytest
from sqlalchemy import update

from analyzer.errors import LeaseLost, NoAnalysis, RecordError, StoreError, UsageError
from analyzer.model.event import Ended, Event
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.entry import Entry, State, Summary
from analyzer.store.finding import Filter
from analyzer.store.schema import ANALYSES
from tests.store.orders import begun, entry, event, numbers

pytestmark = pytest.mark.anyio


async def test_an_order_is_found_again_as_it_was(analyses: Analyses) -> None:
    ordered = entry("a", ordered='{"ü": 1e308, "b": [ 1.0 ]}', created_at=1763700000.123457)
    made, is_new = await analyses.create(ordered)
    assert is_new
    assert await analyses.get("a") == made
    assert (made.ordered, made.created_at, made.changed_at) == (ordered.ordered, ordered.created_at, ordered.created_at)
    assert (made.state, made.summary, made.last_seq) == (State.RUNNING, Summary(), 0)


async def test_a_key_is_good_for_one_analysis(analyses: Analyses) -> None:
    first, _ = await analyses.create(entry("a", key="deploy 7"))
    assert await analyses.create(entry("b", key="deploy 7", name="api")) == (first, False)
    with pytest.raises(NoAnalysis, match="there is no analysis b"):
        await analyses.get("b")


async def test_a_key_is_good_for_one_analysis_under_a_race(url: str) -> None:
    async with Database.open(url) as one, Database.open(url) as other:
        stores = [Analyses(one), Analyses(other)]
        orders = [stores[n % 2].create(entry(f"a{n}", key="deploy 7")) for n in range(20)]
        answers: list[tuple[Entry, bool]] = await asyncio.gather(*orders)
    assert sum(is_new for _, is_new in answers) == 1
    assert len({found.id for found, _ in answers}) == 1


async def test_the_same_id_twice_is_refused(analyses: Analyses) -> None:
    await analyses.create(entry("a"))
    with pytest.raises(StoreError) as caught:
        await analyses.create(entry("a", key="another"))
    assert "rules" not in str(caught.value)


async def test_pages_stay_in_place_while_new_analyses_come(analyses: Analyses) -> None:
    for number in range(7):
        await analyses.create(entry(f"a{number}", created_at=100.0 + number // 2))
    page = await analyses.find(limit=3)
    seen = [found.id for found in page.entries]
    while page.cursor is not None:
        await analyses.create(entry(f"later{len(seen)}", created_at=900.0))
        page = await analyses.find(after=page.cursor, limit=3)
        seen += [found.id for found in page.entries]
    assert seen == ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]


@pytest.mark.parametrize("cursor", ["", "x", "e30", "WzEsMl0x", "é", "bnVsbA", "WyJuYW4iLCAxXQ"])
async def test_what_is_no_cursor_is_refused_or_finds_nothing_wrong(analyses: Analyses, cursor: str) -> None:
    await analyses.create(entry("a"))
    try:
        page = await analyses.find(after=cursor)
    except UsageError as error:
        assert "not a cursor" in str(error)  # noqa: PT017 -- a cursor of anything that is a place is one
    else:
        assert page.cursor is None


async def test_filters(analyses: Analyses) -> None:
    await analyses.create(entry("a", namespace="shop", name="web", created_at=1.0))
    await analyses.create(entry("b", namespace="shop", name="api", created_at=2.0))
    await analyses.create(entry("c", namespace="bank", name="web", created_at=3.0, kind="command"))
    claims = {claim.id: claim.lease for claim in await analyses.claim("me", 5.0, 5.0, 9)}
    await analyses.append("b", claims["b"], [Ended(at=9.0)], summary=Summary("fail", "rollback", "done", "", "worse"))

    async def ids(filter_: Filter) -> list[str]:
        found = [found.id for found in (await analyses.find(filter_)).entries]
        assert await analyses.count(filter_) == len(found)
        return found

    assert await ids(Filter()) == ["c", "b", "a"]
    assert await ids(Filter(namespaces={"shop"})) == ["b", "a"]
    assert await ids(Filter(namespaces=())) == []
    assert await ids(Filter(name="web")) == ["c", "a"]
    assert await ids(Filter(kind="helm", name="web")) == ["a"]
    assert await ids(Filter(state=State.ENDED)) == ["b"]
    assert await ids(Filter(verdict="fail")) == ["b"]
    assert await ids(Filter(since=2.0)) == ["c", "b"]
    assert await ids(Filter(namespaces={"bank", "shop"}, state=State.RUNNING, since=2.0)) == ["c"]


async def test_events_are_numbered_from_one_without_a_gap(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    events: list[Event] = [event(number, "NaN \x00 ü 😀 \n") for number in range(5)]
    assert await analyses.append("a", claim.lease, events[:3]) == 3
    assert await analyses.append("a", claim.lease, []) == 3
    assert await analyses.append("a", claim.lease, events[3:]) == 5
    assert [(kept.seq, kept.event) for kept in await analyses.events("a")] == list(enumerate(events, start=1))
    assert [kept.seq for kept in await analyses.events("a", after=2, limit=2)] == [3, 4]
    assert await analyses.events("nobody") == []


@pytest.mark.parametrize(
    ("after", "limit", "pages"),
    [
        (0, 1, [[1], [2], [3], [4]]),
        (0, 2, [[1, 2], [3, 4]]),
        (0, 3, [[1, 2, 3], [4]]),
        (0, 4, [[1, 2, 3, 4]]),
        (0, 5, [[1, 2, 3, 4]]),
        (1, 2, [[2, 3], [4]]),
        (4, 2, []),
    ],
)
async def test_all_events_come_in_pages(analyses: Analyses, after: int, limit: int, pages: list[list[int]]) -> None:
    (claim,) = await begun(analyses, "a")
    await analyses.append("a", claim.lease, [event(number) for number in range(4)])
    assert [[kept.seq for kept in page] async for page in analyses.pages("a", after, limit)] == pages
    assert [page async for page in analyses.pages("nobody", after, limit)] == []


async def test_the_row_goes_with_the_events(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    await analyses.append("a", claim.lease, [event(7)])
    assert (await analyses.get("a")).summary == Summary()
    summary = Summary("fail", "rollback", "held", "storm", "worse: \x00 ü")
    await analyses.append("a", claim.lease, [event(8)], summary=summary)
    row = await analyses.get("a")
    assert (row.summary.verdict, row.summary.held_by, row.changed_at, row.last_seq) == ("fail", "storm", 8.0, 2)
    assert row.summary.reason.startswith("worse: ")
    assert row.lease_owner == "first"


async def test_the_end_gives_the_lease_back_and_nothing_comes_after_it(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    await analyses.append("a", claim.lease, [event(7), Ended(at=8.0)])
    row = await analyses.get("a")
    assert (row.state, row.ended_at, row.lease_owner, row.lease_until) == (State.ENDED, 8.0, None, None)
    with pytest.raises(LeaseLost, match="the analysis a is over"):
        await analyses.append("a", claim.lease, [event(9)])
    assert await analyses.claim("other", 9e9, 30.0, 10) == []
    assert await numbers(analyses, "a") == [1, 2]


async def test_an_append_may_be_asked_for_again(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    both: list[Event] = [event(1), Ended(at=2.0)]
    assert await analyses.append("a", claim.lease, both, after=0) == 2
    assert await analyses.append("a", claim.lease, both, after=0) == 2
    assert await numbers(analyses, "a") == [1, 2]
    with pytest.raises(StoreError, match="other events after number 0"):
        await analyses.append("a", claim.lease, [event(3)], after=0)
    with pytest.raises(StoreError, match="other events after number 5"):
        await analyses.append("a", claim.lease, [event(3)], after=5)


async def test_one_that_cannot_be_kept_does_not_hurt_the_others(analyses: Analyses) -> None:
    claims = await begun(analyses, *(f"a{n}" for n in range(6)))
    results = await asyncio.gather(
        *(analyses.append(claim.id, claim.lease, [event(1)]) for claim in claims),
        analyses.append("a0", claims[0].lease + 1, [event(2)]),
        analyses.append("nobody", 1, [event(2)]),
        analyses.append("a1", claims[1].lease, [event(2)], summary=Summary(verdict=object())),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert results[:6] == [1] * 6
    assert [type(result) for result in results[6:]] == [LeaseLost, NoAnalysis, StoreError]
    assert await analyses.append("a1", claims[1].lease, [event(3)]) == 2


async def test_an_event_that_is_no_text_is_refused(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    with pytest.raises(StoreError, match="an event of a cannot be written as JSON"):
        await analyses.append("a", claim.lease, [event(1), event(2, "\ud800")])
    assert await numbers(analyses, "a") == []


async def test_an_append_that_was_begun_is_brought_to_its_end(analyses: Analyses) -> None:
    claims = await begun(analyses, *(f"a{n}" for n in range(20)))
    for rounds in range(1, 6):
        tasks = [asyncio.ensure_future(analyses.append(c.id, c.lease, [event(rounds)])) for c in claims]
        for _ in range(rounds):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [result for result in results[1::2] if isinstance(result, BaseException)]
    for claim in claims[1::2]:
        assert await numbers(analyses, claim.id) == [1, 2, 3, 4, 5]
    for claim in claims[::2]:
        seen = await numbers(analyses, claim.id)
        assert seen == list(range(1, len(seen) + 1))
        assert (await analyses.get(claim.id)).last_seq == len(seen)


async def test_an_event_of_a_later_version_is_told(analyses: Analyses, database: Database) -> None:
    (claim,) = await begun(analyses, "a")
    await analyses.append("a", claim.lease, [event(1)])
    async with database.write() as connection:
        await connection.exec_driver_sql('UPDATE events SET body = \'{"type": "dreamt", "at": 1.0}\'')
    with pytest.raises(RecordError, match="event 1 of a cannot be read"):
        await analyses.events("a")


async def test_pruning_by_age_and_by_count_leaves_those_that_run(analyses: Analyses) -> None:
    claims = await begun(analyses, *(f"a{n}" for n in range(250)))
    for number, claim in enumerate(claims[:240]):
        await analyses.append(claim.id, claim.lease, [Ended(at=1000.0 + number)])
    assert await analyses.prune() == 0
    assert await analyses.prune(older_than=1010.0) == 10
    assert await analyses.prune(older_than=0.0, keep=5) == 225
    left = {found.id for found in (await analyses.find(limit=500)).entries}
    assert left == {claim.id for claim in claims[235:]}
    assert await analyses.events("a0") == []
    assert await numbers(analyses, "a239") == [1]
    assert await analyses.prune(older_than=9e9, keep=0) == 5
    assert len((await analyses.find(limit=500)).entries) == 10


async def test_a_decision_of_a_later_version_is_left_to_it(analyses: Analyses, database: Database) -> None:
    (claimed,) = await begun(analyses, "a")
    async with database.write() as connection:
        later = '{"kind": "promote", "by": "ann", "why": "x", "at": 1.0}'
        await connection.execute(update(ANALYSES).where(ANALYSES.c.id == claimed.id).values(asked=later))
    assert await analyses.asked_of("first") == {}
    assert (await analyses.get("a")).asked is None
