"""Traces of the service by OpenTelemetry: what one analysis, or one request, spent its time with.

Spans are handed to a thread that sends them in bundles. A collector that is away costs spans, never time: nothing here
waits for it or raises. Without the `traces` extra, or without an endpoint, nothing is traced.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import analyzer
from analyzer.service.logs import logger
from analyzer.service.masking import masked
from analyzer.service.settings import TraceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, Tracer

LOG = logger(__name__)

MOST_WAITING = 2048
"""Spans that wait to be sent; the oldest are given up for newer ones."""
SENT_EVERY = 5.0
"""Seconds."""
PATIENCE = 5.0
"""Seconds that the collector has for an answer."""
LAST_WORDS = 1.5
"""Seconds in which the last spans are sent when the service ends."""

Value = str | int | float | bool


class Traces:
    """Where spans go; by default nowhere."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer("canary-analyzer", analyzer.__version__) if provider else None

    @classmethod
    def to(cls, exporter: "SpanExporter", *, every: float = SENT_EVERY) -> Self:
        """Traces that are handed to this exporter every so many seconds, in a thread."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- an extra that may be missing
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- as above

        name = {"service.name": "canary-analyzer", "service.version": analyzer.__version__}
        # Its own handler at exit would wait for half a minute.
        provider = TracerProvider(resource=Resource.create(name), shutdown_on_exit=False)
        processor = BatchSpanProcessor(
            exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=every * 1000, max_export_batch_size=512
        )
        provider.add_span_processor(processor)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what goes wrong is told below, once
        return cls(provider)

    @property
    def is_on(self) -> bool:
        """Whether anything is traced."""
        return self._tracer is not None

    @contextmanager
    def span(self, name: str, **attributes: Value) -> Iterator[None]:
        """What is done within it, in this task and those that it starts, belongs to this span."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(
            name, attributes=_shown(attributes), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                _fail(span, f"{type(error).__name__}: {error}")
                raise

    def past(self, name: str, seconds: float, *, failed: str = "", **attributes: Value) -> None:
        """A span that ends now, and began so many seconds ago. `failed` says why, if it did."""
        if self._tracer is None:
            return
        end = time.time_ns()
        span = self._tracer.start_span(name, attributes=_shown(attributes), start_time=end - int(seconds * 1e9))
        if failed:
            _fail(span, failed)
        span.end(end)

    def shutdown(self, seconds: float = LAST_WORDS) -> None:
        """Send what is left; what could not be sent in so many seconds is given up."""
        if self._provider is None:
            return
        provider, self._provider, self._tracer = self._provider, None, None
        ending = threading.Thread(target=provider.shutdown, name="end of traces", daemon=True)
        ending.start()
        ending.join(seconds)


def traces_of(settings: TraceSettings) -> Traces:
    """As the settings want it. What stands in the way is told in the log, and nothing is traced."""
    if settings.endpoint is None:
        return Traces()
    try:
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        return Traces.to(_telling(settings.endpoint, headers))
    except ImportError:
        LOG.warning("traces are off", why="they need more: pip install 'canary-analyzer[traces]'")
    except ValueError as error:  # a variable OTEL_… that the library does not understand
        LOG.warning("traces are off", why=str(error))
    return Traces()


def _telling(endpoint: str, headers: Mapping[str, str]) -> "SpanExporter":
    """Sends by OTLP over HTTP, and tells once that the collector is away, and once that it is back."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- an extra
    from opentelemetry.sdk.trace.export import SpanExportResult as Result  # noqa: PLC0415 -- an extra

    class Telling(OTLPSpanExporter):
        is_away = False

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            result = super().export(spans)
            is_away = result is not Result.SUCCESS
            if is_away and not self.is_away:
                LOG.warning("traces cannot be sent", endpoint=endpoint)
            elif self.is_away and not is_away:
                LOG.info("traces are sent again", endpoint=endpoint)
            self.is_away = is_away
            return result

    return Telling(endpoint=endpoint, headers=headers, timeout=PATIENCE)


def _shown(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"canary.{name}": masked(value) if isinstance(value, str) else value for name, value in attributes.items()}


def _fail(span: "Span", sentence: str) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 -- an extra

    span.set_status(StatusCode.ERROR, masked(sentence))
