"""What `canary check --server` asks of a server, and what it makes of the answers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx

from analyzer.cli.answers import Analysis, Garbled, read_analysis, read_events, read_report
from analyzer.cli.event_stream import EventStream, StreamGarbled
from analyzer.cli.patience import Patience
from analyzer.cli.service_connection import Connection, NotSent, ServiceAway, ServiceRefused
from analyzer.model.event import Event
from analyzer.model.order import Order
from analyzer.model.report import Report

T = TypeVar("T")

STREAM_LIFE = 300.0
"""Seconds after which a stream is opened anew, whatever it sends: a change that was lost is seen then."""
EVENTS_AT_ONCE = 100


@dataclass
class Heard:
    """What a stream has told: where to go on from, whether anything has come, and the newest of the analysis."""

    news: Callable[[], None]
    last: str = ""
    anything: bool = False
    analysis: Analysis | None = None

    def take(self, last: str, analysis: Analysis) -> bool:
        """Take a change; whether it was the last one."""
        self.last, self.analysis = last or self.last, analysis
        self.news()
        return analysis.has_ended


class ServiceClient:
    """The analyses of one server. It may be away for as long as `patience` says.

    Every method may raise ServiceAway, ServiceRefused, and UsageError for what cannot be used.
    """

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience
        self._has_answered = False
        self.in_doubt = False
        """Whether an order was sent of which nobody knows whether it has arrived."""

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._connection.url

    def link(self, id_: str) -> str:
        """Where an analysis is."""
        return f"{self.url}/api/v1/analyses/{id_}"

    async def start(self, order: Order, key: str) -> tuple[Analysis, bool]:
        """The analysis that is ordered under this key, and whether it is new. Asking again starts no second one."""
        body = order.model_dump(mode="json", exclude_defaults=True)

        async def ask() -> tuple[Analysis, bool]:
            was_in_doubt, self.in_doubt = self.in_doubt, True
            try:
                status, text = await self._connection.ask("POST", "/api/v1/analyses", body, {"Idempotency-Key": key})
            except (NotSent, ServiceRefused):
                self.in_doubt = was_in_doubt
                raise
            return self._understood(read_analysis, text), status == httpx.codes.CREATED

        return await self._patience.asked(ask)

    async def look(self, id_: str) -> Analysis:
        """The analysis as it is now."""
        return await self._patience.asked(self._read(read_analysis, id_))

    async def report(self, id_: str) -> Report:
        """Its report."""
        return await self._patience.asked(self._read(read_report, id_))

    def _read(self, read: Callable[[bytes], T], id_: str) -> Callable[[], Awaitable[T]]:
        async def ask() -> T:
            _, text = await self._connection.ask("GET", f"/api/v1/analyses/{id_}")
            return self._understood(read, text)

        return ask

    async def events(self, id_: str, after: int) -> tuple[list[tuple[int, Event]], bool]:
        """Some events of its record, and whether there are more. Asked once: who follows it says what is wrong.

        Raises:
            Garbled: they are of a later version.
        """
        place = f"/api/v1/analyses/{id_}/events?after={after}&limit={EVENTS_AT_ONCE}"
        return read_events((await self._connection.ask("GET", place))[1])

    async def cancel(self, id_: str, why: str) -> None:
        """Have it stopped at its next safe point; nothing if it is over, or if something is wanted of it already."""

        async def ask() -> None:
            try:
                await self._connection.ask("POST", f"/api/v1/analyses/{id_}/cancel", {"why": why})
            except ServiceRefused as refusal:
                if refusal.status != httpx.codes.CONFLICT:
                    raise

        await self._patience.asked(ask)

    async def changes(self, id_: str, heard: Heard) -> None:
        """Hear the changes of an analysis after `heard.last`, until it or the stream ends. Opened once.

        Raises:
            StreamGarbled: what comes is no stream of changes: something on the way does not let it through.
        """
        resuming = {"Last-Event-ID": heard.last} if heard.last else {}
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache", **resuming}
        path = f"/api/v1/changes?analysis={id_}"
        with suppress(TimeoutError):
            async with asyncio.timeout(STREAM_LIFE), self._connection.sent("GET", path, headers) as response:
                if _kind(response) != "text/event-stream":
                    raise StreamGarbled("what was to be a stream of events is something else")
                stream = EventStream()
                async for data in response.aiter_raw():
                    heard.anything = True
                    for message in stream.feed(data):
                        if message.event == "analysis" and heard.take(message.id, _changed(message.data, id_)):
                            return

    def _understood(self, read: Callable[[bytes], T], text: bytes) -> T:
        """What was answered. An address that has never answered as it should is a wrong one."""
        try:
            understood = read(text)
        except Garbled as error:
            sentence = f"{self.url} answers something else than a canary server does: {error}"
            raise ServiceAway(sentence) if self._has_answered else ServiceRefused(sentence) from None
        self._has_answered = True
        return understood


def _kind(response: httpx.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _changed(data: str, id_: str) -> Analysis:
    try:
        analysis = read_analysis(data)
    except Garbled as error:
        raise StreamGarbled(str(error)) from None
    if analysis.id != id_:
        raise StreamGarbled("the stream tells of another analysis")
    return analysis
