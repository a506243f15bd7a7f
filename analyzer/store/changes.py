"""The order of all changes: each changed analysis gets the next position, and positions become visible in their order.

The counter is one row: who raises it holds it until its transaction ends, so nobody sees position 7 and later a 6.
It is raised last in a transaction, after all rows that it changes are locked: nobody waits for it while holding it.
"""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.store.entry import Entry, entry_of
from analyzer.store.schema import ANALYSES, CHANGES, COUNTERS


async def take_positions(connection: AsyncConnection, number: int) -> range:
    """The next positions, for that many changed analyses; everyone else waits until the transaction ends."""
    raised = (
        update(COUNTERS)
        .where(COUNTERS.c.name == CHANGES)
        .values(value=COUNTERS.c.value + number)
        .returning(COUNTERS.c.value)
    )
    last = (await connection.execute(raised)).scalar_one()
    return range(last - number + 1, last + 1)


async def changed_since(connection: AsyncConnection, after: int, limit: int) -> Sequence[Entry]:
    """The analyses that have changed after that position, each once and as it is now, in the order of their changes."""
    wanted = select(ANALYSES).where(ANALYSES.c.position > after).order_by(ANALYSES.c.position).limit(limit)
    return [entry_of(row) for row in (await connection.execute(wanted)).mappings()]


async def last_position(connection: AsyncConnection) -> int:
    """Where the next changes come after."""
    wanted = select(COUNTERS.c.value).where(COUNTERS.c.name == CHANGES)
    return int((await connection.execute(wanted)).scalar_one())
