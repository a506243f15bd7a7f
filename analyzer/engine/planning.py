"""From a rule set and a deployment to a plan: every query rendered, both sides known, all times fixed. Pure but for
the source's own rendering."""

from analyzer.engine.ports import Source
from analyzer.errors import UsageError
from analyzer.model.consistency import nobody_decides
from analyzer.model.plan import HEALTH_OF_PODS, HEALTH_OF_TARGETS, PODS, Plan, Query, SideMatchers
from analyzer.model.ruleset import Comparison, HealthRule, MetricRule, Rule, RuleSet, Sides
from analyzer.model.target import Deployment, PlatformKind, PodSides

__all__ = ["HEALTH_OF_PODS", "HEALTH_OF_TARGETS", "PODS", "plan_analysis", "tell_sides"]

POD_LABELS = {
    "pod": "namespace",
    "pod_name": "namespace",
    "kubernetes_pod_name": "kubernetes_namespace",
    "k8s_pod_name": "k8s_namespace_name",
}
"""Labels that hold a pod's name, and the label that then holds its namespace."""
NO_POD = "-"
"""A name that no pod has."""
_OF_NO_SIDE = SideMatchers(canary="", baseline=None, comparison=Comparison.SIDE_BY_SIDE)
"""Pods are told apart by the platform, not by matchers."""


def plan_analysis(
    *,
    id: str,  # noqa: A002 -- the field's name
    rule_set: RuleSet,
    parameters: dict[str, str],
    deployment: Deployment,
    source: Source,
    upgraded_at: float,
    started_at: float,
    acting: bool,
) -> Plan:
    """The plan of one analysis. `rule_set` has every `${…}` filled; times are Unix seconds.

    Raises:
        UsageError: the sides cannot be told apart, or a metric cannot be asked for.
    """
    sides = tell_sides(rule_set.spec.sides, deployment, started_at)
    used = {rule.metric for rule in rule_set.spec.rules if isinstance(rule, MetricRule)}
    queries = [source.query(name, metric, sides) for name, metric in rule_set.spec.metrics.items() if name in used]
    health = {rule.health for rule in rule_set.spec.rules if isinstance(rule, HealthRule)}
    if "targets" in health:
        queries.append(source.query(HEALTH_OF_TARGETS, None, sides))
    foreign = deployment.pods.foreign if deployment.pods else ""
    notes: tuple[str, ...] = (foreign,) if foreign else ()
    if "pods" in health:
        asked = _health_of_pods(source, deployment)
        if isinstance(asked, Query):
            queries.append(asked)
        else:
            rule_set, notes = _without_pods(rule_set, asked), (*notes, f"health: pods is not looked at: {asked}")
    return Plan(
        id=id,
        rule_set=rule_set,
        parameters=parameters,
        deployment=deployment,
        queries=tuple(queries),
        upgraded_at=upgraded_at,
        started_at=started_at,
        acting=acting,
        notes=notes,
    )


def _health_of_pods(source: Source, deployment: Deployment) -> Query | str:
    """The query, or why there are no pods to look at. An upgrade that changes no pod is decided before any look."""
    if deployment.pods is None and not deployment.unchanged:
        has_none = deployment.target.kind == PlatformKind.COMMAND
        return deployment.no_pods or f"{deployment.target} has no pods" + ("" if has_none else " that are known")
    try:
        return source.query(HEALTH_OF_PODS, None, _OF_NO_SIDE)
    except UsageError as error:
        return str(error)


def _without_pods(rule_set: RuleSet, why: str) -> RuleSet:
    """The rule set without the rules on pods.

    Raises:
        UsageError: nothing that could decide is left, or a pass would need them.
    """
    of_pods = [rule for rule in rule_set.spec.rules if _is_of_pods(rule)]
    others = tuple(rule for rule in rule_set.spec.rules if not _is_of_pods(rule))
    if any(rule.critical for rule in of_pods):
        raise UsageError(f"health: pods is critical and cannot be looked at: {why}; take `critical` out to do without")
    if not others or nobody_decides(others, rule_set.spec.metrics):
        raise UsageError(f"health: pods cannot be looked at, and no other rule can decide: {why}")
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"rules": others})})


def _is_of_pods(rule: Rule) -> bool:
    return isinstance(rule, HealthRule) and rule.health == "pods"


def tell_sides(sides: Sides, deployment: Deployment, now: float) -> SideMatchers:
    """The matchers of both sides, of a deployment as it was looked at now (Unix seconds).

    Raises:
        UsageError: the rule set wants a label that the platform cannot fill.
    """
    if sides.label is None:
        comparison = sides.comparison or (Comparison.SIDE_BY_SIDE if sides.baseline else Comparison.BEFORE_AFTER)
        return SideMatchers(canary=sides.canary or "", baseline=sides.baseline, comparison=comparison)
    if sides.label in POD_LABELS and deployment.pods is not None:
        return _pods_told_apart(sides, sides.label, deployment.pods, now)
    if sides.label in POD_LABELS and deployment.unchanged:
        # Decided before anything is read: no pod is told apart, and none needs to be.
        return _pods_told_apart(sides, sides.label, PodSides(namespace=deployment.target.namespace, canary=""), now)
    values = deployment.labels.get(sides.label)
    if values is None:
        known = ", ".join(sorted(deployment.labels)) or "none"
        if sides.label in POD_LABELS and deployment.no_pods:
            raise UsageError(
                f"spec.sides.label: the pods of {deployment.target} cannot be told apart: {deployment.no_pods}"
            )
        raise UsageError(
            f"spec.sides.label: {deployment.target} cannot tell the values of the label {sides.label!r} "
            f"(it can tell: {known}): write spec.sides.canary and .baseline, or give "
            """--canary 'version="2"' --baseline 'version="1"'"""
        )
    # One template has the same hash in every namespace that it is brought out in.
    within = _within(sides, "namespace", deployment.pods.namespace if deployment.pods else deployment.target.namespace)
    canary, baseline = (f'{sides.label}="{_escape(value)}"{within}' for value in values)
    return SideMatchers(canary=canary, baseline=baseline, comparison=sides.comparison or Comparison.SIDE_BY_SIDE)


def _pods_told_apart(sides: Sides, label: str, pods: PodSides, now: float) -> SideMatchers:
    """Without a pod of the current revision so far, no series is the canary's."""
    within = _within(sides, POD_LABELS[label], pods.namespace)

    def matchers(names: str) -> str:
        return f'{label}=~"{_escape(names or NO_POD)}"{within}'

    return SideMatchers(
        canary=matchers(pods.canary),
        baseline=matchers(pods.baseline) if pods.baseline else None,
        comparison=sides.comparison or Comparison.ROLLING,
        past=matchers(pods.past),
        whole=matchers(pods.whole) if pods.whole else None,
        alone_since=pods.alone_since,
        told_since=(now if pods.alone_since is None else pods.alone_since) if pods.shares_names else None,
    )


def _within(sides: Sides, default: str, namespace: str) -> str:
    """The matcher of the namespace; none where the series have no label for it."""
    label = default if sides.namespace_label is None else sides.namespace_label
    return f',{label}="{_escape(namespace)}"' if label else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
