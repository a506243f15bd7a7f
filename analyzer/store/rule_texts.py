"""The last good text of each rule set of the service's folders: what is used while a file is broken."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from analyzer.store.database import Database
from analyzer.store.schema import RULE_SETS


@dataclass(frozen=True)
class Kept:
    """A text, and when it was kept (Unix seconds)."""

    text: str
    at: float


class RuleTexts:
    """The texts in a database. Every method may raise StoreError, and StoreUnavailable when asking again may help."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[str, Kept]:
        """Every text, by its rule set's name."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(RULE_SETS))
            return {row.name: Kept(row.text, row.at) for row in rows}

    async def get(self, name: str) -> str | None:
        """One of them."""
        async with self._database.read() as connection:
            found = await connection.execute(select(RULE_SETS.c.text).where(RULE_SETS.c.name == name))
            return found.scalar_one_or_none()

    async def keep(self, name: str, text: str, at: float) -> None:
        """Keep this one from now (Unix seconds) on."""
        async with self._database.write() as connection:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            new = {"text": text, "at": at}
            kept = insert(RULE_SETS).values(name=name, **new)
            await connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_=new))

    async def forget(self, name: str) -> None:
        """There is no such rule set any more."""
        async with self._database.write() as connection:
            await connection.execute(delete(RULE_SETS).where(RULE_SETS.c.name == name))
