"""What is old is removed: analyses by their age and number, then what was done about them, and counted acts."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

from analyzer.engine.ports import Clock
from analyzer.errors import CanaryError
from analyzer.service.brakes import HOUR
from analyzer.service.settings import Settings
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.switch import Switch

EVERY, AGAIN = HOUR, 300.0
"""Seconds between two rounds: after one that came to its end, and after one that did not."""
LONGER = timedelta(days=30)
"""How much longer than analyses the audit is kept: an analysis counts from its end, and what was done about it from
when it was done. No analysis runs for so long."""
COUNTED = 24 * HOUR
"""Seconds for which an act is kept that counts for an hour: the clocks of two databases, before and after a failover,
may differ."""


async def keep_tidy(
    analyses: Analyses,
    audit: Audit,
    switch: Switch,
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    complain: Callable[[str], None],
) -> None:
    """Remove what the settings do not want kept (`keep_for`, `keep_most`), now and every hour, until `stop` is set.

    Running analyses stay. Trouble is told to `complain`, a sentence, and the round is tried again soon. Several
    replicas may do this at the same time.
    """
    while not stop.is_set():
        pause = EVERY
        try:
            await _unless(stop, _tidy(analyses, audit, switch, settings, clock.now()))
        except CanaryError as error:
            complain(f"what is old cannot be removed now: {error}")
            pause = AGAIN
        await _unless(stop, clock.sleep(pause))


async def _tidy(analyses: Analyses, audit: Audit, switch: Switch, settings: Settings, now: float) -> None:
    ended_before = now - settings.keep_for.total_seconds()
    await analyses.prune(older_than=ended_before, keep=settings.keep_most)
    await audit.prune(older_than=ended_before - LONGER.total_seconds())
    await switch.prune(older_than=now - COUNTED)


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, None]) -> None:
    """Do it to its end, or until the stop. A transaction that is cut off by that has not happened."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_heard(stop))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not tasks[0].cancelled():
        tasks[0].result()


async def _heard(stop: asyncio.Event) -> None:
    await stop.wait()
