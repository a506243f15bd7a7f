"""Whatever the order in which owners claim, append, lose and give back: a record is gapless and only the holder's."""

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.errors import LeaseLost
from analyzer.model.event import Ended, Event
from analyzer.store.analyses import Analyses
from tests.store.orders import entry, event

pytestmark = pytest.mark.anyio

OWNERS = ["one", "other", "third"]
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from(OWNERS)),
    st.tuples(st.just("append"), st.sampled_from(OWNERS), st.integers(1, 3)),
    st.tuples(st.just("append again"), st.sampled_from(OWNERS)),
    st.tuples(st.just("renew"), st.sampled_from(OWNERS)),
    st.tuples(st.just("release"), st.sampled_from(OWNERS)),
    st.tuples(st.just("end"), st.sampled_from(OWNERS)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)
TTL = 30.0
_examples = count()


@dataclass
class Model:
    """What must be true of one analysis."""

    id: str
    now: float = 1000.0
    holder: str | None = None
    until: float = 0.0
    lease: int = 0
    over: bool = False
    kept: list[Event] = field(default_factory=list)
    leases: dict[str, int] = field(default_factory=dict)  # the number that each owner believes in
    last: dict[str, tuple[int, list[Event]]] = field(default_factory=dict)  # the last append of each owner


async def claim(analyses: Analyses, model: Model, owner: str) -> None:
    free = not model.over and (model.holder is None or model.until <= model.now)
    claims = [claim for claim in await analyses.claim(owner, model.now, TTL, 100) if claim.id == model.id]
    assert bool(claims) == free
    if free:
        model.lease += 1
        model.holder, model.until = owner, model.now + TTL
        model.leases[owner] = claims[0].lease
        assert claims[0].lease == model.lease


async def append(analyses: Analyses, model: Model, owner: str, events: list[Event]) -> None:
    lease = model.leases.get(owner, 0)
    holds = lease == model.lease and model.holder is not None
    after = len(model.kept)
    try:
        last = await analyses.append(model.id, lease, events, after=after)
    except LeaseLost:
        assert not holds
        return
    assert holds
    model.kept += events
    model.last[owner] = (after, events)
    assert last == len(model.kept)
    if isinstance(events[-1], Ended):
        model.over, model.holder = True, None


async def append_again(analyses: Analyses, model: Model, owner: str) -> None:
    if owner not in model.last:
        return
    after, events = model.last[owner]
    try:
        assert await analyses.append(model.id, model.leases[owner], events, after=after) == after + len(events)
    except LeaseLost:
        assert model.leases[owner] != model.lease


async def step(analyses: Analyses, model: Model, what: tuple[object, ...]) -> None:
    match what:
        case ("claim", str(owner)):
            await claim(analyses, model, owner)
        case ("append", str(owner), int(number)):
            await append(analyses, model, owner, [event(len(model.kept) + n, owner) for n in range(number)])
        case ("append again", str(owner)):
            await append_again(analyses, model, owner)
        case ("renew", str(owner)):
            held = await analyses.renew(owner, [model.id], model.now, TTL)
            assert (model.id in held) == (model.holder == owner)
            if held:
                model.until = model.now + TTL
        case ("release", str(owner)):
            holds = model.holder is not None and model.leases.get(owner, 0) == model.lease
            assert await analyses.release(model.id, model.leases.get(owner, 0)) == holds
            model.holder = None if holds else model.holder
        case ("end", str(owner)):
            await append(analyses, model, owner, [Ended(at=model.now)])
        case ("wait", int(seconds)):
            model.now += seconds


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=25))
async def test_any_interleaving(analyses: Analyses, steps: list[tuple[object, ...]]) -> None:
    model = Model(f"example {next(_examples)}")
    await analyses.create(entry(model.id))
    for what in steps:
        await step(analyses, model, what)
    kept = await analyses.events(model.id)
    assert [one.seq for one in kept] == list(range(1, len(model.kept) + 1))
    assert [one.event for one in kept] == model.kept
    row = await analyses.get(model.id)
    assert (row.last_seq, row.lease, row.lease_owner) == (len(model.kept), model.lease, model.holder)
    if not model.over:  # out of the way of the next example
        (mine,) = (c for c in await analyses.claim("the end", 9e9, TTL, 100) if c.id == model.id)
        await analyses.append(model.id, mine.lease, [Ended(at=9e9)])
