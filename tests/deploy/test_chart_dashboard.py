"""The dashboard: Grafana can read it, and its queries are PromQL over metrics that exist."""

import json
import re

import promql_parser
import pytest

from analyzer.service.telemetry import Telemetry
from tests.deploy.chart import CHART, Json, metrics_of

BOARD: Json = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] not in {"row", "text"}]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
NAMES = Telemetry().names()
KNOWN = NAMES | {f"{name}{part}" for name in NAMES for part in ("_bucket", "_sum", "_count")}
LABELS_OF_TARGETS = {"pod", "namespace", "job", "le"}


def test_panels_have_titles_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS) > 15
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_every_query_is_promql_over_metrics_that_exist(title: str, query: str) -> None:
    promql_parser.parse(query.replace("$__rate_interval", "5m"))
    found = metrics_of(query)
    assert found, title
    assert [name for name in found if name not in KNOWN] == []
    assert query.count('namespace="$namespace",job="$job"') == len(found)


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_every_label_is_one_of_its_metric(title: str, query: str) -> None:
    metrics = metrics_of(query)
    known = set(LABELS_OF_TARGETS)
    for family in Telemetry()._registry.collect():
        if any(name.startswith(family.name) for name in metrics):
            known |= set().union(*(sample.labels for sample in family.samples), _labels(family.name))
    grouped = [label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")]
    matched = re.findall(r'(\w+)[!=~]+"', query)
    assert [label for label in grouped + matched if label not in known] == [], title


def _labels(name: str) -> set[str]:
    """Those of a metric that has no series before something happens."""
    text = (CHART.parents[1] / "docs" / "operations.md").read_text()
    row = re.search(rf"^\| `{name}(?:_total)?` \| (?:counter|gauge|histogram): ([^|]*)\|", text, flags=re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row[1])) if row else set()


def test_every_series_is_named() -> None:
    for panel in PANELS:
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_its_variables_are_used() -> None:
    names = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert names == ["datasource", "namespace", "job"]
    text = json.dumps(PANELS)
    assert all(f"${name}" in text or f"${{{name}}}" in text for name in names)


def test_what_it_says_stands_where_it_says() -> None:
    """Reasons of Events, paths of the API, and headings of docs/operations.md."""
    (words,) = [panel["options"]["content"] for panel in BOARD["panels"] if panel["type"] == "text"]
    folder = CHART.parents[1] / "docs"
    docs = {name: (folder / f"{name}.md").read_text() for name in ("annotations", "api", "operations")}
    assert [one for one in re.findall(r"Canary[A-Z]\w+", words) if f"`{one}`" not in docs["annotations"]] == []
    assert [one for one in re.findall(r"/api/v1/\w+", words) if one not in docs["api"]] == []
    told = re.findall(r"docs/operations\.md, (.*)", "\n".join(panel.get("description", "") for panel in PANELS))
    assert len(told) == 6
    assert [one for one in told if f"### {one}\n" not in docs["operations"]] == []
