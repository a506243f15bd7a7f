"""The supervisor in a process of its own: whoever asks the API does not wait behind what is judged."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from prometheus_client.metrics_core import Metric

from analyzer.errors import CanaryError
from analyzer.service.channel import Alone, Begin, Channel, Ended, Measure, Measured, Standing, Stop, Wake
from analyzer.service.settings import Settings
from analyzer.service.working import SIGNALS, Companion, work

SILENT: Final = 15.0
"""Seconds without a word after which it is not ready."""
LOST: Final = 60.0
"""Seconds without a word after which it will hardly speak again."""
PATIENCE: Final = 2.0
"""Seconds in which it must tell its metrics; those of the last time are shown otherwise."""


class Apart:
    """The other process, seen from the one that answers; implements `Work`. Belongs to one event loop."""

    def __init__(self, pid: int, end: socket.socket, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._end = end
        self._monotonic = monotonic
        self._channel: Channel | None = None
        self._is_ending = self._is_gone = False
        self._troubles: Sequence[str] = ("analyses are not worked on yet",)
        self._heard_at = monotonic()
        self._asked = 0
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._metrics: Sequence[Metric] = ()

    @classmethod
    def forked(cls, settings: Settings, companion: Companion | None = None) -> Self:
        """Begin it, and `companion` in it.

        To be called before there is an event loop or a thread: they would be half there in it.
        """
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # in it, until it knows that they mean us
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            return cls(pid, ours)
        ours.close()
        code = 1
        try:
            code = work(settings, theirs, parent, companion)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # nothing of what is this program's own is to be done twice

    async def claimed(self) -> None:
        """Wait until it knows that nobody else works on the database.

        Raises:
            CanaryError: somebody does, or it has ended.
        """
        self._channel = await Channel.over(self._end)
        first = await self._hear()
        if isinstance(first, Ended) and first.error is not None:
            self._is_ending = True
            raise first.error
        if not isinstance(first, Alone):
            raise CanaryError(f"the process that works on analyses has begun with {type(first).__name__}")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, and all is handed on.

        Raises:
            CanaryError: it has ended by itself.
        """
        self._tell(Begin())
        self._heard_at = self._monotonic()
        telling = asyncio.create_task(self._stop(stop))
        try:
            while not isinstance(message := await self._hear(), Ended):
                self._follow(message)
        finally:
            telling.cancel()
        self._is_ending = True
        if message.error is not None:
            raise message.error

    async def close(self) -> None:
        """Say nothing more to it."""
        if self._channel is not None:
            await self._channel.close()

    def end(self) -> None:
        """Nothing is left of it; unless it has said that it ends, it is cut off."""
        self._end.close()
        if not self._is_gone:
            if not self._is_ending:
                os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int:
        """Its exit code, once it has ended; minus the signal's number if a signal ended it."""
        _, status = os.waitpid(self._pid, 0)
        self._is_gone = True
        return os.waitstatus_to_exitcode(status)

    # ------------------------------------------------------------------ for the API

    def wake(self) -> None:
        """Look for new orders and decisions now."""
        self._tell(Wake())

    def troubles(self) -> Sequence[str]:
        """Why analyses are not worked on, a sentence each."""
        silent = self._monotonic() - self._heard_at
        if silent > SILENT:
            return [f"the process that works on analyses has said nothing for {silent:.0f} s"]
        return self._troubles

    def is_lost(self) -> bool:
        """Whether only a new start helps."""
        return self._monotonic() - self._heard_at > LOST

    async def metrics(self) -> Sequence[Metric]:
        """Its metrics, now or as they were when it told them last."""
        self._asked += 1
        number = self._asked
        answered = self._answers[number] = asyncio.get_running_loop().create_future()
        self._tell(Measure(number))
        try:
            await asyncio.wait([answered], timeout=PATIENCE)
        finally:
            self._answers.pop(number, None)
        return self._metrics

    # ------------------------------------------------------------------ the channel

    def _tell(self, message: object) -> None:
        if self._channel is not None:
            self._channel.tell(message)

    async def _stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._tell(Stop())

    async def _hear(self) -> object:
        assert self._channel is not None
        try:
            return await self._channel.hear()
        except EOFError:
            code = await asyncio.to_thread(self._wait)
            if not code:
                return Ended(None)  # its last word is lost if we spoke in that moment
            how = f"was ended by signal {-code}" if code < 0 else f"has ended with exit code {code}"
            raise CanaryError(f"the process that works on analyses {how}") from None

    def _follow(self, message: object) -> None:
        self._heard_at = self._monotonic()
        match message:
            case Standing(troubles):
                self._troubles = troubles
            case Measured(number, metrics):
                self._metrics = metrics
                if (answered := self._answers.get(number)) is not None and not answered.done():
                    answered.set_result(None)
