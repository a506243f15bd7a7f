"""The stream of changes, from a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from analyzer.api import changes, hub
from analyzer.errors import StoreUnavailable
from analyzer.model.event import Ended
from analyzer.service.running import Service
from analyzer.store.entry import Decision, DecisionKind
from tests.api.house import House, bearer, events_of_a_failure
from tests.api.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PAUSE", 0.02)
    monkeypatch.setattr(hub, "LONGEST_PAUSE", 0.05)


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serving(app) as address:
        yield address


@dataclass
class Message:
    id: int
    analysis: dict[str, object]


class Stream:
    """What one reader hears."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        self._lines = answer.aiter_lines()
        self.comments = 0

    async def next(self) -> Message | None:
        """The next message; None: the stream has ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    assert fields["event"] == "analysis"
                    return Message(int(fields["id"]), json.loads(fields["data"]))
        return None


@dataclass
class Reader:
    url: str
    client: httpx.AsyncClient

    def open(self, query: str = "", who: str = "reader", **headers: str) -> AbstractAsyncContextManager[httpx.Response]:
        return self.client.stream("GET", f"{self.url}/api/v1/changes{query}", headers=bearer(who) | headers)


@pytest.fixture
async def reader(url: str) -> AsyncIterator[Reader]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield Reader(url, client)


async def test_from_now_on_without_a_position(house: House, reader: Reader) -> None:
    await house.ordered()
    async with reader.open() as answer:
        stream = Stream(answer)
        second = await house.ordered()
        heard = await stream.next()
        assert heard is not None
        assert heard.analysis["id"] == second


async def test_one_analysis_from_its_present_state_to_its_end(house: House, reader: Reader) -> None:
    id_ = await house.ordered()
    async with reader.open(f"?analysis={id_}") as answer:
        stream = Stream(answer)
        first = await stream.next()
        assert first is not None
        assert first.analysis["state"] == "running"
        await house.ordered()  # another one is not heard of
        await house.keep(id_, await events_of_a_failure())
        last = await stream.next()
        assert last is not None
        assert (last.analysis["id"], last.analysis["state"], last.analysis["verdict"]) == (id_, "ended", "fail")
        assert last.id > first.id
        assert await stream.next() is None


async def test_one_that_is_over_is_told_once(house: House, reader: Reader) -> None:
    id_ = await house.failed()
    async with reader.open(f"?analysis={id_}") as answer:
        stream = Stream(answer)
        told = await stream.next()
        assert told is not None
        assert told.analysis["state"] == "ended"
        assert await stream.next() is None
    async with reader.open(f"?analysis={id_}&after={told.id}") as answer:
        assert await Stream(answer).next() is None


@pytest.mark.parametrize("way", ["after", "header"])
async def test_it_goes_on_where_it_broke_off(
    house: House, reader: Reader, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE", 5)
    ids = [await house.ordered() for _ in range(17)]
    async with reader.open("?after=0") as answer:
        stream = Stream(answer)
        heard = [await stream.next() for _ in range(8)]
    last = heard[-1]
    assert last is not None
    query, headers = (f"?after={last.id}", {}) if way == "after" else ("?after=0", {"Last-Event-ID": str(last.id)})
    async with reader.open(query, **headers) as answer:
        stream = Stream(answer)
        heard += [await stream.next() for _ in range(9)]
        ids.append(await house.ordered())
        heard.append(await stream.next())
    assert [each.analysis["id"] for each in heard if each] == ids


async def test_nobody_hears_of_what_they_may_not_read(house: House, reader: Reader) -> None:
    for query in ("?after=0", ""):
        hidden = await house.ordered("admin", target="command/vault", namespace="bank", prometheus="bank")
        async with reader.open(query, "starter") as answer, reader.open(query, "admin") as all_of_them:
            seen = await house.ordered()
            await house.service.analyses.ask(hidden, Decision(DecisionKind.CANCEL, "admin", "why", 1.0))
            later = await house.ordered()
            stream, everything = Stream(answer), Stream(all_of_them)
            heard = {str(message.analysis["id"]) for message in [await stream.next(), await stream.next()] if message}
            assert hidden not in heard
            while (message := await everything.next()) and message.analysis["id"] != later:
                heard.add(str(message.analysis["id"]))
            assert {hidden, seen} <= heard
    missing = await reader.client.get(f"{reader.url}/api/v1/changes?analysis={hidden}", headers=bearer("reader"))
    assert missing.status_code == 404


async def test_heartbeats_and_a_bounded_life(house: House, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "HEARTBEAT", 0.02)
    monkeypatch.setattr(changes, "LONGEST", 0.5)
    id_ = await house.ordered()
    async with reader.open(f"?analysis={id_}") as answer:
        stream = Stream(answer)
        assert await stream.next() is not None
        assert await stream.next() is None
        assert stream.comments >= 2


async def test_a_reader_that_leaves_is_noticed(house: House, reader: Reader, app: FastAPI) -> None:
    id_ = await house.ordered()
    async with reader.open(f"?analysis={id_}") as answer:
        assert await Stream(answer).next() is not None
        assert app.state.parts.hub.streams("reader") == 1
    async with asyncio.timeout(20):
        while app.state.parts.hub.streams("reader"):  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.01)


async def test_streams_of_a_caller_are_limited(house: House, service: Service, reader: Reader, app: FastAPI) -> None:
    id_ = await house.ordered()
    most = service.settings.limits.streams_per_caller
    opened = [await app.state.parts.hub.subscribe("reader", lambda _: True) for _ in range(most)]
    refused = await reader.client.get(f"{reader.url}/api/v1/changes", headers=bearer("reader"))
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    async with reader.open(f"?analysis={id_}", "decider") as answer:  # somebody else's are their own
        assert await Stream(answer).next() is not None
    for subscription in opened:
        subscription.close()
        subscription.close()  # twice is once
    async with reader.open(f"?analysis={id_}") as answer:
        assert await Stream(answer).next() is not None


async def test_a_slow_reader_is_cut_off_and_the_others_are_not(
    house: House, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_WAITING", 3)
    fast = await app.state.parts.hub.subscribe("fast", lambda _: True)
    slow = await app.state.parts.hub.subscribe("slow", lambda _: True)
    ids = []
    for _ in range(6):
        ids.append(await house.ordered())
        entry = await fast.next(20)
        assert entry is not None
        assert entry.id == ids[-1]
    heard = [await slow.next(20) for _ in range(4)]
    assert [entry and entry.id for entry in heard] == [*ids[:3], None]
    fast.close()
    slow.close()


async def test_a_database_that_is_away_for_a_while_loses_nothing(
    house: House, service: Service, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, really = 0, service.analyses.changes

    async def away(after: int, limit: int = 500) -> object:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise StoreUnavailable("the database is away")
        return await really(after, limit)

    monkeypatch.setattr(service.analyses, "changes", away)
    async with reader.open() as answer:
        stream = Stream(answer)
        id_ = await house.ordered()
        heard = await stream.next()
    assert heard is not None
    assert heard.analysis["id"] == id_
    assert asked >= 4


async def test_a_failure_that_nobody_foresaw_ends_streams_and_they_may_come_again(
    house: House, service: Service, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(after: int, limit: int = 500) -> object:
        raise RuntimeError(after, limit)

    first = await app.state.parts.hub.subscribe("somebody", lambda _: True)
    with monkeypatch.context() as patch:
        patch.setattr(service.analyses, "changes", broken)
        assert await first.next(20) is None
    first.close()
    second = await app.state.parts.hub.subscribe("somebody", lambda _: True)
    id_ = await house.ordered()
    heard = await second.next(20)
    assert heard is not None
    assert heard.id == id_
    second.close()


async def test_nobody_asks_the_database_when_nobody_listens(
    house: House, service: Service, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = await app.state.parts.hub.subscribe("somebody", lambda _: True)
    await house.ordered()
    await subscription.next(20)
    subscription.close()
    async with asyncio.timeout(20):
        while app.state.parts.hub._task is not None:  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.01)
    monkeypatch.setattr(service.analyses, "changes", None)  # whoever asked would fail


async def test_streams_end_when_the_server_stops(house: House, app: FastAPI) -> None:
    id_ = await house.ordered()
    async with httpx.AsyncClient(timeout=20) as client:
        async with serving(app) as url:
            answer = await client.send(
                client.build_request("GET", f"{url}/api/v1/changes?analysis={id_}", headers=bearer("reader")),
                stream=True,
            )
            stream = Stream(answer)
            assert await stream.next() is not None
        assert await stream.next() is None
        await answer.aclose()


async def test_an_end_without_a_verdict_ends_the_stream(house: House, reader: Reader) -> None:
    id_ = await house.ordered()
    async with reader.open(f"?analysis={id_}") as answer:
        stream = Stream(answer)
        assert await stream.next() is not None
        await house.keep(id_, [Ended(at=2e9, cause="it cannot be analysed")])
        last = await stream.next()
        assert last is not None
        assert last.analysis["ended_at"] == 2e9
        assert await stream.next() is None
