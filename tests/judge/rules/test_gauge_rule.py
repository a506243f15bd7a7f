"""Rules on levels: against the other side, against the past, against a limit."""

from math import log, log1p, sqrt

import numpy as np
import pytest
from ruling import GONE, history, judged, level, only, plan, reading

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.judge.gauge import learn_gauge
from analyzer.judge.rules.gauge import GaugeRule
from analyzer.model.judgement import Standing
from analyzer.model.reading import Events, History, Level, Side

MIB = 2.0**20
MEMORY: dict[str, object] = {"metric": "memory", "critical": True}
LIMIT: dict[str, object] = {"metric": "memory", "limit": "200MiB"}
BOTH: dict[str, object] = {**MEMORY, "limit": "200MiB", "tolerance": {"relative": "10%"}}
LOWER: dict[str, object] = {**MEMORY, "direction": "lower"}


class Pods:
    """Two pods a side, around 128 MiB each, with 3 % of noise."""

    def __init__(self, seed: int = 3) -> None:
        self.rng = np.random.default_rng(seed)

    def level(self, factor: float = 1) -> Level:
        values = 128 * MIB * factor * np.exp(self.rng.normal(0, 0.03, 2))
        return level(float(values.mean()), *(float(value) for value in values))

    def windows(self, count: int, factor: float = 1) -> list[tuple[Side, Side | None]]:
        return [(self.level(factor), self.level()) for _ in range(count)]

    def past(self, count: int = 160) -> History:
        return history("memory", self.windows(count))


def state_of(assessment: Assessment) -> GaugeRule:
    state = assessment.states[0]
    assert isinstance(state, GaugeRule)
    return state


class TestSentences:
    def test_of_each_standing(self) -> None:
        pods, planned = Pods(), plan(MEMORY)
        past = pods.past()
        assert only(judge.start(planned)).reason == "memory: nothing read yet"
        passed, failed = judged(planned, pods.windows(20), past), judged(planned, pods.windows(40, 3), past)
        assert only(passed).reason == (
            "memory 122 MiB against 132 MiB of the baseline: 0.993 times (between 0.94 and 1), "
            "shown to be better than 1.3 times"
        )
        assert only(failed).reason == (
            "memory 380 MiB against 127 MiB of the baseline: 3 times (between 2.9 and 3.1), tolerated 1.1 times"
        )
        assert (judge.standing(passed), judge.standing(failed)) == (Standing.PASS, Standing.FAIL)

    def test_before_after(self) -> None:
        pods = Pods()
        past = pods.past()
        state = judged(plan(MEMORY, before_after=True), [(c, None) for c, _ in pods.windows(30, 3)], past)
        assert judge.standing(state) == Standing.FAIL
        assert only(state).reason == (
            "memory 389 MiB against 128 MiB before: 2.98 times (between 2.9 and 3.1), tolerated 1.1 times"
        )
        nothing = judged(plan(MEMORY, before_after=True), [(pods.level(), None)])
        assert only(nothing).reason.endswith(", and nothing to compare it with: the previous revision has no history")
        assert judge.standing(nothing) == Standing.NO_DATA

    def test_lower_is_worse(self) -> None:
        pods = Pods()
        past = pods.past()
        failed = judged(plan(LOWER), pods.windows(30, 1 / 3), past)
        assert judge.standing(failed) == Standing.FAIL
        assert ": 0.331 times (between 0.32 and 0.34), tolerated 0.9 times" in only(failed).reason
        assert judge.standing(judged(plan(LOWER), pods.windows(30, 3), past)) == Standing.PASS
        assert judge.standing(judged(plan(LOWER), pods.windows(30), past)) == Standing.PASS

    def test_a_limit_needs_readings_in_a_row(self) -> None:
        pods, planned = Pods(), plan(LIMIT)
        assert only(judged(planned, pods.windows(2, 3))).reason == (
            "memory 380 MiB, limit 200 MiB: 2 of 3 readings in a row above it"
        )
        broken = [*pods.windows(2, 3), *pods.windows(1), *pods.windows(2, 3)]
        assert judge.standing(judged(planned, broken)) == Standing.PENDING
        failed = judged(planned, pods.windows(3, 3))
        assert judge.standing(failed) == Standing.FAIL
        assert judge.reason_to_fail(failed).endswith(", above the limit of 200 MiB in 3 readings in a row")

    def test_why_there_is_nothing_to_compare(self) -> None:
        planned = plan(MEMORY)
        zero = judged(planned, [(level(0), level(5))])
        assert only(zero).reason == (
            "memory 0 B, and nothing to compare it with: a level of zero or below has no ratio: give the rule a limit"
        )
        assert only(judged(planned, [(level(MIB), GONE)])).reason == (
            "memory 1 MiB, and nothing to compare it with: no data of the baseline: "
            'no series match requests{version="1"}'
        )
        assert only(judged(planned, [(GONE, level(1))])).reason.startswith("memory: no data of the canary: ")
        assert only(judged(planned, [(level(float("nan")), level(1))])).reason == (
            "memory: no level of the canary in 1 window"
        )

    def test_without_history_it_is_told_and_never_decides(self) -> None:
        state = judged(plan(MEMORY), Pods().windows(40, 3))
        assert only(state).standing == Standing.PENDING
        assert only(state).reason.endswith("; told only, for the history does not tell the noise")
        assert only(state).evidence.towards_fail == 0

    def test_not_critical_it_is_advisory_and_says_so(self) -> None:
        pods = Pods()
        past = pods.past()
        rules = ({"metric": "memory"}, {"metric": "errors"})
        state = judged(plan(*rules), pods.windows(40, 3), past)
        told = judge.judgements(state, {})[0]
        assert judge.standing(state) != Standing.FAIL
        assert told.advisory
        assert told.reason.endswith("; enough evidence for a fail, but the rule is advisory")


