"""A real HTTP server on a real socket that does exactly what a test tells it to, however wrong."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def parameters(self) -> dict[str, str]:
        """Of the URL and of the body."""
        both = {**parse_qs(urlsplit(self.target).query), **parse_qs(self.body.decode())}
        return {name: values[0] for name, values in both.items()}


Behaviour = Callable[[Request, socket.socket], None]


def http(status: int, body: bytes | str | dict[str, Any], **headers: str) -> bytes:
    """A whole HTTP answer; underscores in header names are dashes."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def vector(*values: str, **more: object) -> dict[str, Any]:
    """A success with these values, each of a series of its own."""
    result = [{"metric": {"n": str(number)}, "value": [1000, value]} for number, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


def says(answer: bytes) -> Behaviour:
    return lambda _, connection: connection.sendall(answer)


@dataclass
class Misbehaving:
    """The server; `behaviour` can be changed at any time."""

    behaviour: Behaviour
    requests: list[Request] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._accepting, *self._threads):
            thread.join(timeout=10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                if request := _read(connection):
                    self.requests.append(request)
                    self.asked.set()
                    self.behaviour(request, connection)


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Request(method, target, headers, body)


@contextmanager
def misbehaving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Misbehaving]:
    server = Misbehaving(behaviour, tls=tls)
    try:
        yield server
    finally:
        server.close()
