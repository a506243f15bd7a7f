"""Whole rule sets judged without an engine: a plan, readings in a row, and what the rules say of them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.judgement import Judgement
from analyzer.model.plan import Plan, Query, SideMatchers
from analyzer.model.reading import Absence, Buckets, Events, History, Level, Missing, Reading, Side, Window
from analyzer.model.ruleset import Comparison, HealthRule, RuleSet
from analyzer.model.target import Deployment, PlatformKind, Revision, Target

START = 1_800_000_000.0
INTERVAL = 15.0
KINDS = {"errors": "ratio", "ready": "ratio", "latency": "histogram", "sizes": "histogram", "memory": "gauge"}
UNITS = {"ratio": "share", "histogram": "seconds", "gauge": "bytes", "targets": None}
GONE = Missing(why=Absence.NO_SERIES, detail='no series match requests{version="1"}')


def rule_set(*rules: dict[str, object], **spec: object) -> RuleSet:
    return RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "test"},
            "spec": {
                "sides": {"canary": 'version="2"', "baseline": 'version="1"'},
                "metrics": {
                    "errors": {"ratio": {"bad": 'requests{code=~"5.."}', "total": "requests"}},
                    "ready": {"ratio": {"bad": "ready", "total": "asked"}},
                    "latency": {"histogram": "seconds"},
                    "sizes": {"histogram": "bytes", "unit": "bytes"},
                    "memory": {"gauge": "memory", "unit": "bytes"},
                },
                "rules": list(rules),
                **spec,
            },
        }
    )


def plan(*rules: dict[str, object], before_after: bool = False, factor: float = 1.0, **spec: object) -> Plan:
    """A plan without a source; `factor` is that of the histograms."""
    wanted = rule_set(*rules, **spec)
    comparison = Comparison.BEFORE_AFTER if before_after else Comparison.SIDE_BY_SIDE
    sides = SideMatchers(canary='version="2"', baseline='version="1"', comparison=comparison)
    named = [f"health:{rule.health}" if isinstance(rule, HealthRule) else rule.metric for rule in wanted.spec.rules]
    queries = []
    for metric in dict.fromkeys(named):
        kind = KINDS.get(metric, "targets")
        queries.append(
            Query(
                metric=metric,
                kind=kind,
                selectors={},
                unit="bytes" if metric == "sizes" else UNITS[kind],
                factor=factor if kind == "histogram" else 1.0,
                sides=sides,
            )
        )
    revision = Revision.model_validate({"number": "2", "status": "deployed", "digest": "sha256:2"})
    target = Target(kind=PlatformKind.HELM, name="web", namespace="prod")
    return Plan(
        id="test",
        rule_set=wanted,
        deployment=Deployment(target=target, current=revision, wanted=None, history=(revision,)),
        queries=tuple(queries),
        upgraded_at=START,
        started_at=START,
        acting=False,
    )


def reading(metric: str, index: int, canary: Side, baseline: Side | None = None, seconds: float = INTERVAL) -> Reading:
    window = Window(start=START + index * seconds, end=START + (index + 1) * seconds)
    return Reading(metric=metric, window=window, canary=canary, baseline=baseline)


def history(metric: str, pairs: Iterable[tuple[Side, Side | None]]) -> History:
    """The newest pair ends at the upgrade."""
    sides = list(pairs)
    readings = tuple(
        reading(metric, index - len(sides), canary, baseline) for index, (canary, baseline) in enumerate(sides)
    )
    return History(metric=metric, span=Window(start=START - len(sides) * INTERVAL, end=START), readings=readings)


def judged(
    planned: Plan, windows: Sequence[tuple[Side, Side | None]], past: History | None = None, metric: str = ""
) -> Assessment:
    """The assessment after these windows of one metric (the first of the plan's)."""
    name = metric or planned.queries[0].metric
    state = judge.start(planned)
    if past is not None:
        state = judge.learn(state, past)
    for index, (canary, baseline) in enumerate(windows):
        state = judge.advance(state, reading(name, index, canary, baseline))
    return state


def only(state: Assessment) -> Judgement:
    (judgement,) = judge.judgements(state, {})
    return judgement


def events(bad: float, total: float) -> Events:
    return Events(total=total, bad=bad)


def classic(bounds: Sequence[float], values: Sequence[float]) -> Buckets:
    """A classic histogram of these values; the infinite bound is added."""
    edges = np.array([-np.inf, *bounds, np.inf])
    counts = [float(np.sum((values > low) & (values <= high))) for low, high in pairwise(edges)]
    return Buckets(bounds=(*bounds, float("inf")), counts=tuple(counts))


def native(values: Sequence[float], scale: int = 3) -> Buckets:
    """A native histogram of these values."""
    places, counts = np.unique(np.ceil(np.log2(np.asarray(values)) * 2.0**scale), return_counts=True)
    bounds = tuple(float(2.0 ** (place / 2.0**scale)) for place in places)
    return Buckets(bounds=(*bounds, float("inf")), counts=(*(float(n) for n in counts), 0.0), scale=scale)


def level(mean: float, *pods: float) -> Level:
    return Level(mean=mean, by={f"pod-{index}": value for index, value in enumerate(pods)})
