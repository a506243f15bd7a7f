"""Endpoints read directly, on real sockets: counted as exactly, and a broken one hurts nobody else."""

import math
import socket
import time
from collections.abc import AsyncIterator

import pytest

from analyzer.demo.behaviour import Behaviour
from analyzer.demo.instance import Instance
from analyzer.errors import SourceUnavailable, UsageError
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Buckets, Cursor, Events, Level, Missing, Reading, Targets, Window
from analyzer.model.ruleset import Comparison, GaugeMetric, HistogramMetric, Metric, Promql, RatioMetric, RatioSource
from analyzer.sources import endpoint
from analyzer.sources.scrape import ScrapeSource
from tests.sources.misbehaving import Behaviour as Misbehaviour
from tests.sources.misbehaving import Request, http, misbehaving, says

pytestmark = pytest.mark.anyio

SIDES = SideMatchers(canary="", baseline="", comparison=Comparison.SIDE_BY_SIDE)
ERRORS = RatioMetric(ratio=RatioSource(bad='http_requests_total{code=~"5.."}', total="http_requests_total"))
LATENCY = HistogramMetric(histogram="http_request_duration_seconds")


class Reader:
    """Reads a metric again and again, each window up to now."""

    def __init__(self, source: ScrapeSource, metric: Metric | None, sides: SideMatchers = SIDES) -> None:
        self.source, self.query = source, source.query("m", metric, sides)
        self.read_to = time.time()
        self.cursor: Cursor | None = None

    async def read(self) -> Reading:
        window = Window(start=self.read_to, end=time.time())
        reading, self.cursor = await self.source.read(self.query, window, self.cursor)
        self.read_to = window.end
        return reading


def serve(instance: Instance, good: int, bad: int = 0, seconds: float = 0.02) -> None:
    for code, count in ((200, good), (500, bad)):
        for _ in range(count):
            instance.metrics.count(code, "GET", seconds)


@pytest.fixture
async def instances() -> AsyncIterator[list[Instance]]:
    found = [Instance(Behaviour()) for _ in range(3)]
    for each in found:
        await each.start()
    yield found
    for each in found:
        await each.stop()


async def test_counts_from_the_scrape_that_the_lag_makes(instances: list[Instance]) -> None:
    old, other, new = instances
    for each in instances:
        serve(each, 100, 5)
    async with ScrapeSource([new.url], [old.url, other.url]) as source:
        reader = Reader(source, ERRORS)
        assert await source.lag(reader.query) == 0
        serve(old, 30, 1)
        serve(other, 20)
        serve(new, 10, 4)
        reading = await reader.read()
        assert (reading.canary, reading.baseline) == (Events(total=14, bad=4), Events(total=51, bad=1))
        serve(new, 3)
        reading = await reader.read()
        assert (reading.canary, reading.baseline) == (Events(total=3, bad=0), Events(total=0, bad=0))


async def test_a_restart_is_a_reset_and_counts_from_zero(instances: list[Instance]) -> None:
    old, _, new = instances
    serve(old, 1)
    serve(new, 100)
    async with ScrapeSource([new.url], [old.url]) as source:
        reader, health = Reader(source, ERRORS), Reader(source, None)
        await source.lag(reader.query)
        await reader.read()
        await health.read()
        await new.die()
        reading = await reader.read()
        assert isinstance(reading.canary, Missing)
        assert reading.canary.why == Absence.NO_SAMPLES
        assert f"no endpoint can be read: {new.url}/metrics: " in reading.canary.detail
        assert isinstance(reading.baseline, Events)
        assert (await health.read()).canary == Targets(up=0, down=1, restarts=0)
        await new.rise()
        serve(new, 7, 2)
        assert (await reader.read()).canary == Events(total=9, bad=2)
        assert (await health.read()).canary == Targets(up=1, down=0, restarts=0)  # within a second: the same process


async def test_an_endpoint_that_appears_later_counts_from_the_start_of_its_process(instances: list[Instance]) -> None:
    old, _, new = instances
    await new.die()
    async with ScrapeSource([new.url], [old.url]) as source:
        reader = Reader(source, ERRORS)
        await reader.read()
        await new.rise()
        serve(new, 11)
        assert (await reader.read()).canary == Events(total=11, bad=0)


async def test_after_a_crash_of_ours_the_cursor_goes_on(instances: list[Instance]) -> None:
    old, _, new = instances
    async with ScrapeSource([new.url], [old.url]) as source:
        reader = Reader(source, ERRORS)
        await reader.read()
        serve(new, 5)
        await reader.read()
        cursor = reader.cursor
    serve(new, 6, 1)  # its first error: the endpoint was read before without it
    async with ScrapeSource([new.url], [old.url]) as source:
        again = Reader(source, ERRORS)
        again.cursor = Cursor.model_validate_json(cursor.model_dump_json()) if cursor else None
        assert (await again.read()).canary == Events(total=7, bad=1)


async def test_buckets_and_gauges(instances: list[Instance]) -> None:
    old, _, new = instances
    async with ScrapeSource([new.url], [old.url]) as source:
        latency = Reader(source, LATENCY)
        await source.lag(latency.query)
        serve(new, 4, seconds=0.02)
        serve(new, 2, seconds=0.3)
        serve(new, 1, seconds=99)
        reading = await latency.read()
        assert isinstance(reading.canary, Buckets)
        populated = {
            bound: count for bound, count in zip(reading.canary.bounds, reading.canary.counts, strict=True) if count
        }
        assert populated == {0.025: 4, 0.5: 2, math.inf: 1}
        memory = await Reader(source, GaugeMetric(gauge="process_resident_memory_bytes")).read()
        assert isinstance(memory.canary, Level)
        assert memory.canary.mean > 1e6
        assert list(memory.canary.by) == [f"{new.url}/metrics"]
        nothing = await Reader(source, GaugeMetric(gauge="nothing_bytes")).read()
        assert isinstance(nothing.canary, Missing)
        assert nothing.canary.why == Absence.NO_SERIES


