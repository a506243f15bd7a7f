"""Webhooks of Flagger that ask for a gate: which analysis a call is about. The first one starts it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from analyzer.errors import PlatformError
from analyzer.model.report import Verdict
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.flagger_canary import Try, try_of
from analyzer.service.polling import MOST, PATIENCE


class Gate(StrEnum):
    """What a webhook asks for, by its type: an answer that lets one of them go on would roll another one back."""

    ROLLOUT = "rollout"
    CONFIRM_PROMOTION = "confirm-promotion"
    ROLLBACK = "rollback"

    def opens(self, verdict: Verdict) -> bool:
        """Whether Flagger is answered 200.

        Without a verdict nothing is promoted and nothing is rolled back. A `rollout` hook that is refused counts as a
        failed check, and enough of these roll back: so it goes on with its steps until a failure is shown.
        """
        match self:
            case Gate.CONFIRM_PROMOTION:
                return verdict == Verdict.PASS
            case Gate.ROLLBACK:
                return verdict == Verdict.FAIL
            case Gate.ROLLOUT:
                return verdict != Verdict.FAIL


class Canaries(Protocol):
    """Where tries are looked up."""

    async def try_of(self, namespace: str, name: str) -> Try:
        """What the Canary says now.

        Raises:
            PlatformError: it cannot be asked, or there is none.
        """
        ...


class CanariesOf:
    """The Canaries of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def try_of(self, namespace: str, name: str) -> Try:
        """See the port."""
        try:
            return await asyncio.wait_for(try_of(self._cluster, namespace, name), PATIENCE)
        except TimeoutError:
            raise PlatformError(f"the Kubernetes API server did not answer within {PATIENCE:g} s") from None


class Gates:
    """Remembers which analysis belongs to which try: an order is checked as a whole only once."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    async def analysis(self, key: str, start: Callable[[str], Awaitable[str]]) -> str:
        """The id of the analysis under this key; `start` orders it, and gives one that was ordered before."""
        if key not in self._known:
            self._known[key] = await start(key)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return self._known[key]

    def forget(self, key: str) -> None:
        """Its analysis is not there any more."""
        self._known.pop(key, None)
