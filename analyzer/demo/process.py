"""A child process that never outlives its parent, and that is always reaped."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from analyzer.errors import DemoError

_PR_SET_PDEATHSIG: Final = 1
_TAIL: Final = 16  # lines
_LONGEST_LINE: Final = 400  # characters


class Child:
    """A program that writes its output to `log`; started in a session of its own, so that Ctrl-C does not reach it.

    On Linux the kernel kills it when the parent dies, even from SIGKILL. (The parent is the thread that started it.)
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    @classmethod
    async def start(cls, command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> "Child":
        """Start it. Raises DemoError if there is no such program, or it may not be run."""
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    env=env,
                    start_new_session=True,
                    preexec_fn=_dies_with_parent(),
                )
            except OSError as error:
                raise DemoError(f"{command[0]} cannot be started: {error.strerror}") from error
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing if it has ended."""
        if self.exit_code is None:
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        return await self._process.wait()

    async def end(self, grace: float) -> None:
        """Ask it to end (SIGTERM), and kill it after so many seconds of grace; return when it is reaped."""
        try:
            self.signal(signal.SIGCONT)  # a stopped process does not hear SIGTERM
            self.signal(signal.SIGTERM)
            async with asyncio.timeout(grace):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            await self.kill()

    async def kill(self) -> None:
        """Kill it (SIGKILL); return when it is reaped."""
        self.signal(signal.SIGKILL)
        await self.wait()

    def last_lines(self) -> str:
        """The end of what it has written."""
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join(line[:_LONGEST_LINE] for line in lines)


def _dies_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes the program: one call of a library that is loaded already."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between: no signal will come
            os._exit(1)

    return prepare
