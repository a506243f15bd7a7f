"""PromQL parsed, refused with a sentence, and with the sides put in: whatever the values are."""

import re

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.sources.promql import (
    Matcher,
    Selector,
    canonical,
    fill_matchers,
    fill_own,
    matches,
    one_of,
    parse_histogram,
    parse_matchers,
    parse_selector,
    selectors_in,
    within,
)

V2 = (Matcher("version", "=", "2"),)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("up", "up"),
        (" http_requests_total { code =~ '5..' , } ", 'http_requests_total{code=~"5.."}'),
        ('{__name__="x",a!~"b"}', 'x{a!~"b"}'),
        (r'x{path="C:\\dir\"q\"\n"}', r'x{path="C:\\dir\"q\"\n"}'),
        (r"x{a=`raw\n`}", r'x{a="raw\\n"}'),
        ("x # a comment", "x"),
        ('{"http.requests",a="b"}', '{__name__="http.requests",a="b"}'),
        ('x{"a.b"="c"}', 'x{"a.b"="c"}'),
        ("job:requests:total", "job:requests:total"),
        ("sum", "sum"),
    ],
)
def test_selectors_in_canonical_form(text: str, rendered: str) -> None:
    assert str(parse_selector(text)) == rendered


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "increase(http_requests_total{code='500'}[5m])",
            'increase(): name the series itself: http_requests_total{code="500"}',
        ),
        ("sum by (pod) (rate(x[1m]))", "an aggregation: name the series itself: x"),
        ("rate(x[1m])", "rate(): name the series itself: x"),
        ("x[5m]", "is a range"),
        ("x[5m:1m]", "is a subquery"),
        ("x / y", "is a calculation"),
        ("-x", "is a calculation"),
        ("42", "is a number"),
        ('"text"', "is a string"),
        ("(x)", "is an expression"),
        ("x offset 5m", "has an offset or @"),
        ("x @ 1600000000", "has an offset or @"),
        ('{__name__=~"http_.*"}', "names its metric by a pattern"),
        ('{__name__!="x",a="b"}', "names its metric by a pattern"),
        ('{job="x"}', "names no metric"),
        ('x{a="1" or b="2"}', "is not PromQL of Prometheus"),
        ("x{", "is no PromQL"),
        ("", "is no PromQL"),
        ('x{a=~"("}', "is no PromQL"),
        ("x\ud800", "is no PromQL"),
        ("x y", "is no PromQL"),
    ],
)
def test_what_is_no_counter_is_told(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        parse_selector(text)


@pytest.mark.parametrize(("text", "name"), [("x", "x"), ("x_bucket", "x"), ("x_seconds{a='b'}", 'x_seconds{a="b"}')])
def test_histograms_are_named_without_their_parts(text: str, name: str) -> None:
    assert str(parse_histogram(text)) == name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x_sum", "name the histogram itself: x"),
        ("x_count", "name the histogram itself: x"),
        ("x_bucket{le='0.5'}", "leave it out, all buckets are needed"),
        ("histogram_quantile(0.9, x)", "a histogram is named by its selector alone"),
    ],
)
def test_what_is_no_histogram_is_told(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        parse_histogram(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        ('version="2"', V2),
        ('version="2",', V2),
        ("a!='b', c=~\"d.*\"", (Matcher("a", "!=", "b"), Matcher("c", "=~", "d.*"))),
        ('version="2" # mine', V2),
    ],
)
def test_matchers_of_a_side(text: str, expected: tuple[Matcher, ...]) -> None:
    assert parse_matchers(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'a="b"} or y{c="d"',
        'a="b"}[5m] #',
        'a="b"} #',
        'a="b"} offset 5m #',
        '{a="b"}',
        "version=2",
        "version",
        'a="b" or c="d"',
        '__name__="y"',
        'a="b',
        "\ud800",
    ],
)
def test_what_is_no_matcher_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="are no matchers: write them without braces"):
        parse_matchers(text)


EXPRESSIONS = [
    'sum by (pod, "a.b") (rate(x{a="q\\"b"}[5m:30s] offset 1m)) / on (a) group_left (z) (y > bool 3)',
    'label_replace(up, "x", "$1", "y", "(.*)\\\\d")',
    "max_over_time(z[1500ms] offset 90s) - (-w) ^ 2",
    "quantile(0.9, x) without (a)",
    'count_values("v", x)',
    "topk(3, x) or absent(y) unless ignoring (a) z",
    "x @ 1600000000.500 offset -5m",
    "last_over_time(x[5m] @ end())",
    "avg_over_time(x[5m:] @ start())",
    "histogram_quantile(0.9, sum by (le) (rate(x_bucket[1h30m])))",
    "a * on () group_right () y + 0.1 + 1e30 + Inf - NaN",
    "time() - process_start_time_seconds",
    "x atan2 y % 3",
    "clamp_max(vector(1) + x, 10)",
]