async def test_several_metrics_share_a_scrape(instances: list[Instance]) -> None:
    old, _, new = instances
    async with ScrapeSource([new.url], [old.url]) as source:
        readers = [Reader(source, ERRORS), Reader(source, LATENCY)]
        window = Window(start=time.time() - 1, end=time.time())
        for reader in readers:
            await source.read(reader.query, window, None)
        assert {len(scrapes) for scrapes in source._scrapes.values()} == {1}


# ---------------------------------------------------------------------- broken endpoints


def endless(_: Request, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
    while True:
        connection.sendall(b"# nothing\n" * 10_000)


@pytest.mark.parametrize(
    ("behaviour", "trouble"),
    [
        (says(http(500, "broken")), "it answers 500"),
        (says(http(302, "", Location="http://elsewhere.invalid/")), "it answers 302"),
        (says(http(200, "<html>Hello</html>")), "its exposition cannot be read"),
        (says(http(200, b"\xff\xfe\x00")), "its exposition cannot be read"),
        (says(http(200, 'x{a="b')), "its exposition cannot be read"),
        (says(http(200, "x 1\n", Content_Type="application/openmetrics-text")), "its exposition cannot be read"),
        (says(http(200, "")), "there are no metrics in it"),
        (says(http(200, "x 1\n")[:-2]), "x/metrics: "),
        (says(b"nonsense"), "x/metrics: "),
        (lambda _, connection: connection.close(), "x/metrics: "),
        (endless, "larger than"),
    ],
)
async def test_a_broken_endpoint_hurts_no_other(
    instances: list[Instance], behaviour: Misbehaviour, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "LARGEST", 2**20)
    old, _, new = instances
    with misbehaving(behaviour) as broken:
        async with ScrapeSource([new.url, f"{broken.url}/x/metrics"], [old.url]) as source:
            reader, health = Reader(source, ERRORS), Reader(source, None)
            await source.lag(reader.query)
            serve(new, 5)
            reading = await reader.read()
            assert reading.canary == Events(total=5, bad=0)
            assert any("not read: " in warning and trouble in warning for warning in reading.warnings)
            assert (await health.read()).canary == Targets(up=1, down=1, restarts=0)


async def test_a_slow_endpoint_is_given_up(instances: list[Instance]) -> None:
    with misbehaving(says(b"")) as slow:

        def hang(_request: Request, _connection: socket.socket) -> None:
            slow.over.wait(30)

        slow.behaviour = hang
        async with ScrapeSource([instances[0].url, slow.url], timeout=0.2) as source:
            reading = await Reader(source, ERRORS).read()
    assert any("no whole answer within 0.2 s" in warning for warning in reading.warnings)


async def test_when_no_endpoint_can_be_read_it_is_tried_again_later(instances: list[Instance]) -> None:
    await instances[0].die()
    async with ScrapeSource([instances[0].url]) as source:
        reader = Reader(source, ERRORS)
        with pytest.raises(SourceUnavailable, match="no endpoint can be read"):
            await source.lag(reader.query)


# ---------------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (GaugeMetric(gauge="max by (pod) (x)"), "a gauge that is read from endpoints is named by its selector alone"),
        (GaugeMetric(gauge=Promql(promql="x{${selector}}")), "needs a Prometheus"),
        (RatioMetric(ratio=RatioSource(bad="rate(x[1m])", total="y")), "name the series itself: x"),
        (RatioMetric(ratio=RatioSource(bad=r'x{a=~"\\pL+"}', total="y")), "cannot be used here"),
    ],
)
async def test_what_needs_promql_is_refused(metric: Metric, sentence: str) -> None:
    async with ScrapeSource(["http://127.0.0.1:1"]) as source:
        with pytest.raises(UsageError, match=sentence):
            source.query("m", metric, SIDES)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "", "http://[::1"])
async def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="is no address of an endpoint"):
        ScrapeSource([url])


async def test_without_an_endpoint_of_the_canary_there_is_nothing_to_do() -> None:
    with pytest.raises(UsageError, match="no endpoint of the canary"):
        ScrapeSource([], ["http://127.0.0.1:1"])


async def test_a_path_is_added_where_there_is_none() -> None:
    async with ScrapeSource(["http://127.0.0.1:1", "http://127.0.0.1:1/own"]) as source:
        rendered = source.query("m", ERRORS, SIDES).rendered["total/canary"]
    assert rendered == "http_requests_total at http://127.0.0.1:1/metrics, http://127.0.0.1:1/own"


async def test_there_is_no_history(instances: list[Instance]) -> None:
    async with ScrapeSource([instances[0].url]) as source:
        query = source.query("m", ERRORS, SIDES)
        history = await source.history(query, Window(start=0, end=100), 15)
    assert history.readings == ()
    assert "have no history" in history.note


async def test_before_after_reads_the_canary_alone(instances: list[Instance]) -> None:
    sides = SIDES.model_copy(update={"comparison": Comparison.BEFORE_AFTER})
    async with ScrapeSource([instances[0].url], [instances[1].url]) as source:
        reader = Reader(source, ERRORS, sides)
        await source.lag(reader.query)
        serve(instances[0], 3)
        reading = await reader.read()
    assert (reading.canary, reading.baseline) == (Events(total=3, bad=0), None)
