"""Analyses from memory: what is heard of them, and what is read."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from analyzer.api import hub
from analyzer.api.hub import Hub
from analyzer.api.latest import MOST, Latest
from analyzer.errors import NoAnalysis, StoreUnavailable
from analyzer.store.entry import Entry, Summary

pytestmark = pytest.mark.anyio

FIRST = Entry("a1", "key", "shop", "helm", "web", "{}", 1.0, position=1)


class Store:
    """One analysis. While `held` is set, a look at it waits."""

    def __init__(self) -> None:
        self.entry, self.looks, self.error = FIRST, 0, None  # type: Entry, int, Exception | None
        self.held: asyncio.Event | None = None

    async def get(self, id_: str) -> Entry:
        self.looks += 1
        if self.error is not None:
            raise self.error
        found = self.entry
        if self.held is not None:
            await self.held.wait()
        return replace(found, id=id_)

    async def position(self) -> int:
        return self.entry.position

    async def changes(self, after: int, limit: int) -> list[Entry]:  # noqa: ARG002 -- the store's
        return [self.entry] if self.entry.position > after else []

    def change(self, verdict: str) -> None:
        self.entry = replace(self.entry, summary=Summary(verdict=verdict), position=self.entry.position + 1)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(hub, "PAUSE", 0.01)
    return Store()  # type: ignore[return-value]


async def verdict_of(latest: Latest, wanted: str) -> None:
    async with asyncio.timeout(10):
        while (await latest.get("a1")).summary.verdict != wanted:  # noqa: ASYNC110 -- it is told by no event
            await asyncio.sleep(0.005)


async def test_it_is_read_once_and_heard_of_afterwards(store: Store) -> None:
    hub_ = Hub(store)  # type: ignore[arg-type]
    latest = Latest(hub_, store)  # type: ignore[arg-type]
    for _ in range(5):
        assert (await latest.get("a1")).summary.verdict == "pending"
    store.change("fail")
    await verdict_of(latest, "fail")
    assert store.looks == 1
    await hub_.stop()


async def test_a_change_while_it_is_read_is_not_lost(store: Store) -> None:
    hub_ = Hub(store)  # type: ignore[arg-type]
    latest = Latest(hub_, store)  # type: ignore[arg-type]
    await latest.get("other")
    store.held = asyncio.Event()
    reading = asyncio.create_task(latest.get("a1"))
    await asyncio.sleep(0)
    assert store.looks == 2
    store.change("fail")
    for _ in range(20):  # some looks of the hub
        await asyncio.sleep(0.005)
    store.held.set()
    await reading
    await verdict_of(latest, "fail")
    assert store.looks == 2
    await hub_.stop()


async def test_once_it_hears_nothing_more_all_is_read_anew(store: Store) -> None:
    hub_ = Hub(store)  # type: ignore[arg-type]
    latest = Latest(hub_, store)  # type: ignore[arg-type]
    await latest.get("a1")
    await hub_.stop()
    store.change("pass")
    await verdict_of(latest, "pass")


@pytest.mark.parametrize("error", [NoAnalysis("a1"), StoreUnavailable("away")])
async def test_what_cannot_be_read_is_read_again(store: Store, error: Exception) -> None:
    hub_ = Hub(store)  # type: ignore[arg-type]
    latest = Latest(hub_, store)  # type: ignore[arg-type]
    store.error = error
    for _ in range(2):
        with pytest.raises(type(error)):
            await latest.get("a1")
    store.error = None
    assert (await latest.get("a1")).id == "a1"
    await hub_.stop()


async def test_memory_is_bounded(store: Store) -> None:
    hub_ = Hub(store)  # type: ignore[arg-type]
    latest = Latest(hub_, store)  # type: ignore[arg-type]
    for number in range(MOST + 1):
        await latest.get(f"b{number}")
    before = store.looks
    await latest.get(f"b{MOST}")
    assert store.looks == before
    await latest.get("b0")
    assert store.looks == before + 1
    await hub_.stop()
