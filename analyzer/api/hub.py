"""One look a second at what has changed, for all streams of this process together."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from analyzer.errors import StoreError
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Entry

PAUSE = 1.0
"""Seconds between two looks."""
LONGEST_PAUSE = 10.0
"""Seconds between two looks at a database that is away, at most."""
PAGE = 200
"""Changes in one look, and so in memory."""
MOST_WAITING = 500
"""Changes that wait for a stream whose reader is slow, before it is cut off; it may go on from where it was."""

_log = logging.getLogger(__name__)


class Subscription:
    """What one stream hears; a context manager. `since` is the position after which it hears of everything."""

    def __init__(self, hub: "Hub", name: str, wants: Callable[[Entry], bool], since: int) -> None:
        self.since = since
        self.name = name
        self._hub = hub
        self._wants = wants
        self._waiting: asyncio.Queue[Entry | None] = asyncio.Queue(MOST_WAITING + 1)
        self._is_open = True

    def tell(self, entry: Entry) -> bool:
        """Of a change, if it is wanted; False: nobody has heard of so many before that it is cut off."""
        if not self._wants(entry):
            return True
        if self._waiting.qsize() >= MOST_WAITING:
            self.end()
            return False
        self._waiting.put_nowait(entry)
        return True

    def end(self) -> None:
        """It hears no more: what waits is heard first, unless it is too slow for that."""
        if self._waiting.qsize() <= MOST_WAITING:
            self._waiting.put_nowait(None)

    async def next(self, seconds: float) -> Entry | None:
        """The next change; None: it was cut off.

        Raises:
            TimeoutError: nothing within that time.
        """
        async with asyncio.timeout(seconds):
            return await self._waiting.get()

    def close(self) -> None:
        """Nobody listens any more."""
        if self._is_open:
            self._is_open = False
            self._hub.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Hub:
    """Looks for changes while anybody listens. Belongs to one event loop."""

    def __init__(self, analyses: Analyses) -> None:
        self._analyses = analyses
        self._listening: set[Subscription] = set()
        self._streams: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._position = 0
        self._pause = PAUSE
        self._starting = asyncio.Lock()
        self.is_closed = False

    def streams(self, name: str) -> int:
        """How many listen under this name."""
        return self._streams[name]

    async def subscribe(self, name: str, wants: Callable[[Entry], bool]) -> Subscription:
        """Hear of changes from now on, until it is closed.

        Raises:
            StoreError: the database does not answer.
        """
        subscription = Subscription(self, name, wants, 0)
        self._streams[name] += 1  # at once: many who come together are many
        try:
            async with self._starting:
                if self._task is None:
                    self._position = await self._analyses.position()
                    self._task = asyncio.create_task(self._look())
        except BaseException:
            subscription.close()
            raise
        subscription.since = self._position
        self._listening.add(subscription)
        if self.is_closed:
            subscription.end()
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """For `Subscription.close`."""
        self._listening.discard(subscription)
        if self._streams[subscription.name] > 1:
            self._streams[subscription.name] -= 1
        else:
            del self._streams[subscription.name]

    def close(self) -> None:
        """End all streams: the process ends."""
        self.is_closed = True
        for subscription in self._listening:
            subscription.end()
        self._listening.clear()

    async def stop(self) -> None:
        """End all streams, and look no more."""
        self.close()
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _look(self) -> None:
        try:
            while self._streams and not self.is_closed:
                pause = await self._look_once()
                await asyncio.sleep(pause)
        except Exception:  # noqa: BLE001 -- whoever listens is told, whatever has happened
            _log.exception("changes are looked for no more, until somebody wants to hear of them again")
        finally:
            self._task = None
            for subscription in self._listening:
                subscription.end()
            self._listening.clear()

    async def _look_once(self) -> float:
        """Tell of what has changed; seconds until there is more to look for."""
        try:
            entries = await self._analyses.changes(self._position, PAGE)
        except StoreError as error:
            _log.warning("changes cannot be looked for, trying again: %s", error)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return self._pause
        self._pause = PAUSE
        self._publish(entries)
        return PAUSE if len(entries) < PAGE else 0.0

    def _publish(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._listening -= {each for each in self._listening if not each.tell(entry)}
            self._position = entry.position
