"""Whose turn it is to write to an SQLite database, where several processes do.

SQLite lets one write at a time, and who finds it taken asks again every tenth of a second: a process that writes
without a pause keeps another one out for as long as it goes on. So writers queue before they ask SQLite. There are two
locks: `_NEXT` is held while one waits for `_MINE`, so who has just written stands behind whoever was waiting.

It is a courtesy, and never a trouble of its own: where the locks cannot be had, or not soon (their holder is frozen),
SQLite's own lock decides.
"""

import asyncio
import fcntl
import os
import time
from types import TracebackType
from typing import Final

SOON: Final = 2.0
"""Seconds. A turn is one transaction of another process: milliseconds, on a bad disk tenths of a second."""
_PAUSE, _LONGER, _LONG = 0.001, 0.01, 0.1
"""Seconds between two tries; and after the last of these seconds the longer ones. Asking costs a microsecond."""
_NEXT, _MINE = 0, 1  # places in the file


class Turn:
    """To be entered for one transaction: in this process one after the other, among processes in turn.

    The locks are the kernel's, on a file beside the database (`.turn`): they go with the process, however that ends.
    """

    def __init__(self, file: str) -> None:
        self._file = f"{os.path.realpath(file)}.turn"
        self._here = asyncio.Lock()
        self._descriptor: int | None = None

    async def __aenter__(self) -> None:
        await self._here.acquire()
        try:
            await self._queue(self._opened())
        except BaseException:
            self._here.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._give_back(_MINE)
        self._here.release()

    def close(self) -> None:
        """Nobody of this process writes any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int | None:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return None  # a full disk, a folder without the right: SQLite says so, if it concerns the database
        return self._descriptor

    async def _queue(self, descriptor: int | None) -> None:
        if descriptor is None:
            return
        begun = time.monotonic()
        if not await _taken(descriptor, _NEXT, begun):
            return
        try:
            await _taken(descriptor, _MINE, begun)
        finally:
            self._give_back(_NEXT)

    def _give_back(self, place: int) -> None:
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)


async def _taken(descriptor: int, place: int, begun: float) -> bool:
    """Whether it could be had, soon after `begun`."""
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # POSIX lets a system say either
            waited = time.monotonic() - begun
            if waited >= SOON:
                return False
            await asyncio.sleep(_PAUSE if waited < _LONG else _LONGER)
        except OSError:
            return False  # a file system without locks
        else:
            return True
