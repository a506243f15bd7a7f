"""The verdict for Argo's web provider: always a small object, of just the attempt that is under way."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from analyzer.api import argo, hub
from analyzer.errors import PlatformUnavailable, StoreError, StoreUnavailable, StoreUnusable
from analyzer.model.event import Ended
from analyzer.model.report import Verdict
from analyzer.platforms.rollout_runs import Attempt
from analyzer.service.polling import FRESH, MOST, Poll, Polls, Waiting
from analyzer.service.running import Service
from analyzer.store.entry import State, Summary
from analyzer.store.schema import ANALYSES, EVENTS
from tests.api.house import Cluster, House, service_on, settings

pytestmark = pytest.mark.anyio

WHERE = "/api/v1/argo/verdict"
NEW, OLD = "6c9b7", "5d4f8"
ASKED = {"namespace": "shop", "rollout": "web", "stable": OLD, "canary": NEW}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PAUSE", 0.01)


@pytest.fixture(autouse=True)
def cluster(service: Service) -> Cluster:
    """With a Rollout that has an analysis under way."""
    assert isinstance(service.rollouts, Cluster)
    service.rollouts.attempts["web"] = Attempt(NEW, OLD, run="web-6c9b7-2")
    return service.rollouts


async def told(house: House, who: str = "starter", **other: str) -> dict[str, Any]:
    answer = await house.get(WHERE, who, params=ASKED | other)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json()
    assert list(found) == ["pass", "fail", "verdict", "reason", "analysis", "link"]
    assert found["pass"] is (found["verdict"] == "pass")
    assert found["fail"] is (found["verdict"] == "fail")
    assert found["reason"]
    assert None not in found.values()
    return found


async def judged(house: House, id_: str, verdict: Verdict, reason: str = "errors 9 %") -> None:
    """The analysis ends with this verdict."""
    (claim,) = [each for each in await house.service.analyses.claim("worker", 0.0, 1e12, 1000) if each.id == id_]
    summary = Summary(verdict=verdict, reason=reason)
    await house.service.analyses.append(id_, claim.lease, [Ended(at=2e9, cause="")], summary=summary)
    async with asyncio.timeout(10):
        while (await house.parts.latest.get(id_)).state != State.ENDED:  # noqa: ASYNC110 -- it is told by no event
            await asyncio.sleep(0.01)


async def test_the_first_question_starts_an_analysis_that_does_not_act(house: House, cluster: Cluster) -> None:
    first = await told(house)
    assert first["verdict"] == "pending"
    assert first["link"] == f"/api/v1/analyses/{first['analysis']}/report.html"
    found = (await house.get(f"/api/v1/analyses/{first['analysis']}")).json()
    assert (found["target"], found["namespace"], found["dry_run"], found["by"]) == (
        "rollout/web",
        "shop",
        True,
        "starter",
    )
    assert found["order"]["since"] == pytest.approx(found["created_at"], abs=5)
    assert (await told(house))["analysis"] == first["analysis"]
    assert cluster.asked == 1, "the second answer needs no other server"


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR])
async def test_each_verdict(house: House, cluster: Cluster, verdict: Verdict) -> None:
    first = await told(house)
    await judged(house, first["analysis"], verdict, "errors 9 % against 0.2 %")
    found = await told(house)
    assert (found["verdict"], found["reason"]) == (verdict.value, "errors 9 % against 0.2 %")
    assert cluster.asked == 2, "a verdict is told only when the attempt is still the same"


async def test_a_retry_is_a_new_attempt(house: House, cluster: Cluster) -> None:
    """It has the same hashes: what was found of the first try does not answer for the second."""
    first = await told(house)
    await judged(house, first["analysis"], Verdict.FAIL)
    assert (await told(house))["fail"] is True
    cluster.attempts["web"] = Attempt(NEW, OLD, run="web-6c9b7-2.1")
    second = await told(house)
    assert second["fail"] is False
    assert second["analysis"] != first["analysis"]
    assert (await told(house))["analysis"] == second["analysis"]


async def test_after_a_restart_it_is_the_same_analysis(house: House, cluster: Cluster) -> None:
    first = await told(house)
    again = House.on(house.service)
    async with again.client:
        assert (await told(again))["analysis"] == first["analysis"]
        await again.parts.hub.stop()
    assert cluster.asked == 2


async def test_one_that_was_removed_with_what_is_old_is_begun_anew(house: House) -> None:
    first = await told(house)
    await judged(house, first["analysis"], Verdict.PASS)
    async with house.service.database.write() as connection:
        await connection.execute(delete(EVENTS))
        await connection.execute(delete(ANALYSES))
    found = await told(house)
    assert found["verdict"] == "pending"
    assert found["analysis"] not in {"", first["analysis"]}


async def test_one_that_was_removed_and_is_not_in_memory_is_begun_anew(house: House) -> None:
    first = await told(house)
    await judged(house, first["analysis"], Verdict.PASS)
    house.parts.hub.close()  # what has changed is heard no more: all is read anew
    await asyncio.sleep(0)
    house.parts.hub.is_closed = False
    async with house.service.database.write() as connection:
        await connection.execute(delete(EVENTS))
        await connection.execute(delete(ANALYSES))
    found = await told(house)
    assert found["verdict"] == "pending"
    assert found["analysis"] not in {"", first["analysis"]}


@pytest.mark.parametrize("rollout", ["web", "w" * 250])
async def test_nobody_can_order_the_analysis_that_answers(house: House, cluster: Cluster, rollout: str) -> None:
    """Of other rules, which pass whatever comes: under the key of a poll, before it asks for the first time."""
    cluster.attempts[rollout] = cluster.attempts["web"]
    forged = await house.forged((await told(house, rollout=rollout))["analysis"])
    again = House.on(house.service)
    async with again.client:
        assert (await told(again, rollout=rollout))["analysis"] not in {"", forged}
        await again.parts.hub.stop()


async def test_other_rules_are_another_analysis(house: House) -> None:
    questions: list[dict[str, str]] = [{}, {"rules": "grpc"}, {"set": "requests=other_total"}]
    assert len({(await told(house, **other))["analysis"] for other in questions}) == 3


async def test_parameters_are_those_of_the_order(house: House) -> None:
    value = 'a="}) or vector(1) #'
    found = await told(house, set=f"canary={value}", rules="envoy")
    order = (await house.get(f"/api/v1/analyses/{found['analysis']}")).json()["order"]
    assert order["parameters"] == {"canary": value}  # escaped where it is put into PromQL
    posted = await house.post(WHERE, {**ASKED, "rules": "envoy", "parameters": {"canary": value}}, "starter")
    assert posted.json()["analysis"] == found["analysis"]


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (Attempt("", "", why="no analysis of Rollout web is under way"), "no analysis of Rollout web is under way"),
        (Attempt("other", OLD, run="r"), "Rollout web is at other against 5d4f8 now, not at 6c9b7 against 5d4f8"),
        (PlatformUnavailable("the API server is away"), "not known now: the API server is away"),
    ],
)
async def test_what_is_not_known_is_neither_pass_nor_fail(
    house: House, cluster: Cluster, attempt: Attempt | Exception, words: str
) -> None:
    cluster.attempts["web"] = attempt
    found = await told(house)
    assert (found["verdict"], found["analysis"], found["link"]) == ("pending", "", "")
    assert words in found["reason"]


async def test_a_verdict_that_cannot_be_confirmed_is_not_told(house: House, cluster: Cluster) -> None:
    for verdict in (Verdict.FAIL, Verdict.PASS):
        first = await told(house)
        await judged(house, first["analysis"], verdict)
        before, cluster.attempts["web"] = cluster.attempts["web"], PlatformUnavailable("away")
        assert (await told(house))["verdict"] == "pending"
        cluster.attempts["web"] = before
        assert (await told(house))["verdict"] == verdict.value
        cluster.attempts["web"] = Attempt(NEW, OLD, run=f"after {verdict.value}")


@pytest.mark.parametrize("error", [StoreUnavailable, StoreUnusable, StoreError])
async def test_a_database_that_is_away_is_no_failure(
    house: House, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    first = await told(house)

    async def away(id_: str) -> None:
        raise error(id_)

    monkeypatch.setattr(house.service.analyses, "get", away)
    assert await told(house) == first, "what is in memory needs no database"
    again = House.on(house.service)
    async with again.client:
        assert "the database cannot be reached" in (await told(again))["reason"]
        await again.parts.hub.stop()


async def test_a_database_that_does_not_answer_is_no_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller waits for ten seconds, and counts silence as an error."""
    first = await told(house)
    await judged(house, first["analysis"], Verdict.FAIL)

    async def silent(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.service.analyses, "get", silent)
    monkeypatch.setattr(argo, "IN_ALL", 0.05)
    async with asyncio.timeout(10):
        found = await told(house)
    assert (found["verdict"], found["reason"]) == (
        "pending",
        "nothing is known now: the database does not answer in time",
    )


