"""One run of another program."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from analyzer.errors import LeaseLost, PlatformError
from analyzer.model.target import Confirm, at_any_time
from analyzer.platforms import program
from analyzer.platforms.program import Outcome, run, tail


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def written(path: Path) -> str:
    """What a program has written, once it is a whole line."""
    text = path.read_text() if path.exists() else ""
    return text.strip() if text.endswith("\n") else ""


async def until(path: Path) -> str:
    """What a program writes into a file, as soon as it does."""
    deadline = time.monotonic() + 20
    while not (text := written(path)):
        assert time.monotonic() < deadline, f"{path} is not written"
        await asyncio.sleep(0.01)
    return text


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_it_gives_output_and_exit_code() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    outcome = asyncio.run(run(python(code), time_limit=20))
    assert outcome == Outcome((sys.executable, "-c", code), 3, "out\n", "err\n")
    assert not outcome.ok


def test_a_signal_is_a_negative_code() -> None:
    outcome = asyncio.run(run(python("import os; os.kill(os.getpid(), 9)"), time_limit=20))
    assert (outcome.code, outcome.ok, outcome.timed_out) == (-9, False, False)


def test_it_has_no_input_and_the_given_environment() -> None:
    outcome = asyncio.run(
        run(python("import os, sys; print(sys.stdin.read() + os.environ['WHO'])"), time_limit=20, env={"WHO": "me"})
    )
    assert outcome.stdout == "me\n"


def test_bytes_that_are_no_text_do_not_matter() -> None:
    outcome = asyncio.run(run(python("import sys; sys.stdout.buffer.write(b'\\xff\\xfe ok')"), time_limit=20))
    assert outcome.stdout.endswith(" ok")


def test_it_has_a_session_of_its_own() -> None:
    # The terminal's Ctrl-C goes to the foreground process group, so it must be another one.
    outcome = asyncio.run(run(python("import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))"), time_limit=20))
    assert outcome.stdout == "True\n"


def test_at_the_time_limit_the_whole_group_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    outcome = asyncio.run(run(["sh", "-c", f"sleep 600 & echo $! > {file}; wait"], time_limit=1))
    assert outcome.timed_out
    assert outcome.code == -signal.SIGTERM
    assert gone(int(written(file)))


def test_what_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_GRACE", 0.2)
    outcome = asyncio.run(run(["sh", "-c", "trap '' TERM; echo deaf; sleep 600"], time_limit=1))
    assert (outcome.timed_out, outcome.code, outcome.stdout) == (True, -signal.SIGKILL, "deaf\n")


def test_what_ends_well_on_sigterm_has_timed_out_all_the_same() -> None:
    outcome = asyncio.run(run(["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"], time_limit=1))
    assert (outcome.timed_out, outcome.code, outcome.ok) == (True, 0, False)


def test_a_grandchild_that_keeps_the_output_open_holds_nobody_up(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    outcome = asyncio.run(run(["sh", "-c", f"sleep 600 & echo $! > {file}"], time_limit=60))
    try:
        assert outcome.ok
    finally:
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_cancelled_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(file)!r}).write_text(f'{{os.getpid()}}\\n'); time.sleep(600)"

    async def cancelled() -> int:
        running = asyncio.create_task(run(python(code), time_limit=60))
        pid = int(await until(file))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pid

    assert not alive(asyncio.run(cancelled()))


def test_uninterrupted_it_first_comes_to_its_end(tmp_path: Path) -> None:
    begun, go, done = tmp_path / "begun", tmp_path / "go", tmp_path / "done"
    code = (
        "import pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).write_text('begun\\n')\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        f"pathlib.Path({str(done)!r}).write_text('done\\n')"
    )

    async def cancelled() -> None:
        running = asyncio.create_task(run(python(code), time_limit=60, uninterrupted=True))
        await until(begun)
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()  # an impatient second Ctrl-C
        await asyncio.sleep(0)
        assert not running.done()
        go.touch()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert done.exists()


def test_shielded_it_gives_its_outcome_after_a_cancellation(tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    code = (
        "import pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).write_text('begun\\n')\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "print('whole')"
    )

    async def cancelled() -> Outcome:
        running = asyncio.create_task(run(python(code), time_limit=60, uninterrupted=True))

        async def waits() -> None:
            await asyncio.shield(running)

        waiting = asyncio.create_task(waits())
        await until(begun)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.touch()
        return await running

    assert asyncio.run(cancelled()).stdout == "whole\n"


def test_it_outlives_an_analyzer_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL cannot be caught: the program must go on without anybody who reads what it prints."""
    begun, go, done = tmp_path / "begun", tmp_path / "go", tmp_path / "done"
    program_code = (
        "import pathlib, time\n"
        f"pathlib.Path({str(begun)!r}).write_text('begun\\n')\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "print('still here', flush=True)\n"
        f"pathlib.Path({str(done)!r}).write_text('done\\n')"
    )
    analyzer_code = (
        "import asyncio, sys\n"
        "from analyzer.platforms.program import run\n"
        f"asyncio.run(run([sys.executable, '-c', {program_code!r}], time_limit=60, uninterrupted=True))"
    )

    async def killed() -> None:
        analyzer = await asyncio.create_subprocess_exec(*python(analyzer_code))
        await until(begun)
        analyzer.kill()
        await analyzer.wait()
        go.touch()
        await until(done)

    asyncio.run(killed())


