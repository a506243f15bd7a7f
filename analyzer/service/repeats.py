"""Holds back what is said again and again: a database that is away is missed by a thousand analyses at once."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

EACH = 60.0
"""Seconds in which the same warning is let through `MOST` times, whichever analysis it is about."""
MOST = 10
KNOWN = 500
"""Different warnings that are counted at once; beyond them counting begins anew."""


@dataclass
class _Count:
    since: float
    passed: int = 0
    held_back: int = 0


class Repeats(logging.Filter):
    """Lets a warning or an error through unless the same has come too often; the next one says how many it was for."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._counts: dict[tuple[str, ...], _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """As logging asks for it."""
        if record.levelno < logging.WARNING:
            return True
        key, now = _key(record), self._now()
        count = self._counts.get(key)
        if count is None or now >= count.since + EACH:
            if len(self._counts) >= KNOWN:
                self._counts.clear()
            held_back = count.held_back if count else 0
            count = self._counts[key] = _Count(now)
            if held_back and isinstance(record.msg, dict):
                record.msg["held_back"] = held_back
        if count.passed < MOST:
            count.passed += 1
            return True
        count.held_back += 1
        return False


def _key(record: logging.LogRecord) -> tuple[str, ...]:
    """What it says, but not of which analysis: of structlog's lines the event and its reason, of others the text."""
    if isinstance(record.msg, dict):
        return (record.name, *(str(record.msg.get(name, ""))[:300] for name in ("event", "detail", "why", "reason")))
    return (record.name, str(record.msg)[:300])