async def test_a_verdict_is_not_told_by_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await told(house)
    await judged(house, first["analysis"], Verdict.PASS)

    async def away(id_: str) -> None:
        raise StoreUnavailable(id_)

    monkeypatch.setattr(house.service.analyses, "get", away)
    assert (await told(house))["pass"] is False


async def test_a_verdict_is_told_after_a_restart_however_many_analyses_run(service: Service, cluster: Cluster) -> None:
    limited = replace(service_on(service.database, settings(limits={"analyses_per_namespace": 1})), rollouts=cluster)
    house, again = House.on(limited), House.on(limited)
    async with house.client, again.client:
        await judged(house, (await told(house))["analysis"], Verdict.FAIL)
        cluster.attempts["other"] = Attempt(NEW, OLD, run="another")
        await told(house, rollout="other")
        assert (await told(again))["fail"] is True
        await house.parts.hub.stop()
        await again.parts.hub.stop()


async def test_too_many_analyses_are_waited_for(service: Service, cluster: Cluster) -> None:
    limited = settings(limits={"analyses_per_namespace": 1})
    house = House.on(replace(service_on(service.database, limited), rollouts=cluster))
    async with house.client:
        await told(house)
        cluster.attempts["web"] = Attempt(NEW, OLD, run="another")
        await judged(house, (await told(house))["analysis"], Verdict.FAIL)  # the first one is over now
        await told(house)
        cluster.attempts["web"] = Attempt(NEW, OLD, run="a third")
        other = await told(house, rules="grpc")
        assert "1 analyses run in shop already" in other["reason"]
        await house.parts.hub.stop()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("namespace=shop&rollout=web&stable=a", "canary"),
        ("namespace=shop&rollout=web&stable=a&canary=", "canary"),
        ("namespace=shop&rollout=../secrets&stable=a&canary=b", "rollout"),
        ("namespace=shop/../bank&rollout=web&stable=a&canary=b", "namespace"),
        ("namespace=shop&rollout=web&stable=a&canary=b{}", "canary"),
        ("namespace=shop&rollout=web&stable=a&canary=b&canary=c", "canary: stands more than once"),
        ("namespace=shop&rollout=web&stable=a&canary=b&evil=1", "evil"),
        ("namespace=shop&rollout=web&stable=a&canary=b&rules=no-such-rules", "no-such-rules"),
        ("namespace=shop&rollout=web&stable=a&canary=b&set=novalue", "is not NAME=VALUE"),
        ("namespace=shop&rollout=web&stable=a&canary=b&set=nosuch=1", "nosuch"),
        ("namespace=shop&rollout=web&stable=a&canary=b&purpose=lunch", "purpose"),
        ("namespace=shop&rollout=web&stable=a&canary=b&prometheus=bank", "prometheus"),
    ],
)
async def test_a_wrong_question_is_one_sentence(
    house: House, cluster: Cluster, caplog: pytest.LogCaptureFixture, query: str, sentence: str
) -> None:
    """Also in the log: the controller shows nobody more than the status."""
    cluster.attempts["web"] = Attempt("b", "a", run="r")
    answer = await house.get(f"{WHERE}?{query}", "starter")
    assert answer.status_code == 422, answer.text
    assert sentence in answer.text
    (line,) = [each for each in caplog.records if each.name == "analyzer.api.refusals"]
    assert line.getMessage().endswith(f"was refused (422): {answer.json()['detail']}")
    assert line.getMessage().startswith("GET /api/v1/argo/verdict about ")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"NaN", b'{"namespace": NaN}', json.dumps(ASKED).encode()[:-1]])
