"""Exit codes, and how fast the commands answer."""

import subprocess
import sys
import time

import pytest

from analyzer.cli.exits import Exit, exit_code
from analyzer.model.report import Action, ActionResult, Report, Verdict
from analyzer.model.target import ActionKind, PlatformKind, Revision, Target

CODES = {
    (Verdict.PASS, ActionResult.NONE): 0,
    (Verdict.FAIL, ActionResult.DONE): 10,
    (Verdict.FAIL, ActionResult.UNVERIFIED): 10,
    (Verdict.FAIL, ActionResult.FAILED): 11,
    (Verdict.FAIL, ActionResult.HELD): 11,
    (Verdict.FAIL, ActionResult.DRY_RUN): 11,
    (Verdict.FAIL, ActionResult.NONE): 11,
    (Verdict.INCONCLUSIVE, ActionResult.NONE): 3,
    (Verdict.INCONCLUSIVE, ActionResult.DONE): 3,
    (Verdict.INCONCLUSIVE, ActionResult.HELD): 3,
    (Verdict.ERROR, ActionResult.NONE): 4,
}


@pytest.mark.parametrize(("outcome", "code"), CODES.items())
def test_each_outcome_has_its_code(outcome: tuple[Verdict, ActionResult], code: int) -> None:
    assert exit_code(report_of(*outcome)) == code


def report_of(verdict: Verdict, result: ActionResult, kind: ActionKind = ActionKind.ROLLBACK) -> Report:
    return Report(
        verdict=verdict,
        action=Action(kind=kind, result=result),
        reason="",
        analysis="a",
        target=Target(kind=PlatformKind.HELM, name="web"),
        revision=Revision(number="2"),
        rule_set="r",
        upgraded_at=0,
        started_at=0,
        as_of=0,
        deadline_at=0,
    )


@pytest.mark.parametrize(
    ("kind", "verdict", "code"),
    [(ActionKind.ABORT, Verdict.FAIL, 10), (ActionKind.PAUSE, Verdict.FAIL, 11), (ActionKind.PROMOTE, Verdict.PASS, 0)],
)
def test_a_pause_takes_nothing_back(kind: ActionKind, verdict: Verdict, code: int) -> None:
    assert exit_code(report_of(verdict, ActionResult.DONE, kind)) == code


def test_one_is_never_used_on_purpose() -> None:
    assert 1 not in {code.value for code in Exit}


def canary(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "analyzer.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    """What makes `canary --help` answer at once; the time itself is measured by `make bench`."""
    code = (
        "import sys; from analyzer.cli.__main__ import run; run(['--help']); "
        "print([name for name in ('numpy', 'scipy', 'pydantic', 'httpx', 'requests', 'promql_parser') "
        "if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines()[-1] == "[]"


def test_help_and_version() -> None:
    started = time.monotonic()
    answer = canary("--help")
    assert time.monotonic() - started < 10, "even on a machine under load"
    assert answer.returncode == 0
    for command in ("check", "replay", "lint", "schema", "demo", "version"):
        assert command in answer.stdout
    assert canary("version").stdout.startswith("canary-analyzer ")


def test_no_command_and_an_unknown_one_are_usage_errors() -> None:
    nothing = canary()
    assert nothing.returncode == 2
    assert "canary check" in nothing.stdout + nothing.stderr or "check" in nothing.stdout
    unknown = canary("chek")
    assert unknown.returncode == 2
    assert "No such command" in unknown.stderr
