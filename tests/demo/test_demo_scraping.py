"""All together: a fleet under load, and a Prometheus that sees exactly what was served."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from analyzer.demo.asking import Answer
from analyzer.demo.behaviour import ERRORS, GOOD
from analyzer.demo.fleet import Fleet
from analyzer.demo.load import Load
from analyzer.demo.metrics import DURATION, REQUESTS
from analyzer.demo.prometheus import Job, Prometheus, Settings
from analyzer.demo.tally import BOUNDARIES
from tests.demo.patience import until
from tests.prometheus.fixtures import Launch

pytestmark = pytest.mark.anyio

INTERVAL = 0.5


@dataclass(frozen=True)
class Scene:
    """A fleet, and two that scrape it: one that knows native histograms, and one that does not.

    `before` are the native histograms' counts from before the first request.
    """

    fleet: Fleet
    classic: Prometheus
    native: Prometheus
    before: list[Answer] = field(default_factory=list)

    async def serve(self, requests: int) -> None:
        """Send so many requests, and wait until all of them have been scraped."""
        async with Load(self.fleet.endpoints, rate=300) as load:
            await until(lambda: load.total().sent >= requests)
        await self.scraped()

    async def scraped(self) -> None:
        addresses = [pod.instance.address for pod in self.fleet.pods]
        for prometheus in (self.classic, self.native):
            await prometheus.ask.scraped(addresses)


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, launch_shared_prometheus: Launch) -> AsyncIterator[Scene]:
    async with Fleet(tmp_path_factory.mktemp("fleet"), native_schema=3) as fleet:
        await fleet.deploy("1", GOOD)
        await fleet.deploy("2", ERRORS)
        jobs = [Job("web", fleet.targets)]
        classic = await launch_shared_prometheus(Settings(jobs, scrape_interval=INTERVAL))
        native = await launch_shared_prometheus(Settings(jobs, scrape_interval=INTERVAL, native_histograms=True))
        scene = Scene(fleet, classic, native)
        await scene.scraped()
        scene.before.extend(await native.ask.query(f"histogram_count({DURATION})"))
        yield scene


async def value(prometheus: Prometheus, expression: str) -> float:
    [answer] = await prometheus.ask.query(expression)
    return answer.value


async def test_native_histograms_are_known_before_the_first_request(scene: Scene) -> None:
    assert [answer.value for answer in scene.before] == [0, 0, 0, 0]


async def test_native_histograms_tell_what_was_served(scene: Scene) -> None:
    await scene.serve(300)
    for pod in scene.fleet.pods:
        tally, native = pod.instance.tally, pod.instance.metrics.native
        assert native is not None
        own = f'{{pod="{pod.name}"}}'
        assert await value(scene.native, f"histogram_count({DURATION}{own})") == native.count == tally.total > 0
        assert await value(scene.native, f"histogram_sum({DURATION}{own})") == pytest.approx(tally.seconds)
        for index in native.buckets:  # up to its upper bound, each bucket counts as ours
            below = sum(count for other, count in native.buckets.items() if other <= index)
            fraction = f"histogram_fraction(0, {native.upper_bound(index)!r}, {DURATION}{own})"
            assert await value(scene.native, fraction) * native.count == pytest.approx(below)
        for code, count in tally.by_code().items():  # counters come in the same protobuf
            assert await value(scene.native, f'{REQUESTS}{{pod="{pod.name}",code="{code}"}}') == count
    assert await scene.native.ask.query(f"{DURATION}_bucket") == []  # the native form replaces the classic one
    assert await scene.classic.ask.query(f"{{__name__='{DURATION}'}}") == []  # who does not ask does not get it


async def test_deaths_refusals_and_pods_that_go_are_seen(scene: Scene) -> None:
    await scene.serve(40)
    fleet, prometheus = scene.fleet, scene.classic
    dead, mute, alive = fleet.pods[0], fleet.pods[1], fleet.pods[2]
    await dead.instance.die()
    mute.instance.scrapeable = False
    for pod in (dead, mute):
        await prometheus.ask.until(f'up{{pod="{pod.name}"}} == 0', bool)
        assert await prometheus.ask.query(f'process_start_time_seconds{{pod="{pod.name}"}}') == []  # stale
    assert await value(prometheus, f'up{{pod="{alive.name}"}}') == 1
    await dead.instance.rise()
    mute.instance.scrapeable = True
    await scene.scraped()
    assert await value(prometheus, f'{DURATION}_count{{pod="{dead.name}"}}') == 0  # from zero again
    assert await value(prometheus, f'resets({DURATION}_count{{pod="{dead.name}"}}[1m])') == 1
    assert await value(prometheus, f'{DURATION}_count{{pod="{mute.name}"}}') == mute.instance.tally.total
    await fleet.take_back()
    await prometheus.ask.until('up{version="2"}', lambda answer: not answer)
    assert len(await prometheus.ask.query('up{version="1"}')) == 2


# The last one: Prometheus takes five seconds to learn its targets when it is launched again.
async def test_what_was_served_is_on_the_disk_of_a_prometheus_that_was_killed(scene: Scene) -> None:
    await scene.serve(300)
    served = {pod.name: pod.instance.tally for pod in scene.fleet.pods}
    await scene.classic.kill()
    await scene.classic.launch()
    for pod, tally in served.items():
        assert tally.total > 0
        for code, count in tally.by_code().items():
            assert await value(scene.classic, f'{REQUESTS}{{pod="{pod}",code="{code}"}}') == count
        for boundary, count in zip([*BOUNDARIES, "+Inf"], tally.cumulative(), strict=True):
            assert await value(scene.classic, f'{DURATION}_bucket{{pod="{pod}",le="{boundary}"}}') == count
