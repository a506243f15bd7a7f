"""Analyses that are asked for again and again, as they stand: from memory, however slow the database is."""

import asyncio
from collections import OrderedDict

from analyzer.api.hub import Hub, Subscription
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Entry

MOST = 10_000
"""Analyses in memory."""
_NAME = "(polls)"  # among the names of those who listen; no caller has such a one
_LONG = 3600.0  # seconds; whatever: nothing is done when they are over


class Latest:
    """Hears of changes as the streams do, about a second after they are kept. Belongs to one event loop."""

    def __init__(self, hub: Hub, analyses: Analyses) -> None:
        self._hub = hub
        self._analyses = analyses
        self._entries: OrderedDict[str, Entry | None] = OrderedDict()  # None while it is read
        self._following: asyncio.Task[None] | None = None
        self._subscribing = asyncio.Lock()

    async def get(self, id_: str) -> Entry:
        """As it stands; one that was not asked for lately is read.

        Raises:
            NoAnalysis: there is none.
            StoreError: it is not in memory, and the database does not answer.
        """
        if self._following is None:
            await self._begin_to_follow()
        entry = self._entries.get(id_)
        if entry is None:
            return await self._read(id_)
        self._entries.move_to_end(id_)
        return entry

    async def _begin_to_follow(self) -> None:
        async with self._subscribing:
            if self._following is None:
                subscription = await self._hub.subscribe(_NAME, lambda entry: entry.id in self._entries)
                self._entries.clear()  # what was read before has changed unheard
                self._following = asyncio.create_task(self._follow(subscription))

    async def _read(self, id_: str) -> Entry:
        """What is heard of it meanwhile may be newer than what is read."""
        following = self._following
        self._entries.setdefault(id_, None)
        try:
            read = await self._analyses.get(id_)
        except BaseException:
            if self._entries.get(id_) is None:
                self._entries.pop(id_, None)
            raise
        if following is not self._following:
            return read
        heard = self._entries.get(id_)
        entry = heard if heard is not None and heard.position > read.position else read
        self._entries[id_] = entry
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)
        return entry

    async def _follow(self, subscription: Subscription) -> None:
        """Until it is cut off: then all is read anew."""
        try:
            with subscription:
                while (entry := await _next(subscription)) is not None:
                    if entry.id in self._entries:
                        self._entries[entry.id] = entry
        finally:
            self._following = None


async def _next(subscription: Subscription) -> Entry | None:
    while True:
        try:
            return await subscription.next(_LONG)
        except TimeoutError:
            continue