class TestStanding:
    def test_readings_beyond_the_limit_hold_a_pass_back(self) -> None:
        pods = Pods()
        past = pods.past()
        loose = {**BOTH, "tolerance": {"relative": "400%"}}
        state = judged(plan(loose), [*pods.windows(30), *pods.windows(2, 1.7)], past)
        assert state_of(state).log_e_pass is not None
        assert state_of(state).log_e_pass > -log(0.05)
        assert only(state).standing == Standing.PENDING
        assert only(state).reason.endswith(", limit 200 MiB: 2 of 3 readings in a row above it")

    def test_a_failure_by_the_tolerance_is_not_told_as_one_by_the_limit(self) -> None:
        pods = Pods()
        past = pods.past()
        slow = {**BOTH, "consecutive": 30}
        state = judged(plan(slow), pods.windows(20, 3), past)
        assert judge.standing(state) == Standing.FAIL
        assert judge.reason_to_fail(state).endswith(", tolerated 1.1 times")

    def test_a_limit_and_nothing_else_passes_at_the_deadline(self) -> None:
        state = judged(plan(LIMIT), Pods().windows(3))
        assert judge.standing(state) == Standing.PENDING
        assert judge.passes_at_deadline(state)
        assert not judge.passes_at_deadline(judged(plan(LIMIT), Pods().windows(1, 3)))

    def test_a_limit_alone_has_evidence_without_an_e_value(self) -> None:
        """It once asked for the logarithm of its weight in the combined e-value, which is none."""
        evidence = only(judged(plan(LIMIT), Pods().windows(2, 3))).evidence
        assert evidence.towards_fail == pytest.approx(2 / 3)
        assert evidence.limit == 200 * MIB
        assert evidence.ratio is None

    def test_a_vanished_baseline_stops_the_comparison(self) -> None:
        pods = Pods()
        past = pods.past()
        gone: list[tuple[Side, Side | None]] = [(pods.level(30), GONE)] * 20
        state = state_of(judged(plan(MEMORY), [*pods.windows(4), *gone], past))
        assert state.seen is not None
        assert float(state.seen.count) == 4

    @pytest.mark.parametrize("side", [level(float("inf")), level(float("nan")), Events(total=1, bad=0), level(1e300)])
    def test_what_is_no_level_says_nothing(self, side: Side) -> None:
        state = judged(plan(MEMORY), [(side, level(MIB))] * 3)
        assert judge.standing(state) == Standing.NO_DATA


def autoregressive(rng: np.random.Generator, count: int, rho: float = 0.9, sd: float = 0.1) -> np.ndarray:
    values = np.empty(count)
    values[0] = rng.normal(0, sd)
    for index in range(1, count):
        values[index] = rho * values[index - 1] + rng.normal(0, sd * sqrt(1 - rho**2))
    return values


