"""One process works on an analysis at a time, and an old one's writes are kept out."""

import asyncio
import sys

import pytest

from analyzer.errors import LeaseLost
from analyzer.model.event import Ended
from analyzer.store import leases
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from analyzer.store.entry import Claim, Decision, DecisionKind
from tests.store.orders import begun, entry, event, numbers

pytestmark = pytest.mark.anyio


async def test_a_claim_takes_what_nobody_holds_the_oldest_first(analyses: Analyses) -> None:
    for number in (3, 1, 2):
        await analyses.create(entry(f"a{number}", created_at=float(number)))
    assert await analyses.claim("one", 10.0, 30.0, 2) == [Claim("a1", 1, 40.0), Claim("a2", 1, 40.0)]
    assert await analyses.claim("other", 10.0, 30.0, 2) == [Claim("a3", 1, 40.0)]
    assert await analyses.claim("third", 39.9, 30.0, 2) == []
    row = await analyses.get("a1")
    assert (row.lease_owner, row.lease_until, row.lease) == ("one", 40.0, 1)


async def test_a_lease_that_ended_is_taken_over_and_its_owner_kept_out(analyses: Analyses) -> None:
    (old,) = await begun(analyses, "a")
    (new,) = await analyses.claim("second", 1030.0, 30.0, 5)
    assert (old.lease, new.lease) == (1, 2)
    with pytest.raises(LeaseLost, match=r"another process works on a now \(lease 2, not 1\)"):
        await analyses.append("a", old.lease, [event(1), Ended(at=2.0)])
    assert await analyses.renew("first", ["a"], 1031.0, 30.0) == set()
    assert not await analyses.release("a", old.lease)
    assert not await analyses.answer("a", old.lease)
    assert await analyses.append("a", new.lease, [event(3)]) == 1


async def test_renewing_holds_what_is_still_held(analyses: Analyses) -> None:
    claims = await begun(analyses, "a", "b", "c")
    await analyses.release("b", claims[1].lease)
    await analyses.append("c", claims[2].lease, [Ended(at=5.0)])
    assert await analyses.renew("first", ["a", "b", "c", "nobody"], 1020.0, 30.0) == {"a"}
    assert [claim.id for claim in await analyses.claim("second", 1040.0, 30.0, 9)] == ["b"]
    assert await analyses.renew("first", [], 1020.0, 30.0) == set()


async def test_many_are_renewed_in_parts(analyses: Analyses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "AT_ONCE", 3)
    claims = await begun(analyses, *(f"a{n}" for n in range(10)))
    assert await analyses.renew("first", [c.id for c in claims], 1020.0, 30.0) == {c.id for c in claims}
    assert await analyses.claim("second", 1049.0, 30.0, 9) == []


async def test_what_was_released_goes_to_the_next(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    assert await analyses.release("a", claim.lease)
    assert not await analyses.release("a", claim.lease)
    assert await analyses.claim("first", 1000.0, 30.0, 1) == [Claim("a", 2, 1030.0)]


async def test_a_decision_by_hand_waits_until_it_is_carried_out(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    cancel = Decision(DecisionKind.CANCEL, by="ann@example.org", why="not needed: ü \x00", at=1001.5)
    approve = Decision(DecisionKind.APPROVE, by="bob", why="", at=1002.0)
    assert await analyses.asked("a") is None
    assert await analyses.ask("a", cancel)
    assert not await analyses.ask("a", approve)
    assert await analyses.asked("a") == cancel
    assert await analyses.asked_of("first") == {"a": cancel}
    assert await analyses.asked_of("second") == {}
    assert await analyses.answer("a", claim.lease)
    assert await analyses.asked("a") is None
    assert await analyses.ask("a", approve)
    await analyses.append("a", claim.lease, [Ended(at=1003.0)])
    assert await analyses.answer("a", claim.lease)
    assert not await analyses.ask("a", cancel)
    assert not await analyses.ask("nobody", cancel)


async def test_many_claim_at_once_and_none_twice(url: str) -> None:
    async with Database.open(url) as one, Database.open(url) as other:
        stores = [Analyses(one), Analyses(other)]
        for number in range(60):
            await stores[0].create(entry(f"a{number}"))
        taken: list[str] = []
        while len(taken) < 60:
            rounds = await asyncio.gather(*(stores[n % 2].claim(f"owner {n}", 1.0, 9.0, 4) for n in range(8)))
            taken += [claim.id for claims in rounds for claim in claims]
        assert len(set(taken)) == len(taken) == 60


CLAIM = """
import asyncio, sys
from analyzer.store.analyses import Analyses
from analyzer.store.database import Database
from tests.store.orders import event

async def main(url, owner):
    async with Database.open(url) as database:
        analyses = Analyses(database)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        claims = await analyses.claim(owner, 1000.0, 30.0, 3)
        print("claimed", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        while claims:
            for claim in claims:
                await analyses.append(claim.id, claim.lease, [event(1, owner)])
                print(claim.id, flush=True)
            claims = await analyses.claim(owner, 1000.0, 30.0, 3)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_share_the_work_and_none_is_done_twice(url: str) -> None:
    async with Database.open(url) as database:
        analyses = Analyses(database)
        for number in range(60):
            await analyses.create(entry(f"a{number}"))
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CLAIM, url, f"process {number}"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for number in range(2)
        ]
        try:
            for said in (b"ready\n", b"claimed\n"):
                for process in processes:
                    assert process.stdout is not None
                    assert process.stdin is not None
                    assert await asyncio.wait_for(process.stdout.readline(), 30) == said
                for process in processes:
                    process.stdin.write(b"go\n")
            outputs = await asyncio.wait_for(asyncio.gather(*(p.communicate() for p in processes)), 60)
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        done = [output.decode().split() for output, _ in outputs]
        assert sorted(done[0] + done[1]) == sorted(f"a{n}" for n in range(60))
        assert all(done), "both have worked"
        for number in range(60):
            assert await numbers(analyses, f"a{number}") == [1]
