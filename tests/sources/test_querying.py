"""A metric into its queries: both sides in one where they differ in one label's value."""

import pytest

from analyzer.errors import UsageError
from analyzer.model.plan import SideMatchers
from analyzer.model.ruleset import Comparison, GaugeMetric, HistogramMetric, Promql, RatioMetric, RatioSource, Unit
from analyzer.sources.promql import Matcher, parse_matchers, parse_selector
from analyzer.sources.querying import ask, live_sides, make_query, past_matchers

SIDES = SideMatchers(canary='version="2"', baseline='version="1"', comparison=Comparison.SIDE_BY_SIDE)
BEFORE_AFTER = SideMatchers(canary='app="web"', baseline=None, comparison=Comparison.BEFORE_AFTER)


def test_a_ratio_is_asked_for_both_sides_at_once() -> None:
    metric = RatioMetric(ratio=RatioSource(bad='x{code=~"5.."}', total="x"))
    query = make_query("errors", metric, SIDES)
    assert query.selectors == {"bad": 'x{code=~"5.."}', "total": "x"}
    assert query.rendered == {
        "bad/canary+baseline": 'x{code=~"5..",version=~"1|2"}[${window}]',
        "total/canary+baseline": 'x{version=~"1|2"}[${window}]',
    }
    assert query.unit == "share"


def test_a_histogram_is_asked_for_in_both_forms() -> None:
    query = make_query("latency", HistogramMetric(histogram="y", unit=Unit.MILLISECONDS), BEFORE_AFTER)
    assert query.rendered == {
        "classic/canary": 'y_bucket{app="web"}[${window}]',
        "native/canary": 'y{app="web"}[${window}]',
    }
    assert (query.unit, query.factor) == ("seconds", 1e-3)


def test_an_expression_is_asked_for_side_by_side() -> None:
    query = make_query("memory", GaugeMetric(gauge="max by (pod) (z)", unit=Unit.BYTES), SIDES)
    assert query.rendered == {
        "gauge/canary": 'max by (pod) (z{version="2"})',
        "gauge/baseline": 'max by (pod) (z{version="1"})',
    }


def test_own_queries_keep_the_window_open() -> None:
    own = Promql(promql="sum(increase(x{${selector}}[${window}]))")
    query = make_query("errors", RatioMetric(ratio=RatioSource(bad=own, total="x")), SIDES)
    assert query.own == ("bad",)
    assert query.rendered["bad/canary"] == 'sum(increase(x{version="2"}[${window}]))'


def test_the_health_of_targets() -> None:
    query = make_query("health:targets", None, SIDES)
    assert query.rendered == {
        "up/canary+baseline": 'up{version=~"1|2"}[${window}]',
        "process_start_time_seconds/canary+baseline": 'process_start_time_seconds{version=~"1|2"}[${window}]',
    }


@pytest.mark.parametrize(
    ("canary", "baseline", "asked"),
    [
        ('v="2"', 'v="1"', ['x{v=~"1|2"}']),
        ('v="2",a="b"', 'a="b",v="1"', ['x{a="b",v=~"1|2"}']),
        ('v="2.0+x"', 'v=""', ['x{v=~"|2\\\\.0\\\\+x"}']),
        ('v=~"2"', 'v="1"', ['x{v=~"2"}', 'x{v="1"}']),
        ('v="2"', 'w="1"', ['x{v="2"}', 'x{w="1"}']),
        ('v="2",a="c"', 'a="b",v="1"', ['x{v="2",a="c"}', 'x{a="b",v="1"}']),
        ('v="2"', "", ['x{v="2"}', "x"]),
    ],
)
def test_one_query_where_one_value_tells_the_sides_apart(canary: str, baseline: str, asked: list[str]) -> None:
    sides = {"canary": parse_matchers(canary), "baseline": parse_matchers(baseline)}
    assert [str(each.selector) for each in ask(parse_selector("x"), sides)] == asked


def test_returned_series_are_told_by_their_label() -> None:
    (asked,) = ask(parse_selector("x"), {"canary": parse_matchers('v="2"'), "baseline": parse_matchers('v=""')})
    assert [asked.side_of(labels) for labels in ({"v": "2"}, {"v": ""}, {}, {"v": "3"})] == [
        "canary",
        "baseline",
        "baseline",
        None,
    ]


def test_before_after_reads_the_canary_alone_and_its_own_past() -> None:
    assert list(live_sides(BEFORE_AFTER)) == ["canary"]
    assert past_matchers(BEFORE_AFTER) == (Matcher("app", "=", "web"),)
    with_baseline = BEFORE_AFTER.model_copy(update={"baseline": 'app="old"'})
    assert list(live_sides(with_baseline)) == ["canary"]
    assert past_matchers(with_baseline) == (Matcher("app", "=", "old"),)


def test_matchers_that_cannot_be_used_are_told_at_once() -> None:
    sides = SIDES.model_copy(update={"baseline": "version=1"})
    with pytest.raises(UsageError, match="are no matchers"):
        make_query("errors", None, sides)
