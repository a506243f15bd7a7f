"""Windows beside a baseline and windows without one, judged together."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.judge.rules.rolling import RollingRule, together
from analyzer.model.judgement import Standing
from analyzer.model.plan import Plan, Query, SideMatchers
from analyzer.model.reading import Events, History, Missing, Reading, Window
from analyzer.model.ruleset import Comparison, RuleSet
from analyzer.model.target import Deployment, PlatformKind, Revision, Target

INTERVAL, REQUESTS = 15.0, 750
SIDES = SideMatchers(canary='pod=~"a"', baseline='pod=~"b"', comparison=Comparison.ROLLING, past='pod=~"b"')


def plan(rule: dict[str, Any] | None = None) -> Plan:
    rules = {
        "apiVersion": "canary-analyzer.io/v1alpha1",
        "kind": "RuleSet",
        "metadata": {"name": "rolling"},
        "spec": {
            "sides": {"label": "pod"},
            "metrics": {"errors": {"ratio": {"bad": "bad", "total": "total"}}},
            "rules": [rule or {"metric": "errors", "critical": True}],
        },
    }
    target = Target(kind=PlatformKind.HELM, name="web")
    return Plan(
        id="1",
        rule_set=RuleSet.model_validate(rules),
        deployment=Deployment(target=target, current=Revision(number="2"), wanted=Revision(number="1")),
        queries=(Query(metric="errors", kind="ratio", selectors={}, unit="share", sides=SIDES),),
        upgraded_at=0.0,
        started_at=0.0,
        acting=True,
    )


def events(random: Generator, rate: float, requests: int = REQUESTS) -> Events:
    return Events(total=requests, bad=float(random.binomial(requests, rate)))


def history(random: Generator, rate: float, intervals: int = 160) -> History:
    readings = tuple(
        Reading(
            metric="errors",
            window=Window(start=(i - intervals) * INTERVAL, end=(i - intervals + 1) * INTERVAL),
            canary=events(random, rate, REQUESTS // 2),
            baseline=events(random, rate, REQUESTS // 2),
        )
        for i in range(intervals)
    )
    return History(metric="errors", span=Window(start=-intervals * INTERVAL, end=0), readings=readings)


def judged(
    random: Generator,
    rates: Callable[[int], float],
    *,
    beside: int,
    windows: int = 40,
    past: float | None = 0.002,
    rule: dict[str, Any] | None = None,
) -> tuple[Assessment, int]:
    """The assessment at the first verdict, or after all windows, and how many it took."""
    state = judge.start(plan(rule))
    if past is not None:
        state = judge.learn(state, history(random, past))
    for number in range(windows):
        window = Window(start=number * INTERVAL, end=(number + 1) * INTERVAL)
        baseline = events(random, past or 0.002) if number < beside else None
        reading = Reading(metric="errors", window=window, canary=events(random, rates(number)), baseline=baseline)
        state = judge.advance(state, reading)
        if judge.standing(state) in {Standing.FAIL, Standing.PASS}:
            return state, number + 1
    return state, windows


def of(state: Assessment) -> RollingRule:
    (rule,) = state.states
    assert isinstance(rule, RollingRule)
    return rule


@pytest.mark.parametrize("beside", [0, 2, 4, 40])
def test_a_bad_release_fails_whenever_the_roll_out_ends(beside: int) -> None:
    state, windows = judged(np.random.default_rng(1), lambda _: 0.02, beside=beside)
    assert judge.standing(state) == Standing.FAIL
    assert windows <= 6
    assert "errors" in judge.reason_to_fail(state)


@pytest.mark.parametrize("beside", [0, 4, 40])
def test_a_good_release_passes(beside: int) -> None:
    state, _ = judged(np.random.default_rng(2), lambda _: 0.0005, beside=beside)
    assert judge.standing(state) == Standing.PASS


def test_windows_are_heard_by_one_way_of_comparing_each() -> None:
    state, windows = judged(np.random.default_rng(3), lambda _: 0.002, beside=3, windows=8)
    rule = of(state)
    assert rule.heard == (3, 5)
    assert rule.beside.evidence(Standing.PENDING).windows == 3
    assert rule.alone.evidence(Standing.PENDING).windows == 5
    assert rule.evidence(Standing.PENDING).windows == windows == 8


def test_without_a_history_the_windows_beside_each_other_decide() -> None:
    state, _ = judged(np.random.default_rng(4), lambda _: 0.05, beside=40, past=None)
    assert judge.standing(state) == Standing.FAIL
    assert "of the baseline" in judge.reason_to_fail(state)


def test_a_baseline_that_never_failed_does_not_hide_a_bad_release() -> None:
    state, windows = judged(np.random.default_rng(9), lambda _: 0.02, beside=0, past=0.0)
    assert judge.standing(state) == Standing.FAIL
    assert windows <= 6
    assert "at least 1.1 times as many" in judge.reason_to_fail(state)


def test_neither_history_nor_baseline_is_no_data() -> None:
    state, _ = judged(np.random.default_rng(5), lambda _: 0.05, beside=0, past=None)
    assert judge.standing(state) == Standing.NO_DATA


@pytest.mark.parametrize(
    ("why", "heard"), [("no-samples", (0, 1)), ("no-series", (0, 1)), ("nan", (1, 0)), ("refused", (1, 0))]
)
def test_a_window_without_a_sample_of_the_baseline_is_the_canarys_alone(why: str, heard: tuple[int, int]) -> None:
    state = judge.learn(judge.start(plan()), history(np.random.default_rng(6), 0.002))
    gone = Missing(why=why, detail="none")
    reading = Reading(metric="errors", window=Window(start=0, end=15), canary=Events(total=750, bad=1), baseline=gone)
    assert of(judge.advance(state, reading)).heard == heard


def test_a_limit_counts_in_either_way() -> None:
    rule = {"metric": "errors", "critical": True, "limit": "5%", "tolerance": {"relative": "5000%", "absolute": "90%"}}
    for beside in (0, 40):
        state, _ = judged(np.random.default_rng(7), lambda _: 0.2, beside=beside, rule=rule)
        assert judge.standing(state) == Standing.FAIL
        assert "limit" in judge.reason_to_fail(state)


@pytest.mark.parametrize("beside", [3, 12])
def test_a_good_release_fails_no_more_often_than_stated(beside: int) -> None:
    """At the edge of what is tolerated, 1 % is the most; 400 runs of a true 1 % have more than 10 once in 1,000."""
    random = np.random.default_rng(8)
    rate = 0.01
    edge = 1.1 * rate + 0.0005
    failed = 0
    for _ in range(400):
        state, _ = judged(random, lambda _: edge, beside=beside, past=rate, windows=30)
        failed += judge.standing(state) == Standing.FAIL
    assert failed <= 10


def test_together_is_the_mean_of_both_and_their_product() -> None:
    assert np.exp(together(np.log(2.0), np.log(4.0))) == pytest.approx((2 + 4 + 8) / 3)
