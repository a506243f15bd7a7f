"""A closer look at a revision of a Helm release: it is fetched only if all that its metadata say speaks for it."""

import asyncio
from typing import Final

from analyzer.controller.sighting import Candidate, Outcome, Settled, Sighting, Unsettled
from analyzer.engine.ports import Clock
from analyzer.errors import PlatformError
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.helm_history import IN_PROGRESS
from analyzer.platforms.helm_storage import Kept, Release, read
from analyzer.service.placing import OURS, Placing

FAILED: Final = "failed"
BROUGHT_OUT: Final = frozenset({"deployed", FAILED})
"""The status of a revision whose pods are on their way, or there."""

TAKES_BACK: Final = 5.0
"""Seconds after a failure in which helm begins to take a revision back, where it was told so."""


class HelmLook:
    """Looks at one at a time: each is as large as its chart while it is read. `catch_up` is in seconds."""

    def __init__(self, cluster: Cluster, placing: Placing, clock: Clock, catch_up: float) -> None:
        self._cluster = cluster
        self._placing = placing
        self._clock = clock
        self._catch_up = catch_up
        self._turn = asyncio.Semaphore(1)

    async def look(self, sighting: Sighting[Kept]) -> Candidate | Settled | None:
        """What is to be done about it; None: nothing yet, and its status will change.

        Raises:
            Unsettled: helm may be about to take it back by itself.
            PlatformError: it cannot be asked for; PlatformUnavailable when asking again may help.
            StoreError: nobody can say whether it was ordered already.
        """
        mark = sighting.mark
        if mark.status in IN_PROGRESS:
            return None
        if mark.status == FAILED and self._clock.now() - sighting.so_since < TAKES_BACK:
            raise Unsettled("it has failed, and helm may take it back by itself (--atomic, --rollback-on-failure)")
        if early := _by_metadata(sighting, self._catch_up):
            return early
        key = f"{OURS}watch/helm/{mark.namespace}/{mark.name}/{mark.revision}/{mark.uid}"
        if await self._placing.is_placed(mark.namespace, key):
            return Settled(Outcome.KNOWN)
        release = await self._release(mark)
        if isinstance(release, Settled):
            return release
        return Candidate(sighting.place, mark.revision, key, mark.created_at, release.workloads)

    async def _release(self, mark: Kept) -> Release | Settled:
        async with self._turn:
            found = await self._cluster.get(path("v1", mark.storage.value, mark.namespace, mark.object_name))
            if found is None:
                return Settled(Outcome.OVER, "it is not there any more")
            try:
                release = await asyncio.to_thread(read, found, mark)
            except PlatformError as error:
                return Settled(Outcome.UNREADABLE, str(error))
        if release.is_way_back:
            return Settled(Outcome.WAY_BACK, "it restores an earlier revision")
        return release if release.workloads else Settled(Outcome.NO_PODS, "it has no workloads")


def _by_metadata(sighting: Sighting[Kept], catch_up: float) -> Settled | None:
    mark = sighting.mark
    if mark.status not in BROUGHT_OUT:
        return Settled(Outcome.OVER, f"its status is {mark.status[:40]}")
    if mark.revision == 1:
        return Settled(Outcome.FIRST, "it is the first: there is nothing to compare it with")
    if sighting.is_older(mark.created_at, catch_up):
        return Settled(Outcome.TOO_OLD, "it was brought out longer ago than watch.catch_up")
    return None
