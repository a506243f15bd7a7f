"""Reasons not to act, checked when the analysis starts and again right before acting. Pure: the platform is asked
by the caller."""

from collections.abc import Iterator

from analyzer.model.event import Held
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.plan import Plan
from analyzer.model.ruleset import OnFail, OnInconclusive, OnPass
from analyzer.model.target import TAKES_BACK, ActionKind, Deployment, PlatformKind

SAME = 1.0
"""Seconds by which the moment of one revision may differ: versions of Helm print it more or less exactly."""


def superseding(plan: Plan, now: Deployment) -> str:
    """Why the analysis has lost its subject, or empty: a newer revision, an upgrade in progress, or a way back.

    An upgrade that was in progress when the analysis began is its subject.
    """
    target, analysed = plan.deployment.target, plan.deployment.current.number
    if now.current.number != analysed:
        return f"{target} is at revision {now.current.number} now, not at {analysed}, which was analysed"
    if _is_another(plan.deployment, now):
        return f"{target} was installed anew: its revision {analysed} is not the one which was analysed"
    if now.in_progress and now.in_progress != plan.deployment.in_progress:
        return f"an operation on {target} is in progress ({now.in_progress})"
    return now.taken_back


def _is_another(before: Deployment, now: Deployment) -> bool:
    """Whether a release of the same name is at the same number again. Helm writes the moment of a revision once."""
    moments = before.current.deployed_at, now.current.deployed_at
    if before.target.kind != PlatformKind.HELM or None in moments:
        return False
    return abs((moments[0] or 0.0) - (moments[1] or 0.0)) > SAME


def hold(plan: Plan, now: Deployment, at: float, kind: ActionKind, *, actions_on: bool) -> Held | None:
    """The first guard that speaks against this act, or None. `now` is what the platform says now."""
    if not actions_on:
        return Held(at=at, guard=Guard.STOPPED, reason="actions are switched off (CANARY_ACTIONS=off)")
    first = next(_obstacles(plan, now, kind), None)
    return Held(at=at, guard=first.guard, reason=first.reason) if first else None


def _obstacles(plan: Plan, now: Deployment, kind: ActionKind) -> Iterator[Obstacle]:
    target, analysed = plan.deployment.target, plan.deployment.current
    if reason := superseding(plan, now):
        yield Obstacle(guard=Guard.SUPERSEDED, reason=reason)
    if now.current.digest != analysed.digest:
        reason = f"the manifest of {target} revision {analysed.number} is not the one that was analysed"
        yield Obstacle(guard=Guard.CHANGED, reason=reason)
    if now.is_way_back and kind in TAKES_BACK:
        reason = f"revision {analysed.number} is itself a rollback, and a rollback is never rolled back"
        yield Obstacle(guard=Guard.ONCE, reason=reason)
    if now.claimed_by not in {"", plan.id}:
        reason = f"analysis {now.claimed_by} has begun to take revision {analysed.number} back, and it is done once"
        yield Obstacle(guard=Guard.ONCE, reason=reason)
    if now.wanted is None and kind in TAKES_BACK:
        yield Obstacle(guard=Guard.NO_WAY_BACK, reason=now.no_way_back or "there is no revision to go back to")
    for each in now.obstacles:
        if each.guard != Guard.GITOPS_OWNER or kind != ActionKind.PROMOTE:  # an owner undoes no promotion
            yield each


def foreseen(plan: Plan) -> tuple[str, ...]:
    """What would hold the action as things are at the start: told then, for a verdict is still worth having."""
    deployment, spec = plan.deployment, plan.rule_set.spec
    acts = spec.on_fail != OnFail.NONE or spec.on_inconclusive == OnInconclusive.ROLLBACK
    if not acts or deployment.is_way_back or deployment.unchanged:
        return ()
    return tuple(each.reason for each in deployment.obstacles)


def preflight(plan: Plan, *, needs_way_back: bool) -> str:
    """Why the way back that the rule set wants is impossible already now, or empty."""
    deployment, spec = plan.deployment, plan.rule_set.spec
    is_rollout = deployment.target.kind == PlatformKind.ROLLOUT
    if plan.acting and spec.on_pass == OnPass.PROMOTE and not is_rollout:
        return f"spec.onPass: promote is not possible for {deployment.target}: write none"
    if not plan.acting or not needs_way_back or deployment.unchanged:
        return ""
    able = [OnFail.ROLLBACK, *([OnFail.ABORT, OnFail.PAUSE] if is_rollout else []), OnFail.NONE]
    if spec.on_fail not in able:
        return (
            f"spec.onFail: {spec.on_fail.value} is not possible for {deployment.target}: "
            f"write {' or '.join(each.value for each in able)}, or look without acting by --dry-run"
        )
    if spec.on_fail == OnFail.PAUSE and deployment.stage is None:
        return (
            f"spec.onFail: pause would hold nothing, for no revision of {deployment.target} is on its way: "
            "write rollback or none, or look without acting by --dry-run"
        )
    if deployment.wanted is None and not deployment.is_way_back:
        why = deployment.no_way_back or "there is no revision to go back to"
        return f"the way back is impossible: {why}; to look without acting, add --dry-run"
    return ""
