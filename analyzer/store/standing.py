"""Others that stand still in the middle of a statement, with locks in hand.

A process that is frozen within a transaction is ended by `idle_in_transaction_session_timeout`; but not where it has
prepared a statement and not run it yet: PostgreSQL calls that active, though it waits for the client, and no time limit
of its own ends it (`transaction_timeout` does, from version 17 on). Whoever waits for such a lock in vain ends it.
"""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from analyzer.store.address import PATIENCE

# Of the same user and program alone: those are ours to end, and need no further right.
_END = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() "
    "AND application_name = current_setting('application_name') AND state = 'active' AND wait_event = 'ClientRead' "
    "AND query_start < clock_timestamp() - make_interval(secs => :patience)"
)


def is_locked_out(error: DBAPIError) -> bool:
    """Whether PostgreSQL says that a lock was waited for in vain."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


async def end_standing(engine: AsyncEngine) -> None:
    """End the connections of processes that have stood still in a statement for longer than anybody waits for a lock.

    Raises:
        SQLAlchemyError: the database's own.
    """
    async with engine.connect() as connection:
        await connection.execute(_END, {"patience": PATIENCE})
