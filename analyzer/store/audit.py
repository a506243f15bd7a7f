"""Who did what, and when: appended to, never changed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, insert, select

from analyzer.store.database import Database
from analyzer.store.schema import AUDIT


@dataclass(frozen=True)
class Deed:
    """One thing that somebody did. `at` in Unix seconds; `analysis_id` is empty where it is about none; `detail` is a
    sentence. `seq` is given by the store."""

    at: float
    who: str
    what: str
    analysis_id: str = ""
    detail: str = ""
    seq: int = 0


class Audit:
    """The deeds in a database. Every method may raise StoreError, and StoreUnavailable when asking again may help."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, deed: Deed) -> int:
        """Keep it; returns its number once it is on the disk."""
        values = {name: value for name, value in asdict(deed).items() if name != "seq"}
        async with self._database.write() as connection:
            kept = await connection.execute(insert(AUDIT).values(values).returning(AUDIT.c.seq))
            return int(kept.scalar_one())

    async def list(self, analysis_id: str | None = None, before: int | None = None, limit: int = 100) -> Sequence[Deed]:
        """The newest first; `before` is the number of the last one of the page before."""
        wanted = select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(limit)
        if analysis_id is not None:
            wanted = wanted.where(AUDIT.c.analysis_id == analysis_id)
        if before is not None:
            wanted = wanted.where(AUDIT.c.seq < before)
        async with self._database.read() as connection:
            return [Deed(**row) for row in (await connection.execute(wanted)).mappings()]

    async def prune(self, older_than: float) -> int:
        """Remove what was done before that time; how much."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(AUDIT).where(AUDIT.c.at < older_than))).rowcount
