"""A process that stands still in the middle of a statement, its locks in hand: others wait for it, but not for ever."""

import asyncio
import time

import pytest

from analyzer.errors import StoreUnavailable
from analyzer.store.database import Database
from analyzer.store.switch import Act, Switch
from tests.faults.wire import State, wire
from tests.store.postgresql import PostgreSQL

pytestmark = pytest.mark.anyio


async def test_its_locks_are_taken_from_it(postgresql: PostgreSQL) -> None:
    """Prepared, and never run: PostgreSQL does not call that idle."""
    database = await postgresql.new_database()
    async with wire(postgresql.port) as line, Database.open(database) as direct:
        async with Database.open(database.replace(f":{postgresql.port}/", f":{line.port}/")) as frozen:
            stopped = line.stop_after(b"INSERT INTO acts")
            standing = asyncio.ensure_future(Switch(frozen).take(act("a"), 10, 0.0))
            await asyncio.wait_for(stopped.wait(), 20)
            assert await taken_within(Switch(direct), act("b"), 40.0)
            line.become(State.WHOLE)
            with pytest.raises(StoreUnavailable):  # it wakes, and finds its connection ended
                await standing
        assert await Switch(direct).taken(0.0) == 1


def act(analysis: str) -> Act:
    return Act(1.0, analysis, "shop", "rollback", "command/web")


async def taken_within(switch: Switch, wanted: Act, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while True:
        try:
            return await switch.take(wanted, 10, 0.0)
        except StoreUnavailable:
            if time.monotonic() >= give_up:
                raise
