"""What the product costs around the judge: one event of an analysis, one report, and how fast `canary --help` answers.

`python -m bench engine`. Each figure is the median (for the command: the best) of several, against a limit.
"""

import subprocess
import sys
from statistics import median
from time import perf_counter

import numpy as np

from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.decision import decide
from analyzer.engine.summary import report
from analyzer.model.event import Event, HistoryRead, Planned, WindowRead
from analyzer.model.plan import Plan, Query, SideMatchers
from analyzer.model.reading import Buckets, Events, History, Reading, Window
from analyzer.model.ruleset import Comparison, RuleSet
from analyzer.model.target import Deployment, PlatformKind, Revision, Target

HELP_LIMIT = 0.3
"""Seconds."""
EVENT_LIMIT = 3.0
"""Milliseconds for one window of one metric: folding it, and asking for a verdict."""
REPORT_LIMIT = 50.0
"""Milliseconds."""
START, INTERVAL, WINDOWS, PAST = 1.8e9, 15.0, 40, 160
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))


def run(_: list[str]) -> bool:
    """Print the costs; whether each is within its limit."""
    events = list(_events())
    analysis = begin(events[0])  # type: ignore[arg-type] # the first is the plan
    folding = []
    for event in events[1:]:
        began = perf_counter()
        analysis = advance(analysis, event)
        decide(analysis, event.at)
        if isinstance(event, WindowRead):
            folding.append(1000 * (perf_counter() - began))
    rows = [
        ("one window of one metric, folded and decided on", median(folding), EVENT_LIMIT, "ms"),
        ("one report", 1000 * _reporting(analysis), REPORT_LIMIT, "ms"),
        ("canary --help, the best of seven", _help(), HELP_LIMIT, "s"),
    ]
    print("\nCost of the product around the judge")
    for name, value, limit, unit in rows:
        print(f"  {name:<50} {value:8.3f} {unit:<2}  limit {limit:g} {unit}  {'ok' if value <= limit else 'FAILED'}")
    return all(value <= limit for _, value, limit, _ in rows)


def _reporting(analysis: Analysis) -> float:
    times = []
    for _ in range(9):
        began = perf_counter()
        report(analysis)
        times.append(perf_counter() - began)
    return median(times)


def _help() -> float:
    times = []
    for _ in range(7):
        began = perf_counter()
        subprocess.run([sys.executable, "-m", "analyzer.cli", "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(perf_counter() - began)
    return min(times)


def _plan() -> Plan:
    rules = RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "bench"},
            "spec": {
                "sides": {"canary": 'v="2"', "baseline": 'v="1"'},
                "metrics": {
                    "errors": {"ratio": {"bad": "bad", "total": "total"}},
                    "latency": {"histogram": "seconds"},
                },
                "rules": [
                    {"metric": "errors", "critical": True, "limit": "50%"},
                    {"metric": "latency", "quantile": 0.99, "limit": "10s"},
                ],
            },
        }
    )
    sides = SideMatchers(canary='v="2"', baseline='v="1"', comparison=Comparison.SIDE_BY_SIDE)
    target = Target(kind=PlatformKind.COMMAND, name="bench")
    return Plan(
        id="bench",
        rule_set=rules,
        deployment=Deployment(target=target, current=Revision(number="2"), wanted=Revision(number="1")),
        queries=(
            Query(metric="errors", kind="ratio", selectors={}, unit="share", sides=sides),
            Query(metric="latency", kind="histogram", selectors={}, unit="seconds", sides=sides),
        ),
        upgraded_at=START,
        started_at=START,
        acting=False,
    )


def _events() -> "list[Event]":
    random = np.random.default_rng(1)

    def reading(metric: str, index: int) -> Reading:
        window = Window(start=START + index * INTERVAL, end=START + (index + 1) * INTERVAL)
        if metric == "errors":
            canary, baseline = (Events(total=1500, bad=float(random.binomial(1500, 0.05))) for _ in range(2))
            return Reading(metric=metric, window=window, canary=canary, baseline=baseline)
        times = (0.08 * np.exp(0.6 * random.standard_normal(1500)) for _ in range(2))
        first, second = (np.bincount(np.searchsorted(BOUNDS, each), minlength=len(BOUNDS)) for each in times)
        return Reading(
            metric=metric,
            window=window,
            canary=Buckets(bounds=BOUNDS, counts=tuple(first.astype(float))),
            baseline=Buckets(bounds=BOUNDS, counts=tuple(second.astype(float))),
        )

    events: list[Event] = [Planned(at=START, plan=_plan())]
    for metric in ("errors", "latency"):
        past = tuple(reading(metric, index) for index in range(-PAST, 0))
        span = Window(start=START - PAST * INTERVAL, end=START)
        events.append(HistoryRead(at=START, history=History(metric=metric, span=span, readings=past)))
    for index in range(WINDOWS):
        events += [
            WindowRead(at=START + (index + 1) * INTERVAL, reading=reading(m, index)) for m in ("errors", "latency")
        ]
    return events
