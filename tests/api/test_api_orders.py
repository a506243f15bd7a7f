"""What is ordered, under which key, and what is refused with which sentence."""

import asyncio
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI

from analyzer.service.running import Service
from tests.api.house import ORDER, RULES, House, bearer, service_on, settings

pytestmark = pytest.mark.anyio

START = "/api/v1/analyses"


async def test_the_same_key_is_the_same_analysis(house: House) -> None:
    first = await house.post(START, ORDER, "starter", headers={"Idempotency-Key": "build 7"})
    again = await house.post(START, ORDER, "decider", headers={"Idempotency-Key": "build 7"})
    other = await house.post(START, ORDER, "starter", headers={"Idempotency-Key": "build 8"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert other.json()["id"] != first.json()["id"]
    assert len(await house.service.audit.list()) == 2


async def test_the_same_key_many_times_at_once(house: House) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(house.post(START, ORDER, "starter", headers=headers) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_the_same_key_for_another_order_is_refused(house: House) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await house.post(START, ORDER, "starter", headers=headers)
    for other in ({"dry_run": True}, {"rules": "envoy"}, {"rule_set": RULES}, {"parameters": {"requests": "hits"}}):
        refused = await house.post(START, {**ORDER, **other}, "starter", headers=headers)
        assert refused.status_code == 422, other
        assert first.json()["id"] in refused.json()["detail"]


async def test_a_key_is_of_its_namespace(house: House) -> None:
    """Nobody learns by a key what there is in another namespace."""
    headers = {"Idempotency-Key": "k" * 200}
    bank = {"target": "command/vault", "namespace": "bank", "prometheus": "bank", "canary": 'a="b"'}
    first = await house.post(START, ORDER, "starter", headers=headers)
    second = await house.post(START, bank, "elsewhere", headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


async def test_the_longest_key_in_the_longest_namespace(service: Service) -> None:
    long = "n" * 63
    given = settings(targets={"search": {"rollback": "true", "namespace": long}})
    house = House.on(service_on(service.database, given))
    order, headers = {**ORDER, "namespace": long}, {"Idempotency-Key": "k" * 200}
    first, again = [await house.post(START, order, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    other = await house.post(START, order, headers={"Idempotency-Key": "k" * 199 + "l"})
    assert other.status_code == 201
    assert len((await service.analyses.get(first.json()["id"])).key) <= 255


@pytest.mark.parametrize("key", ["", " ", "ä", "x" * 201, "a\tb"])
async def test_keys_that_are_none(house: House, key: str) -> None:
    answer = await house.post(START, ORDER, "starter", headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert "idempotency-key" in answer.json()["detail"]


async def test_a_rule_set_is_kept_as_it_was_when_it_was_ordered(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(RULES)
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    headers = {"Idempotency-Key": "k"}
    first = await house.post(START, {**ORDER, "rules": "own"}, headers=headers)
    file.write_text(RULES.replace("critical: true", "critical: false"))
    again = await house.post(START, {**ORDER, "rules": "own"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)  # sent again, it is still the same order
    detail = (await house.get(first.json()["links"]["self"])).json()
    assert detail["order"]["rule_set"] == RULES


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": "ship/web"}, "target 'ship/web' is not a target: write helm/NAME or command/NAME"),
    ({"target": "helm/web\nINFO all is well"}, "target: "),
    ({"target": "helm/-"}, "a name consists of"),
    ({"target": "helm/../../etc"}, "a name consists of"),
    ({"target": "helm/w" + "x" * 260}, "a name consists of"),
    ({"target": "command/nothing"}, "no such target in the namespace shop"),
    ({"target": "command/vault"}, "no such target in the namespace shop"),  # it is the bank's
    ({"target": "helm/web", "namespace": ""}, "namespace: is missing"),
    ({"target": "helm/web", "namespace": ".."}, "is no name of a namespace"),  # it stands in paths of the API server
    ({"target": "helm/web", "namespace": "."}, "is no name of a namespace"),
    ({"target": "helm/web", "namespace": "-shop"}, "is no name of a namespace"),
    ({"revision": "2\nPATH=/tmp"}, "revision '2\\nPATH=/tmp': is no name of a revision"),
    ({"previous": "--force"}, "is no name of a revision"),
    ({"previous": "\u202e1"}, "is no name of a revision"),
    ({"previous": " "}, "is no name of a revision"),
    ({"prometheus": "bank"}, "no such connection for it: there is default"),
    ({"prometheus": "http://evil"}, "no such connection"),
    ({"rules": "htttp"}, "did you mean"),
    ({"rules": ".."}, "no rule set of that name"),
    ({"rules": "http.yaml"}, "no rule set of that name"),
    ({"retry": True}, "retry: is for rollout/NAME"),
    ({"on_fail": "page"}, "on_fail: "),
    (
        {"target": "rollout/web", "retry": True, "dry_run": True},
        "retry: clears an abort, and a dry run changes nothing",
    ),
    ({"since": 17}, "since: not a moment"),
    ({"since": 9e9}, "since: is in the future"),
    ({"since": 1e9}, "windows would have to be read, and 100000 is the most: write a longer interval, a shorter "),
    (
        {"rule_set": RULES.replace("  rules:", "  schedule: {interval: 1s, deadline: 100001s}\n  rules:")},
        "schedule.interval: 100001 windows would have to be read",
    ),
    ({"canary": None}, "baseline: without canary"),
    ({"canary": ""}, 'canary: is empty: write matchers such as version="2", or leave it out'),
    ({"canary": " \t", "baseline": None}, "canary: is empty"),
    ({"baseline": ""}, 'baseline: is empty: write matchers such as version="2", or leave it out'),
    ({"baseline": "\u2003"}, "baseline: is empty"),
    ({"canary": None, "baseline": None}, "spec.sides.label"),
    ({"canary": "version=2"}, "canary: "),
    ({"canary": 'version="2"} or vector(1) or {a="b"'}, "canary: "),
    ({"expected_revision": "3"}, "expected_revision: command/"),
    ({"to_revision": 3}, "to_revision: is for helm/NAME"),
    ({"target": "helm/web", "to_revision": 0}, "to_revision: 0: revisions of helm/web begin with 1"),
    ({"to_revision": -1}, "to_revision: "),
    ({"parameters": {"request": "x"}}, "no parameter 'request'"),
    ({"parameters": {"requests": "x{} or on() vector(1)"}}, "the rule set cannot be used"),
    ({"rule_set": ""}, "the rule set cannot be used"),
    ({"rule_set": "a: &a [*a, *a]"}, "the rule set cannot be used"),
    ({"rule_set": "\0"}, "the rule set cannot be used"),
    ({"rule_set": "[" * 5000}, "the rule set cannot be used"),
    ({"rule_set": "x" * (256 * 1024 + 1)}, "rule_set: "),
    ({"rule_set": RULES.replace("critical", "critcal")}, "rule_set:10: "),
    ({"helm": "/tmp/evil"}, "helm: "),  # a field that is none
    ({"target": 7}, "target: "),
]


@pytest.mark.parametrize(("other", "sentence"), REFUSED)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    house: House, other: dict[str, Any], sentence: str
) -> None:
    answer = await house.post(START, {**ORDER, **other})
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert sentence in detail
    assert "\n" not in detail
    assert (await house.get(START)).json()["items"] == []


async def test_as_many_windows_as_one_order_may_have(house: House) -> None:
    longest = RULES.replace("  rules:", "  schedule: {interval: 1s, deadline: 100000s}\n  rules:")
    assert (await house.post(START, {**ORDER, "rule_set": longest})).status_code == 201


async def test_mistakes_of_a_rule_set_have_their_lines(house: House) -> None:
    wrong = RULES.replace("critical", "critcal").replace("total:", "totl:")
    mistakes = (await house.post(START, {**ORDER, "rule_set": wrong})).json()["mistakes"]
    assert {each["line"] for each in mistakes} == {9, 10}
    assert all(each["key"].startswith("spec.") for each in mistakes)


async def test_an_order_for_a_release_needs_no_more_than_its_place(house: House) -> None:
    answer = await house.post(START, {"target": "helm/web", "namespace": "shop"}, "starter")
    assert answer.status_code == 201


async def test_so_many_analyses_a_namespace(service: Service) -> None:
    house = House.on(service_on(service.database, settings(limits={"analyses_per_namespace": 2})))
    first = await house.ordered()
    await house.ordered()
    refused = await house.post(START, ORDER)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    bank = {"target": "command/vault", "namespace": "bank", "prometheus": "bank", "canary": 'a="b"'}
    assert (await house.post(START, bank)).status_code == 201
    await house.end(first)
    assert (await house.post(START, ORDER)).status_code == 201


async def test_one_that_was_ordered_before_is_none_more(service: Service) -> None:
    house = House.on(service_on(service.database, settings(limits={"analyses_per_namespace": 1})))
    headers = {"Idempotency-Key": "build 7"}
    first = await house.post(START, ORDER, headers=headers)
    again = await house.post(START, ORDER, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_pages_stay_in_place_while_new_ones_come(house: House) -> None:
    ids = [await house.ordered() for _ in range(5)]
    first = (await house.get(f"{START}?limit=2")).json()
    await house.ordered()
    second = (await house.get(f"{START}?limit=2&after={first['next']}")).json()
    third = (await house.get(f"{START}?limit=2&after={second['next']}")).json()
    listed = [each["id"] for page in (first, second, third) for each in page["items"]]
    assert listed == ids[::-1]
    assert third["next"] is None


async def test_filters(house: House) -> None:
    failed, running = await house.failed(), await house.ordered()
    for query, expected in (
        ("state=ended", {failed}),
        ("state=running", {running}),
        ("verdict=fail", {failed}),
        ("verdict=pass", set()),
        ("kind=command&name=search", {failed, running}),
        ("kind=helm", set()),
        ("name=sear", set()),
        ("since=1", {failed, running}),
        ("since=9e12", set()),
    ):
        items = (await house.get(f"{START}?{query}")).json()["items"]
        assert {each["id"] for each in items} == expected, query


@pytest.mark.parametrize(
    "query",
    [
        *("namspace=shop", "limit=0", "limit=201", "limit=x", "state=over", "verdict=good", "since=nan", "since=inf"),
        *(
            "after=",
            "after=x",
            "after=bnVsbA",
            "after=W05hTiwgImEiXQ",
            "after=%00",
            "name=%00",
            "name=a%0ab",
            "kind=%1b",
        ),
        "after=WzFlOTk5OTk5LCAiMDAwMDAwMDAwMDAwIl0",
        "after=" + "W" * 300,
    ],
)
async def test_lists_that_are_asked_for_in_no_way(house: House, query: str) -> None:
    answer = await house.get(f"{START}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


async def test_a_detail_is_as_the_document_says(house: House, app: FastAPI) -> None:
    detail = (await house.get(f"{START}/{await house.failed()}")).json()
    assert detail["report"]["judgements"]
    jsonschema.validate(
        detail, {"$ref": "#/components/schemas/AnalysisDetail", "components": app.openapi()["components"]}
    )


async def test_the_record_in_pages(house: House) -> None:
    id_ = await house.failed()
    first = (await house.get(f"{START}/{id_}/events?limit=3")).json()
    assert [each["seq"] for each in first["items"]] == [1, 2, 3]
    assert first["items"][0]["event"]["type"] == "planned"
    rest = (await house.get(f"{START}/{id_}/events?after={first['next']}&limit=1000")).json()
    assert rest["items"][0]["seq"] == 4
    assert rest["items"][-1]["event"]["type"] == "ended"
    assert rest["next"] is None


async def test_an_order_is_not_kept_when_nobody_knows_who_orders(house: House) -> None:
    assert (await house.client.post(START, json=ORDER, headers=bearer("unknown"))).status_code == 401
    assert (await house.get(START)).json()["items"] == []
