"""What one life of the simulated service measures of itself, as Prometheus sees it and as it really was."""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from analyzer.demo.native_histogram import NativeHistogram
from analyzer.demo.tally import BOUNDARIES, Tally

REQUESTS: Final = "http_requests_total"
DURATION: Final = "http_request_duration_seconds"
_PROTOBUF: Final = "application/vnd.google.protobuf"
_FAMILY: Final = "io.prometheus.client.MetricFamily"


class Metrics:
    """Counters from zero, in a registry of their own; `tally` counts the same exactly.

    `started` is the start of the process in Unix seconds, `memory` its resident memory in bytes. With `native_schema`
    the durations are also counted in a native histogram of that schema, for scrapers that ask for protobuf. `labels`
    are put on the requests and their durations.
    """

    def __init__(
        self,
        started: float,
        memory: Callable[[], float],
        *,
        native_schema: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.tally = Tally()
        self.native = None if native_schema is None else NativeHistogram(native_schema)
        self.registry = CollectorRegistry()
        own = dict(labels or {})
        self._own = tuple(own.values())
        self._requests = Counter(REQUESTS, "Requests answered", ["code", "method", *own], registry=self.registry)
        durations = Histogram(
            DURATION, "Time to answer, in seconds", list(own), buckets=BOUNDARIES, registry=self.registry
        )
        self._durations = durations.labels(*self._own) if own else durations
        Gauge("process_start_time_seconds", "Start, in Unix seconds", registry=self.registry).set(started)
        resident = Gauge("process_resident_memory_bytes", "Resident memory, in bytes", registry=self.registry)
        resident.set_function(memory)

    def count(self, code: int, method: str, seconds: float) -> None:
        """Count one answered request."""
        self.tally.add(code, method, seconds)
        self._requests.labels(str(code), method, *self._own).inc()
        self._durations.observe(seconds)
        if self.native is not None:
            self.native.observe(seconds)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as body and content type, in the format that this Accept header asks for.

        Protobuf only with a native histogram to show; otherwise OpenMetrics or Prometheus' text.
        """
        if self.native is not None and wants_protobuf(accept):
            from analyzer.demo import protobuf  # noqa: PLC0415 -- heavy, and only native histograms need it

            return protobuf.encode(self.registry, {DURATION: self.native}), protobuf.CONTENT_TYPE
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


def wants_protobuf(accept: str) -> bool:
    """Whether an Accept header takes Prometheus' delimited protobuf format."""
    for accepted in accept.split(","):
        kind, *parameters = (part.strip() for part in accepted.split(";"))
        wanted = {"proto": _FAMILY, "encoding": "delimited"}
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        if kind == _PROTOBUF and wanted.items() <= given.items():
            return True
    return False
