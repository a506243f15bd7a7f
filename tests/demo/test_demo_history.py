"""A past for Prometheus, written before it starts."""

import math
import time
from pathlib import Path

import pytest

from analyzer.demo.history import Series, openmetrics, write_blocks
from analyzer.demo.prometheus import Settings
from analyzer.errors import DemoError
from tests.prometheus.fixtures import Launch

pytestmark = pytest.mark.anyio


def test_the_text_keeps_families_together_and_escapes_labels() -> None:
    one = Series("a_total", {"x": '1"\\\n'}, [(1.5, 1), (2.0, math.inf)])
    two = Series("b", {}, [(1, math.nan)])
    three = Series("a_total", {"x": "2", "w": "0"}, [(1, -math.inf), (2, 1e300)])
    assert list(openmetrics([one, two, three])) == [
        r'a_total{x="1\"\\\n"} 1.0 1.500',
        r'a_total{x="1\"\\\n"} +Inf 2.000',
        'a_total{w="0",x="2"} -Inf 1.000',
        'a_total{w="0",x="2"} 1e+300 2.000',
        "b{} NaN 1.000",
        "# EOF",
    ]


async def test_prometheus_remembers_what_was_written(launch_prometheus: Launch) -> None:
    end = float(int(time.time())) - 60
    times = [end - 5 * 3600 + 15 * step + 0.123 for step in range(5 * 240)]  # over three blocks of two hours
    labels = {"pod": "web-1-abc", "code": '5"00'}
    series = Series("http_requests_total", labels, [(at, float(step)) for step, at in enumerate(times)])
    gauge = Series("memory_bytes", {"pod": "web-1-abc"}, [(at, 0.1 * step) for step, at in enumerate(times)])
    prometheus = await launch_prometheus(Settings(history=[series, gauge]))
    [answer] = await prometheus.ask.query("http_requests_total[6h]")
    assert answer.labels == {"__name__": "http_requests_total", **labels}
    assert answer.samples == tuple((pytest.approx(at, abs=1e-6), value) for at, value in series.samples)
    [last] = await prometheus.ask.query("memory_bytes", at=times[-1])
    assert last.value == gauge.samples[-1][1]


@pytest.mark.prometheus
async def test_samples_out_of_order_are_refused_with_promtools_words(tmp_path: Path) -> None:
    samples = [(1_700_000_100.0, 1.0), (1_700_000_000.0, 2.0), (1_700_000_000.0, 3.0)]
    with pytest.raises(DemoError, match=r"promtool refused the history:\n.*"):
        await write_blocks([Series("a b", {}, samples)], tmp_path / "data")


async def test_no_history_needs_no_promtool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    await write_blocks([], tmp_path / "data")
    with pytest.raises(DemoError, match="no `promtool` on PATH"):
        await write_blocks([Series("a", {}, [(1, 1)])], tmp_path / "data")
