"""Services that exist as numbers only: counters that grow with the wall clock, at one address for Prometheus.

Nobody sends a request: a thousand services cost as much as their lines of text.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from analyzer.demo.port import LOOPBACK

BOUNDS = ("0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "+Inf")
"""Upper bounds of the buckets of `request_seconds`, as they are written."""
SPREAD = (0.30, 0.60, 0.80, 0.92, 0.97, 0.99, 0.998, 1.0)
"""The share of requests that each bucket holds, with those below it."""


@dataclass
class Version:
    """One revision of a service: requests per second, and the share of them that are bad."""

    rate: float
    bad: float = 0.0
    at: float = field(default_factory=time.time)
    good_counted: float = 0.0
    bad_counted: float = 0.0

    def count(self, now: float) -> None:
        """What was served up to now (Unix seconds)."""
        served = max(0.0, now - self.at) * self.rate
        self.good_counted += served * (1 - self.bad)
        self.bad_counted += served * self.bad
        self.at = max(self.at, now)


class Service:
    """A service with two revisions. The new one (`version="2"`) may turn bad at a time, until it is taken back."""

    def __init__(self, name: str, rate: float) -> None:
        self.name = name
        self.versions = {"1": Version(rate, bad=0.002), "2": Version(rate, bad=0.002)}
        self.bad_from: float | None = None

    def count(self, now: float, healed_at: float | None) -> None:
        """Count up to now: good, bad from `bad_from` on, and good again once it is healed."""
        self.versions["1"].count(now)
        new = self.versions["2"]
        if self.bad_from is not None:
            new.count(min(now, self.bad_from))
            new.bad = 0.3 if now >= self.bad_from else new.bad
        if healed_at is not None:
            new.count(min(now, healed_at))
            new.bad = 0.002
        new.count(now)

    def reset(self, bad_from: float | None) -> None:
        """A new revision begins: it will be bad from then on (Unix seconds), or never."""
        self.bad_from = bad_from
        self.versions["2"].bad = 0.002


class Exporter:
    """Serves `/metrics` for all services: `async with Exporter(names, rate) as exporter`.

    `healed` says since when (Unix seconds) a service was taken back; None: it was not.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        rate: float = 500.0,
        healed: Callable[[str], float | None] = lambda _: None,
        *,
        pods: int = 1,
        with_latency: bool = False,
    ) -> None:
        self.services: Mapping[str, Service] = {name: Service(name, rate) for name in names}
        self._healed, self._pods, self._with_latency = healed, pods, with_latency
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """host:port."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            body = self.text().encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, EOFError):
            return  # Prometheus was ended in the middle
        finally:
            writer.close()

    def text(self) -> str:
        """The exposition, now."""
        now = time.time()
        requests, buckets = ["# TYPE requests_total counter"], ["# TYPE request_seconds histogram"]
        levels = ["# TYPE in_flight gauge"]
        for service in self.services.values():
            service.count(now, self._healed(service.name))
            for number, version in service.versions.items():
                for pod in range(self._pods):
                    labels = f'svc="{service.name}",version="{number}",pod="{service.name}-{number}-{pod}"'
                    requests.append(f'requests_total{{{labels},code="200"}} {int(version.good_counted)}')
                    requests.append(f'requests_total{{{labels},code="500"}} {int(version.bad_counted)}')
                    if self._with_latency:
                        buckets += _buckets(labels, int(version.good_counted))
                        levels.append(f"in_flight{{{labels}}} {20 + 5 * math.sin(now / 7 + pod):.3f}")
        return "\n".join([*requests, *(buckets + levels if self._with_latency else ()), ""])


def _buckets(labels: str, count: int) -> list[str]:
    lines = [
        f'request_seconds_bucket{{{labels},le="{bound}"}} {int(count * share)}'
        for bound, share in zip(BOUNDS, SPREAD, strict=True)
    ]
    return [*lines, f"request_seconds_sum{{{labels}}} {count / 20}", f"request_seconds_count{{{labels}}} {count}"]
