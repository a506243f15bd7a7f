"""Customers who order without end while their server is killed again and again, acts among what is cut off."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.faults.acts import SECONDS
from tests.faults.customer import Customer, Placed
from tests.faults.serving import Server, serving, settings
from tests.faults.world import World

AT_ONCE = 8
"""Analyses that run at any time."""
DONE_WITHIN = 240.0
"""Seconds for one analysis, with the server away again and again."""


class Customers:
    """`AT_ONCE` customers, each of which orders one analysis after the other, and looks at what became of it."""

    def __init__(self, world: World, server: Server, luck: random.Random) -> None:
        self._world, self._luck = world, luck
        self._customer = Customer([server])
        self._enough = asyncio.Event()
        self.placed: list[Placed] = []
        self.outcomes: Counter[str] = Counter()

    @asynccontextmanager
    async def ordering(self) -> AsyncIterator[None]:
        """On the way out everything ordered is brought to its end, and proven."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(self._order_and_prove(number))
            yield
            self._enough.set()
        known = await self._customer.listed()
        assert known.keys() == {each.id for each in self.placed}, "lost, or more analyses than were ordered"

    async def _order_and_prove(self, customer: int) -> None:
        number = 0
        while not self._enough.is_set():
            bad_after = self._luck.uniform(0.0, 4.0) if self._luck.random() < 0.7 else None
            placed = await self._world.order(self._customer, f"{customer}-{number}", bad_after=bad_after)
            self.placed.append(placed)
            self.outcomes.update(await self._world.prove(self._customer, [placed], DONE_WITHIN))
            self._world.free(placed.name)
            number += 1


async def kill_again_and_again(world: World, database: str, folder: Path, luck: random.Random, kills: int) -> None:
    """So many times; then what was ordered is brought to its end, and proven."""
    in_the_act = 0
    wanted = settings(database=database, prometheus=world.prometheus.url, targets=world.targets, rules=world.rules)
    async with serving(folder, ("server", wanted)) as (server,):
        customers = Customers(world, server, luck)
        async with customers.ordering():
            for number in range(kills):
                await (wait_for_an_act(world, luck) if number % 2 else asyncio.sleep(luck.uniform(0.0, 2.0)))
                in_the_act += bool(world.acts.under_way())
                await server.kill(with_children=luck.random() < 0.3)
                await server.start(until_ready=luck.random() < 0.8)
    print(f"{kills} kills, {in_the_act} of them in an act; {len(customers.placed)} analyses: {customers.outcomes}")  # noqa: T201
    assert in_the_act >= kills / 5, "too few of the kills have met an act"
    assert customers.outcomes["none"] > 0
    assert customers.outcomes["done"] + customers.outcomes["unknown"] > kills / 2


async def wait_for_an_act(world: World, luck: random.Random) -> None:
    """Until somewhere within the next act; not for ever, for after a kill all may have to begin anew."""
    give_up = time.monotonic() + 8
    while not world.acts.under_way() and time.monotonic() < give_up:  # noqa: ASYNC110 -- a file
        await asyncio.sleep(0.02)
    await asyncio.sleep(luck.uniform(0.0, 0.8 * SECONDS))
