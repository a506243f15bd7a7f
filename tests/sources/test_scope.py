"""Whatever a caller writes, every selector that is sent has the scope's matchers in it."""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import QueryRefused, SourceError, UsageError
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Missing, Window
from analyzer.model.ruleset import (
    Comparison,
    GaugeMetric,
    HistogramMetric,
    Metric,
    Promql,
    RatioMetric,
    RatioSource,
    Unit,
)
from analyzer.sources.nesting import DEEPEST, LONGEST
from analyzer.sources.prometheus.answer import Answer
from analyzer.sources.prometheus.scope import Scoped, fill_scope, scoped
from analyzer.sources.prometheus.sharing import SharedClient
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.sources.promql import Matcher, parse_matchers

SHOP = 'namespace="shop"'
SCOPE = parse_matchers(SHOP)
WIDE = (Matcher("namespace", "=~", "shop|sh\\.p"), Matcher("tenant", "!=", 'o"th\\er'))
SIGNS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def matchers_sent(text: str) -> list[set[Matcher]]:
    """The matchers of every selector, as the parser's own walk finds them: nothing of the product is trusted here."""
    found = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            assert not node.matchers.or_matchers
            found.append(
                {Matcher(m.name, SIGNS[str(m.op).rpartition(".")[2]], m.value) for m in node.matchers.matchers}
            )

    promql_parser.walk(promql_parser.parse(text), visit)
    return found


def is_within(text: str, scope: tuple[Matcher, ...] = SCOPE) -> bool:
    return all(set(scope) <= matchers for matchers in matchers_sent(text))


# ---------------------------------------------------------------------- every shape of PromQL

NAME = "metric"
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: NAME not in text)
labels = st.sampled_from(["namespace", "job", "a", "__name__", "tenant"])


@st.composite
def selectors(draw: st.DrawFn) -> str:
    given_labels = draw(st.lists(labels, max_size=3))
    matchers = []
    for label in given_labels:
        if label == "__name__":
            continue
        sign = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
        value = draw(st.sampled_from(["", ".*", ".+", "other", "shop|other"]) if "~" in sign else values)
        matchers.append(str(Matcher(label, sign, value)))
    form = draw(st.sampled_from(["plain", "braces", "quoted", "pattern"]))
    body = ",".join(matchers)
    match form:
        case "plain":
            return f"{NAME}{{{body}}}" if body else NAME
        case "braces":
            return f"{{{body + ',' if body else ''}__name__='{NAME}'}}"
        case "quoted":
            return f'{{"{NAME}"{"," + body if body else ""}}}'
        case _:
            return f'{{__name__=~"{NAME}|.+"{"," + body if body else ""}}}'


moved = st.sampled_from(["", " offset 5m", " offset -90s", " @ 1600000000", " @ end()", " @ start() offset 1500ms"])
spans = st.sampled_from(["5m", "1500ms", "1h30m"])
modifiers = st.sampled_from(["", " on (a) ", ' ignoring ("b.c") ', " on () group_left (namespace) ", " bool "])


