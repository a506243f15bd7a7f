"""Load on the simulated service: requests at a steady rate, whether they are answered or not, counted exactly."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import httpx

from analyzer.demo.clients import Clients

NOWHERE: Final = ""
"""The key of requests for which there was no endpoint."""

_SERVER_ERROR: Final = 500
_IDLE: Final = 0.05  # seconds between looks at the rate while there is none
_LATE: Final = 0.25  # seconds of arrears that are caught up; after a longer pause of the machine the rest is shed


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, on both clocks: `monotonic` to subtract, `wall` (Unix seconds) to show."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        """The present."""
        return cls(time.monotonic(), time.time())


@dataclass(slots=True)
class Counts:
    """What became of the requests to one endpoint.

    `bad` are those answered with a 5xx, not answered, or with nowhere to go; the others are `ok`. `sent` also counts
    those under way; when the load has stopped it is `ok + bad`. `first_bad` and `last_bad` are when a bad one ended.
    """

    sent: int = 0
    ok: int = 0
    bad: int = 0
    first_bad: Moment | None = None
    last_bad: Moment | None = None

    def end(self, *, ok: bool) -> None:
        """Count the end of one request."""
        if ok:
            self.ok += 1
            return
        self.bad += 1
        self.last_bad = Moment.now()
        self.first_bad = self.first_bad or self.last_bad

    @classmethod
    def sum(cls, counts: Iterable[Self]) -> Self:
        """All of these together."""
        whole = cls()
        for one in counts:
            whole.sent, whole.ok, whole.bad = whole.sent + one.sent, whole.ok + one.ok, whole.bad + one.bad
            whole.first_bad = _chosen(min, whole.first_bad, one.first_bad)
            whole.last_bad = _chosen(max, whole.last_bad, one.last_bad)
        return whole


class Load:
    """Sends `rate` requests per second, evenly, round-robin to whatever endpoints are ready. Use it as `async with`.

    Open-loop: a slow answer does not slow the next request down, as with real users. Requests that were due but not
    sent are counted in `shed`: those above `concurrency` under way, and those of a time in which this process could not
    run. `endpoints` gives base URLs and is asked for each request. `rate` can be set at any time; 0 pauses. Leaving it
    waits for the requests under way.
    """

    def __init__(
        self,
        endpoints: Callable[[], Sequence[str]],
        rate: float,
        *,
        path: str = "/",
        concurrency: int = 128,
        timeout: float = 10.0,
    ) -> None:
        self.rate = rate
        self.counts: defaultdict[str, Counts] = defaultdict(Counts)
        self.shed = 0
        self._endpoints, self._path = endpoints, path
        self._concurrency, self._timeout = concurrency, timeout
        self._turn = 0
        self._under_way = 0
        self._stopping = False
        self._sending: asyncio.Task[None] | None = None

    def total(self, endpoints: Iterable[str] | None = None) -> Counts:
        """The counts of these endpoints together; of all, and of requests with nowhere to go, if none are given."""
        chosen = self.counts if endpoints is None else endpoints
        return Counts.sum(self.counts[endpoint] for endpoint in list(chosen) if endpoint in self.counts)

    async def start(self) -> None:
        """Begin to send."""
        self._stopping = False
        self._sending = asyncio.create_task(self._send_all())

    async def stop(self) -> None:
        """Send no more, and wait for the answers to what is under way."""
        if self._sending is not None:
            self._stopping = True
            sending, self._sending = self._sending, None
            await sending

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _send_all(self) -> None:
        async with Clients.open(self._timeout) as clients, asyncio.TaskGroup() as under_way:
            await self._pace(lambda endpoint: under_way.create_task(self._request(clients, endpoint)))

    async def _pace(self, send: Callable[[str], object]) -> None:
        due = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            if self.rate <= 0:
                due = now + _IDLE
            while due <= now:
                if due < now - _LATE:
                    self.shed += 1
                else:
                    self._send_next(send)
                due += 1 / self.rate
            await asyncio.sleep(min(due - now, _IDLE))

    def _send_next(self, send: Callable[[str], object]) -> None:
        endpoints = self._endpoints()
        if not endpoints:
            self.counts[NOWHERE].sent += 1
            self.counts[NOWHERE].end(ok=False)
        elif self._under_way >= self._concurrency:
            self.shed += 1
        else:
            endpoint = endpoints[self._turn % len(endpoints)]
            self._turn += 1
            self._under_way += 1
            self.counts[endpoint].sent += 1
            send(endpoint)

    async def _request(self, clients: Clients, endpoint: str) -> None:
        try:
            with clients.lend() as client:
                response = await client.get(endpoint + self._path)
        except httpx.HTTPError:
            self.counts[endpoint].end(ok=False)
        else:
            self.counts[endpoint].end(ok=response.status_code < _SERVER_ERROR)
        finally:
            self._under_way -= 1


def _chosen(choose: Callable[..., Moment], one: Moment | None, other: Moment | None) -> Moment | None:
    if one is None or other is None:
        return one or other
    return choose(one, other, key=lambda moment: moment.monotonic)
