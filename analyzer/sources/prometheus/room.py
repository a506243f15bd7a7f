"""The memory that answers may take together while they are read, however many are read at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Room:
    """So many bytes for all answers together. Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Bytes that are taken now."""
        return self._taken

    @contextmanager
    def part(self) -> Iterator[Callable[[int], bool]]:
        """For one answer: call it with the bytes of each piece; False says that there is no room for this one."""
        own = 0

        def take(size: int) -> bool:
            nonlocal own
            with self._lock:
                if self._taken + size > self.most:
                    return False
                self._taken += size
                own += size
                return True

        try:
            yield take
        finally:
            with self._lock:
                self._taken -= own
