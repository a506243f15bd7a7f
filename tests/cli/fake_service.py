"""A server of `canary serve` in a few lines, which keeps the contract except where a test has it break it."""

import asyncio
import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from analyzer.engine.resumption import restored
from analyzer.engine.summary import report
from analyzer.model.event import EVENT, Ended, Event
from analyzer.model.report import Report
from tests.engine.world import World, rates

ID = "3f2a9c0d1e4b"
TURN = 0.01
"""Seconds between two steps of the analysis while somebody looks on."""
STEP = 4
"""Events in a step."""
_records: dict[float, list[Event]] = {}


def record(rate: float = 0.2) -> list[Event]:
    """The whole record of an analysis: a bad revision is taken back, one with a rate of 0 passes."""
    if rate not in _records:
        world = World(rates(rate))
        asyncio.run(world.runner().run())
        _records[rate] = list(world.record.events)
    return _records[rate]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeService:
    """One analysis, which goes a step further whenever somebody looks at it, but not beyond `hold_at` events.

    `instead` may answer a request itself: it gets the handler and the request, and says whether it has.
    """

    events: list[Event]
    hold_at: int | None = None
    refuses_cancel: int = 0  # with this status
    keeps_cancel: bool = False  # asked to, it does not stop
    instead: Callable[["Handler", Asked], bool] = lambda _handler, _asked: False
    asked: list[Asked] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def requests(self, method: str, end: str) -> list[Asked]:
        return [each for each in self.asked if each.method == method and each.path.endswith(end)]

    @property
    def has_ended(self) -> bool:
        return self._seen > 0 and isinstance(self.events[self._seen - 1], Ended)

    def step(self) -> None:
        with self._lock:
            most = len(self.events) if self.hold_at is None else min(self.hold_at, len(self.events))
            self._seen = max(self._seen, min(self._seen + STEP, most))

    def cancel(self) -> None:
        with self._lock:
            if not self.keeps_cancel:
                at = self.events[self._seen - 1].at if self._seen else 0.0
                self.events = [*self.events[: max(1, self._seen)], Ended(at=at, cause="SIGTERM")]
                self._seen = len(self.events)
                self.hold_at = None

    def report(self) -> Report | None:
        with self._lock:
            return report(restored(self.events[: self._seen])) if self._seen else None

    def analysis(self) -> dict[str, Any]:
        now = self.report()
        leading = (
            {"verdict": "pending", "action": {"kind": "none", "result": "none"}, "held_by": None, "reason": ""}
            if now is None
            else json.loads(now.model_dump_json(include={"verdict", "action", "held_by", "reason"}))
        )
        return {
            **{name: leading[name] for name in ("verdict", "action", "held_by", "reason")},
            "id": ID,
            "state": "ended" if self.has_ended else "running",
            "namespace": "prod",
            "target": "helm/web",
            "created_at": 1.0,
            "changed_at": 1.0,
            "ended_at": 2.0 if self.has_ended else None,
            "by": "ci",
            "dry_run": False,
            "links": {"self": f"/api/v1/analyses/{ID}", "report": "", "events": ""},
        }

    def page(self, after: int, limit: int) -> dict[str, Any]:
        with self._lock:
            some = self.events[after : min(self._seen, after + limit)]
            last = after + len(some)
            items = [
                {"seq": after + number, "event": EVENT.dump_python(event, mode="json")}
                for number, event in enumerate(some, start=1)
            ]
            return {"items": items, "next": last if last < self._seen else None}

    @property
    def position(self) -> int:
        return self._seen


class Handler(BaseHTTPRequestHandler):
    """One request."""

    service: FakeService
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, json.loads(body) if body else None)
        self.service.asked.append(asked)
        with suppress(ConnectionError):
            if not self.service.instead(self, asked):
                self._route(asked)

    def _route(self, asked: Asked) -> None:
        service, path = self.service, asked.path.removeprefix("/api/v1")
        if (asked.method, path) == ("POST", "/analyses"):
            key = asked.headers["idempotency-key"]
            is_new = key not in service.keys
            service.keys.setdefault(key, asked.body)
            self.send(201 if is_new else 200, service.analysis())
        elif path == f"/analyses/{ID}":
            service.step()
            told = service.report()
            self.send(200, {**service.analysis(), "report": told and json.loads(told.model_dump_json()), "order": {}})
        elif path == f"/analyses/{ID}/events":
            self.send(200, service.page(int(asked.query["after"][0]), int(asked.query["limit"][0])))
        elif path == f"/analyses/{ID}/cancel":
            if service.refuses_cancel:
                self.problem(service.refuses_cancel, "that is not yours")
            else:
                service.cancel()
                self.send(202, service.analysis())
        elif path == "/changes" and asked.query.get("analysis") == [ID]:
            self.stream(int(asked.headers.get("last-event-id", -1)))
        else:
            self.problem(404, "no such thing")

    def send(self, status: int, body: object, kind: str = "application/json", **headers: str) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def problem(self, status: int, detail: str, **headers: str) -> None:
        told = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "instance": self.path}
        self.send(status, told, "application/problem+json", **headers)

    def begin_stream(self, kind: str = "text/event-stream") -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def message(self) -> None:
        service = self.service
        data = json.dumps(service.analysis())
        self.wfile.write(f"id: {service.position}\nevent: analysis\ndata: {data}\n\n".encode())

    def stream(self, after: int, most: int = 10**9) -> None:
        self.begin_stream()
        self.wfile.write(b"retry: 2000\n\n")
        service, waiting = self.service, threading.Event()
        for _ in range(most):
            if service.position > after:
                after = service.position
                self.message()
                if service.has_ended:
                    return
            else:
                self.wfile.write(b": nothing new\n\n")
            waiting.wait(TURN)
            service.step()

    def cut_off(self) -> None:
        """End the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Takes it that a client leaves in the middle; every other error is one of the test's, and is printed."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as the library has it
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


@contextmanager
def serving(service: FakeService, tls: ssl.SSLContext | None = None) -> Iterator[FakeService]:
    """The service, served."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"service": service}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    service.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
