"""Traces: what belongs together, and that a collector which is away costs nothing."""

import asyncio
import builtins
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from structlog.testing import capture_logs

from analyzer.service import traces as module
from analyzer.service.settings import TraceSettings
from analyzer.service.telemetry import Telemetry
from analyzer.service.traces import MOST_WAITING, Traces, traces_of

LONG = 20.0
"""Seconds: far more than anything here needs."""


@pytest.fixture
def kept() -> Iterator[tuple[Traces, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    traces = Traces.to(exporter)
    yield traces, exporter
    traces.shutdown(LONG)


def finished(traces: Traces, exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    assert traces._provider is not None
    traces._provider.force_flush()
    return {span.name: span for span in exporter.get_finished_spans()}


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def test_a_query_belongs_to_the_analysis_that_asks(kept: tuple[Traces, InMemorySpanExporter]) -> None:
    traces, _ = kept
    telemetry = Telemetry(traces=traces)

    async def ask() -> None:
        telemetry.answered("instant", 0.25, "ok")

    async def run() -> None:
        with traces.span("analysis", analysis="0123456789ab"):
            await asyncio.create_task(ask())

    asyncio.run(run())
    spans = finished(*kept)
    analysis, query = spans["analysis"], spans["query"]
    assert analysis.parent is None
    assert query.parent is not None
    assert query.parent.span_id == analysis.context.span_id
    assert attributes(analysis) == {"canary.analysis": "0123456789ab"}
    assert attributes(query) == {"canary.kind": "instant", "canary.outcome": "ok"}
    assert query.end_time is not None
    assert query.start_time is not None
    assert query.end_time - query.start_time == 250_000_000


def test_two_analyses_at_once_are_two_traces(kept: tuple[Traces, InMemorySpanExporter]) -> None:
    traces, exporter = kept

    async def analyse(name: str) -> None:
        with traces.span("analysis", analysis=name):
            await asyncio.sleep(0)
            traces.past("act", 0.1, analysis=name)

    async def both() -> None:
        await asyncio.gather(analyse("a"), analyse("b"))

    asyncio.run(both())
    finished(traces, exporter)
    by_trace: dict[int, set[Any]] = {}
    for span in exporter.get_finished_spans():
        by_trace.setdefault(span.context.trace_id, set()).add(attributes(span)["canary.analysis"])
    assert sorted(by_trace.values(), key=str) == [{"a"}, {"b"}]


def test_what_failed_says_why_without_secrets(kept: tuple[Traces, InMemorySpanExporter]) -> None:
    traces, _ = kept
    with pytest.raises(ValueError, match="hunter2"), traces.span("analysis"):
        raise ValueError("refused: Bearer hunter2hunter2")
    traces.past("query", 1.0, failed="password=hunter2hunter2", why="token=hunter2hunter2")
    spans = finished(*kept)
    assert spans["analysis"].status.description == "ValueError: refused: Bearer ***"
    assert not spans["analysis"].events  # no traceback with it
    assert spans["query"].status.description == "password=***"
    assert attributes(spans["query"]) == {"canary.why": "token=***"}
    assert not spans["query"].status.is_ok


def test_requests_are_spans_of_their_routes(kept: tuple[Traces, InMemorySpanExporter]) -> None:
    traces, _ = kept
    Telemetry(traces=traces).requested("GET", "/api/v1/analyses/{id}", 503, 0.1)
    span = finished(*kept)["request"]
    assert attributes(span)["canary.route"] == "/api/v1/analyses/{id}"
    assert span.status.description == "answered 503"


def test_without_an_endpoint_nothing_is_traced() -> None:
    traces = traces_of(TraceSettings())
    assert not traces.is_on
    with traces.span("analysis", analysis="a"):
        traces.past("query", 1.0)
    traces.shutdown()


def test_without_the_extra_nothing_is_traced_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> object:  # noqa: ANN401 -- handed on
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with capture_logs() as lines:
        traces = traces_of(TraceSettings(endpoint="http://127.0.0.1:4318/v1/traces"))
    assert not traces.is_on
    assert "pip install 'canary-analyzer[traces]'" in lines[0]["why"]


def test_a_variable_that_is_not_understood_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    with capture_logs() as lines:
        traces = traces_of(TraceSettings(endpoint="http://127.0.0.1:4318/v1/traces"))
    assert not traces.is_on
    assert lines[0]["event"] == "traces are off"


class Stuck(SpanExporter):
    """A collector that takes the connection, and never answers."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.let_go = threading.Event()

    def export(self, _: Sequence[ReadableSpan]) -> SpanExportResult:
        self.called.set()
        self.let_go.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        return


def ends(work: Callable[[], None]) -> bool:
    """Whether it ends, while nobody lets go of what it could wait for."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONG)
    return not thread.is_alive()


def test_a_collector_that_never_answers_delays_neither_spans_nor_the_end() -> None:
    exporter = Stuck()
    traces = Traces.to(exporter, every=0.01)
    traces.past("first", 0.1)
    assert exporter.called.wait(LONG)

    def work() -> None:
        for _ in range(3 * MOST_WAITING):
            traces.past("query", 0.1)
        traces.shutdown(0.01)

    try:
        assert ends(work)
        assert not exporter.let_go.is_set()
    finally:
        exporter.let_go.set()


def test_a_closed_port_raises_nothing_and_shows_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)  # waited for to its end: what it says belongs to no other test
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    headers = {"Authorization": SecretStr("Bearer hunter2hunter2")}
    settings = TraceSettings(endpoint=f"http://127.0.0.1:{port}/v1/traces", headers=headers)
    with capture_logs() as lines:
        traces = traces_of(settings)
        with traces.span("analysis"):
            pass
        traces.shutdown(LONG)
    assert [line["event"] for line in lines] == ["traces cannot be sent"]
    assert "hunter2" not in str(lines) + "".join(capsys.readouterr())


class Collector(HTTPServer):
    """Says 400 until it is `well`, and keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.well = False
        self.requests: list[tuple[str | None, ExportTraceServiceRequest]] = []
        self.arrived = threading.Semaphore(0)


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent = ExportTraceServiceRequest.FromString(body)
        self.server.requests.append((self.headers["Authorization"], sent))
        self.send_response(200 if self.server.well else 400)
        self.end_headers()
        self.server.arrived.release()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_collector_gets_spans_and_is_told_of_once_when_it_refuses_and_once_when_it_is_back(
    collector: Collector,
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
    settings = TraceSettings(endpoint=endpoint, headers={"Authorization": SecretStr("Bearer of-the-collector")})
    with capture_logs() as lines:
        traces = traces_of(settings)
        assert traces._provider is not None
        for well in (False, False, True, True):
            collector.well = well
            traces.past("query", 0.1, kind="instant")
            traces._provider.force_flush()
            assert collector.arrived.acquire(timeout=LONG)
        traces.shutdown(LONG)
    assert [line["event"] for line in lines] == ["traces cannot be sent", "traces are sent again"]
    authorization, sent = collector.requests[-1]
    assert authorization == "Bearer of-the-collector"
    (resource,) = sent.resource_spans
    names = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert names["service.name"] == "canary-analyzer"
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["query"]


def test_after_the_end_nothing_is_traced_and_nothing_raises() -> None:
    exporter = InMemorySpanExporter()
    traces = Traces.to(exporter)
    traces.shutdown(LONG)
    traces.past("query", 0.1)
    with traces.span("analysis"):
        pass
    traces.shutdown(LONG)
    assert exporter.get_finished_spans() == ()
