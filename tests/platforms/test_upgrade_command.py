"""`canary upgrade` with a helm that replays what the real ones printed: what helm is told, and what comes of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi, running
from fake_helm import FakeHelm

from analyzer.cli.__main__ import run

ROOT = Path(__file__).parents[2]
RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: errors}
spec:
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors: {ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}}
  rules: [{metric: errors, limit: 5%}]
"""
HISTORY = ["history", "web", "--max=256", "--output=json", "--namespace=shop"]


@pytest.fixture(autouse=True)
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    for name in ("HELM_NAMESPACE", "HELM_DRIVER", "HELM_KUBECONTEXT", "CANARY_ACTIONS", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    with running(tmp_path) as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig))
        yield fake


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


def words(fake: FakeHelm, rules: Path, *more: str) -> list[str]:
    ours = ["--namespace=shop", f"--helm={fake.path}", f"--rules={rules}", "--prometheus=http://127.0.0.1:1"]
    return ["upgrade", *more, *ours]


def upgrade(fake: FakeHelm, rules: Path, *more: str) -> int:
    return run(words(fake, rules, "web", "./chart", *more))


def answers(fake: FakeHelm, *given: str, code: int = 0, stdout: str = "", stderr: str = "") -> None:
    argv = ["upgrade", "--install", "web", "./chart", *given]
    fake.answer({"argv": argv, "code": code, "stdout": stdout, "stderr": stderr})


def upgrades(fake: FakeHelm) -> list[list[str]]:
    return [call for call in fake.calls if call[0] == "upgrade"]


def hooks(fake: FakeHelm, *numbers: int) -> None:
    for number in numbers:
        fake.answer({"argv": ["get", "hooks", "web", f"--revision={number}"], "code": 0, "stdout": "", "stderr": ""})


# What helm is told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("web ./chart", ""),
        ("--install web ./chart", ""),
        ("-i web ./chart --set a=b --set-string c=d --set e=-f", "--set a=b --set-string c=d --set e=-f"),
        (
            "web -f a.yaml --set x=1 ./chart --values=b.yaml,c.yaml",
            "--values a.yaml --values b.yaml,c.yaml --set x=1",
        ),
        ("web ./chart --description --rules -ojson --wait=true", "--description --rules -ojson --wait=true"),
        ("web ./chart --version 1.2 --username u --password p --ca-file c", None),
        ("--atomic --timeout 1m30s web ./chart --create-namespace", "--timeout 1m30s --create-namespace --atomic"),
    ],
)
def test_helms_words_in_their_order(fake_helm: FakeHelm, rules: Path, given: str, told: str | None) -> None:
    expected = given.removeprefix("web ./chart").split() if told is None else told.split()
    fake_helm.says("history-not-found")
    answers(fake_helm, *expected)
    assert run(words(fake_helm, rules, *given.split())) == 0
    assert upgrades(fake_helm) == [["upgrade", "--install", "web", "./chart", *expected, "--namespace=shop"]]


