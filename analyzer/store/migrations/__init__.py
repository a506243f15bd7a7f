"""From any earlier schema to the present one, in one transaction.

A revision is a file in `versions`. While a rolling update of the service lasts, replicas of the version before work on
the new schema: a revision adds (with defaults), and a later version's revision removes what nobody uses any more.
"""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from analyzer.errors import StoreError

LOCK = 0x63616E617279
"""The advisory lock of PostgreSQL under which a schema is changed: replicas that start together wait for each other."""


async def upgrade(engine: AsyncEngine, to: str = "head") -> None:
    """Bring the database to the present schema (or to the revision `to`); nothing happens if it is there.

    Raises:
        StoreError: the schema is of a later version of the program.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, to)


def _upgrade(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", "analyzer.store:migrations")
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    if _is_current(connection, scripts, to):
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    if not _is_current(connection, scripts, to):  # another replica may have done it meanwhile
        command.upgrade(config, to)


def _is_current(connection: Connection, scripts: ScriptDirectory, to: str) -> bool:
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if present is not None and present not in known:
        raise StoreError(
            f"its schema ({present}) is of a later version of the canary analyzer: use that one, or a new database"
        )
    return present == scripts.as_revision_number(to)
