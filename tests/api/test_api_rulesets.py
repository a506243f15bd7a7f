import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from analyzer.composition.rules import find_rules
from analyzer.service.running import Service
from tests.api.house import ORDER, RULES, House, service_on, settings

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def test_the_shipped_rule_sets_are_there(house: House) -> None:
    items = {each["name"]: each for each in (await house.get("/api/v1/rulesets", "reader")).json()["items"]}
    assert set(items) == {file.stem for file in (ROOT / "rules").glob("*.yaml")}
    assert "errors" in items["http"]["metrics"]
    assert items["http"]["parameters"]["requests"]
    text = (await house.get("/api/v1/rulesets/http", "reader")).json()
    assert text == {"name": "http", "text": find_rules("http").read_text()}


async def test_ones_of_the_settings_come_first_and_broken_ones_say_why(service: Service, tmp_path: Path) -> None:
    (tmp_path / "http.yaml").write_text(RULES)
    (tmp_path / "broken.yaml").write_text(RULES.replace("critical", "critcal"))
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    items = {each["name"]: each for each in (await house.get("/api/v1/rulesets")).json()["items"]}
    assert items["http"]["rules"] == ["errors"]
    assert "broken" not in items
    answer = await house.get("/api/v1/rulesets/broken")
    assert answer.status_code == 422
    assert "did you mean critical?" in answer.json()["detail"]


async def test_a_broken_new_version_is_listed_and_the_last_good_one_is_used(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(RULES)
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    rule_sets = house.parts.placing.rule_sets
    await rule_sets.look(lambda *_: None)
    file.write_text(RULES.replace("critical", "critcal"))
    await rule_sets.look(lambda *_: None)
    listed = (await house.get("/api/v1/rulesets")).json()
    (broken,) = listed["broken"]
    assert (broken["name"], broken["last_good_in_use"]) == ("own", True)
    assert "own.yaml:10: " in broken["message"]
    assert "did you mean critical?" in broken["message"]
    assert "own" in {each["name"] for each in listed["items"]}
    assert (await house.get("/api/v1/rulesets/own")).json()["text"] == RULES
    ordered = await house.post("/api/v1/analyses", {**ORDER, "rules": "own"})
    assert ordered.status_code == 201


@pytest.mark.parametrize("link", ["lost", "http"])  # the second: no shipped one of the same name is taken instead
async def test_a_link_to_nothing_is_told_of(service: Service, tmp_path: Path, link: str) -> None:
    (tmp_path / f"{link}.yaml").symlink_to(tmp_path / "nothing")
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    async with asyncio.timeout(10):  # an answer that never comes would hold up the tests as well
        listed = await house.get("/api/v1/rulesets")
        answers = [
            await house.get(f"/api/v1/rulesets/{link}"),
            await house.post("/api/v1/analyses", {**ORDER, "rules": link}),
        ]
    assert link not in {each["name"] for each in listed.json()["items"]}
    for answer in answers:
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"rules {link!r}: its file is not there now"


async def test_a_folder_that_may_not_be_looked_into_is_told_of(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    (tmp_path / "own.yaml").write_text(RULES)
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    monkeypatch.setattr(Path, "exists", refused)
    answer = await house.post("/api/v1/analyses", {**ORDER, "rules": "own"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "rules 'own': cannot be looked for: Permission denied"


async def test_a_file_whose_name_nobody_can_write_is_not_listed(service: Service, tmp_path: Path) -> None:
    for name in (b"\xff.yaml", "ä b.yaml".encode(), b"own.yaml"):
        (tmp_path / os.fsdecode(name)).write_text(RULES)
    house = House.on(service_on(service.database, settings(rules=(tmp_path,))))
    listed = await house.get("/api/v1/rulesets")
    assert listed.status_code == 200
    shipped = {file.stem for file in (ROOT / "rules").glob("*.yaml")}
    assert {each["name"] for each in listed.json()["items"]} == {*shipped, "own"}
    assert (await house.post("/api/v1/analyses", {**ORDER, "rules": "nothing"})).status_code == 422


@pytest.mark.parametrize("name", ["nothing", "..", "...", "http.yaml", "%2e%2e", "validate"])
async def test_there_is_no_such_rule_set(house: House, name: str) -> None:
    assert (await house.get(f"/api/v1/rulesets/{name}")).status_code == 404


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "a%00b", "x" * 101, "%C3%A4"])
async def test_a_name_is_no_path(house: House, name: str) -> None:
    assert (await house.get(f"/api/v1/rulesets/{name}")).status_code in {404, 422}


@pytest.mark.parametrize(
    ("rule_set", "parameters", "mistake"),
    [
        (RULES, {}, None),
        (RULES, {"requests": "hits"}, None),
        (RULES, {"request": "hits"}, {"line": None, "key": "parameters"}),
        (RULES.replace("critical", "critcal"), {}, {"line": 10, "key": "spec.rules[0].critcal"}),
        ("", {}, {"line": None, "key": ""}),
        ("{" * 100_000, {}, {}),
        ("a: &a [x]\nb: *a", {}, {}),
    ],
)
async def test_checking_one(
    house: House, rule_set: str, parameters: dict[str, str], mistake: dict[str, Any] | None
) -> None:
    body = {"rule_set": rule_set, "parameters": parameters}
    answer = await house.post("/api/v1/rulesets/validate", body, "reader")
    assert answer.status_code == 200
    found = answer.json()
    assert found["valid"] == (mistake is None)
    assert found["mistakes"] == [] if mistake is None else mistake.items() <= found["mistakes"][0].items()


async def test_judging_again_by_other_rules(house: House) -> None:
    id_ = await house.failed()
    own = (
        RULES.replace('${requests}{code=~"5.."}', "x")
        .replace("'${requests}'", "y")
        .replace("{requests: http_requests_total}", "{}")
    )
    answer = await house.post(f"/api/v1/analyses/{id_}/dry-run", {"rule_set": own}, "reader")
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["analysis"], report["rule_set"]) == ("test", "own")
    assert report["action"]["result"] in {"none", "dry-run"}
    before = (await house.get(f"/api/v1/analyses/{id_}")).json()
    assert before["verdict"] == "fail"  # nothing of it has changed
    assert len(await house.service.audit.list(id_)) == 1


async def test_judging_again_needs_readings_and_one_rule_set(house: House) -> None:
    running, failed = await house.ordered(), await house.failed()
    for id_, body, sentence in (
        (running, {"rules": "http"}, "has read nothing"),
        (failed, {}, "give either rules"),
        (failed, {"rules": "http", "rule_set": RULES}, "give either rules"),
        (failed, {"rules": "nothing"}, "no rule set of that name"),
        (failed, {"rules": "..", "parameters": {}}, "no rule set of that name"),
        (failed, {"rule_set": "x"}, "the rule set cannot be used"),
    ):
        answer = await house.post(f"/api/v1/analyses/{id_}/dry-run", body)
        assert answer.status_code == 422
        assert sentence in answer.json()["detail"]