class TestThePast:
    def test_two_halves_are_compared(self) -> None:
        past = Pods().past()
        found = state_of(judge.learn(judge.start(plan(MEMORY)), past)).past
        y = [log(r.canary.mean / r.baseline.mean) for r in past.readings]  # type: ignore[union-attr] # levels
        expected = learn_gauge(y)
        assert found.prior is not None
        assert expected is not None
        assert float(found.prior.long_run) == pytest.approx(float(expected.long_run))

    def test_one_pods_own_swings_are_its_noise(self) -> None:
        """Its odd against its even windows are no two pods: neighbours are alike. Good releases failed 17 % by it."""
        rng = np.random.default_rng(8)
        failed = 0
        for _ in range(60):
            past, canary, baseline = (autoregressive(rng, count) for count in (160, 40, 40))
            one = history("memory", [(level(MIB * np.exp(value)), None) for value in past])
            windows: list[tuple[Side, Side | None]] = [
                (level(MIB * np.exp(c)), level(MIB * np.exp(b))) for c, b in zip(canary, baseline, strict=True)
            ]
            planned = plan(MEMORY, confidence={"falseAlarm": "5%", "missed": "5%"})
            failed += judge.standing(judged(planned, windows, one)) == Standing.FAIL
        assert failed <= 1

    def test_before_after_swings_common_to_all_pods_are_noise(self) -> None:
        """The halves of the history swing together, and the canary is compared with another time."""
        rng = np.random.default_rng(9)
        failed = 0
        for _ in range(60):
            swings = MIB * np.exp(autoregressive(rng, 200, rho=0.95, sd=0.3))
            past = history("memory", [(level(value), level(value * 1.001)) for value in swings[:160]])
            windows: list[tuple[Side, Side | None]] = [(level(value), None) for value in swings[160:]]
            planned = plan(MEMORY, before_after=True, confidence={"falseAlarm": "5%", "missed": "5%"})
            failed += judge.standing(judged(planned, windows, past)) == Standing.FAIL
        assert failed <= 3

    def test_before_after_pays_for_the_level_of_the_history(self) -> None:
        pods = Pods()
        state = state_of(judged(plan(MEMORY, before_after=True), [(pods.level(), None)], pods.past()))
        beside = state_of(judged(plan(MEMORY), pods.windows(1), pods.past()))
        assert state.setting is not None
        assert state.seen is not None
        assert state.log_e == pytest.approx(float(state.seen.log_e_fail) + log1p(-0.2))
        assert state.setting.pods > state.past.pod_term(2, None) > 0
        assert beside.setting is not None
        assert beside.setting.pods == pytest.approx(beside.past.pod_term(2, 2))
        assert beside.seen is not None
        assert beside.log_e == float(beside.seen.log_e_fail)

    def test_a_pod_that_lived_for_a_moment_does_not_hide_the_others(self) -> None:
        long = [(level(3, 1, 2), level(3, 4)) for _ in range(20)]
        long = [(Level(mean=1.5, by={"a": 1.0, "b": 2.0}), Level(mean=4, by={"c": 4.0})) for _ in long]
        blink = Level(mean=3, by={"a": 1.0, "b": 2.0, "d": 100.0})
        past = state_of(judge.learn(judge.start(plan(MEMORY)), history("memory", [*long, (blink, level(1))]))).past
        assert past.pods == (1.0, 2.0, 4.0)

    def test_levels_of_zero_in_the_past_teach_nothing(self) -> None:
        """A queue that is empty at times: neither its noise nor its typical length has a ratio to be judged by."""
        idle, busy = level(0, 0), level(10, 10)
        beside = judged(plan(MEMORY), [(busy, busy)] * 30, history("memory", [(idle, busy)] * 40))
        after = judged(
            plan(MEMORY, before_after=True), [(busy, None)] * 30, history("memory", [(idle, idle), (busy, busy)] * 20)
        )
        for state in (beside, after):
            assert judge.standing(state) == Standing.PENDING
            assert only(state).evidence.towards_fail == 0
            assert "the history does not tell the noise" in only(state).reason


class TestEvidence:
    def test_of_a_failure(self) -> None:
        pods = Pods()
        past = pods.past()
        evidence = only(judged(plan(BOTH), pods.windows(20, 3), past)).evidence
        assert evidence.canary.value == pytest.approx(384 * MIB, rel=0.1)
        assert evidence.baseline is not None
        assert evidence.baseline.value == pytest.approx(128 * MIB, rel=0.1)
        assert evidence.unit == "bytes"
        assert evidence.ratio is not None
        assert evidence.ratio.low < 3 < evidence.ratio.high
        assert (evidence.tolerated, evidence.limit) == ("1.1 times", 200 * MIB)
        assert evidence.towards_fail is not None
        assert evidence.towards_fail > 1
        assert evidence.p_value is not None
        assert evidence.p_value < 0.01


class TestAfterTheAct:
    def test_levels_within_tolerance_and_limit_have_recovered(self) -> None:
        pods = Pods()
        past = pods.past()
        state = judged(plan(BOTH), pods.windows(20, 3), past)
        assert judge.recovered(state, reading("memory", 50, GONE, pods.level())) is True
        assert judge.recovered(state, reading("memory", 50, GONE, pods.level(1.5))) is False
        assert judge.recovered(state, reading("memory", 50, pods.level(3), pods.level())) is False
        assert judge.recovered(state, reading("memory", 50, GONE, GONE)) is None

    def test_where_lower_is_worse_nothing_left_is_the_worst(self) -> None:
        pods = Pods()
        past = pods.past()
        state = judged(plan(LOWER), pods.windows(20, 0.3), past)
        assert judge.recovered(state, reading("memory", 50, GONE, pods.level())) is True
        assert judge.recovered(state, reading("memory", 50, GONE, pods.level(0.5))) is False
        assert judge.recovered(state, reading("memory", 50, GONE, level(0))) is False

    def test_where_nothing_is_known_nothing_is_said(self) -> None:
        assert judge.recovered(judge.start(plan(MEMORY)), reading("memory", 1, level(1))) is None
