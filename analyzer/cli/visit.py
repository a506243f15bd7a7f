"""One visit to a server: an analysis is ordered there or found, followed to its end, or left when a signal comes."""

import asyncio
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from analyzer.cli.exits import SIGNALS
from analyzer.cli.following import Following, Progress
from analyzer.cli.patience import Patience
from analyzer.cli.progress import observer
from analyzer.cli.server_access import OnInterrupt, ServerAccess
from analyzer.cli.service_client import ServiceClient
from analyzer.cli.service_connection import Connection, ServiceAway, ServiceRefused
from analyzer.cli.streams import tell
from analyzer.engine.ports import Observer
from analyzer.errors import CanaryError
from analyzer.model.order import Order
from analyzer.model.report import Report

GRACE = 5.0
"""Seconds after a signal in which it is found out whether an order has arrived."""
WHY = "canary check was interrupted"


@dataclass(frozen=True)
class Wish:
    """What is wanted of a server: a new analysis under a key (none: one of its own), or the one called `attach`.

    `patience` (seconds) is how long the server may be away in one go.
    """

    order: Order | None
    attach: str | None
    key: str | None
    on_interrupt: OnInterrupt
    patience: float


class Signals:
    """The names of the first signal and of the second; to be made in a running loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[str] = loop.create_future()
        self.second: asyncio.Future[str] = loop.create_future()

    def take(self, name: str) -> None:
        """One has come."""
        which = self.second if self.first.done() else self.first
        if not which.done():
            which.set_result(name)

    @property
    def stopped_by(self) -> str:
        """The first; empty if none has come."""
        return self.first.result() if self.first.done() else ""


class _Left(Exception):  # noqa: N818 -- an end, not an error
    """The command ends before the analysis does; it is told already."""


async def pay(access: ServerAccess, wish: Wish) -> tuple[Report | None, str]:
    """The report, None if this has ended before the analysis, and the name of the signal that came, or nothing.

    Raises:
        CanaryError: a sentence for the user.
    """
    with _signals() as signals:
        async with Connection(access) as connection:
            client = ServiceClient(connection, Patience(wish.patience, say))
            visit = _Visit(client, wish, signals)
            try:
                return await visit.report(), signals.stopped_by
            except _Left:
                return None, signals.stopped_by
            except (ServiceAway, ServiceRefused) as error:
                sentence = f"{error}{visit.how_to_look}"
                if not signals.stopped_by:
                    raise CanaryError(sentence) from error
                say(f"stopped by {signals.stopped_by}; {sentence}")
                return None, signals.stopped_by


class _Visit:
    def __init__(self, client: ServiceClient, wish: Wish, signals: Signals) -> None:
        self._client = client
        self._wish = wish
        self._signals = signals
        self._key = wish.key or secrets.token_hex(16)
        self._id = wish.attach or ""

    @property
    def how_to_look(self) -> str:
        """Where the analysis is, as the end of a sentence; empty while there is none."""
        if not self._id:
            return ""
        again = f"canary check --server {self._client.url} --attach {self._id}"
        return f": {self._client.link(self._id)}; to follow it: {again}"

    async def report(self) -> Report:
        """The report of the analysis when it has ended.

        Raises:
            _Left: this has ended before.
            CanaryError: a sentence for the user.
        """
        if self._wish.order is not None:
            await self._begin(self._wish.order)
        with observer() as shown:
            ending = asyncio.ensure_future(self._end(shown))
            try:
                await _first_of(ending, self._signals.first)
                if not ending.done():
                    await self._interrupted(ending)
                return await ending
            finally:
                await _over(ending)

    async def _begin(self, order: Order) -> None:
        starting = asyncio.ensure_future(self._client.start(order, self._key))
        try:
            await _first_of(starting, self._signals.first)
            if not starting.done() and self._client.in_doubt:
                say(f"{self._signals.stopped_by}: finding out whether the order has arrived")
                await _first_of(starting, self._signals.second, within=GRACE)
            if not starting.done():
                self._leave_before()
            analysis, is_new = await starting
        finally:
            await _over(starting)
        self._id = analysis.id
        found = "" if is_new else " (it was ordered before under this key)"
        say(f"analysis {self._id}{found}: {self._client.link(self._id)}")

    def _leave_before(self) -> None:
        stopped = f"stopped by {self._signals.stopped_by} before the analysis began"
        if self._client.in_doubt:
            say(f"{stopped}, as far as is known: the same command with --key {self._key} finds it, if it has")
        else:
            say(f"{stopped}; nothing was done")
        raise _Left

    async def _end(self, shown: Observer) -> Report:
        await Following(self._client, Progress(self._client, self._id, shown)).end(self._id)
        return await self._client.report(self._id)

    async def _interrupted(self, ending: asyncio.Future[Report]) -> None:
        """After the first signal: returns when the analysis has ended.

        Raises:
            _Left: it goes on without us.
        """
        name = self._signals.stopped_by
        if self._wish.on_interrupt == OnInterrupt.DETACH:
            say(f"stopped by {name}; analysis {self._id} goes on{self.how_to_look}")
            raise _Left
        say(f"{name}: stopping the analysis at its next safe point; once more leaves at once")
        cancelling = asyncio.ensure_future(self._client.cancel(self._id, WHY))
        try:
            await _first_of(cancelling, ending, self._signals.second)
            if cancelling.done() and not ending.done() and (error := cancelling.exception()) is not None:
                say(f"stopped by {name}; analysis {self._id} could not be stopped: {error}{self.how_to_look}")
                raise _Left
            await _first_of(ending, self._signals.second)
            if not ending.done():
                asked = "was asked to stop" if cancelling.done() else "may go on"
                say(f"stopped by {name}; analysis {self._id} {asked}{self.how_to_look}")
                raise _Left
        finally:
            await _over(cancelling)


@contextmanager
def _signals() -> Iterator[Signals]:
    loop, signals = asyncio.get_running_loop(), Signals()
    for name in SIGNALS:
        loop.add_signal_handler(signal.Signals[name], signals.take, name)
    try:
        yield signals
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(signal.Signals[name])


async def _first_of(*waits: asyncio.Future[Any], within: float | None = None) -> None:
    await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)


async def _over(task: asyncio.Future[Any]) -> None:
    """End a task, whatever comes of it: who wanted that has looked already."""
    task.cancel()
    with suppress(asyncio.CancelledError, CanaryError):
        await task


def say(sentence: str) -> None:
    """A sentence for the user, beside the report."""
    tell(f"canary: {sentence}")
