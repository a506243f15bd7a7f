"""Who asks: nothing but a few open paths is answered to somebody who is not known."""

import hashlib
import math
from collections import Counter, OrderedDict
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from analyzer.api.limits import LASTING, MOST_KEYS, Buckets, address_of
from analyzer.api.problem import Refused, answer
from analyzer.errors import CanaryError
from analyzer.service.identity import EVERYWHERE, Caller, Identities, Role

OPEN = frozenset({"/healthz", "/readyz", "/openapi.json"})
"""What needs no rights: none of it says a word about anybody's analyses."""
PROBES = frozenset({"/healthz", "/readyz"})
LONGEST = 16 * 1024
"""Bytes of an Authorization header."""
GUESS = 10.0
"""Requests that one with unknown credentials counts for, of what its address may send."""
POLLED = ("/api/v1/argo/", "/api/v1/flagger/")
"""Where a controller asks again and again, for each of its Rollouts or Canaries."""
POLL = 0.1
"""Requests that such a question counts for: it is answered from memory."""
OF_AN_ADDRESS = 10
"""Times as many requests as one caller may send, an address may send: many callers may be behind it."""


class Authenticated:
    """Finds out who asks, and answers 401 or 429 instead of the application where it must. Pure ASGI.

    Requests with credentials that were good before count for their caller alone: whoever guesses behind the same
    proxy does not lock them out.
    """

    def __init__(
        self, app: ASGIApp, identities: Identities, per_minute: int, at_once: int, *, metrics_open: bool
    ) -> None:
        self._app = app
        self._identities = identities
        self._open = OPEN | ({"/metrics"} if metrics_open else set())
        self._callers = Buckets(per_minute)
        self._addresses = Buckets(per_minute * OF_AN_ADDRESS)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._most_at_once = math.ceil(at_once * 3 / 4)  # some are left for the others
        self._at_once: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            try:
                caller = await self._admitted(scope)
            except (Refused, CanaryError) as error:
                await answer(scope, error)(scope, receive, send)
                return
            if caller is not None:
                scope["state"] = {**scope.get("state", {}), "caller": caller}
                if scope["path"] != LASTING:
                    await self._counted(caller.name, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _counted(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A request of a caller who may not have all of them at once."""
        if self._at_once[name] >= self._most_at_once:
            refused = Refused(429, f"{name} has {self._most_at_once} requests under way: wait", {"Retry-After": "1"})
            await answer(scope, refused)(scope, receive, send)
            return
        self._at_once[name] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._at_once[name] -= 1
            if not self._at_once[name]:
                del self._at_once[name]

    async def _admitted(self, scope: Scope) -> Caller | None:
        """Who asks; None: anybody may.

        Raises:
            Refused: nobody that is known, or too often.
            PlatformUnavailable: it cannot be found out now.
        """
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        address, digest = address_of(scope), hashlib.sha256(b"\0".join(given)).digest()
        is_open = scope["path"] in self._open
        if is_open or digest not in self._good:
            _allow(self._addresses.take(address))
        if is_open:
            return None
        caller = await self._caller(given)
        if caller is None:
            self._good.pop(digest, None)
            self._addresses.take(address, GUESS)
            raise Refused(401, _who(given), {"WWW-Authenticate": "Bearer"})
        self._remember(digest)
        _allow(self._callers.take(caller.name, POLL if scope["path"].startswith(POLLED) else 1.0))
        return caller

    async def _caller(self, given: list[bytes]) -> Caller | None:
        if len(given) != 1 or len(given[0]) > LONGEST:
            return None
        return await self._identities.of(given[0].decode("latin-1"))

    def _remember(self, digest: bytes) -> None:
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > MOST_KEYS:
            self._good.popitem(last=False)


def _allow(wait: float) -> None:
    if wait > 0:
        seconds = max(1, math.ceil(wait))
        raise Refused(429, f"too many requests: try again in {seconds} s", {"Retry-After": str(seconds)})


def _who(given: list[bytes]) -> str:
    if not given:
        return "say who you are: send the header Authorization: Bearer TOKEN"
    if len(given) > 1:
        return "there are several Authorization headers: send one"
    return "these credentials are not known: send the header Authorization: Bearer TOKEN with a token of this service"


def caller_of(request: Request) -> Caller:
    """Who sends this request."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


Asking = Annotated[Caller, Depends(caller_of)]


def need(caller: Caller, role: Role, namespace: str) -> None:
    """That they may do what `role` may there.

    Raises:
        Refused: they may not.
    """
    if not caller.may(role, namespace):
        place = "in every namespace" if namespace == EVERYWHERE else _place(namespace)
        raise Refused(403, f"{caller.name} may not do that: it needs the role {role.name.lower()} {place}")


def need_anywhere(caller: Caller, role: Role) -> None:
    """That they may do what `role` may in any namespace.

    Raises:
        Refused: they may nowhere.
    """
    if not any(held >= role for held in caller.grants.values()):
        raise Refused(403, f"{caller.name} may not do that: it needs the role {role.name.lower()} in any namespace")


def _place(namespace: str) -> str:
    return f"in the namespace {namespace}" if namespace else "for targets without a namespace"
