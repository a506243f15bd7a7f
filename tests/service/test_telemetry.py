"""The service's own metrics: what is counted is shown, in both formats, and labels stay bounded."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from analyzer.errors import LeaseLost, StoreFull, StoreUnavailable
from analyzer.service.telemetry import LEASE_CHANGES, Telemetry
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.sharing import SharedClient

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(telemetry: Telemetry, accept: str = "") -> Samples:
    text, content_type = telemetry.render(accept)
    parse = open_metrics if content_type.startswith("application/openmetrics-text") else plain_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def value(telemetry: Telemetry, name: str, **labels: str) -> float:
    return samples(telemetry)[name, tuple(sorted(labels.items()))]


def test_what_happened_is_counted() -> None:
    telemetry = Telemetry()
    telemetry.analyses("running", 7)
    telemetry.verdict("fail")
    telemetry.acted("rollback", "done")
    telemetry.held("storm")
    telemetry.lease("renewed", 40)
    telemetry.judged(0.002)
    telemetry.recovered(42)
    telemetry.trouble("metric", "timeout")
    assert value(telemetry, "canary_analyses", state="running") == 7
    assert value(telemetry, "canary_verdicts_total", verdict="fail") == 1
    assert value(telemetry, "canary_verdicts_total", verdict="pass") == 0  # a rate needs the zero before the first one
    assert value(telemetry, "canary_actions_total", kind="rollback", result="done") == 1
    assert value(telemetry, "canary_actions_held_total", guard="storm") == 1
    assert value(telemetry, "canary_leases_total", change="renewed") == 40
    assert value(telemetry, "canary_judge_seconds_bucket", le="0.0025") == 1
    assert value(telemetry, "canary_judge_seconds_bucket", le="0.001") == 0
    assert value(telemetry, "canary_recovery_seconds_sum") == 42
    assert value(telemetry, "canary_troubles_total", of="metric", why="timeout") == 1


def test_a_query_without_an_answer_is_an_error() -> None:
    telemetry = Telemetry()
    telemetry.answered("instant", 0.1, "ok")
    telemetry.answered("instant", 30.0, "timeout")
    assert value(telemetry, "canary_query_errors_total", kind="instant") == 1
    assert value(telemetry, "canary_query_seconds_count", kind="instant", outcome="ok") == 1
    assert value(telemetry, "canary_query_seconds_sum", kind="instant", outcome="timeout") == 30


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (StoreFull("x"), "full"),
        (StoreUnavailable("x"), "unavailable"),
        (LeaseLost("x"), "lease_lost"),
        (ValueError("x"), "other"),
    ],
)
def test_the_store_s_errors_are_told_apart(error: Exception, why: str) -> None:
    telemetry = Telemetry()
    telemetry.store_failed(error)
    assert value(telemetry, "canary_store_errors_total", why=why) == 1


def test_the_lag_is_that_of_the_most_belated_analysis() -> None:
    now = 1000.0
    telemetry = Telemetry(lambda: now)
    assert value(telemetry, "canary_lag_seconds") == 0
    telemetry.due("a", 990)
    telemetry.due("b", 940)
    telemetry.due("c", 1010)
    assert value(telemetry, "canary_lag_seconds") == 60
    telemetry.forget("b")
    telemetry.forget("never heard of")
    assert value(telemetry, "canary_lag_seconds") == 10
    telemetry.due("a", 1005)
    assert value(telemetry, "canary_lag_seconds") == 0


@dataclass
class Connection:
    asked: int = 60
    shared: int = 57
    limit: int = 8
    under_way: int = 1
    waiting: int = 0
    kept_bytes: int = 4096


def test_connections_are_asked_when_the_metrics_are() -> None:
    telemetry, connection = Telemetry(), Connection()
    telemetry.connection("default", connection)
    connection.limit = 4
    for accept in ("", "application/openmetrics-text"):
        shown = samples(telemetry, accept)
        label = (("prometheus", "default"),)
        assert shown["canary_questions_total", label] == 60
        assert shown["canary_questions_shared_total", label] == 57
        assert shown["canary_queries_allowed", label] == 4
        assert shown["canary_queries_under_way", label] == 1
        assert shown["canary_queries_waiting", label] == 0
        assert shown["canary_answers_kept_bytes", label] == 4096


def test_a_shared_client_is_a_connection() -> None:
    telemetry = Telemetry()
    client = SharedClient(PrometheusAccess(url="http://prometheus.example"), at_once=5)
    telemetry.connection("default", client)
    assert value(telemetry, "canary_queries_allowed", prometheus="default") == 5
    asyncio.run(client.close())


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("application/openmetrics-text;version=x", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_format_is_what_was_asked_for(accept: str, content_type: str) -> None:
    telemetry = Telemetry()
    assert telemetry.render(accept)[1] == content_type
    assert samples(telemetry, accept)["canary_windows_total", ()] == 0


@given(st.text(max_size=300))
def test_any_accept_header_gets_an_answer(accept: str) -> None:
    assert RENDERED.render(accept)[0]


RENDERED = Telemetry()


def test_there_is_no_series_for_when_a_series_began() -> None:
    for accept in ("", "application/openmetrics-text"):
        assert b"_created" not in Telemetry().render(accept)[0]


@given(st.lists(st.tuples(st.text(), st.text(), st.integers(-5, 1000)), max_size=50))
def test_whatever_a_caller_sends_is_shown_as_text_that_is_read(requests: list[tuple[str, str, int]]) -> None:
    telemetry = Telemetry()
    for method, route, status in requests:
        telemetry.requested(method, route, status, 0.1)
    total = sum(value for (name, _), value in samples(telemetry).items() if name == "canary_http_requests_total")
    assert total == len(requests)


def test_labels_stay_bounded() -> None:
    telemetry = Telemetry()
    for number in range(5000):
        telemetry.requested("GET", f"/{number}", 200, 0.1)
        telemetry.answered(f"kind {number}", 0.1, "ok")
        telemetry.lease(f"change {number}")
    shown = samples(telemetry)
    assert len(shown) < 10_000
    assert sum(value for (name, _), value in shown.items() if name == "canary_http_requests_total") == 5000
    assert value(telemetry, "canary_leases_total", change="other") > 4000


def test_two_of_them_know_nothing_of_each_other() -> None:
    one, other = Telemetry(), Telemetry()
    for change in LEASE_CHANGES:
        one.lease(change)
    assert value(one, "canary_leases_total", change="lost") == 1
    assert value(other, "canary_leases_total", change="lost") == 0


def test_the_process_shows_itself() -> None:
    telemetry = Telemetry()
    assert value(telemetry, "process_resident_memory_bytes") > 0
    assert any(name == "canary_build_info" for name, _ in samples(telemetry))
