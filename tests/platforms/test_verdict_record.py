"""The verdict is kept in the cluster as soon as it is there, with what was done then; whatever the cluster says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi, running

from analyzer.model.event import Acted, Decided, Event, Held, Intended, Planned, Verified
from analyzer.model.guard import Guard
from analyzer.model.report import Verdict
from analyzer.model.target import ActionKind, Intent, Receipt
from analyzer.platforms import verdict_record as module
from analyzer.platforms.verdict_record import VerdictRecord
from analyzer.platforms.verdicts import Judged, Verdicts, name_of
from tests.judge.rules.ruling import plan

WHERE = f"/api/v1/namespaces/prod/configmaps/{name_of('web')}"
PLAN = plan({"metric": "errors", "limit": "5%"})
PLANNED = Planned(at=0, plan=PLAN.model_copy(update={"acting": True}))
OBSERVED = Planned(at=0, plan=PLAN)
FAIL = Decided(at=5, verdict=Verdict.FAIL, reason="errors: 9 % > 5 %", action=ActionKind.ROLLBACK)
PASS = Decided(at=5, verdict=Verdict.PASS, reason="no worse", action=ActionKind.NONE)
INTENT = Intent(
    kind=ActionKind.ROLLBACK,
    target=PLAN.deployment.target,
    from_revision=PLAN.deployment.current,
    to_revision=None,
    reason="",
)
DONE, FAILED = (Acted(at=6, receipt=Receipt(ok=ok, detail="")) for ok in (True, False))
HELD = Held(at=6, guard=Guard.STORM, reason="")
RECOVERED, NOT_RECOVERED = (Verified(at=7, recovered=recovered, reason="") for recovered in (True, False))


class Kept:
    """Another record."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def append(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        yield fake


def keep(api: FakeApi, *events: Event) -> tuple[tuple[Judged, ...], list[str]]:
    """What the cluster has at the end, and what was complained of."""
    kept, complaints = Kept(), []

    async def keeping() -> tuple[Judged, ...]:
        cluster = api.cluster()
        try:
            verdicts = Verdicts(cluster, "prod", "web")
            record = VerdictRecord(kept, verdicts, complaints.append)
            for event in events:
                await record.append(event)
            api.refusals.clear()
            return await verdicts.read()
        finally:
            await cluster.close()

    found = asyncio.run(keeping())
    assert kept.events == list(events), "the other record has them all"
    return found, complaints


def test_a_verdict(api: FakeApi) -> None:
    (judged,), complaints = keep(api, PLANNED, PASS)
    assert judged == Judged(
        revision="2", digest="sha256:2", verdict=Verdict.PASS, at=5, reason="no worse", analysis="test", action="none"
    )
    assert complaints == []


@pytest.mark.parametrize(
    ("events", "action"),
    [
        ([FAIL], "rollback"),
        ([FAIL, Intended(at=6, intent=INTENT)], "rollback"),
        ([FAIL, DONE], "rollback done"),
        ([FAIL, FAILED], "rollback failed"),
        ([FAIL, FAILED, RECOVERED], "rollback failed"),
        ([FAIL, HELD], "rollback held by storm"),
        ([FAIL, DONE, RECOVERED], "rollback done, recovered"),
        ([FAIL, DONE, NOT_RECOVERED], "rollback done, no recovery seen"),
        ([PASS, HELD], "none"),
        ([PASS, FAIL, DONE], "rollback done"),  # it was watched after the pass
    ],
)
def test_what_was_done_then(api: FakeApi, events: list[Event], action: str) -> None:
    (judged,), _ = keep(api, PLANNED, *events)
    assert judged.action == action


@pytest.mark.parametrize(
    "events",
    [
        [PLANNED],
        [PLANNED, HELD],
        [PLANNED, Decided(at=5, verdict=Verdict.ERROR, reason="", action=ActionKind.NONE)],
        [OBSERVED, FAIL, DONE],
        [FAIL],
    ],
)
def test_nothing_is_kept(api: FakeApi, events: list[Event]) -> None:
    assert keep(api, *events) == ((), [])
    assert not any(method in {"POST", "PUT"} for method, _ in api.requests)


def test_what_cannot_be_written_is_told_once_and_tried_again(api: FakeApi) -> None:
    api.refusals["GET", WHERE] = (403, 'User "ci" cannot get resource "configmaps" in API group ""')
    found, complaints = keep(api, PLANNED, FAIL, DONE)
    assert found == ()
    assert len(complaints) == 1
    assert complaints[0].startswith("the verdict could not be kept in the cluster: user ci may not get configmaps")
    assert api.requests.count(("GET", WHERE)) == 3


def test_the_next_news_bring_what_was_missed(api: FakeApi) -> None:
    api.refusals["POST", WHERE.rpartition("/")[0]] = (503, "etcd")

    class Ready(Kept):
        async def append(self, event: Event) -> None:
            if event is DONE:
                api.refusals.clear()

    complaints: list[str] = []

    async def keeping() -> tuple[Judged, ...]:
        cluster = api.cluster()
        try:
            verdicts = Verdicts(cluster, "prod", "web")
            record = VerdictRecord(Ready(), verdicts, complaints.append)
            for event in (PLANNED, FAIL, DONE):
                await record.append(event)
            return await verdicts.read()
        finally:
            await cluster.close()

    (judged,) = asyncio.run(keeping())
    assert (judged.verdict, judged.action) == (Verdict.FAIL, "rollback done")
    assert len(complaints) == 1


def test_a_cluster_that_hangs_holds_nobody_up(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(Verdicts, "write", hangs)
    _, complaints = keep(api, PLANNED, FAIL, DONE)
    assert complaints == [
        "the verdict could not be kept in the cluster: the Kubernetes API server did not answer in time"
    ]
