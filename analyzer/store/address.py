"""Where a database is, and how its connections are made."""

import asyncio
import re
import sqlite3
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analyzer.errors import StoreError, UsageError

PATIENCE = 5.0
"""Seconds that a write waits for another process's lock, and that PostgreSQL lets a transaction stand still: a process
that is frozen in one would hold up all others."""
START = 20.0
"""Seconds that who opens an SQLite database waits for another process's lock: that one may be changing the schema."""
ANSWER = 15.0
"""Seconds in which PostgreSQL must answer a statement."""
CONNECT = 10.0
"""Seconds in which PostgreSQL must take a connection."""

_PASSWORDS = ("password", "sslpassword")
_HOW = "sqlite:///file or postgresql://user@host/database"


@dataclass(frozen=True)
class Address:
    """Which database. `place` says it to people; none of the `secrets` may ever be shown.

    `file` is that of an SQLite database; empty: a PostgreSQL, which several processes can share.
    """

    place: str
    secrets: tuple[str, ...]
    file: str = ""
    _dsn: str = ""

    @classmethod
    def read(cls, url: str) -> Self:
        """From an URL, as `Database.open` takes it.

        Raises:
            UsageError: not such an URL. The sentence does not repeat it: there may be a password in it.
        """
        scheme, separator, rest = url.strip().partition("://")
        match scheme.partition("+")[0]:
            case "sqlite":
                return cls._of_sqlite(rest)
            case "postgresql" | "postgres" if not separator:  # else that would be the one at its usual place
                raise UsageError(f"the database's URL cannot be read: {_HOW}")
            case "postgresql" | "postgres":
                return cls._of_postgresql(f"postgresql://{rest}")
        raise UsageError(f"the database's URL begins with neither sqlite: nor postgresql:; give {_HOW}")

    @classmethod
    def _of_sqlite(cls, rest: str) -> Self:
        file = unquote(rest[1:])
        if not re.fullmatch(r"/[^?#:]+", rest) or re.search(r"[:\0]", file):
            raise UsageError("the database's URL names no file: sqlite:///canary.db, or sqlite:////data/canary.db")
        return cls(place=f"the SQLite file {file}", secrets=(), file=file)

    @classmethod
    def _of_postgresql(cls, url: str) -> Self:
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query)
            written = [parts.password or "", *(value for name in _PASSWORDS for value in query.get(name, ()))]
        except ValueError:
            raise UsageError(f"the database's URL cannot be read: {_HOW}") from None
        host = parts.netloc.rpartition("@")[2] or ", ".join(query.get("host", ())) or "its usual place"
        place = f"PostgreSQL at {host}, database {unquote(parts.path[1:]) or 'of its user'}"
        secrets = {*written, *(unquote(secret) for secret in written)} - {""}
        return cls(place=place, secrets=tuple(sorted(secrets, key=len, reverse=True)), _dsn=url)

    async def prepare(self) -> None:
        """What is done once: an SQLite file is made, if there is none, and gets its journal of writes ahead (WAL).

        Raises:
            StoreError: it cannot have one; sqlite3's own errors when it cannot be opened, or not be written.
        """
        if self.file:
            await asyncio.to_thread(_write_ahead, self.file, self.place)

    def engine(self, answer: float | None) -> AsyncEngine:
        """Connections to it, none of them made yet; a statement must be answered in `answer` seconds.

        In a transaction on an engine with the execution option `writes`, SQLite's lock is taken at once.
        """
        return (
            _sqlite(self.file, START if answer is None else PATIENCE) if self.file else _postgresql(self._dsn, answer)
        )


def _write_ahead(file: str, place: str) -> None:
    connection = sqlite3.connect(file, timeout=START)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        # A file that may only be read is opened all the same, and even BEGIN IMMEDIATE is taken for a reader's.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    if mode != "wal":
        raise StoreError(f"{place}: its file system has no shared memory (NFS?): put the file on a local disk")


def _sqlite(file: str, patience: float) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=file)  # as text, its signs would be decoded once more
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": patience})
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 -- the driver's, as SQLAlchemy wraps it
    """Every commit is on the disk itself when it returns (FULL).

    NORMAL would survive the end of this process too, but not the machine's: an intent to roll back could be lost
    after the rollback was done, and it would be done again. Appends that wait together share one commit.
    """
    try:
        connection.isolation_level = None  # no transaction but those that `_begin_sqlite` begins
        for setting in ("synchronous = FULL", "foreign_keys = ON"):
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {setting}")
            cursor.close()
    except BaseException:
        connection.close()  # nobody else does: its thread would stay
        raise


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    # A transaction that begins as a reader's and then writes is refused at once if another has written: no waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(dsn: str, answer: float | None) -> AsyncEngine:
    async def connect() -> Any:  # noqa: ANN401 -- asyncpg carries no types
        try:
            connection = await asyncpg.connect(dsn, timeout=CONNECT, command_timeout=answer)
        except ValueError:  # its text may show the address, and so the password
            raise UsageError(f"the database's URL is wrong in its port or in a parameter; give {_HOW}") from None
        await connection.execute(
            f"SET lock_timeout = '{PATIENCE}s';"
            f"SET idle_in_transaction_session_timeout = '{PATIENCE}s';"
            "SET application_name = 'canary-analyzer';"
            # Whatever this user's default is: what was committed must survive.
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        return connection

    return create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, hide_parameters=True, pool_pre_ping=True, pool_timeout=ANSWER
    )