def shape(text: str) -> str:
    """The parsed expression, as far as the parser tells it."""
    return str(promql_parser.parse(text))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_in_canonical_form_is_the_same_expression(text: str) -> None:
    once = canonical(text)
    assert shape(once) == shape(text)
    assert canonical(once) == once


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_side_is_put_into_every_selector(text: str) -> None:
    before, after = selectors_in(promql_parser.parse(text)), selectors_in(promql_parser.parse(within(text, V2)))
    assert [selector.within(V2) for selector in before] == after


def test_durations_and_offsets_are_kept_exactly() -> None:
    assert canonical("max_over_time(z[1500ms] offset 90s)") == "max_over_time(z[1500ms] offset 90s)"
    assert canonical("x @ 1600000000.5 offset -5m") == "x @ 1600000000.500 offset -5m"


def test_matchers_on_a_label_that_is_there_already_are_both_kept() -> None:
    assert within('x{version=~"1|2"}', V2) == 'x{version=~"1|2",version="2"}'
    assert within('x{version="2"}', V2) == 'x{version="2"}'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 + 2", "names no series"),
        ("time()", "names no series"),
        ("x[5m]", "is a range, and one value is wanted"),
        ("sum(x", "is no PromQL"),
        ("a + fill (0) b", "fill() is experimental"),
        ('sum(x{a="1" or b="2"})', "is not PromQL of Prometheus"),
    ],
)
def test_what_is_no_gauge_is_told(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        canonical(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts)
def test_hostile_values_stay_values(value: str) -> None:
    side = (Matcher("pod", "=", value),)
    parsed = selectors_in(promql_parser.parse(within('sum(rate(x{a="b"}[5m])) / y', side)))
    assert parsed == [Selector("x", (Matcher("a", "=", "b"), *side)), Selector("y", side)]
    assert parse_matchers(str(side[0])) == side


@given(texts)
def test_hostile_values_in_own_queries_stay_values(value: str) -> None:
    side = (Matcher("pod", "=", value),)
    filled = fill_own("sum(increase(x{${selector}}[${window}]))", side, "15s")
    assert selectors_in(promql_parser.parse(filled)) == [Selector("x", side)]


@given(texts, texts, texts)
def test_one_of_several_values_means_exactly_them(one: str, other: str, third: str) -> None:
    matcher = one_of("pod", (one, other))
    for value in (one, other, third):
        meant = value in {one, other}
        if "\n" not in value:  # the dot of a pattern is of no concern: everything in it is escaped
            assert matches([matcher], {"pod": value}) == meant


def test_own_queries_are_filled() -> None:
    text = 'sum(increase(x{${selector},code="500"}[${window}]))'
    assert fill_own(text, V2, "15s") == 'sum(increase(x{version="2",code="500"}[15s]))'
    assert fill_own(text, (), "15s") == 'sum(increase(x{job=~".*",code="500"}[15s]))'
    assert fill_matchers(text, V2) == 'sum(increase(x{version="2",code="500"}[${window}]))'


def test_own_queries_must_tell_the_sides_apart() -> None:
    with pytest.raises(UsageError, match=re.escape("does not use ${selector}: both sides would be the same")):
        fill_own("sum(x)", V2, "15s")


def test_own_queries_must_parse() -> None:
    with pytest.raises(UsageError, match="is no PromQL"):
        fill_own("sum(x{${selector}}", V2, "15s")


@pytest.mark.parametrize(
    ("matcher", "labels", "agrees"),
    [
        ('a="b"', {"a": "b"}, True),
        ('a=""', {}, True),
        ('a!="b"', {}, True),
        ('a=~"b"', {"a": "bb"}, False),  # a pattern matches the whole value
        ('a=~"b+"', {"a": "bb"}, True),
        ('a=~".*"', {}, True),
        ('a!~"5.."', {"a": "500"}, False),
    ],
)
def test_matchers_evaluated_here(matcher: str, labels: dict[str, str], agrees: bool) -> None:
    assert matches(parse_matchers(matcher), labels) == agrees