def test_too_much_output_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "OUTPUT_LIMIT", 100_000)
    code = "for i in range(200_000): print(i)\nprint('the end')"
    outcome = asyncio.run(run(python(code), time_limit=60))
    assert outcome.cut
    assert outcome.stdout.endswith("199999\nthe end\n")
    assert len(outcome.stdout) < 300_000


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (None, 0, "there is no program '{path}': install it, or correct its path"),
        ("#!/bin/sh\n", 0o644, "'{path}' may not be executed: it is no program file, or lacks the right (chmod +x)"),
        ("no program at all\n", 0o755, "'{path}' cannot be started: Exec format error"),
        ("#!/no/such/interpreter\n", 0o755, "there is no program '{path}': install it, or correct its path"),
    ],
)
@pytest.mark.parametrize("confirm", [None, at_any_time])
def test_what_cannot_be_started_is_one_sentence(
    tmp_path: Path, content: str | None, mode: int, sentence: str, confirm: Confirm | None
) -> None:
    path = tmp_path / "tool"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(PlatformError) as caught:
        asyncio.run(run([str(path)], time_limit=20, confirm=confirm))
    assert str(caught.value) == sentence.format(path=path)


def test_a_nul_byte_is_one_sentence_too() -> None:
    with pytest.raises(PlatformError, match=r"cannot be started: embedded null byte"):
        asyncio.run(run([sys.executable, "a\0b"], time_limit=20))


def test_an_act_that_became_too_late_after_it_was_allowed_is_not_begun(tmp_path: Path) -> None:
    """What is started looks at the clock itself: it starts later than now, however short our own way to it is."""
    file = tmp_path / "done"
    with pytest.raises(LeaseLost, match="touch was not begun"):
        asyncio.run(run(["touch", str(file)], time_limit=20, confirm=time.monotonic))
    assert not file.exists()


def test_an_act_that_is_not_allowed_is_not_begun(tmp_path: Path) -> None:
    file = tmp_path / "done"

    def confirm() -> float:
        raise LeaseLost("another's")

    with pytest.raises(LeaseLost, match="another's"):
        asyncio.run(run(["touch", str(file)], time_limit=20, confirm=confirm))
    assert not file.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", 'echo "$A $# $1 $2"; exit 3', "sh", "*", "a b"],
        ["grep", "-E", "Sig(Blk|Ign|Cgt)|PPid", "/proc/self/status"],
        ["ls", "/proc/self/fd"],
    ],
    ids=["words", "signals", "files"],
)
def test_an_act_is_the_program_itself(command: list[str]) -> None:
    """Its words, environment, parent, signals and files are as without the look at the clock."""
    env = {**os.environ, "A": "a"}
    plain = asyncio.run(run(command, time_limit=60, env=env))
    confirmed = asyncio.run(run(command, time_limit=60, env=env, confirm=lambda: time.monotonic() + 60))
    assert plain.stdout
    assert confirmed == plain


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", ""),
        ("  short\n", "short"),
        ("first line\nsecond line\nthird\n", "…\nthird"),
        ("onelonglinewithoutanyend", "…\nutanyend"),
    ],
)
def test_a_tail_is_whole_lines_where_it_can(text: str, end: str) -> None:
    assert tail(text, 10) == end
