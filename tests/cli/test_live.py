"""`canary check` as its users run it: a process of its own, a real service under load, a real Prometheus."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import BAD, Live, serving

from analyzer.cli.__main__ import run as run_here
from analyzer.demo.behaviour import GOOD

pytestmark = pytest.mark.prometheus

RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: quick}
spec:
  schedule: {warmup: 0s, interval: 1s, minimum: 3s, deadline: %s, baseline: 10s}
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors:
      ratio: {bad: 'http_requests_total{code=~"5.."}', total: http_requests_total}
    latency: {histogram: http_request_duration_seconds}
  rules:
    - metric: errors
      critical: true
      tolerance: {relative: 10%%, absolute: %s}
      passWithin: {relative: 10%%, absolute: %s}
    - {metric: latency, quantile: 0.99, tolerance: {relative: 100%%}}
    - {health: targets}
"""


def rules_file(folder: Path, *, deadline: str = "40s", absolute: str = "0.5%", within: str = "5%") -> Path:
    """As they stand, no number of requests makes the bad release pass, which fails a fifth of them."""
    file = folder / f"quick-{deadline}-{absolute}-{within}.yaml".replace("%", "")
    file.write_text(RULES % (deadline, absolute, within))
    return file


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("bad"), BAD) as live:
        yield live


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("good"), GOOD) as live:
        yield live


def command(rules: Path, *more: str, live: Live, back: str | None = None) -> list[str]:
    way_back = back or shlex.join([sys.executable, "-m", "analyzer.demo.control", live.take_back])
    where = [] if any(word.startswith("canary=") for word in more) else ["--prometheus", live.prometheus]
    return [
        *(sys.executable, "-m", "analyzer.cli", "check", "command/web"),
        *("--rules", str(rules), "--rollback-command", way_back, *where, *more),
    ]


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment}
    )


