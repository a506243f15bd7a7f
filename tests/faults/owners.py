"""Who works on what, as the database of several replicas tells it."""

import asyncio
import time
from collections.abc import Callable, Mapping

import asyncpg


async def owners(database: str) -> Mapping[str, str | None]:
    """The owner of each analysis that runs."""
    connection = await asyncpg.connect(database, timeout=10)
    try:
        rows = await connection.fetch("SELECT id, lease_owner FROM analyses WHERE state = 'running'", timeout=10)
    finally:
        await connection.close()
    return {row["id"]: row["lease_owner"] for row in rows}


async def owned(
    database: str, holds: Callable[[Mapping[str, str | None]], bool], within: float
) -> Mapping[str, str | None]:
    """The owners, once it is so."""
    give_up = time.monotonic() + within
    while not holds(found := await owners(database)):
        assert time.monotonic() < give_up, f"after {within:g} s the owners are still {found}"
        await asyncio.sleep(0.1)
    return found


async def first_intent(database: str, within: float) -> None:
    """Return right when an intent to act has been kept that has no receipt yet, or after so many seconds."""
    counted = "SELECT count(*) FROM events WHERE body LIKE $1"
    connection = await asyncpg.connect(database, timeout=10)
    try:
        give_up = time.monotonic() + within
        while time.monotonic() < give_up:
            intended = await connection.fetchval(counted, '%"type":"intended"%', timeout=10)
            if intended > await connection.fetchval(counted, '%"type":"acted"%', timeout=10):
                return
            await asyncio.sleep(0.002)
    finally:
        connection.terminate()  # at once: the moment counts
