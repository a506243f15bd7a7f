"""The alerts of the chart: promtool takes them, each fires when it should, and none does when all is well."""

import json
import re
import subprocess
from pathlib import Path

import promql_parser
import pytest
from ruamel.yaml import YAML

from analyzer.service.telemetry import Telemetry
from tests.deploy.chart import OURS, ROOT, Json, alerts, metrics_of

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
NAMES = Telemetry().names()
KNOWN = NAMES | {f"{name}{part}" for name in NAMES for part in ("_bucket", "_sum", "_count")}
ALERTS = {rule["alert"]: rule for rule in alerts()}
OTHERS = 'job="another",namespace="canary"'

# What is scraped every 30 seconds, for seven hours.
WELL = {
    "canary_build_info{OURS}": "1x840",
    'canary_http_requests_total{OURS,route="/readyz",status="200"}': "0+6x840",
    'canary_http_requests_total{OURS,route="/readyz",status="503"}': "3x840",  # at the start
    "canary_lag_seconds{OURS}": "20x840",
    'canary_actions_total{OURS,kind="rollback",result="done"}': "0+1x840",
    'canary_actions_total{OURS,kind="rollback",result="failed"}': "0x840",
    'canary_actions_held_total{OURS,guard="superseded"}': "0+1x840",
    'canary_actions_held_total{OURS,guard="hold"}': "0x840",
    'canary_verdicts_total{OURS,verdict="pass"}': "0+1x840",
    'canary_verdicts_total{OURS,verdict="fail"}': "0+0.05x840",
    'canary_verdicts_total{OURS,verdict="inconclusive"}': "0+0.1x840",
    'canary_verdicts_total{OURS,verdict="error"}': "0x840",
    'canary_query_errors_total{OURS,kind="range"}': "0+1x840",
    'canary_query_seconds_count{OURS,kind="range",outcome="ok"}': "0+100x840",
    'canary_query_seconds_bucket{OURS,kind="range",outcome="ok",le="1"}': "0+95x840",
    'canary_query_seconds_bucket{OURS,kind="range",outcome="ok",le="+Inf"}': "0+100x840",
    'canary_store_errors_total{OURS,why="unavailable"}': "2x840",
    'canary_store_errors_total{OURS,why="lease_lost"}': "0+1x840",
    'canary_leases_total{OURS,change="lost"}': "0x840",
    'canary_leases_total{OURS,change="renewed"}': "0+10x840",
    'process_start_time_seconds{OURS,pod="a"}': "100x840",
    'canary_rule_set_broken{OURS,name="http"}': "0x840",
    'canary_watch_seconds_since_last_word{OURS,pod="a"}': "30x840",
}
# What is otherwise than well: alert, series in the place of those above, labels of the alert.
ILL: dict[str, tuple[Json, Json]] = {
    "CanaryAnalyzerDown": ({"canary_build_info{OURS}": "1x3 stale"}, {"job": "canary-analyzer", "namespace": "canary"}),
    "CanaryAnalyzerNotReady": ({'canary_http_requests_total{OURS,route="/readyz",status="503"}': "0+6x840"}, {}),
    "CanaryAnalyzerBehind": ({"canary_lag_seconds{OURS}": "0+30x840"}, {}),
    "CanaryRollbackFailed": ({'canary_actions_total{OURS,kind="rollback",result="failed"}': "0x20 1x820"}, {}),
    "CanaryActionHeld": ({'canary_actions_held_total{OURS,guard="hold"}': "0x20 1x820"}, {"guard": "hold"}),
    "CanaryManyFailures": ({'canary_verdicts_total{OURS,verdict="fail"}': "0+1x840"}, {}),
    "CanaryNothingToJudge": ({'canary_verdicts_total{OURS,verdict="error"}': "0+3x840"}, {}),
    "CanaryPrometheusErrors": ({'canary_query_errors_total{OURS,kind="range"}': "0+20x840"}, {}),
    "CanaryPrometheusSlow": (
        {'canary_query_seconds_bucket{OURS,kind="range",outcome="ok",le="1"}': "0+5x840"}
        | {'canary_query_seconds_bucket{OURS,kind="range",outcome="ok",le="10"}': "0+100x840"},
        {},
    ),
    "CanaryStoreAway": ({'canary_store_errors_total{OURS,why="unavailable"}': "0+1x840"}, {}),
    "CanaryLeasesLost": ({'canary_leases_total{OURS,change="lost"}': "0x20 1x820"}, {}),
    "CanaryReplicasRestart": ({'process_start_time_seconds{OURS,pod="a"}': "0+1x840"}, {}),
    "CanaryRuleSetBroken": ({'canary_rule_set_broken{OURS,name="http"}': "1x840"}, {"name": "http"}),
    "CanaryWatchSilent": ({'canary_watch_seconds_since_last_word{OURS,pod="a"}': "0+30x840"}, {}),
}

