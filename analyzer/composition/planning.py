"""The plan of an analysis, if it can be done and its way back is possible; and that of a recorded one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from analyzer.composition.order import AnalysisOrder
from analyzer.composition.platforms import IN_CLUSTER
from analyzer.composition.rules import acts, load_rules, needs_way_back, with_on_fail, with_pods, with_sides
from analyzer.engine.clock import SystemClock
from analyzer.engine.guards import preflight
from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Platform, Source
from analyzer.errors import NoWayBack, PlatformError, PlatformForbidden
from analyzer.model.event import Event, Planned
from analyzer.model.plan import Plan
from analyzer.model.ruleset import RuleSet
from analyzer.model.target import Deployment, PlatformKind
from analyzer.platforms.application import Application
from analyzer.platforms.flagger import Flagger
from analyzer.platforms.helm import Helm
from analyzer.platforms.helm_history import UPGRADING
from analyzer.platforms.rollout import Rollout
from analyzer.sources.recording import RecordingSource


async def planned(
    order: AnalysisOrder, rule_set: RuleSet, platform: Platform, source: Source, complain: Callable[[str], None]
) -> Plan:
    """The plan of an analysis that starts now, if it can be done and its way back is possible.

    Raises:
        CanaryError: as `make_plan`; PlatformUnavailable when asking again may help; PlatformForbidden without the
            rights that the way back needs.
    """
    rule_set = with_on_fail(with_sides(rule_set, order), order.on_fail)
    if order.needs_ready_pods:
        rule_set = with_pods(rule_set)
    deployment = await platform.look()
    if order.retry and deployment.taken_back:
        # What cannot be analysed is refused while it is aborted still: nobody would look at it once it is out again.
        aborted = deployment.model_copy(update={"taken_back": ""})
        await _checked_plan(order, rule_set, platform, aborted, source, lambda _: None)
        retried_at = await _retry(order, platform)
        order = replace(order, wanted=replace(order.wanted, since=retried_at))
        deployment = await platform.look()
    return await _checked_plan(order, rule_set, platform, deployment, source, complain)


async def _checked_plan(
    order: AnalysisOrder,
    rule_set: RuleSet,
    platform: Platform,
    deployment: Deployment,
    source: Source,
    complain: Callable[[str], None],
) -> Plan:
    """The plan for what was looked at, once the rights for its way back are known to be there."""
    plan = make_plan(order, rule_set, deployment, source, SystemClock().now())
    if isinstance(platform, IN_CLUSTER) and plan.acting and acts(rule_set):
        await _check_rights(platform, deployment, complain)
    return plan


def make_plan(order: AnalysisOrder, rule_set: RuleSet, deployment: Deployment, source: Source, now: float) -> Plan:
    """The plan of an analysis that starts now, if its way back is possible.

    Raises:
        PlatformError: an operation is in progress.
        NoWayBack: the way back is impossible, and acting is wanted.
        UsageError: the sides cannot be told apart.
    """
    if deployment.in_progress and (order.acting or not _is_looked_at_by_a_hook(deployment)):
        target, wanted = deployment.target, deployment.wanted
        where = f" --namespace {target.namespace}" if target.namespace else ""
        is_helm = target.kind == PlatformKind.HELM
        by_hand = f": helm rollback {target.name} {wanted.number}{where}" if wanted else ""
        killed = f"; if the program that began it was killed, roll back by hand first{by_hand}" if is_helm else ""
        raise PlatformError(
            f"an operation on {target} is in progress ({deployment.in_progress}): wait for it to end{killed}"
        )
    if deployment.taken_back:
        raise PlatformError(deployment.taken_back)
    # By the clock of helm's machine, which may be ahead of ours: what we see has happened.
    upgraded_at = order.wanted.since or min(deployment.current.deployed_at or now, now)
    plan = plan_analysis(
        id=order.id,
        rule_set=rule_set,
        parameters=order.parameters,
        deployment=deployment,
        source=source,
        upgraded_at=upgraded_at,
        started_at=now,
        acting=order.acting,
    )
    if reason := preflight(plan, needs_way_back=needs_way_back(rule_set)):
        raise NoWayBack(reason)
    return plan


def _is_looked_at_by_a_hook(deployment: Deployment) -> bool:
    """Helm waits for a post-upgrade hook before it calls the upgrade deployed: such a hook may look, and not act."""
    return deployment.target.kind == PlatformKind.HELM and deployment.in_progress == UPGRADING


async def _retry(order: AnalysisOrder, platform: Platform) -> float:
    """Clear the abort of the newest revision; since when it is on its way again, in Unix seconds.

    Raises:
        PlatformError: it was not cleared; the sentence says why.
    """
    if not order.acting or not order.actions_on:
        raise PlatformError(f"{order.target} was not retried: that changes it, and here nothing may be done")
    since = SystemClock().now()
    assert isinstance(platform, Rollout), "only a Rollout is retried"
    await platform.retry()
    return since


async def _check_rights(
    platform: Helm | Rollout | Application | Flagger, deployment: Deployment, complain: Callable[[str], None]
) -> None:
    """Now, and not in the middle of an incident.

    Raises:
        PlatformForbidden: the way back would fail for want of rights.
        NoWayBack: the cluster does not know a kind any more that the release has.
    """
    if deployment.unchanged or deployment.is_way_back:
        return
    try:
        lacking = await platform.lacking(deployment)
    except NoWayBack as error:
        raise NoWayBack(f"the way back is impossible: {error}; to look without acting, add --dry-run") from error
    except PlatformError as error:
        complain(f"whether the rights for the way back are there could not be asked: {error}")
        return
    if lacking:
        raise PlatformForbidden(f"the way back is impossible: {lacking}; to look without acting, add --dry-run")


def plan_again(first: Planned, events: Sequence[Event], rules: str, parameters: dict[str, str]) -> Planned:
    """The plan of a recorded analysis with another rule set, by its file or name; see `replanned`.

    Raises:
        UsageError: the rule set cannot be used on this recording.
    """
    return replanned(first, events, load_rules(rules, parameters), parameters)


def replanned(first: Planned, events: Sequence[Event], rule_set: RuleSet, parameters: dict[str, str]) -> Planned:
    """The plan of a recorded analysis with another rule set, over the recorded series.

    Raises:
        UsageError: the rule set cannot be used on this recording.
    """
    recorded = first.plan
    sides = recorded.rule_set.spec.sides
    plan = plan_analysis(
        id=recorded.id,
        rule_set=rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})}),
        parameters=parameters,
        deployment=recorded.deployment,
        source=RecordingSource(events),
        upgraded_at=recorded.upgraded_at,
        started_at=recorded.started_at,
        acting=False,
    )
    return Planned(at=first.at, plan=plan)
