"""What holds all acts, of all replicas: a switch that people set, and how many acts there have been."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.model.report import ActionResult
from analyzer.store.database import Database
from analyzer.store.entry import State
from analyzer.store.schema import ACTS, ANALYSES, COUNTERS, EVENTS, SWITCHES, TAKEN

ACTIONS = "actions"
"""The name of the one switch that there is."""
_OVER = (ActionResult.DONE, ActionResult.FAILED, ActionResult.HELD)
_ACTED = '"type":"acted"'  # as a receipt's event is written; within a string, quotes are escaped


@dataclass(frozen=True)
class Setting:
    """Where the switch stands: a word that the store does not look into; who set it, why, and when (Unix seconds)."""

    actions: str
    by: str
    why: str
    at: float


@dataclass(frozen=True)
class Act:
    """One act of an analysis. `at` in Unix seconds; `kind` is the act's (rollback, …).

    An analysis acts once, whatever becomes of its process; what is tried again on purpose is another `attempt`.
    """

    at: float
    analysis_id: str
    namespace: str
    kind: str
    target: str
    attempt: int = 1


class Switch:
    """The switch and the acts in a database. Every method may raise StoreError, and StoreUnavailable when asking again
    may help."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self) -> Setting | None:
        """Where it stands; None: nobody has ever set it."""
        wanted = select(SWITCHES).where(SWITCHES.c.name == ACTIONS)
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else Setting(row.value, row.who, row.why, row.at)

    async def set(self, setting: Setting) -> None:
        """Set it; every replica sees it from then on."""
        values = {"value": setting.actions, "who": _plain(setting.by), "why": _plain(setting.why), "at": setting.at}
        async with self._database.write() as connection:
            await _put(connection, SWITCHES, {"name": ACTIONS, **values})

    async def take(
        self, act: Act, most: int, since: float, *, once_since: float | None = None, begun_since: float | None = None
    ) -> bool:
        """Count this act if fewer than `most` were counted after `since`; whether it is counted.

        One that was counted after `since` already, before its process ended, is not counted twice; one that was
        counted earlier counts anew. With `once_since` it is not counted if another analysis has acted on the same
        target after that (see `acted`), and with `begun_since` not while another's act that was counted after that is
        under way on the same target (see `under_way`).
        """
        async with self._database.write() as connection:
            await _alone(connection)
            mine = (ACTS.c.analysis_id == act.analysis_id) & (ACTS.c.attempt == act.attempt)
            counted = (await connection.execute(select(ACTS.c.at).where(mine))).scalar_one_or_none()
            if counted is not None and counted > since:
                return True
            if await _taken(connection, since) >= most:
                return False
            if once_since is not None and await _acted(connection, act, once_since):
                return False
            if begun_since is not None and await _under_way(connection, act, begun_since):
                return False
            await _put(connection, ACTS, asdict(act))
            return True

    async def acted(self, act: Act, since: float) -> str:
        """The other analysis that has acted on the same target after `since`; empty if none has."""
        async with self._database.read() as connection:
            return await _acted(connection, act, since)

    async def under_way(self, act: Act, since: float) -> str:
        """The other analysis whose act on the same target was counted after `since` and has no receipt yet; empty if
        there is none. What has ended, or was removed, is at no act any more."""
        async with self._database.read() as connection:
            return await _under_way(connection, act, since)

    async def taken(self, since: float) -> int:
        """How many acts were counted after `since`."""
        async with self._database.read() as connection:
            return await _taken(connection, since)

    async def prune(self, older_than: float) -> int:
        """Forget the acts that were counted before that time; how many."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(ACTS).where(ACTS.c.at < older_than))).rowcount


async def _alone(connection: AsyncConnection) -> None:
    """Everyone else who wants to count waits until this transaction ends.

    The row is changed, and not only locked: where transactions see the database as it was at their begin (a user's
    default may say so), PostgreSQL then refuses the one that waited, which would count too few.
    """
    raised = update(COUNTERS).where(COUNTERS.c.name == TAKEN).values(value=COUNTERS.c.value + 1)
    (await connection.execute(raised.returning(COUNTERS.c.value))).scalar_one()


async def _taken(connection: AsyncConnection, since: float) -> int:
    counted = select(func.count()).select_from(ACTS).where(ACTS.c.at > since)
    return int((await connection.execute(counted)).scalar_one())


async def _acted(connection: AsyncConnection, act: Act, since: float) -> str:
    others = select(ACTS.c.analysis_id).where(_of_others(act, since)).order_by(ACTS.c.at).limit(1)
    return str((await connection.execute(others)).scalar_one_or_none() or "")


async def _under_way(connection: AsyncConnection, act: Act, since: float) -> str:
    """The row of an analysis says the same (unverified) right before a receipt and after it: its record knows."""
    receipt = select(EVENTS.c.seq).where(EVENTS.c.analysis_id == ACTS.c.analysis_id, EVENTS.c.body.contains(_ACTED))
    others = (
        select(ACTS.c.analysis_id)
        .join(ANALYSES, ANALYSES.c.id == ACTS.c.analysis_id)
        .where(_of_others(act, since), ANALYSES.c.state == State.RUNNING, ANALYSES.c.result.not_in(_OVER))
        .where(~receipt.exists())
        .order_by(ACTS.c.at)
        .limit(1)
    )
    return str((await connection.execute(others)).scalar_one_or_none() or "")


def _of_others(act: Act, since: float) -> ColumnElement[bool]:
    same = (ACTS.c.namespace == act.namespace) & (ACTS.c.target == act.target) & (ACTS.c.at > since)
    return same & (ACTS.c.analysis_id != act.analysis_id)


async def _put(connection: AsyncConnection, table: Table, values: Mapping[str, object]) -> None:
    """A row, or its new values if one with its key is there."""
    key = [column.name for column in table.primary_key]
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    await connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=key, set_=values))


def _plain(text: str) -> str:
    """What a person has written; PostgreSQL takes neither NUL nor half a sign."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
