"""A real Prometheus answers the queries of every shipped rule set over series of the shape that its source exposes."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from series_shapes import BASELINE, CANARY, EVERY, SCRAPES, SHAPES, Shape, resources, series_of, targets

from analyzer.composition.rules import finish_rules
from analyzer.demo.prometheus import Settings
from analyzer.engine.planning import tell_sides
from analyzer.model.document import read_rule_file
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Buckets, Events, Level, Reading, Targets, Window
from analyzer.model.ruleset import Metric, RuleSet
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.source import PrometheusSource
from tests.prometheus.fixtures import Launch

pytestmark = pytest.mark.anyio

RULES = Path(__file__).parents[2] / "rules"
START = float(int(time.time())) - EVERY * SCRAPES - 60
WINDOW = Window(start=START + 7 * EVERY - 1, end=START + 15 * EVERY - 1)
"""Eight scrapes, none at its edge."""


@pytest.fixture(scope="module")
async def source(launch_shared_prometheus: Launch) -> AsyncIterator[PrometheusSource]:
    series = [one for shape in SHAPES for one in series_of(shape, START)]
    history = [*series, *resources(START), *targets(START)]
    prometheus = await launch_shared_prometheus(Settings(history=history))
    async with PrometheusSource(PrometheusAccess(url=prometheus.url)) as connected:
        yield connected


def rules_and_sides(name: str, overrides: dict[str, str], label: str) -> tuple[RuleSet, SideMatchers]:
    rules = finish_rules(read_rule_file(RULES / f"{name}.yaml"), overrides)
    deployment = Deployment(
        target=Target(kind=PlatformKind.HELM, name="web"),
        current=Revision(number="2"),
        labels={label: ("web-2-x", "web-1-y")} if label else {},
    )
    wanted = rules.spec.sides.model_copy(update={"namespace_label": ""})  # these series have none
    return rules, tell_sides(wanted, deployment, 0.0)


async def read(source: PrometheusSource, name: str, metric: Metric | None, sides: SideMatchers) -> Reading:
    reading, _ = await source.read(source.query(name, metric, sides), WINDOW, None)
    return reading


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.rules}-{shape.requests or shape.duration}")
async def test_errors_and_latency_are_counted(source: PrometheusSource, shape: Shape) -> None:
    rules, sides = rules_and_sides(shape.rules, shape.overrides, shape.label)
    errors = await read(source, "errors", rules.spec.metrics["errors"], sides)
    assert errors.canary == Events(total=8 * sum(CANARY.values()), bad=8 * CANARY["bad"])
    assert errors.baseline == Events(total=8 * sum(BASELINE.values()), bad=8 * BASELINE["bad"])

    latency = await read(source, "latency", rules.spec.metrics["latency"], sides)
    parts = 1 if shape.requests and len(shape.timed) == 1 else 2  # series, each with one slow event a scrape
    times = len(shape.timed) if shape.requests else 1
    to_seconds = 1e-3 if shape.bounds[0] >= 1 else 1.0
    for side, events in ((latency.canary, CANARY), (latency.baseline, BASELINE)):
        assert isinstance(side, Buckets)
        assert side.bounds == pytest.approx([*(bound * to_seconds for bound in shape.bounds), float("inf")])
        assert side.total == 8 * times * sum(events.values())
        assert side.counts[0] == 8 * (times * sum(events.values()) - parts)
        assert side.counts[3] == 8 * parts


async def test_resources(source: PrometheusSource) -> None:
    rules, sides = rules_and_sides("resources", {"matchers": 'namespace="shop"'}, "pod")
    memory = await read(source, "memory", rules.spec.metrics["memory"], sides)
    assert memory.canary == Level(mean=2 * 2.0 * 2**20, by={"web-2-x": 4.0 * 2**20})
    assert memory.baseline == Level(mean=2.0 * 2**20, by={"web-1-y": 2.0 * 2**20})

    cpu = await read(source, "cpu", rules.spec.metrics["cpu"], sides)
    assert isinstance(cpu.canary, Level)
    assert isinstance(cpu.baseline, Level)
    assert cpu.canary.mean == pytest.approx(2 * 6 / EVERY)
    assert cpu.baseline.mean == pytest.approx(2 * 3 / EVERY)

    throttled = await read(source, "throttled", rules.spec.metrics["throttled"], sides)
    assert throttled.canary == Events(total=8 * 2 * 150, bad=8 * 2 * 2)
    assert throttled.baseline == Events(total=8 * 2 * 150, bad=8 * 2 * 1)


async def test_the_health_of_targets(source: PrometheusSource) -> None:
    _, sides = rules_and_sides("http", {}, "pod")
    health = await read(source, "health:targets", None, sides)
    assert health.canary == Targets(up=1, down=1, restarts=0)
    assert health.baseline == Targets(up=1, down=0, restarts=0)