async def test_a_body_that_is_none(house: House, body: bytes) -> None:
    answer = await house.ask("POST", WHERE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("who", ["reader", "elsewhere", "nowhere"])
async def test_without_the_right_nothing_is_told_or_started(
    house: House, cluster: Cluster, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    answer = await house.get(WHERE, who, params=ASKED)
    assert answer.status_code == 403
    assert cluster.asked == 0
    assert "about 'web' in 'shop' was refused (403): " in caplog.text
    assert (await house.get("/api/v1/analyses")).json()["items"] == []


async def test_a_long_reason_is_cut(house: House) -> None:
    first = await told(house)
    await judged(house, first["analysis"], Verdict.FAIL, "x" * 2000)
    assert len((await told(house))["reason"]) == 500


async def test_many_polls_are_within_the_limit_of_requests(house: House) -> None:
    answers = [await house.get(WHERE, "starter", params=ASKED) for _ in range(700)]
    assert {answer.status_code for answer in answers} == {httpx.codes.OK}


class TestPolls:
    """The memory by itself."""

    POLL = Poll("shop", "web", OLD, NEW, None, "rules")

    async def test_one_that_waits_is_looked_at_again_beside_the_answer(self) -> None:
        cluster, time, started = Cluster({"web": Attempt(NEW, OLD, run="first")}), [0.0], list[str]()
        polls = Polls(cluster, lambda: time[0])

        async def start(key: str) -> str:
            started.append(key)
            return f"analysis {len(started)}"

        assert await polls.analysis(self.POLL, start) == "analysis 1"
        cluster.attempts["web"] = Attempt(NEW, OLD, run="second")
        assert await polls.analysis(self.POLL, start) == "analysis 1"
        time[0] = FRESH + 1
        assert await polls.analysis(self.POLL, start) == "analysis 1"  # from memory, and looked at meanwhile
        known = polls._known[self.POLL]
        assert known.looking is not None
        await known.looking
        assert await polls.analysis(self.POLL, start) == "analysis 2"
        assert started == [self.POLL.key("first"), self.POLL.key("second")]

    async def test_what_cannot_be_looked_at_stays(self) -> None:
        cluster, time = Cluster({"web": Attempt(NEW, OLD, run="first")}), [0.0]
        polls = Polls(cluster, lambda: time[0])

        async def start(key: str) -> str:
            return key

        first = await polls.analysis(self.POLL, start)
        cluster.attempts["web"], time[0] = PlatformUnavailable("away"), FRESH + 1
        assert await polls.analysis(self.POLL, start) == first
        await _looked(polls, self.POLL)
        assert await polls.analysis(self.POLL, start) == first
        with pytest.raises(Waiting):
            await polls.confirmed(self.POLL, start)

    async def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("analyzer.service.polling.MOST", 3)
        polls = Polls(Cluster({f"web{number}": Attempt(NEW, OLD, run="r") for number in range(5)}))
        for number in range(5):
            await polls.analysis(Poll("shop", f"web{number}", OLD, NEW, None, ""), _as_it_is)
        assert [poll.rollout for poll in polls._known] == ["web2", "web3", "web4"]
        assert MOST > 1000


async def _as_it_is(key: str) -> str:
    return key


async def _looked(polls: Polls, poll: Poll) -> None:
    looking = polls._known[poll].looking
    assert looking is not None
    await looking
