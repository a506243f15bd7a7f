"""The metrics of two processes as those of one."""

from analyzer.model.report import Verdict
from analyzer.service.telemetry import Telemetry


def test_what_both_have_is_added_up_and_nothing_stands_twice() -> None:
    ours, theirs = Telemetry(), Telemetry()
    ours.requested("GET", "/healthz", 200, 0.01)
    theirs.verdict(Verdict.FAIL)
    for each in (ours, theirs):
        each.window(1.0)
    text = ours.render(more=theirs.metrics())[0].decode().splitlines()
    assert "canary_windows_total 2.0" in text
    assert 'canary_verdicts_total{verdict="fail"} 1.0' in text
    assert 'canary_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in text
    assert 'canary_window_lateness_seconds_bucket{le="1.0"} 2.0' in text
    (build,) = [line for line in text if line.startswith("canary_build_info{")]
    assert build.endswith(" 1.0")
    series = [line.rpartition(" ")[0] for line in text if not line.startswith("#")]
    assert len(series) == len(set(series))


def test_alone_it_is_as_before() -> None:
    ours = Telemetry()
    ours.window(1.0)
    assert "canary_windows_total 1.0" in ours.render()[0].decode().splitlines()
