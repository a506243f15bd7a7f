"""The PromQL of a rule set, checked before anything is asked."""

from collections.abc import Callable, Iterator

from analyzer.errors import UsageError
from analyzer.model.ruleset import GaugeMetric, HistogramMetric, Metric, Promql, RatioMetric, RuleSet, Series
from analyzer.sources.promql import canonical, fill_own, parse_histogram, parse_matchers, parse_selector

_Check = tuple[str, str, Callable[[str], object]]


def check_rule_set(rule_set: RuleSet) -> list[tuple[str, str]]:
    """Every mistake in the PromQL of a rule set whose `${…}` are filled, as (key path, sentence)."""
    mistakes = []
    for key, text, check in _checks(rule_set):
        try:
            check(text)
        except UsageError as error:
            mistakes.append((key, str(error)))
    return mistakes


def _checks(rule_set: RuleSet) -> Iterator[_Check]:
    sides = rule_set.spec.sides
    for side, text in (("canary", sides.canary), ("baseline", sides.baseline)):
        if text:
            yield f"spec.sides.{side}", text, parse_matchers
    for name, metric in rule_set.spec.metrics.items():
        yield from _checks_of(f"spec.metrics.{name}", metric)


def _checks_of(key: str, metric: Metric) -> Iterator[_Check]:
    match metric:
        case RatioMetric():
            yield _series(f"{key}.ratio.bad", metric.ratio.bad, parse_selector)
            yield _series(f"{key}.ratio.total", metric.ratio.total, parse_selector)
        case HistogramMetric():
            yield f"{key}.histogram", metric.histogram, parse_histogram
        case GaugeMetric():
            yield _series(f"{key}.gauge", metric.gauge, canonical)


def _series(key: str, series: Series, check: Callable[[str], object]) -> _Check:
    if isinstance(series, Promql):
        return f"{key}.promql", series.promql, lambda text: fill_own(text, (), "1m")
    return key, series, check
