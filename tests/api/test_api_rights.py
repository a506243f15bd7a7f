"""Who may do what: nothing is answered to somebody who is not known."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from analyzer.api.app import make_app
from analyzer.api.callers import OPEN
from analyzer.errors import PlatformUnavailable
from analyzer.service.identity import Caller
from analyzer.service.running import Service
from tests.api.house import ORDER, House, bearer, service_on, settings

pytestmark = pytest.mark.anyio

WHY = {"why": "seen by hand"}
GATE = {"name": "web", "namespace": "shop", "metadata": {"gate": "rollout"}}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        assert isinstance(route, Route), route  # nothing is mounted, nothing speaks another protocol
        path = route.path.replace("{analysis_id}", "0123456789ab").replace("{name}", "http")
        assert "{" not in path
        yield from ((method, path) for method in route.methods or () if method != "HEAD")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer unknown")],
        [("Authorization", "Basic YWRtaW46YWRtaW4=")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer admin"), ("Authorization", "Bearer admin")],
        [("Authorization", "Bearer " + "x" * 20_000)],
        [("Authorization", b"Bearer \xff\xfe")],
    ],
    ids=["none", "unknown", "basic", "empty", "twice", "huge", "no text"],
)
async def test_nothing_is_answered_without_rights(
    app: FastAPI, client: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    seen = set()
    for method, path in routes(app):
        answer = await client.request(method, path, headers=headers, content=b"not even JSON" * (method != "GET"))
        if path in OPEN:
            assert answer.status_code == 200, path
        else:
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Content-Type"] == "application/problem+json"
        seen.add(path)
    assert seen > OPEN
    assert len(seen) == 25


async def test_there_is_nothing_to_see_beside_the_routes(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/redoc", "/api", "/api/v2/analyses", "/static/../etc/passwd"):
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers=bearer("admin"))).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "who", "status"),
    [
        ("POST", "/api/v1/analyses", ORDER, "reader", 403),
        ("POST", "/api/v1/analyses", ORDER, "elsewhere", 403),
        ("POST", "/api/v1/analyses", {**ORDER, "namespace": ""}, "starter", 403),
        ("POST", "/api/v1/analyses", ORDER, "starter", 201),
        ("GET", "/api/v1/analyses?namespace=bank", None, "reader", 403),
        ("GET", "/api/v1/analyses?namespace=shop", None, "reader", 200),
        ("GET", "/api/v1/changes", None, "nowhere", 403),
        ("GET", "/api/v1/rulesets", None, "nowhere", 403),
        ("GET", "/api/v1/rulesets/http", None, "nowhere", 403),
        ("GET", "/api/v1/actions", None, "nowhere", 403),
        ("GET", "/metrics", None, "nowhere", 403),
        ("GET", "/metrics", None, "reader", 200),
        ("POST", "/api/v1/flagger/gate", GATE, "reader", 403),
        ("POST", "/api/v1/flagger/gate", GATE, "elsewhere", 403),
        ("POST", "/api/v1/flagger/gate", GATE, "starter", 200),
        ("GET", "/api/v1/audit", None, "decider", 403),
        ("GET", "/api/v1/audit", None, "admin", 200),
        ("PUT", "/api/v1/actions", {"actions": "off", **WHY}, "decider", 403),
        ("PUT", "/api/v1/actions", {"actions": "off", **WHY}, "admin", 200),
    ],
)
async def test_what_needs_which_role(house: House, method: str, path: str, body: object, who: str, status: int) -> None:
    answer = await house.ask(method, path, who, json=body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "what", ["", "/events", "/report.json", "/report.md", "/report.html", "/report.xml", "/recording.jsonl"]
)
async def test_who_may_not_look_does_not_learn_that_it_is_there(house: House, what: str) -> None:
    id_ = await house.failed()
    assert (await house.get(f"/api/v1/analyses/{id_}{what}", "reader")).status_code == 200
    hidden = await house.get(f"/api/v1/analyses/{id_}{what}", "elsewhere")
    never = await house.get(f"/api/v1/analyses/000000000000{what}", "elsewhere")
    assert hidden.status_code == never.status_code == 404
    assert hidden.json()["detail"].replace(id_, "000000000000") == never.json()["detail"]


async def test_lists_hold_only_what_may_be_read(house: House) -> None:
    id_ = await house.ordered()
    for who, expected in (("reader", [id_]), ("elsewhere", []), ("nowhere", []), ("admin", [id_])):
        assert [each["id"] for each in (await house.get("/api/v1/analyses", who)).json()["items"]] == expected


@pytest.mark.parametrize(
    ("what", "who", "status"),
    [
        ("cancel", "reader", 403),
        ("cancel", "starter", 202),  # its own
        ("approve", "starter", 403),
        ("reject", "starter", 403),
        ("rollback", "starter", 403),
        ("cancel", "decider", 202),
        ("approve", "decider", 202),
        ("reject", "decider", 202),
        ("rollback", "decider", 202),
        ("rollback", "elsewhere", 404),
        ("dry-run", "elsewhere", 404),
    ],
)
async def test_who_may_decide(house: House, what: str, who: str, status: int) -> None:
    id_ = await house.ordered("starter")
    body = {"rules": "http"} if what == "dry-run" else WHY
    assert (await house.post(f"/api/v1/analyses/{id_}/{what}", body, who)).status_code == status


async def test_somebody_elses_analysis_is_not_cancelled_by_who_may_only_start(house: House) -> None:
    id_ = await house.ordered("decider")
    assert (await house.post(f"/api/v1/analyses/{id_}/cancel", WHY, "starter")).status_code == 403


async def test_metrics_are_open_where_the_settings_say_so(service: Service) -> None:
    opened = service_on(service.database, settings(access={"metrics_open": True}))
    transport = httpx.ASGITransport(make_app(opened))
    async with httpx.AsyncClient(transport=transport, base_url="http://canary") as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/v1/audit")).status_code == 401


class Away:
    async def of(self, _: str | None) -> Caller | None:
        raise PlatformUnavailable("https://10.0.0.1:6443 cannot be reached")


async def test_an_api_server_that_is_away_is_no_refusal(service: Service) -> None:
    away = replace(service, identities=Away())
    transport = httpx.ASGITransport(make_app(away))
    async with httpx.AsyncClient(transport=transport, base_url="http://canary") as client:
        answer = await client.get("/api/v1/analyses", headers=bearer("admin"))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "10.0.0.1" not in answer.text
