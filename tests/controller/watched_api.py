"""An API server on a real socket: every list and every watch is answered by what a test has put in line for it."""

import json
import queue
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.sources.misbehaving import Misbehaving, Request, http, misbehaving

Object = dict[str, Any]
Answer = Callable[[socket.socket], None]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


class Line:
    """What is to be answered, each once and in this order."""

    def __init__(self) -> None:
        self.lists: queue.Queue[Answer] = queue.Queue()
        self.watches: queue.Queue[Answer] = queue.Queue()


class WatchedApi(Line):
    """What is in line for a path (`at`), or for any. Then lists are refused as of a kind that is not there, and watches
    are quiet. `plain` are other objects, by path, and `refusals` status and message instead."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, Line] = defaultdict(Line)
        self.plain: dict[str, Object] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.server: Misbehaving | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    @property
    def requests(self) -> list[Request]:
        assert self.server is not None
        return self.server.requests

    def asked(self, what: str) -> list[str]:
        """The values of a parameter in each request that had it."""
        return [each.parameters[what] for each in self.requests if what in each.parameters]

    def answer(self, request: Request, connection: socket.socket) -> None:
        if request.path in self.refusals:
            code, message = self.refusals[request.path]
            connection.sendall(http(code, {"message": message}))
        elif request.path in self.plain:
            connection.sendall(http(200, self.plain[request.path]))
        else:
            is_watch = "watch" in request.parameters
            in_line = [each.watches if is_watch else each.lists for each in (self.at.get(request.path), self) if each]
            found = next((each for each in in_line if not each.empty()), None)
            if found is not None:
                found.get()(connection)
            elif is_watch:
                self.quiet(connection)
            else:
                connection.sendall(http(404, {"message": "not found"}))

    def quiet(self, connection: socket.socket) -> None:
        """A watch of which nothing is heard, until the test is over."""
        connection.sendall(_HEAD)
        assert self.server is not None
        self.server.over.wait(30)


def page(*objects: Object, version: str = "1", more: str = "") -> Answer:
    """A page of a list."""
    body = {"items": list(objects), "metadata": {"resourceVersion": version, "continue": more}}
    return lambda connection: connection.sendall(http(200, body))


def refuses(status: int, message: str) -> Answer:
    return lambda connection: connection.sendall(http(status, {"message": message}))


def stream(*words: tuple[str, Object] | bytes, pieces: int = 0, ends: bool = True) -> Answer:
    """A watch that says these words (type and object, or bytes as they are), in pieces of so many bytes."""
    text = b"".join(
        each if isinstance(each, bytes) else json.dumps({"type": each[0], "object": each[1]}).encode() + b"\n"
        for each in words
    )

    def answer(connection: socket.socket) -> None:
        connection.sendall(_HEAD)
        step = pieces or len(text) or 1
        for at in range(0, len(text), step):
            connection.sendall(text[at : at + step])
        if not ends:
            connection.settimeout(30)
            connection.recv(1)  # until the other side gives up

    return answer


def bookmark(version: str) -> tuple[str, Object]:
    return "BOOKMARK", {"metadata": {"resourceVersion": version}}


def status(code: int, message: str = "") -> tuple[str, Object]:
    return "ERROR", {"kind": "Status", "code": code, "reason": "Expired", "message": message}


@contextmanager
def serving() -> Iterator[WatchedApi]:
    api = WatchedApi()
    with misbehaving(api.answer) as server:
        api.server = server
        yield api
