"""Samples that arrive late, in pieces, or with times of their own: each counts once, and nothing that is old counts."""

from collections.abc import Iterator, Sequence

import pytest

from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Cursor, Events, Missing, Reading, Window
from analyzer.model.ruleset import Comparison, RatioMetric, RatioSource
from analyzer.sources.prometheus.answer import float_series
from analyzer.sources.prometheus.client import PrometheusAccess, PrometheusClient
from analyzer.sources.prometheus.fetching import raw_series
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.sources.promql import Selector
from tests.sources.ingestion import Ingestion
from tests.sources.misbehaving import Misbehaving, misbehaving

pytestmark = pytest.mark.anyio

ALONE = SideMatchers(canary="", baseline=None, comparison=Comparison.BEFORE_AFTER)
ERRORS = RatioMetric(ratio=RatioSource(bad='x_total{code="500"}', total="x_total"))
TARGET = {"job": "web", "instance": "a:80", "pod": "web-1"}
T = 10_000.0
"""The origin: the start of the first window."""


def x(code: str = "200", **labels: str) -> dict[str, str]:
    return {"__name__": "x_total", "code": code, **TARGET, **labels}


def up(**labels: str) -> dict[str, str]:
    return {"__name__": "up", **TARGET, **labels}


@pytest.fixture
def served() -> Iterator[tuple[Ingestion, Misbehaving]]:
    content = Ingestion()
    with misbehaving(content.answer) as running:
        yield content, running


async def read(served: tuple[Ingestion, Misbehaving], ends: Sequence[float], lag: float = 0.0) -> list[Reading]:
    """One reading after the other, each `lag` seconds after the end of its window."""
    content, running = served
    readings, cursor = [], None
    async with PrometheusSource(PrometheusAccess.of(url=running.url)) as source:
        query = source.query("m", ERRORS, ALONE)
        for start, end in zip([T, *ends], ends, strict=False):
            content.now = end + lag
            reading, cursor = await source.read(query, Window(start=start, end=end), cursor)
            cursor = Cursor.model_validate_json(cursor.model_dump_json())
            readings.append(reading)
    return readings


def totals(readings: Sequence[Reading]) -> list[float | str]:
    return [side.total if isinstance(side := each.canary, Events) else _why(side) for each in readings]


def _why(side: object) -> str:
    assert isinstance(side, Missing)
    return side.why.value


async def test_late_samples_count_in_the_next_window(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(x(), (T - 5, 10), (T + 10, 14), (T + 30, 22))
    content.series[-1].samples[1] = (T + 10, 14, T + 25)  # after the first window was read
    assert totals(await read(served, [T + 20, T + 40])) == [Absence.NO_SAMPLES, 12]


async def test_the_last_sample_of_a_pod_counts_even_if_it_comes_late(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(x(), (T - 5, 10), (T + 10, 14))
    content.series[-1].samples[1] = (T + 10, 14, T + 25)
    assert totals(await read(served, [T + 20, T + 40, T + 60])) == [Absence.NO_SAMPLES, 4, Absence.NO_SAMPLES]


async def test_the_reference_is_looked_for_further_back_than_a_missed_scrape(
    served: tuple[Ingestion, Misbehaving],
) -> None:
    content, _ = served
    content.store(x(), (T - 200, 10), (T + 10, 14))
    assert totals(await read(served, [T + 20])) == [4]


async def test_a_reference_that_is_too_old_is_none(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(x(), (T - 400, 10), (T + 10, 14), (T + 30, 15))
    content.store(up(), (T - 400, 1), (T + 10, 1), (T + 30, 1))
    assert totals(await read(served, [T + 20, T + 40])) == [Absence.NO_SAMPLES, 1]


async def test_an_agent_that_catches_up_does_not_make_old_pods_look_new(served: tuple[Ingestion, Misbehaving]) -> None:
    """Its pod has counted for days; nothing of it arrives until 200 s into the analysis, and then everything."""
    content, _ = served
    content.store(x(pod="web-0", instance="b:80"), *[(T + at, 3.0 * at) for at in range(-60, 400, 20)])
    samples = [(T + at, 50_000.0 + at) for at in range(-100, 400, 20)]
    content.store(x(), *samples, arrival=T + 200)
    content.store(up(), *[(at, 1.0) for at, _ in samples], arrival=T + 200)
    readings = await read(served, [T + at for at in range(40, 361, 40)])
    of_other = [120.0] * 9
    late = 50_240 - 50_000  # from the origin's reference on
    assert totals(readings) == [*of_other[:4], 120 + 200, 120 + 40, 120 + 40, 120 + 40, 120 + 40]
    assert sum(each for each in totals(readings) if isinstance(each, float)) == 9 * 120 + late + 120


async def test_exporters_with_times_of_their_own_do_not_look_new(served: tuple[Ingestion, Misbehaving]) -> None:
    """Their samples bear times ten seconds before the scrape: the earliest scrape seen seems to have had none."""
    content, _ = served
    content.store(x(pod="web-0", instance="b:80"), *[(T + at, 3.0 * at) for at in range(-60, 500, 20)])
    scrapes = [T + 65 + 20 * number for number in range(-10, 20)]
    content.store(up(), *[(at, 1.0) for at in scrapes], arrival=T + 370)
    content.store(x(), *[(at - 10, 50_000.0) for at in scrapes], arrival=T + 370)
    readings = await read(served, [T + 360, T + 400])
    assert totals(readings) == [3 * 360, 3 * 40]


async def test_the_first_error_of_an_old_target_counts(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(up(), *[(T + at, 1.0) for at in range(-300, 100, 20)])
    content.store(x(), *[(T + at, 1000.0 + at) for at in range(-300, 100, 20)])
    content.store(x("500"), (T + 60, 3), (T + 80, 4))
    readings = await read(served, [T + 50, T + 90])
    assert readings[1].canary == Events(total=40 + 4, bad=4)


async def test_an_address_that_was_another_pods(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(up(pod="web-0"), *[(T + at, 1.0) for at in range(-200, 0, 20)])
    content.store(x(), (T + 20, 5000), (T + 40, 5003))
    content.store(up(), (T + 20, 1), (T + 40, 1))
    assert totals(await read(served, [T + 50])) == [3]


async def test_windows_and_samples_on_their_borders(served: tuple[Ingestion, Misbehaving]) -> None:
    content, _ = served
    content.store(x(), *[(T + at, float(at)) for at in range(0, 101, 20)])
    ends = [T + 20, T + 40.0004, T + 59.9996, T + 60, T + 99.9996, T + 100]
    assert totals(await read(served, ends, lag=1)) == [20, 20, 20, Absence.NO_SAMPLES, 40, Absence.NO_SAMPLES]


async def test_long_spans_come_in_chunks_and_each_sample_once(served: tuple[Ingestion, Misbehaving]) -> None:
    content, running = served
    content.now = T + 3000
    content.store(x(), *[(T + at, float(at)) for at in range(0, 3001, 20)])
    start, end = round(T * 1000), round(T * 1000) + 1_500_000
    async with PrometheusClient(PrometheusAccess.of(url=running.url)) as client:
        (series,) = await raw_series(client, Selector("x_total"), start, end, float_series)
    assert content.asked == ["x_total[10m]", "x_total[10m]", "x_total[5m]"]
    assert series.times == list(range(start + 20_000, end + 1, 20_000))  # the left border belongs to what was before
    assert len(series.values) == len(series.times)
