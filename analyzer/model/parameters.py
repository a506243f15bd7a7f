"""Filling `${name}` in metrics and sides, from the rule set's own parameters and from outside.

Values come from outside (`--set`, the API, annotations) and are data: see `template` for how they are kept from
becoming PromQL. A rule set is filled once.
"""

from collections.abc import Callable, Mapping

from analyzer.errors import Mistake, RuleSetError, UsageError
from analyzer.model.complaint import Complaint
from analyzer.model.ruleset import (
    GaugeMetric,
    HistogramMetric,
    Metric,
    Promql,
    RatioMetric,
    RuleSet,
    Series,
    Sides,
)
from analyzer.model.suggestion import did_you_mean
from analyzer.model.template import OWN, Filled, fill_matchers, fill_query, fill_selector

Place = Callable[[str, str], Mistake]
"""From a key and a message to a mistake with its file and line."""


def fill(rule_set: RuleSet, overrides: Mapping[str, str], place: Place | None = None) -> RuleSet:
    """The rule set with every `${…}` in metrics and sides filled; its parameters are the ones that were used.

    `${selector}` and `${window}` stay in `promql:`, where the source fills them.

    Raises:
        UsageError: an override that no parameter declares and no `${…}` asks for.
        RuleSetError: every variable that nobody fills, and every value that does not fit its place.
    """
    spec = rule_set.spec
    values = {**spec.parameters, **overrides}
    filling = _Filling(values)
    metrics = {name: filling.metric(f"spec.metrics.{name}", metric) for name, metric in spec.metrics.items()}
    sides = filling.sides("spec.sides", spec.sides)
    _refuse_unknown(overrides, {*spec.parameters, *filling.used})
    reserved = [(f"spec.parameters.{name}", _reserved(name)) for name in spec.parameters if name in OWN]
    if complaints := [*reserved, *filling.complaints]:
        place = place or (lambda key, message: Mistake(rule_set.metadata.name, 0, key, message))
        raise RuleSetError([place(key, message) for key, message in dict.fromkeys(complaints)])
    update = {"parameters": values, "metrics": metrics, "sides": sides}
    return rule_set.model_copy(update={"spec": spec.model_copy(update=update)})


def unused(rule_set: RuleSet) -> list[Complaint]:
    """Parameters that nothing asks for."""
    filling = _Filling(rule_set.spec.parameters)
    for name, metric in rule_set.spec.metrics.items():
        filling.metric(name, metric)
    filling.sides("", rule_set.spec.sides)
    return [
        (f"spec.parameters.{name}", f"nothing asks for ${{{name}}}: it has no effect")
        for name in rule_set.spec.parameters
        if name not in filling.used
    ]


def _refuse_unknown(overrides: Mapping[str, str], known: set[str]) -> None:
    for name in overrides:
        if name in OWN:
            raise UsageError(f"parameter {_reserved(name)}")
        if name not in known:
            hint = did_you_mean(name, known)
            listing = f": it has {', '.join(sorted(known))}" if known else ": it has none"
            raise UsageError(f"the rule set has no parameter {name!r}{hint or listing}")


def _reserved(name: str) -> str:
    return f"{name!r} is the analyzer's own, for ${{{name}}} in promql: choose another name"


class _Filling:
    """Fills one text after the other, and keeps what is wrong and what was used."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.complaints: list[Complaint] = []
        self.used: set[str] = set()

    def metric(self, key: str, metric: Metric) -> Metric:
        """A metric with its selectors filled."""
        if isinstance(metric, RatioMetric):
            bad = self._series(f"{key}.ratio.bad", metric.ratio.bad)
            total = self._series(f"{key}.ratio.total", metric.ratio.total)
            return metric.model_copy(update={"ratio": metric.ratio.model_copy(update={"bad": bad, "total": total})})
        if isinstance(metric, HistogramMetric):
            filled = self._keep(f"{key}.histogram", fill_selector(metric.histogram, self._values))
            return metric.model_copy(update={"histogram": filled})
        assert isinstance(metric, GaugeMetric)
        return metric.model_copy(update={"gauge": self._series(f"{key}.gauge", metric.gauge)})

    def sides(self, key: str, sides: Sides) -> Sides:
        """The matchers of both sides filled."""
        return sides.model_copy(
            update={
                name: self._matchers(f"{key}.{name}", text)
                for name, text in (("canary", sides.canary), ("baseline", sides.baseline))
                if text is not None
            }
        )

    def _series(self, key: str, series: Series) -> Series:
        if isinstance(series, Promql):
            filled = self._keep(f"{key}.promql", fill_query(series.promql, self._values))
            return series.model_copy(update={"promql": filled})
        return self._keep(key, fill_selector(series, self._values))

    def _matchers(self, key: str, text: str) -> str:
        filled = fill_matchers(text, self._values)
        if not filled.text.strip() and not filled.complaints:
            filled.complaints.append("has no matcher left when filled: this side would be everything")
        return self._keep(key, filled)

    def _keep(self, key: str, filled: Filled) -> str:
        self.complaints.extend((key, complaint) for complaint in filled.complaints)
        self.used |= filled.used
        return filled.text
