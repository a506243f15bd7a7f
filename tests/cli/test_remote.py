"""`canary check --server` against a server that keeps the contract, and against all kinds that do not."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_service import ID, Asked, FakeService, Handler, record, serving

from analyzer.cli import following, patience, service_connection
from analyzer.cli.__main__ import run
from analyzer.cli.output import Output, render
from analyzer.engine.replay import judge_again

TOKEN = "s3cr3t-token"
RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: own}
spec: {}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(following, "ASKED_EVERY", 0.02)
    monkeypatch.setattr(following, "SHOWN_EVERY", 0.02)
    monkeypatch.setattr(following, "OPENED_EVERY", 0.02)
    monkeypatch.setenv("CANARY_TOKEN", TOKEN)
    for name in ("CANARY_ACTIONS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "CANARY_PROMETHEUS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bad() -> Iterator[FakeService]:
    with serving(FakeService(record())) as service:
        yield service


def check(url: str, *more: str, target: str = "helm/web", rules: str = "http") -> list[str]:
    return ["check", target, "-n", "prod", "--rules", rules, "--server", url, *more]


def outcome(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str, str]:
    code = run(arguments)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "not foreseen" not in printed.err
    assert TOKEN not in printed.out + printed.err
    return code, printed.out, printed.err


class TestAnAnalysis:
    def test_its_report_and_exit_code_are_those_of_one_that_ran_here(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, _ = outcome(capsys, check(bad.url, "-o", "json"))
        assert code == 10
        assert json.loads(out) == json.loads(judge_again(record()).model_dump_json())

    def test_its_progress_is_that_of_one_that_ran_here(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _, _, err = outcome(capsys, check(bad.url))
        assert "watching helm/web revision 2 by rules test, until 5 min after the upgrade" in err
        assert "FAIL: errors" in err
        assert "rollback of helm/web to revision 1" in err
        assert f"canary: analysis {ID}: {bad.url}/api/v1/analyses/{ID}" in err
        assert len(err.splitlines()) == len(set(err.splitlines()))

    def test_a_good_one_passes(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(FakeService(record(0.0))) as service:
            code, out, _ = outcome(capsys, check(service.url))
        assert code == 0
        assert "PASS  helm/web revision 2" in out

    @pytest.mark.parametrize("form", list(Output))
    def test_every_form(self, bad: FakeService, capsys: pytest.CaptureFixture[str], form: Output) -> None:
        code, out, _ = outcome(capsys, check(bad.url, "-o", form.value))
        assert out == render(judge_again(record()), form)
        assert code == 10

    def test_into_a_file(self, bad: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "report.json"
        assert outcome(capsys, check(bad.url, "-o", "json", "--output-file", str(file)))[0] == 10
        assert json.loads(file.read_text())["verdict"] == "fail"

    def test_attached(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, _ = outcome(capsys, ["check", "--server", bad.url, "--attach", ID])
        assert (code, "FAIL  helm/web" in out) == (10, True)
        assert bad.requests("POST", "/analyses") == []

    def test_attached_after_its_end(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        while not bad.has_ended:
            bad.step()
        code, _, err = outcome(capsys, ["check", "--server", bad.url, "--attach", ID])
        assert (code, "FAIL: errors" in err) == (10, True)
        assert bad.requests("GET", "/changes") == []


class TestTheOrder:
    def order(self, service: FakeService) -> Asked:
        (asked,) = service.requests("POST", "/analyses")
        return asked

    def test_what_the_flags_say(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        more = ["--set", "requests=x", "--canary", 'version="2"', "--baseline", 'version="1"', "--since", "1700000000"]
        more += ["--to-revision", "3", "--dry-run", "--connection", "thanos", "--header", "X-Team: web"]
        outcome(capsys, check(bad.url + "/api/v1/", *more))
        asked = self.order(bad)
        assert asked.body == {
            "target": "helm/web",
            "namespace": "prod",
            "parameters": {"requests": "x"},
            "prometheus": "thanos",
            "canary": 'version="2"',
            "baseline": 'version="1"',
            "since": 1700000000.0,
            "to_revision": 3,
            "dry_run": True,
        }
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert asked.headers["x-team"] == "web"

    def test_a_rule_set_file_is_sent(
        self, bad: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "own.yaml"
        file.write_text(RULES)
        outcome(capsys, check(bad.url, rules=str(file)))
        assert self.order(bad).body["rule_set"] == RULES

    def test_a_name_is_that_of_the_server_s(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        outcome(capsys, check(bad.url, rules="team-web"))
        assert self.order(bad).body["rules"] == "team-web"
        assert "rule_set" not in self.order(bad).body

    def test_the_key_is_random_or_what_is_given(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        outcome(capsys, check(bad.url))
        outcome(capsys, check(bad.url))
        outcome(capsys, check(bad.url, "--key", "job-7"))
        _, _, err = outcome(capsys, check(bad.url, "--key", "job-7"))
        keys = [asked.headers["idempotency-key"] for asked in bad.requests("POST", "/analyses")]
        assert len(set(keys[:2])) == 2
        assert keys[2:] == ["job-7", "job-7"]
        assert "(it was ordered before under this key)" in err

    def test_a_token_file_is_read_anew(
        self, bad: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "token"
        file.write_text("first\n")

        def renewed(_: Handler, asked: Asked) -> bool:
            if asked.method == "POST":
                file.write_text("second\n")
            return False

        bad.instead = renewed
        outcome(capsys, check(bad.url, "--token-file", str(file)))
        assert [each.headers["authorization"] for each in bad.asked][:2] == ["Bearer first", "Bearer second"]
        assert bad.asked[-1].headers["authorization"] == "Bearer second"

    def test_no_token_is_sent_where_there_is_none(
        self, bad: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("CANARY_TOKEN")
        outcome(capsys, check(bad.url))
        assert "authorization" not in self.order(bad).headers


class TestTheServerIsAway:
    def test_a_lost_answer_starts_no_second_analysis(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def lost(handler: Handler, asked: Asked) -> bool:
            if asked.method != "POST" or len(bad.requests("POST", "/analyses")) > 2:
                return False
            bad.keys.setdefault(asked.headers["idempotency-key"], asked.body)
            handler.cut_off()
            return True

        bad.instead = lost
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 10
        assert len(bad.keys) == 1
        assert len(bad.requests("POST", "/analyses")) == 3
        assert err.count("trying again for up to 5 min") == 1
        assert err.count("the server answers again") == 1

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_for_a_while(self, bad: FakeService, capsys: pytest.CaptureFixture[str], status: int) -> None:
        def busy(handler: Handler, _: Asked) -> bool:
            if len(bad.asked) in {1, 2, 4}:
                handler.problem(status, "the database is away", Retry_After="0")
                return True
            return False

        bad.instead = busy
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 10
        assert "the database is away; trying again" in err

    def test_for_too_long(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            code, _, err = outcome(capsys, check(url, "--server-patience", "200ms"))
        assert code == 4
        assert "cannot be reached" in err
        assert "given up after 200 ms (--server-patience)" in err

    def test_for_too_long_in_the_middle(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        def gone(handler: Handler, asked: Asked) -> bool:
            if asked.method == "GET":
                handler.cut_off()
            return asked.method == "GET"

        bad.instead = gone
        code, _, err = outcome(capsys, check(bad.url, "--server-patience", "200ms"))
        assert code == 4
        assert f"to follow it: canary check --server {bad.url} --attach {ID}" in err

    def test_it_asks_for_time_and_gets_it(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        def busy(handler: Handler, _: Asked) -> bool:
            if len(bad.asked) == 1:
                handler.problem(429, "slowly", Retry_After="1")
            return len(bad.asked) == 1

        bad.instead = busy
        began = time.monotonic()
        assert outcome(capsys, check(bad.url))[0] == 10
        assert time.monotonic() - began >= 1

    def test_it_hangs(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service_connection, "ANSWER_WITHIN", 0.3)

        def slow(handler: Handler, _: Asked) -> bool:
            if len(bad.asked) == 1:
                handler.begin_stream("application/json")
                for _ in range(8):
                    handler.wfile.write(b" ")
                    time.sleep(0.1)
            return len(bad.asked) == 1

        bad.instead = slow
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 10
        assert "has not answered within 300 ms; trying again" in err


class TestTheStream:
    def test_it_goes_on_where_it_broke_off(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        def cut(handler: Handler, asked: Asked) -> bool:
            if not asked.path.endswith("/changes"):
                return False
            handler.stream(int(asked.headers.get("last-event-id", -1)), most=1)
            handler.cut_off()
            return True

        bad.instead = cut
        code, _, err = outcome(capsys, check(bad.url))
        streams = bad.requests("GET", "/changes")
        assert code == 10
        assert len(streams) >= 2
        assert "last-event-id" in streams[1].headers
        lasts = [int(each.headers.get("last-event-id", -1)) for each in streams]
        assert lasts == sorted(set(lasts))
        assert "trying again" not in err

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("text/html", b"<html>log in</html>"),
            ("text/event-stream", b"event: analysis\ndata: {\n\n"),
            ("text/event-stream", b"event: analysis\ndata: []\n\n"),
            ("text/event-stream", b"\xff\xfe\n\n"),
            ("text/event-stream", b"data: " + b"x" * 1_200_000),
            ("text/event-stream", b'event: analysis\ndata: {"id": "another"}\n\n'),
        ],
    )
    def test_what_is_no_stream_of_changes_is_not_needed(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], kind: str, text: bytes
    ) -> None:
        def garbage(handler: Handler, asked: Asked) -> bool:
            if not asked.path.endswith("/changes"):
                return False
            handler.begin_stream(kind)
            handler.wfile.write(text)
            return True

        bad.instead = garbage
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 10
        assert "FAIL: errors" in err
        assert len(bad.requests("GET", "/changes")) == 1

    @pytest.mark.parametrize("status", [403, 404, 429, 503])
    def test_where_streams_are_blocked(self, bad: FakeService, capsys: pytest.CaptureFixture[str], status: int) -> None:
        def blocked(handler: Handler, asked: Asked) -> bool:
            if asked.path.endswith("/changes"):
                handler.problem(status, "no streams here")
                return True
            return False

        bad.instead = blocked
        assert outcome(capsys, check(bad.url))[0] == 10
        assert len(bad.requests("GET", "/changes")) <= following.EMPTY_STREAMS

    def test_where_something_keeps_what_it_says(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service_connection, "SILENCE", 0.2)
        monkeypatch.setattr(following, "KEPT_BACK", 0.1)

        def kept(handler: Handler, asked: Asked) -> bool:
            if not asked.path.endswith("/changes"):
                return False
            handler.begin_stream()
            time.sleep(0.6)
            return True

        bad.instead = kept
        assert outcome(capsys, check(bad.url))[0] == 10
        assert len(bad.requests("GET", "/changes")) == 1


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "code", "words"),
        [
            (401, 4, "does not know this token: because"),
            (403, 4, "does not allow that: because"),
            (404, 4, "has no such thing, or this token may not see it: because"),
            (409, 4, "cannot do that now: because"),
            (418, 4, "refuses that: because"),
            (400, 2, "cannot use what is asked: because"),
            (413, 2, "cannot use what is asked: because"),
            (422, 2, "cannot use what is asked: because"),
        ],
    )
    def test_refusals_are_sentences(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], status: int, code: int, words: str
    ) -> None:
        def refusing(handler: Handler, _: Asked) -> bool:
            handler.problem(status, "because\n::error::\x1b[2J " + "x" * 5000)
            return True

        bad.instead = refusing
        ended, _, err = outcome(capsys, check(bad.url))
        assert ended == code
        assert words in err
        assert "\x1b" not in err
        assert len(err) < 1500
        assert not [line for line in err.splitlines() if line.startswith("::")]
        assert len(bad.asked) == 1

    def test_no_token_is_told(
        self, bad: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refusing(handler: Handler, _: Asked) -> bool:
            handler.problem(401, "who are you?")
            return True

        monkeypatch.delenv("CANARY_TOKEN")
        bad.instead = refusing
        code, _, err = outcome(capsys, check(bad.url))
        assert (code, "set CANARY_TOKEN, or give --token-file" in err) == (4, True)

    def test_mistakes_in_a_rule_set_have_a_line_each(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        mistakes = [{"line": 7, "key": "spec.rules[0]", "message": "critcal: did you mean critical?"}, "nonsense", {}]

        def refusing(handler: Handler, _: Asked) -> bool:
            handler.send(422, {"detail": "the rule set has mistakes", "mistakes": mistakes}, "application/problem+json")
            return True

        bad.instead = refusing
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 2
        assert "the rule set has mistakes\n- line 7: spec.rules[0]: critcal: did you mean critical?" in err

    @pytest.mark.parametrize("place", ["https://evil.example/x?token=1", "/login", "//evil.example", "http://[", ""])
    def test_redirects_are_not_followed(self, bad: FakeService, capsys: pytest.CaptureFixture[str], place: str) -> None:
        def elsewhere(handler: Handler, _: Asked) -> bool:
            handler.send(307, b"", Location=place)
            return True

        bad.instead = elsewhere
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 4
        assert "that is not followed; give the right --server" in err
        assert "?token" not in err
        assert len(bad.asked) == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>log in</html>",
            b"",
            b"null",
            b"[" * 100_000,
            b'{"verdict": "pending"}',
            b'{"id":"../x","verdict":"pass","action":{"kind":"none","result":"none"},"reason":"","state":"running"}',
            b"\xff",
        ],
    )
    def test_an_address_of_something_else(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], body: bytes
    ) -> None:
        def other(handler: Handler, _: Asked) -> bool:
            handler.send(200, body)
            return True

        bad.instead = other
        code, _, err = outcome(capsys, check(bad.url))
        assert code == 4
        assert "answers something else than a canary server does" in err
        assert len(bad.asked) == 1

    def test_an_answer_without_end(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service_connection, "LONGEST_ANSWER", 1 << 20)

        def endless(handler: Handler, _: Asked) -> bool:
            handler.begin_stream("application/json")
            while True:  # until the connection is closed
                handler.wfile.write(b" " * 65536)

        bad.instead = endless
        code, _, err = outcome(capsys, check(bad.url))
        assert (code, "answers more than 1 MiB: that is not read" in err) == (4, True)

    def test_a_record_of_a_later_version_costs_the_progress_alone(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def later(handler: Handler, asked: Asked) -> bool:
            if asked.path.endswith("/events"):
                handler.send(200, {"items": [{"seq": 1, "event": {"type": "foreseen", "at": 1}}], "next": None})
                return True
            return False

        bad.instead = later
        code, out, _ = outcome(capsys, check(bad.url))
        assert (code, "✗ errors" in out) == (10, True)
        assert len(bad.requests("GET", "/events")) == 1

    @pytest.mark.parametrize("change", ["field", "unknown", "null", "infinite"])
    def test_a_report_of_a_later_version(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], change: str
    ) -> None:
        def later(handler: Handler, asked: Asked) -> bool:
            if asked.path != f"/api/v1/analyses/{ID}" or not bad.has_ended:
                return False
            told = bad.report()
            assert told is not None
            detail = {**bad.analysis(), "report": json.loads(told.model_dump_json())}
            if change == "field":
                detail["report"]["confidence"] = 1
                detail["report"]["judgements"][0]["evidence"]["method"] = "x"
            elif change == "unknown":
                detail["report"]["judgements"][0]["standing"] = "wobbling"
            elif change == "infinite":
                detail["report"]["seconds_to_verdict"] = "Infinity"
            else:
                detail["report"] = None
            handler.send(200, detail)
            return True

        bad.instead = later
        code, out, _ = outcome(capsys, check(bad.url))
        assert code == 10
        assert "errors" in out
        assert ("✗ errors" in out) is (change == "field")
        assert ("versions are too far apart" in out) is (change in {"unknown", "infinite"})

    def test_the_verdict_is_the_server_s(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        def broken_off(handler: Handler, asked: Asked) -> bool:
            if asked.path != f"/api/v1/analyses/{ID}" or not bad.has_ended:
                return False
            told = bad.report()
            assert told is not None
            leading = {"verdict": "error", "action": {"kind": "none", "result": "none"}, "reason": "the disk is full"}
            handler.send(200, {**bad.analysis(), **leading, "report": json.loads(told.model_dump_json())})
            return True

        bad.instead = broken_off
        code, out, _ = outcome(capsys, check(bad.url))
        assert (code, "the disk is full" in out) == (4, True)


class TestUsage:
    @pytest.mark.parametrize(
        ("more", "words"),
        [
            (["--prometheus", "http://x"], "--prometheus is for an analysis that runs here; --connection"),
            (["--bearer-token-file", "x"], "--bearer-token-file is for Prometheus"),
            (["--username", "x"], "--username is for Prometheus"),
            (["--query-timeout", "3s"], "--query-timeout is for an analysis that runs here"),
            (["--scrape", "canary=http://x"], "--scrape is for"),
            (["--kubeconfig", "x"], "--kubeconfig is for"),
            (["--context", "x"], "--context is for"),
            (["--helm", "x"], "--helm is for"),
            (["--rollback-command", "x"], "--rollback-command is for"),
            (["--rollback-timeout", "3s"], "--rollback-timeout is for"),
            (["--no-hooks"], "--no-hooks is for"),
            (["--force-conflicts"], "--force-conflicts is for"),
            (["--history-max", "3"], "--history-max is for"),
            (["--gitops", "suspend"], "--gitops is for an analysis that runs here"),
            (["--gitops-repository", "x"], "--gitops-repository is for"),
            (["--gitops-branch", "x"], "--gitops-branch is for"),
            (["--record", "x"], "--record is for"),
            (["--attach", ID], "TARGET names a new analysis; --attach follows one that runs"),
            (["--key", "ü"], "--key: write 1 to 200"),
            (["--key", ""], "--key: write 1 to 200"),
            (["--server-patience", "5"], "--server-patience: 5 has no unit"),
            (["--on-interrupt", "shrug"], "shrug"),
            (["--header", "Authorization: Bearer x"], "--header Authorization: the token comes from"),
            (["--header", "nonsense"], "--header: write 'Name: value'"),
            (["--ca-file", "/no/such/file"], "--ca-file /no/such/file: cannot be used: No such file"),
            (["--cert-file", "/no/such/file"], "--cert-file /no/such/file: cannot be used: No such file"),
            (["--key-file", "/no/such/file"], "--key-file without --cert-file"),
            (["--token-file", "/no/such/file"], "--token-file /no/such/file: cannot be read: No such file"),
            (["--token-file", "/dev/null"], "--token-file /dev/null: is empty"),
            (["--since", "yesterday"], "--since 'yesterday'"),
            (["--set", "x"], "--set 'x': write NAME=VALUE"),
            (["--namespace", "UPPER"], "--namespace"),
            (["--output-file", "/no/such/folder/file"], "cannot be written"),
        ],
    )
    def test_flags(self, bad: FakeService, capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
        code, _, err = outcome(capsys, check(bad.url, *more))
        assert words in " ".join(err.replace("│", " ").split())
        assert code == 2
        assert bad.asked == []

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (
                ["--server", "http://x"],
                "application/NAME, flagger/NAME or command/NAME, or --attach ID",
            ),
            (["helm/web", "--server", "http://x"], "Missing option '--rules'"),
            ([], "Missing argument 'TARGET'"),
            (["helm/web"], "Missing option '--rules'"),
            (["web", "--rules", "http", "--server", "http://x"], "TARGET"),
            (["helm/web", "--rules", "/no/such.yaml", "--server", "http://x"], "no such file"),
            (["helm/web", "--rules", "/", "--server", "http://x"], "no such file, or none that can be sent"),
            (["helm/web", "--rules", "a b", "--server", "http://x"], "--rules"),
            (["--server", "http://x", "--attach", "../x"], "--attach: write the id of an analysis"),
            (["--server", "http://x", "--attach", ID, "--key", "x"], "--key is for a new analysis"),
            (["--server", "http://x", "--attach", ID, "--dry-run"], "--dry-run is for a new analysis"),
            (["helm/web", "--rules", "http", "--attach", ID], "need --server URL"),
            (["helm/web", "--rules", "http", "--server", "canary.example.com"], "--server: no URL"),
            (["helm/web", "--rules", "http", "--server", "https://"], "--server: no URL"),
            (["helm/web", "--rules", "http", "--server", "http://[::1"], "--server: no URL"),
            (["helm/web", "--rules", "http", "--server", "http://x:99999"], "--server: no URL"),
            (["helm/web", "--rules", "http", "--server", ""], "--server: no URL"),
            (["helm/web", "--rules", "http", "--server", "http://x/?y=1"], "a ? or # stands in the address"),
            (["helm/web", "--rules", "http", "--server", f"http://u:{TOKEN}@x"], "a user stands in the address"),
        ],
    )
    def test_what_is_missing_or_wrong(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        code, _, err = outcome(capsys, ["check", *arguments])
        assert words in err
        assert code == 2

    def test_the_environment_of_analyses_that_run_here_is_left_alone(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY_PROMETHEUS", "http://x")
        monkeypatch.setenv("CANARY_USERNAME", "me")
        monkeypatch.setenv("CANARY_HELM", "helm4")
        assert outcome(capsys, check(bad.url))[0] == 10

    def test_a_switch_that_would_not_be_heard_is_refused(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY_ACTIONS", "off")
        code, _, err = outcome(capsys, check(bad.url))
        assert (code, "CANARY_ACTIONS is for an analysis that runs here" in err) == (2, True)

    def test_a_rule_set_file_that_is_too_long_or_no_text(
        self, bad: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "own.yaml"
        file.write_bytes(b"x" * 300_000)
        code, _, err = outcome(capsys, check(bad.url, rules=str(file)))
        assert (code, "is longer than 256 KiB" in err) == (2, True)
        file.write_bytes(b"\xff\xfe")
        code, _, err = outcome(capsys, check(bad.url, rules=str(file)))
        assert (code, "is not UTF-8" in err) == (2, True)

    @pytest.mark.parametrize("token", ["two words", "ü", "a\nb", "x" * 70_000])
    def test_what_is_no_token_is_not_sent_and_not_printed(
        self, bad: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, token: str
    ) -> None:
        monkeypatch.setenv("CANARY_TOKEN", token)
        code, _, err = outcome(capsys, check(bad.url))
        assert (code, err) == (
            2,
            "canary: CANARY_TOKEN: is no token: one line of letters, digits and signs is expected\n",
        )

    def test_a_token_in_the_clear_is_warned_of(self, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = check("http://canary.invalid", "--server-patience", "1ms")
        _, _, err = outcome(capsys, arguments)
        assert "the token goes to canary.invalid unencrypted" in err

    def test_not_so_on_this_machine(self, bad: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
        assert "unencrypted" not in outcome(capsys, check(bad.url))[2]

    def test_the_help_tells_of_the_server(self, capsys: pytest.CaptureFixture[str]) -> None:
        run(["check", "--help"])
        assert re.search(r"--server\b", capsys.readouterr().out)
