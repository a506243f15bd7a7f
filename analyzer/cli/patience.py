"""Asking a server again while it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from analyzer.cli.service_connection import ServiceAway
from analyzer.model.units import show_duration

T = TypeVar("T")

LONGEST_PAUSE = 15.0
"""Seconds between two tries, at most, unless the server asks for more."""
LONGEST_WISH = 60.0
"""Seconds of a server's Retry-After that are believed."""


class Patience:
    """How long a server may be away in one go, in seconds; `say` is told once when it goes, and when it is back."""

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._say = say
        self._since: float | None = None  # monotonic seconds
        self._tries = 0

    async def asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is answered, after as many tries as it takes.

        Raises:
            ServiceAway: it is away for longer.
        """
        while True:
            try:
                answer = await ask()
            except ServiceAway as away:
                await self.bear(away)
            else:
                self.answered()
                return answer

    def answered(self) -> None:
        """It is there; say so if it was away."""
        if self._since is not None:
            self._say("the server answers again")
        self._since, self._tries = None, 0

    async def bear(self, away: ServiceAway) -> None:
        """Wait before the next try.

        Raises:
            ServiceAway: it is away for longer.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(f"{away}; trying again for up to {show_duration(self._seconds)}")
        left = self._since + self._seconds - now
        if left <= 0:
            raise ServiceAway(f"{away}; given up after {show_duration(self._seconds)} (--server-patience)") from away
        self._tries += 1
        pause = min(LONGEST_PAUSE, 0.25 * 2.0 ** min(self._tries, 10))
        await asyncio.sleep(min(max(pause, min(away.pause, LONGEST_WISH)), left))
