import pytest

from tests.api.house import ORDER, House, events_of_a_failure

pytestmark = pytest.mark.anyio


async def test_an_order_is_kept_and_shown_in_one_order_of_fields(house: House) -> None:
    answer = await house.post("/api/v1/analyses", ORDER, "starter")
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == [
        *("verdict", "action", "held_by", "reason", "id", "state", "namespace", "target"),
        *("created_at", "changed_at", "ended_at", "by", "dry_run", "links"),
    ]
    assert (made["verdict"], made["by"], made["target"]) == ("pending", "starter", "command/search")
    assert answer.headers["Location"] == made["links"]["self"] == f"/api/v1/analyses/{made['id']}"
    assert house.service.work.woken == 1
    detail = (await house.get(made["links"]["self"], "reader")).json()
    assert detail["report"] is None
    assert "kind: RuleSet" in detail["order"]["rule_set"]


async def test_a_report_in_every_form(house: House) -> None:
    id_ = await house.failed()
    detail = (await house.get(f"/api/v1/analyses/{id_}", "reader")).json()
    assert (detail["verdict"], detail["action"]) == ("fail", {"kind": "rollback", "result": "unverified"})
    assert detail["report"]["verdict"] == "fail"
    for form, sign in (("json", '"verdict"'), ("md", "### FAIL"), ("html", "<!"), ("xml", "<testsuites>")):
        answer = await house.get(f"/api/v1/analyses/{id_}/report.{form}", "reader")
        assert answer.status_code == 200
        assert sign in answer.text
    events = (await house.get(f"/api/v1/analyses/{id_}/events?limit=1000", "reader")).json()
    assert len(events["items"]) == len(await events_of_a_failure())
