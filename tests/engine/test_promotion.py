"""What a pass leads to, and a pause: acts that take nothing back, so that nothing recovers by them."""

import asyncio

import pytest
from test_by_hand import run
from world import DEPLOYMENT, START, Platform, World, rates, rule_set

from analyzer.engine.guards import hold, preflight
from analyzer.engine.replay import judge_again
from analyzer.model.event import Acted, Command, Decided, Dropped, Ended, Intended, Verified
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.target import ActionKind, Deployment, PlatformKind, Receipt, Stage

GOOD, BAD = rates(0.001), rates(0.2)
ROLLOUT = DEPLOYMENT.model_copy(
    update={"target": DEPLOYMENT.target.model_copy(update={"kind": PlatformKind.ROLLOUT}), "stage": Stage()}
)
WATCH = {"warmup": "10s", "interval": "10s", "minimum": "60s", "deadline": "300s", "watchAfterPass": "100s"}
STOP = Obstacle(guard=Guard.STOPPED, reason="held by hand")


def world(*looks: Deployment, script: object = GOOD, acting: bool = True, **spec: object) -> World:
    platform = Platform(looks=list(looks) or [ROLLOUT], receipt=Receipt(ok=True, detail="web is promoted"))
    rules = rule_set(**{"onPass": "promote", **spec})
    return World(script, rules, deployment=ROLLOUT, platform=platform, acting=acting)  # type: ignore[arg-type]


def summary(report: Report) -> tuple[Verdict, ActionKind, ActionResult]:
    return report.verdict, report.action.kind, report.action.result


def test_what_passes_is_promoted_once_and_at_once() -> None:
    it = world()
    report = it.run()
    assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.DONE)
    assert report.reason.endswith("; web is promoted")
    (intent,) = it.platform.intents
    assert (intent.kind, intent.to_revision) == (ActionKind.PROMOTE, None)
    kinds = [type(event) for event in it.record.events]
    assert kinds[-4:] == [Decided, Intended, Acted, Ended]
    assert judge_again(it.record.events) == report


def test_an_owner_that_would_undo_an_undo_holds_no_promotion() -> None:
    """A Rollout that has come through its steps by itself meanwhile is one that an abort does not take back."""
    owner = Obstacle(guard=Guard.GITOPS_OWNER, reason="Application web would bring it out again")
    report = world(ROLLOUT.model_copy(update={"obstacles": (owner,), "stage": None})).run()
    assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.DONE)
    assert report.held_by is None


def test_a_pass_that_is_watched_is_promoted_after_the_watch() -> None:
    it = world(schedule=WATCH)
    report = it.run()
    assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.DONE)
    decided, acted = (next(one for one in it.record.events if isinstance(one, kind)) for kind in (Decided, Acted))
    assert 100 <= acted.at - decided.at <= 115
    assert judge_again(it.record.events) == report


def test_what_turns_bad_while_it_is_watched_is_taken_back_and_never_promoted() -> None:
    it = world(script=rates(0.2, since=120), schedule=WATCH)
    report = it.run()
    assert (report.verdict, report.action.kind) == (Verdict.FAIL, ActionKind.ROLLBACK)
    assert [intent.kind for intent in it.platform.intents] == [ActionKind.ROLLBACK]
    assert judge_again(it.record.events) == report


def test_a_dry_run_promotes_nothing() -> None:
    it = world(acting=False, schedule=WATCH)
    report = it.run()
    assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.DRY_RUN)
    assert report.reason.endswith("dry run: would promote")
    assert it.platform.intents == []
    assert report.as_of > START + 260  # it was watched all the same


@pytest.mark.parametrize(
    ("now", "guard"),
    [
        (ROLLOUT.model_copy(update={"obstacles": (STOP,)}), Guard.STOPPED),
        (ROLLOUT.model_copy(update={"current": ROLLOUT.current.model_copy(update={"digest": "x"})}), Guard.CHANGED),
    ],
)
def test_guards_hold_a_promotion_as_any_act(now: Deployment, guard: Guard) -> None:
    it = world(ROLLOUT, now)
    report = it.run()
    assert (report.verdict, report.action.kind, report.held_by) == (Verdict.PASS, ActionKind.PROMOTE, guard)
    assert report.action.result == ActionResult.HELD
    assert "; not promoted: " in report.reason
    assert it.platform.intents == []


