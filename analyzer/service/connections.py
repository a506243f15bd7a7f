"""What the connections to Prometheus tell of themselves, asked when the metrics are."""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Connection(Protocol):
    """A connection that counts for itself: `asked` and `shared` since it was made, the others as they are now."""

    @property
    def asked(self) -> int:
        """Questions that went to the server."""
        ...

    @property
    def shared(self) -> int:
        """Questions that were answered by another's answer."""
        ...

    @property
    def at_once(self) -> int:
        """How many questions may be under way at once now: fewer while the server is slow."""
        ...

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
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
        labels = ["prometheus"]
        questions = CounterMetricFamily(
            "canary_questions",
            "Questions of analyses: asked of the server, or shared with another that asked the same.",
            labels=[*labels, "way"],
        )
        at_once = GaugeMetricFamily(
            "canary_queries_at_once", "Queries that may be under way at once; fewer while it is slow.", labels=labels
        )
        waiting = GaugeMetricFamily("canary_queries_waiting", "Queries that wait for their turn.", labels=labels)
        for name, connection in list(self._connections.items()):
            questions.add_metric([name, "asked"], connection.asked)
            questions.add_metric([name, "shared"], connection.shared)
            at_once.add_metric([name], connection.at_once)
            waiting.add_metric([name], connection.waiting)
        yield from (questions, at_once, waiting)
