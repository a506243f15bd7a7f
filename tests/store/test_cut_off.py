"""The engine on the store, its process ended again and again: it ends as if nothing had been, and acts once."""

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analyzer.engine.analysis import Analysis
from analyzer.engine.ports import Ports
from analyzer.engine.replay import judge_again
from analyzer.engine.resumption import restored
from analyzer.engine.runner import Runner
from analyzer.engine.summary import report
from analyzer.errors import LeaseLost
from analyzer.model.event import Ended, Event, WindowRead
from analyzer.model.plan import Plan
from analyzer.model.report import ActionResult, Verdict
from analyzer.store.analyses import Analyses
from analyzer.store.entry import State, Summary
from analyzer.store.record import SqlRecord
from tests.engine.world import START, World, rates
from tests.store.drafts import DONE, following, plain
from tests.store.orders import entry, event

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("url", ["sqlite"], indirect=True)]

Cut = tuple[int, bool]
"""After how many more events a process ends; and whether the last one was still kept."""
_examples = count()


class CutOff(BaseException):
    """The process is no more."""


class Mortal:
    """The engine's record on the store, until the process ends."""

    def __init__(self, record: SqlRecord, cut: Cut) -> None:
        self.record = record
        self.left, self.is_kept = cut

    async def append(self, event: Event) -> None:
        if self.left > 0:
            self.left -= 1
            await self.record.append(event)
            return
        if self.left == 0 and self.is_kept:
            self.left = -1
            await self.record.append(event)
        raise CutOff


def bad_then_good() -> World:
    """Bad until it is taken back; what became of an act the platform knows."""
    world = World(rates(0.05), past=rates(0.001))

    def act() -> None:
        world.source.script = rates(0.001)
        world.platform.settled = DONE

    world.platform.on_act = act
    return world


def number_of_the_receipt() -> int:
    """How many events come before it."""
    world = bad_then_good()
    world.run()
    return [kept.type for kept in world.record.events].index("acted")


DONE_AT = number_of_the_receipt()
"""Cut off there, the act is done and its receipt is lost."""


@dataclass
class Life:
    """One analysis in the store, and the processes that have worked on it."""

    analyses: Analyses
    id: str
    world: World = field(default_factory=bad_then_good)
    plan: Plan = field(init=False)
    dead: list[int] = field(default_factory=list)
    state: Analysis | None = None
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        self.plan = self.world.runner()._plan

    async def go_on(self, cut: Cut) -> bool:
        """Another process takes it over, and works on it until it is cut off; whether there was anything to do."""
        self.world.clock.time += 7
        claims = await self.analyses.claim("any", self.world.clock.time, 0.0, 1)
        if not claims:
            return False
        for lease in self.dead:  # whatever they still say, in their last moment
            with pytest.raises(LeaseLost):
                await self.analyses.append(self.id, lease, [event(1)])
        past = [numbered.event for numbered in await self.analyses.events(self.id)]
        record = SqlRecord(self.analyses, self.id, claims[0].lease, last_seq=len(past), summarise=self.summarise)
        self.dead.append(claims[0].lease)
        world = self.world
        ports = Ports(world.source, world.platform, Mortal(record, cut), world.observer, world.clock)
        self.runner = Runner(self.plan, ports, past=past)
        try:
            await self.runner.run()
        except CutOff:
            return True
        assert plain(self.runner.analysis) == plain(self.state)
        return True

    def summarise(self, event: Event) -> Summary:
        """As it will be with this event."""
        self.state = following(self.runner._analysis, event)
        return Summary.of(report(self.state))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cuts=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=8))
@example(cuts=[(0, False)] * 3)
@example(cuts=[(DONE_AT, False)])
@example(cuts=[(DONE_AT - 1, True), (0, False), (1, False)])
@example(cuts=[(0, True)] * 25)
async def test_it_ends_as_if_nothing_had_been(analyses: Analyses, cuts: list[Cut]) -> None:
    life = Life(analyses, f"example {next(_examples)}")
    await analyses.create(entry(life.id))
    for cut in [*cuts, (10_000, True)]:
        if not await life.go_on(cut):
            break
    numbered = await analyses.events(life.id)
    events = [each.event for each in numbered]
    assert [each.seq for each in numbered] == list(range(1, len(events) + 1))
    assert [kept for kept in events if isinstance(kept, Ended)] == [events[-1]]
    assert plain(restored(events)) == plain(life.state)
    told = report(restored(events))
    assert (told.verdict, told.action.result) == (Verdict.FAIL, ActionResult.DONE)
    assert judge_again(events).model_dump_json() == told.model_dump_json()
    assert len(life.world.platform.intents) == 1
    windows = [kept.reading.window for kept in events if isinstance(kept, WindowRead)]
    assert [each.start for each in windows] == [START + 10 * number for number in range(len(windows))]
    row = await analyses.get(life.id)
    assert (row.state, row.summary) == (State.ENDED, Summary.of(told))
