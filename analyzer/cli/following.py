"""Following an analysis on a server: by its changes, or by asking again where those do not come through."""

import asyncio
import time
from contextlib import suppress

from analyzer.cli.answers import Analysis
from analyzer.cli.event_stream import StreamGarbled
from analyzer.cli.patience import LONGEST_WISH
from analyzer.cli.service_client import Heard, ServiceClient
from analyzer.cli.service_connection import ServiceAway, ServiceRefused
from analyzer.engine.analysis import Analysis as State
from analyzer.engine.analysis import advance, begin
from analyzer.engine.ports import Observer
from analyzer.engine.summary import report
from analyzer.model.event import Event, Planned

ASKED_EVERY = 2.0
"""Seconds between two questions where no stream comes through."""
OPENED_EVERY = 0.5
"""Seconds between two streams: one that ends at once, again and again, is no busy loop."""
LAST_LOOK = 10.0
"""Seconds for what is still to be shown when all is over."""
SHOWN_EVERY = 1.0
"""Seconds between two looks at the record, at least."""
EMPTY_STREAMS = 3
"""So many streams in a row that end without a byte are none."""
KEPT_BACK = 30.0
"""Seconds without a byte after which something on the way keeps them: the server sends some every 15 s."""


class Progress:
    """Shows a running analysis as a local one is shown: its events are fetched, folded, and told to the observer.

    What goes wrong here ends nothing: progress is not worth an analysis.
    """

    def __init__(self, client: ServiceClient, id_: str, observer: Observer) -> None:
        self._client = client
        self._id = id_
        self._observer = observer
        self._state: State | None = None
        self._seen = 0
        self._news = asyncio.Event()
        self._is_known = True

    def news(self) -> None:
        """There is something to look at."""
        self._news.set()

    async def show(self) -> None:
        """Show what comes, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(max(SHOWN_EVERY, await self.catch_up()))

    async def catch_up(self) -> float:
        """Show all that there is; seconds that the server wishes to be left alone."""
        more = self._is_known
        while more:
            try:
                events, more = await self._client.events(self._id, self._seen)
                new = [(number, event) for number, event in events if number > self._seen]
                for number, event in new:
                    self._seen = number
                    self._take(event)
                more = more and bool(new)
            except ServiceAway as away:
                self._news.set()  # whoever follows says so
                return min(away.pause, LONGEST_WISH)
            except Exception:  # noqa: BLE001 -- a record of another version; the report tells it all
                self._is_known = more = False
        return 0.0

    def _take(self, event: Event) -> None:
        if self._state is None:
            if not isinstance(event, Planned):
                return
            self._state = begin(event)
        else:
            self._state = advance(self._state, event)
        state = self._state
        self._observer.changed(lambda: report(state), event)


class Following:
    """Waits for the end of one analysis."""

    def __init__(self, client: ServiceClient, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self._last = ""
        self._has_stream = True
        self._empty = 0

    async def end(self, id_: str) -> Analysis:
        """The analysis when it has ended.

        Raises:
            CanaryError: the server is away for longer than is borne, or does not tell of it any more.
        """
        showing = asyncio.ensure_future(self._progress.show())
        try:
            while not (analysis := await self._client.look(id_)).has_ended:
                self._progress.news()
                analysis = await self._wait(id_, analysis)
                if analysis.has_ended:
                    break
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK):
                await self._progress.catch_up()
        return analysis

    async def _wait(self, id_: str, analysis: Analysis) -> Analysis:
        """The analysis after some changes, or some time."""
        if not self._has_stream:
            await asyncio.sleep(ASKED_EVERY)
            return analysis
        heard, began = Heard(self._progress.news, self._last), time.monotonic()
        try:
            await self._client.changes(id_, heard)
        except (StreamGarbled, ServiceRefused):
            self._has_stream = False
        except ServiceAway:
            pass  # it was cut off, or never began: the next look tells whether the whole server is away
        self._last = heard.last
        if heard.anything:
            self._empty = 0
        else:
            self._empty += 1
            self._has_stream &= self._empty < EMPTY_STREAMS and time.monotonic() - began < KEPT_BACK
        analysis = heard.analysis or analysis
        if not analysis.has_ended:
            await asyncio.sleep(OPENED_EVERY)
        return analysis
