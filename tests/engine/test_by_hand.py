"""Decisions by hand, analyses that are handed on, acts that somebody else withholds, windows on a grid."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from world import DEPLOYMENT, START, Clock, World, rates, rule_set

from analyzer.engine.planning import plan_analysis
from analyzer.engine.replay import judge_again
from analyzer.engine.runner import Runner
from analyzer.errors import LeaseLost
from analyzer.model.event import Command, Commanded, Decided, Ended, Event, Held, Intended, WindowRead
from analyzer.model.reading import Absence, Level, Missing, Side, Window
from analyzer.model.report import ActionResult, Guard, Report, Verdict
from analyzer.model.target import ActionKind, Intent

GOOD, BAD = rates(0.001), rates(0.2)


def said(command: Command) -> Commanded:
    return Commanded(at=0.0, command=command, by="ann", why="I looked", asked_at=START + 1)


def run(world: World, command: Command, after: type[Event] = WindowRead, where: int = 3) -> Report:
    """The command comes right after the event number `where` of that type."""
    runner = world.runner()
    keep = world.record.append
    seen = 0

    async def append(event: Event) -> None:
        nonlocal seen
        await keep(event)
        if isinstance(event, after):
            seen += 1
            if seen == where + 1:
                runner.command(said(command))

    world.record.append = append  # type: ignore[method-assign]
    return asyncio.run(runner.run())


@pytest.mark.parametrize(
    ("command", "verdict", "action", "words"),
    [
        (Command.APPROVE, Verdict.PASS, ActionKind.NONE, "approved by ann: I looked"),
        (Command.REJECT, Verdict.FAIL, ActionKind.ROLLBACK, "rejected by ann: I looked"),
        (Command.ROLLBACK, Verdict.FAIL, ActionKind.ROLLBACK, "ordered back by ann: I looked"),
        (Command.CANCEL, Verdict.INCONCLUSIVE, ActionKind.NONE, "cancelled by ann: I looked"),
    ],
)
def test_a_decision_by_hand(command: Command, verdict: Verdict, action: ActionKind, words: str) -> None:
    world = World(GOOD)
    report = run(world, command)
    assert (report.verdict, report.action.kind) == (verdict, action)
    assert report.reason.startswith(words)
    assert len(world.platform.intents) == (action == ActionKind.ROLLBACK)
    assert isinstance(world.record.events[-1], Ended)
    again = judge_again(world.record.events)
    assert again == report, "a recording judged again obeys again"


def test_reject_does_what_the_rule_set_says_and_rollback_does_not_ask_it() -> None:
    rules = rule_set(onFail="none")
    assert run(World(GOOD, rules), Command.REJECT).action.kind == ActionKind.NONE
    assert run(World(GOOD, rules), Command.ROLLBACK).action.result == ActionResult.DONE


@pytest.mark.parametrize("requests", [1000, 0])
def test_before_anything_is_known_of_the_baseline_a_recovery_cannot_be_seen(requests: int) -> None:
    rules = rule_set(
        [{"metric": "errors"}, {"metric": "memory", "judge": "threshold", "limit": "1Gi"}],
        schedule={"warmup": "30s", "interval": "10s", "minimum": "60s", "deadline": "300s", "baseline": "600s"},
    )
    counts = rates(0.001, requests=requests)

    def script(metric: str, window: Window) -> tuple[Side, Side | None]:
        gone = Missing(why=Absence.NO_SERIES, detail="no series matches")
        return counts(metric, window) if metric == "errors" else (gone, Level(mean=1e6))

    report = run(World(script, rules), Command.ROLLBACK, where=1)
    told = "nothing is known to compare errors with; no data of memory" if requests else "no data of errors, memory"
    assert report.action.result == ActionResult.UNVERIFIED
    assert f"no recovery was seen within 2 min: {told}" in report.reason


def test_a_pass_that_is_watched_can_be_taken_back() -> None:
    world = World(
        GOOD, rule_set(schedule={"interval": "10s", "minimum": "10s", "warmup": "0s", "watchAfterPass": "1h"})
    )
    report = run(world, Command.ROLLBACK, after=Decided, where=0)
    assert (report.verdict, report.action.result) == (Verdict.FAIL, ActionResult.DONE)
    verdicts = [event.verdict for event in world.record.events if isinstance(event, Decided)]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]


@pytest.mark.parametrize("command", [Command.CANCEL, Command.APPROVE])
def test_a_watch_ends_when_it_is_called_off(command: Command) -> None:
    world = World(
        GOOD, rule_set(schedule={"interval": "10s", "minimum": "10s", "warmup": "0s", "watchAfterPass": "1h"})
    )
    report = run(world, command, after=Decided, where=0)
    assert report.verdict == Verdict.PASS
    assert report.as_of < START + 600


def test_an_act_that_has_begun_is_not_cut_in_half() -> None:
    world = World(BAD)
    report = run(world, Command.CANCEL, after=Intended, where=0)
    assert report.verdict == Verdict.FAIL
    assert len(world.platform.intents) == 1
    assert report.receipt is not None


def test_a_dry_run_is_not_taken_back_by_hand_either() -> None:
    world = World(GOOD, acting=False)
    report = run(world, Command.ROLLBACK)
    assert report.action.result == ActionResult.DRY_RUN
    assert not world.platform.intents


def test_a_person_does_not_wait_for_a_source_that_hangs() -> None:
    world = World(GOOD)
    runner = world.runner()

    async def hangs(*_: object) -> object:
        runner.command(said(Command.CANCEL))
        await asyncio.Event().wait()
        raise AssertionError

    world.source.read = hangs  # type: ignore[assignment,method-assign]
    report = asyncio.run(asyncio.wait_for(runner.run(), 30))
    assert report.reason.startswith("cancelled by ann")


def test_the_same_decision_brought_again_after_a_crash_is_heard_once() -> None:
    world = World(GOOD)
    run(world, Command.ROLLBACK)
    cut = next(index for index, event in enumerate(world.record.events) if isinstance(event, Commanded)) + 1
    past, world.record.events = world.record.events[:cut], world.record.events[:cut]
    first = world.runner()
    runner = Runner(first._plan, first._ports, past)
    runner.command(said(Command.ROLLBACK))
    report = asyncio.run(runner.run())
    assert report.action.result == ActionResult.DONE
    assert sum(isinstance(event, Commanded) for event in world.record.events) == 1


def test_what_is_handed_on_is_not_ended_and_goes_on_elsewhere() -> None:
    world = World(BAD)
    runner = world.runner()
    keep = world.record.append

    async def half() -> None:
        running = asyncio.ensure_future(runner.run())

        async def append(event: Event) -> None:
            await keep(event)
            if isinstance(event, WindowRead):
                runner.hand_on()
                running.cancel()

        world.record.append = append  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(half())
    past = list(world.record.events)
    assert not any(isinstance(event, Ended) for event in past)
    world.record.append = keep  # type: ignore[method-assign]
    report = asyncio.run(Runner(runner._plan, runner._ports, past).run())
    assert report.verdict == Verdict.FAIL
    assert len(world.platform.intents) == 1


class Withholding:
    def __init__(self, why: str = "", *, lost: bool = False) -> None:
        self.why, self.lost = why, lost
        self.asked: list[Intent] = []

    async def withheld(self, intent: Intent) -> str:
        self.asked.append(intent)
        return self.why

    def confirm(self) -> None:
        if self.lost:
            raise LeaseLost("somebody else works on it")


def test_an_act_that_is_withheld_is_held_and_says_why() -> None:
    world = World(BAD)
    runner = world.runner()
    runner._ports.permission = Withholding("10 of 10 rollbacks were done within the last hour")
    report = asyncio.run(runner.run())
    assert (report.held_by, report.action.result) == (Guard.STOPPED, ActionResult.HELD)
    assert "10 of 10 rollbacks" in report.reason
    assert not any(isinstance(event, Intended) for event in world.record.events)


def test_without_its_lease_nothing_is_done() -> None:
    world = World(BAD)
    runner = world.runner()
    runner._ports.permission = Withholding(lost=True)
    runner.hand_on()
    with pytest.raises(LeaseLost):
        asyncio.run(runner.run())
    assert not world.platform.intents
    assert isinstance(world.record.events[-1], Intended)
    assert not any(isinstance(event, Held) for event in world.record.events)


@pytest.mark.parametrize("offset", [0.0, 0.25, 3.0, 4.999, 5.0, 7.5, 9.9])
def test_windows_on_a_grid_end_at_multiples_of_the_interval(offset: float) -> None:
    world = World(GOOD, clock=Clock(START + offset))
    first = world.runner()
    plan = plan_analysis(
        id="test",
        rule_set=world.rules,
        parameters={},
        deployment=DEPLOYMENT,
        source=world.source,
        upgraded_at=START + offset,
        started_at=START + offset,
        acting=True,
    ).model_copy(update={"on_grid": True})
    asyncio.run(Runner(plan, replace(first._ports), ()).run())
    windows = world.source.read_windows
    assert all(window.end % 10 == 0 for window in windows if window.end < plan.upgraded_at + 300)
    assert 5 <= windows[0].seconds <= 15
    assert windows[0].start == START + offset
    assert all(later.start == earlier.end for earlier, later in pairwise(windows))
