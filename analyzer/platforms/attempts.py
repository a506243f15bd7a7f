"""One act of ours, tried again where that may help."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from analyzer.errors import PlatformConflict, PlatformError, PlatformUnavailable
from analyzer.model.target import Receipt


@dataclass(frozen=True)
class Attempts:
    """How often and how long. `conflicts` are writes that met another's; `patience` and `pause` are in seconds."""

    conflicts: int
    patience: float
    pause: float

    async def receipt(
        self, step: Callable[[], Awaitable[Receipt]], failed: Callable[[str], Receipt], away: str
    ) -> Receipt:
        """What the step comes to. A failure is a receipt, made by `failed` of a sentence.

        `away` ends the sentence where the API server did not come back: whether it was begun is not known then.

        Raises:
            LeaseLost: what `step` raises beside errors of a platform.
        """
        give_up, conflicts = time.monotonic() + self.patience, 0
        while True:
            try:
                return await step()
            except PlatformConflict as error:
                conflicts += 1
                if conflicts == self.conflicts:
                    return failed(f"something else keeps changing it at the same time: {error}")
            except PlatformUnavailable as error:  # whether it was done shows when it is back
                if time.monotonic() >= give_up:
                    return failed(f"{error}; {away}")
                await asyncio.sleep(self.pause)
            except PlatformError as error:
                return failed(str(error))
