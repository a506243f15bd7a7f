"""The gate of Flagger's webhooks: open for a promotion after a pass alone, for a rollback after a failure alone."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from analyzer.api import flagger, flagger_token
from analyzer.errors import PlatformForbidden, PlatformUnavailable, StoreError, StoreUnavailable, StoreUnusable
from analyzer.model.event import Ended
from analyzer.model.report import Verdict
from analyzer.platforms.flagger_canary import Canary, Try
from analyzer.service.gating import Gate
from analyzer.service.running import Service
from analyzer.store.entry import Summary
from analyzer.store.schema import ANALYSES, EVENTS
from tests.api.house import Canaries, House, service_on, settings

pytestmark = pytest.mark.anyio

WHERE = "/api/v1/flagger/gate"
HOOKS = [{"type": gate, "metadata": {"gate": gate}} for gate in Gate]
CANARY = Canary({"metadata": {"name": "web"}, "spec": {"analysis": {"webhooks": HOOKS}}})
ASKED = {"name": "web", "namespace": "shop", "phase": "Progressing", "checksum": "65d4f8c7b9"}


@pytest.fixture(autouse=True)
def canaries(service: Service) -> Canaries:
    """With a try that is under way."""
    assert isinstance(service.canaries, Canaries)
    service.canaries.tries["web"] = Try(CANARY, "uid/2/2026-01-05T00:00:00Z")
    return service.canaries


def hooks(*given: Mapping[str, object], id_: str = "uid/2/then") -> Try:
    """A try of a Canary with these webhooks."""
    return Try(Canary({"metadata": {"name": "web"}, "spec": {"analysis": {"webhooks": [*given]}}}), id_)


async def asked(house: House, gate: str = "confirm-promotion", who: str = "starter", **metadata: str) -> httpx.Response:
    body = {**ASKED, "metadata": {"gate": gate, **metadata}}
    answer = await house.post(WHERE, body, who)
    if answer.status_code == 200:
        found = answer.json()
        assert list(found) == ["gate", "verdict", "reason", "analysis", "link"]
        assert found["gate"] == gate
        assert found["reason"]
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    return answer


async def gates(house: House) -> tuple[int, int, int]:
    """What each of them is answered: promotion, rollback, rollout."""
    answers = [await asked(house, gate) for gate in (Gate.CONFIRM_PROMOTION, Gate.ROLLBACK, Gate.ROLLOUT)]
    first, second, third = (answer.status_code for answer in answers)
    return first, second, third


async def the_analysis(house: House) -> dict[str, Any]:
    (found,) = (await house.get("/api/v1/analyses")).json()["items"]
    assert isinstance(found, dict)
    return found


async def judged(house: House, verdict: Verdict, reason: str = "errors 9 %") -> None:
    """What runs ends with this verdict."""
    for claim in await house.service.analyses.claim("worker", 0.0, 1e12, 1000):
        summary = Summary(verdict=verdict, reason=reason)
        await house.service.analyses.append(claim.id, claim.lease, [Ended(at=2e9, cause="")], summary=summary)


@pytest.mark.parametrize(
    ("verdict", "promotes", "rolls_back", "goes_on"),
    [
        (Verdict.PENDING, False, False, True),
        (Verdict.PASS, True, False, True),
        (Verdict.FAIL, False, True, False),
        (Verdict.INCONCLUSIVE, False, False, True),
        (Verdict.ERROR, False, False, True),
    ],
)
async def test_each_verdict_at_each_gate(
    house: House, verdict: Verdict, promotes: bool, rolls_back: bool, goes_on: bool
) -> None:
    await asked(house)
    if verdict != Verdict.PENDING:
        await judged(house, verdict)
    expected = tuple(200 if is_open else 409 for is_open in (promotes, rolls_back, goes_on))
    assert await gates(house) == expected


async def test_the_first_call_starts_one_analysis_that_does_not_act(house: House) -> None:
    first = await asked(house, "rollout")
    await gates(house)
    found = await the_analysis(house)
    assert (found["target"], found["namespace"], found["dry_run"], found["by"]) == (
        "flagger/web",
        "shop",
        True,
        "starter",
    )
    assert first.json()["analysis"] == found["id"]
    assert first.json()["link"] == f"/api/v1/analyses/{found['id']}/report.html"


async def test_a_refusal_says_why(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await asked(house)
    await judged(house, Verdict.FAIL, "errors 9 % against 0.2 %")
    id_ = (await the_analysis(house))["id"]
    detail = (await asked(house)).json()["detail"]
    assert detail == f"fail: errors 9 % against 0.2 % (analysis {id_})"
    assert "refused" not in caplog.text  # that is no mistake of anybody


async def test_a_second_try_at_the_same_revision_is_another_one(house: House, canaries: Canaries) -> None:
    """It has the same checksum: what was found of the first try does not answer for the second."""
    await asked(house)
    await judged(house, Verdict.FAIL)
    assert await gates(house) == (409, 200, 409)
    canaries.tries["web"] = Try(CANARY, "uid/4/2026-01-06T00:00:00Z")
    assert await gates(house) == (409, 409, 200)


async def test_after_a_restart_it_is_the_same_analysis(house: House) -> None:
    await asked(house)
    await judged(house, Verdict.PASS)
    again = House.on(house.service)
    async with again.client:
        assert await gates(again) == (200, 409, 200)
    await the_analysis(house)


async def test_one_that_was_removed_with_what_is_old_is_begun_anew(house: House) -> None:
    await asked(house)
    await judged(house, Verdict.PASS)
    async with house.service.database.write() as connection:
        await connection.execute(delete(EVENTS))
        await connection.execute(delete(ANALYSES))
    assert await gates(house) == (409, 409, 200)


async def test_nobody_can_order_the_analysis_that_answers(house: House) -> None:
    """Everybody who may read Canaries has the token: of other rules, which pass, before Flagger asks."""
    await asked(house)
    forged = await house.forged((await the_analysis(house))["id"])
    await judged(house, Verdict.PASS)
    again = House.on(house.service)
    async with again.client:
        answer = await asked(again)
    assert answer.status_code == 409
    assert forged not in answer.json()["detail"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(Try(CANARY), why="no new revision of Canary web is being looked at"), "no new revision"),
        (PlatformUnavailable("the API server is away"), "not known now: the API server is away"),
        (PlatformForbidden("may not get canaries"), "not known now: may not get canaries"),
    ],
)
async def test_what_is_not_known_promotes_nothing_and_rolls_nothing_back(
    house: House, canaries: Canaries, found: Try | Exception, words: str
) -> None:
    await asked(house)
    for verdict in (Verdict.FAIL, Verdict.PASS):
        await judged(house, verdict)
        canaries.tries["web"] = found
        assert await gates(house) == (409, 409, 200)
        assert words in (await asked(house)).json()["detail"]


@pytest.mark.parametrize("error", [StoreUnavailable, StoreUnusable, StoreError])
async def test_a_database_that_is_away_is_no_failure(
    house: House, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    await asked(house)
    await judged(house, Verdict.FAIL)

    async def away(id_: str) -> None:
        raise error(id_)

    monkeypatch.setattr(house.service.analyses, "get", away)
    assert await gates(house) == (409, 409, 200)


async def test_a_database_that_does_not_answer_is_no_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flagger waits for ten seconds, and a `rollout` hook that is not answered is a failed check."""
    await asked(house)
    await judged(house, Verdict.FAIL)

    async def silent(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.service.analyses, "get", silent)
    monkeypatch.setattr(flagger, "IN_ALL", 0.05)
    async with asyncio.timeout(10):
        assert await gates(house) == (409, 409, 200)
        assert "does not answer in time" in (await asked(house)).json()["detail"]


