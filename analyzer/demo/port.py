"""A TCP port of the loopback that stays reserved while what listens on it comes and goes."""

import socket
import sys
from typing import Self

from analyzer.errors import DemoError

LOOPBACK = "127.0.0.1"


class Port:
    """A port chosen by the system (or `wanted`).

    On Linux the reservation is a socket that is bound and does not listen: connections are refused, nobody else is
    given the port, and whoever binds with SO_REUSEADDR (asyncio and Go's servers do) may listen on it. Elsewhere a
    port can only be chosen and let go again. Raises DemoError if the wanted port is taken.
    """

    def __init__(self, wanted: int = 0) -> None:
        held = _bind(wanted)
        self.number: int = held.getsockname()[1]
        self._held: socket.socket | None = held
        if sys.platform != "linux":
            self.close()

    def listener(self) -> socket.socket:
        """A new socket bound to the port, ready for `listen`; the caller closes it."""
        return _bind(self.number)

    def close(self) -> None:
        """Give the reservation up."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bind(number: int) -> socket.socket:
    # Named TCP, or asyncio would not know it for TCP and would leave Nagle's algorithm on: 40 ms a request.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, number))
    except OSError as error:
        bound.close()
        raise DemoError(f"port {number} of {LOOPBACK} cannot be used: {error.strerror}") from error
    return bound
