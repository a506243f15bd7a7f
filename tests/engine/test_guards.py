"""Guards: the first that speaks holds, what is foreseen is told from the start, and what is told holds nothing."""

import pytest
from world import DEPLOYMENT, Platform, Script, World, rates, revision, rule_set

from analyzer.engine.guards import hold
from analyzer.engine.replay import judge_again
from analyzer.model.event import WindowRead
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.target import ActionKind, Deployment

MIGRATION = Obstacle(guard=Guard.MIGRATION, reason="the hook Job web-migrate looks like a migration")
STORM = Obstacle(guard=Guard.STORM, reason="4 other releases fail")
DRIFT = "ConfigMap flags was changed"


def deployment(**more: object) -> Deployment:
    return DEPLOYMENT.model_copy(update=more)


BAD, GOOD, THIN = rates(0.05), rates(0.001), rates(0.0012, requests=60)


def world(at_start: Deployment, later: Deployment | None = None, script: Script = BAD, **more: object) -> World:
    return World(script, deployment=at_start, platform=Platform([later or at_start]), **more)  # type: ignore[arg-type] # the fields of a world


def about(report: Report, text: str) -> list[str]:
    return [warning for warning in report.warnings if text in warning]


@pytest.mark.parametrize("guard", [Guard.MIGRATION, Guard.GITOPS_OWNER, Guard.STORM, Guard.STOPPED])
def test_an_obstacle_holds_by_its_guard(guard: Guard) -> None:
    it = world(deployment(), deployment(obstacles=(Obstacle(guard=guard, reason="because"),)))
    report = it.run()
    assert (report.verdict, report.action.kind) == (Verdict.FAIL, ActionKind.ROLLBACK)
    assert (report.action.result, report.held_by) == (ActionResult.HELD, guard)
    assert "not taken back: because" in report.reason
    assert it.platform.intents == []


@pytest.mark.parametrize(
    ("now", "guard"),
    [
        (deployment(), None),
        (deployment(obstacles=(MIGRATION, STORM)), Guard.MIGRATION),
        (deployment(obstacles=(STORM, MIGRATION)), Guard.STORM),
        (deployment(obstacles=(MIGRATION,), current=revision(3)), Guard.SUPERSEDED),
        (deployment(obstacles=(MIGRATION,), in_progress="pending-upgrade"), Guard.SUPERSEDED),
        (deployment(obstacles=(MIGRATION,), current=revision(2, digest="sha256:x")), Guard.CHANGED),
        (deployment(obstacles=(MIGRATION,), is_way_back=True), Guard.ONCE),
        (deployment(obstacles=(MIGRATION,), wanted=None), Guard.NO_WAY_BACK),
        (deployment(obstacles=(MIGRATION,), claimed_by="another"), Guard.ONCE),
        (deployment(claimed_by="test"), None),
    ],
)
def test_the_first_guard_speaks(now: Deployment, guard: Guard | None) -> None:
    it = world(deployment())
    it.run()
    plan = it.runner()._plan
    held = hold(plan, now, 1.0, ActionKind.ROLLBACK, actions_on=True)
    assert (held.guard if held else None) == guard
    stopped = hold(plan, now, 1.0, ActionKind.ROLLBACK, actions_on=False)
    assert stopped is not None
    assert stopped.guard == Guard.STOPPED


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        (100.0, 900.0, True),  # uninstalled, installed and upgraded meanwhile
        (100.0, 100.4, False),  # the same, printed less exactly
        (None, 900.0, False),
        (100.0, None, False),
    ],
)
def test_a_release_that_is_at_the_same_number_again_is_another(
    before: float | None, now: float | None, held: bool
) -> None:
    it = world(deployment(current=revision(2, deployed_at=before)))
    it.run()
    found = hold(
        it.runner()._plan,
        deployment(current=revision(2, deployed_at=now)),
        1.0,
        ActionKind.ROLLBACK,
        actions_on=True,
    )
    assert bool(found) == held
    if found:
        assert (found.guard, "was installed anew" in found.reason) == (Guard.SUPERSEDED, True)


def test_cautions_are_told_and_hold_nothing() -> None:
    report = world(deployment(cautions=(DRIFT,))).run()
    assert report.held_by is None
    assert report.action.result in {ActionResult.DONE, ActionResult.UNVERIFIED}
    assert about(report, DRIFT) == [DRIFT]


def test_an_obstacle_is_told_from_the_start_and_only_once_when_it_holds() -> None:
    it = world(deployment(obstacles=(MIGRATION, STORM)))
    report = it.run()
    events = it.record.events
    first = next(number for number, event in enumerate(events) if isinstance(event, WindowRead))
    early = judge_again(events[: first + 1])
    assert early.verdict != Verdict.FAIL
    assert len(about(early, MIGRATION.reason)) == len(about(early, STORM.reason)) == 1
    assert report.held_by == Guard.MIGRATION
    assert not about(report, MIGRATION.reason)
    assert len(about(report, STORM.reason)) == 1


def test_an_obstacle_that_is_gone_by_then_does_not_hold() -> None:
    report = world(deployment(obstacles=(STORM,)), deployment()).run()
    assert report.held_by is None
    assert report.receipt is not None
    assert "when it started" in about(report, STORM.reason)[0]


@pytest.mark.parametrize(
    ("at_start", "script", "spec", "told"),
    [
        (deployment(obstacles=(MIGRATION,)), BAD, {}, 0),  # it holds: then it stands in the reason
        (deployment(obstacles=(MIGRATION,)), GOOD, {}, 0),  # passed: nobody wants it back
        (deployment(obstacles=(MIGRATION,)), BAD, {"onFail": "none"}, 0),  # nothing would be done anyway
        (deployment(obstacles=(MIGRATION,), is_way_back=True), BAD, {}, 0),  # held by `once`
        (deployment(obstacles=(MIGRATION,)), THIN, {}, 1),  # undecided: a person may want it back
    ],
)
def test_an_obstacle_is_told_only_where_it_matters(
    at_start: Deployment, script: Script, spec: dict[str, object], told: int
) -> None:
    report = world(at_start, script=script, rules=rule_set(**spec)).run()
    assert len(about(report, MIGRATION.reason)) == told


def test_a_dry_run_tells_obstacles() -> None:
    report = world(deployment(obstacles=(MIGRATION,)), acting=False).run()
    assert report.action.result == ActionResult.DRY_RUN
    assert len(about(report, MIGRATION.reason)) == 1


def test_a_replay_tells_the_same() -> None:
    it = world(deployment(obstacles=(MIGRATION, STORM), cautions=(DRIFT,)))
    assert it.run() == judge_again(it.record.events)