async def test_too_many_analyses_are_waited_for(service: Service, canaries: Canaries) -> None:
    limited = settings(limits={"analyses_per_namespace": 1})
    house = House.on(replace(service_on(service.database, limited), canaries=canaries))
    async with house.client:
        await asked(house)
        canaries.tries["web"] = Try(CANARY, "another")
        assert await gates(house) == (409, 409, 200)
        assert "1 analyses run in shop already" in (await asked(house)).json()["detail"]


@pytest.mark.parametrize("gate", ["", "pre-rollout", "post-rollout", "confirm-rollout", "event", "Rollback"])
async def test_other_types_are_refused(house: House, gate: str) -> None:
    answer = await asked(house, gate)
    assert answer.status_code == 422
    assert "one of rollout, confirm-promotion, rollback" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"type": "rollback", "metadata": {"gate": "rollout"}}, "and its type is rollback"),
        (
            {"type": "rollout", "metadata": {"gate": "rollout", "rules": "grpc"}},
            "there is none with just this metadata",
        ),
        ({"metadata": {"gate": "rollback"}}, "and its type is rollout"),
    ],
)
async def test_a_webhook_that_is_of_another_type_is_refused(
    house: House, canaries: Canaries, found: dict[str, Any], words: str
) -> None:
    """An answer that lets one of them go on would roll another one back."""
    canaries.tries["web"] = hooks(found)
    answer = await asked(house, found["metadata"]["gate"] if "grpc" not in str(found) else "rollout")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert (await house.get("/api/v1/analyses")).json()["items"] == []


