"""List-then-watch against a server on a real socket, which does everything that API servers do, and worse."""

import asyncio
import socket
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from analyzer.controller.following import LOOK_AGAIN, STEADY, Following
from analyzer.controller.trouble import Troubles
from analyzer.platforms.cluster import Cluster, Object
from analyzer.platforms.cluster_watch import LARGEST, Collection
from analyzer.service.watch_telemetry import WatchTelemetry
from tests.controller.conftest import QuickClock
from tests.controller.watched_api import WatchedApi, bookmark, page, refuses, status, stream

pytestmark = pytest.mark.anyio
WHERE = "/api/v1/namespaces/shop/secrets"


Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as found:
        yield found


def said(logs: Logs) -> list[str]:
    return [str(each["event"]) for each in logs]


def thing(name: str, version: str = "1") -> Object:
    return {"metadata": {"name": name, "resourceVersion": version}}


class Notes:
    """A follower that notes what it is told, in words."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def listing(self) -> None:
        self.said.append("(")

    def listed(self) -> None:
        self.said.append(")")

    def seen(self, found: Object) -> None:
        self.said.append(f"{found['metadata']['name']}@{found['metadata']['resourceVersion']}")

    def gone(self, found: Object) -> None:
        self.said.append(f"-{found['metadata']['name']}")


class Followed:
    """What a following has told, asked for until a test has seen enough."""

    def __init__(self, cluster: Cluster, clock: QuickClock, silence: float) -> None:
        self.registry = CollectorRegistry()
        self.notes = Notes()
        collection = Collection(WHERE, {"fieldSelector": "type=helm.sh/release.v1"})
        telemetry = WatchTelemetry(self.registry, clock.now)
        self.following = Following(cluster, collection, self.notes, Troubles(), telemetry, clock, silence=silence)

    async def until(self, holds: Callable[[str], bool]) -> str:
        """What was said, once this holds."""
        running = asyncio.create_task(self.following.run())
        try:
            async with asyncio.timeout(20):
                while not holds(" ".join(self.notes.said)):
                    assert not running.done(), running.result()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"never: {self.notes.said}") from None
        finally:
            running.cancel()
            await asyncio.wait([running])
        return " ".join(self.notes.said)

    @property
    def reconnects(self) -> float | None:
        return self.registry.get_sample_value("canary_watch_reconnects_total")


def followed(cluster: Cluster, clock: QuickClock, silence: float = 10) -> Followed:
    return Followed(cluster, clock, silence)


def ends_with(text: str) -> Callable[[str], bool]:
    return lambda said: said.endswith(text)


async def test_a_list_in_pages_then_changes_in_pieces(api: WatchedApi, cluster: Cluster, clock: QuickClock) -> None:
    api.lists.put(page(thing("a"), version="5", more="next"))
    api.lists.put(page(thing("b"), version="5"))
    words = ("ADDED", thing("c", "6")), ("MODIFIED", thing("a", "7")), ("DELETED", thing("b", "8")), bookmark("9")
    api.watches.put(stream(*words, pieces=7))
    said = await followed(cluster, clock).until(lambda _: len(api.asked("watch")) == 2)
    assert said == "( a@1 b@1 ) c@6 a@7 -b"
    first, second = (each for each in api.requests if "watch" in each.parameters)
    assert (first.parameters["resourceVersion"], second.parameters["resourceVersion"]) == ("5", "9")
    assert first.parameters["allowWatchBookmarks"] == "true"
    assert set(api.asked("fieldSelector")) == {"type=helm.sh/release.v1"}
    assert api.asked("continue") == ["next"]
    kinds = [each.headers["accept"].partition("as=")[2] for each in api.requests]
    assert kinds[0] == "PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert kinds[-1] == "PartialObjectMetadata;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize("gone", [stream(status(410, "too old resource version")), refuses(410, "too old")])
async def test_what_is_forgotten_is_listed_anew(
    api: WatchedApi, cluster: Cluster, clock: QuickClock, gone: object
) -> None:
    api.lists.put(page(thing("a"), version="5"))
    api.watches.put(gone)  # type: ignore[arg-type] # an answer
    api.lists.put(page(thing("b"), version="50"))
    api.watches.put(stream(("ADDED", thing("c", "51"))))
    watching = followed(cluster, clock)
    assert await watching.until(ends_with("c@51")) == "( a@1 ) ( b@1 ) c@51"
    assert watching.reconnects == 1


async def test_a_list_that_is_forgotten_on_the_way_begins_anew(
    api: WatchedApi, cluster: Cluster, clock: QuickClock
) -> None:
    api.lists.put(page(thing("a"), more="next"))
    api.lists.put(refuses(410, "the provided continue parameter is too old"))
    api.lists.put(page(thing("b")))
    assert await followed(cluster, clock).until(ends_with(")")) == "( a@1 ( b@1 )"


@pytest.mark.parametrize(
    "broken",
    [
        b"garbage\n",
        b'{"type": 5, "object": {}}\n',
        b"[]\n",
        b"\x00\xff\n",
        b'{"type":"ADDED","object":' + b"[" * 100_000 + b"\n",
        b'{"type":"MADE","object":{}}\n',
        b'{"type":"ERROR","object":[]}\n',
        b"x" * (LARGEST + 2),
    ],
)
async def test_what_is_no_watch_is_told_and_begun_anew(
    api: WatchedApi, cluster: Cluster, clock: QuickClock, broken: bytes, logs: Logs
) -> None:
    api.lists.put(page(version="5"))
    api.watches.put(stream(("ADDED", thing("a", "6")), broken, ("ADDED", thing("never", "7")), ends=False))
    api.watches.put(stream(("ADDED", thing("b", "8"))))
    watching = followed(cluster, clock)
    assert await watching.until(ends_with("b@8")) == "( ) a@6 b@8"
    assert api.asked("resourceVersion")[:2] == ["5", "6"]
    assert watching.reconnects == 1
    assert said(logs).count("the cluster is not watched") == 1
    assert said(logs).count("the cluster is watched again") == 1


async def test_a_server_that_hangs_is_noticed(api: WatchedApi, cluster: Cluster, clock: QuickClock) -> None:
    api.lists.put(page(version="5"))
    api.watches.put(stream(("ADDED", thing("a", "6")), ends=False))
    api.watches.put(stream(("ADDED", thing("b", "7"))))
    watching = followed(cluster, clock, silence=0.2)
    assert await watching.until(ends_with("b@7")) == "( ) a@6 b@7"
    assert watching.reconnects == 1


async def test_a_server_that_is_away_is_told_once_and_asked_ever_less_often(
    api: WatchedApi, cluster: Cluster, clock: QuickClock, logs: Logs
) -> None:
    for _ in range(12):
        api.lists.put(refuses(503, "etcdserver: no leader"))
    api.lists.put(page(thing("a")))
    await followed(cluster, clock).until(ends_with("a@1 )"))
    await asyncio.sleep(0.1)
    assert said(logs).count("the cluster is not watched") == 1
    assert "no leader" in str(logs)
    pauses = clock.slept[:12]
    assert all(0.25 <= pause <= 30 for pause in pauses)
    assert min(pauses[8:]) > 10 * max(pauses[0], 0.25) or min(pauses[8:]) >= 15


async def test_watches_that_end_at_once_are_not_begun_without_a_pause(
    api: WatchedApi, cluster: Cluster, clock: QuickClock
) -> None:
    api.lists.put(page(version="5"))
    for _ in range(8):
        api.watches.put(stream())
    api.watches.put(stream(("ADDED", thing("a", "6"))))
    await followed(cluster, clock).until(ends_with("a@6"))
    assert len(clock.slept) >= 8
    assert clock.slept[7] > 4


async def test_a_server_that_forgets_all_the_time_is_not_listed_all_the_time(
    api: WatchedApi, cluster: Cluster, clock: QuickClock
) -> None:
    def slow(connection: socket.socket) -> None:
        clock.time += 2 * STEADY
        page(version="5")(connection)

    for _ in range(8):
        api.lists.put(slow)
        api.watches.put(stream(status(410)))
    api.lists.put(page(thing("a", "6")))
    await followed(cluster, clock).until(ends_with("a@6 )"))
    assert len(clock.slept) == 8
    assert clock.slept[7] > 4


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refuses(403, 'secrets is forbidden: User "canary" cannot list resource "secrets" in API group ""'), 1),
        (refuses(401, "Unauthorized"), 1),
        (refuses(404, "the server could not find the requested resource"), 0),
    ],
)
async def test_what_may_not_be_seen_or_is_not_there_is_looked_for_again_now_and_then(
    api: WatchedApi, cluster: Cluster, clock: QuickClock, answer: object, told: int, logs: Logs
) -> None:
    for _ in range(4):
        api.lists.put(answer)  # type: ignore[arg-type] # an answer
    api.lists.put(page(thing("a")))
    await followed(cluster, clock).until(ends_with("a@1 )"))
    assert said(logs).count("the cluster is not watched") == told
    assert "exc_info" not in str(logs)
    assert all(LOOK_AGAIN / 2 <= pause <= LOOK_AGAIN for pause in clock.slept)
    assert clock.slept


async def test_how_long_nothing_was_heard(api: WatchedApi, cluster: Cluster, clock: QuickClock) -> None:
    for _ in range(3):
        api.lists.put(refuses(500, "boom"))
    api.lists.put(page(thing("a")))
    watching = followed(cluster, clock)
    before = watching.following.heard_at
    telemetry = WatchTelemetry(registry := CollectorRegistry(), clock.now)
    telemetry.heard(lambda: [watching.following.heard_at])
    clock.time += 100
    assert registry.get_sample_value("canary_watch_seconds_since_last_word") == 100
    await watching.until(lambda _: watching.following.heard_at > before)
    assert registry.get_sample_value("canary_watch_seconds_since_last_word") == pytest.approx(0, abs=1)