@pytest.mark.parametrize(
    ("kind", "now", "guard"),
    [
        (ActionKind.ROLLBACK, {"wanted": None}, Guard.NO_WAY_BACK),
        (ActionKind.PROMOTE, {"wanted": None}, None),
        (ActionKind.PROMOTE, {"taken_back": "it was aborted already"}, Guard.SUPERSEDED),
    ],
)
def test_a_way_back_is_needed_to_go_back_alone(kind: ActionKind, now: dict[str, object], guard: Guard | None) -> None:
    it = world()
    it.run()
    held = hold(it.runner()._plan, ROLLOUT.model_copy(update=now), 1.0, kind, actions_on=True)
    assert (held.guard if held else None) == guard


@pytest.mark.parametrize(("command", "promoted"), [(Command.APPROVE, True), (Command.CANCEL, False)])
def test_a_person_ends_the_watch(command: Command, promoted: bool) -> None:
    it = world(schedule=WATCH)
    report = run(it, command, after=Decided, where=0)
    assert report.verdict == Verdict.PASS
    assert [intent.kind for intent in it.platform.intents] == [ActionKind.PROMOTE] * promoted
    assert report.as_of < START + 200  # it passes after 171 s
    assert judge_again(it.record.events) == report


def test_a_promotion_that_was_begun_is_settled_and_not_done_twice() -> None:
    it = world()
    it.run()
    past = it.record.events[: next(n for n, one in enumerate(it.record.events) if isinstance(one, Intended)) + 1]
    for settled, again, kinds in (
        (Receipt(ok=True, detail="web is promoted"), 0, [Acted, Ended]),
        (None, 1, [Dropped, Intended, Acted, Ended]),
    ):
        other = world()
        other.platform.settled = settled
        other.clock.time = past[-1].at
        runner = other.runner()
        resumed = type(runner)(runner._plan, runner._ports, past)
        report = asyncio.run(resumed.run())
        assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.DONE)
        assert len(other.platform.intents) == again
        assert [type(one) for one in other.record.events] == kinds


def test_a_failed_promotion_is_told() -> None:
    it = world()
    it.platform.receipt = Receipt(ok=False, detail="web was not promoted: no")
    report = it.run()
    assert summary(report) == (Verdict.PASS, ActionKind.PROMOTE, ActionResult.FAILED)
    assert report.reason.endswith("web was not promoted: no")


def test_a_pause_takes_nothing_back_and_nothing_is_verified() -> None:
    it = world(script=BAD, onFail="pause")
    it.platform.receipt = Receipt(ok=True, detail="web was paused")
    report = it.run()
    assert summary(report) == (Verdict.FAIL, ActionKind.PAUSE, ActionResult.DONE)
    assert report.seconds_to_recovery is None
    assert not [one for one in it.record.events if isinstance(one, Verified)]
    assert judge_again(it.record.events) == report


@pytest.mark.parametrize(
    ("deployment", "spec", "why"),
    [
        (ROLLOUT, {"onPass": "promote"}, ""),
        (ROLLOUT, {"onFail": "pause"}, ""),
        (DEPLOYMENT, {"onPass": "promote"}, "spec.onPass: promote is not possible for helm/web: write none"),
        (DEPLOYMENT, {"onFail": "pause"}, "spec.onFail: pause is not possible for helm/web: write rollback or none"),
        (
            ROLLOUT.model_copy(update={"stage": None}),
            {"onFail": "pause"},
            "spec.onFail: pause would hold nothing, for no revision of rollout/web is on its way",
        ),
    ],
)
def test_what_a_target_cannot_do_is_told_at_the_start(deployment: Deployment, spec: dict[str, str], why: str) -> None:
    it = World(GOOD, rule_set(**spec), deployment=deployment)
    assert preflight(it.runner()._plan, needs_way_back=True).startswith(why)
    assert bool(preflight(it.runner()._plan, needs_way_back=True)) is bool(why)
