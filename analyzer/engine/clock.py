"""Wall-clock time, as the machine tells it."""

import asyncio
import time


class SystemClock:
    """The `Clock` port on the machine's own clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""
        await asyncio.sleep(max(0.0, seconds))
