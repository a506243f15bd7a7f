"""What a user does wrong, and what is wrong around the user: one sentence and an exit code each, never a traceback."""

import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from analyzer.cli.__main__ import run
from analyzer.store.recording import heading
from tests.engine.world import World, rates

RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: quick}
spec:
  parameters: {requests: http_requests_total}
  schedule: {warmup: 0s, interval: 1s, minimum: 0s, deadline: 2s, baseline: 10s}
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors:
      ratio: {bad: '${requests}{code=~"5.."}', total: '${requests}'}
  rules:
    - {metric: errors, critical: true}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "quick.yaml"
    file.write_text(RULES)
    return file


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nobody listens: bound, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def check(rules: Path, *more: str, prometheus: str | None = "http://127.0.0.1:9") -> list[str]:
    where = ["--prometheus", prometheus] if prometheus else []
    return ["check", "command/web", "--rollback-command", "true", "--rules", str(rules), *where, *more]


def outcome(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    code = run(arguments)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "Traceback" not in text
    return code, " ".join(text.replace("│", " ").split())


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["check", "web"], "TARGET 'web' is not a target: write helm/NAME or command/NAME or rollout/NAME"),
            (["check", "rollout/web", "--gitops", "suspend"], "--gitops suspend is not possible for rollout/web"),
            (["check", "helm/web", "--gitops", "revert"], "it is for application/NAME, and suspend for helm/NAME too"),
            (["check", "application/web", "--gitops", "fight"], "'fight' is not one of 'hold', 'suspend'"),
            (["check", "application/web", "--gitops-branch", "main"], "it needs --gitops revert or propose"),
            (
                ["check", "application/web", "--gitops", "revert", "--gitops-repository", "-x"],
                "--gitops-repository '-x': write an address",
            ),
            (["check", "flux/web"], "is not a target"),
            (["check", "helm/"], "is not a target"),
            (["check", "helm/-n"], "a name consists of letters"),
            (["check", "helm/UPPER"], "cannot be the name of a Helm release"),
            (["check", "command/web"], "needs --rollback-command"),
            (["check", "helm/web", "--rollback-command", "x"], "--rollback-command is for command/NAME"),
            (["check", "command/web", "--rollback-command", "x && y"], "shell"),
            (["check", "command/web", "--dry-run", "--since", "yesterday"], "--since 'yesterday'"),
            (["check", "command/web", "--dry-run", "--since", ""], "--since ''"),  # a variable that CI has not set
            (["check", "command/web", "--dry-run", "--since", "2999-01-01T00:00:00Z"], "is in the future"),
            (["check", "command/web", "--dry-run", "--since", "2026-13-01"], "is not a time"),
            (["check", "command/web", "--dry-run", "--since", "99999999999999999999d"], "is before 2001"),
            (["check", "command/web", "--dry-run", "--since", "0001-01-01T00:00:00Z"], "is before 2001"),
            (["check", "command/web", "--dry-run", "--since", "999999999"], "is before 2001"),
            (["check", "command/web", "--dry-run", "--set", "requests"], "--set 'requests': write NAME=VALUE"),
            (["check", "command/web", "--dry-run", "--set", "a=1", "--set", "a=2"], "is given twice"),
            (["check", "command/web", "--dry-run", "--set", "reqests=x"], "requests"),
            (["check", "command/web", "--dry-run", "--baseline", 'v="1"'], "--baseline without --canary"),
            (["check", "command/web", "--dry-run", "--canary", ""], "--canary: is empty: write matchers such as"),
            (["check", "command/web", "--dry-run", "--canary", 'v="2"', "--baseline", " "], "--baseline: is empty"),
            (["check", "command/web", "--dry-run", "--canary", "v" * 9000], "--canary: is longer than 8192 signs"),
            (["check", "command/web", "--dry-run", "--canary", "version=2"], "version=2"),
            (["check", "command/web", "--dry-run", "--header", "nonsense"], "--header: write 'Name: value'"),
            (["check", "command/web", "--dry-run", "--header", "X: a\r\nY: b"], "--header: write 'Name: value'"),
            (["check", "command/web", "--dry-run", "--query-timeout", "5"], "--query-timeout: 5 has no unit"),
            (["check", "command/web", "--dry-run", "--query-timeout", "0s"], "is no time at all"),
            (["check", "command/web", "--dry-run", "--scrape", "canary=http://x"], "give --prometheus or --scrape"),
            (["check", "command/web", "--dry-run", "--ca-file", "/no/such/file"], "cannot be read"),
            (["check", "command/web", "--dry-run", "--record", "/no/such/folder/file"], "cannot be written"),
            (["check", "command/web", "--dry-run", "--output-file", "/no/such/folder/file"], "cannot be written"),
            (["check", "command/web", "--dry-run", "--output", "pdf"], "pdf"),
            (["check", "command/web", "--nonsense"], "No such option"),
            (["check", "helm/web", "--to-revision", "0"], "--to-revision 0: revisions of helm/web begin with 1"),
            (["check", "application/web", "--to-revision", "-1"], "greater than or equal to 0"),
            (["check", "helm/web", "--retry"], "--retry is for rollout/NAME; helm/web has no abort to clear"),
            (
                ["check", "rollout/web", "--retry", "--dry-run"],
                "--retry clears an abort, and --dry-run changes nothing",
            ),
        ],
    )
    def test_of_check(self, rules: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
        code, text = outcome(capsys, [*arguments, "--rules", str(rules), "--prometheus", "http://127.0.0.1:9"])
        assert words in text
        assert code == 2

    def test_nothing_to_read_from(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, text = outcome(capsys, check(rules, prometheus=None))
        assert "nothing to read from: give --prometheus URL" in text
        assert code == 2

    @pytest.mark.parametrize("url", ["prometheus:9090", "ftp://x", "http://", "http://x?y=1", "", "http://[::1"])
    def test_no_url(self, rules: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
        code, text = outcome(capsys, check(rules, "--prometheus", url, prometheus=None))
        assert "the address of Prometheus" in text
        assert code == 2

    def test_a_scrape_without_a_side(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, text = outcome(capsys, check(rules, "--scrape", "http://x/metrics", prometheus=None))
        assert "write canary=URL or baseline=URL" in text or "write NAME=VALUE" in text
        assert code == 2

    def test_no_such_rule_set(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, text = outcome(capsys, check(tmp_path / "missing.yaml"))
        assert "missing.yaml" in text
        assert code == 2
        code, text = outcome(capsys, check(Path("htp")))
        assert "no such file, nor a shipped rule set of that name" in text
        assert "http" in text
        assert code == 2

    def test_a_label_that_the_platform_cannot_fill(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "label.yaml"
        file.write_text(RULES.replace("""{canary: 'version="2"', baseline: 'version="1"'}""", "{label: pod}"))
        code, text = outcome(capsys, check(file))
        assert "command/web cannot tell the values of the label 'pod'" in text
        assert "--canary" in text
        assert code == 2

    def test_an_action_switch_that_is_no_switch(
        self, rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY_ACTIONS", "maybe")
        code, text = outcome(capsys, check(rules))
        assert "CANARY_ACTIONS=maybe: write on or off" in text
        assert code == 2


class TestRuleSets:
    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            (RULES.replace("critical", "critcal"), "critcal"),
            (RULES.replace("metric: errors", "metric: erors"), "errors"),
            (RULES.replace("deadline: 2s", "deadline: 2"), "has no unit"),
            (RULES.replace("${requests}{", "${reqests}{"), "requests"),
            (RULES.replace('{code=~"5.."}', '{code=~"5.."'), "PromQL"),
            (RULES.replace("'${requests}{code", "'rate(${requests}{code").replace("\"}'", "\"}[5m])'"), "counter"),
            (RULES + "  rules: []\n", "rules"),
            ("a: &a [x]\nb: [*a, *a]\n", "anchors"),
            ("", "empty"),
            ("\x00", "character"),
            ("- - -" * 3, "bad.yaml"),
        ],
    )
    def test_every_mistake_has_its_file_and_a_sentence(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str, words: str
    ) -> None:
        file = tmp_path / "bad.yaml"
        file.write_text(broken)
        code, text = outcome(capsys, ["lint", str(file)])
        assert "bad.yaml" in text
        assert words.lower() in text.lower()
        assert code == 2

    def test_no_word_of_a_file_begins_a_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """In CI such a line is a command to the workflow's runner, and rule sets come with pull requests."""
        file = tmp_path / "bad.yaml"
        hostile = '"a\\n::error::metric": {ratio: {bad: a, total: "b\\n::error::total"}}\n    errors:'
        file.write_text(RULES.replace("errors:", hostile, 1).replace("metric: errors", 'metric: "a\\n::error::metri"'))
        assert run(["lint", str(file)]) == 2
        printed = capsys.readouterr()
        assert "did you mean a" in printed.err
        assert all(line.startswith(str(file)) for line in printed.err.splitlines())

    def test_a_hundred_megabytes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "huge.yaml"
        with file.open("wb") as writing:
            writing.truncate(100_000_000)
        started = time.monotonic()
        code, text = outcome(capsys, ["lint", str(file)])
        assert "huge.yaml" in text
        assert code == 2
        assert time.monotonic() - started < 5, "it was read, and not refused"

    def test_good_and_bad_together(self, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, text = outcome(capsys, ["lint", str(rules), str(tmp_path / "missing.yaml")])
        assert "quick.yaml: good: rule set quick, 1 rules" in text
        assert "missing.yaml" in text
        assert code == 2

    def test_the_shipped_ones_are_good(self, capsys: pytest.CaptureFixture[str]) -> None:
        shipped = sorted(str(file) for file in (Path(__file__).parents[2] / "rules").glob("*.yaml"))
        code, _ = outcome(capsys, ["lint", *shipped])
        assert code == 0
        assert shipped

    def test_schema_is_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["schema"]) == 0
        assert json.loads(capsys.readouterr().out)["$schema"]


class TestReplay:
    def test_no_recording(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, text = outcome(capsys, ["replay", str(tmp_path / "missing")])
        assert "no such file" in text
        assert code == 2

    def test_a_recording_with_two_plans(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        world = World(rates(0.2))
        world.run()
        lines = [event.model_dump_json() for event in world.record.events]
        file = tmp_path / "r"
        file.write_text("\n".join([heading("test"), lines[0], *lines, ""]))
        code, text = outcome(capsys, ["replay", str(file), "--output", "json"])
        assert "event 2 of the recording cannot be judged, it is damaged: an analysis is planned once" in text
        assert code == 2

    def test_set_without_rules(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "r"
        file.write_text('{"format": "canary-analyzer-recording/1"}\n')
        code, text = outcome(capsys, ["replay", str(file)])
        assert "does not begin with the plan" in text
        assert code == 2


@contextmanager
def answering(status: int, body: str, *, pause: float = 0) -> Iterator[str]:
    """A server that gives everything the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(pause)
            with suppress(ConnectionError):  # a client that has given up
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 -- the library's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


EMPTY = '{"status":"success","data":{"resultType":"vector","result":[]}}'
EMPTY_MATRIX = '{"status":"success","data":{"resultType":"matrix","result":[]}}'


class TestPrometheus:
    def test_away_all_the_time(self, rules: Path, capsys: pytest.CaptureFixture[str], nowhere: str) -> None:
        code, text = outcome(capsys, check(rules, "--since", "10m", "--dry-run", prometheus=nowhere))
        assert "could not analyse" in text
        assert "refused" in text.lower()
        assert code == 4

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (400, '{"status":"error","errorType":"bad_data","error":"that is no query"}', "that is no query"),
            (401, "", "401"),
            (403, "no", "403"),
            (404, "<html>nothing here</html>", "404"),
        ],
    )
    def test_refusals_end_it_at_once(
        self, rules: Path, capsys: pytest.CaptureFixture[str], status: int, body: str, words: str
    ) -> None:
        with answering(status, body) as url:
            code, text = outcome(capsys, check(rules, prometheus=url))
        assert words in text
        assert "could not analyse" in text
        assert code == 4

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (503, "starting", "503"),
            (200, "<html>login</html>", "JSON"),
            (200, '{"status":"success","data":{"resultType":"matrix","result":[', "JSON"),
            (
                200,
                '{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["a store is down"]}',
                "a store is down",
            ),
        ],
    )
    def test_what_may_pass_is_waited_for_until_the_deadline(
        self, rules: Path, capsys: pytest.CaptureFixture[str], status: int, body: str, words: str
    ) -> None:
        late = rules.with_name("late.yaml")
        late.write_text(RULES)
        with answering(status, body) as url:
            code, text = outcome(capsys, check(late, prometheus=url))
        assert words in text
        assert "could not analyse" in text
        assert code == 4

    def test_a_server_that_hangs(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with answering(200, EMPTY, pause=5) as url:
            code, text = outcome(capsys, check(rules, "--query-timeout", "300ms", prometheus=url))
        assert "could not analyse" in text
        assert code == 4

    def test_an_endpoint_that_hangs(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with answering(200, "", pause=5) as url:
            scrape = ("--scrape", f"canary={url}")
            code, text = outcome(capsys, check(rules, *scrape, "--query-timeout", "300ms", prometheus=None))
        assert f"{url}/metrics: no whole answer within 0.3 s" in text
        assert code == 4

    def test_no_series_is_inconclusive(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with answering(200, EMPTY_MATRIX) as url:
            code, text = outcome(capsys, check(rules, prometheus=url))
        assert "no data of the canary" in text
        assert code == 3


class TestPlatforms:
    def test_no_helm(
        self, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        code, text = outcome(capsys, ["check", "helm/web", "--rules", str(rules), "--prometheus", "http://x"])
        assert "helm" in text
        assert "could not analyse" in text
        assert code == 4

    def test_a_helm_that_is_none(self, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fake = tmp_path / "helm"
        fake.write_text(f"#!{sys.executable}\nprint('I am not helm')\n")
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
        arguments = ["check", "helm/web", "--rules", str(rules), "--prometheus", "http://x", "--helm", str(fake)]
        code, text = outcome(capsys, arguments)
        assert "could not analyse" in text
        assert code == 4

    def test_a_rollback_command_that_is_not_there(self, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["check", "command/web", "--rollback-command", "no-such-program", "--rules", str(rules)]
        code, text = outcome(capsys, [*arguments, "--prometheus", "http://x"])
        assert "the way back is impossible" in text
        assert "no-such-program" in text
        assert code == 4

    def test_on_fail_abort_is_not_for_a_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "abort.yaml"
        file.write_text(RULES + "  onFail: abort\n")
        code, text = outcome(capsys, check(file))
        assert "spec.onFail: abort is not possible for command/web" in text
        assert code == 4


def test_an_error_that_nobody_foresaw_is_one_sentence(
    rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("analyzer.cli.check.run", broken)
    code, text = outcome(capsys, check(rules))
    assert "an error that was not foreseen: ZeroDivisionError: division by zero" in text
    assert code == 4


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_helm_hangs_is_not_waited_with(tmp_path: Path, rules: Path, name: str, code: int) -> None:
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\ntouch {tmp_path}/begun\nexec sleep 60\n")
    helm.chmod(0o755)
    arguments = ["check", "helm/web", "--helm", str(helm), "--rules", str(rules), "--prometheus", "http://127.0.0.1:9"]
    process = subprocess.Popen([sys.executable, "-m", "analyzer.cli", *arguments], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < until, "helm was not called"
        time.sleep(0.02)
    process.send_signal(signal.Signals[name])
    _, err = process.communicate(timeout=15)
    assert process.returncode == code
    assert err.splitlines()[-1] == f"canary: stopped by {name} before the analysis began; nothing was done"
