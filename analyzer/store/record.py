"""The engine's record of one analysis, in a database."""

import asyncio
from collections.abc import Awaitable, Callable

from analyzer.errors import StoreUnavailable
from analyzer.model.event import Event
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Summary

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries of a database that is away: the first, and the longest."""


class SqlRecord:
    """The `Record` port on a database, under a lease.

    `last_seq` is the number of the newest event that this process knows of. While the database is away, `append`
    waits (`complain` is told of each try), and nothing is done that is not recorded. `summarise` gives the row that
    goes with an event, or None where it stays as it is.
    """

    def __init__(
        self,
        analyses: Analyses,
        id_: str,
        lease: int,
        *,
        last_seq: int = 0,
        summarise: Callable[[Event], Summary | None] = lambda _: None,
        complain: Callable[[StoreUnavailable], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._analyses = analyses
        self._id = id_
        self._lease = lease
        self._last_seq = last_seq
        self._summarise = summarise
        self._complain = complain
        self._sleep = sleep

    async def append(self, event: Event) -> None:
        """Keep one event; returns when it is on the disk.

        Raises:
            LeaseLost: another process works on this analysis now, or it is over: stop, and do nothing.
            StoreError: it cannot be kept.
        """
        summary, pause = self._summarise(event), FIRST_PAUSE
        while True:
            try:
                self._last_seq = await self._analyses.append(
                    self._id, self._lease, [event], after=self._last_seq, summary=summary
                )
            except StoreUnavailable as error:
                self._complain(error)
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return
