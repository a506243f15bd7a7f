"""The promises of judge.md §0 for whole rule sets, through the rules as the engine feeds them: fixed seeds, few runs.

The judge's own tables (`make bench`) have thousands of runs; here it is the layer on top that could spend α twice, feed
a side into the other, or learn from what it judges.
"""

from collections.abc import Callable

import numpy as np
import pytest
from ruling import INTERVAL, classic, history, level, plan, reading
from scipy.stats import binom

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.judgement import Standing
from analyzer.model.reading import Events, Side

ALPHA = 0.05
BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5]
METRICS = ("errors", "latency", "memory")
RULES: list[dict[str, object]] = [
    {"metric": "errors", "tolerance": {"relative": "10%"}, "limit": "30%", "critical": True},
    {"metric": "latency", "critical": True},
    {"metric": "memory", "critical": True},
]


class Service:
    """Traffic with outages and swings, slow requests and memory; `common` is what both sides share in a window."""

    def __init__(self, seed: int, *, swings: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.swings = swings
        self.draw()

    def draw(self) -> None:
        """What the next window has in common."""
        self.common = float(np.exp(self.rng.normal(0, self.swings)))

    def side(self, metric: str, worse: float, requests: float = 300) -> Side:
        rng = self.rng
        match metric:
            case "errors":
                total = int(rng.poisson(requests))
                return Events(total=total, bad=int(rng.binomial(total, min(0.9, 0.01 * self.common * worse))))
            case "latency":
                slow = 0.08 * self.common**0.3 * worse
                return classic(BOUNDS, rng.lognormal(np.log(slow), 0.6, int(rng.poisson(requests))))
        return level(100.0 * worse * float(np.exp(rng.normal(0, 0.05))))


def run(
    service: Service, *, before_after: bool, worse: float, windows: int, until: Callable[[Assessment], bool]
) -> Assessment:
    """One analysis with 60 windows of history, `worse` times as bad as the baseline in every way."""
    sure = {"falseAlarm": f"{ALPHA:.0%}", "missed": "5%"}
    state = judge.start(plan(*RULES, before_after=before_after, confidence=sure, schedule={"deadline": "10m"}))
    for metric in METRICS:
        past = []
        for _ in range(60):
            service.draw()
            past.append((service.side(metric, 1, 150), service.side(metric, 1, 150)))
        state = judge.learn(state, history(metric, past))
    for index in range(windows):
        service.draw()
        for metric in METRICS:
            baseline = None if before_after else service.side(metric, 1)
            state = judge.advance(state, reading(metric, index, service.side(metric, worse), baseline))
        if until(state):
            break
    return state


@pytest.mark.parametrize(("before_after", "swings"), [(False, 0.8), (True, 0.05)], ids=["side by side", "before-after"])
class TestAWholeRuleSet:
    def test_good_releases_fail_no_more_often_than_promised(self, before_after: bool, swings: float) -> None:
        runs = 60
        failed = 0
        for seed in range(runs):
            service = Service(seed, swings=swings)
            state = run(service, before_after=before_after, worse=1, windows=24, until=lambda state: bool(state.failed))
            failed += judge.standing(state) == Standing.FAIL
        assert failed <= binom.ppf(0.999, runs, ALPHA)

    def test_a_regression_is_found_soon(self, before_after: bool, swings: float) -> None:
        for seed in range(100, 112):
            service = Service(seed, swings=swings)
            state = run(service, before_after=before_after, worse=5, windows=8, until=lambda state: bool(state.failed))
            assert judge.standing(state) == Standing.FAIL

    def test_a_release_beyond_its_margin_does_not_pass(self, before_after: bool, swings: float) -> None:
        runs = 25
        passed = 0
        for seed in range(200, 200 + runs):
            service = Service(seed, swings=swings)
            state = run(
                service,
                before_after=before_after,
                worse=1.6,
                windows=12,
                until=lambda state: judge.standing(state) in {Standing.PASS, Standing.FAIL},
            )
            passed += judge.standing(state) == Standing.PASS
        assert passed <= binom.ppf(0.999, runs, 0.05)


def test_good_releases_pass() -> None:
    """Else nothing above would mean anything."""
    for seed in range(300, 306):
        service = Service(seed, swings=0.3)
        state = run(
            service,
            before_after=False,
            worse=0.5,
            windows=40,
            until=lambda state: judge.standing(state) == Standing.PASS,
        )
        assert judge.standing(state) == Standing.PASS


def test_a_common_outage_while_a_side_is_not_read_is_no_regression() -> None:
    """Windows of ten requests are gathered; the outage falls into one that the baseline is missing from."""
    rng = np.random.default_rng(7)
    failed = 0
    for _ in range(60):
        state = judge.start(plan({"metric": "errors"}, confidence={"falseAlarm": "5%", "missed": "5%"}))
        for index in range(40):
            outage = index % 4 == 1
            rate = 0.8 if outage else 0.02
            canary, baseline = (Events(total=10, bad=int(bad)) for bad in rng.binomial(10, rate, 2))
            told = None if outage else baseline
            state = judge.advance(state, reading("errors", index, canary, told, seconds=INTERVAL))
        failed += judge.standing(state) == Standing.FAIL
    assert failed <= binom.ppf(0.999, 60, ALPHA)
