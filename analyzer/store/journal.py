"""Appending to the records of analyses: atomic, numbered without a gap, fenced by the lease.

Appends that are asked for while a transaction is under way share the next one: a disk that takes 5 ms for a commit
keeps thousands of events a second.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.errors import LeaseLost, NoAnalysis, StoreError, StoreUnavailable
from analyzer.model.event import EVENT, Ended, Event
from analyzer.store.changes import take_positions
from analyzer.store.database import Database
from analyzer.store.entry import State, Summary
from analyzer.store.schema import ANALYSES, EVENTS

AT_ONCE = 500
"""Appends in one transaction, at most."""

_COLUMNS = (
    *("state", "verdict", "action", "result", "held_by", "reason", "ended_at", "changed_at"),
    *("last_seq", "position", "lease_owner", "lease_until"),
)


@dataclass
class Append:
    """What is to be appended to one analysis, and what has come of it."""

    id: str
    lease: int
    events: Sequence[Event]
    after: int | None
    summary: Summary | None
    bodies: Sequence[str] = field(init=False)
    outcome: int | StoreError | None = None

    def __post_init__(self) -> None:
        """The JSON of the events.

        Raises:
            StoreError: one of them cannot be written as JSON.
        """
        try:
            self.bodies = [EVENT.dump_json(event).decode() for event in self.events]
        except ValueError as error:
            raise StoreError(f"an event of {self.id} cannot be written as JSON: {error}") from error


@dataclass
class _Standing:
    """A row of an analysis, locked, and whether this transaction changes it."""

    row: dict[str, object]
    lease: int
    last_seq: int
    is_over: bool
    is_changed: bool = False


class Journal:
    """Appends to one database, from one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[Append] = []
        self._turn = asyncio.Lock()

    async def append(self, wanted: Append) -> int:
        """See `Analyses.append`."""
        self._waiting.append(wanted)
        try:
            async with self._turn:
                while wanted.outcome is None:
                    await _to_its_end(self._keep_waiting())
        except asyncio.CancelledError:
            if wanted in self._waiting:
                self._waiting.remove(wanted)
            raise
        if isinstance(wanted.outcome, StoreError):
            raise wanted.outcome
        return wanted.outcome

    async def _keep_waiting(self) -> None:
        """Whoever has its turn does the work of all that wait."""
        group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        try:
            await self._keep(group)
        except StoreUnavailable as error:
            for wanted in group:
                wanted.outcome = error
        except Exception:  # noqa: BLE001 -- one that cannot be kept at all must not take the others with it
            for wanted in group:
                await self._keep_alone(wanted)
        finally:  # cut off, at the end of the program: nobody is to wait for ever
            for wanted in group:
                if wanted.outcome is None:
                    wanted.outcome = StoreUnavailable(f"{self._database.place}: the write was cut off")

    async def _keep_alone(self, wanted: Append) -> None:
        try:
            await self._keep([wanted])
        except StoreError as error:
            wanted.outcome = error
        except Exception as error:  # noqa: BLE001 -- the one who waits for it hears of it
            wanted.outcome = StoreError(f"{self._database.place}: the events of {wanted.id} cannot be kept: {error}")

    async def _keep(self, group: Sequence[Append]) -> None:
        async with self._database.write() as connection:
            standings = await _lock(connection, sorted({wanted.id for wanted in group}))
            outcomes = [await _keep_one(connection, wanted, standings.get(wanted.id)) for wanted in group]
            await _write_rows(connection, standings)
        for wanted, outcome in zip(group, outcomes, strict=True):
            wanted.outcome = outcome


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Wait for it also when cancelled: a commit that is cut off may have happened, or not."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _lock(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, _Standing]:
    """The rows, locked in one order: two processes never wait for each other."""
    columns = [ANALYSES.c[name] for name in ("id", "lease", *_COLUMNS)]
    rows = await connection.execute(
        select(*columns).where(ANALYSES.c.id.in_(ids)).order_by(ANALYSES.c.id).with_for_update()
    )
    return {
        row["id"]: _Standing(
            row={name: row[name] for name in _COLUMNS},
            lease=row["lease"],
            last_seq=row["last_seq"],
            is_over=row["state"] == State.ENDED,
        )
        for row in rows.mappings()
    }


async def _keep_one(connection: AsyncConnection, wanted: Append, standing: _Standing | None) -> int | StoreError:
    if standing is None:
        return NoAnalysis(f"there is no analysis {wanted.id}")
    if standing.lease != wanted.lease:
        return LeaseLost(f"another process works on {wanted.id} now (lease {standing.lease}, not {wanted.lease})")
    after = standing.last_seq if wanted.after is None else wanted.after
    if after != standing.last_seq:
        return await _kept_before(connection, wanted, after)
    if standing.is_over:
        return LeaseLost(f"the analysis {wanted.id} is over")
    if standing.row["lease_owner"] is None:
        return LeaseLost(f"nobody works on {wanted.id} now: it is to be claimed first")
    await _insert(connection, wanted, standing)
    _advance(standing, wanted)
    return standing.last_seq


async def _kept_before(connection: AsyncConnection, wanted: Append, after: int) -> int | StoreError:
    """The same append once more, because nobody knew whether it had happened: it had."""
    last = after + len(wanted.events)
    found = (
        select(EVENTS.c.body)
        .where(EVENTS.c.analysis_id == wanted.id, EVENTS.c.seq > after, EVENTS.c.seq <= last)
        .order_by(EVENTS.c.seq)
    )
    if list((await connection.execute(found)).scalars()) == wanted.bodies:
        return last
    return StoreError(f"the record of {wanted.id} has other events after number {after} than those to be appended")


async def _insert(connection: AsyncConnection, wanted: Append, standing: _Standing) -> None:
    rows = [
        {"analysis_id": wanted.id, "seq": seq, "at": event.at, "body": body}
        for seq, (event, body) in enumerate(zip(wanted.events, wanted.bodies, strict=True), start=standing.last_seq + 1)
    ]
    if rows:
        await connection.execute(insert(EVENTS), rows)


def _advance(standing: _Standing, wanted: Append) -> None:
    """The row after these events."""
    standing.last_seq += len(wanted.events)
    standing.is_changed = True
    row = standing.row
    row["last_seq"] = standing.last_seq
    if wanted.summary is not None:
        row.update(wanted.summary.values)
    for event in wanted.events:
        row["changed_at"] = event.at
        if isinstance(event, Ended):
            standing.is_over = True
            row.update(state=State.ENDED, ended_at=event.at, lease_owner=None, lease_until=None)


async def _write_rows(connection: AsyncConnection, standings: dict[str, _Standing]) -> None:
    changed = {id_: standing.row for id_, standing in standings.items() if standing.is_changed}
    if not changed:
        return
    positions = await take_positions(connection, len(changed))
    rows = [
        {"changed": id_, **row, "position": position}
        for (id_, row), position in zip(changed.items(), positions, strict=True)
    ]
    # The parameters bear the columns' names, but for the key of the row itself.
    await connection.execute(
        update(ANALYSES)
        .where(ANALYSES.c.id == bindparam("changed"))
        .values({name: bindparam(name) for name in _COLUMNS}),
        rows,
    )
