"""From a rule set and a deployment to a plan: every query rendered, both sides known, all times fixed. Pure but for
the source's own rendering."""

from analyzer.engine.ports import Source
from analyzer.errors import UsageError
from analyzer.model.plan import Plan, SideMatchers
from analyzer.model.ruleset import Comparison, HealthRule, MetricRule, RuleSet, Sides
from analyzer.model.target import Deployment

HEALTH_OF_TARGETS = "health:targets"
"""The name of the metric behind `health: targets`."""


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
    sides = tell_sides(rule_set.spec.sides, deployment)
    used = {rule.metric for rule in rule_set.spec.rules if isinstance(rule, MetricRule)}
    queries = [source.query(name, metric, sides) for name, metric in rule_set.spec.metrics.items() if name in used]
    if any(isinstance(rule, HealthRule) for rule in rule_set.spec.rules):
        queries.append(source.query(HEALTH_OF_TARGETS, None, sides))
    return Plan(
        id=id,
        rule_set=rule_set,
        parameters=parameters,
        deployment=deployment,
        queries=tuple(queries),
        upgraded_at=upgraded_at,
        started_at=started_at,
        acting=acting,
    )


def tell_sides(sides: Sides, deployment: Deployment) -> SideMatchers:
    """The matchers of both sides.

    Raises:
        UsageError: the rule set wants a label that the platform cannot fill.
    """
    if sides.label is None:
        comparison = sides.comparison or (Comparison.SIDE_BY_SIDE if sides.baseline else Comparison.BEFORE_AFTER)
        baseline = sides.baseline
        if comparison == Comparison.BEFORE_AFTER and baseline is None:
            return SideMatchers(canary=sides.canary or "", baseline=None, comparison=comparison)
        return SideMatchers(canary=sides.canary or "", baseline=baseline, comparison=comparison)
    values = deployment.labels.get(sides.label)
    if values is None:
        known = ", ".join(sorted(deployment.labels)) or "none"
        raise UsageError(
            f"spec.sides.label: {deployment.target} cannot tell the values of the label {sides.label!r} "
            f"(it can tell: {known}): write spec.sides.canary and .baseline, or give "
            """--canary 'version="2"' --baseline 'version="1"'"""
        )
    canary, baseline = (f'{sides.label}="{_escape(value)}"' for value in values)
    return SideMatchers(canary=canary, baseline=baseline, comparison=sides.comparison or Comparison.SIDE_BY_SIDE)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