def canary(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "analyzer.cli", *arguments])


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive its test, should it fail."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Replay:
    """`canary replay` in this process: that it is the same in one of its own, two tests show."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, recording: Path, *more: str) -> tuple[int, str]:
        """Its exit code, and what it prints."""
        code = run_here(["replay", str(recording), *more])
        return code, self._capsys.readouterr().out


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Replay:
    return Replay(capsys)


@pytest.fixture(scope="module")
def checked(bad: Live, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("checked")
    recording = folder / "analysis.jsonl"
    more = ["--dry-run", "--record", str(recording), "--output", "json", "--since", "1s"]
    environment = {"CANARY_BEARER_TOKEN": "s3cr3t-token"}
    return run(command(rules_file(folder), *more, live=bad), **environment), recording


class TestDryRun:
    """One analysis of a bad release, recorded, and all that can be made of it."""

    def test_says_fail_and_what_it_would_do(
        self, checked: tuple[subprocess.CompletedProcess[str], Path], bad: Live
    ) -> None:
        done, _ = checked
        assert done.returncode == 11, done.stderr
        report = json.loads(done.stdout)
        assert list(report)[:4] == ["verdict", "action", "held_by", "reason"]
        assert report["verdict"] == "fail"
        assert report["action"] == {"kind": "rollback", "result": "dry-run"}
        assert "dry run: would rollback to revision previous" in report["reason"]
        assert "http_requests_total" in str(report["judgements"][0]["evidence"]["queries"])
        assert bad.taken_back() == 0

    def test_progress_is_a_line_per_change(self, checked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        lines = checked[0].stderr.splitlines()
        assert any("watching command/web revision new by rules quick" in line for line in lines)
        assert any("FAIL: errors" in line for line in lines)
        assert len(lines) < 40

    def test_a_replay_is_byte_identical(self, checked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        done, recording = checked
        again = canary("replay", str(recording), "--output", "json")
        assert again.stdout == done.stdout
        assert again.returncode == 11

    def test_other_rules_give_another_verdict(
        self, checked: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path, replay: Replay
    ) -> None:
        lenient = rules_file(tmp_path, absolute="60%", within="90%")
        code, out = replay(checked[1], "--rules", str(lenient), "--output", "json")
        assert json.loads(out)["verdict"] != "fail"
        assert code in {0, 3}

    def test_other_metrics_have_no_data_in_it(
        self, checked: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path, replay: Replay
    ) -> None:
        other = tmp_path / "other.yaml"
        other.write_text(rules_file(tmp_path).read_text().replace("total: http_requests_total", "total: other_total"))
        _, out = replay(checked[1], "--rules", str(other), "--output", "json")
        judgement = json.loads(out)["judgements"][0]
        assert judgement["standing"] == "no-data"
        assert "record" in judgement["reason"]

    def test_every_other_form(self, checked: tuple[subprocess.CompletedProcess[str], Path], replay: Replay) -> None:
        recording = checked[1]
        assert "FAIL  command/web revision new" in replay(recording)[1]
        assert ET.fromstring(replay(recording, "-o", "junit")[1]).tag == "testsuites"
        assert "### FAIL" in replay(recording, "-o", "markdown")[1]
        assert "::error title=FAIL" in replay(recording, "-o", "github")[1]

    def test_no_token_is_in_the_recording(self, checked: tuple[subprocess.CompletedProcess[str], Path]) -> None:
        assert "s3cr3t" not in checked[1].read_text()
        assert "s3cr3t" not in checked[0].stdout + checked[0].stderr


def test_a_failed_way_back_is_told(bad: Live, tmp_path: Path) -> None:
    failing = shlex.join([sys.executable, "-c", "import sys; sys.exit('the cluster is on fire')"])
    done = run(command(rules_file(tmp_path), live=bad, back=failing))
    assert done.returncode == 11, done.stderr
    assert "not taken back" in done.stdout
    assert "rollback (failed)" in done.stdout


def test_actions_switched_off(bad: Live, tmp_path: Path) -> None:
    done = run(command(rules_file(tmp_path), live=bad), CANARY_ACTIONS="off")
    assert done.returncode == 11, done.stderr
    assert "held by: stopped" in done.stdout
    assert bad.taken_back() == 0


def test_on_github_actions(bad: Live, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = run(command(rules_file(tmp_path), "--dry-run", live=bad), **environment)
    assert done.returncode == 11, done.stderr
    assert "::error title=FAIL" in done.stdout
    assert "### FAIL" in summary.read_text()


def test_whoever_reads_may_leave(bad: Live, tmp_path: Path) -> None:
    """The analysis goes on, the way back is gone, and the exit code is the true one."""
    reading, writing = os.pipe()
    os.close(reading)
    done = tmp_path / "done"
    back = shlex.join(
        [sys.executable, "-c", f"import pathlib; pathlib.Path({str(done)!r}).touch(); raise SystemExit(1)"]
    )
    ended = subprocess.run(
        command(rules_file(tmp_path), live=bad, back=back), stdout=writing, stderr=writing, check=False, timeout=120
    )
    os.close(writing)
    assert ended.returncode == 11
    assert done.exists()


def test_a_report_that_cannot_be_printed_goes_to_standard_error(bad: Live, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        arguments = command(rules_file(tmp_path), "--dry-run", "--output", "json", live=bad)
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 11, done.stderr
    assert "canary: the report could not be printed: No space left on device" in done.stderr
    assert "FAIL  command/web revision new" in done.stderr


def test_a_terminal_without_unicode(bad: Live, tmp_path: Path) -> None:
    done = run(command(rules_file(tmp_path), "--dry-run", live=bad), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 11, done.stderr
    assert "\\u2717 errors" in done.stdout


def test_without_prometheus_by_scraping(bad: Live, tmp_path: Path) -> None:
    sides = [
        ("--scrape", f"{side}={url}")
        for side, revision in (("canary", "2"), ("baseline", "1"))
        for url in bad.metrics(revision)
    ]
    done = run(command(rules_file(tmp_path), "--dry-run", *(word for pair in sides for word in pair), live=bad))
    assert done.returncode == 11, done.stdout + done.stderr
    assert "errors" in done.stdout


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_signals_leave_a_record_and_a_clear_last_line(good: Live, tmp_path: Path, name: str, code: int) -> None:
    recording = tmp_path / "r.jsonl"
    rules = rules_file(tmp_path, deadline="60s", within="0.5%", absolute="0.4%")
    with started(command(rules, "--record", str(recording), live=good)) as process:
        wait_for(lambda: recording.exists() and recording.read_text().count('"type":"window"') >= 2)
        process.send_signal(signal.Signals[name])
        out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert f"stopped by {name}" in err.splitlines()[-1]
    assert "nothing was done" in err.splitlines()[-1]
    assert "INCONCLUSIVE" in out
    assert '"type":"ended"' in recording.read_text().splitlines()[-1]
    assert canary("replay", str(recording)).returncode == code


def wait_for(happened: object, seconds: float = 40) -> None:
    assert callable(happened)
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def test_a_signal_in_the_middle_of_the_act_lets_it_finish(bad: Live, tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    touch = "pathlib.Path({!r}).touch()"
    slow = "; ".join(["import pathlib, time", touch.format(str(begun)), "time.sleep(2)", touch.format(str(ended))])
    recording = tmp_path / "r.jsonl"
    back = shlex.join([sys.executable, "-c", slow])
    with started(command(rules_file(tmp_path), "--record", str(recording), live=bad, back=back)) as process:
        wait_for(begun.exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert ended.exists()
    assert '"type":"acted"' in recording.read_text()
    assert "taken back" in err.splitlines()[-1]


def test_a_good_release_passes(good: Live, tmp_path: Path) -> None:
    done = run(command(rules_file(tmp_path, within="20%"), "--output", "junit", live=good))
    assert done.returncode == 0, done.stdout + done.stderr
    suite = ET.fromstring(done.stdout).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "0"
    assert good.taken_back() == 0


def test_a_report_into_a_file(good: Live, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = run(command(rules_file(tmp_path, within="20%"), "-o", "json", "--output-file", str(file), live=good))
    assert done.returncode == 0, done.stderr
    assert json.loads(file.read_text())["verdict"] == "pass"
    assert done.stdout == ""


def test_z_a_bad_release_is_taken_back_and_recovers(bad: Live, tmp_path: Path) -> None:
    """The last one: it really takes the release back."""
    done = run(command(rules_file(tmp_path), "--output", "json", live=bad))
    report = json.loads(done.stdout)
    assert done.returncode == 10, done.stderr
    assert report["action"] == {"kind": "rollback", "result": "done"}
    assert report["seconds_to_recovery"] > 0
    assert bad.taken_back() == 1
