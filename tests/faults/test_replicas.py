"""Several replicas on one PostgreSQL: one dies, one freezes, one is cut off, all are updated; nothing is lost or done
twice, and who has lost its lease does nothing more."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Length
from tests.faults.customer import Customer, Placed
from tests.faults.owners import first_intent, owned, owners
from tests.faults.serving import Server, serving, settings
from tests.faults.wire import State, Wire, wire
from tests.faults.world import World
from tests.store.postgresql import PostgreSQL

pytestmark = [pytest.mark.anyio, pytest.mark.prometheus]

LEASE = 3.0
MOVED_WITHIN = 15.0
"""Seconds after which a dead replica's analyses are worked on elsewhere, with the default lease of 10 s."""
DONE_WITHIN = 150.0


async def place(
    world: World, customer: Customer, luck: random.Random, name: str, bad: int, good: int, bad_after: float = 0.0
) -> list[Placed]:
    """So many analyses of bad and of good revisions, ordered at once; the bad ones turn bad after so many seconds."""
    times = [*(bad_after + luck.uniform(0.0, 1.0) for _ in range(bad)), *[None] * good]
    orders = [world.order(customer, f"{name}-{number}", bad_after=after) for number, after in enumerate(times)]
    return list(await asyncio.gather(*orders))


async def prove(world: World, customer: Customer, placed: Sequence[Placed]) -> dict[str, int]:
    outcomes = await world.prove(customer, placed, DONE_WITHIN)
    for each in placed:
        world.free(each.name)
    return outcomes


@asynccontextmanager
async def replicas(
    world: World, folder: Path, databases: Sequence[str], lease: float = LEASE
) -> AsyncIterator[list[Server]]:
    """One replica for each URL of the same database, all ready."""
    named = [
        (
            f"replica{number}",
            settings(
                database=database,
                prometheus=world.prometheus.url,
                targets=world.targets,
                rules=world.rules,
                lease=lease,
            ),
        )
        for number, database in enumerate(databases)
    ]
    async with serving(folder, *named) as servers:
        yield servers


async def held_by_one(
    world: World, servers: Sequence[Server], database: str, luck: random.Random, **counts: int
) -> tuple[list[Placed], str]:
    """Analyses that the first replica works on, and its name in the database. The others are ended and start again."""
    for other in servers[1:]:
        await other.end()
    placed = await place(world, Customer(servers[:1]), luck, f"{time.time()}", counts["bad"], counts["good"], 3.5)
    found = await owned(database, lambda found: len(found) == len(placed) and all(found.values()), 10)
    (first,) = set(found.values())
    assert first is not None
    await asyncio.gather(*(other.start() for other in servers[1:]))
    return placed, first


async def test_a_dead_replicas_analyses_move(
    lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random
) -> None:
    database = await postgresql.new_database()
    async with replicas(lived_in, tmp_path, [database] * 2, lease=10) as servers:
        placed, dead = await held_by_one(lived_in, servers, database, luck, bad=4, good=4)
        await servers[0].kill()
        await owned(database, lambda found: all(found.values()) and dead not in found.values(), MOVED_WITHIN)
        await prove(lived_in, Customer(servers), placed)


@pytest.mark.parametrize("count", [2, 3])
async def test_a_frozen_replica_does_nothing_when_it_wakes(
    lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length, count: int
) -> None:
    database = await postgresql.new_database()
    async with replicas(lived_in, tmp_path, [database] * count) as servers:
        for turn in range(int(length.of(1, 5))):
            placed, frozen = await held_by_one(lived_in, servers, database, luck, bad=8, good=2)
            # Half of them between an intent and its act, where it hurts most, as far as that can be met.
            await (asyncio.sleep(luck.uniform(0.0, 3.0)) if (count + turn) % 2 else first_intent(database, 10.0))
            servers[0].freeze()
            others = Customer(servers[1:])
            await owned(database, lambda found, frozen=frozen: frozen not in found.values(), 5 * LEASE)
            if luck.random() < 0.5:  # it wakes while the others still work on what was its own
                servers[0].thaw()
            await others.ended([each.id for each in placed], DONE_WITHIN)
            servers[0].thaw()
            await servers[0].ready()
            await asyncio.sleep(1.0)  # what it would still do, it would do at once
            await prove(lived_in, Customer(servers), placed)


