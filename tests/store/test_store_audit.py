"""Who did what."""

from dataclasses import replace

import pytest

from analyzer.store.audit import Audit, Deed
from analyzer.store.database import Database

pytestmark = pytest.mark.anyio


async def test_deeds_are_listed_the_newest_first_in_pages(database: Database) -> None:
    audit = Audit(database)
    who = f"system:serviceaccount:{'n' * 63}:{'s' * 253}"
    deeds = [Deed(float(n), who, "approve", f"a{n % 2}", "because: ü") for n in range(5)]
    kept = [replace(deed, seq=await audit.append(deed)) for deed in deeds]
    assert await audit.list() == kept[::-1]
    page = await audit.list(limit=2)
    assert await audit.list(before=page[-1].seq, limit=2) == kept[2:0:-1]
    assert await audit.list("a1") == [kept[3], kept[1]]


async def test_a_number_is_never_given_twice(database: Database) -> None:
    audit = Audit(database)
    first = await audit.append(Deed(1.0, "ann", "cancel"))
    assert await audit.prune(older_than=2.0) == 1
    assert await audit.append(Deed(3.0, "ann", "cancel")) > first
    assert await audit.prune(older_than=3.0) == 0