SOON, LATE = "20m", "420m"
OF_HOURS = {"CanaryNothingToJudge"}


def test_every_alert_is_tried() -> None:
    assert list(ILL) == list(ALERTS)


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_every_query_is_promql_over_metrics_that_exist(rule: Json) -> None:
    promql_parser.parse(rule["expr"])
    found = metrics_of(rule["expr"])
    assert found
    assert [name for name in found if name not in KNOWN] == []
    assert rule["expr"].count(OURS) == len(found), "each metric is that of this installation"


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_every_alert_says_what_it_is_and_leads_to_what_is_to_be_done(rule: Json) -> None:
    said = rule["annotations"]
    assert said["summary"].endswith(".")
    assert said["description"].endswith(".")
    headings = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", OPERATIONS, flags=re.MULTILINE)}
    assert said["runbook_url"].partition("#")[2] in headings


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_the_document_has_the_same_alerts() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", OPERATIONS, flags=re.MULTILINE | re.DOTALL)
    documented = [rule for group in YAML(typ="safe").load(block)["groups"] for rule in group["rules"]]
    ours = [rule for rule in alerts("") if KNOWN.issuperset(metrics_of(rule["expr"]))]
    assert [each["alert"] for each in documented] == [each["alert"] for each in ours]
    for theirs, rule in zip(documented, ours, strict=True):
        assert theirs.get("for") == rule.get("for"), rule["alert"]
        assert theirs["annotations"]["summary"] == rule["annotations"]["summary"]
        assert _plain(theirs["expr"]) == _plain(rule["expr"])


def _plain(query: str) -> str:
    """A query without the matchers by which installations are told apart."""
    return re.sub(r"\s+", " ", query.replace('job="canary-analyzer"', "").replace("{,", "{").replace("{}", "")).strip()


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules_file(folder: Path) -> Path:
    file = folder / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "canary-analyzer", "rules": alerts()}]}))
    return file


@pytest.mark.prometheus
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    assert f"{len(ALERTS)} rules found" in promtool(
        "check", "rules", "--lint=all", "--lint-fatal", str(rules_file(tmp_path))
    )


@pytest.mark.prometheus
@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_when_it_should(name: str, tmp_path: Path) -> None:
    series, labels = ILL[name]
    said = {"exp_labels": {"severity": "warning"} | labels, "exp_annotations": ALERTS[name]["annotations"]}
    others = {key.replace("OURS", OTHERS): value for key, value in series.items() if name != "CanaryAnalyzerDown"}
    at = LATE if name in OF_HOURS else SOON
    tried([_case(name, series, at, {name: [said]}), _case("of another installation", others, at, {name: []})], tmp_path)


@pytest.mark.prometheus
def test_none_fires_when_all_is_well(tmp_path: Path) -> None:
    silent: dict[str, list[Json]] = {name: [] for name in ALERTS}
    tried([_case("all is well", {}, SOON, silent), _case("for hours", {}, LATE, silent)], tmp_path)


def tried(tests: list[Json], folder: Path) -> None:
    file = folder / "tests.json"
    content = {"rule_files": [str(rules_file(folder))], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(content))
    promtool("test", "rules", str(file))


def _case(name: str, series: Json, at: str, alerts_then: dict[str, list[Json]]) -> Json:
    return {
        "name": name,
        "interval": "30s",
        "input_series": [
            {"series": key.replace("OURS", OURS), "values": value} for key, value in {**WELL, **series}.items()
        ],
        "alert_rule_test": [
            {"eval_time": at, "alertname": each, "exp_alerts": fire} for each, fire in alerts_then.items()
        ],
    }
