"""List-then-watch of one collection: what is there, then what changes, whatever happens to the API server meanwhile."""

import random
from contextlib import aclosing
from typing import Final, Protocol

from analyzer.controller.trouble import Troubles
from analyzer.engine.ports import Clock
from analyzer.errors import PlatformError, PlatformForbidden
from analyzer.platforms.cluster import Cluster, Expired, NoObject, Object
from analyzer.platforms.cluster_watch import SILENCE, Change, Collection, changes, pages
from analyzer.service.watch_telemetry import WatchTelemetry

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries; each is a random share of them, for many watches lose their server at once."""
LOOK_AGAIN: Final = 60.0
"""Seconds between two looks for a kind that the cluster does not know, or that may not be watched."""
STEADY: Final = 5.0
"""Seconds after which a watch has been one: it may end, and go on at once."""


class Follower(Protocol):
    """Who is told of what is there. Objects are metadata alone."""

    def listing(self) -> None:
        """What follows until `listed` is all that is there now."""
        ...

    def seen(self, found: Object) -> None:
        """It is there, or has changed."""
        ...

    def gone(self, found: Object) -> None:
        """It is not there any more; this is how it was."""
        ...

    def listed(self) -> None:
        """What was not seen since `listing` is not there any more."""
        ...


class Following:
    """One collection and its follower. `heard_at` is when the API server last said something of it, in Unix seconds."""

    def __init__(
        self,
        cluster: Cluster,
        collection: Collection,
        follower: Follower,
        troubles: Troubles,
        telemetry: WatchTelemetry,
        clock: Clock,
        *,
        silence: float = SILENCE,
    ) -> None:
        self._cluster = cluster
        self._collection = collection
        self._follower = follower
        self._troubles = troubles
        self._telemetry = telemetry
        self._clock = clock
        self._silence = silence
        self._version = ""  # where to go on from; empty: list anew
        self._failed = 0  # tries in a row
        self.heard_at = clock.now()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            began = self._clock.now()
            try:
                await self._once()
            except Expired:
                self._version = ""
                self._telemetry.reconnected()
                await self._pause(self._clock.now())  # however long it took: what comes next is a whole list
            except (NoObject, PlatformForbidden) as error:
                await self._without(error)
            except PlatformError as error:
                self._troubles.begin(self, str(error))
                self._telemetry.reconnected()
                await self._pause(began)
            else:
                await self._pause(began)

    async def _once(self) -> None:
        if not self._version:
            await self._list()
        async with aclosing(changes(self._cluster, self._collection, self._version, silence=self._silence)) as coming:
            async for change in coming:
                self._heard()
                self._apply(change)

    async def _list(self) -> None:
        self._follower.listing()
        version = ""
        async with aclosing(pages(self._cluster, self._collection)) as found:
            async for page in found:
                for each in page.objects:
                    self._follower.seen(each)
                version = page.version
        self._follower.listed()
        self._version = version

    def _apply(self, change: Change) -> None:
        if change.kind == "DELETED":
            self._follower.gone(change.object)
        elif change.kind in {"ADDED", "MODIFIED"}:
            self._follower.seen(change.object)
        self._version = change.version or self._version

    def _heard(self) -> None:
        self.heard_at = self._clock.now()
        self._troubles.end(self)

    async def _pause(self, began: float) -> None:
        """None after a watch that has lasted: the API server ends each of them now and then."""
        if self._clock.now() - began >= STEADY and self.heard_at >= began:
            self._failed = 0
            return
        longest = min(FIRST_PAUSE * 2**self._failed, LONGEST_PAUSE)
        self._failed = min(self._failed + 1, 10)
        await self._clock.sleep(random.uniform(longest / 2, longest))  # noqa: S311 -- no secret

    async def _without(self, error: PlatformError) -> None:
        """There is no such kind, which may come; or nobody has granted it, which may be mended."""
        self._version = ""
        if isinstance(error, NoObject):
            self._heard()
            self._follower.listing()
            self._follower.listed()
        else:
            self._troubles.begin(self, str(error))
        await self._clock.sleep(random.uniform(LOOK_AGAIN / 2, LOOK_AGAIN))  # noqa: S311 -- no secret
