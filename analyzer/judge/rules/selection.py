"""Which kind of state judges a rule."""

from dataclasses import replace

from analyzer.judge.rules.gauge import GaugeRule
from analyzer.judge.rules.health import HealthOfTargets
from analyzer.judge.rules.health_of_pods import HealthOfPods
from analyzer.judge.rules.histogram import HistogramRule
from analyzer.judge.rules.ratio import RatioRule
from analyzer.judge.rules.rolling import RollingRule
from analyzer.judge.rules.rule import RuleState, Terms
from analyzer.judge.rules.threshold import ThresholdRule
from analyzer.model.ruleset import Comparison, HealthRule, JudgeKind, MetricRule


def rule_state(rule: MetricRule | HealthRule, terms: Terms) -> RuleState:
    """The state of a rule before the first interval."""
    if isinstance(rule, HealthRule):
        return HealthOfPods(terms, rule) if rule.health == "pods" else HealthOfTargets(terms, rule)
    if rule.judge == JudgeKind.THRESHOLD:
        return ThresholdRule(terms, rule)
    if terms.query.sides.comparison == Comparison.ROLLING:
        return _rolling(rule, terms)
    return _compared(rule, terms)


def _rolling(rule: MetricRule, terms: Terms) -> RuleState:
    """A gauge's level is compared with its history alone: a roll-out is too short for levels beside each other."""
    beside = _compared(rule, _comparing(terms, Comparison.SIDE_BY_SIDE))
    alone = _compared(rule, _comparing(terms, Comparison.BEFORE_AFTER))
    if isinstance(beside, GaugeRule) or isinstance(alone, GaugeRule):
        return alone
    return RollingRule(terms, beside, alone)


def _compared(rule: MetricRule, terms: Terms) -> RatioRule | HistogramRule | GaugeRule:
    match terms.query.kind:
        case "ratio":
            return RatioRule.begin(terms, rule)
        case "histogram":
            return HistogramRule(terms, rule)
        case _:
            return GaugeRule(terms, rule)


def _comparing(terms: Terms, comparison: Comparison) -> Terms:
    sides = terms.query.sides.model_copy(update={"comparison": comparison})
    return replace(terms, query=terms.query.model_copy(update={"sides": sides}))
