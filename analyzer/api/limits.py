"""How much may be asked: how large a request is, how long it takes to arrive, how many at once and in a minute."""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer.api.problem import problem
from analyzer.service.settings import Limits

ARRIVAL = 30.0
"""Seconds in which a request's body must be there."""
MOST_KEYS = 10_000
"""Callers, or addresses, whose rates are remembered."""
_ALWAYS = frozenset({"/healthz", "/readyz"})
LASTING = "/api/v1/changes"
"""Streams, which are counted by themselves."""


class Buckets:
    """So many requests a minute for each of many: a token bucket each, of a bounded number of them.

    A bucket holds what a minute brings. Those that were not used for longest are forgotten first, and so full again.
    """

    def __init__(self, per_minute: int, most: int = MOST_KEYS, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._size = float(per_minute)
        self._rate = per_minute / 60
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> float:
        """Seconds to wait until this is allowed; 0: it is, and is counted."""
        now = self._now()
        left, at = self._left.pop(key, (self._size, now))
        left = min(self._size, left + (now - at) * self._rate)
        allowed = left >= min(cost, self._size)
        self._left[key] = (left - cost if allowed else left, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if allowed else (cost - left) / self._rate


def address_of(scope: Scope) -> str:
    """Where a request comes from; of IPv6 the network, for one machine has very many addresses in it."""
    host = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:100]
    return host if address.version == 4 else str(ipaddress.ip_network((int(address), 64), strict=False))  # noqa: PLR2004


class Bounded:
    """Refuses requests that are too large, too slow to arrive, or too many at once. Pure ASGI."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
        elif _declared(scope) > self._limits.request_bytes:
            await problem(scope, 413, self._too_large, {"Connection": "close"})(scope, receive, send)
        elif scope["path"] == LASTING:  # streams are counted by the caller
            await self._app(scope, self._bounded(receive), send)
        elif self._at_once >= self._limits.requests_at_once:
            sentence = "the service answers as many requests as it can now: try again"
            await problem(scope, 503, sentence, {"Retry-After": "1"})(scope, receive, send)
        else:
            self._at_once += 1
            try:
                await self._app(scope, self._bounded(receive), send)
            finally:
                self._at_once -= 1

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self._limits.request_bytes} bytes"

    def _bounded(self, receive: Receive) -> Receive:
        """The same messages; an exception that is an answer where they are too much, or come too late."""
        deadline = asyncio.get_running_loop().time() + ARRIVAL
        read, complete = 0, False

        async def bounded() -> Message:
            nonlocal read, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body was not there within {ARRIVAL:.0f} s") from None
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > self._limits.request_bytes:
                raise HTTPException(413, self._too_large, {"Connection": "close"})
            return message

        return bounded


def _declared(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit() and len(value) < 20), default=0)  # noqa: PLR2004 -- more digits than any length has
