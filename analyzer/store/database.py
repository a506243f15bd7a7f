"""The way to a database: SQLite in a file, or PostgreSQL."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from analyzer.errors import StoreError
from analyzer.store import migrations
from analyzer.store.address import ANSWER, Address
from analyzer.store.failure import told
from analyzer.store.inspection import Schema, inspect
from analyzer.store.standing import end_standing, is_locked_out
from analyzer.store.turn import Turn


class Database:
    """An open database; make one with `open`."""

    def __init__(self, address: Address, engine: AsyncEngine) -> None:
        self._address = address
        self._engine = engine
        self._writing = engine.execution_options(writes=True)
        self._turn = Turn(address.file) if address.file else None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Open it, bring it to the present schema, and close it at the end.

        `url` is sqlite:///file (sqlite:////file for an absolute path) or postgresql://user:password@host/database,
        with the parameters that libpq knows (sslmode, sslrootcert, several hosts, …).

        Raises:
            UsageError: not such an URL.
            StoreError: it cannot be opened, or its schema is of a later version; StoreUnavailable: not now.
        """
        address = Address.read(url)
        await _upgrade(address)
        async with cls._opened(address) as database:
            yield database

    @classmethod
    @asynccontextmanager
    async def reading(cls, url: str) -> AsyncIterator[Self]:
        """Open it to look only: its schema stays as it is. `url` is as for `open`.

        Raises:
            UsageError: not such an URL.
            StoreError: there is no such database, or its schema is of a later version; StoreUnavailable: not now.
        """
        found = await inspect(url)
        if found.schema == Schema.NONE:
            raise StoreError(f"{found.place}: there is no analysis in it: it is not a database of canary serve")
        if found.schema == Schema.LATER:
            raise StoreError(f"{found.place}: a later version of the canary analyzer has written it: use that one")
        async with cls._opened(Address.read(url)) as database:
            yield database

    @classmethod
    @asynccontextmanager
    async def _opened(cls, address: Address) -> AsyncIterator[Self]:
        engine = address.engine(ANSWER)
        database = cls(address, engine)
        try:
            yield database
        finally:
            await engine.dispose()
            if database._turn:
                database._turn.close()

    @property
    def is_shared(self) -> bool:
        """Whether several processes may share the work on it (PostgreSQL)."""
        return self._engine.dialect.name == "postgresql"

    @property
    def place(self) -> str:
        """Which database it is, for people; without a password."""
        return self._address.place

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One look.

        Raises:
            StoreError: as `analyzer.store.failure` says.
        """
        with told(self._address):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; after its end everything in it is safe on the disk, or nothing has happened.

        Raises:
            StoreError: as `analyzer.store.failure` says. When the connection is lost at the very end, nobody knows
                whether it has happened.
        """
        with told(self._address):
            try:
                async with self._turn or nullcontext(), self._writing.begin() as connection:
                    yield connection
            except DBAPIError as error:
                if is_locked_out(error):
                    await end_standing(self._engine)
                raise

    async def time(self) -> float:
        """The database's own clock, in Unix seconds: one for all replicas, whatever theirs say.

        Raises:
            StoreUnavailable: it cannot be reached now. So this also tells whether it can.
        """
        async with self.read() as connection:
            if not self.is_shared:
                await connection.execute(text("SELECT value FROM counters"))
                return time.time()
            return float((await connection.execute(text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one())


async def _upgrade(address: Address) -> None:
    # On a connection of its own: changing the schema of a large database may take longer than any other statement.
    engine = address.engine(answer=None)
    try:
        with told(address):
            await address.prepare()
            await migrations.upgrade(engine.execution_options(writes=True))
    finally:
        await engine.dispose()
