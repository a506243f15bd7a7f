"""The state of an analysis is the fold of its record, whoever wrote it and however often its process was ended.

What is not promised: that the verdict does not depend on the order in which different metrics are heard. A failure is
final at the first crossing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.resumption import restored
from analyzer.engine.summary import report
from analyzer.errors import LeaseLost, NoAnalysis, StoreError
from analyzer.judge import assessment as judge
from analyzer.model.event import EVENT, Ended, Event, Planned, WindowRead
from analyzer.model.reading import Buckets, Level, Reading, Side, Window
from analyzer.store.analyses import Analyses
from analyzer.store.entry import State, Summary
from tests.engine.world import START
from tests.store.drafts import PLAN, Draft, counted, drafts, folded, following, measured, plain, sides
from tests.store.orders import entry

OWNERS = ["one", "other", "third"]
TTL = 30.0
_examples = count()


@dataclass
class Process:
    """What one of them has in its memory: a lease, the state, and how far it knows the record."""

    lease: int = 0
    state: Analysis | None = None
    last_seq: int = 0
    last: tuple[int, list[Event], Summary] | None = None  # its last append, and after which number


@dataclass
class Model:
    """What must be true of one analysis: `state` is folded event by event, beside the store."""

    id: str
    now: float = START
    holder: str | None = None
    until: float = 0.0
    lease: int = 0
    over: bool = False
    pruned: bool = False
    kept: list[Event] = field(default_factory=list)
    state: Analysis | None = None
    summary: Summary = field(default_factory=Summary)
    processes: dict[str, Process] = field(default_factory=lambda: {owner: Process() for owner in OWNERS})

    def holds(self, process: Process) -> bool:
        return process.lease == self.lease and self.holder is not None

    def keep(self, events: Sequence[Event], summary: Summary) -> None:
        for event in events:
            self.kept.append(event)
            self.state = following(self.state, event)
            self.summary = summary
            if isinstance(event, Ended):
                self.over, self.holder = True, None


async def claim(analyses: Analyses, model: Model, owner: str) -> None:
    """A process takes it, if nobody has it, and goes on from its record."""
    claims = [claim for claim in await analyses.claim(owner, model.now, TTL, 100) if claim.id == model.id]
    assert bool(claims) == (not model.over and (model.holder is None or model.until <= model.now))
    if not claims:
        return
    model.lease, model.holder, model.until = claims[0].lease, owner, model.now + TTL
    events = [numbered.event for numbered in await analyses.events(model.id)]
    state = restored(events) if events else None
    assert plain(state) == plain(model.state)
    model.processes[owner] = Process(claims[0].lease, state, len(events))


async def take_over(analyses: Analyses, model: Model, owner: str) -> None:
    model.now += TTL
    await claim(analyses, model, owner)


async def crash(_: Analyses, model: Model, owner: str) -> None:
    """It loses its memory, and starts again."""
    model.processes[owner] = Process()


async def append(analyses: Analyses, model: Model, owner: str, made: Sequence[Draft], *, over: bool = False) -> None:
    """A process tells what it has seen after what it knows of: it may not know that it has lost its lease."""
    process = model.processes[owner]
    events: list[Event] = [] if process.state else [Planned(at=model.now, plan=PLAN)]
    state = folded(process.state, events)
    for draft in made:
        model.now += 0.125
        events.append(draft.after(state, model.now))
        state = advance(state, events[-1])
    if over:
        events.append(Ended(at=model.now, cause=f"SIGTERM of {owner}"))
        state = advance(state, events[-1])
    summary = Summary.of(report(state))
    try:
        last = await analyses.append(model.id, process.lease, events, after=process.last_seq, summary=summary)
    except LeaseLost:
        assert not model.holds(process)
    except NoAnalysis:
        assert model.pruned
    else:
        assert model.holds(process)
        assert last == process.last_seq + len(events)
        model.keep(events, summary)
        process.last = process.last_seq, events, summary
        process.state, process.last_seq = state, last


async def append_as_holder(analyses: Analyses, model: Model, made: Sequence[Draft]) -> None:
    if model.holder is not None:
        await append(analyses, model, model.holder, made)


async def end(analyses: Analyses, model: Model, owner: str) -> None:
    await append(analyses, model, owner, [], over=True)


async def append_another(analyses: Analyses, model: Model, owner: str) -> None:
    """Something else in the place of what was kept."""
    await append_again(analyses, model, owner, changed=True)


async def append_again(analyses: Analyses, model: Model, owner: str, *, changed: bool = False) -> None:
    """The answer was lost on its way, and it is asked for once more."""
    process = model.processes[owner]
    if process.last is None:
        return
    after, events, summary = process.last
    if changed:
        events = [*events[:-1], Ended(at=0.0, cause="another")]
    try:
        last = await analyses.append(model.id, process.lease, events, after=after, summary=replace(summary, reason="?"))
    except LeaseLost:
        assert process.lease != model.lease
    except NoAnalysis:
        assert model.pruned
    except StoreError as error:
        assert changed
        assert "other events after number" in str(error)  # noqa: PT017 -- whether it is raised depends on the draw
    else:
        assert not changed
        assert last == after + len(events)


async def prune(analyses: Analyses, model: Model) -> None:
    """Those that are over are removed, whole; others are not touched."""
    assert await analyses.prune(older_than=9e15) == (model.over and not model.pruned)
    model.pruned = model.over


async def check(analyses: Analyses, model: Model) -> None:
    numbered = await analyses.events(model.id)
    if model.pruned:
        assert numbered == []
        with pytest.raises(NoAnalysis):
            await analyses.get(model.id)
        return
    events = [each.event for each in numbered]
    assert [each.seq for each in numbered] == list(range(1, len(model.kept) + 1))
    assert events == [EVENT.validate_json(EVENT.dump_json(event)) for event in model.kept]
    row = await analyses.get(model.id)
    assert (row.state == State.ENDED) == model.over == any(isinstance(event, Ended) for event in events)
    assert not any(isinstance(event, Ended) for event in events[:-1])
    assert (row.last_seq, row.lease, row.lease_owner) == (len(events), model.lease, model.holder)
    assert row.summary == model.summary
    if events:
        state = restored(events)
        assert plain(state) == plain(model.state)
        assert row.summary == Summary.of(report(state))


owners = st.sampled_from(OWNERS)
seen = st.lists(drafts, min_size=1, max_size=4)
STEPS = st.one_of(
    st.tuples(st.just(claim), owners),
    st.tuples(st.just(take_over), owners),
    st.tuples(st.just(append), owners, seen),
    st.tuples(st.just(append_as_holder), seen),
    st.tuples(st.just(append_as_holder), seen),
    st.tuples(st.just(append_again), owners),
    st.tuples(st.just(append_another), owners),
    st.tuples(st.just(crash), owners),
    st.tuples(st.just(end), owners),
    st.tuples(st.just(prune)),
)


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
async def test_the_state_is_the_fold_of_the_record_whoever_writes(
    analyses: Analyses, steps: list[tuple[Any, ...]]
) -> None:
    await out_of_the_way(analyses)
    model = Model(f"example {next(_examples)}")
    await analyses.create(entry(model.id))
    await claim(analyses, model, "one")
    for do, *how in steps:
        await do(analyses, model, *how)
    await check(analyses, model)


async def out_of_the_way(analyses: Analyses) -> None:
    """What the example before has left."""
    for left in await analyses.claim("the end", 9e15, TTL, 100):
        await analyses.append(left.id, left.lease, [Ended(at=START)])
    await analyses.prune(older_than=9e15)


BEGUN = Planned(at=START, plan=PLAN)


@settings(max_examples=100)
@given(made=st.lists(drafts, max_size=25), data=st.data())
def test_a_window_that_is_heard_twice_changes_nothing(made: list[Draft], data: st.DataObject) -> None:
    """Not even when much has happened in between."""
    events: list[Event] = [BEGUN]
    state = begin(BEGUN)
    for number, draft in enumerate(made):
        events.append(draft.after(state, START + number))
        state = advance(state, events[-1])
    windows = [event for event in events if isinstance(event, WindowRead)]
    if windows:
        again = data.draw(st.sampled_from(windows))
        assert plain(advance(state, again)) == plain(state)


@settings(max_examples=60)
@given(
    errors=st.lists(st.tuples(sides, sides), min_size=1, max_size=10),
    memory=st.lists(st.tuples(sides, sides), min_size=1, max_size=10),
    first=st.tuples(counted, measured),
    data=st.data(),
)
def test_what_a_rule_has_heard_is_its_own_metrics_whatever_came_between(
    errors: list[tuple[Side, Side]], memory: list[tuple[Side, Side]], first: tuple[Side, Side], data: st.DataObject
) -> None:
    """Once both serve, which tells when the warm-up ends. The verdict is the same where neither order has crossed."""
    queues = {
        "errors": [_heard("errors", number, *pair) for number, pair in enumerate([(first[0], first[0]), *errors])],
        "memory": [_heard("memory", number, *pair) for number, pair in enumerate([(first[1], first[1]), *memory])],
    }
    turns = [metric for metric, queue in queues.items() for _ in queue]
    one, other = (_interleaved(queues, order) for order in (turns, data.draw(st.permutations(turns))))
    assert plain(one.progress) == plain({metric: other.progress[metric] for metric in one.progress})
    assert plain(one.assessment.states) == plain(other.assessment.states)
    if not one.assessment.failed and not other.assessment.failed:
        assert judge.standing(one.assessment) == judge.standing(other.assessment)


def _heard(metric: str, number: int, canary: Side, baseline: Side) -> WindowRead:
    window = Window(start=START + 10 * number, end=START + 10 * (number + 1))
    return WindowRead(at=window.end, reading=Reading(metric=metric, window=window, canary=canary, baseline=baseline))


def _interleaved(queues: dict[str, list[WindowRead]], turns: Sequence[str]) -> Analysis:
    rests = {metric: iter(queue) for metric, queue in queues.items()}
    return folded(begin(BEGUN), [next(rests[metric]) for metric in turns])


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("side", [Buckets(bounds=(0.1, inf), counts=(3.0, 1.0)), Level(mean=inf)])
async def test_what_is_infinite_is_read_back(analyses: Analyses, side: Side) -> None:
    """The last bucket of every histogram is."""
    await analyses.create(entry("a"))
    (claimed,) = await analyses.claim("one", START, TTL, 1)
    events = [BEGUN, _heard("memory", 0, side, side)]
    await analyses.append("a", claimed.lease, events)
    assert [numbered.event for numbered in await analyses.events("a")] == events
