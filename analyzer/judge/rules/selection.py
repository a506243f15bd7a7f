"""Which kind of state judges a rule."""

from analyzer.judge.rules.gauge import GaugeRule
from analyzer.judge.rules.health import HealthOfTargets
from analyzer.judge.rules.histogram import HistogramRule
from analyzer.judge.rules.ratio import RatioRule
from analyzer.judge.rules.rule import RuleState, Terms
from analyzer.judge.rules.threshold import ThresholdRule
from analyzer.model.ruleset import HealthRule, JudgeKind, MetricRule


def rule_state(rule: MetricRule | HealthRule, terms: Terms) -> RuleState:
    """The state of a rule before the first interval."""
    if isinstance(rule, HealthRule):
        return HealthOfTargets(terms, rule)
    if rule.judge == JudgeKind.THRESHOLD:
        return ThresholdRule(terms, rule)
    match terms.query.kind:
        case "ratio":
            return RatioRule.begin(terms, rule)
        case "histogram":
            return HistogramRule(terms, rule)
        case _:
            return GaugeRule(terms, rule)
