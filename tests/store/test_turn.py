"""Several processes write to one SQLite database: each gets its turn."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from analyzer.store import turn
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.turn import Turn
from tests.store.orders import entry

pytestmark = pytest.mark.anyio

WITHOUT_A_PAUSE = """
import asyncio, sys
from analyzer.store.changes import take_positions
from analyzer.store.database import Database

async def write(database):
    while True:
        async with database.write() as connection:
            await take_positions(connection, 1)
            await asyncio.sleep(0.005)  # most of the time the lock is held

async def main(file):
    async with Database.open(f"sqlite:///{file}") as database:
        print("open", flush=True)
        await asyncio.gather(*(write(database) for _ in range(4)))

asyncio.run(main(sys.argv[1]))
"""
IN_ITS_TURN = """
import asyncio, sys
from analyzer.store.turn import Turn

async def main(file):
    async with Turn(file):
        print("in it", flush=True)
        await asyncio.sleep(600)

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def running(program: str, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*(sys.executable, "-c", program, str(file)), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60)
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_who_writes_without_a_pause_keeps_nobody_out(tmp_path: Path) -> None:
    file = tmp_path / "canary.db"
    async with running(WITHOUT_A_PAUSE, file), Database.open(f"sqlite:///{file}") as database:
        analyses = Analyses(database)
        before = await analyses.position()
        for number in range(50):
            await analyses.create(entry(f"a{number}"))
        taken_by_the_other = await analyses.position() - before - 50
        # In turn: by SQLite's lock alone it is about ten of the other's for each of ours.
        assert taken_by_the_other <= 150


async def test_who_is_frozen_in_its_turn_delays_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "SOON", 0.05)
    file = tmp_path / "canary.db"
    async with running(IN_ITS_TURN, file) as process, Database.open(f"sqlite:///{file}") as database:
        process.send_signal(signal.SIGSTOP)
        assert (await Analyses(database).create(entry("a")))[1]
        assert (await Analyses(database).create(entry("b")))[1]


async def test_who_is_killed_in_its_turn_gives_it_back(tmp_path: Path) -> None:
    file = tmp_path / "canary.db"
    async with running(IN_ITS_TURN, file):
        pass
    begun = time.monotonic()
    async with Turn(str(file)):
        pass
    assert time.monotonic() - begun < turn.SOON


async def test_who_is_cancelled_in_the_queue_has_left_it(tmp_path: Path) -> None:
    one, other = Turn(str(tmp_path / "canary.db")), Turn(str(tmp_path / "other.db"))
    async with one:
        waiting = asyncio.create_task(one.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(5), one, other:
        pass


async def test_where_no_file_can_be_made_sqlites_own_lock_decides(tmp_path: Path) -> None:
    async with Turn(str(tmp_path / "nowhere" / "canary.db")):
        assert not (tmp_path / "nowhere").exists()
