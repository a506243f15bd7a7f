"""All analyses that were ordered: found by their rows, told by their events, worked on under a lease."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from pydantic import ValidationError
from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.errors import NoAnalysis, RecordError
from analyzer.model.event import EVENT, Event
from analyzer.store import changes, finding, leases
from analyzer.store.database import Database
from analyzer.store.entry import (
    Claim,
    Decision,
    Entry,
    Numbered,
    State,
    Summary,
    decision_of,
    decision_text,
    entry_of,
    values_of,
)
from analyzer.store.finding import Filter, Page
from analyzer.store.journal import Append, Journal
from analyzer.store.schema import ANALYSES, EVENTS

PRUNED_AT_ONCE = 100
"""Analyses that are removed in one transaction: others want to write, too."""


class Analyses:
    """The analyses in a database. Every method may raise StoreError, and StoreUnavailable when asking again may help.

    Times are Unix seconds. Make one of these for a database in a process: appends of all tasks share their commits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._journal = Journal(database)

    async def create(self, entry: Entry) -> tuple[Entry, bool]:
        """Keep what was ordered; or what was ordered first under this key, and False."""
        async with self._database.write() as connection:
            made = await _insert(connection, entry)
            if made:
                await _change(connection, entry.id, changed_at=entry.created_at)
            row = (await connection.execute(select(ANALYSES).where(ANALYSES.c.key == entry.key))).mappings().one()
            return entry_of(row), made

    async def is_ordered(self, key: str) -> bool:
        """Whether there is one that was ordered under this key."""
        async with self._database.read() as connection:
            found = await connection.execute(select(ANALYSES.c.id).where(ANALYSES.c.key == key))
            return found.one_or_none() is not None

    async def get(self, id_: str) -> Entry:
        """The row of an analysis.

        Raises:
            NoAnalysis: there is none.
        """
        async with self._database.read() as connection:
            row = (await connection.execute(select(ANALYSES).where(ANALYSES.c.id == id_))).mappings().one_or_none()
        if row is None:
            raise NoAnalysis(f"there is no analysis {id_}")
        return entry_of(row)

    async def find(self, filter_: Filter | None = None, after: str | None = None, limit: int = 50) -> Page:
        """A page of them, newest first; `after` is the cursor of the page before.

        Raises:
            UsageError: not a cursor.
        """
        async with self._database.read() as connection:
            return await finding.find(connection, filter_ or Filter(), after, limit)

    async def count(self, filter_: Filter) -> int:
        """How many there are."""
        async with self._database.read() as connection:
            return await finding.count(connection, filter_)

    async def append(
        self, id_: str, lease: int, events: Sequence[Event], *, after: int | None = None, summary: Summary | None = None
    ) -> int:
        """Keep these events, all or none, and the row that goes with them; returns their last number.

        When it returns, they are on the disk. An Ended event ends the analysis and gives its lease back. `after` is
        the number after which they come: with it, an append of which nobody knows whether it has happened may be asked
        for again. One that was begun is brought to its end also when the task that waits for it is cancelled.

        Raises:
            LeaseLost: the analysis is worked on under another lease now, or is over; nothing was kept.
            NoAnalysis: there is none.
            StoreError: other events come after `after`.
        """
        return await self._journal.append(Append(id_, lease, events, after, summary))

    async def events(self, id_: str, after: int = 0, limit: int = 1000) -> Sequence[Numbered]:
        """Its events after that number, in order; none if there is no such analysis.

        Raises:
            RecordError: one of them cannot be read: a later version has written it, or it was changed by hand.
        """
        wanted = (
            select(EVENTS.c.seq, EVENTS.c.body)
            .where(EVENTS.c.analysis_id == id_, EVENTS.c.seq > after)
            .order_by(EVENTS.c.seq)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(wanted)).all()
        return [_numbered(id_, row.seq, row.body) for row in rows]

    async def pages(self, id_: str, after: int = 0, limit: int = 1000) -> AsyncIterator[Sequence[Numbered]]:
        """All of its events after that number, in order, in pages of at most `limit`; see `events`."""
        full = True
        while full and (page := await self.events(id_, after, limit)):
            after, full = page[-1].seq, len(page) == limit
            yield page

    async def changes(self, after: int, limit: int = 500) -> Sequence[Entry]:
        """The analyses that have changed after that position, each once, as it is now, in the order of their changes.

        The last one's `position` is where to go on from. No change is missed, whoever writes at the same time.
        """
        async with self._database.read() as connection:
            return await changes.changed_since(connection, after, limit)

    async def position(self) -> int:
        """The position of the newest change, for who wants to hear only of what comes."""
        async with self._database.read() as connection:
            return await changes.last_position(connection)

    async def claim(self, owner: str, now: float, ttl: float, limit: int) -> Sequence[Claim]:
        """Take up to `limit` running analyses that nobody holds at `now`, the oldest first, for `ttl` seconds.

        `owner` names this process and no other, also none before it.
        """
        async with self._database.write() as connection:
            return await leases.claim(connection, owner, now, now + ttl, limit)

    async def renew(self, owner: str, ids: Sequence[str], now: float, ttl: float) -> set[str]:
        """Hold them for `ttl` seconds from `now`; returns those that are still this owner's."""
        async with self._database.write() as connection:
            return await leases.renew(connection, owner, ids, now + ttl)

    async def release(self, id_: str, lease: int) -> bool:
        """Give it back for anyone to claim; False if it was not held under this number."""
        async with self._database.write() as connection:
            return await leases.release(connection, id_, lease)

    async def ask(self, id_: str, decision: Decision) -> bool:
        """Leave a decision by hand for who works on it; False if it is over, or another decision waits already."""
        async with self._database.write() as connection:
            free = (ANALYSES.c.state == State.RUNNING) & ANALYSES.c.asked.is_(None)
            asked = update(ANALYSES).where(ANALYSES.c.id == id_, free).values(asked=decision_text(decision))
            if (await connection.execute(asked)).rowcount == 0:
                return False
            await _change(connection, id_, changed_at=decision.at)
            return True

    async def asked(self, id_: str) -> Decision | None:
        """The decision that waits."""
        return (await self.get(id_)).asked

    async def asked_of(self, owner: str) -> dict[str, Decision]:
        """The decisions that wait for this owner, by analysis."""
        wanted = select(ANALYSES.c.id, ANALYSES.c.asked).where(
            ANALYSES.c.lease_owner == owner, ANALYSES.c.asked.is_not(None)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(wanted)).all()
        return {row.id: decision for row in rows if (decision := decision_of(row.asked)) is not None}

    async def answer(self, id_: str, lease: int) -> bool:
        """What was decided by hand is carried out: another decision may come. False under another lease.

        To be called after its events are kept: a process that ends before is followed by one that looks at it again.
        """
        async with self._database.write() as connection:
            mine = (ANALYSES.c.id == id_) & (ANALYSES.c.lease == lease)
            done = (await connection.execute(update(ANALYSES).where(mine).values(asked=None))).rowcount == 1
            if done:
                await _change(connection, id_)
            return done

    async def prune(self, older_than: float | None = None, keep: int | None = None) -> int:
        """Remove analyses that ended before `older_than`, and all but the `keep` that ended last; how many.

        Those that run are never removed.
        """
        removed = 0
        while ids := await self._prune_some(older_than, keep):
            removed += len(ids)
        return removed

    async def _prune_some(self, older_than: float | None, keep: int | None) -> Sequence[str]:
        async with self._database.write() as connection:
            newest_first = select(ANALYSES.c.id).where(ANALYSES.c.state == State.ENDED)
            newest_first = newest_first.order_by(ANALYSES.c.ended_at.desc(), ANALYSES.c.id.desc())
            conditions = []
            if older_than is not None:
                conditions.append(ANALYSES.c.ended_at < older_than)
            if keep is not None:
                conditions.append(ANALYSES.c.id.not_in(newest_first.limit(keep)))
            if not conditions:
                return ()
            some = select(ANALYSES.c.id).where(ANALYSES.c.state == State.ENDED, or_(*conditions))
            some = some.order_by(ANALYSES.c.id).limit(PRUNED_AT_ONCE).with_for_update()
            ids = list((await connection.execute(some)).scalars())
            await connection.execute(delete(EVENTS).where(EVENTS.c.analysis_id.in_(ids)))
            await connection.execute(delete(ANALYSES).where(ANALYSES.c.id.in_(ids)))
            return ids


async def _insert(connection: AsyncConnection, entry: Entry) -> bool:
    """Whether it was inserted, and not already there under its key."""
    values = values_of(replace(entry, changed_at=entry.created_at))
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    made = insert(ANALYSES).values(values).on_conflict_do_nothing(index_elements=["key"]).returning(ANALYSES.c.id)
    return (await connection.execute(made)).one_or_none() is not None


async def _change(connection: AsyncConnection, id_: str, **values: float) -> None:
    """Give a row, which this transaction has locked, the next position."""
    (position,) = await changes.take_positions(connection, 1)
    await connection.execute(update(ANALYSES).where(ANALYSES.c.id == id_).values(position=position, **values))


def _numbered(id_: str, seq: int, body: str) -> Numbered:
    try:
        return Numbered(seq, EVENT.validate_json(body))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"event {seq} of {id_} cannot be read: {place}: {first['msg']}") from error
