"""The counts are the truth: on a real Prometheus, with everything that makes counting hard, at three scrape intervals.

One Prometheus scrapes five jobs at once, so that all of it takes less than a minute.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from analyzer.demo.prometheus import Job as ScrapeJob
from analyzer.demo.prometheus import Prometheus, Settings
from analyzer.errors import SourceUnavailable
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Buckets, Cursor, Events, Missing, Reading, Targets, Window
from analyzer.model.ruleset import Comparison, HistogramMetric, Metric, RatioMetric, RatioSource
from analyzer.sources.prometheus.client import PrometheusAccess
from analyzer.sources.prometheus.source import PrometheusSource
from tests.prometheus.fixtures import Launch
from tests.sources.incidents import Job, Raw, by_window, increases, raw

pytestmark = [pytest.mark.prometheus, pytest.mark.anyio]

SIDES = SideMatchers(canary='version="2"', baseline='version="1"', comparison=Comparison.SIDE_BY_SIDE)
VERSIONS = {"canary": "2", "baseline": "1"}
WINDOW = 3.7  # seconds: no multiple of any scrape interval
SERVING = 30.0  # seconds
INTERVALS = {"fast": 1.0, "medium": 2.0, "slow": 5.0}
HARD, STEADY, NATIVE = tuple(INTERVALS), "steady", "native"


def metric_of(kind: str, job: str) -> Metric | None:
    if kind == "ratio":
        total = f'http_requests_total{{job="{job}"}}'
        return RatioMetric(ratio=RatioSource(bad=f'{total[:-1]},code=~"5.."}}', total=total))
    return HistogramMetric(histogram=f'http_request_duration_seconds{{job="{job}"}}')


@dataclass
class Reader:
    """Reads window after window as the engine does, and tries again while the server is away."""

    source: PrometheusSource
    query: Query
    windows: list[Window] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    lag: float = 0.0
    tries_in_vain: int = 0

    async def run(self, start: float, until: "asyncio.Future[float]") -> None:
        self.lag = await self.source.lag(self.query)
        cursor: Cursor | None = None
        end = start
        while not until.done() or end < until.result():
            window = Window(start=end, end=end + WINDOW)
            await asyncio.sleep(max(0.0, window.end + self.lag - time.time()))
            reading, cursor = await self._read(window, cursor)
            self.windows.append(window)
            self.readings.append(reading)
            end = window.end

    async def _read(self, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        while True:
            try:
                reading, after = await self.source.read(self.query, window, cursor)
            except SourceUnavailable:
                self.tries_in_vain += 1
                await asyncio.sleep(0.2)
            else:
                # As after a crash: the cursor goes through the record.
                return reading, Cursor.model_validate_json(after.model_dump_json())


@dataclass
class Outcome:
    """What was read, and what the server and the pods know."""

    url: str
    start: float
    jobs: dict[str, Job]
    readers: dict[tuple[str, str], Reader]
    warm: dict[str, int]

    def events(self, job: str, side: str) -> list[Events | None]:
        sides = [getattr(reading, side) for reading in self.readers["ratio", job].readings]
        assert all(isinstance(each, Events | Missing) for each in sides)
        return [each if isinstance(each, Events) else None for each in sides]

    def buckets(self, job: str, side: str) -> list[Buckets | None]:
        sides = [getattr(reading, side) for reading in self.readers["histogram", job].readings]
        assert all(isinstance(each, Buckets | Missing) for each in sides)
        return [each if isinstance(each, Buckets) else None for each in sides]

    async def raw(self, name: str, job: str) -> list[Raw]:
        return await raw(self.url, f'{name}{{job="{job}"}}')

    async def seen_first(self, job: str) -> dict[str, float]:
        """When each pod was first seen, of those that were not born under our eyes."""
        firsts: dict[str, float] = {}
        for one in await self.raw("up", job):
            pod = one.labels["pod"]
            good = [at for at, value in one.samples if value == 1]
            firsts[pod] = min([*good, firsts.get(pod, math.inf)])
        return {pod: at for pod, at in firsts.items() if not pod.endswith("-born")}


@pytest.fixture(scope="module")
async def outcome(launch_shared_prometheus: Launch, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("targets")
    jobs = {name: Job(name, interval, folder) for name, interval in INTERVALS.items()}
    jobs |= {STEADY: Job(STEADY, 2.0, folder), NATIVE: Job(NATIVE, 2.0, folder, native_schema=3)}
    async with stopping(jobs.values()):
        for name in HARD:
            await prepare_hard(jobs[name])
        for name in (STEADY, NATIVE):
            await prepare_steady(jobs[name])
        scrapes = [ScrapeJob(job.name, job.file, job.interval) for job in jobs.values()]
        prometheus = await launch_shared_prometheus(Settings(scrapes, native_histograms=True))
        addresses = [address for job in jobs.values() for address in job.addresses()]
        await prometheus.ask.scraped(addresses, deadline=20)
        twice = 'min(count_over_time(up{job!="slow"}[1m]))'  # from then on their intervals can be observed
        await prometheus.ask.until(twice, lambda answer: bool(answer) and answer[0].value > 1)
        async with PrometheusSource(PrometheusAccess.of(url=prometheus.url, timeout=5.0)) as source:
            return await run_incidents(prometheus, source, jobs)


@asynccontextmanager
async def stopping(jobs: Iterable[Job]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for job in jobs:
            await job.stop()


async def prepare_hard(job: Job) -> None:
    for name, version in (("calm", "1"), ("reset", "2"), ("gone", "1"), ("missed", "2"), ("lost", "1"), ("old", "2")):
        await job.start(name, version, rate=40, warm=400)
    job.tell("calm", "reset", "gone", "missed", "lost")


async def prepare_steady(job: Job) -> None:
    for number in (1, 2):
        await job.start(f"one{number}", "1", rate=220, warm=50)
        await job.start(f"two{number}", "2", rate=220, warm=50)
    job.tell(*job.pods)


async def run_incidents(prometheus: Prometheus, source: PrometheusSource, jobs: dict[str, Job]) -> Outcome:
    start, over = time.time(), asyncio.get_running_loop().create_future()
    readers = {
        (kind, job): Reader(source, source.query(f"{kind} of {job}", metric_of(kind, job), SIDES))
        for job in jobs
        for kind in ("ratio", "histogram")
    }
    sides = SideMatchers(
        canary='job="fast",version="2"', baseline='job="fast",version="1"', comparison=SIDES.comparison
    )
    readers["targets", "fast"] = Reader(source, source.query("health:targets", None, sides))
    warm = {pod.name: pod.instance.tally.total for job in jobs.values() for pod in job.pods.values()}
    async with asyncio.TaskGroup() as tasks:
        for reader in readers.values():
            tasks.create_task(reader.run(start, over))
        serving = [tasks.create_task(pod.serve(7)) for job in jobs.values() for pod in job.pods.values()]
        incidents = [tasks.create_task(live_through(jobs[name], serving, tasks)) for name in HARD]
        await asyncio.sleep(22)
        await prometheus.kill()
        await asyncio.sleep(2.5)
        await prometheus.launch()
        await asyncio.wait(incidents)
        await asyncio.sleep(max(0.0, start + SERVING - time.time()))
        for task in serving:
            task.cancel()
        await prometheus.ask.scraped([address for job in jobs.values() for address in job.addresses()], deadline=20)
        over.set_result(time.time())
    return Outcome(prometheus.url, start, jobs, readers, warm)


async def live_through(job: Job, serving: list[asyncio.Task[None]], tasks: asyncio.TaskGroup) -> None:
    """A reset, a birth, an old pod that is found late, a missed scrape, a lost target that is found, and a death."""
    await asyncio.sleep(6)
    await job.pods["reset"].instance.die()
    await asyncio.sleep(0.3)
    await job.pods["reset"].instance.rise()
    await asyncio.sleep(2)
    born = await job.start("born", "2", rate=40)
    serving.append(tasks.create_task(born.serve(7)))
    job.tell("calm", "reset", "gone", "missed", "born", "old")
    await asyncio.sleep(5)
    job.pods["missed"].instance.scrapeable = False
    await asyncio.sleep(1.2 * job.interval)
    job.pods["missed"].instance.scrapeable = True
    job.tell("calm", "reset", "missed", "born", "old")
    await job.pods["gone"].instance.die()
    await asyncio.sleep(8)
    job.tell("calm", "reset", "missed", "born", "old", "lost")


# ---------------------------------------------------------------------- the incidents have happened


@pytest.mark.parametrize("job", HARD)
async def test_all_of_it_has_happened(outcome: Outcome, job: str) -> None:
    series = {
        one.labels["pod"]: one.samples
        for one in await outcome.raw("http_requests_total", job)
        if one.labels["code"] == "200"
    }
    ups = {one.labels["pod"]: one.samples for one in await outcome.raw("up", job)}
    end = outcome.readers["ratio", job].windows[-1].end
    values = [value for _, value in series[f"{job}-reset"]]
    assert values != sorted(values)
    assert series[f"{job}-born"][0][0] > outcome.start
    assert series[f"{job}-old"][0][0] > outcome.start
    assert series[f"{job}-old"][0][1] > 300
    assert 0 in [value for _, value in ups[f"{job}-missed"]]
    assert series[f"{job}-gone"][-1][0] < end - 10
    lost = [at for at, _ in series[f"{job}-lost"]]
    assert max(later - earlier for earlier, later in pairwise(lost)) > 1.5 * INTERVALS[job]
    assert any(reader.tries_in_vain for reader in outcome.readers.values())


@pytest.mark.parametrize("job", [*HARD, STEADY])
def test_the_lag_is_the_scrape_interval(outcome: Outcome, job: str) -> None:
    """Of the slow job also where only one sample is there yet: the lag of what is not known is the same."""
    interval = INTERVALS.get(job, 2.0)
    assert outcome.readers["ratio", job].lag == pytest.approx(interval, rel=0.1)
    assert outcome.readers["histogram", job].lag == pytest.approx(interval, rel=0.1)


# ---------------------------------------------------------------------- counts


@pytest.mark.parametrize("job", [*HARD, STEADY, NATIVE])
@pytest.mark.parametrize("side", ["canary", "baseline"])
async def test_counts_are_the_differences_of_the_raw_samples(outcome: Outcome, job: str, side: str) -> None:
    windows = outcome.readers["ratio", job].windows
    found = increases(await outcome.raw("http_requests_total", job), outcome.start, await outcome.seen_first(job))
    truth = by_window(found, windows, "code")
    version = VERSIONS[side]
    for number, events in enumerate(outcome.events(job, side)):
        bad, good = truth[number, version, "500"], truth[number, version, "200"]
        assert (events.bad if events else 0.0) == pytest.approx(bad, abs=1e-9)
        assert (events.total if events else 0.0) == pytest.approx(bad + good, abs=1e-9)
    assert sum(events.bad for events in outcome.events(job, side) if events) > 50


@pytest.mark.parametrize("job", [*HARD, STEADY])
@pytest.mark.parametrize("side", ["canary", "baseline"])
async def test_classic_buckets_are_the_differences_of_the_raw_samples(outcome: Outcome, job: str, side: str) -> None:
    windows = outcome.readers["histogram", job].windows
    series = await outcome.raw("http_request_duration_seconds_bucket", job)
    found = increases(series, outcome.start, await outcome.seen_first(job))
    truth = by_window(found, windows, "le")
    for number, buckets in enumerate(outcome.buckets(job, side)):
        cumulative = 0.0
        for bound, count in zip(buckets.bounds, buckets.counts, strict=True) if buckets else ():
            cumulative += count
            expected = sum(
                amount for (at, version, le), amount in truth.items()
                if (at, version) == (number, VERSIONS[side]) and float(le) == bound
            )  # fmt: skip
            assert cumulative == pytest.approx(expected, abs=1e-9)
        in_all = sum(truth[number, VERSIONS[side], le] for le in ("+Inf",))
        assert (buckets.total if buckets else 0.0) == pytest.approx(in_all, abs=1e-9)


@pytest.mark.parametrize("side", ["canary", "baseline"])
async def test_native_buckets_are_the_differences_of_the_raw_samples(outcome: Outcome, side: str) -> None:
    windows = outcome.readers["histogram", NATIVE].windows
    series = await outcome.raw("http_request_duration_seconds", NATIVE)
    found = increases(series, outcome.start, await outcome.seen_first(NATIVE))
    flat = [
        (Raw({**one.labels, "upper": upper}, []), at, count)
        for one, at, buckets in found
        for upper, count in buckets.items()
    ]
    truth = {key: count for key, count in by_window(flat, windows, "upper").items() if count}
    read = {
        (number, VERSIONS[side], f"{bound:.12g}"): count
        for number, buckets in enumerate(outcome.buckets(NATIVE, side))
        if buckets
        for bound, count in zip(buckets.bounds, buckets.counts, strict=True)
        if count
    }
    expected = {
        (number, version, f"{float(upper):.12g}"): count
        for (number, version, upper), count in truth.items()
        if version == VERSIONS[side]
    }
    assert len(expected) > 20
    assert read == pytest.approx(expected, abs=1e-9)
    assert {buckets.scale for buckets in outcome.buckets(NATIVE, side) if buckets} == {3}


@pytest.mark.parametrize("job", [STEADY, NATIVE])
@pytest.mark.parametrize("side", ["canary", "baseline"])
def test_counts_are_what_the_service_has_counted(outcome: Outcome, job: str, side: str) -> None:
    pods = [pod for pod in outcome.jobs[job].pods.values() if pod.version == VERSIONS[side]]
    served = sum(pod.instance.tally.total - outcome.warm[pod.name] for pod in pods)
    assert served >= 10_000
    counted = sum(events.total for events in outcome.events(job, side) if events)
    assert counted == pytest.approx(served, rel=1e-3)
    observed = sum(buckets.total for buckets in outcome.buckets(job, side) if buckets)
    assert observed == pytest.approx(served, rel=1e-3)


@pytest.mark.parametrize("job", HARD)
def test_a_pod_that_is_born_counts_from_zero(outcome: Outcome, job: str) -> None:
    """By exclusion: of the canary's pods only the one found late has requests that nobody can know of."""
    pods = outcome.jobs[job].pods
    counted = sum(events.total for events in outcome.events(job, "canary") if events)
    born, missed = pods["born"].instance.tally.total, pods["missed"].instance.tally.total - 400
    assert born > 200
    assert counted > born + missed


def test_the_health_of_targets(outcome: Outcome) -> None:
    readings = outcome.readers["targets", "fast"].readings
    canary = [reading.canary for reading in readings]
    baseline = [reading.baseline for reading in readings]
    assert all(isinstance(side, Targets) for side in (*canary, *baseline))
    assert sum(side.restarts for side in canary if isinstance(side, Targets)) == 1
    assert sum(side.restarts for side in baseline if isinstance(side, Targets)) == 0
    assert canary[-1] == Targets(up=4, down=0, restarts=0)
    assert baseline[-1] == Targets(up=2, down=0, restarts=0)