@st.composite
def ranges(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    if draw(st.booleans()):
        return f"{draw(selectors())}[{draw(spans)}]{draw(moved)}"
    return f"({draw(inner)})[{draw(spans)}:{draw(st.sampled_from(['', '30s']))}]{draw(moved)}"


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    over = st.sampled_from(["rate", "increase", "last_over_time", "absent_over_time", "count_over_time", "changes"])
    of = st.sampled_from(["abs", "absent", "sort_desc", "timestamp", "scalar", "label_replace", "histogram_quantile"])
    aggregations = st.sampled_from(
        ["sum({})", "topk(3, {})", "sum by (namespace) ({})", "avg({}) without (a)", 'count_values("namespace", {})']
    )
    return st.one_of(
        st.builds(lambda function, span: f"{function}({span})", over, ranges(inner)),
        st.builds(_called, of, inner),
        st.builds(lambda form, text: form.format(text), aggregations, inner),
        st.builds(lambda left, modifier, right: f"({left}) >{modifier}({right})", inner, modifiers, inner).filter(
            lambda text: "group_left" not in text or "bool" not in text
        ),
        st.builds(
            lambda left, sign, right: f"({left}) {sign} ({right})",
            inner,
            st.sampled_from(["+", "-", "*", "/", "%", "^", "or", "and", "unless", "atan2", "== bool", "<="]),
            inner,
        ),
        st.builds(lambda text: f"-({text})", inner),
        st.builds(lambda text: f"{text} # a comment with metric{{namespace='other'}}\n", inner),
    )


def _called(function: str, text: str) -> str:
    match function:
        case "label_replace":
            return f'label_replace({text}, "namespace", "shop", "a", "(.*)")'
        case "histogram_quantile":
            return f"histogram_quantile(0.9, {text})"
        case "scalar":
            return f"vector(scalar({text}))"
        case _:
            return f"{function}({text})"


queries = st.recursive(
    st.one_of(st.builds(lambda text, move: text + move, selectors(), moved), st.just("vector(1)")), larger, max_leaves=6
)


@settings(max_examples=400)
@given(queries, st.sampled_from([SCOPE, WIDE]))
def test_every_selector_is_within_the_scope(query: str, scope: tuple[Matcher, ...]) -> None:
    before = matchers_sent(query)
    sent = scoped(query, scope)
    after = matchers_sent(sent)
    assert len(after) == len(before)
    assert all(wanted | set(scope) == got for wanted, got in zip(before, after, strict=True))
    assert scoped(sent, scope) == sent


@given(values)
def test_a_scope_is_kept_whatever_its_value(value: str) -> None:
    scope = (Matcher("namespace", "=", value),)
    assert matchers_sent(scoped("sum(rate(x[5m])) / y", scope)) == [set(scope), set(scope)]


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from([*"x{}[]()\"'`\\,=~!#\n :@-", "namespace", "shop", " or ", "5m", " offset "]), max_size=14)
)
def test_what_parses_is_within_the_scope_and_the_rest_is_refused(tokens: list[str]) -> None:
    try:
        sent = scoped("".join(tokens), SCOPE)
    except UsageError:
        return
    assert is_within(sent)


# ---------------------------------------------------------------------- ways around it


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("up", 'up{namespace="shop"}'),
        ("up[5m]", 'up{namespace="shop"}[5m]'),
        ('up{namespace="other"}', 'up{namespace="other",namespace="shop"}'),
        ('up{namespace=~".*"}', 'up{namespace=~".*",namespace="shop"}'),
        ('up{namespace!="shop"}', 'up{namespace!="shop",namespace="shop"}'),
        ('up{namespace="shop"}', 'up{namespace="shop"}'),
        ('{__name__=~".+"}', '{__name__=~".+",namespace="shop"}'),
        ('up{a="}"} or up{b="\\"} or up{"}', None),
        ("max_over_time((a or b)[5m:1m] offset 1h)", None),
        ('label_replace(up, "namespace", "shop", "", "")', None),
        ("1", "1"),
        ("vector(1) + time()", "vector(1) + time()"),
        ('"text"', '"text"'),
        ("up # {namespace='x'}", 'up{namespace="shop"}'),
    ],
)
def test_examples(text: str, sent: str | None) -> None:
    assert is_within(scoped(text, SCOPE))
    assert sent is None or scoped(text, SCOPE) == sent


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('up{a="1" or namespace="other"}', "is not PromQL of Prometheus"),
        ('{namespace="shop" or namespace="other"}', "is not PromQL of Prometheus"),
        ("up{", "is no PromQL"),
        ("WITH (x = up) x", "is no PromQL"),
        ("up keep_metric_names", "is no PromQL"),
        ("up default 0", "is no PromQL"),
        ('x"; up', "is no PromQL"),
        ("info(up)", "info() reads series that no selector names"),
        (
            'sum(rate(x[5m])) / on (a) (info(up, {__name__="target_info"}))',
            "info() reads series that no selector names",
        ),
        ("a + fill (0) b", "fill() is experimental"),
        ("x" * (LONGEST + 1), "is too long"),
        ("(" * 300 + "x" + ")" * 300, f"more than {DEEPEST} brackets and operators"),
        ("abs(" * 12_000 + "x" + ")" * 12_000, f"more than {DEEPEST} brackets and operators"),
        ("max_over_time(" * 3_000 + "x" + "[1m:])" * 3_000, f"more than {DEEPEST} brackets and operators"),
        ("+".join("x" * 9_000), f"more than {DEEPEST} brackets and operators"),
        (" or ".join("x" * 9_000), f"more than {DEEPEST} brackets and operators"),
        ("-" * 9_000 + "x", f"more than {DEEPEST} brackets and operators"),
        ("# '\n" + "(" * 9_000 + "'", f"more than {DEEPEST} brackets and operators"),
        ("'\\'" + "' + '" * 9_000, f"more than {DEEPEST} brackets and operators"),
    ],
)
def test_what_cannot_be_kept_within_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        scoped(text, SCOPE)


