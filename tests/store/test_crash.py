"""kill -9 while appending: what append has returned for is there, in its order, without a gap."""

import asyncio
import sys

import pytest

from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from tests.store.orders import begun, event

pytestmark = pytest.mark.anyio

APPEND = """
import asyncio, sys
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from tests.store.orders import event

async def main(url, lease):
    async with Database.open(url) as database:
        analyses = Analyses(database)

        async def work(id_):
            for number in range(1, 100_000):
                await analyses.append(id_, int(lease), [event(2 * number - 1), event(2 * number)])
                print(id_, 2 * number, flush=True)

        await asyncio.gather(*(work(f"a{n}") for n in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("lines", [1, 37, 200])
async def test_a_prefix_survives(url: str, lines: int) -> None:
    async with Database.open(url) as database:
        (claim, *_) = await begun(Analyses(database), "a0", "a1", "a2", "a3")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", APPEND, url, str(claim.lease)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = [await asyncio.wait_for(process.stdout.readline(), 30) for _ in range(lines)]
    finally:
        process.kill()
    rest, _ = await asyncio.wait_for(process.communicate(), 30)
    told += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    safe = dict.fromkeys((f"a{n}" for n in range(4)), 0)
    for line in told:
        id_, last = line.decode().split()
        safe[id_] = int(last)
    async with Database.open(url) as database:
        analyses = Analyses(database)
        for id_, last in safe.items():
            kept = await analyses.events(id_, limit=100_000)
            assert len(kept) >= last
            assert len(kept) % 2 == 0, "two were appended at once"
            assert [(one.seq, one.event) for one in kept] == [(n, event(n)) for n in range(1, len(kept) + 1)]
            assert (await analyses.get(id_)).last_seq == len(kept)
