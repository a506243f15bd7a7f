import pytest
from rule_texts import rule_set

from analyzer.errors import RuleSetError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.parameters import fill
from analyzer.model.ruleset import GaugeMetric, HistogramMetric, Promql, RatioMetric

TEXT = rule_set(
    """\
    parameters: {requests: requests_total, code: code, version: '2'}
    sides:
      canary: 'version="${version}"'
      baseline: 'version!="${version}"'
    metrics:
      errors:
        ratio: {bad: '${requests}{${code}=~"5.."}', total: '${requests}'}
      own:
        ratio:
          bad: {promql: 'sum(increase(${requests}{${selector},code="500"}[${window}]))'}
          total: {promql: 'sum(increase(${requests}{${selector}}[${window}]))'}
      latency: {histogram: '${duration}'}
      memory: {gauge: 'max by (pod) (${gauge})', unit: bytes}
    rules: [metric: errors, metric: latency, metric: memory, metric: own]
    """
).replace("[metric: errors, metric: latency, metric: memory, metric: own]", "[{metric: errors}, {metric: own}]")


def test_parameters_and_overrides_are_filled_in_everywhere() -> None:
    read = read_rule_set(TEXT)
    overrides = {"duration": "request_seconds", "gauge": "memory_bytes", "version": 'a"b', "code": "status"}
    spec = read.fill(overrides).spec
    errors, own, latency, memory = (spec.metrics[name] for name in ("errors", "own", "latency", "memory"))
    assert isinstance(errors, RatioMetric)
    assert (errors.ratio.bad, errors.ratio.total) == ('requests_total{status=~"5.."}', "requests_total")
    assert isinstance(own, RatioMetric)
    assert isinstance(own.ratio.bad, Promql)
    assert own.ratio.bad.promql == 'sum(increase(requests_total{${selector},code="500"}[${window}]))'
    assert isinstance(latency, HistogramMetric)
    assert latency.histogram == "request_seconds"
    assert isinstance(memory, GaugeMetric)
    assert memory.gauge == "max by (pod) (memory_bytes)"
    assert (spec.sides.canary, spec.sides.baseline) == (r'version="a\"b"', r'version!="a\"b"')
    assert spec.parameters == {"requests": "requests_total", **overrides}
    assert read.rule_set.spec.sides.canary == 'version="${version}"', "the document stays as it was read"


def test_every_variable_that_nobody_fills_is_told() -> None:
    with pytest.raises(RuleSetError) as caught:
        read_rule_set(TEXT, "r.yaml").fill({})
    fills = "write it under spec.parameters, or give --set"
    assert str(caught.value).splitlines() == [
        f"r.yaml:16: spec.metrics.latency.histogram: nobody fills ${{duration}}: {fills} duration=VALUE",
        f"r.yaml:17: spec.metrics.memory.gauge: nobody fills ${{gauge}}: {fills} gauge=VALUE",
    ]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"reqests": "x"}, "the rule set has no parameter 'reqests': did you mean requests?"),
        ({"zzz": "x"}, "the rule set has no parameter 'zzz': it has code, duration, gauge, requests, version"),
        (
            {"selector": "x"},
            "parameter 'selector' is the analyzer's own, for ${selector} in promql: choose another name",
        ),
    ],
)
def test_an_override_that_nothing_asks_for_is_refused(overrides: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_rule_set(TEXT).fill({"duration": "x", "gauge": "y", **overrides})
    assert not isinstance(caught.value, RuleSetError)
    assert str(caught.value) == said


def test_without_any_parameter() -> None:
    read = read_rule_set(rule_set("rules: [{health: targets}]"))
    with pytest.raises(UsageError, match="has no parameter 'a': it has none"):
        read.fill({"a": "b"})
    assert fill(read.rule_set, {}) == read.rule_set


def test_the_names_of_the_analyzers_own_variables_are_taken() -> None:
    read = read_rule_set(rule_set("parameters: {window: 5m}\nrules: [{health: targets}]"), "r.yaml")
    with pytest.raises(RuleSetError) as caught:
        read.fill({})
    assert str(caught.value) == (
        "r.yaml:5: spec.parameters.window: 'window' is the analyzer's own, for ${window} in promql: choose another name"
    )


def test_a_side_that_is_empty_when_filled_is_refused() -> None:
    read = read_rule_set(rule_set("parameters: {m: ''}\nsides: {canary: '${m}'}\nrules: [{health: targets}]"), "r.yaml")
    with pytest.raises(RuleSetError) as caught:
        read.fill({})
    assert str(caught.value) == (
        "r.yaml:6: spec.sides.canary: has no matcher left when filled: this side would be everything"
    )


def test_variables_elsewhere_are_no_variables() -> None:
    text = rule_set("metrics: {e: {gauge: x}}\nrules: [{metric: e, judge: threshold, limit: '${limit}'}]")
    with pytest.raises(RuleSetError, match=r"r.yaml:6: spec.rules\[0\].limit: '\$\{limit\}' is not a level"):
        read_rule_set(text, "r.yaml")


def test_without_lines_mistakes_name_the_rule_set() -> None:
    with pytest.raises(RuleSetError, match=r"^web: spec.metrics.latency.histogram: nobody fills"):
        fill(read_rule_set(TEXT).rule_set, {"gauge": "x"})
