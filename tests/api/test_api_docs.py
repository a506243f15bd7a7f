"""docs/api.md names every call, and every call that it shows is answered as it says."""

import json
import re
import shlex
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.routing import Route

from analyzer.api.representation import Analysis, Problem
from analyzer.model.order import Order
from analyzer.service.identity import Role
from tests.api.house import House, bearer, events_of_a_failure

pytestmark = pytest.mark.anyio

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLE = "3f2a9c0d1e4b"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


CALLS = [line for block in blocks("console") for line in block.replace("\\\n", " ").splitlines()]


def request_of(line: str) -> tuple[str, str, dict[str, str], str | None]:
    """The method, path, headers and body of a curl command."""
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    method, path, headers, body = "GET", "", {}, None
    while words:
        match words.pop(0):
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers |= bearer("admin") if name == "@header" else {name: value}
            case "-d":
                body, method = words.pop(0), "POST" if method == "GET" else method
            case "-X":
                method = words.pop(0)
            case "-N":
                pass
            case word:
                assert word.startswith("$SERVER")
                path = word.removeprefix("$SERVER")
    return method, path, headers, body


@pytest.fixture
async def example(house: House) -> House:
    ordered = await house.service.analyses.get(await house.ordered())
    await house.service.analyses.create(replace(ordered, id=EXAMPLE, key="the example"))
    await house.keep(EXAMPLE, await events_of_a_failure())
    return house


@pytest.mark.parametrize("line", CALLS)
async def test_every_call_is_answered(example: House, line: str) -> None:
    method, path, headers, body = request_of(line)
    answer = await example.client.request(method, path, headers=headers, content=body)
    if path.endswith(("/cancel", "/approve", "/reject", "/rollback")):
        assert answer.status_code == 409  # understood; but the example is over
    elif path.endswith("/dry-run"):
        assert "cannot" in answer.text or answer.status_code == 200
        assert answer.status_code in {200, 422}  # the example has recorded other series than those of http
    else:
        assert answer.status_code in {200, 201}, answer.text


async def test_every_route_is_named_and_shown(app: FastAPI) -> None:
    shown = {(method, path.partition("?")[0]) for method, path, _, _ in map(request_of, CALLS)}
    for route in app.routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            path = route.path.replace("{analysis_id}", "{id}")
            assert f"`{method} {path}`" in TEXT
            assert (method, path.replace("{id}", EXAMPLE).replace("{name}", "http")) in shown, path


def test_every_field_of_an_order_is_described() -> None:
    section = TEXT[TEXT.index("## Order") : TEXT.index("## Look")]
    assert [name for name in Order.model_fields if f"`{name}`" not in section] == []


async def test_every_role_and_status_is_described(app: FastAPI) -> None:
    for role in Role:
        assert f"| `{role.name.lower()}` |" in TEXT
    statuses = {
        status
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
        if int(status) >= HTTPStatus.BAD_REQUEST
    }
    assert {*statuses, "405"} == set(re.findall(r"^\| (\d{3}) \|", TEXT, flags=re.MULTILINE))


def test_examples_of_answers_are_as_they_come() -> None:
    problem, analysis = blocks("json")
    Problem.model_validate_json(problem)
    shown = json.loads(analysis)
    assert list(shown) == list(Analysis.model_fields)
    Analysis.model_validate(shown)


async def test_what_the_order_in_the_document_starts(house: House) -> None:
    method, path, headers, body = request_of(CALLS[0])
    first = await house.client.request(method, path, headers=headers, content=body)
    again = await house.client.request(method, path, headers=headers, content=body)
    assert (first.status_code, again.status_code) == (201, 200)
