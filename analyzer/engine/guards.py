"""Reasons not to act, checked when the analysis starts and again right before acting. Pure: the platform is asked
by the caller."""

from analyzer.model.event import Held
from analyzer.model.plan import Plan
from analyzer.model.report import Guard
from analyzer.model.target import ActionKind, Deployment


def superseding(plan: Plan, now: Deployment) -> str:
    """Why the analysis has lost its subject, or empty: a newer revision, or an upgrade in progress."""
    target, analysed = plan.deployment.target, plan.deployment.current.number
    if now.current.number != analysed:
        return f"{target} is at revision {now.current.number} now, not at {analysed}, which was analysed"
    if now.in_progress:
        return f"an operation on {target} is in progress ({now.in_progress})"
    return ""


def hold(plan: Plan, now: Deployment, at: float, *, actions_on: bool) -> Held | None:
    """The first guard that speaks against acting on this plan, or None. `now` is what the platform says now."""
    target, analysed = plan.deployment.target, plan.deployment.current
    if not actions_on:
        return Held(at=at, guard=Guard.STOPPED, reason="actions are switched off (CANARY_ACTIONS=off)")
    if reason := superseding(plan, now):
        return Held(at=at, guard=Guard.SUPERSEDED, reason=reason)
    if now.current.digest != analysed.digest:
        reason = f"the manifest of {target} revision {analysed.number} is not the one that was analysed"
        return Held(at=at, guard=Guard.CHANGED, reason=reason)
    if now.is_way_back:
        reason = f"revision {analysed.number} is itself a rollback, and a rollback is never rolled back"
        return Held(at=at, guard=Guard.ONCE, reason=reason)
    if now.wanted is None:
        return Held(at=at, guard=Guard.NO_WAY_BACK, reason=now.no_way_back or "there is no revision to go back to")
    return None


def preflight(plan: Plan, *, needs_way_back: bool) -> str:
    """Why the way back that the rule set wants is impossible already now, or empty."""
    deployment = plan.deployment
    if not plan.acting or not needs_way_back or deployment.unchanged:
        return ""
    kinds = {plan.rule_set.spec.on_fail.value}
    unable = sorted(kinds & {ActionKind.ABORT.value, ActionKind.PAUSE.value})
    if unable:
        return (
            f"spec.onFail: {unable[0]} is not possible for {deployment.target}: "
            "write rollback or none, or look without acting by --dry-run"
        )
    if deployment.wanted is None and not deployment.is_way_back:
        why = deployment.no_way_back or "there is no revision to go back to"
        return f"the way back is impossible: {why}; to look without acting, add --dry-run"
    return ""
