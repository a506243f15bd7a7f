"""Decisions by hand, the switch for all acts, and the record of both."""

import pytest

from analyzer.errors import StoreUnavailable
from analyzer.model.event import Acted, Event, Intended
from analyzer.service.running import Service
from analyzer.store.audit import Deed
from analyzer.store.entry import Decision, DecisionKind
from tests.api.house import House, events_of_a_failure, service_on, settings

pytestmark = pytest.mark.anyio

WHY = {"why": "checkout fails, seen by hand"}


@pytest.mark.parametrize("kind", list(DecisionKind))
async def test_a_decision_waits_for_who_works_on_it(house: House, kind: DecisionKind) -> None:
    id_ = await house.ordered()
    answer = await house.post(f"/api/v1/analyses/{id_}/{kind}", WHY, "decider")
    assert (answer.status_code, answer.json()["id"]) == (202, id_)
    asked = await house.service.analyses.asked(id_)
    assert asked is not None
    assert (asked.kind, asked.by, asked.why) == (kind, "decider", WHY["why"])
    assert house.service.work.woken == 2  # by the order, and by the decision
    deed = (await house.service.audit.list(id_))[0]
    assert (deed.who, deed.what, deed.detail) == ("decider", kind, WHY["why"])


async def test_a_second_decision_waits_for_the_first(house: House) -> None:
    id_ = await house.ordered()
    await house.post(f"/api/v1/analyses/{id_}/approve", WHY, "decider")
    refused = await house.post(f"/api/v1/analyses/{id_}/rollback", WHY)
    assert refused.status_code == 409
    assert "approve by decider waits" in refused.json()["detail"]
    assert len(await house.service.audit.list(id_)) == 2


async def test_what_is_over_cannot_be_decided(house: House) -> None:
    id_ = await house.failed()
    refused = await house.post(f"/api/v1/analyses/{id_}/cancel", WHY)
    assert refused.status_code == 409
    assert "is over" in refused.json()["detail"]


@pytest.mark.parametrize("last", [Intended, Acted])
async def test_once_an_act_has_begun_only_its_verification_can_be_ended(house: House, last: type[Event]) -> None:
    id_ = await house.ordered()
    events = await events_of_a_failure()
    begun = next(number for number, event in enumerate(events, start=1) if isinstance(event, last))
    await house.keep(id_, events[:begun])
    for kind in (DecisionKind.APPROVE, DecisionKind.REJECT, DecisionKind.ROLLBACK):
        refused = await house.post(f"/api/v1/analyses/{id_}/{kind}", WHY)
        assert refused.status_code == 409
        assert f"its rollback has begun, and {kind.value} would change nothing" in refused.json()["detail"]
    assert await house.service.analyses.asked(id_) is None
    assert (await house.post(f"/api/v1/analyses/{id_}/cancel", WHY)).status_code == 202


async def test_a_decision_that_came_too_late_is_told_as_such(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await house.ordered()
    really = service.analyses.ask

    async def late(which: str, decision: Decision) -> bool:
        await really(which, Decision(DecisionKind.CANCEL, "somebody", "faster", decision.at))
        return await really(which, decision)

    monkeypatch.setattr(service.analyses, "ask", late)
    refused = await house.post(f"/api/v1/analyses/{id_}/rollback", WHY)
    assert refused.status_code == 409
    assert "cancel by somebody waits" in refused.json()["detail"]
    assert "came too late" in (await service.audit.list(id_))[0].detail


async def test_nothing_is_decided_that_is_not_written_down(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await house.ordered()

    async def full(_: Deed) -> int:
        raise StoreUnavailable("no room left on its disk")

    monkeypatch.setattr(service.audit, "append", full)
    for path, method in ((f"/api/v1/analyses/{id_}/rollback", "POST"), ("/api/v1/actions", "PUT")):
        body = WHY if method == "POST" else {"actions": "off", **WHY}
        answer = await house.ask(method, path, json=body)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    assert await service.analyses.asked(id_) is None
    assert (await house.get("/api/v1/actions")).json()["actions"] == "on"


@pytest.mark.parametrize("why", ["", " ", "\t", "x" * 501, "a\nb", "a\0b", "\u001b[2J", None, 7, ["x"]])
async def test_why_is_a_sentence(house: House, why: object) -> None:
    id_ = await house.ordered()
    for path in (f"/api/v1/analyses/{id_}/cancel", f"/api/v1/analyses/{id_}/rollback"):
        assert (await house.post(path, {"why": why})).status_code == 422
    assert (await house.ask("PUT", "/api/v1/actions", json={"actions": "off", "why": why})).status_code == 422
    assert await house.service.analyses.asked(id_) is None


async def test_the_switch(house: House) -> None:
    before = (await house.get("/api/v1/actions", "reader")).json()
    assert list(before) == ["actions", "by", "why", "at", "rollbacks_last_hour", "rollbacks_per_hour"]
    assert (before["actions"], before["by"]) == ("on", None)
    set_ = (await house.ask("PUT", "/api/v1/actions", json={"actions": "off", **WHY})).json()
    assert set_ == (await house.get("/api/v1/actions", "reader")).json()
    assert (set_["actions"], set_["by"], set_["why"]) == ("off", "admin", WHY["why"])
    (deed,) = await house.service.audit.list()
    assert (deed.who, deed.what, deed.detail) == ("admin", "actions", f"off: {WHY['why']}")


@pytest.mark.parametrize(
    ("in_settings", "switched_to", "effective"),
    [("off", "on", "off"), ("dry-run", "on", "dry-run"), ("dry-run", "off", "off"), ("on", "dry-run", "dry-run")],
)
async def test_the_stricter_of_settings_and_switch_holds(
    service: Service, in_settings: str, switched_to: str, effective: str
) -> None:
    house = House.on(service_on(service.database, settings(actions=in_settings)))
    answer = (await house.ask("PUT", "/api/v1/actions", json={"actions": switched_to, **WHY})).json()
    assert answer["actions"] == effective
    assert answer["by"] == ("admin" if effective == switched_to else "settings")


async def test_the_audit_in_pages(house: House) -> None:
    ids = [await house.ordered() for _ in range(3)]
    first = (await house.get("/api/v1/audit?limit=2")).json()
    second = (await house.get(f"/api/v1/audit?limit=2&before={first['next']}")).json()
    assert [each["analysis"] for page in (first, second) for each in page["items"]] == ids[::-1]
    assert second["next"] is None
    one = (await house.get(f"/api/v1/audit?analysis={ids[0]}")).json()
    assert [(each["who"], each["what"], each["detail"]) for each in one["items"]] == [
        ("starter", "start", "command/search in shop")
    ]