async def test_a_type_that_nobody_can_tell_is_refused(house: House, canaries: Canaries) -> None:
    both = [{"type": type_, "metadata": {"gate": "rollout"}} for type_ in ("rollout", "rollback")]
    canaries.tries["web"] = hooks(*both)
    assert (await asked(house, "rollout")).status_code == 422


async def test_without_a_type_it_is_a_rollout_hook(house: House, canaries: Canaries) -> None:
    canaries.tries["web"] = hooks({"type": "", "metadata": {"gate": "rollout"}})
    assert (await asked(house, "rollout")).status_code == 200


MISTAKES = [
    ({"rules": "no-such-rules"}, "no-such-rules"),
    ({"rules": "../secrets"}, "metadata.rules"),
    ({"prometheus": "bank"}, "prometheus"),
    ({"set.nosuch": "1"}, "nosuch"),
    ({"rule": "http"}, "metadata.rule: is not known: write gate, prometheus, rules, token or set.NAME"),
]


@pytest.mark.parametrize(("metadata", "words"), MISTAKES)
async def test_a_mistake_promotes_nothing_and_rolls_nothing_back(
    house: House, canaries: Canaries, caplog: pytest.LogCaptureFixture, metadata: dict[str, str], words: str
) -> None:
    canaries.tries["web"] = hooks(*({"type": gate, "metadata": {"gate": gate, **metadata}} for gate in Gate))
    for gate, status in ((Gate.CONFIRM_PROMOTION, 422), (Gate.ROLLBACK, 422), (Gate.ROLLOUT, 200)):
        answer = await asked(house, gate, **metadata)
        assert answer.status_code == status
        assert words in answer.text
    assert sum(words in each.getMessage() for each in caplog.records) == len(Gate)


async def test_parameters_are_those_of_the_order(house: House, canaries: Canaries) -> None:
    metadata = {"gate": "rollback", "rules": "envoy", "set.canary": 'a="}) or vector(1) #'}
    canaries.tries["web"] = hooks({"type": "rollback", "metadata": metadata})
    await asked(house, **metadata)
    id_ = (await the_analysis(house))["id"]
    order = (await house.get(f"/api/v1/analyses/{id_}")).json()["order"]
    assert order["parameters"] == {"canary": 'a="}) or vector(1) #'}  # escaped where it is put into PromQL


async def test_what_later_versions_send_beside_it_is_not_looked_at(house: House) -> None:
    body = {**ASKED, "type": "rollout", "buildId": "17", "metadata": {"gate": "rollout"}}
    assert (await house.post(WHERE, body, "starter")).status_code == 200


@pytest.mark.parametrize("other", [{"name": "../secrets"}, {"namespace": "shop/../bank"}, {"checksum": "a/b"}])
async def test_a_payload_that_is_none(house: House, other: dict[str, str]) -> None:
    answer = await house.post(WHERE, {**ASKED, "metadata": {"gate": "rollout"}, **other}, "starter")
    assert answer.status_code == 422


