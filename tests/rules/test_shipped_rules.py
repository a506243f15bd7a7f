from pathlib import Path

import promql_parser as promql
import pytest
from jsonschema import Draft202012Validator

from analyzer.composition.rules import finish_rules
from analyzer.model.document import read_rule_file
from analyzer.model.editor import json_schema
from analyzer.model.outline import outline
from analyzer.model.ruleset import GaugeMetric, HistogramMetric, MetricRule, Promql, RatioMetric, RuleSet

FILES = sorted((Path(__file__).parents[2] / "rules").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


@pytest.fixture(params=FILES, ids=NAMES)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def selectors(rules: RuleSet) -> list[str]:
    found: list[str] = []
    for metric in rules.spec.metrics.values():
        if isinstance(metric, RatioMetric):
            assert not isinstance(metric.ratio.bad, Promql)
            assert not isinstance(metric.ratio.total, Promql)
            found += [metric.ratio.bad, metric.ratio.total]
        elif isinstance(metric, HistogramMetric):
            found.append(metric.histogram)
    return found


def matchers(text: str) -> set[tuple[str, str, str]]:
    parsed = promql.parse(text)
    assert isinstance(parsed, promql.VectorSelector)
    return {(matcher.name, str(matcher.op), matcher.value) for matcher in parsed.matchers.matchers}


def test_all_that_were_promised_are_there() -> None:
    meshes = {"istio", "linkerd", "envoy", "nginx-ingress", "traefik", "apisix", "skipper"}
    assert set(NAMES) == meshes | {"http", "micrometer", "opentelemetry", "grpc", "resources"}


def test_it_is_ready_to_be_used_as_it_is(path: Path) -> None:
    document = read_rule_file(path)
    assert document.warnings == ()
    assert document.rule_set.metadata.name == path.stem
    assert document.rule_set.metadata.description
    finish_rules(document, {})


def test_it_is_valid_for_editors(path: Path) -> None:
    value = outline(path.read_text(), path.name)[0].value
    assert list(Draft202012Validator(json_schema()).iter_errors(value)) == []


def test_each_selector_is_one_plain_selector(path: Path) -> None:
    rules = read_rule_file(path).fill({})
    for text in selectors(rules):
        parsed = promql.parse(text)
        assert isinstance(parsed, promql.VectorSelector)
        assert parsed.name
        assert not parsed.offset
    for metric in rules.spec.metrics.values():
        if isinstance(metric, GaugeMetric):
            assert not isinstance(metric.gauge, Promql)
            promql.parse(metric.gauge)


def test_matchers_of_ones_own_reach_every_selector(path: Path) -> None:
    document = read_rule_file(path)
    if "matchers" not in document.rule_set.spec.parameters:
        return
    rules = document.fill({"matchers": 'team="a",zone=~"b.*"'})
    gauges = [str(metric.gauge) for metric in rules.spec.metrics.values() if isinstance(metric, GaugeMetric)]
    assert all('team="a",zone=~"b.*"}' in text for text in [*selectors(rules), *gauges])


def test_errors_decide_and_are_part_of_the_total(path: Path) -> None:
    rules = read_rule_file(path).fill({})
    critical = [rule.metric for rule in rules.spec.rules if isinstance(rule, MetricRule) and rule.critical]
    assert critical == (["memory"] if path.stem == "resources" else ["errors"])
    for metric in rules.spec.metrics.values():
        if isinstance(metric, RatioMetric):
            bad, total = (matchers(str(text)) for text in (metric.ratio.bad, metric.ratio.total))
            assert total <= bad, "what is bad is among all"


def test_it_says_what_it_needs(path: Path) -> None:
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Needs: ") for line in comment)
    assert any(f"--rules {path.stem} " in line for line in comment)