def test_the_deepest_that_is_allowed_can_be_written() -> None:
    for text in ("abs(" * DEEPEST + "x" + ")" * DEEPEST, "+".join("x" * DEEPEST), "-" * DEEPEST + "x"):
        assert is_within(scoped(text, SCOPE))
    many = "|".join(f"web-{number}-a.b+c(d)" for number in range(400))
    assert is_within(scoped(f'x{{pod=~"{many}"}}', SCOPE))  # what stands in a string is not deep


# ---------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("template", "namespace", "filled"),
    [
        ('namespace="${namespace}"', "shop", 'namespace="shop"'),
        ('namespace="${namespace}", tenant="t"', "shop", 'namespace="shop",tenant="t"'),
        ('namespace="${namespace}"', 'x"} or up{a="', 'namespace="x\\"} or up{a=\\""'),
        ('namespace=~"${namespace}(-canary)?"', "sh.p|x", 'namespace=~"sh\\\\.p\\\\|x(-canary)?"'),
        ('namespace="${namespace}"', "${tenant}", 'namespace="${tenant}"'),
        ('tenant="t"', "", 'tenant="t"'),
        ("", "shop", ""),
    ],
)
def test_a_scope_is_filled_with_what_is_meant_literally(template: str, namespace: str, filled: str) -> None:
    assert fill_scope(template, {"namespace": namespace}) == filled


@pytest.mark.parametrize("namespaces", [{}, {"namespace": ""}])
def test_a_scope_without_its_value_is_refused(namespaces: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="needs a namespace, and none is given"):
        fill_scope('namespace="${namespace}"', namespaces)


# ---------------------------------------------------------------------- whatever a source asks


@dataclass
class Remembering:
    """A server that knows a series for each question, and what it was asked."""

    asked: list[str] = field(default_factory=list)

    async def instant(self, query: str, at: int | None) -> Answer:
        self.asked.append(query)
        at = at or 2_000_000_000
        metric = {"job": "web", "instance": "w:80", "pod": "w", "version": "2", "le": "+Inf", "namespace": "shop"}
        if not query.endswith("]"):
            return Answer("vector", [{"metric": metric, "value": [at / 1000, "1"]}])
        samples = [[at / 1000 - 20, "5"], [at / 1000 - 5, "7"]]
        return Answer("matrix", [{"metric": metric, "values": samples}])

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        _ = (end, step)
        self.asked.append(query)
        return Answer("matrix", [{"metric": {"pod": "w"}, "values": [[start / 1000, "1"]]}])

    async def close(self) -> None:
        pass


SIDES = SideMatchers(canary='version="2"', baseline='version="1"', comparison=Comparison.SIDE_BY_SIDE)
WINDOW, SPAN = Window(start=2_000_000_000.0, end=2_000_000_060.0), Window(start=1_999_999_000.0, end=2_000_000_000.0)
METRICS: list[Metric | None] = [
    RatioMetric(ratio=RatioSource(bad='requests{code="500"}', total="requests")),
    RatioMetric(
        ratio=RatioSource(
            bad=Promql(promql="sum(increase(bad{${selector}}[${window}])) or sum(other)"),
            total=Promql(promql="sum(increase(total{${selector}}[${window}]))"),
        )
    ),
    HistogramMetric(histogram="took", unit=Unit.SECONDS),
    GaugeMetric(gauge='max by (pod) (memory{namespace=~".*"}) + on () group_left () sum(foreign)'),
    GaugeMetric(gauge=Promql(promql="sum(memory{${selector}}) / count(foreign)")),
    None,
]


