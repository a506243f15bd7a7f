"""What nobody sends who means well: an answer with a sentence, never a failure, and nothing of it kept."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from analyzer.api import health, limits
from analyzer.api.app import make_app
from analyzer.api.limits import Buckets, address_of
from analyzer.errors import StoreError, StoreUnavailable, StoreUnusable
from analyzer.service.running import Service
from analyzer.store.switch import Switch
from tests.api.house import ORDER, RULES, House, service_on, settings
from tests.api.serving import serving

pytestmark = pytest.mark.anyio

START = "/api/v1/analyses"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "id_",
    [
        *(
            "x",
            "0123456789AB",
            "0123456789abc",
            "0" * 5000,
            "%00",
            "%ff%fe",
            "%c3%a4",
            "'%20OR%201=1--",
            "..%2f..",
            "%0a",
        ),
        *("0123456789ab%00", "0123456789ab%0a", "%f0%9f%92%a9", "*", "{id}", "None", "-1"),
    ],
)
async def test_ids_that_are_none(house: House, id_: str) -> None:
    for what in ("", "/events", "/report.html"):
        answer = await house.get(f"{START}/{id_}{what}")
        assert answer.status_code in {404, 422}, what
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(answer.text) < 4000
    assert (await house.post(f"{START}/{id_}/cancel", {"why": "x"})).status_code in {404, 422}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b"17", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"\x00", 400),
        (b"\xef\xbb\xbf{}", 422),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b'{"since": ' + b"9" * 10_000 + b"}", 400),
        (b'{"target": "helm/web", "target": "command/search"}', 403),  # the last one counts; no namespace
        (b'{"target": "helm/\\ud800", "namespace": "shop"}', 422),
        (b'{"target": "helm/web", "namespace": "shop", "since": NaN}', 422),
        (b'{"target": "helm/web", "namespace": "shop", "since": 1e999}', 422),
        (b'{"target": "helm/web", "namespace": "shop", "parameters": {"requests": "a\\u0000b"}}', 422),
        (b'{"target": "helm/web", "namespace": "shop", "revision": "a\\u0000b"}', 422),
    ],
)
async def test_bodies(house: House, body: bytes, status: int) -> None:
    answer = await house.ask("POST", START, "starter", content=body, headers=JSON)
    assert answer.status_code == status, answer.text[:300]
    assert answer.json()["status"] == status
    assert len(answer.text) < 4000


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "\u00e4", "", "a/b/c"]
)
async def test_other_content_types_are_no_orders(house: House, kind: str) -> None:
    headers = {"Content-Type": kind.encode()}
    answer = await house.ask("POST", START, content=json.dumps(ORDER), headers=headers)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


async def test_what_was_sent_is_not_repeated(house: House) -> None:
    answer = await house.post(START, {**ORDER, "prometheus": {"token": "s3cret"}, "s3cret": 1, "rules": "s3cret!"})
    assert answer.status_code == 422
    assert answer.text.count("s3cret") == 1  # the name of a field that is none: whoever sent it needs to find it


async def test_too_large_by_its_own_words(service: Service) -> None:
    house = House.on(service_on(service.database, settings(limits={"request_bytes": 2000})))
    answer = await house.ask("POST", START, content=b" " * 2001, headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await house.post(START, ORDER)).status_code == 201


async def test_too_large_without_a_word(service: Service) -> None:
    app = make_app(service_on(service.database, settings(limits={"request_bytes": 2000})))
    async with serving(app) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(21):  # its end is never sent
            writer.write(b"64\r\n" + b" " * 100 + b"\r\n")
        async with asyncio.timeout(20):
            assert b" 413 " in await reader.readline()
        writer.close()


async def test_a_body_that_never_comes(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARRIVAL", 0.1)
    async with serving(app) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(20):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_many_at_once_are_refused_and_probes_are_answered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House.on(service_on(service.database, settings(limits={"requests_at_once": 2})))
    going, arrived = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def slow(*_: object) -> list[object]:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            arrived.set()
        await going.wait()
        return []

    monkeypatch.setattr(house.service.audit, "list", slow)
    held = [asyncio.create_task(house.get("/api/v1/audit")) for _ in range(2)]
    await asyncio.wait_for(arrived.wait(), 20)
    refused = await house.get("/api/v1/rulesets")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert (await house.client.get("/readyz")).status_code == 200
    going.set()
    assert [(await each).status_code for each in held] == [200, 200]
    assert (await house.get("/api/v1/actions")).status_code == 200


async def test_nobody_has_all_requests_at_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House.on(service_on(service.database, settings(limits={"requests_at_once": 4})))
    going, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(*_: object) -> list[object]:
        arrived.release()
        await going.wait()
        return []

    monkeypatch.setattr(house.service.audit, "list", slow)
    held = [asyncio.create_task(house.get("/api/v1/audit")) for _ in range(3)]
    for _ in held:
        await asyncio.wait_for(arrived.acquire(), 20)
    refused = await house.get("/api/v1/rulesets")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.json()["detail"] == "admin has 3 requests under way: wait"
    assert (await house.get("/api/v1/rulesets", "starter")).status_code == 200
    going.set()
    assert [(await each).status_code for each in held] == [200, 200, 200]
    assert (await house.get("/api/v1/rulesets")).status_code == 200


async def test_so_many_requests_a_minute_each(service: Service) -> None:
    house = House.on(service_on(service.database, settings(limits={"requests_per_minute": 5})))
    answers = [await house.get("/api/v1/actions", "reader") for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
    assert (await house.get("/api/v1/actions", "admin")).status_code == 200  # others are not held up


async def test_guessing_is_slowed_down_and_locks_nobody_out(service: Service) -> None:
    house = House.on(service_on(service.database, settings(limits={"requests_per_minute": 10})))
    assert (await house.get("/api/v1/actions", "reader")).status_code == 200  # from the same address
    answers = [await house.get("/api/v1/actions", f"guess-{number}") for number in range(30)]
    statuses = [each.status_code for each in answers]
    assert statuses[:9] == [401] * 9
    assert statuses[-1] == 429
    assert (await house.get("/api/v1/actions", "reader")).status_code == 200


def test_buckets_fill_again_and_are_bounded() -> None:
    now = [0.0]
    buckets = Buckets(60, most=3, now=lambda: now[0])
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") == pytest.approx(1.0)
    now[0] = 1.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == pytest.approx(0.5)
    for name in "bcd":
        buckets.take(name)
    assert len(buckets._left) == 3
    assert buckets.take("a") == 0.0  # forgotten


def test_an_address_of_ipv6_is_its_network() -> None:
    def of(host: object) -> str:
        return address_of({"client": host and (host, 1)})

    assert of("2001:db8::1") == of("2001:db8::ffff:2") != of("2001:db8:0:1::1")
    assert of("10.0.0.1") != of("10.0.0.2")
    assert of(None) == ""
    assert len(of("x" * 5000)) == 100


async def test_headers_that_keep_browsers_from_mischief(house: House) -> None:
    id_ = await house.failed()
    for path in ("/healthz", f"{START}/{id_}/report.html", f"{START}/x", "/nothing", "/openapi.json"):
        headers = (await house.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"


async def test_a_failure_is_told_by_an_id_and_logged_under_it(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> object:
        raise RuntimeError("postgresql://canary:s3cret@db/canary")

    monkeypatch.setattr(service.analyses, "get", broken)
    with caplog.at_level(logging.ERROR):
        answer = await house.get(f"{START}/0123456789ab")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    (id_,) = [word for word in answer.json()["detail"].split() if len(word) == 12]
    assert id_ in caplog.text


async def test_a_database_that_is_away_is_a_503_everywhere(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await house.ordered()

    async def away(*_: object) -> object:
        raise StoreUnavailable("postgresql://db.internal/canary: cannot be reached")

    for name in ("get", "find", "create", "position"):
        monkeypatch.setattr(service.analyses, name, away)
    monkeypatch.setattr(Switch, "get", away)
    monkeypatch.setattr(service.database, "time", away)
    answers = [
        await house.get(START),
        await house.get(f"{START}/{id_}"),
        await house.post(START, ORDER),
        await house.post(f"{START}/{id_}/cancel", {"why": "x"}),
        await house.get("/api/v1/changes"),
        await house.get("/api/v1/actions"),
        await house.get("/readyz"),
    ]
    for answer in answers:
        assert answer.status_code == 503, answer.url
        assert answer.headers["Retry-After"]
        assert "db.internal" not in answer.text
    assert (await house.get("/healthz")).status_code == 200


async def test_a_database_that_must_be_mended_is_a_503(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(*_: object) -> object:
        raise StoreUnusable("the SQLite file /secret/canary.db: damaged: restore it from a backup")

    monkeypatch.setattr(service.analyses, "find", damaged)
    answer = await house.get(START)
    assert answer.status_code == 503
    assert "may not be written, or is damaged" in answer.json()["detail"]
    assert "/secret" not in answer.text


async def test_a_database_that_refuses_is_a_failure_of_the_service(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object) -> object:
        raise StoreError("postgresql://db.internal/canary: this user lacks a right")

    monkeypatch.setattr(service.analyses, "find", refuses)
    answer = await house.get(START)
    assert answer.status_code == 500
    assert "db.internal" not in answer.text


async def test_readiness_tells_every_trouble(house: House, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await house.client.get("/readyz")).json() == {"status": "ok"}
    service.work.sentences[:] = ["the supervisor has not looked for 30 s", "and something else"]  # type: ignore[attr-defined]
    answer = await house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the supervisor has not looked for 30 s; and something else"

    async def never() -> float:
        await asyncio.Event().wait()
        return 0.0

    monkeypatch.setattr(health, "PATIENCE", 0.05)
    monkeypatch.setattr(service.database, "time", never)
    assert "the database has not answered" in (await house.client.get("/readyz")).json()["detail"]


async def test_metrics_count_requests_by_their_route(house: House) -> None:
    id_ = await house.ordered()
    await house.get(f"{START}/{id_}")
    await house.get("/nothing/of/the/kind")
    await house.client.get(START)
    text = (await house.get("/metrics")).text
    assert 'route="/api/v1/analyses/{analysis_id}"' in text
    assert id_ not in text
    assert "/nothing" not in text
    assert 'status="401"' in text


async def test_half_a_megabyte_of_rules_is_answered(house: House) -> None:
    for text in ("x: " * 80_000, RULES + "# " + "y" * 200_000, "- " * 100_000, "&a " * 80_000, '"' * 250_000):
        answer = await house.post("/api/v1/rulesets/validate", {"rule_set": text})
        assert answer.status_code == 200


async def test_a_cancellation_that_is_not_that_of_the_end_is_passed_on(house: House) -> None:
    asked = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        asked.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(house.ask("POST", START, content=body(), headers=JSON))
    await asked.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