@pytest.mark.parametrize("who", ["reader", "elsewhere", "nowhere"])
async def test_without_the_right_nothing_is_told_or_started(house: House, who: str) -> None:
    assert (await asked(house, "rollout", who)).status_code == 403
    assert (await house.get("/api/v1/analyses")).json()["items"] == []


class TestToken:
    """Flagger sends no header of ours: the token is in the metadata."""

    @pytest.fixture(autouse=True)
    def _canary(self, canaries: Canaries) -> None:
        canaries.tries["web"] = hooks({"type": "rollout", "metadata": self.metadata("starter")})

    @staticmethod
    def metadata(token: object) -> dict[str, object]:
        return {"gate": "rollout", "token": token}

    async def send(self, house: House, token: object, **headers: str) -> httpx.Response:
        body = {**ASKED, "metadata": self.metadata(token)}
        return await house.client.post(WHERE, json=body, headers=headers)

    async def test_it_says_who_asks(self, house: House) -> None:
        answer = await self.send(house, "starter")
        assert answer.status_code == 200, answer.text
        assert (await the_analysis(house))["by"] == "starter"

    async def test_it_is_kept_nowhere(self, house: House, canaries: Canaries, caplog: pytest.LogCaptureFixture) -> None:
        secret = "canary_of_nobody_else"
        for rules in ("http", "no-such"):
            metadata = {**self.metadata(secret), "rules": rules}
            canaries.tries["web"] = hooks({"type": "rollout", "metadata": metadata})
            answer = await house.post(WHERE, {**ASKED, "metadata": metadata}, "starter")
            assert answer.status_code == 200
            assert secret not in answer.text
        assert "no-such" in caplog.text
        assert secret not in caplog.text
        id_ = (await the_analysis(house))["id"]
        assert secret not in (await house.get(f"/api/v1/analyses/{id_}")).text
        assert secret not in (await house.service.analyses.get(id_)).ordered

    @pytest.mark.parametrize("token", ["", "unknown", None, 7, ["starter"], "starter\r\nX: y", "stärter", "x" * 20_000])
    async def test_one_that_is_not_known_is_refused(self, house: House, token: object) -> None:
        answer = await self.send(house, token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    async def test_a_header_goes_before(self, house: House) -> None:
        assert (await self.send(house, "starter", Authorization="Bearer unknown")).status_code == 401

    async def test_it_counts_at_the_gate_alone(self, house: House) -> None:
        body = {"target": "command/search", "namespace": "shop", "metadata": {"token": "starter"}}
        assert (await house.client.post("/api/v1/analyses", json=body)).status_code == 401

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b"{", b'{"metadata": 7}', b"[" * 20_000])
    async def test_a_body_that_is_none(self, house: House, body: bytes) -> None:
        assert (await house.client.post(WHERE, content=body)).status_code == 401

    async def test_a_large_body_is_not_read(self, house: House) -> None:
        large = json.dumps({"metadata": {"token": "starter", "x": "x" * flagger_token.LARGEST}}).encode()
        assert (await house.client.post(WHERE, content=large)).status_code == 413

    async def test_who_sends_slowly_keeps_nobody_waiting(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flagger_token, "AT_ONCE", 1)
        monkeypatch.setattr(flagger_token, "ARRIVAL", 0.2)
        begun = asyncio.Event()

        async def slow() -> Any:  # noqa: ANN401 -- an iterator that never ends
            yield b"{"
            begun.set()
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(house.client.post(WHERE, content=slow()))
            await begun.wait()
            assert (await self.send(house, "starter")).status_code == 503
            assert (await sending).status_code == 408
        assert (await self.send(house, "starter")).status_code == 200


async def test_many_calls_are_within_the_limit_of_requests(house: House) -> None:
    answers = [await asked(house, "rollout") for _ in range(700)]
    assert {answer.status_code for answer in answers} == {200}
