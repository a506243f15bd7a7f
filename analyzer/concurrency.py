"""Several things at once, none of which outlives the wait for them."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    together = asyncio.gather  # for its types: a tuple of the answers, each with its own
else:

    async def together(*asked: Awaitable[Any]) -> list[Any]:
        """The answers to all of them, in order.

        The first that fails ends the others before its error is raised. `asyncio.gather` leaves them running: they go
        on to use connections that their caller has closed meanwhile.
        """
        tasks = [asyncio.ensure_future(each) for each in asked]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