@pytest.mark.parametrize("scope", [SHOP, 'cluster="eu-1"', 'cluster="eu-1",namespace="shop"'])
@pytest.mark.parametrize("metric", METRICS)
def test_everything_that_a_source_asks_is_within_the_scope(metric: Metric | None, scope: str) -> None:
    server, matchers = Remembering(), parse_matchers(scope)

    async def reading() -> None:
        async with SharedClient(server) as shared:
            source = PrometheusSource.sharing(shared, who="a", scope=scope)
            query = source.query("health:targets" if metric is None else "m", metric, SIDES)
            for text in query.rendered.values():
                assert is_within(text.replace("${window}", "60s"), matchers)
                assert scope in text
            await source.lag(query)
            _, cursor = await source.read(query, WINDOW, None)
            later = Window(start=WINDOW.end, end=WINDOW.end + 60)
            await source.read(query, later, cursor)
            await source.history(query, SPAN, 60.0)
            await source.close()
            assert (await shared.view("b").instant("still open", 1)).kind == "vector"

    asyncio.run(reading())
    asked = [text for text in server.asked if text != "still open"]
    assert len(asked) > 3
    for text in asked:
        assert matchers_sent(text)
        assert is_within(text, matchers)


def test_a_rule_set_that_cannot_be_kept_within_is_refused_before_anything_is_asked() -> None:
    async def planning() -> None:
        server = Remembering()
        async with SharedClient(server) as shared:
            source = PrometheusSource.sharing(shared, who="a", scope=SHOP)
            with pytest.raises(UsageError, match=re.escape("info() reads series")):
                source.query("m", GaugeMetric(gauge=Promql(promql="sum(info(x{${selector}}))")), SIDES)
        assert server.asked == []

    asyncio.run(planning())


def test_a_query_that_cannot_be_kept_within_is_not_sent() -> None:
    async def asking() -> None:
        server = Remembering()
        client = Scoped(server, SCOPE)
        for error in ("info(up)", "up{", "(" * 9000):
            with pytest.raises(QueryRefused, match="the query is not sent: "):
                await client.instant(error, 1)
            with pytest.raises(SourceError, match="the query is not sent: "):
                await client.range(error, 1, 2, 1)
        assert server.asked == []

    asyncio.run(asking())


def test_a_reading_of_what_cannot_be_sent_is_refused() -> None:
    async def reading() -> None:
        async with SharedClient(Remembering()) as shared:
            free = PrometheusSource.sharing(shared, who="a")
            query = free.query("m", GaugeMetric(gauge=Promql(promql="sum(info(x{${selector}}))")), SIDES)
            within = PrometheusSource.sharing(shared, who="a", scope=SHOP)
            got, _ = await within.read(query, WINDOW, None)
            assert isinstance(got.canary, Missing)
            assert got.canary.why == Absence.REFUSED

    asyncio.run(reading())


def test_a_scope_that_is_none_is_told() -> None:
    async def making() -> None:
        async with SharedClient(Remembering()) as shared:
            with pytest.raises(UsageError, match="are no matchers"):
                PrometheusSource.sharing(shared, who="a", scope='{namespace="shop"}')

    asyncio.run(making())


def test_readers_ask_in_one_way_alone() -> None:
    """Were there another way to the server, the scope would not be on it."""
    room = Path(__file__).parent.parent.parent / "analyzer" / "sources"
    knowing = {path.name for path in room.rglob("*.py") if "PrometheusClient" in path.read_text(encoding="utf-8")}
    assert knowing == {"client.py", "sharing.py", "source.py"}
