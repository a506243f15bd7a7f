"""ServiceAccounts of Kubernetes as callers: the API server is shown their tokens, and says whose they are.

Answers are kept for a short while by the tokens' hashes, never by the tokens.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.token_review import Account, review
from analyzer.service.access import ServiceAccountSettings
from analyzer.service.grants import granted
from analyzer.service.identity import Caller, bearer

KNOWN_FOR = 60.0
"""Seconds for which somebody stays known: so long a revoked token may still be used."""
UNKNOWN_FOR = 5.0
"""Seconds for which a token stays nobody's."""
MOST_KEPT = 10_000
AT_ONCE = 8
"""Tokens that the API server is shown at once."""
MOST_ASKED = 64
"""Tokens that are shown or wait for it: whoever floods us with them must not flood the API server."""
CLOCKS_APART = 300.0
"""Seconds by which the clocks of this machine and of the API server may differ."""

_AWAY = "who asks cannot be found out now: the Kubernetes API server does not say whose token this is; try again"


@dataclass(frozen=True)
class _Kept:
    caller: Caller | None
    until: float


class ServiceAccounts:
    """Callers by tokens of ServiceAccounts; `complain` is told why the API server cannot be asked."""

    def __init__(
        self,
        cluster: Cluster,
        settings: ServiceAccountSettings,
        complain: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._settings, self._complain, self._now = cluster, settings, complain, now
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def of(self, authorization: str | None) -> Caller | None:
        """As `Identities` has it."""
        token = bearer(authorization)
        if token is None or not self._may_be_one(token):
            return None
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and self._now() < kept.until:
            return kept.caller
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= MOST_ASKED:
                raise PlatformUnavailable(_AWAY)
            asking = self._asking[key] = asyncio.create_task(self._ask(token, key))
            asking.add_done_callback(lambda done: self._answered(key, done))
        # One that goes away does not take the answer from the others who wait with the same token.
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """End what is being asked; nobody may wait for it any more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _answered(self, key: bytes, done: "asyncio.Task[Caller | None]") -> None:
        del self._asking[key]
        if not done.cancelled():
            done.exception()  # looked at, even if everybody who waited for it has gone

    async def _ask(self, token: str, key: bytes) -> Caller | None:
        async with self._turns:
            try:
                account = await review(self._cluster, token, self._settings.audiences)
            except PlatformError as error:
                self._complain(f"tokens of ServiceAccounts cannot be looked at: {error}")
                raise PlatformUnavailable(_AWAY) from error
        caller = self._caller(account) if account else None
        self._kept[key] = _Kept(caller, self._now() + (KNOWN_FOR if caller else UNKNOWN_FOR))
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return caller

    def _caller(self, account: Account) -> Caller:
        return Caller(account.name, granted(self._settings.grants, account.name, account.groups))

    def _may_be_one(self, token: str) -> bool:
        """Whether it is worth asking. What a token says of itself is not believed, but against it."""
        claims = claims_of(token)
        if claims is None or not str(claims.get("sub", "")).startswith("system:serviceaccount:"):
            return False
        expires, audience = claims.get("exp"), claims.get("aud")
        if isinstance(expires, int | float) and expires < time.time() - CLOCKS_APART:
            return False
        meant_for = (
            {audience} if isinstance(audience, str) else set(map(str, audience if isinstance(audience, list) else ()))
        )
        return not self._settings.audiences or not meant_for or bool(meant_for.intersection(self._settings.audiences))


def claims_of(token: str) -> Mapping[str, Any] | None:
    """What a JWT says of itself, unchecked; None: it is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, claims and signature
        return None
    try:
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (ValueError, RecursionError):  # binascii.Error is a ValueError
        return None
    return claims if isinstance(header, dict) and "alg" in header and isinstance(claims, dict) else None
