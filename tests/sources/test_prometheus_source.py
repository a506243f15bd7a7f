"""Readings of a real Prometheus whose past was written beforehand, so that every number is known."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from analyzer.demo.history import Series
from analyzer.demo.prometheus import Settings
from analyzer.errors import QueryRefused, SourceUnavailable, UsageError
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Buckets, Cursor, Events, History, Level, Missing, Reading, Targets, Window
from analyzer.model.ruleset import (
    Comparison,
    GaugeMetric,
    HistogramMetric,
    Metric,
    Promql,
    RatioMetric,
    RatioSource,
    Unit,
)
from analyzer.sources.prometheus.client import PrometheusAccess
from analyzer.sources.prometheus.past import halves_of
from analyzer.sources.prometheus.source import PrometheusSource
from tests.prometheus.fixtures import Launch
from tests.sources.misbehaving import Misbehaving, http, misbehaving

pytestmark = [pytest.mark.prometheus, pytest.mark.anyio]

BOTH = SideMatchers(canary='version="2"', baseline='version="1"', comparison=Comparison.SIDE_BY_SIDE)
BEFORE = SideMatchers(canary='version="1"', baseline=None, comparison=Comparison.BEFORE_AFTER)
STEP, HOUR = 15.0, 3600.0
PODS = {"a1": "1", "a2": "1", "a3": "1", "b1": "2"}
ERRORS = RatioMetric(ratio=RatioSource(bad='requests_total{code="500"}', total="requests_total"))
UPGRADE = HOUR  # in seconds after the beginning of the past
LAST = HOUR + 300


def target(pod: str, **labels: str) -> dict[str, str]:
    return {"job": "web", "instance": f"{pod}:80", "pod": pod, "version": PODS.get(pod, "1"), **labels}


def every_step(start: float = 0.0, end: float = LAST) -> list[float]:
    return [start + number * STEP for number in range(round((end - start) / STEP) + 1)]


def line(start: float, end: float, rate: float, first: float = 0.0) -> list[tuple[float, float]]:
    """A counter that grows by `rate` per step."""
    return [(at, first + rate * number) for number, at in enumerate(every_step(start, end))]


def past() -> Iterator[tuple[str, dict[str, str], list[tuple[float, float]]]]:
    """Series with their samples, in seconds after the beginning. Every pod of version 1 serves 30 and 2 bad a step."""
    for number, pod in enumerate(("a1", "a2", "a3")):
        yield "requests_total", target(pod, code="200"), line(0, LAST, 28, first=1000)
        yield "requests_total", target(pod, code="500"), line(0, LAST, 2, first=100)
        yield "up", target(pod), [(at, 1.0) for at in every_step()]
        yield "process_start_time_seconds", target(pod), [(at, -5000.0) for at in every_step()]
        yield "memory_bytes", target(pod), [(at, 100.0 * (number + 1)) for at in every_step()]
        for le, share in (("100", 10), ("250.0", 25), ("+Inf", 30)):
            yield "took_milliseconds_bucket", target(pod, le=le), line(0, LAST, share)
    # The canary begins 60 s after the upgrade; its first error comes later, on a target that was scraped before.
    born = UPGRADE + 60
    yield "requests_total", target("b1", code="200"), line(born, LAST, 28, first=7)
    yield "requests_total", target("b1", code="500"), line(born + 120, LAST, 3, first=3)
    yield "up", target("b1"), [(at, 0.0 if at == born + 60 else 1.0) for at in every_step(born)]
    started = [(at, UPGRADE + 50 if at < born + 150 else born + 140) for at in every_step(born)]
    yield "process_start_time_seconds", target("b1"), started
    yield "memory_bytes", target("b1"), [(at, 400.0) for at in every_step(born)]
    # A target that was there long before and is found late: nobody knows when it counted its first sample.
    old = UPGRADE + 120
    yield "old_total", target("b1", instance="old:80"), line(old, LAST, 5, first=5000)
    yield "up", target("b1", instance="old:80"), [(at, 1.0) for at in every_step(old)]
    # Broken ones.
    for name, value in (("nan_total", math.nan), ("infinite_total", math.inf)):
        for pod in ("a1", "b1"):
            yield name, target(pod), [(at, value) for at in every_step(UPGRADE - 300)]
    for pod in ("a1", "b1"):
        yield "half_broken_total", target(pod, n="1"), line(UPGRADE - 300, LAST, 4)
        yield "half_broken_total", target(pod, n="2"), [(at, math.nan) for at in every_step(UPGRADE - 300)]
        yield "over_total", target(pod), line(UPGRADE - 300, LAST, 1)
    yield "vanished_total", target("a1"), line(UPGRADE - 300, UPGRADE + 30, 4)


@dataclass(frozen=True)
class World:
    """A Prometheus with this past; `at` turns seconds after its beginning into Unix seconds."""

    url: str
    beginning: float

    def at(self, seconds: float) -> float:
        return self.beginning + seconds

    def window(self, start: float, end: float) -> Window:
        return Window(start=self.at(start), end=self.at(end))

    def source(self, url: str = "", **settings: float) -> PrometheusSource:
        return PrometheusSource(PrometheusAccess.of(url=url or self.url, **settings))

    async def read(
        self, metric: Metric | None, start: float, end: float, *, step: float = 0.0, sides: SideMatchers = BOTH
    ) -> list[Reading]:
        """One reading, or one for each `step` seconds."""
        readings, cursor = [], None
        async with self.source() as source:
            query = source.query("m", metric, sides)
            for number in range(round((end - start) / (step or end - start))):
                window = self.window(start + number * step, start + (number + 1) * step if step else end)
                reading, cursor = await source.read(query, window, cursor)
                readings.append(reading)
        return readings

    async def history(self, metric: Metric | None, sides: SideMatchers = BOTH, span: float = 2400) -> History:
        async with self.source() as source:
            query = source.query("m", metric, sides)
            return await source.history(query, self.window(UPGRADE - span, UPGRADE), STEP)


@pytest.fixture(scope="module")
async def world(launch_shared_prometheus: Launch) -> World:
    beginning = math.floor(time.time() - LAST - 20) + 0.25
    series = [
        Series(name, labels, [(beginning + at, _absolute(name, value, beginning)) for at, value in samples])
        for name, labels, samples in past()
    ]
    return World((await launch_shared_prometheus(Settings(history=series))).url, beginning)


def _absolute(name: str, value: float, beginning: float) -> float:
    return beginning + value if name == "process_start_time_seconds" else value


def missing(side: object) -> Missing:
    assert isinstance(side, Missing)
    return side


def ratio(bad: str, total: str) -> RatioMetric:
    return RatioMetric(ratio=RatioSource(bad=bad, total=total))


# ---------------------------------------------------------------------- windows


async def test_both_sides_of_a_window(world: World) -> None:
    (reading,) = await world.read(ERRORS, UPGRADE + 195, UPGRADE + 255)
    assert reading.baseline == Events(total=3 * 30 * 4, bad=3 * 2 * 4)
    assert reading.canary == Events(total=(28 + 3) * 4, bad=3 * 4)
    assert (reading.metric, reading.warnings) == ("m", ())


async def test_births_count_from_zero_and_nothing_is_lost(world: World) -> None:
    readings = await world.read(ERRORS, UPGRADE, LAST, step=20)
    of_canary = [reading.canary for reading in readings if isinstance(reading.canary, Events)]
    steps = (LAST - UPGRADE - 60) / STEP
    assert sum(side.bad for side in of_canary) == 3 + 3 * (LAST - UPGRADE - 180) / STEP
    assert sum(side.total - side.bad for side in of_canary) == 7 + 28 * steps
    assert [missing(reading.canary).why for reading in readings[:2]] == [Absence.NO_SERIES] * 2
    of_baseline = [reading.baseline for reading in readings if isinstance(reading.baseline, Events)]
    assert sum(side.total for side in of_baseline) == 3 * 30 * (LAST - UPGRADE) / STEP


async def test_a_target_that_is_found_late_begins_with_a_reference(world: World) -> None:
    readings = await world.read(ratio("old_total", "old_total"), UPGRADE + 100, LAST, step=20)
    first = missing(readings[0].canary)
    assert first.why == Absence.NO_SAMPLES
    assert "counting begins there" in first.detail
    counted = sum(each.canary.total for each in readings if isinstance(each.canary, Events))
    assert counted == 5 * (LAST - UPGRADE - 120) / STEP


async def test_without_a_sample_in_a_window_there_are_no_samples(world: World) -> None:
    readings = await world.read(ERRORS, UPGRADE, UPGRADE + 40, step=5)
    found = [reading.baseline for reading in readings]
    assert sum(isinstance(side, Events) for side in found) == 2
    assert {missing(side).why for side in found if not isinstance(side, Events)} == {Absence.NO_SAMPLES}


async def test_a_series_that_has_vanished(world: World) -> None:
    readings = await world.read(ratio("vanished_total", "vanished_total"), UPGRADE, UPGRADE + 200, step=50)
    assert readings[0].baseline == Events(total=8, bad=8)
    assert missing(readings[3].baseline).why == Absence.NO_SAMPLES


async def test_no_series(world: World) -> None:
    (reading,) = await world.read(ratio("nothing_total", "nothing_total"), UPGRADE, LAST)
    assert missing(reading.canary).why == missing(reading.baseline).why == Absence.NO_SERIES
    assert 'no series matches nothing_total{version="2"}' in missing(reading.canary).detail


@pytest.mark.parametrize(("name", "why"), [("nan_total", Absence.NOT_A_NUMBER), ("infinite_total", Absence.INFINITE)])
async def test_broken_counters_are_told_apart(world: World, name: str, why: Absence) -> None:
    (reading,) = await world.read(ratio(name, name), UPGRADE, LAST)
    assert missing(reading.canary).why == why


async def test_one_broken_series_is_left_out_and_told(world: World) -> None:
    (reading,) = await world.read(ratio("nothing_total", "half_broken_total"), UPGRADE + 60, UPGRADE + 120)
    assert reading.canary == Events(total=16, bad=0)
    assert any("NaN, infinite or negative and left out" in warning for warning in reading.warnings)


async def test_an_excess_of_bad_events_is_carried_and_told(world: World) -> None:
    readings = await world.read(ratio("half_broken_total", "over_total"), UPGRADE + 60, UPGRADE + 120, step=30)
    assert [reading.canary for reading in readings] == [Events(total=2, bad=2)] * 2
    assert "12 more bad events than events in all" in readings[1].warnings[1]


async def test_a_long_window_is_fetched_in_chunks(world: World) -> None:
    (reading,) = await world.read(ERRORS, UPGRADE - 2400, UPGRADE)
    assert reading.baseline == Events(total=3 * 30 * 160, bad=3 * 2 * 160)


async def test_before_after_has_no_baseline_to_read(world: World) -> None:
    (reading,) = await world.read(ERRORS, UPGRADE, UPGRADE + 60, sides=BEFORE)
    assert reading.canary == Events(total=3 * 30 * 4, bad=3 * 2 * 4)
    assert reading.baseline is None


async def test_sides_that_need_a_query_each(world: World) -> None:
    sides = BOTH.model_copy(update={"canary": 'pod=~"b.*"', "baseline": 'pod!~"b.*"'})
    (reading,) = await world.read(ERRORS, UPGRADE + 195, UPGRADE + 255, sides=sides)
    assert reading.baseline == Events(total=3 * 30 * 4, bad=3 * 2 * 4)
    assert reading.canary == Events(total=(28 + 3) * 4, bad=3 * 4)


async def test_classic_buckets_in_base_units(world: World) -> None:
    metric = HistogramMetric(histogram="took_milliseconds", unit=Unit.MILLISECONDS)
    (reading,) = await world.read(metric, UPGRADE, UPGRADE + 60)
    assert reading.baseline == Buckets(bounds=(0.1, 0.25, math.inf), counts=(120, 180, 60))
    assert missing(reading.canary).why == Absence.NO_SERIES


async def test_gauges_of_both_sides(world: World) -> None:
    (reading,) = await world.read(GaugeMetric(gauge="max by (pod) (memory_bytes)"), UPGRADE, UPGRADE + 90)
    assert reading.baseline == Level(mean=200, by={"a1": 100, "a2": 200, "a3": 300})
    assert reading.canary == Level(mean=400, by={"b1": 400})


@pytest.mark.parametrize(
    ("gauge", "why"),
    [
        ("nothing_bytes", Absence.NO_SERIES),
        ("memory_bytes / 0 * 0", Absence.NOT_A_NUMBER),
        ("memory_bytes / 0", Absence.INFINITE),
    ],
)
async def test_gauges_without_numbers(world: World, gauge: str, why: Absence) -> None:
    (reading,) = await world.read(GaugeMetric(gauge=gauge), UPGRADE, UPGRADE + 90)
    assert missing(reading.canary).why == missing(reading.baseline).why == why


async def test_a_gauge_that_was_there_and_is_gone(world: World) -> None:
    readings = await world.read(GaugeMetric(gauge="vanished_total < 100"), UPGRADE, UPGRADE + 1200, step=600)
    assert isinstance(readings[0].baseline, Missing | Level)
    readings = await world.read(GaugeMetric(gauge="vanished_total"), UPGRADE, UPGRADE + 1200, step=200)
    whys = [side.why if isinstance(side := reading.baseline, Missing) else "level" for reading in readings]
    assert whys[0] == "level"
    assert whys[-1] == Absence.NO_SAMPLES


@pytest.mark.parametrize(
    ("promql", "expected"),
    [
        ("sum(increase(requests_total{${selector}}[${window}]))", None),
        ("sum(requests_total{${selector}})", None),
        ("requests_total{${selector}}", Absence.SEVERAL_SERIES),
        ("sum(nothing_total{${selector}})", Absence.NO_SERIES),
        ("sum(requests_total{${selector}}) / 0 * 0", Absence.NOT_A_NUMBER),
        ("-sum(requests_total{${selector}})", Absence.REFUSED),
        ("scalar(sum(requests_total{${selector}}))", None),
    ],
)
async def test_own_queries_give_one_value(world: World, promql: str, expected: Absence | None) -> None:
    own = RatioMetric(ratio=RatioSource(bad="nothing_total", total=Promql(promql=promql)))
    (reading,) = await world.read(own, UPGRADE + 60, UPGRADE + 120)
    if expected is None:
        assert isinstance(reading.baseline, Events)
        assert reading.baseline.total > 0
        assert reading.baseline.bad == 0
    else:
        assert missing(reading.baseline).why == expected


async def test_own_gauges_give_one_value(world: World) -> None:
    metric = GaugeMetric(gauge=Promql(promql="avg(memory_bytes{${selector}})"))
    (reading,) = await world.read(metric, UPGRADE + 60, UPGRADE + 120)
    assert isinstance(reading.baseline, Level)
    assert reading.baseline.mean == 200
    several = GaugeMetric(gauge=Promql(promql="memory_bytes{${selector}}"))
    (reading,) = await world.read(several, UPGRADE + 60, UPGRADE + 120)
    assert missing(reading.baseline).why == Absence.SEVERAL_SERIES


async def test_the_health_of_targets(world: World) -> None:
    readings = await world.read(None, UPGRADE + 90, UPGRADE + 240, step=30)
    assert [reading.canary for reading in readings] == [
        Targets(up=1, down=1, restarts=0),
        Targets(up=2, down=0, restarts=0),
        Targets(up=2, down=0, restarts=0),
        Targets(up=2, down=0, restarts=1),
        Targets(up=2, down=0, restarts=0),
    ]
    assert readings[0].baseline == Targets(up=3, down=0, restarts=0)


async def test_targets_that_no_label_tells_apart(world: World) -> None:
    sides = BOTH.model_copy(update={"canary": 'code="500"', "baseline": 'code="200"'})
    (reading,) = await world.read(None, UPGRADE, UPGRADE + 60, sides=sides)
    assert missing(reading.canary).why == Absence.NO_SERIES
    assert "target labels must tell the sides apart" in missing(reading.canary).detail


async def test_sides_that_are_the_same_are_refused(world: World) -> None:
    async with world.source() as source:
        with pytest.raises(UsageError, match="canary and baseline are both"):
            source.query("m", ERRORS, BOTH.model_copy(update={"canary": 'version="1"'}))


# ---------------------------------------------------------------------- failures


@dataclass
class Between:
    """A server between us and Prometheus that hands everything on, until it is told to do something else."""

    server: Misbehaving
    prometheus: str

    def hand_on(self) -> None:
        def behave(request: object, connection: object) -> None:
            answer = httpx.request(request.method, f"{self.prometheus}{request.target}", trust_env=False)  # type: ignore[attr-defined]
            connection.sendall(http(answer.status_code, answer.content))  # type: ignore[attr-defined]

        self.server.behaviour = behave

    def say(self, answer: bytes) -> None:
        self.server.behaviour = lambda _, connection: connection.sendall(answer)


@pytest.fixture
def between(world: World) -> Iterator[Between]:
    with misbehaving(lambda _request, _connection: None) as server:
        found = Between(server, world.url)
        found.hand_on()
        yield found


PARTIAL = {"status": "success", "data": {"resultType": "matrix", "result": []}, "warnings": ["store x is away"]}
REFUSAL = {"status": "error", "errorType": "bad_data", "error": "no rights to see this"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http(503, "away"), "unreachable"),
        (http(504, ""), "timeout"),
        (http(200, "<html>"), "malformed"),
        (http(200, {"status": "success", "data": {"resultType": "matrix", "result": [{}]}}), "malformed"),
        (http(200, PARTIAL), "partial"),
    ],
)
async def test_what_fails_for_now_is_asked_again_and_nothing_is_lost(
    world: World, between: Between, answer: bytes, kind: str
) -> None:
    async with world.source(between.server.url) as source:
        query = source.query("m", ERRORS, BOTH)
        _, cursor = await source.read(query, world.window(UPGRADE + 60, UPGRADE + 120), None)
        window = world.window(UPGRADE + 120, UPGRADE + 195)
        between.say(answer)
        for failing in (source.read(query, window, cursor), source.history(query, window, STEP), source.lag(query)):
            with pytest.raises(SourceUnavailable) as raised:
                await failing
            assert raised.value.kind == kind
        between.hand_on()
        reading, _ = await source.read(query, window, cursor)
    assert reading.baseline == Events(total=3 * 30 * 5, bad=3 * 2 * 5)


async def test_a_refusal_is_an_absence_and_a_later_answer_counts_everything(world: World, between: Between) -> None:
    async with world.source(between.server.url) as source:
        query = source.query("m", ERRORS, BOTH)
        between.say(http(422, REFUSAL))
        cursor: Cursor | None = None
        for number in range(20):  # for longer than anything is looked back for
            start = UPGRADE - 1140 + 60 * number
            refused, cursor = await source.read(query, world.window(start, start + 60), cursor)
            assert missing(refused.canary).why == missing(refused.baseline).why == Absence.REFUSED
            assert "no rights to see this" in missing(refused.baseline).detail
        for asking in (source.lag(query), source.history(query, world.window(0, UPGRADE), STEP)):
            with pytest.raises(QueryRefused, match="no rights to see this"):
                await asking
        between.hand_on()
        reading, _ = await source.read(query, world.window(UPGRADE + 60, UPGRADE + 120), cursor)
    assert reading.baseline == Events(total=3 * 30 * 84, bad=3 * 2 * 84)


async def test_a_query_that_the_engine_refuses_is_told_with_its_own_words(world: World) -> None:
    metric = GaugeMetric(gauge="memory_bytes * on (job) requests_total")
    (reading,) = await world.read(metric, UPGRADE, UPGRADE + 90)
    assert missing(reading.baseline).why == Absence.REFUSED
    assert "many-to-many matching not allowed" in missing(reading.baseline).detail


# ---------------------------------------------------------------------- the scrape interval


@pytest.mark.parametrize(
    "metric",
    [
        ERRORS,
        GaugeMetric(gauge="max by (pod) (memory_bytes)"),
        GaugeMetric(gauge=Promql(promql="sum(up{${selector}})")),
        None,
    ],
)
async def test_the_lag_is_the_distance_of_samples(world: World, metric: Metric | None) -> None:
    async with world.source() as source:
        assert await source.lag(source.query("m", metric, BOTH)) in {STEP, 5.0}


# ---------------------------------------------------------------------- history


def totals(history: History) -> Mapping[str, float]:
    sides = [side for reading in history.readings for side in (reading.canary, reading.baseline)]
    events = [side for side in sides if isinstance(side, Events)]
    return {"total": sum(side.total for side in events), "bad": sum(side.bad for side in events)}


async def test_the_past_of_a_ratio_in_two_halves(world: World) -> None:
    history = await world.history(ERRORS)
    assert len(history.readings) == 160
    assert history.note == ""
    assert totals(history) == {"total": 3 * 30 * 160, "bad": 3 * 2 * 160}
    first, second = halves_of(["a1", "a2", "a3"])
    assert second is not None
    for reading in history.readings:
        assert reading.canary == Events(total=30 * len(first), bad=2 * len(first))
        assert reading.baseline == Events(total=30 * len(second), bad=2 * len(second))
    assert history.readings[-1].window == world.window(UPGRADE - STEP, UPGRADE)


async def test_the_past_of_before_after_is_that_of_the_canarys_series(world: World) -> None:
    assert totals(await world.history(ERRORS, BEFORE)) == {"total": 3 * 30 * 160, "bad": 3 * 2 * 160}


async def test_one_pod_is_a_half_without_another(world: World) -> None:
    history = await world.history(ERRORS, BOTH.model_copy(update={"baseline": 'pod="a2"'}))
    assert {reading.baseline for reading in history.readings} == {None}
    assert totals(history) == {"total": 30 * 160, "bad": 2 * 160}


async def test_a_past_that_is_shorter_than_asked_for_says_so(world: World) -> None:
    history = await world.history(ERRORS, span=HOUR + 1500)
    assert len(history.readings) == HOUR / STEP
    assert history.note == "the past begins 3600 s before its end: no data is older"
    nothing = await world.history(ratio("nothing_total", "nothing_total"))
    assert nothing.readings == ()
    assert "no series matches nothing_total" in nothing.note
    assert (await world.history(ERRORS, span=10)).note == "the span is shorter than one interval"


async def test_the_past_of_buckets(world: World) -> None:
    metric = HistogramMetric(histogram="took_milliseconds", unit=Unit.MILLISECONDS)
    history = await world.history(metric)
    both = [(reading.canary, reading.baseline) for reading in history.readings]
    assert len(both) == 160
    for first, second in both:
        assert isinstance(first, Buckets)
        assert isinstance(second, Buckets)
        assert first.bounds == second.bounds == (0.1, 0.25, math.inf)
        assert [a + b for a, b in zip(first.counts, second.counts, strict=True)] == [30, 45, 15]


async def test_the_past_of_gauges(world: World) -> None:
    history = await world.history(GaugeMetric(gauge="max by (pod) (memory_bytes)"))
    assert len(history.readings) == 160
    for reading in history.readings:
        assert isinstance(reading.canary, Level)
        assert isinstance(reading.baseline, Level)
        assert {**reading.canary.by, **reading.baseline.by} == {"a1": 100, "a2": 200, "a3": 300}


async def test_the_past_of_own_queries_is_not_told_by_pods(world: World) -> None:
    own = RatioMetric(
        ratio=RatioSource(bad='requests_total{code="500"}', total=Promql(promql="sum(0 * up{${selector}} + 30)"))
    )
    history = await world.history(own)
    assert {(reading.canary, reading.baseline) for reading in history.readings} == {(Events(total=90, bad=6), None)}


async def test_the_health_of_targets_has_no_past(world: World) -> None:
    assert (await world.history(None)).readings == ()


def test_halves_are_stable_and_apart() -> None:
    pods = [f"web-{number}" for number in range(9)]
    first, second = halves_of(pods)
    assert second is not None
    assert (len(first), len(second)) == (5, 4)
    assert first | second == set(pods)
    assert halves_of(reversed(pods)) == (first, second)
    assert halves_of(["web"]) == (frozenset(["web"]), None)
    assert halves_of([]) == (frozenset(), None)
