"""Connections that can be broken off from outside.

The time-outs of `requests` are for each read: a server that sends a byte now and then is waited for without end, and a
blocked thread cannot be cancelled. So each exchange holds a second handle on its socket, through which the socket is
shut down when the time is over; the thread then wakes up with an error.
"""

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import PoolManager

_current = threading.local()


class Exchange:
    """One request with its answer, as something that can be broken off by another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_broken_off = False

    @contextmanager
    def running(self) -> "Iterator[None]":
        """Inside, connections of this thread belong to this exchange."""
        _current.exchange = self
        try:
            yield
        finally:
            _current.exchange = None
            with self._lock:
                self._drop()

    def uses(self, handle: socket.socket | None) -> None:
        """The connection that it goes over now.

        A handle of its own: a connection that ends with its answer closes all of its own before the answer is read.
        """
        with self._lock:
            self._drop()
            self._socket = None if handle is None else handle.dup()
            if self.is_broken_off:
                self._shut_down()

    def break_off(self) -> None:
        """Wake up the thread that waits for the other end; it gets an error."""
        with self._lock:
            self.is_broken_off = True
            self._shut_down()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the other end has closed it already
                self._socket.shutdown(socket.SHUT_RDWR)


class _Breakable:
    """Keeps a second handle on the socket of a connection: TLS takes the first one away."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]  # of urllib3's class, beside this one
        self._drop_handle()
        self._handle = connected.dup()
        self._belongs()
        return connected

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- handed through as they are
        self._belongs()  # a connection that is used again has belonged to another exchange
        super().request(*args, **kwargs)  # type: ignore[misc]  # as above

    def close(self) -> None:
        try:
            super().close()  # type: ignore[misc]  # as above
        finally:
            self._drop_handle()

    def _belongs(self) -> None:
        exchange = getattr(_current, "exchange", None)
        if exchange is not None:
            exchange.uses(self._handle)

    def _drop_handle(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


class _Connection(_Breakable, HTTPConnection):
    pass


class _SecureConnection(_Breakable, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class BreakableAdapter(HTTPAdapter):
    """An adapter of `requests` whose connections can be broken off, and which tries nothing twice by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- handed through as they are
        super().init_poolmanager(*args, **kwargs)
        _make_breakable(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # its connections know the proxy's protocol, ours do not
            _make_breakable(manager)
        return manager


def _make_breakable(manager: "PoolManager") -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
