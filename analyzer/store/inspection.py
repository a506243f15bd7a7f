"""A look at a database before it is opened: nothing in it is changed, and no file is made."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from analyzer.store.address import ANSWER, Address
from analyzer.store.failure import told


class Schema(StrEnum):
    """How the schema of a database compares with the one of this program."""

    NONE = "none"  # it is made when the database is opened
    OLDER = "older"  # it is upgraded when the database is opened
    CURRENT = "current"
    LATER = "later"  # of a later version of the program: the database cannot be opened


@dataclass(frozen=True)
class Inspected:
    """Which database it is, for people, and its schema."""

    place: str
    schema: Schema


async def inspect(url: str) -> Inspected:
    """Look at the database at this URL, as `Database.open` takes it.

    Raises:
        UsageError: not such an URL.
        StoreError: it cannot be opened; StoreUnavailable: not now.
    """
    address = Address.read(url)
    if _is_new(address):
        return Inspected(address.place, Schema.NONE)
    engine = address.engine(ANSWER)
    try:
        with told(address):
            async with engine.connect() as connection:
                return Inspected(address.place, await connection.run_sync(_schema))
    finally:
        await engine.dispose()


def _is_new(address: Address) -> bool:
    return bool(address.file) and not Path(address.file).exists()


def _schema(connection: Connection) -> Schema:
    config = Config()
    config.set_main_option("script_location", "analyzer.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present is None:
        return Schema.NONE
    if present == scripts.get_current_head():
        return Schema.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return Schema.OLDER if present in known else Schema.LATER
