"""The process that works on analyses: a supervisor, and the end of a channel to the process that answers."""

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from analyzer.errors import CanaryError, UsageError
from analyzer.service.alone import alone
from analyzer.service.channel import Alone, Begin, Channel, Ended, Measure, Measured, Standing, Stop, Wake
from analyzer.service.logs import configure_logs, logger
from analyzer.service.placing import Placing
from analyzer.service.rulesets import RuleSets
from analyzer.service.settings import Settings
from analyzer.service.supervisor import Supervisor
from analyzer.service.telemetry import Telemetry
from analyzer.service.traces import traces_of
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database

LOG = logger(__name__)

EVERY: Final = 1.0
"""Seconds between two words on how it stands."""
COLLECTED: Final = (5_000, 20, 500)
"""Thresholds of the garbage collector. What analyses keep is in no cycles, and with hundreds of them a full collection
takes most of a second, in which nothing else happens: it is to be rare."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""What is for the other process; blocked in this one when it begins."""
_PR_SET_PDEATHSIG: Final = 1


Companion = Callable[[Settings, Placing, Telemetry], Awaitable[None]]
"""What runs beside the supervisor until it is cancelled, and orders analyses by itself."""


def work(settings: Settings, end: socket.socket, parent: int, companion: Companion | None = None) -> int:
    """Work until the other process says to stop; for a process that was forked for it. Returns its exit code."""
    if sys.platform == "linux":  # elsewhere the channel's end is noticed, when this process gets to it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    configure_logs(settings.log.format.value, settings.log.level.value)
    return asyncio.run(_work(settings, end, companion))


async def _work(settings: Settings, end: socket.socket, companion: Companion | None) -> int:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:  # who signals a whole group means the other process, too; ours ends when that one says so
        loop.add_signal_handler(number, lambda: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    channel = await Channel.over(end)
    error: CanaryError | None = None
    try:
        await _serve(settings, channel, companion)
    except UsageError as mistake:
        error = UsageError(str(mistake))  # others than its base may not survive the way to the other process
    except CanaryError as trouble:
        error = CanaryError(str(trouble))
    except EOFError:
        return 1  # the other process has ended before there was anything to do
    except Exception as unforeseen:
        LOG.exception("the supervisor has failed")
        error = CanaryError(f"an error in the analyzer itself: {type(unforeseen).__name__}: {unforeseen}")
    channel.tell(Ended(error))
    await channel.close()
    return 0 if error is None else 1


async def _serve(settings: Settings, channel: Channel, companion: Companion | None) -> None:
    async with AsyncExitStack() as stack:
        url = settings.database.get_secret_value()
        stack.enter_context(alone(url))
        channel.tell(Alone())
        if not isinstance(await channel.hear(), Begin):
            return
        database = await stack.enter_async_context(Database.open(url))
        traces = traces_of(settings.traces)
        stack.callback(traces.shutdown)
        telemetry, stop = Telemetry(traces=traces), asyncio.Event()
        analyses, audit = Analyses(database), Audit(database)
        supervisor = Supervisor(settings, database, analyses, audit, telemetry)
        placing = Placing(settings, database, analyses, audit, RuleSets(settings, database), supervisor.wake)
        gc.freeze()  # what is there by now stays: modules, and what they have made
        gc.set_threshold(*COLLECTED)
        talking = [
            asyncio.create_task(_hear(channel, supervisor, telemetry, stop)),
            asyncio.create_task(_tell(channel, supervisor)),
        ]
        if companion is not None:
            talking.append(asyncio.create_task(_accompany(companion, settings, placing, telemetry)))
        try:
            await supervisor.run(stop)
        finally:
            for task in talking:
                task.cancel()
            await asyncio.wait(talking)


async def _accompany(companion: Companion, settings: Settings, placing: Placing, telemetry: Telemetry) -> None:
    await companion(settings, placing, telemetry)


async def _hear(channel: Channel, supervisor: Supervisor, telemetry: Telemetry, stop: asyncio.Event) -> None:
    while True:
        try:
            message = await channel.hear()
        except EOFError:
            os._exit(1)  # as the other process: at once, and whoever goes on settles what was begun
        match message:
            case Wake():
                supervisor.wake()
            case Stop():
                stop.set()
            case Measure(number):
                channel.tell(Measured(number, telemetry.metrics()))


async def _tell(channel: Channel, supervisor: Supervisor) -> None:
    while True:
        channel.tell(Standing(supervisor.troubles()))
        await asyncio.sleep(EVERY)
