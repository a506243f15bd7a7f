"""The jobs of deploy/ci with the real `canary`, a real service under load and a real Prometheus: each way to end."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from examples import Job, github, gitlab, install, jenkins

from analyzer.demo.behaviour import Behaviour
from analyzer.demo.port import Port
from tests.cli.live import Live, serving

pytestmark = pytest.mark.prometheus

RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: quick}
spec:
  schedule: {warmup: 0s, interval: 1s, minimum: 3s, deadline: %s, baseline: 10s}
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors: {ratio: {bad: 'http_requests_total{code=~"5.."}', total: http_requests_total}}
  rules:
    - {metric: errors, critical: true, tolerance: {absolute: %s}, passWithin: {absolute: %s}}
"""
ENDS = {
    # deadline, tolerance, passWithin, whether Prometheus is there, exit code, verdict
    "pass": ("40s", "60%", "60%", True, 0, "pass"),
    "fail": ("40s", "0.5%", "5%", True, 11, "fail"),
    "inconclusive": ("4s", "20%", "20%", True, 3, "inconclusive"),  # it is 20 % worse: neither can be shown
    "error": ("4s", "0.5%", "5%", False, 4, "error"),
}
"""A fifth of the second revision's requests fail."""


@dataclass
class Ended:
    """What a job has left behind."""

    done: CompletedProcess[str]
    folder: Path

    def case(self) -> ET.Element:
        """The one of the JUnit report that is about the analysis itself."""
        case = ET.parse(self.folder / "canary.xml").getroot().find("testsuite/testcase")
        assert case is not None
        return case


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("service"), Behaviour(error_rate=0.2)) as live:
        yield live


@pytest.fixture(scope="module")
def ended(live: Live, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ended]:
    """All of them, some at a time: an analysis mostly waits."""

    def run(name: str, end: str) -> Ended:
        folder = tmp_path_factory.mktemp(f"{name}-{end}")
        install(folder)
        deadline, tolerance, within, is_there, *_ = ENDS[end]
        (folder / "rules.yaml").write_text(RULES % (deadline, tolerance, within))
        where = live.prometheus if is_there else f"http://127.0.0.1:{closed.number}"
        job = _jobs(where)[name]
        summary = {"GITHUB_STEP_SUMMARY": str(folder / "summary")}
        return Ended(job.run(folder, CANARY_PROMETHEUS=where, **summary), folder)

    closed = Port()
    with ThreadPoolExecutor(3) as pool:
        asked = {(name, end): pool.submit(run, name, end) for name in _jobs("") for end in ENDS}
        found = {key: future.result() for key, future in asked.items()}
    closed.close()
    return found


def _jobs(prometheus: str) -> dict[str, Job]:
    target, rules, flags = "command/web", "rules.yaml", "--dry-run\n"
    return {
        "github": github(target=target, rules=rules, prometheus=prometheus, flags=flags),
        "gitlab": gitlab(CHECK_TARGET=target, CHECK_RULES=rules, CHECK_FLAGS=flags),
        "jenkins": jenkins(TARGET=target, RULES=rules, NAMESPACE="shop", FLAGS=flags),
    }


@pytest.mark.parametrize("end", ENDS)
def test_on_github(ended: dict[tuple[str, str], Ended], end: str) -> None:
    *_, code, verdict = ENDS[end]
    it = ended["github", end]
    assert it.done.returncode == code, it.done.stdout + it.done.stderr
    outputs = dict(line.split("=", 1) for line in (it.folder / "outputs").read_text().splitlines())
    assert (outputs["verdict"], outputs["exit-code"]) == (verdict, str(code))
    wanted = ("rollback", "dry-run", "") if end == "fail" else ("none", "none", "")
    assert (outputs["action"], outputs["result"], outputs["held-by"]) == wanted
    assert len(outputs["reason"]) > 20
    level = {"pass": "notice", "inconclusive": "warning"}.get(verdict, "error")
    assert f"::{level} title={verdict.upper()}" in it.done.stdout
    assert f"### {verdict.upper()}" in (it.folder / "summary").read_text()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["gitlab", "jenkins"])
def test_with_a_junit_report(ended: dict[tuple[str, str], Ended], name: str, end: str) -> None:
    *_, code, verdict = ENDS[end]
    it = ended[name, end]
    assert it.done.returncode == code, it.done.stdout + it.done.stderr
    told = [(child.tag, child.get("type")) for child in it.case()]
    kind = {"pass": None, "fail": "failure"}.get(verdict, "error")
    assert told == ([(kind, verdict)] if kind else [])
    assert f"{verdict.upper()}  command/web" in it.done.stderr, "the log tells it, too"


def test_a_hostile_reason_stays_one_output(tmp_path: Path) -> None:
    """An analysis that does not begin for a mistake which quotes what was given writes none of it."""
    install(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES % ("4s", "0.5%", "5%"))
    done = github(target="x\nverdict=pass", rules="rules.yaml", prometheus="http://127.0.0.1:9").run(tmp_path)
    assert done.returncode == 2, done.stderr
    assert (tmp_path / "outputs").read_text().count("verdict=") == 1
    assert json.dumps("x\nverdict=pass") not in done.stdout
