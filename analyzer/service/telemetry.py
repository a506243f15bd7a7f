"""The service's own metrics, told by what happened. docs/operations.md has a row for each.

No label ever holds an analysis, a target or anything else that a caller chooses: the number of series is bounded.
Everything here may be called from any thread, takes microseconds, and raises nothing.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

import analyzer
from analyzer.errors import LeaseLost, NoAnalysis, StoreError, StoreFull, StoreUnavailable
from analyzer.model.guard import Guard
from analyzer.model.reading import Absence
from analyzer.model.report import ActionResult, Verdict
from analyzer.model.target import ActionKind
from analyzer.service.connections import Connection, Connections
from analyzer.service.families import OTHER, Family
from analyzer.service.lateness import Lateness
from analyzer.service.together import Together
from analyzer.service.traces import Traces
from analyzer.service.watch_telemetry import WatchTelemetry

STATES = ("running",)
LEASE_CHANGES = ("claimed", "renewed", "lost", "released", "taken_over")
STORE_ERRORS: Mapping[type[Exception], str] = {  # the first that fits
    StoreFull: "full",
    StoreUnavailable: "unavailable",
    LeaseLost: "lease_lost",
    NoAnalysis: "no_analysis",
    StoreError: "refused",
}
ANSWERED = frozenset({"ok", "cancelled"})  # the second: nobody waits for the answer any more
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LONGEST_ACCEPT = 1000
"""Signs of an Accept header that are looked at."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# Upper bounds in seconds.
WORK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
ANSWER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LATE = (0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
RECOVERY = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Telemetry:
    """The metrics of one process, in a registry of its own; what took time goes to `traces` as well.

    `now` gives Unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time, traces: Traces | None = None) -> None:
        self.traces = traces or Traces()
        self._now = now
        self._registry = CollectorRegistry()
        self._lateness = Lateness()
        self._connections = Connections()
        self._of_analyses()
        self._of_windows()
        self._of_actions()
        self._of_the_store()
        self._of_requests()
        self._of_the_process()
        self.watch = WatchTelemetry(self._registry, now)

    def _of_analyses(self) -> None:
        self._analyses = Family(
            self._gauge("canary_analyses", "Analyses of this replica, by state.", "state"),
            *((state,) for state in STATES),
        )
        self._started = self._counter("canary_analyses_started_total", "Analyses that were planned here.")
        self._ended = self._counter("canary_analyses_ended_total", "Analyses that ended here.")
        self._verdicts = Family(
            self._counter(
                "canary_verdicts_total", "Verdicts; a pass that is withdrawn while watched is two.", "verdict"
            ),
            *((verdict.value,) for verdict in Verdict if verdict != Verdict.PENDING),
        )

        self._rule_sets = Family(
            self._gauge("canary_rule_set_broken", "Whether the file of a rule set cannot be used now: 1, or 0.", "name")
        )

    def _of_windows(self) -> None:
        self._windows = self._counter("canary_windows_total", "Windows that were read, one metric each.")
        self._late = self._histogram(
            "canary_window_lateness_seconds", "From the end of a window until it was read and kept.", LATE
        )
        lag = self._gauge(
            "canary_lag_seconds", "For how long the most belated window has been over without being read."
        )
        lag.set_function(lambda: self._lateness.seconds(self._now()))
        self._judge = self._histogram("canary_judge_seconds", "Judging one window: fold and decision.", WORK)
        self._queries = Family(
            self._histogram("canary_query_seconds", "Queries to Prometheus, by outcome.", ANSWER, "kind", "outcome")
        )
        self._query_errors = Family(
            self._counter("canary_query_errors_total", "Queries that gave no answer.", "kind"),
            ("instant",),
            ("range",),
        )
        self._troubles = Family(
            self._counter(
                "canary_troubles_total",
                "What could not be read and is read again: metrics or the platform.",
                "of",
                "why",
            ),
            *(("metric", absence.value) for absence in Absence),
            ("platform", Absence.UNREACHABLE.value),
        )
        self._registry.register(self._connections)

    def _of_actions(self) -> None:
        self._actions = Family(
            self._counter(
                "canary_actions_total", "Actions of ended analyses, and what came of them.", "kind", "result"
            ),
            *((ActionKind.ROLLBACK.value, result.value) for result in ActionResult if result != ActionResult.NONE),
        )
        self._held = Family(
            self._counter("canary_actions_held_total", "Actions that a guard held back.", "guard"),
            *((guard.value,) for guard in Guard),
        )
        self._recovery = self._histogram(
            "canary_recovery_seconds", "From the first bad window to the recovery after an action.", RECOVERY
        )

    def _of_the_store(self) -> None:
        self._leases = Family(
            self._counter("canary_leases_total", "Changes of leases on analyses.", "change"),
            *((change,) for change in LEASE_CHANGES),
        )
        self._store_errors = Family(
            self._counter("canary_store_errors_total", "What the database did not do.", "why"),
            *((why,) for why in STORE_ERRORS.values()),
        )

    def _of_requests(self) -> None:
        labels = ("method", "route")
        self._requests = Family(
            self._counter("canary_http_requests_total", "Requests to the API.", *labels, "status"), most=1000
        )
        self._request_seconds = Family(
            self._histogram("canary_http_request_seconds", "From a request to its answer's beginning.", ANSWER, *labels)
        )

    def _of_the_process(self) -> None:
        build = self._gauge("canary_build_info", "What runs here; always 1.", "version", "python")
        build.labels(analyzer.__version__, platform.python_version()).set(1)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=bounds, registry=self._registry)

    def analyses(self, state: str, number: int) -> None:
        """So many analyses of this replica are `running`."""
        self._analyses.of(state).set(number)

    def started(self) -> None:
        """An analysis has its plan."""
        self._started.inc()

    def ended(self) -> None:
        """An analysis is over."""
        self._ended.inc()

    def verdict(self, verdict: str) -> None:
        """An analysis has come to a verdict (a value of `Verdict`)."""
        self._verdicts.of(verdict).inc()

    def rule_set(self, name: str, is_broken: bool) -> None:
        """The file of a rule set was looked at."""
        self._rule_sets.of(name).set(is_broken)

    def window(self, seconds: float) -> None:
        """A window was read so long after its end."""
        self._windows.inc()
        self._late.observe(max(0.0, seconds))

    def due(self, analysis: str, at: float) -> None:
        """The next window that this analysis has not read yet is over at that time (Unix seconds)."""
        self._lateness.due(analysis, at)

    def forget(self, analysis: str) -> None:
        """An analysis reads no more windows in this process: it is over, or another replica has it."""
        self._lateness.forget(analysis)

    def judged(self, seconds: float) -> None:
        """One window was folded and decided on within this time."""
        self._judge.observe(seconds)

    def answered(self, kind: str, seconds: float, outcome: str) -> None:
        """A query (`instant`, `range`, …) was answered, or not: an outcome that is not in `ANSWERED` is an error."""
        self._queries.of(kind, outcome).observe(seconds)
        failed = "" if outcome in ANSWERED else outcome
        if failed:
            self._query_errors.of(kind).inc()
        self.traces.past("query", seconds, failed=failed, kind=kind, outcome=outcome)

    def connection(self, name: str, connection: Connection) -> None:
        """Show what this connection to Prometheus counts, under its name in the settings."""
        self._connections.add(name, connection)

    def trouble(self, of: str, why: str) -> None:
        """Something (`metric` or `platform`) could not be read, and will be asked again."""
        self._troubles.of(of, why).inc()

    def acted(self, kind: str, result: str) -> None:
        """An analysis ended with this action (`ActionKind`, `ActionResult`)."""
        self._actions.of(kind, result).inc()

    def held(self, guard: str) -> None:
        """A guard held an action back."""
        self._held.of(guard).inc()

    def recovered(self, seconds: float) -> None:
        """A service has recovered after an action, so long after its first bad window."""
        self._recovery.observe(max(0.0, seconds))

    def lease(self, change: str, number: int = 1) -> None:
        """So many leases were changed in this way (`LEASE_CHANGES`)."""
        self._leases.of(change).inc(max(0, number))

    def store_failed(self, error: BaseException) -> None:
        """The database did not do what was asked."""
        self._store_errors.of(next((why for kind, why in STORE_ERRORS.items() if isinstance(error, kind)), OTHER)).inc()

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template of its path, never the path; empty: there is none."""
        method = method if method in METHODS else OTHER
        self._requests.of(method, route or OTHER, str(status)).inc()
        self._request_seconds.of(method, route or OTHER).observe(seconds)
        if self.traces.is_on:
            failed = f"answered {status}" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
            self.traces.past("request", seconds, failed=failed, method=method, route=route or OTHER, status=status)

    def metrics(self) -> Sequence[Metric]:
        """All metrics, as they are now."""
        return list(_WithoutBirthdays(self._registry).collect())

    def render(self, accept: str = "", more: Sequence[Metric] = ()) -> tuple[bytes, str]:
        """All metrics as OpenMetrics if this Accept header names it, else as Prometheus' text, and the content type.

        `more` are those of another process, which are added to ours.
        """
        registry = Together([self.metrics(), more])
        if "application/openmetrics-text" in accept[:LONGEST_ACCEPT].lower():
            return openmetrics.generate_latest(registry, version="1.0.0"), OPENMETRICS  # type: ignore[no-untyped-call] # has no types
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    def names(self) -> frozenset[str]:
        """The names of all metrics, as a query writes them (a histogram's without `_bucket`, `_sum` and `_count`)."""
        return frozenset(_name(metric) for metric in self._registry.collect())


class _WithoutBirthdays(Collector):
    """A registry without the `_created` series, which double the number of series and are seldom asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _name(metric: Metric) -> str:
    return metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
