"""What a command of the user's takes back."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from analyzer.errors import UsageError
from analyzer.model.target import ActionKind, Intent, PlatformKind, Receipt, Revision, Target
from analyzer.platforms.command import Command

WEB = Target(kind=PlatformKind.COMMAND, name="web", namespace="shop")


def intent(reason: str = "error rate 2 % against 0.1 %") -> Intent:
    return Intent(
        kind=ActionKind.ROLLBACK,
        analysis="a1",
        target=WEB,
        from_revision=Revision(number="8"),
        to_revision=Revision(number="7"),
        reason=reason,
    )


def take_back(command: str, *, reason: str = "worse", time_limit: float = 20) -> Receipt:
    return asyncio.run(Command(WEB, command, time_limit=time_limit).take_back(intent(reason)))


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def test_the_command_is_told_what_it_is_for(tmp_path: Path) -> None:
    file = tmp_path / "environment"
    code = f"import json, os; json.dump(dict(os.environ), open({str(file)!r}, 'w'))"
    command = Command(WEB, python(code), env={"EXTRA": "x"})
    assert asyncio.run(command.take_back(intent())).ok
    environment = json.loads(file.read_text())
    told = {name: value for name, value in environment.items() if name.startswith("CANARY_")}
    assert told == {
        "CANARY_TARGET": "command/web",
        "CANARY_NAME": "web",
        "CANARY_NAMESPACE": "shop",
        "CANARY_ACTION": "rollback",
        "CANARY_REASON": "error rate 2 % against 0.1 %",
        "CANARY_FROM_REVISION": "8",
        "CANARY_TO_REVISION": "7",
        "CANARY_ANALYSIS": "a1",
    }
    assert environment["EXTRA"] == "x"
    assert environment["PATH"] == os.environ["PATH"]


def test_success_is_a_receipt() -> None:
    receipt = take_back("echo all 'good again'")
    assert receipt == Receipt(
        ok=True,
        detail="command/web was taken back: echo ended with exit code 0",
        command=("echo", "all", "good again"),
        output="all good again",
    )


@pytest.mark.parametrize(
    ("command", "how", "output"),
    [
        ("sh -c 'echo no; echo why >&2; exit 3'", "sh ended with exit code 3", "no\nwhy"),
        ("sh -c 'kill -9 $$'", "sh was ended by signal 9", ""),
    ],
)
def test_failure_is_a_receipt(command: str, how: str, output: str) -> None:
    receipt = take_back(command)
    assert (receipt.ok, receipt.detail) == (False, f"command/web was not taken back: {how}")
    assert receipt.output == output


def test_a_command_that_hangs_is_stopped() -> None:
    receipt = take_back("sleep 600", time_limit=0.3)
    assert not receipt.ok
    assert receipt.detail == "command/web was not taken back: sleep did not end within 0.3 s and was stopped"


def test_its_output_is_bounded() -> None:
    receipt = take_back("seq 100000")
    assert receipt.output.startswith("…\n")
    assert receipt.output.endswith("99999\n100000")
    assert len(receipt.output) <= 2000


def test_a_program_that_is_not_there_is_a_receipt() -> None:
    receipt = take_back("no-such-program --now")
    assert not receipt.ok
    assert receipt.detail.startswith("command/web was not taken back: there is no program 'no-such-program'")


@pytest.mark.parametrize("reason", ["", "a\0b", "x" * 1_000_000, "ünïcödé ✓", "$(touch it)\nsecond line"])
def test_any_reason_can_be_told(reason: str) -> None:
    receipt = take_back("sh -c 'printf %s \"$CANARY_REASON\" | wc -c'", reason=reason)
    assert receipt.ok
    assert int(receipt.output) == len(reason.replace("\0", "")[:4096].encode())


def test_no_shell_expands_anything() -> None:
    assert take_back("echo '$HOME' \"a;b\" '*' ^a$").output == "$HOME a;b * ^a$"


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("   ", "--rollback-command is empty"),
        ("say 'unclosed", "cannot be split into words: No closing quotation"),
        ("stop web && start web", "'&&' needs one; write it as sh -c 'stop web && start web'"),
        ("undo web | tee log", "'|' needs one"),
        ("undo web; true", "';' needs one"),
        ("undo web > log", "'>' needs one"),
        ("undo web 2>&1", "needs one"),
        ("undo $WEB", "'$WEB' needs one"),
        ("undo ${WEB}/x", "needs one"),
        ("undo $(cat web)", "needs one"),
        ("undo `cat web`", "needs one"),
    ],
)
def test_what_only_a_shell_could_run_is_refused(command: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        Command(WEB, command)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "command", ["sh -c 'a && b > $c'", 'sh -c "a; b"', "undo it\\'s", "undo a=b --c=/d.e:f,g%h+i@j"]
)
def test_ordinary_words_are_not_refused(command: str) -> None:
    assert Command(WEB, command)


def test_what_is_known_of_it() -> None:
    deployment = asyncio.run(Command(WEB, "true").look())
    assert (deployment.current.number, deployment.wanted and deployment.wanted.number) == ("new", "previous")
    assert deployment.no_way_back == ""
    revisions = Revision(number="8", deployed_at=5.0), Revision(number="7")
    named = asyncio.run(Command(WEB, "true", revision=revisions[0], previous=revisions[1]).look())
    assert (named.current, named.wanted) == revisions
    assert named.history == (revisions[1], revisions[0])


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "no command was given that takes command/web back (--rollback-command)"),
        ("no-such-program", "the command that takes command/web back is not there: no program 'no-such-program'"),
    ],
)
def test_no_way_back_is_known_at_the_start(command: str, reason: str) -> None:
    deployment = asyncio.run(Command(WEB, command).look())
    assert (deployment.wanted, deployment.no_way_back) == (None, reason)
    assert not asyncio.run(Command(WEB, command).take_back(intent())).ok


def test_the_words_of_somebody_elses_command_are_not_shown() -> None:
    command = Command(WEB, "sh -c 'test s3cret = s3cret'", shows_words=False)
    receipts = [asyncio.run(command.take_back(intent())), asyncio.run(command.settle(intent()))]
    assert [receipt.command for receipt in receipts if receipt] == [("sh",), ("sh",)]
    assert "s3cret" not in str(receipts)
