"""What the connections to Prometheus tell of themselves, asked when the metrics are."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

LABELS = ("prometheus",)
COUNTERS = {
    "canary_questions_total": "Questions of analyses to Prometheus.",
    "canary_questions_shared_total": "Questions that another one's answer has answered.",
}
GAUGES = {
    "canary_queries_allowed": "Queries that may be under way at once; fewer while Prometheus is overloaded.",
    "canary_queries_under_way": "Queries that Prometheus has to answer now.",
    "canary_queries_waiting": "Queries that wait for their turn.",
    "canary_answers_kept_bytes": "Answers that are kept for those who will ask the same.",
}


class Connection(Protocol):
    """A connection that counts for itself, as `SharedClient` does."""

    asked: int  # questions that came since it was made
    shared: int  # those of them that another one's answer has answered

    @property
    def limit(self) -> int:
        """How many questions may be under way at once: fewer while the server is overloaded."""
        ...

    @property
    def under_way(self) -> int:
        """Questions that the server has to answer."""
        ...

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
        ...

    @property
    def kept_bytes(self) -> int:
        """The size of the answers that are kept for those who will ask the same."""
        ...


class Connections(Collector):
    """The metrics of all connections, by the names that the settings give them."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    def add(self, name: str, connection: Connection) -> None:
        """Show this connection from now on; another one of that name is shown no more."""
        self._connections[name] = connection

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client asks for it."""
        asked, shared = (CounterMetricFamily(name, text, labels=LABELS) for name, text in COUNTERS.items())
        limit, under_way, waiting, kept = (
            GaugeMetricFamily(name, text, labels=LABELS) for name, text in GAUGES.items()
        )
        for name, connection in list(self._connections.items()):
            asked.add_metric([name], connection.asked)
            shared.add_metric([name], connection.shared)
            limit.add_metric([name], connection.limit)
            under_way.add_metric([name], connection.under_way)
            waiting.add_metric([name], connection.waiting)
            kept.add_metric([name], connection.kept_bytes)
        yield from (asked, shared, limit, under_way, waiting, kept)