@pytest.mark.parametrize("state", [State.CUT, State.STOPPED_UP])
async def test_a_replica_that_is_cut_off_from_the_database(
    lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length, state: State
) -> None:
    """Its analyses move, it says that it is not ready, does nothing, and comes back."""
    database = await postgresql.new_database()
    async with wire(postgresql.port) as line:
        through = database.replace(f":{postgresql.port}/", f":{line.port}/")
        async with replicas(lived_in, tmp_path, [through, database]) as servers:
            placed, cut_off = await held_by_one(lived_in, servers, database, luck, bad=5, good=3)
            await asyncio.sleep(luck.uniform(0.0, 2.0))
            line.become(state)
            await owned(database, lambda found: cut_off not in found.values(), 5 * LEASE)
            await not_ready(servers[0])
            await asyncio.sleep(length.of(0.0, 60.0))
            outcomes = await prove(lived_in, Customer(servers[1:]), placed)
            assert outcomes["none"] == 3
            line.become(State.WHOLE)
            await servers[0].ready()


async def not_ready(server: Server, within: float = 30.0) -> None:
    give_up = time.monotonic() + within
    while await server.is_ready():
        assert time.monotonic() < give_up, f"{server.name} still says that it is ready"
        await asyncio.sleep(0.1)


async def test_a_rolling_update(lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random) -> None:
    """Each replica hands on what it works on: nobody waits for its lease, which would take longer than the test."""
    database = await postgresql.new_database()
    async with replicas(lived_in, tmp_path, [database] * 2, lease=120) as servers:
        placed = await place(lived_in, Customer(servers), luck, "rolling", bad=4, good=4)
        for server in servers:
            await asyncio.sleep(luck.uniform(0.5, 2.0))
            assert await server.end() == 0
            await server.start()
        assert all((await owned(database, lambda found: all(found.values()), 15)).values())
        await prove(lived_in, Customer(servers), placed)
        assert not await owners(database)


async def break_in_half(line: Wire, luck: random.Random) -> None:
    await asyncio.sleep(luck.uniform(0.0, 0.5))
    line.break_all()


async def test_connections_to_the_database_that_break_again_and_again(
    lived_in: World, postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length
) -> None:
    """Whether a commit has happened is then unknown: nothing is written twice for that."""
    database = await postgresql.new_database()
    async with wire(postgresql.port) as line:
        through = database.replace(f":{postgresql.port}/", f":{line.port}/")
        async with replicas(lived_in, tmp_path, [through]) as servers:
            placed = await place(lived_in, Customer(servers), luck, "breaking", bad=5, good=5)
            for _ in range(int(length.of(10, 60))):
                await break_in_half(line, luck)
            await prove(lived_in, Customer(servers), placed)


async def test_postgresql_that_is_restarted(
    lived_in: World, own_postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length
) -> None:
    database = await own_postgresql.new_database()
    async with replicas(lived_in, tmp_path, [database] * 2) as servers:
        for number in range(int(length.of(1, 5))):
            placed = await place(lived_in, Customer(servers), luck, f"restart-{number}", bad=5, good=3)
            await asyncio.sleep(luck.uniform(0.0, 3.0))
            await asyncio.to_thread(own_postgresql.stop)
            await asyncio.sleep(length.of(1.0, 20.0))
            await asyncio.to_thread(own_postgresql.start)
            await prove(lived_in, Customer(servers), placed)


async def test_postgresql_that_stands_still_for_longer_than_a_lease(
    lived_in: World, own_postgresql: PostgreSQL, tmp_path: Path, luck: random.Random, length: Length
) -> None:
    database = await own_postgresql.new_database()
    async with replicas(lived_in, tmp_path, [database] * 2) as servers:
        placed = await place(lived_in, Customer(servers), luck, "still", bad=5, good=3)
        await asyncio.sleep(luck.uniform(0.0, 3.0))
        own_postgresql.freeze()
        await asyncio.sleep(length.of(2 * LEASE, 40.0))
        own_postgresql.thaw()
        await prove(lived_in, Customer(servers), placed)