def test_the_cluster_is_ours_and_helms(
    fake_helm: FakeHelm, rules: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    where = ["--kubeconfig", str(api.kubeconfig), "--kube-context=fake"]
    assert upgrade(fake_helm, rules, *where) == 4
    assert fake_helm.calls[0][-3:] == ["--namespace=shop", f"--kubeconfig={api.kubeconfig}", "--kube-context=fake"]


# Nothing to analyse


def test_a_first_install(fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-not-found")
    answers(fake_helm, stdout='Release "web" does not exist. Installing it now.\n')
    assert upgrade(fake_helm, rules) == 0
    printed = capsys.readouterr()
    assert printed.out == ("PASS: none (none)\nnothing to compare: release web had no good revision before this one\n")
    assert printed.err == 'Release "web" does not exist. Installing it now.\n'


def test_after_a_failed_install_there_is_still_nothing_to_compare(
    fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = fake_helm.recorded("history-installed")
    entry = {**json.loads(str(failed["stdout"]))[0], "status": "failed", "description": 'Release "web" failed: no'}
    fake_helm.answer({**failed, "stdout": json.dumps([entry])})
    answers(fake_helm, "--wait")  # helm's own way back would uninstall it
    assert upgrade(fake_helm, rules, "--atomic") == 0
    assert "had no good revision before this one" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--dry-run", "--dry-run=server"])
def test_a_dry_run(fake_helm: FakeHelm, rules: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake_helm.says("history-upgraded")
    answers(fake_helm, flag, stdout="---\nkind: Deployment\n")
    assert upgrade(fake_helm, rules, flag, "--report=json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "verdict": "pass",
        "action": {"kind": "none", "result": "none"},
        "held_by": None,
        "reason": "helm was asked for a dry run: nothing was upgraded, and nothing analysed",
    }
    assert "kind: Deployment" in printed.err


def test_the_report_in_a_file(
    fake_helm: FakeHelm, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-not-found")
    answers(fake_helm)
    assert upgrade(fake_helm, rules, "--report", "json", f"--report-file={tmp_path}/report.json") == 0
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "pass"
    assert capsys.readouterr().out == ""


def test_a_report_file_that_cannot_be_written_any_more(
    fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-not-found")
    answers(fake_helm)
    assert upgrade(fake_helm, rules, "--report-file=/dev/full") == 0
    printed = capsys.readouterr()
    assert "--report-file /dev/full: cannot be written: No space left on device" in printed.err
    assert printed.out.startswith("PASS: ")


# Mistakes are told before anything is changed


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--timeout", "soon"), "--timeout 'soon' is not a duration"),
        (("--kube-token=t",), "--kube-token would hold for helm upgrade alone"),
        (("--parameter", "x"), "write NAME=VALUE"),
        (("--report-file=/nowhere/at/all",), "--report-file /nowhere/at/all: cannot be written"),
        (("--report=pdf",), "pdf"),
        (("third",), "third"),
        (("--rules=/nowhere.yaml",), "/nowhere.yaml"),
    ],
)
def test_mistakes(
    fake_helm: FakeHelm, rules: Path, more: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [
        word for word in words(fake_helm, rules, "web", "./chart") if not word.startswith(more[0].partition("=")[0])
    ]
    assert run([*ours, *more]) == 2
    assert sentence in capsys.readouterr().err
    assert fake_helm.calls == []


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upgrade", "--set", "--help", "-h"]) == 0
    assert "Upgrade a Helm release" in capsys.readouterr().out


@pytest.mark.parametrize("given", [(), ("web",), ("--set", "web", "./chart")])
def test_without_a_release_or_chart(fake_helm: FakeHelm, rules: Path, given: tuple[str, ...]) -> None:
    assert run(words(fake_helm, rules, *given)) == 2
    assert fake_helm.calls == []


# Helm fails


def test_a_failure_that_has_changed_nothing(
    fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-pending-upgrade")
    answers(fake_helm, code=1, stderr=str(fake_helm.recorded("upgrade-in-progress")["stderr"]))
    assert upgrade(fake_helm, rules) == 4
    printed = capsys.readouterr()
    assert 'another helm is changing release web in namespace "shop" at the same time' in printed.err
    assert printed.out == ""
    assert fake_helm.calls[-1] == HISTORY


def test_a_failed_first_install_that_left_nothing(
    fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-not-found")
    answers(fake_helm, "--atomic", code=1, stderr="Error: release web failed, and has been uninstalled due to atomic\n")
    assert upgrade(fake_helm, rules, "--atomic") == 4
    assert "has been uninstalled due to atomic" in capsys.readouterr().err


def test_a_failure_with_a_new_revision_is_a_fail(
    fake_helm: FakeHelm, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_helm.says("history-same-pods", "history-failed")
    hooks(fake_helm, 3, 4)
    answers(fake_helm, "--timeout=1s", code=1, stderr="Error: UPGRADE FAILED: context deadline exceeded\n")
    assert upgrade(fake_helm, rules, "--timeout=1s", "--no-action", "--report=json") == 11
    printed = capsys.readouterr()
    assert "canary: helm upgrade of release web in namespace" in printed.err
    report = json.loads(printed.out)
    assert (report["verdict"], report["action"]["kind"]) == ("fail", "rollback")
    assert "revision 4 was not brought out whole" in report["reason"]
    assert not any(call[0] == "rollback" for call in fake_helm.calls)


# Signals


def holding(fake: FakeHelm, command: str) -> tuple[Path, Path]:
    """Let helm wait in this command: it says that it has begun, and goes on when it is told to."""
    begun, go = fake.folder / "begun", fake.folder / "go"
    held = (
        f"import time\nif argv[0] == {command!r}:\n    open({str(begun)!r}, 'w').close()\n"
        f"    while not os.path.exists({str(go)!r}): time.sleep(0.01)\nanswer = answers["
    )
    fake.path.write_text(fake.path.read_text().replace("answer = answers[", held))
    return begun, go


def stopped(fake: FakeHelm, rules: Path, command: str, number: signal.Signals, *more: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of a run that gets a signal while helm is in this command."""
    begun, go = holding(fake, command)
    arguments = [sys.executable, "-m", "analyzer.cli", *words(fake, rules, "web", "./chart", *more)]
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while not begun.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(number)
            assert process.stderr is not None
            assert process.stdout is not None
            err = process.stderr.readline()
            go.touch()
            # Not `communicate`: it would not see what `readline` has read ahead.
            err += process.stderr.read()
            out = process.stdout.read()
            process.wait(30)
        finally:
            go.touch()
            process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_helms_end(fake_helm: FakeHelm, rules: Path, number: signal.Signals, code: int) -> None:
    fake_helm.says("history-upgraded")
    answers(fake_helm, stdout="Happy Helming!\n")
    assert stopped(fake_helm, rules, "upgrade", number) == (
        code,
        "",
        (
            f"canary: {number.name}: leaving at the next safe point\nHappy Helming!\n"
            f"canary: stopped by {number.name}: release web was not analysed; it was upgraded; "
            "to take it back: helm rollback web\n"
        ),
    )


def test_a_signal_before_helm_upgrade_changes_nothing(fake_helm: FakeHelm, rules: Path) -> None:
    fake_helm.says("history-upgraded")
    code, out, err = stopped(fake_helm, rules, "history", signal.SIGTERM)
    assert (code, out) == (143, "")
    assert err.endswith("canary: stopped by SIGTERM before the analysis began; nothing was done\n")
    assert upgrades(fake_helm) == []


def test_a_signal_while_helm_fails(fake_helm: FakeHelm, rules: Path) -> None:
    fake_helm.says("history-same-pods", "history-failed")
    answers(fake_helm, code=1, stderr="Error: UPGRADE FAILED: context deadline exceeded\n")
    code, _, err = stopped(fake_helm, rules, "upgrade", signal.SIGTERM)
    assert code == 143
    assert "waited in vain" in err
    assert err.endswith(
        "canary: stopped by SIGTERM: release web was not analysed; helm failed to upgrade it; "
        "to take it back: helm rollback web\n"
    )
