"""docs/operations.md has every metric, its queries are PromQL over metrics that exist, and its words are the code's."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML

from analyzer.service import observing
from analyzer.service.logs import LEADING
from analyzer.service.masking import LONGEST
from analyzer.service.repeats import EACH, MOST
from analyzer.service.telemetry import LEASE_CHANGES, STATES, STORE_ERRORS, Telemetry
from analyzer.service.traces import LAST_WORDS, MOST_WAITING

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
NAMES = Telemetry().names()
PARTS = {f"{name}{part}" for name in NAMES for part in ("_bucket", "_sum", "_count")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def alerts() -> list[dict[str, Any]]:
    (block,) = blocks("yaml")
    return [rule for group in YAML(typ="safe").load(block)["groups"] for rule in group["rules"]]


def queries() -> list[str]:
    (block,) = blocks("promql")
    return [rule["expr"] for rule in alerts()] + block.splitlines()


def selectors(query: str) -> list[str]:
    promql_parser.parse(query)
    return re.findall(r"\b((?:canary|process|python)_[a-z_]+)", query)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_metric_is_described(name: str) -> None:
    if name.startswith("canary_"):
        assert len(re.findall(rf"^\| `{name}` \| (?:counter|gauge|histogram)", TEXT, flags=re.MULTILINE)) == 1
    else:
        assert f"`{name}`" in TEXT


def test_every_described_metric_exists() -> None:
    described = re.findall(r"`((?:canary|process|python)_[a-z_]+)`", TEXT)
    assert len(described) > 30
    assert [name for name in described if name not in NAMES] == []


def test_the_described_type_and_labels_are_the_metric_s() -> None:
    for family in Telemetry()._registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        row = re.search(rf"^\| `{name}` \| (\w+)(: [^|]*)? \|", TEXT, flags=re.MULTILINE)
        if row is None:
            continue
        assert row[1] == family.type, name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert [label for label in labels if f"`{label}`" not in (row[2] or "")] == [], name


@pytest.mark.parametrize("query", queries())
def test_every_query_is_promql_over_metrics_that_exist(query: str) -> None:
    found = selectors(query)
    assert found
    assert [name for name in found if name not in NAMES | PARTS] == []


def test_every_value_of_a_label_in_a_query_is_one_that_comes() -> None:
    text = Telemetry().render()[0].decode()
    for query in queries():
        for label, values in re.findall(r'\b(verdict|result|guard|change|why|state)=~?"([^"]+)"', query):
            for value in values.split("|"):
                assert f'{label}="{value}"' in text, query


def test_every_alert_says_what_it_means() -> None:
    assert len(alerts()) > 5
    for rule in alerts():
        assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("value", [*STATES, *LEASE_CHANGES, *STORE_ERRORS.values(), *LEADING])
def test_every_value_and_field_is_described(value: str) -> None:
    assert f"`{value}`" in TEXT


def test_every_event_in_the_log_of_an_analysis_is_described() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(observing))) if isinstance(node, ast.Call)]
    words = {
        word.value
        for call in calls
        if ast.unparse(call.func) in {"LOG.info", "LOG.warning", "LOG.debug", "say"} or "LOG" in ast.unparse(call.func)
        for word in ast.walk(call.args[0] if call.args else call)
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }
    assert {"planned", "verdict", "acted", "recovered", "not recovered", "ended"} <= words
    assert [word for word in words if f"`{word}`" not in TEXT] == []


def test_the_numbers_are_the_code_s() -> None:
    assert f"at most {LONGEST} signs long" in TEXT
    assert (MOST, EACH) == (10, 60.0)
    assert "written ten times a minute at most" in TEXT
    assert f"{MOST_WAITING} of them wait at most" in TEXT
    assert LAST_WORDS == 1.5
    assert "a second and a half" in TEXT
