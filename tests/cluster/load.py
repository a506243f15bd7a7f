"""Steady load on a Service of the bed, as its clients would put it there, counted from their side.

with load(bed.kubeconfig, namespace.name, "web", rate=50) as traffic:
    …
    traffic.tally().last_bad
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import h11

from analyzer.demo.load import Counts, Load
from tests.cluster.kubelet.api import Access, Api

Json = dict[str, Any]

_FIRST: Final = 60.0  # seconds until the Service has a ready endpoint
_PATIENCE: Final = 10.0  # seconds for an answer
_CHUNK: Final = 65536  # bytes
_END: Final = 30.0  # seconds in which the last answers must have come


@dataclass(frozen=True, slots=True)
class Tally:
    """What clients saw. `bad` were answered with a 5xx, not answered, or found no ready endpoint; the times are Unix
    seconds at which the first and the last of them ended. `shed` were due and not sent, for lack of CPU: not bad.
    """

    sent: int
    ok: int
    bad: int
    shed: int
    first_bad: float | None
    last_bad: float | None


class Endpoints:
    """The ready endpoints of a Service, from its EndpointSlices as they are seen."""

    def __init__(self) -> None:
        self.urls: Sequence[str] = ()
        self.pods: dict[str, str] = {}  # of all that were ever ready: URL -> name
        self._slices: dict[str, Json] = {}

    def see(self, kind: str, what: Any) -> None:  # noqa: ANN401 -- a list or one object
        """Take in one event of a watch."""
        if kind == "LIST":
            self._slices = {one["metadata"]["name"]: one for one in what}
        elif kind == "DELETED":
            self._slices.pop(what["metadata"]["name"], None)
        else:
            self._slices[what["metadata"]["name"]] = what
        ready = dict(ready_endpoints(self._slices.values()))
        self.pods |= ready
        self.urls = sorted(ready)


def ready_endpoints(slices: Iterable[Json]) -> Iterator[tuple[str, str]]:
    """URL and pod of each endpoint that is ready."""
    for one in slices:
        ports = one.get("ports") or []
        for endpoint in one.get("endpoints") or []:
            if ports and endpoint.get("conditions", {}).get("ready", True):
                pod = endpoint.get("targetRef", {}).get("name", "")
                yield f"http://{endpoint['addresses'][0]}:{ports[0]['port']}", pod


class Wire:
    """One kept-alive connection to an endpoint."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer = reader, writer
        self._headers = [("Host", host)]
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, url: str) -> Self:
        place = urlsplit(url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        return cls(reader, writer, place.netloc)

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._http.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE} and not self._reader.at_eof()

    async def get(self) -> int:
        """The status code of the answer to one request. OSError or h11.ProtocolError if there is none."""
        request = h11.Request(method="GET", target="/", headers=self._headers)
        self._writer.write((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        code = 0
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                code = event.status_code
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        return code

    def close(self) -> None:
        self._writer.close()


class LeanLoad(Load):
    """The demo's load without its HTTP client, which takes three times the CPU: several of these run at once."""

    def __init__(self, endpoints: Callable[[], Sequence[str]], rate: float) -> None:
        super().__init__(endpoints, rate)
        self._idle: defaultdict[str, list[Wire]] = defaultdict(list)

    async def _send_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as under_way:
                await self._pace(lambda url: under_way.create_task(self._ask(url)))
        finally:
            for wire in chain.from_iterable(self._idle.values()):
                wire.close()

    async def _ask(self, url: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                self.counts[url].end(ok=await self._get(url) < 500)
        except (OSError, h11.ProtocolError, TimeoutError):
            self.counts[url].end(ok=False)
        finally:
            self._under_way -= 1

    async def _get(self, url: str) -> int:
        wire = self._kept(url) or await Wire.open(url)
        try:
            return await wire.get()
        finally:
            if wire.usable:
                self._idle[url].append(wire)
            else:
                wire.close()

    def _kept(self, url: str) -> Wire | None:
        while self._idle[url]:
            wire = self._idle[url].pop()
            if wire.usable:
                return wire
            wire.close()
        return None


class Traffic:
    """Load in a thread and an event loop of its own, so that the test may block. Use `load`."""

    def __init__(self, access: Access, namespace: str, service: str, rate: float) -> None:
        self._name = f"load on {namespace}/{service}"
        self._thread = threading.Thread(target=self._run_all, name=self._name, daemon=True)
        self._access, self._service = access, service
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._endpoints = Endpoints()
        self._load = LeanLoad(lambda: self._endpoints.urls, rate)
        self._began = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._failure: BaseException | None = None

    def tally(self, pods: Iterable[str] | None = None) -> Tally:
        """Of all requests so far, or of those to these pods (names)."""
        chosen = None if pods is None else self._urls(set(pods))
        counts: Counts = self._load.total(chosen)
        first, last = (moment and moment.wall for moment in (counts.first_bad, counts.last_bad))
        return Tally(counts.sent, counts.ok, counts.bad, self._load.shed, first, last)

    @property
    def pods(self) -> list[str]:
        """The names of all pods that were ever ready, in no order."""
        return list(set(self._endpoints.pods.values()))

    @property
    def rate(self) -> float:
        """Requests per second; may be set at any time, 0 pauses."""
        return self._load.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._load.rate = rate

    def __enter__(self) -> Self:
        self._thread.start()
        self._began.wait()
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._stop()
        self._thread.join(_END)
        self._check()

    def _run_all(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as failure:  # noqa: BLE001 -- it is raised again in the test's thread
            self._failure = failure
        finally:
            self._began.set()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _run(self) -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        async with Api(self._access) as api:
            seen = asyncio.Event()
            watching = loop.create_task(self._watch(api, seen))
            try:
                async with asyncio.timeout(_FIRST):
                    await seen.wait()
                async with self._load:
                    self._stop = lambda: loop.call_soon_threadsafe(stopping.set)
                    self._began.set()
                    await stopping.wait()
            except TimeoutError:
                raise TimeoutError(f"{self._name}: no endpoint was ready within {_FIRST:.0f} s") from None
            finally:
                watching.cancel()

    async def _watch(self, api: Api, seen: asyncio.Event) -> None:
        async for kind, what in api.watch(self._path, labels=f"kubernetes.io/service-name={self._service}"):
            self._endpoints.see(kind, what)
            if self._endpoints.urls:
                seen.set()

    def _urls(self, pods: set[str]) -> list[str]:
        known: Mapping[str, str] = dict(self._endpoints.pods)
        return [url for url, pod in known.items() if pod in pods]


@contextmanager
def load(kubeconfig: Path, namespace: str, service: str, rate: float = 50.0) -> Iterator[Traffic]:
    """Send `rate` requests per second, evenly and in turn, to the ready endpoints of a Service, until the block ends.

    Begins when there is a ready endpoint: TimeoutError if there is none within a minute. At the end it waits for the
    last answers, so that the tally after the block is complete.
    """
    with Traffic(Access.load(kubeconfig), namespace, service, rate) as traffic:
        yield traffic
