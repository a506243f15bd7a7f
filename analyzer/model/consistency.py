"""What can only be told of a rule set as a whole: rules against their metrics, names, units and the schedule."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analyzer.model.complaint import Complaint
from analyzer.model.defaults import QUANTILE, TOLERANCES
from analyzer.model.ruleset import (
    Direction,
    GaugeMetric,
    HealthRule,
    HistogramMetric,
    JudgeKind,
    Metric,
    MetricRule,
    Promql,
    RatioMetric,
    Rule,
    RuleSet,
    Schedule,
    kind_of,
)
from analyzer.model.suggestion import did_you_mean
from analyzer.model.units import BYTES, SECONDS, show_duration, show_share

MAX_RELATIVE = 10.0
"""A tolerance of more than 1000 % is a slip, not a wish."""


@dataclass(frozen=True)
class Parts:
    """What is known of a rule set; None stands for what could not be read. `values` are the rules as written."""

    metrics: Mapping[str, Metric | None]
    rules: Mapping[int, Rule | None]
    values: Sequence[object]
    schedule: Schedule | None = None


@dataclass(frozen=True)
class _Case:
    """A rule beside its metric; `value` is the rule as written."""

    key: str
    rule: MetricRule
    metric: Metric
    kind: str
    value: Mapping[str, object]
    schedule: Schedule | None


def inconsistencies(parts: Parts) -> list[Complaint]:
    """Everything wrong with a rule set as a whole, by key."""
    return [
        *_unknown_metrics(parts),
        *_same_names(parts),
        *_nobody_decides(parts),
        *(complaint for name, metric in parts.metrics.items() for complaint in _metric(name, metric)),
        *(complaint for case in _cases(parts) for check in _CHECKS for complaint in check(case)),
    ]


def idle(rule_set: RuleSet) -> list[Complaint]:
    """What is allowed and does nothing: metrics that no rule uses."""
    used = {rule.metric for rule in rule_set.spec.rules if isinstance(rule, MetricRule)}
    return [
        (f"spec.metrics.{name}", "no rule uses this metric: it is not read")
        for name in rule_set.spec.metrics
        if name not in used
    ]


def rule_name(rule: Rule, kind: str | None = None) -> str:
    """How a rule is called in answers when it has no name of its own, and its name when it has one."""
    if rule.name:
        return rule.name
    if isinstance(rule, HealthRule):
        return f"health:{rule.health}"
    quantile = rule.quantile if rule.quantile is not None or kind != "histogram" else QUANTILE
    return rule.metric if quantile is None else f"{rule.metric}-p{round(quantile * 100, 6):g}".replace(".", "")


def _cases(parts: Parts) -> Iterator[_Case]:
    for index, rule in parts.rules.items():
        metric = parts.metrics.get(rule.metric) if isinstance(rule, MetricRule) else None
        kind = kind_of(metric)
        value = parts.values[index] if index < len(parts.values) else {}
        if isinstance(rule, MetricRule) and metric is not None and kind and isinstance(value, Mapping):
            yield _Case(f"spec.rules[{index}]", rule, metric, kind, value, parts.schedule)


def _unknown_metrics(parts: Parts) -> Iterator[Complaint]:
    for index, value in enumerate(parts.values):
        name = value.get("metric") if isinstance(value, Mapping) else None
        if isinstance(name, str) and name not in parts.metrics:
            hint = did_you_mean(name, parts.metrics) or ": describe it under spec.metrics"
            yield f"spec.rules[{index}].metric", f"there is no metric {name!r}{hint}"


def _same_names(parts: Parts) -> Iterator[Complaint]:
    names = {
        index: rule_name(rule, kind_of(parts.metrics.get(rule.metric)) if isinstance(rule, MetricRule) else None)
        for index, rule in parts.rules.items()
        if rule is not None
    }
    counts = Counter(names.values())
    seen: set[str] = set()
    for index, name in names.items():
        if counts[name] > 1 and name in seen:
            yield f"spec.rules[{index}]", f"an earlier rule is called {name!r} too: give one of them another name"
        seen.add(name)


def _nobody_decides(parts: Parts) -> Iterator[Complaint]:
    known = [rule for rule in parts.rules.values() if rule is not None]
    kinds = {name: kind_of(metric) for name, metric in parts.metrics.items()}
    if len(known) < len(parts.rules) or not known:
        return
    if any(isinstance(rule, MetricRule) and kinds.get(rule.metric) is None for rule in known):
        return
    if not any(_decides(rule, kinds) for rule in known):
        yield (
            "spec.rules",
            "no rule can decide, for every one is advisory (so is a rule of a gauge that does not say critical: true)",
        )


def nobody_decides(rules: Sequence[Rule], metrics: Mapping[str, Metric]) -> bool:
    """Whether every rule is advisory: by its own word, or as that of a gauge."""
    kinds = {name: kind_of(metric) for name, metric in metrics.items()}
    return not any(_decides(rule, kinds) for rule in rules)


def _decides(rule: Rule, kinds: Mapping[str, str | None]) -> bool:
    if isinstance(rule, HealthRule) or rule.advisory:
        return not rule.advisory
    return kinds[rule.metric] != "gauge" or rule.critical or rule.judge == JudgeKind.THRESHOLD


def _metric(name: str, metric: Metric | None) -> Iterator[Complaint]:
    if isinstance(metric, RatioMetric):
        yield from _own_query(f"spec.metrics.{name}.ratio.bad", metric.ratio.bad, counts=True)
        yield from _own_query(f"spec.metrics.{name}.ratio.total", metric.ratio.total, counts=True)
    elif isinstance(metric, GaugeMetric):
        yield from _own_query(f"spec.metrics.{name}.gauge", metric.gauge, counts=False)


def _own_query(key: str, series: str | Promql, *, counts: bool) -> Iterator[Complaint]:
    if not isinstance(series, Promql):
        return
    if "${selector}" not in series.promql:
        yield f"{key}.promql", "has no ${selector}: both sides would read the same; write name{${selector}}"
    if counts and "${window}" not in series.promql:
        yield f"{key}.promql", "has no ${window}: count the events of one window, as in increase(name[${window}])"


def _quantile(case: _Case) -> Iterator[Complaint]:
    if case.rule.quantile is not None and case.kind != "histogram":
        yield f"{case.key}.quantile", f"a {case.kind} has no quantiles: take it out, or name a histogram"


def _direction(case: _Case) -> Iterator[Complaint]:
    if case.rule.direction != Direction.LOWER:
        return
    if case.kind == "histogram":
        yield f"{case.key}.direction", "of a histogram only higher is worse: take it out, or judge a ratio or a gauge"
    for name, tolerance in (("tolerance", case.rule.tolerance), ("passWithin", case.rule.pass_within)):
        if tolerance and tolerance.relative >= 1:
            yield f"{case.key}.{name}.relative", "100% less leaves nothing to compare with: write less than 100%"


def _tolerances(case: _Case) -> Iterator[Complaint]:
    for name, tolerance in (("tolerance", case.rule.tolerance), ("passWithin", case.rule.pass_within)):
        key = f"{case.key}.{name}"
        if tolerance is None:
            continue
        if tolerance.relative > MAX_RELATIVE:
            yield f"{key}.relative", f"{show_share(tolerance.relative)} tolerates anything: at most 1000% is read"
        if tolerance.absolute and case.kind != "ratio":
            yield f"{key}.absolute", f"a {case.kind} is compared by its relative change alone: write relative: 10%"
        elif _suffix(_written(case, name, "absolute")) not in {"", "%"}:
            yield f"{key}.absolute", "of a ratio it is a share of all events: write a percentage, such as 0.05%"
        elif tolerance.absolute > 1:
            yield f"{key}.absolute", "is more than 100% of all events: write a percentage, such as 0.05%"


def _margin(case: _Case) -> Iterator[Complaint]:
    within = case.rule.pass_within
    if within is None:
        return
    tolerated, usual = case.rule.tolerance or TOLERANCES[case.kind][0], case.rule.tolerance is None
    for part in ("relative", "absolute"):
        margin, least = getattr(within, part), getattr(tolerated, part)
        if margin < least:
            tolerance = f"the {'default ' if usual else ''}tolerance of {show_share(least)}"
            sentence = f"{part} is {show_share(margin)}, tighter than {tolerance}: write at least as much"
            yield f"{case.key}.passWithin", f"{sentence}, or a release could pass and fail at once"


def _limit(case: _Case) -> Iterator[Complaint]:
    limit, key = case.rule.limit, f"{case.key}.limit"
    if limit is None:
        return
    suffix = _suffix(case.value.get("limit"))
    if isinstance(case.metric, RatioMetric):
        if suffix not in {"", "%"}:
            yield key, "of a ratio it is a share: write a percentage, such as 5%"
        elif not 0 <= limit <= 1:
            yield key, f"a ratio is between 0% and 100%, {show_share(limit)} is not: write a percentage, such as 5%"
        return
    base = case.metric.unit.base if case.metric.unit else None
    yield from ((key, sentence) for sentence in _unit(suffix, base, limit))
    if isinstance(case.metric, HistogramMetric) and limit <= 0:
        yield key, "is not above zero: write the longest time that is still good, such as 2s"


def _unit(suffix: str, base: str | None, limit: float) -> Iterator[str]:
    if base == "seconds" and suffix not in SECONDS and limit:
        yield "is a time: write it with its unit, such as 2s or 800ms"
    elif base == "bytes" and suffix and suffix not in BYTES:
        yield "is a size: write it with its unit, such as 1.5GiB"
    elif base == "share" and suffix not in {"", "%"}:
        yield "is a share: write a percentage, such as 90%"
    elif base is None and suffix not in {"", "%"}:
        named = "seconds" if suffix in SECONDS else "bytes"
        yield f"has a unit, and the metric none: write unit: {named} (or its multiple) with the metric"


def _consecutive(case: _Case) -> Iterator[Complaint]:
    times, key = case.rule.consecutive, f"{case.key}.consecutive"
    if times is None:
        return
    if case.rule.judge != JudgeKind.THRESHOLD and not (case.kind == "gauge" and case.rule.limit is not None):
        yield key, "is for judge: threshold, and for limits of gauges: take it out"
    elif case.schedule and times * case.schedule.interval > case.schedule.deadline:
        span = show_duration(times * case.schedule.interval)
        yield key, f"{times} readings take {span}, longer than the deadline: write fewer, or a later deadline"


_CHECKS = (_quantile, _direction, _tolerances, _margin, _limit, _consecutive)


def _written(case: _Case, *names: str) -> object:
    value: object = case.value
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _suffix(value: object) -> str:
    """The unit at the end of a level as written; empty for a bare number."""
    match = re.search(r"[a-zA-Zµ%]*$", value.strip()) if isinstance(value, str) else None
    return match[0] if match else ""
