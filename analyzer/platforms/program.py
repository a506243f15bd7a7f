"""One run of another program: bounded in time and in output, and never cut in half when it changes something."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from analyzer.errors import LeaseLost, PlatformError
from analyzer.model.target import Confirm
from analyzer.platforms import starter

OUTPUT_LIMIT = 64 * 2**20  # bytes of each stream
_KEPT_TAIL = 64 * 2**10  # bytes that are kept of what is dropped
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1  # seconds between two looks at a running program


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `code` is its exit code, negative for the signal that ended it. `timed_out` says that it was we who ended it;
    `cut` that it printed more than is kept, so that the texts are only its ends.
    """

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    timed_out: bool = False
    cut: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


class _Output:
    """What a program prints, in an unnamed file of bounded size.

    A file and not a pipe: a program that outlives us can go on printing, and a grandchild that keeps the stream open
    holds nobody up.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._fd = file.fileno()
        self._tail = b""
        self.cut = False
        # Appending, the program goes on at the new end after the file has been cut.
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | os.O_APPEND)

    def trim(self) -> None:
        size = os.fstat(self._fd).st_size
        if size > OUTPUT_LIMIT:
            self._tail = os.pread(self._fd, _KEPT_TAIL, max(0, size - _KEPT_TAIL))
            os.ftruncate(self._fd, 0)
            self.cut = True

    def text(self) -> str:
        self.trim()
        return (self._tail + os.pread(self._fd, OUTPUT_LIMIT, 0)).decode(errors="replace")


async def run(
    command: Sequence[str],
    *,
    time_limit: float,
    env: Mapping[str, str] | None = None,
    uninterrupted: bool = False,
    confirm: Confirm | None = None,
) -> Outcome:
    """Run a program without a shell and without input, and wait for its end, at most `time_limit` seconds.

    It gets a session of its own, so that a terminal's Ctrl-C does not reach it. At the time limit its whole process
    group gets SIGTERM, then SIGKILL. `env` replaces the environment.

    When this coroutine is cancelled, the program is killed. With `uninterrupted` the cancellation waits until the
    program has ended: an act that changes something is never cut in half. With `confirm` it is begun only while that
    allows it, however long this process stands still after it has asked.

    Raises:
        PlatformError: the program cannot be started; the sentence says why.
        LeaseLost: it was not begun, for it may not be, or not any more.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as told:
        outputs = (_Output(out), _Output(err))
        if confirm is None:
            process = _start(command, env, out, err)
        else:
            words = [sys.executable, "-I", "-S", starter.__file__, repr(confirm()), str(told.fileno()), *command]
            process = _start(words, env, out, err, told.fileno())
        timed_out = await _wait(process, time_limit, outputs, uninterrupted=uninterrupted)
        if why := os.pread(told.fileno(), _KEPT_TAIL, 0).decode():
            raise _not_begun(command[0], why)
        stdout, stderr = (output.text() for output in outputs)
        cut = any(output.cut for output in outputs)
        return Outcome(tuple(command), process.returncode, stdout, stderr, timed_out=timed_out, cut=cut)


def _start(
    command: Sequence[str], env: Mapping[str, str] | None, out: IO[bytes], err: IO[bytes], *kept_open: int
) -> subprocess.Popen[bytes]:
    # Not asyncio's subprocess: its transport kills the program when the event loop closes.
    try:
        return subprocess.Popen(  # noqa: S603 -- no shell; what is run is what the user configured
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=env,
            start_new_session=True,
            pass_fds=kept_open,
        )
    except (OSError, ValueError) as error:
        raise _not_started(command[0], error) from None


def _not_begun(program: str, why: str) -> PlatformError | LeaseLost:
    """What the starter has told."""
    if why == starter.TOO_LATE:
        return LeaseLost(f"{program} was not begun: the right to do so was over in that moment")
    return _not_started(program, OSError(int(why), os.strerror(int(why))))


def _not_started(program: str, error: Exception) -> PlatformError:
    if isinstance(error, FileNotFoundError):
        return PlatformError(f"there is no program {program!r}: install it, or correct its path")
    if isinstance(error, PermissionError):
        return PlatformError(f"{program!r} may not be executed: it is no program file, or lacks the right (chmod +x)")
    # Another machine's binary, a text without #!, a NUL byte, too long.
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return PlatformError(f"{program!r} cannot be started: {reason}")


async def _wait(
    process: subprocess.Popen[bytes], time_limit: float, outputs: Sequence[_Output], *, uninterrupted: bool
) -> bool:
    """Wait for the end; True if it had to be brought about."""
    deadline = time.monotonic() + time_limit
    timed_out = False
    cancelled: asyncio.CancelledError | None = None
    pause = _FIRST_PAUSE
    while process.poll() is None:
        if time.monotonic() >= deadline:
            _signal(process, signal.SIGKILL if timed_out else signal.SIGTERM)
            timed_out = True
            deadline = time.monotonic() + _GRACE
        for output in outputs:
            output.trim()
        try:
            await asyncio.sleep(pause)
        except asyncio.CancelledError as error:
            if not uninterrupted:
                _signal(process, signal.SIGKILL)
                process.wait()  # at once: it has just been killed
                raise
            cancelled = error
        pause = min(1.5 * pause, _LONGEST_PAUSE)
    if timed_out:
        _signal(process, signal.SIGKILL)  # what it has started and not ended itself
    if cancelled:
        raise cancelled
    return timed_out


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)  # a session of its own: the group has the program's id
    except ProcessLookupError:
        return  # all of it has ended by itself


def tail(text: str, length: int = 2000) -> str:
    """The end of what a program printed, in whole lines where that is possible; at most `length` characters."""
    text = text.strip()
    if len(text) <= length:
        return text
    end = text[-(length - 2) :]
    _, newline, whole_lines = end.partition("\n")
    return "…\n" + (whole_lines if newline else end)
