"""The probes of a container that is a real process, asked at its pod's address as a kubelet does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

Json = dict[str, Any]

_HEALTHY: Final = range(200, 400)


@dataclass(frozen=True, slots=True)
class Probe:
    """One that asks over HTTP, or only connects if it has no `path`; times in seconds, counts in a row."""

    scheme: str
    port: int
    path: str | None
    delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, container: Json, kind: str) -> "Probe | None":
        """The `livenessProbe`, `readinessProbe` or `startupProbe` of a container, with the defaults of Kubernetes.

        Those that run a command, or speak gRPC, are taken as if there were none.
        """
        probe = container.get(kind) or {}
        how = probe.get("httpGet") or probe.get("tcpSocket")
        if how is None:
            return None
        return cls(
            scheme=how.get("scheme", "HTTP").lower(),
            port=_number(container, how["port"]),
            path=how.get("path", "/") if "httpGet" in probe else None,
            delay=probe.get("initialDelaySeconds", 0),
            period=probe.get("periodSeconds", 10),
            timeout=probe.get("timeoutSeconds", 1),
            successes=probe.get("successThreshold", 1),
            failures=probe.get("failureThreshold", 3),
        )

    async def turns(self, address: str) -> AsyncIterator[bool]:
        """For ever: each time that so many answers in a row were good, or bad, as its thresholds want."""
        await asyncio.sleep(self.delay)
        streak = Streak(self.successes, self.failures)
        while True:
            if (turned := streak.add(await self._asked(address))) is not None:
                yield turned
            await asyncio.sleep(self.period)

    async def _asked(self, address: str) -> bool:
        try:
            async with asyncio.timeout(self.timeout):
                return await self._answered(address)
        except (TimeoutError, OSError, httpx.HTTPError):
            return False

    async def _answered(self, address: str) -> bool:
        if self.path is None:
            _, writer = await asyncio.open_connection(address, self.port)
            writer.close()
            return True
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            answer = await client.get(f"{self.scheme}://{address}:{self.port}{self.path}")
        return answer.status_code in _HEALTHY


class Streak:
    """Counts answers in a row."""

    def __init__(self, successes: int, failures: int) -> None:
        self._enough = {True: successes, False: failures}
        self._last: bool | None = None
        self._count = 0

    def add(self, good: bool) -> bool | None:
        """What they are now, each time that they are enough; None while they are not."""
        self._count = self._count + 1 if good == self._last else 1
        self._last = good
        return good if self._count >= self._enough[good] else None


class Probes:
    """All probes of one container."""

    def __init__(self, container: Json, address: str) -> None:
        self._address = address
        self._startup, self._liveness, self._readiness = (
            Probe.of(container, f"{kind}Probe") for kind in ("startup", "liveness", "readiness")
        )

    async def watch(self, ready: Callable[[bool], None], fail: Callable[[], None]) -> None:
        """One life: tells each time whether it is ready, and once that it has to be killed."""
        if self._startup is not None:
            async for good in self._startup.turns(self._address):
                if not good:
                    fail()
                    return
                break
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch_readiness(ready))
            both.create_task(self._watch_liveness(fail))

    async def _watch_readiness(self, ready: Callable[[bool], None]) -> None:
        if self._readiness is None:
            ready(True)
            return
        async for good in self._readiness.turns(self._address):
            ready(good)

    async def _watch_liveness(self, fail: Callable[[], None]) -> None:
        if self._liveness is None:
            return
        async for good in self._liveness.turns(self._address):
            if not good:
                fail()
                return


def _number(container: Json, port: int | str) -> int:
    named = {one.get("name"): one["containerPort"] for one in container.get("ports", ())}
    return int(named.get(port, port))
