"""The engine's record on a database: safe, once, and patient."""

import pytest

from analyzer.errors import LeaseLost, StoreUnavailable
from analyzer.model.event import Ended, Event
from analyzer.store.analyses import Analyses
from analyzer.store.entry import State, Summary
from analyzer.store.record import SqlRecord
from tests.store.orders import begun, event, numbers

pytestmark = pytest.mark.anyio


async def test_it_is_the_engines_record(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    worse = Summary("fail", "rollback", "none", "", "worse")
    record = SqlRecord(analyses, "a", claim.lease, summarise=lambda event: worse if isinstance(event, Ended) else None)
    for kept in (event(1), event(2), Ended(at=3.0)):
        await record.append(kept)
    assert await numbers(analyses, "a") == [1, 2, 3]
    row = await analyses.get("a")
    assert (row.summary, row.state) == (worse, State.ENDED)


async def test_who_goes_on_appends_after_what_is_there(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    await SqlRecord(analyses, "a", claim.lease).append(event(1))
    (claim,) = await analyses.claim("second", 2000.0, 30.0, 1)
    await SqlRecord(analyses, "a", claim.lease, last_seq=1).append(event(2))
    assert await numbers(analyses, "a") == [1, 2]


class AwayAfterwards(Analyses):
    """What it was asked to keep is kept, and the answer is lost on its way; twice."""

    lost = 0

    async def append(self, id_: str, lease: int, events: list[Event], **other: object) -> int:  # type: ignore[override]
        last = await super().append(id_, lease, events, **other)  # type: ignore[arg-type]
        if self.lost < 2:
            self.lost += 1
            raise StoreUnavailable("the connection was lost")
        return last


async def test_an_answer_that_was_lost_makes_no_event_twice(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    complaints: list[str] = []
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    record = SqlRecord(
        AwayAfterwards(analyses._database),
        "a",
        claim.lease,
        complain=lambda error: complaints.append(str(error)),
        sleep=sleep,
    )
    await record.append(event(1))
    await record.append(event(2))
    assert await numbers(analyses, "a") == [1, 2]
    assert complaints == ["the connection was lost"] * 2
    assert pauses == [0.1, 0.2]


async def test_a_lease_that_is_lost_is_told_at_once(analyses: Analyses) -> None:
    (claim,) = await begun(analyses, "a")
    record = SqlRecord(analyses, "a", claim.lease)
    await analyses.claim("second", 2000.0, 30.0, 1)
    with pytest.raises(LeaseLost):
        await record.append(event(1))
