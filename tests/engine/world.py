"""A world for the engine without sockets or real time: a clock that jumps, a scripted source, a platform in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Observer, Ports
from analyzer.engine.runner import Runner
from analyzer.errors import CanaryError, SourceUnavailable
from analyzer.model.event import EVENT, Event
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Cursor, Events, History, Reading, Side, Window
from analyzer.model.report import Report
from analyzer.model.ruleset import Comparison, Metric, RuleSet
from analyzer.model.target import Confirm, Deployment, Intent, PlatformKind, Receipt, Revision, Target

START = 1_800_000_000.0
TARGET = Target(kind=PlatformKind.HELM, name="web", namespace="prod")

Sides = tuple[Side, Side | None]
Script = Callable[[str, Window], Sides]


def revision(number: int, **more: object) -> Revision:
    return Revision.model_validate({"number": str(number), "status": "deployed", "digest": f"sha256:{number}", **more})


DEPLOYMENT = Deployment(target=TARGET, current=revision(2), wanted=revision(1), history=(revision(1), revision(2)))


def rule_set(rules: list[dict[str, object]] | None = None, **spec: object) -> RuleSet:
    return RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "test"},
            "spec": {
                "schedule": {
                    "warmup": "10s",
                    "interval": "10s",
                    "minimum": "60s",
                    "deadline": "300s",
                    "baseline": "600s",
                },
                "sides": {"canary": 'version="2"', "baseline": 'version="1"'},
                "metrics": {
                    "errors": {"ratio": {"bad": 'requests{code=~"5.."}', "total": "requests"}},
                    "latency": {"histogram": "seconds"},
                    "memory": {"gauge": "memory", "unit": "bytes"},
                },
                "rules": rules or [{"metric": "errors", "critical": True}],
                **spec,
            },
        }
    )


def rates(canary: float, baseline: float = 0.001, *, requests: float = 1000, since: float = 0) -> Script:
    """Counts at these rates of bad events; the canary's rate applies from `since` seconds after the upgrade on."""

    def script(_: str, window: Window) -> Sides:
        share = window.seconds / 10
        total = requests * share
        rate = canary if window.start >= START + since else baseline
        return Events(total=total, bad=round(total * rate)), Events(total=total, bad=round(total * baseline))

    return script


class Clock:
    """Time jumps when all wait: nothing here takes real time."""

    def __init__(self, now: float = START) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.time += seconds


@dataclass
class Source:
    """Answers by a script; `away` says at which times it is away."""

    script: Script
    clock: Clock
    away: Callable[[float], bool] = lambda _: False
    past: Script | None = None
    read_windows: list[Window] = field(default_factory=list)
    read_sides: list[SideMatchers] = field(default_factory=list)

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        kind = {"RatioMetric": "ratio", "HistogramMetric": "histogram", "GaugeMetric": "gauge"}.get(
            type(metric).__name__, "targets"
        )
        unit = {"ratio": "share", "histogram": "seconds", "gauge": "bytes"}.get(kind)
        rendered = {"total/canary": f"{name}[${{window}}]"}
        return Query(metric=name, kind=kind, selectors={}, unit=unit, sides=sides, rendered=rendered)

    def _answer(self) -> None:
        if self.away(self.clock.now()):
            raise SourceUnavailable("Prometheus at http://prometheus cannot be reached: connection refused")

    async def lag(self, query: Query) -> float:  # noqa: ARG002 -- the port's
        self._answer()
        return 1.0

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        self._answer()
        assert cursor is None or cursor.read_to == window.start
        self.read_windows.append(window)
        self.read_sides.append(query.sides)
        canary, baseline = self.script(query.metric, window)
        if query.sides.comparison == Comparison.BEFORE_AFTER and query.sides.past is not None:
            baseline = None
        reading = Reading(metric=query.metric, window=window, canary=canary, baseline=baseline)
        return reading, Cursor(read_to=window.end)

    async def history(self, query: Query, span: Window, interval: float) -> History:
        self._answer()
        if self.past is None:
            return History(metric=query.metric, span=span, readings=(), note="no samples before the upgrade")
        readings = []
        start = span.start
        while start + interval <= span.end:
            window = Window(start=start, end=start + interval)
            first, second = self.past(query.metric, window)
            readings.append(Reading(metric=query.metric, window=window, canary=first, baseline=second))
            start += interval
        return History(metric=query.metric, span=span, readings=tuple(readings))


@dataclass
class Platform:
    """A platform in memory. `looks` are what it says, one after the other; the last one stays."""

    looks: list[Deployment | CanaryError] = field(default_factory=lambda: [DEPLOYMENT])
    receipt: Receipt | CanaryError = field(default_factory=lambda: Receipt(ok=True, detail="rolled back to revision 1"))
    intents: list[Intent] = field(default_factory=list)
    on_act: Callable[[], None] = lambda: None

    async def look(self) -> Deployment:
        answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(answer, CanaryError):
            raise answer
        return answer

    settled: Receipt | CanaryError | None = None

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:  # noqa: ARG002 -- the port's
        if isinstance(self.settled, CanaryError):
            error, self.settled = self.settled, None
            raise error
        return self.settled

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        confirm()
        self.intents.append(intent)
        self.on_act()
        if isinstance(self.receipt, CanaryError):
            raise self.receipt
        return self.receipt


class Record:
    """Keeps events as they would be read back: through JSON."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def append(self, event: Event) -> None:
        self.events.append(EVENT.validate_json(event.model_dump_json()))


class Silent:
    def changed(self, report: Callable[[], Report], event: Event) -> None:  # noqa: ARG002 -- the port's
        report()


@dataclass
class World:
    """One analysis in it, and what came of it."""

    script: Script
    rules: RuleSet = field(default_factory=rule_set)
    deployment: Deployment = DEPLOYMENT
    platform: Platform = field(default_factory=Platform)
    clock: Clock = field(default_factory=Clock)
    away: Callable[[float], bool] = lambda _: False
    past: Script | None = None
    acting: bool = True
    actions_on: bool = True
    record: Record = field(default_factory=Record)
    observer: Observer = field(default_factory=Silent)

    def runner(self) -> Runner:
        self.source = Source(self.script, self.clock, self.away, self.past)
        plan = plan_analysis(
            id="test",
            rule_set=self.rules,
            parameters={},
            deployment=self.deployment,
            source=self.source,
            upgraded_at=START,
            started_at=START,
            acting=self.acting,
        )
        return Runner(plan, Ports(self.source, self.platform, self.record, self.observer, self.clock, self.actions_on))

    def run(self) -> Report:
        return asyncio.run(self.runner().run())
