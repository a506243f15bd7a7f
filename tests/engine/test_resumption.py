"""An analysis that is cut off after any of its events goes on from its record: nothing is lost, nothing done twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from world import DEPLOYMENT, START, Clock, Platform, World, rates, rule_set

from analyzer.engine.ports import Ports
from analyzer.engine.replay import judge_again
from analyzer.engine.runner import Runner
from analyzer.errors import PlatformUnavailable, RecordError
from analyzer.model.event import Event, Planned, WindowRead
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.target import Receipt

DONE = Receipt(ok=True, detail="rolled back to revision 1")


class CutOff(BaseException):
    """The process is no more."""


class Record:
    """Keeps events until the process ends after so many of them."""

    def __init__(self, last: int) -> None:
        self.events: list[Event] = []
        self.last = last

    async def append(self, event: Event) -> None:
        if len(self.events) >= self.last:
            raise CutOff
        self.events.append(event)


def bad_then_good() -> World:
    """Bad until it is taken back."""
    world = World(rates(0.05), past=rates(0.001))

    def act() -> None:
        world.source.script = rates(0.001)

    world.platform.on_act = act
    return world


def cut_off(world: World, last: int) -> list[Event]:
    """The events of a run whose process ended when it had kept this many."""
    record = Record(last)
    runner = world.runner()
    runner._ports = replace(runner._ports, record=record)

    async def go() -> None:
        with pytest.raises(CutOff):
            await runner.run()

    asyncio.run(go())
    assert len(record.events) == last
    return record.events


def resume(world: World, events: Sequence[Event], *, later: float = 7.0, platform: Platform | None = None) -> Report:
    """Go on in a new process, some seconds later."""
    world.clock.time += later
    first = events[0]
    assert isinstance(first, Planned)
    for event in events:
        world.record.events.append(event)
    ports = Ports(world.source, platform or world.platform, world.record, world.observer, world.clock)
    return asyncio.run(Runner(first.plan, ports, past=list(events)).run())


WHOLE = bad_then_good()
WHOLE_REPORT = WHOLE.run()
KINDS = [event.type for event in WHOLE.record.events]


def test_the_whole_run_is_what_the_others_are_compared_with() -> None:
    assert (WHOLE_REPORT.verdict, WHOLE_REPORT.action.result) == (Verdict.FAIL, ActionResult.DONE)
    assert KINDS.count("intended") == KINDS.count("acted") == 1


@pytest.mark.parametrize("last", range(1, len(KINDS)))
def test_wherever_it_is_cut_off_it_ends_the_same(last: int) -> None:
    world = bad_then_good()
    events = cut_off(world, last)
    acted_before = len(world.platform.intents)
    world.platform.settled = DONE if acted_before else None
    report = resume(world, events)
    assert (report.verdict, report.action.result) == (Verdict.FAIL, ActionResult.DONE)
    assert len(world.platform.intents) == 1
    windows = [event.reading.window for event in world.record.events if isinstance(event, WindowRead)]
    assert [each.start for each in windows] == [START + 10 * number for number in range(len(windows))]
    assert judge_again(world.record.events).model_dump_json() == report.model_dump_json()


INTENDED = KINDS.index("intended") + 1


class TestAnActThatWasBegun:
    def test_one_that_was_done_is_not_done_again(self) -> None:
        world = bad_then_good()
        events = cut_off(world, INTENDED)
        platform = Platform(settled=DONE)
        world.source.script = rates(0.001)
        report = resume(world, events, platform=platform)
        assert platform.intents == []
        assert report.action.result == ActionResult.DONE

    def test_one_that_never_came_to_be_is_done_now(self) -> None:
        world = bad_then_good()
        events = cut_off(world, INTENDED)
        platform = Platform(settled=None, on_act=world.platform.on_act)
        report = resume(world, events, platform=platform)
        assert len(platform.intents) == 1
        assert report.action.result == ActionResult.DONE

    def test_one_that_never_came_to_be_is_dropped_if_something_speaks_against_it_now(self) -> None:
        world = bad_then_good()
        events = cut_off(world, INTENDED)
        newer = DEPLOYMENT.model_copy(update={"current": DEPLOYMENT.current.model_copy(update={"number": "3"})})
        platform = Platform(looks=[newer], settled=None)
        report = resume(world, events, platform=platform)
        assert platform.intents == []
        assert report.action.result == ActionResult.HELD

    def test_one_of_which_nobody_knows_is_told_and_not_done_again(self) -> None:
        world = bad_then_good()
        events = cut_off(world, INTENDED)
        platform = Platform(settled=Receipt(ok=False, detail="nobody knows whether it came to its end"))
        report = resume(world, events, platform=platform)
        assert platform.intents == []
        assert report.action.result == ActionResult.FAILED
        assert "nobody knows" in report.reason

    def test_a_platform_that_is_away_is_waited_for(self) -> None:
        world = bad_then_good()
        events = cut_off(world, INTENDED)
        platform = Platform(settled=PlatformUnavailable("away"), on_act=world.platform.on_act)
        before = world.clock.now()
        assert resume(world, events, platform=platform).action.result == ActionResult.DONE
        assert world.clock.now() > before


def test_one_that_has_ended_is_only_told() -> None:
    world = bad_then_good()
    world.run()
    events = list(world.record.events)
    world.record.events.clear()
    assert resume(world, events).verdict == Verdict.FAIL
    assert len(world.record.events) == len(events)


def test_a_source_that_is_away_at_the_start_does_not_end_it() -> None:
    world = bad_then_good()
    events = cut_off(world, KINDS.index("window") + 2)
    until = world.clock.now() + 40
    world.source.away = lambda now: now < until
    assert resume(world, events).verdict == Verdict.FAIL


def test_a_record_without_a_plan_is_no_past() -> None:
    events = WHOLE.record.events[1:]
    ports = Ports(WHOLE.source, Platform(), Record(0), WHOLE.observer, Clock())
    first = WHOLE.record.events[0]
    assert isinstance(first, Planned)
    with pytest.raises(RecordError, match="does not begin with the plan"):
        Runner(first.plan, ports, past=events)


def test_a_pass_that_is_being_watched_goes_on_being_watched() -> None:
    schedule = {"warmup": "10s", "interval": "10s", "minimum": "60s", "deadline": "300s", "watchAfterPass": "10m"}
    world = World(rates(0.05, since=250, requests=20000), rule_set(schedule=schedule))
    kinds = [event.type for event in _whole(schedule).record.events]
    events = cut_off(world, kinds.index("decided") + 3)
    report = resume(world, events)
    assert report.verdict == Verdict.FAIL
    assert len(world.platform.intents) == 1


def _whole(schedule: dict[str, str]) -> World:
    world = World(rates(0.05, since=250, requests=20000), rule_set(schedule=schedule))
    world.run()
    return world
