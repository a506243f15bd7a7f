"""Who works on which analysis: a lease until a time, with a number that goes up by one with each claim."""

from collections.abc import Sequence

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.store.entry import Claim, State
from analyzer.store.schema import ANALYSES

AT_ONCE = 1000
"""Analyses in one statement."""


async def claim(connection: AsyncConnection, owner: str, now: float, until: float, limit: int) -> Sequence[Claim]:
    """Take up to `limit` running analyses that nobody holds now, the oldest first.

    On PostgreSQL, those that somebody else is just taking or writing are left out (SKIP LOCKED); SQLite has one
    writer at a time anyway.
    """
    free = or_(ANALYSES.c.lease_until.is_(None), ANALYSES.c.lease_until <= now)
    found = (
        select(ANALYSES.c.id, ANALYSES.c.lease)
        .where(ANALYSES.c.state == State.RUNNING, free)
        .order_by(ANALYSES.c.created_at, ANALYSES.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claims = [Claim(row.id, row.lease + 1, until) for row in await connection.execute(found)]
    if claims:
        taken = (
            update(ANALYSES)
            .where(ANALYSES.c.id == bindparam("taken"))
            .values(lease=bindparam("number"), lease_owner=owner, lease_until=until)
        )
        await connection.execute(taken, [{"taken": claim.id, "number": claim.lease} for claim in claims])
    return claims


async def renew(connection: AsyncConnection, owner: str, ids: Sequence[str], until: float) -> set[str]:
    """Hold them longer; which of them are still this owner's."""
    held: set[str] = set()
    ids = sorted(set(ids))
    for start in range(0, len(ids), AT_ONCE):
        # Locked in the order in which appends lock them: two that wait for each other would both be refused.
        mine = (
            select(ANALYSES.c.id)
            .where(ANALYSES.c.id.in_(ids[start : start + AT_ONCE]), ANALYSES.c.lease_owner == owner)
            .order_by(ANALYSES.c.id)
            .with_for_update()
        )
        found = list((await connection.execute(mine)).scalars())
        await connection.execute(update(ANALYSES).where(ANALYSES.c.id.in_(found)).values(lease_until=until))
        held.update(found)
    return held


async def release(connection: AsyncConnection, id_: str, lease: int) -> bool:
    """Give it back, for anyone to claim; whether it was held under this number."""
    given = (
        update(ANALYSES)
        .where(ANALYSES.c.id == id_, ANALYSES.c.lease == lease, ANALYSES.c.lease_owner.is_not(None))
        .values(lease_owner=None, lease_until=None)
    )
    return (await connection.execute(given)).rowcount == 1
