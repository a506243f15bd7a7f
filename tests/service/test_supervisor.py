"""The supervisor over a real database, with analyses whose Prometheus and platform are in memory."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.errors import LeaseLost, StoreUnavailable, UsageError
from analyzer.model.event import Acted, Commanded, Ended, Event, Intended, WindowRead
from analyzer.model.report import Verdict
from analyzer.model.target import Confirm, Intent, Receipt
from analyzer.service.lease import Lease
from analyzer.store.entry import Claim, Decision, DecisionKind, State
from analyzer.store.switch import Setting, Switch
from tests.engine.world import DEPLOYMENT, START, Platform, rates
from tests.service.floor import BAD, Floor, on_floor, running


def whole(events: Sequence[Event]) -> bool:
    """No window is lost, and none is counted twice."""
    windows = [event.reading.window for event in events if isinstance(event, WindowRead)]
    return windows[0].start == START and all(one.end == other.start for one, other in pairwise(windows))


def test_analyses_run_to_their_ends(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        floor.shop.scripts["b"] = BAD
        await floor.order("a", "b", "c")
        async with running(floor.supervisor()):
            await floor.until_ended("a", "b", "c")
        verdicts = {id_: (await floor.analyses.get(id_)).summary.verdict for id_ in "abc"}
        assert verdicts == {"a": Verdict.PASS, "b": Verdict.FAIL, "c": Verdict.PASS}
        assert len(floor.shop.platforms["b"].intents) == 1
        assert all([whole(await floor.events(id_)) for id_ in "abc"])
        row = await floor.analyses.get("b")
        assert row.summary.action == "rollback"
        assert "rolled back to revision 1" in row.summary.reason

    on_floor(tmp_path, test)


def test_what_is_handed_on_at_the_end_goes_on_with_another(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        floor.shop.scripts["a"] = rates(0.2, since=100)
        await floor.order("a")

        async def has_windows() -> bool:
            return sum(isinstance(event, WindowRead) for event in await floor.events("a")) > 3

        async with running(floor.supervisor()):
            await floor.until(has_windows)
            floor.clock.stands = True
        row = await floor.analyses.get("a")
        assert (row.state, row.lease_owner) == (State.RUNNING, None), "given back at once, not when its lease ends"
        floor.clock.stands = False
        async with running(floor.supervisor()):
            await floor.until_ended("a")
        events = await floor.events("a")
        assert whole(events)
        assert sum(isinstance(event, Acted) for event in events) == 1
        assert len(floor.shop.platforms["a"].intents) == 1

    on_floor(tmp_path, test)


def test_an_act_comes_to_its_end_before_the_analysis_is_handed_on(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        floor.shop.scripts["a"] = BAD
        acting, go_on = asyncio.Event(), asyncio.Event()
        platform = floor.shop.platforms["a"] = Platform()
        take_back = platform.take_back

        async def slowly(intent: Intent, confirm: Confirm) -> Receipt:
            acting.set()
            await go_on.wait()
            return await take_back(intent, confirm)

        platform.take_back = slowly  # type: ignore[method-assign]
        await floor.order("a")
        supervisor, stop = floor.supervisor(), asyncio.Event()
        task = asyncio.create_task(supervisor.run(stop))
        await asyncio.wait_for(acting.wait(), 30)
        stop.set()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(task, 30)
        kinds = [type(event) for event in await floor.events("a")]
        assert Acted in kinds
        assert Ended not in kinds

    on_floor(tmp_path, test)


def test_a_sick_analysis_does_not_hurt_the_others(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        floor.shop.errors = {
            "sick": [RuntimeError("boom")] * 3,
            "recovers": [RuntimeError("boom")],
            "refused": [UsageError("prometheus 'east': the service has no connection of that name")],
        }
        await floor.order("sick", "recovers", "refused", "well")
        async with running(floor.supervisor()):
            await floor.until_ended("sick", "recovers", "refused", "well")
        rows = {id_: (await floor.analyses.get(id_)).summary for id_ in ("sick", "recovers", "refused", "well")}
        assert rows["sick"].verdict == Verdict.ERROR
        assert "RuntimeError" in rows["sick"].reason
        assert rows["refused"].reason.endswith("the service has no connection of that name")
        assert (rows["recovers"].verdict, rows["well"].verdict) == (Verdict.PASS, Verdict.PASS)

    on_floor(tmp_path, test)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (DecisionKind.CANCEL, Verdict.INCONCLUSIVE),
        (DecisionKind.APPROVE, Verdict.PASS),
        (DecisionKind.ROLLBACK, Verdict.FAIL),
    ],
)
def test_a_decision_by_hand_is_carried_out_once_and_answered(tmp_path: Path, kind: DecisionKind, verdict: str) -> None:
    async def test(floor: Floor) -> None:
        await floor.order("a")

        async def begun() -> bool:
            return sum(isinstance(event, WindowRead) for event in await floor.events("a")) > 2

        async with running(floor.supervisor()) as supervisor:
            await floor.until(begun)
            assert await floor.analyses.ask("a", Decision(kind, "ann", "I looked", START + 5))
            supervisor.wake()
            await floor.until_ended("a")
        row = await floor.analyses.get("a")
        assert (row.summary.verdict, row.asked) == (verdict, None)
        assert sum(isinstance(event, Commanded) for event in await floor.events("a")) == 1
        assert "by ann: I looked" in row.summary.reason

    on_floor(tmp_path, test)


def test_another_owner_of_the_lease_is_left_alone(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        floor.shop.scripts["a"] = rates(0.2, since=200)
        await floor.order("a")

        async def begun() -> bool:
            return sum(isinstance(event, WindowRead) for event in await floor.events("a")) > 2

        async with running(floor.supervisor()):
            await floor.until(begun)
            now = await floor.database.time()
            (claim,) = await floor.analyses.claim("another", now + 100, 3600, 1)
            seen = len(await floor.events("a"))
            await asyncio.sleep(0.3)  # it tries to append meanwhile, and is refused
            assert len(await floor.events("a")) <= seen + 1
        row = await floor.analyses.get("a")
        assert (row.state, row.lease_owner, row.lease) == (State.RUNNING, "another", claim.lease)
        assert not any(isinstance(event, Ended | Intended) for event in await floor.events("a"))
        assert not floor.shop.platforms["a"].intents

    on_floor(tmp_path, test)


def test_no_more_than_the_settings_say_run_at_once(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        await floor.order("a", "b", "c")
        most = 0
        async with running(floor.supervisor(most_analyses=1)) as supervisor:

            async def ended() -> bool:
                nonlocal most
                most = max(most, supervisor.running)
                supervisor.wake()
                return all([(await floor.analyses.get(id_)).state == State.ENDED for id_ in "abc"])

            await floor.until(ended)
        assert most == 1

    on_floor(tmp_path, test)


def test_a_lease_is_over_by_our_own_clock_before_it_is_over_in_the_database() -> None:
    time = 100.0
    lease = Lease(Claim("a", 1, 0.0), until=110.0, length=10.0, now=lambda: time)
    assert lease.confirm() == 108.0
    time = 107.9
    lease.confirm()
    time = 108.0
    with pytest.raises(LeaseLost, match="was not reached in time"):
        lease.confirm()


def test_troubles_tell_why_a_replica_is_not_ready(tmp_path: Path) -> None:
    time = 0.0

    async def test(floor: Floor) -> None:
        nonlocal time
        supervisor = floor.supervisor()
        supervisor._monotonic = lambda: time
        supervisor._looked_at = 0.0
        assert supervisor.troubles() == []
        time = 60.0
        assert supervisor.troubles() == ["the database has not been looked at for 60 s"]

    on_floor(tmp_path, test)


def test_troubles_do_not_tell_where_the_database_is(tmp_path: Path) -> None:
    async def test(floor: Floor) -> None:
        async def fails() -> float:
            raise StoreUnavailable("postgresql://db.internal/canary: cannot be reached")

        supervisor = floor.supervisor()
        supervisor._database.time = fails  # type: ignore[method-assign]
        async with running(supervisor):

            async def troubled() -> bool:
                return bool(supervisor.troubles())

            await floor.until(troubled)
            assert supervisor.troubles() == ["the database cannot be read or written now: the log says why"]

    on_floor(tmp_path, test)


def test_while_actions_are_switched_off_nothing_is_retried(tmp_path: Path) -> None:
    """It would change the target before there is an act that could be held."""

    async def test(floor: Floor) -> None:
        floor.shop.retries = True
        aborted = DEPLOYMENT.model_copy(update={"taken_back": "it was aborted already"})
        floor.shop.platforms["a"] = Platform(looks=[aborted])
        await Switch(floor.database).set(Setting("off", by="ann", why="", at=START))
        await floor.order("a")
        async with running(floor.supervisor()):
            await floor.until_ended("a")
        summary = (await floor.analyses.get("a")).summary
        assert summary.verdict == Verdict.ERROR
        assert "was not retried: that changes it, and here nothing may be done" in summary.reason

    on_floor(tmp_path, test)
