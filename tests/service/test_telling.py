"""What an analysis tells in the cluster: from its record, once, beside it, and at its end for certain."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from analyzer.errors import PlatformError
from analyzer.model.event import Ended, Event
from analyzer.model.order import Order, Ordered
from analyzer.model.target import PlatformKind, Receipt
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Decision, DecisionKind, Entry, State, Summary
from tests.engine.world import DEPLOYMENT, Platform
from tests.platforms.fake_api import FakeApi
from tests.platforms.fake_api import running as serving
from tests.service.floor import BAD, Floor, on_floor, running

WEB = "/apis/apps/v1/namespaces/prod/deployments/web"
EVENTS = "/api/v1/namespaces/prod/events"
ALL = {"events": True, "annotate": True}


async def order(floor: Floor, id_: str, *, by: str = "controller", **order: object) -> None:
    given = {"target": "helm/web", "namespace": "prod", "rule_set": "x", **order}
    ordered = Ordered(
        order=Order.model_validate(given),
        by=by,
        why="annotation of Deployment prod/web",
        workloads=("Deployment prod/web",) if by == "controller" else (),
    )
    entry = Entry(id_, f"key {id_}", "prod", "helm", "web", ordered.text, floor.clock.now())
    await floor.analyses.create(entry)


def told(api: FakeApi) -> list[str]:
    """The words that were told, as they came."""
    return [each["reason"] for path, each in api.objects.items() if path.startswith(EVENTS)]


def message(api: FakeApi, word: str) -> str:
    return next(str(each["message"]) for each in api.objects.values() if each.get("reason") == word)


def annotation(api: FakeApi, name: str) -> str | None:
    found: dict[str, str] = api.objects[WEB]["metadata"].get("annotations", {})
    return found.get(f"canary-analyzer.io/{name}")


def with_cluster(tmp_path: Path, test: Callable[[Floor, FakeApi], Awaitable[None]]) -> FakeApi:
    with serving(tmp_path) as api:
        api.put(WEB, {"metadata": {"name": "web", "namespace": "prod", "uid": "1"}})

        async def on_it(floor: Floor) -> None:
            floor.shop.cluster = api.cluster()
            try:
                await test(floor, api)
            finally:
                await floor.shop.cluster.close()

        on_floor(tmp_path, on_it)
        return api


def test_a_good_one(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        assert told(api) == ["CanaryStarted", "CanaryPassed"]
        assert message(api, "CanaryStarted") == (
            "web.v2: revision 2 is compared with revision 1 by the rule set http "
            "(annotation of Deployment prod/web); a failure leads to rollback (analysis a)"
        )
        assert (annotation(api, "verdict"), annotation(api, "judged")) == ("pass", "web.v2/pass")

    with_cluster(tmp_path, test)


def test_a_bad_one_is_told_with_what_was_done(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        floor.shop.scripts["a"] = BAD
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        assert told(api)[:3] == ["CanaryStarted", "CanaryFailed", "CanaryRolledBack"]
        assert "rolled back to revision 1" in message(api, "CanaryRolledBack")
        assert annotation(api, "judged") == "web.v2/fail"
        assert "rolled back to revision 1" in (annotation(api, "reason") or "")

    with_cluster(tmp_path, test)


def test_observe_mode_says_what_it_would_have_done(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        floor.shop.scripts["a"] = BAD
        await order(floor, "a", dry_run=True)
        async with running(floor.supervisor(watch=ALL, actions="dry-run")):
            await floor.until_ended("a")
        assert told(api) == ["CanaryStarted", "CanaryFailed"]
        assert "observe mode: nothing is done" in message(api, "CanaryStarted")
        assert "observe mode: it would have been: rollback to revision 1" in message(api, "CanaryFailed")
        assert not floor.shop.platforms["a"].intents

    with_cluster(tmp_path, test)


def test_what_a_guard_holds_and_what_fails(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        floor.shop.scripts["a"] = floor.shop.scripts["b"] = BAD
        floor.shop.platforms["b"] = Platform(receipt=Receipt(ok=False, detail="helm rollback failed"))
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL, rollbacks_per_hour=0)):
            await floor.until_ended("a")
        assert told(api) == ["CanaryStarted", "CanaryFailed", "CanaryHeld"]
        assert message(api, "CanaryHeld").startswith("web.v2: no rollback: ")
        await order(floor, "b")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("b")
        assert "CanaryActionFailed" in told(api)

    with_cluster(tmp_path, test)


def test_one_that_cannot_be_analysed(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        floor.shop.errors["a"] = [PlatformError("helm is not there")]
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        assert told(api) == ["CanaryNotAnalysed"]
        assert message(api, "CanaryNotAnalysed") == "web: could not analyse: helm is not there (analysis a)"
        assert annotation(api, "judged") == "web/error"

    with_cluster(tmp_path, test)


def test_one_that_is_cancelled(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        await order(floor, "a")

        async def begun() -> bool:
            return (await floor.analyses.get("a")).last_seq > 3

        async with running(floor.supervisor(watch=ALL)):
            await floor.until(begun)
            floor.clock.stands = True
            await floor.analyses.ask("a", Decision(DecisionKind.CANCEL, "ann", "no need", floor.clock.now()))
            await floor.until_ended("a")
        assert told(api) == ["CanaryStarted", "CanaryInconclusive"]
        assert "ann" in message(api, "CanaryInconclusive")

    with_cluster(tmp_path, test)


def test_orders_of_others_are_told_nowhere(tmp_path: Path) -> None:
    async def test(floor: Floor, _: FakeApi) -> None:
        await order(floor, "a", by="ann")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")

    assert with_cluster(tmp_path, test).requests == []


def test_an_order_that_cannot_be_read_is_told_nowhere_and_hurts_nobody(tmp_path: Path) -> None:
    async def test(floor: Floor, _: FakeApi) -> None:
        later = '{"order": {"target": "helm/web", "sooner": true}, "by": "controller", "workloads": ["Deployment a/b"]}'
        for id_, ordered in (("a", later), ("b", "{")):
            await floor.analyses.create(Entry(id_, f"key {id_}", "prod", "helm", "web", ordered, floor.clock.now()))
        floor.shop.errors["a"] = [PlatformError("it cannot be done")]
        await order(floor, "c")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a", "b", "c")
        assert (await floor.analyses.get("c")).summary.verdict == "pass"

    with_cluster(tmp_path, test)


def test_a_mistake_of_ours_in_telling_hinders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def test(floor: Floor, api: FakeApi) -> None:
        monkeypatch.setattr("analyzer.service.notices.Notices.notice", broken)
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        assert (await floor.analyses.get("a")).summary.verdict == "pass"
        assert annotation(api, "verdict") == "pass"

    with_cluster(tmp_path, test)


@pytest.mark.parametrize(("watch", "asked"), [({"events": False}, 0), ({"events": False, "annotate": True}, 1)])
def test_what_the_settings_do_not_want_is_not_told(tmp_path: Path, watch: dict[str, bool], asked: int) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        await order(floor, "a")
        async with running(floor.supervisor(watch=watch)):
            await floor.until_ended("a")
        assert told(api) == []
        assert bool(api.requests) == bool(asked)

    with_cluster(tmp_path, test)


def test_rights_that_are_missing_are_told_once_and_hinder_nothing(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        api.refusals[("POST", EVENTS)] = (403, "no right")
        await order(floor, "a")
        await order(floor, "b")
        said: list[str] = []
        supervisor = floor.supervisor(watch={"events": True})
        supervisor._complain = lambda _, sentence: said.append(sentence)  # type: ignore[method-assign]
        async with running(supervisor):
            await floor.until_ended("a", "b")
        assert len(said) == 1
        assert "could not be told in the cluster, and goes on" in said[0]
        assert (await floor.analyses.get("a")).summary.verdict == "pass"

    with_cluster(tmp_path, test)


def test_an_api_server_that_is_away_is_waited_for_at_the_end_and_not_before(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        api.refusals |= {("POST", EVENTS): (503, "away"), ("GET", WEB): (503, "away")}
        floor.shop.scripts["a"] = BAD
        await order(floor, "a")

        async def decided() -> bool:
            return (await floor.analyses.get("a")).summary.result != "none"

        async with running(floor.supervisor(watch=ALL)):
            await floor.until(decided)  # the way back has not waited
            floor.clock.stands = True
            assert told(api) == []
            api.refusals.clear()
            floor.clock.stands = False
            await floor.until_ended("a")
        assert told(api)[:3] == ["CanaryStarted", "CanaryFailed", "CanaryRolledBack"]
        assert annotation(api, "judged") == "web.v2/fail"

    with_cluster(tmp_path, test)


def test_one_that_stays_away_does_not_keep_an_analysis_for_ever(tmp_path: Path) -> None:
    async def test(floor: Floor, api: FakeApi) -> None:
        api.refusals |= {("POST", EVENTS): (503, "away"), ("GET", WEB): (503, "away")}
        await order(floor, "a")
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        assert told(api) == []

    with_cluster(tmp_path, test)


@pytest.mark.parametrize("killed_at", ["before the end is told", "after it was told"])
def test_killed_at_its_end_it_is_told_once_and_finally(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    """As if the process had been killed: nothing of the end is recorded, and another process goes on."""

    async def test(floor: Floor, api: FakeApi) -> None:
        floor.shop.scripts["a"] = BAD
        await order(floor, "a")
        append = Analyses.append
        is_dead = asyncio.Event()

        async def dying(
            self: Analyses,
            id_: str,
            lease: int,
            events: Sequence[Event],
            *,
            after: int | None = None,
            summary: Summary | None = None,
        ) -> int:
            if isinstance(events[0], Ended):
                is_dead.set()
                await asyncio.Event().wait()
            return await append(self, id_, lease, events, after=after, summary=summary)

        with monkeypatch.context() as patched:
            patched.setattr(Analyses, "append", dying)
            if killed_at.startswith("before"):
                api.refusals |= {("POST", EVENTS): (503, "away"), ("PATCH", WEB): (503, "away")}
            supervisor = floor.supervisor(watch=ALL)
            stop = asyncio.Event()
            task = asyncio.create_task(supervisor.run(stop))
            if killed_at.startswith("before"):

                async def done() -> bool:
                    return (await floor.analyses.get("a")).summary.result != "none"

                await floor.until(done)
            else:
                await asyncio.wait_for(is_dead.wait(), 30)
            stop.set()
            await asyncio.wait_for(task, 30)
        assert (await floor.analyses.get("a")).state == State.RUNNING
        first = told(api)
        assert bool(first) == killed_at.startswith("after")
        api.refusals.clear()
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        words = told(api)
        assert words[:3] == ["CanaryStarted", "CanaryFailed", "CanaryRolledBack"]
        assert len(words) == len(set(words))
        assert annotation(api, "judged") == "web.v2/fail"

    with_cluster(tmp_path, test)


def test_a_rollout_is_its_own_workload_and_is_named_by_its_pods(tmp_path: Path) -> None:
    where = "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/web"

    async def test(floor: Floor, api: FakeApi) -> None:
        api.put(where, {"metadata": {"name": "web", "namespace": "prod"}})
        target = DEPLOYMENT.target.model_copy(update={"kind": PlatformKind.ROLLOUT})
        current = DEPLOYMENT.current.model_copy(update={"digest": "6b7f"})
        deployment = DEPLOYMENT.model_copy(update={"target": target, "current": current})
        floor.shop.platforms["a"] = Platform(looks=[deployment])
        given = {"order": {"target": "rollout/web", "namespace": "prod", "rule_set": "x"}, "by": "controller"}
        entry = Entry("a", "key", "prod", "rollout", "web", json.dumps(given), floor.clock.now())
        await floor.analyses.create(entry)
        async with running(floor.supervisor(watch=ALL)):
            await floor.until_ended("a")
        found = api.objects[where]["metadata"]["annotations"]
        assert found["canary-analyzer.io/judged"] == "6b7f/pass"

    with_cluster(tmp_path, test)
