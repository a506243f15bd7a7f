"""A metric of a rule set into a query: every expression parsed and rendered, both sides known. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from analyzer.errors import UsageError
from analyzer.model.plan import HEALTH_OF_PODS, Query, SideMatchers
from analyzer.model.ruleset import Comparison, GaugeMetric, HistogramMetric, Metric, Promql, RatioMetric, Series, Unit
from analyzer.sources.promql import (
    Matcher,
    Selector,
    canonical,
    fill_matchers,
    fill_own,
    one_of,
    parse_histogram,
    parse_matchers,
    parse_selector,
    within,
)

CANARY, BASELINE = "canary", "baseline"
RATIO, HISTOGRAM, GAUGE, TARGETS = "ratio", "histogram", "gauge", "targets"
BAD, TOTAL = "bad", "total"
CLASSIC, NATIVE = "classic", "native"
UP, STARTED = "up", "process_start_time_seconds"
WINDOW = "${window}"


@dataclass(frozen=True)
class Asked:
    """One selector as it is asked for, of one side or of both at once.

    Where it is of both, `split` is the label that tells them apart and the side of each of its values.
    """

    selector: Selector
    sides: tuple[str, ...]
    split: tuple[str, dict[str, str]] | None = None

    def side_of(self, labels: Mapping[str, str]) -> str | None:
        """The side that a returned series belongs to; None: to neither."""
        if self.split is None:
            return self.sides[0]
        label, by_value = self.split
        return by_value.get(labels.get(label, ""))


def live_sides(sides: SideMatchers) -> dict[str, tuple[Matcher, ...]]:
    """The matchers of each side that is read window by window: before-after has its baseline in history alone."""
    read = {CANARY: parse_matchers(sides.canary)}
    if sides.baseline is not None and sides.comparison != Comparison.BEFORE_AFTER:
        read[BASELINE] = parse_matchers(sides.baseline)
    return read


def past_matchers(sides: SideMatchers) -> tuple[Matcher, ...]:
    """The matchers of the baseline's past: its own, or where it has none the canary's before the upgrade."""
    own = sides.baseline if sides.past is None else sides.past
    return parse_matchers(sides.canary if own is None else own)


def ask(selector: Selector, sides: dict[str, tuple[Matcher, ...]]) -> tuple[Asked, ...]:
    """What is sent for one selector: one query where the sides differ only in one label's value, else one for each."""
    if len(sides) == 2 and (told := _told_apart(*sides.values())):  # noqa: PLR2004 -- the two sides
        common, canary, baseline = told
        both = selector.within((*common, one_of(canary.label, (canary.value, baseline.value))))
        by_value = {canary.value: CANARY, baseline.value: BASELINE}
        return (Asked(both, tuple(sides), (canary.label, by_value)),)
    return tuple(Asked(selector.within(matchers), (side,)) for side, matchers in sides.items())


def _told_apart(
    canary: tuple[Matcher, ...], baseline: tuple[Matcher, ...]
) -> tuple[tuple[Matcher, ...], Matcher, Matcher] | None:
    common = tuple(matcher for matcher in canary if matcher in baseline)
    of_canary = [matcher for matcher in canary if matcher not in common]
    of_baseline = [matcher for matcher in baseline if matcher not in common]
    if len(of_canary) != 1 or len(of_baseline) != 1 or of_canary[0].label != of_baseline[0].label:
        return None
    if of_canary[0].sign != "=" or of_baseline[0].sign != "=":
        return None
    return common, of_canary[0], of_baseline[0]


def make_query(name: str, metric: Metric | None, sides: SideMatchers) -> Query:
    """The query of a metric (None: of the health of the scrape targets), as it is sent to Prometheus.

    Raises:
        UsageError: an expression or a matcher cannot be used; the sentence says why and what instead.
    """
    live_sides(sides)
    past_matchers(sides)  # both parse, or this is where the user is told
    match metric:
        case None if name == HEALTH_OF_PODS:
            raise UsageError("nothing here tells of pods")
        case None:
            query = Query(metric=name, kind=TARGETS, selectors={UP: UP, STARTED: STARTED}, sides=sides)
        case RatioMetric():
            parts = {BAD: metric.ratio.bad, TOTAL: metric.ratio.total}
            query = _with_own(Query(metric=name, kind=RATIO, selectors={}, unit="share", sides=sides), parts)
        case HistogramMetric():
            selectors = {HISTOGRAM: str(parse_histogram(metric.histogram))}
            query = _in_unit(Query(metric=name, kind=HISTOGRAM, selectors=selectors, sides=sides), metric.unit)
        case GaugeMetric():
            query = Query(metric=name, kind=GAUGE, selectors={}, sides=sides)
            query = _in_unit(_with_own(query, {GAUGE: metric.gauge}), metric.unit)
    return query.model_copy(update={"rendered": dict(_rendered(query))})


def _in_unit(query: Query, unit: Unit | None) -> Query:
    return query if unit is None else query.model_copy(update={"unit": unit.base, "factor": unit.factor})


def _with_own(query: Query, parts: dict[str, Series]) -> Query:
    selectors, own = {}, []
    for role, series in parts.items():
        if isinstance(series, Promql):
            fill_own(series.promql, (), "1m")
            selectors[role] = series.promql
            own.append(role)
        else:
            selectors[role] = canonical(series) if query.kind == GAUGE else str(parse_selector(series))
    return query.model_copy(update={"selectors": selectors, "own": tuple(own)})


def counted(query: Query) -> dict[str, Selector]:
    """The selectors whose raw samples are counted, by role; `promql:` queries are not among them."""
    if query.kind == HISTOGRAM:
        named = parse_histogram(query.selectors[HISTOGRAM])
        return {CLASSIC: replace(named, name=f"{named.name}_bucket"), NATIVE: named}
    if query.kind == TARGETS:
        return {role: Selector(name) for role, name in query.selectors.items()}
    if query.kind == GAUGE:
        return {}
    return {role: parse_selector(text) for role, text in query.selectors.items() if role not in query.own}


def evaluated(query: Query, role: str, matchers: tuple[Matcher, ...], window: str) -> str:
    """The text of an expression that the server evaluates itself, for one side and window."""
    text = query.selectors[role]
    return fill_own(text, matchers, window) if role in query.own else within(text, matchers)


def _rendered(query: Query) -> Iterator[tuple[str, str]]:
    sides = live_sides(query.sides)
    for role, selector in counted(query).items():
        for asked in ask(selector, sides):
            yield f"{role}/{'+'.join(asked.sides)}", f"{asked.selector}[{WINDOW}]"
    for role in query.selectors:
        if query.kind == GAUGE or role in query.own:
            for side, matchers in sides.items():
                own = role in query.own
                text = query.selectors[role]
                yield f"{role}/{side}", fill_matchers(text, matchers) if own else within(text, matchers)
