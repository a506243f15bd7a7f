"""Rules on quantiles: classic and native buckets, in any unit, with and without a history, against limits."""

from math import exp, log

import numpy as np
import pytest
from ruling import GONE, classic, history, judged, native, only, plan, reading

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.judge.before_after import fail_limit
from analyzer.judge.null import Null
from analyzer.judge.rules.histogram import HistogramRule
from analyzer.judge.rules.latency_past import LatencyPast
from analyzer.model.judgement import Standing
from analyzer.model.reading import Buckets, History, Side

BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
LATENCY: dict[str, object] = {"metric": "latency"}
LIMIT: dict[str, object] = {"metric": "latency", "limit": "400ms"}
BOTH: dict[str, object] = {"metric": "latency", "limit": "400ms", "tolerance": {"relative": "5%"}}
INF = float("inf")


class Service:
    """Log-normal latencies with a median of 80 ms, slowed down by a factor."""

    def __init__(self, seed: int = 3, bounds: list[float] | None = None, scale: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.bounds, self.scale = bounds or BOUNDS, scale

    def window(self, slower: float = 1, requests: int = 500) -> Buckets:
        values = self.rng.lognormal(np.log(0.08 * slower), 0.6, requests)
        return classic(self.bounds, values) if self.scale is None else native(values, self.scale)

    def windows(self, count: int, slower: float = 1, requests: int = 500) -> list[tuple[Side, Side | None]]:
        return [(self.window(slower, requests), self.window(1, requests)) for _ in range(count)]

    def past(self, count: int = 160) -> History:
        return history("latency", self.windows(count, requests=250))


def state_of(assessment: Assessment) -> HistogramRule:
    (state,) = assessment.states
    assert isinstance(state, HistogramRule)
    return state


def alone(windows: list[tuple[Side, Side | None]]) -> list[tuple[Side, Side | None]]:
    return [(canary, None) for canary, _ in windows]


@pytest.mark.parametrize("scale", [None, 3, 5], ids=["classic", "native", "finer native"])
@pytest.mark.parametrize("before_after", [False, True])
class TestVerdicts:
    def test_a_good_release_passes(self, scale: int | None, before_after: bool) -> None:
        service = Service(scale=scale)
        past = service.past()
        state = judged(plan(LATENCY, before_after=before_after), service.windows(40), past)
        assert judge.standing(state) == Standing.PASS

    def test_a_slower_one_fails(self, scale: int | None, before_after: bool) -> None:
        service = Service(scale=scale)
        past = service.past()
        state = judged(plan(LATENCY, before_after=before_after), service.windows(12, slower=2), past)
        assert judge.standing(state) == Standing.FAIL
        assert judge.culprits(state) == (("latency-p99", "latency"),)


class TestSentences:
    def test_of_each_standing(self) -> None:
        service = Service()
        past = service.past()
        planned = plan(LATENCY)
        assert only(judge.start(planned)).reason == "latency: nothing read yet"
        assert only(judged(planned, service.windows(2), past)).reason == (
            "latency p99 413 ms against 431 ms of the baseline: 2.7 % of requests slower than 250 ms against 3.1 %; "
            "tolerated 1.05 times as slow; 0 % of the way to a fail, 89 % to a pass"
        )
        assert only(judged(planned, service.windows(40), past)).reason == (
            "latency p99 417 ms against 416 ms of the baseline: shown to be less than 1.3 times as slow"
        )
        assert only(judged(planned, service.windows(10, slower=2), past)).reason == (
            "latency p99 864 ms against 430 ms of the baseline: 78.7 % of requests slower than 100 ms against 35.4 %, "
            "at least 1.95 times as many; tolerated 1.05 times as slow"
        )

    def test_before_after(self) -> None:
        service = Service()
        past, windows = service.past(), alone(service.windows(10, slower=2))
        planned = plan(LATENCY, before_after=True)
        assert only(judged(planned, windows, past)).reason == (
            "latency p99 819 ms against 417 ms before: 22.7 % of requests slower than 250 ms against 2.79 %; "
            "tolerated 1.05 times as slow"
        )
        nothing = judged(planned, windows)
        assert judge.standing(nothing) == Standing.NO_DATA
        assert only(nothing).reason == (
            "latency p99 819 ms, and nothing to compare it with: the previous revision has no history"
        )

    def test_a_missing_baseline_is_told_with_its_reason(self) -> None:
        state = judged(plan(LATENCY), [(Service().window(), GONE)] * 30)
        assert judge.standing(state) == Standing.NO_DATA
        assert only(state).reason == (
            "latency p99 429 ms, and nothing to compare it with: no data of the baseline: "
            'no series match requests{version="1"}'
        )

    def test_a_limit(self) -> None:
        service = Service()
        assert only(judged(plan(LIMIT), service.windows(30, slower=2))).reason == (
            "latency p99 828 ms, above the limit of 400 ms: 414 of 15000 requests slower than 500 ms, 1 % allowed"
        )
        assert only(judged(plan({**LIMIT, "limit": "2s"}), service.windows(30))).reason == (
            "latency p99 410 ms, shown to be within the limit of 2 s: "
            "0 of 15000 requests slower than 2.5 s, 1 % allowed"
        )

    def test_a_limit_beyond_all_boundaries_is_told_not_to_be_judged(self) -> None:
        service = Service()
        past = service.past()
        far = {**BOTH, "limit": "30s"}
        why = "the limit is not judged, for the histogram has no bucket boundary at 30 s or above"
        assert only(judged(plan({**LIMIT, "limit": "30s"}), service.windows(3))).standing == Standing.NO_DATA
        assert only(judged(plan(far), service.windows(40), past)).reason.endswith(
            f"shown to be less than 1.3 times as slow; {why}"
        )
        assert only(judged(plan(far), service.windows(20, slower=2))).reason.endswith(why)  # compared nevertheless
        assert judge.standing(judged(plan(far), service.windows(20, slower=2))) == Standing.FAIL

    def test_a_quantile_beyond_all_boundaries_is_not_told_as_the_last_of_them(self) -> None:
        service = Service()
        past = service.past()
        told = only(judged(plan(LATENCY), service.windows(3, slower=2000), past)).reason
        assert told.startswith("latency p99 more than 10 s against ")

    def test_without_any_boundary_the_quantile_is_unknown(self) -> None:
        """Not 0 s, as interpolation would have it."""
        window = classic([], np.ones(30))
        state = judged(plan(LATENCY), [(window, window)] * 3, Service().past())
        assert judge.standing(state) == Standing.NO_DATA
        assert only(state).reason == (
            "latency p99 unknown against unknown of the baseline: "
            "nothing to compare them by: canary and baseline have no bucket boundary in common"
        )

    def test_sizes_are_large_and_not_slow(self) -> None:
        rng = np.random.default_rng(5)

        def window(larger: float = 1) -> Buckets:
            return classic([2.0**power for power in range(8, 20)], rng.lognormal(np.log(2000 * larger), 0.8, 500))

        past = history("sizes", [(window(), window()) for _ in range(160)])
        planned = plan({"metric": "sizes"})
        told = only(judged(planned, [(window(3), window()) for _ in range(10)], past)).reason
        assert " of requests above " in told
        assert told.endswith("tolerated 1.05 times as large")
        assert "slow" not in told


class TestUnits:
    @pytest.mark.parametrize("scale", [None, 3])
    def test_milliseconds_are_judged_in_their_own_unit_and_told_in_seconds(self, scale: int | None) -> None:
        """Native boundaries are powers of two in the metric's own unit; in seconds they are none."""
        rng = np.random.default_rng(3)

        def window(slower: float = 1) -> Buckets:
            values = rng.lognormal(np.log(80 * slower), 0.6, 500)
            own = classic([1000 * bound for bound in BOUNDS], values) if scale is None else native(values, scale)
            return own.model_copy(update={"bounds": tuple(bound * 1e-3 for bound in own.bounds)})

        past = history("latency", [(window(), window()) for _ in range(160)])
        planned = plan({**LATENCY, "limit": "400ms", "tolerance": {"relative": "5%"}}, factor=1e-3)
        state = judged(planned, [(window(2), window()) for _ in range(12)], past)
        rule = state_of(state)
        assert rule.plan is not None
        assert rule.limit_at == pytest.approx(500 if scale is None else 2 ** (70 / 8))
        if scale is None:
            assert set(rule.plan.boundaries) <= {1000 * bound for bound in BOUNDS}
        else:
            steps = np.log2(rule.plan.boundaries) * 8
            assert steps == pytest.approx(np.round(steps), abs=1e-9)
        assert judge.standing(state) == Standing.FAIL
        told = only(state)
        assert told.evidence.canary.value == pytest.approx(0.84 if scale is None else 0.65, rel=0.05)
        assert told.reason.startswith("latency p99 ")
        assert " ms against " in told.reason
        assert "slower than 250 ms" in told.reason or scale is not None


class TestBoundaries:
    def test_only_those_in_common_are_judged(self) -> None:
        service, coarse = Service(), Service(bounds=[0.03, 0.1, 0.5, 3])
        windows: list[tuple[Side, Side | None]] = [(coarse.window(), service.window()) for _ in range(5)]
        rule = state_of(judged(plan(LATENCY), windows, service.past()))
        assert rule.plan is not None
        assert set(rule.plan.boundaries) <= {0.1, 0.5}

    def test_bounds_that_change_within_the_run_leave_their_windows_out(self) -> None:
        service, other = Service(), Service(bounds=[0.03, 0.1, 3])
        past = service.past()
        rule = state_of(judged(plan(LATENCY), service.windows(5), past))
        state = judge.Assessment((rule,), (True,), 0.01)
        for index in range(5, 9):
            state = judge.advance(state, reading("latency", index, other.window(), service.window()))
        changed = state_of(state)
        assert changed.plan is not None
        judged_at = dict(zip(changed.plan.boundaries, changed.stretch.total[:, 0], strict=True))
        assert judged_at[0.1] == 4500
        assert judged_at[0.25] == 2500
        assert only(state).reason.endswith("the canary's histogram has no bucket boundary at 250 ms any more")
        back = judge.advance(state, reading("latency", 9, service.window(), service.window()))
        assert "any more" not in only(back).reason

    def test_a_native_histogram_that_coarsens_itself_goes_on_at_every_second_boundary(self) -> None:
        fine, coarse = Service(scale=3), Service(scale=2, seed=4)
        state = judged(plan(LATENCY), fine.windows(5), fine.past())
        for index in range(5, 25):
            state = judge.advance(state, reading("latency", index, coarse.window(3), fine.window()))
        rule = state_of(state)
        assert rule.plan is not None
        on_grid = np.isclose(np.log2(rule.plan.boundaries) * 4 % 1, 0, atol=1e-6) | np.isclose(
            np.log2(rule.plan.boundaries) * 4 % 1, 1, atol=1e-6
        )
        totals = rule.stretch.total[:, 0]
        assert on_grid.any()
        assert not on_grid.all()
        assert set(totals[on_grid]) == {12500}
        assert set(totals[~on_grid]) == {2500}
        assert judge.standing(state) == Standing.FAIL

    def test_classic_and_native_sides_are_compared_at_powers_of_two(self) -> None:
        service, other = Service(bounds=[2.0**power for power in range(-6, 3)]), Service(scale=3)
        windows: list[tuple[Side, Side | None]] = [(other.window(), service.window()) for _ in range(20)]
        assert judge.standing(judged(plan(LATENCY), windows, service.past())) == Standing.PASS

    def test_a_first_window_that_shares_none_is_not_the_end(self) -> None:
        service = Service()
        past = service.past()
        odd: list[tuple[Side, Side | None]] = [(classic([], np.ones(9)), service.window())]
        state = judged(plan(LATENCY), odd + service.windows(40), past)
        assert judge.standing(state) == Standing.PASS


class TestWithoutHistory:
    def test_the_first_two_minutes_are_learned_from_and_not_judged(self) -> None:
        service = Service()
        state = judged(plan(LATENCY), service.windows(7, slower=2))
        assert state_of(state).stretch is None
        assert only(state).standing == Standing.PENDING
        assert only(state).reason.endswith(
            "learning the baseline's distribution from its first 2 min, for it has no history"
        )
        later = judged(plan(LATENCY), service.windows(20, slower=2))
        assert state_of(later).stretch.evidence.intervals == 12
        assert len(state_of(later).past.windows) == 8
        assert judge.standing(later) == Standing.FAIL

    def test_of_a_short_schedule_a_quarter(self) -> None:
        planned = plan(LATENCY, schedule={"deadline": "120s", "minimum": "60s", "warmup": "0s"})
        state = state_of(judged(planned, Service().windows(8)))
        assert state.stretch.evidence.intervals == 6

    def test_a_canary_that_comes_late_finds_the_baseline_known(self) -> None:
        service = Service()
        idle: list[tuple[Side, Side | None]] = [(GONE, service.window()) for _ in range(10)]
        state = state_of(judged(plan(LATENCY), idle + service.windows(3)))
        assert len(state.past.windows) == 8
        assert state.stretch.evidence.intervals == 3

    def test_a_limit_is_judged_from_the_first_window_on(self) -> None:
        state = state_of(judged(plan(BOTH), Service().windows(4)))
        assert state.limit is not None
        assert state.limit.evidence.intervals == 4

    def test_what_is_still_to_come_holds_its_weight(self) -> None:
        """Else the evidence of the limit would halve in the middle, or rise when it is below one."""
        service = Service()
        for slower in (1.0, 3.0):
            state = state_of(judged(plan(BOTH), service.windows(4, slower=slower)))
            assert state.limit is not None
            assert state.log_e == pytest.approx(log((exp(state.limit.log_e) + 1) / 2))
        without = state_of(judged(plan(BOTH, before_after=True), alone(service.windows(4, slower=3))))
        assert without.limit is not None
        assert without.log_e == pytest.approx(without.limit.log_e)  # there will never be more


class TestGathering:
    def test_a_window_that_a_side_is_missing_from_is_left_out(self) -> None:
        service = Service()
        past = service.past()
        windows: list[tuple[Side, Side | None]] = [
            *service.windows(1),
            (service.window(50), GONE),
            (GONE, service.window(50)),
            *service.windows(1),
        ]
        state = state_of(judged(plan(BOTH), windows, past))
        assert state.limit is not None
        assert set(state.stretch.total[:, 0]) == {1000}
        assert set(state.stretch.total[:, 2]) == {1000}
        assert state.limit.total[0] == 1500

    def test_a_window_without_observations_is_gathered(self) -> None:
        service = Service()
        past = service.past()
        empty = Buckets(bounds=(*BOUNDS, INF), counts=(0.0,) * (len(BOUNDS) + 1))
        state = state_of(judged(plan(LATENCY), [*service.windows(1), (empty, service.window())], past))
        assert set(state.stretch.total[:, 0]) == {500}
        assert set(state.stretch.total[:, 2]) == {1000}

    @pytest.mark.parametrize(
        "side",
        [
            Buckets(bounds=(1.0, INF), counts=(1.0,)),
            Buckets(bounds=(2.0, 1.0, INF), counts=(1.0, 1.0, 1.0)),
            Buckets(bounds=(1.0, INF), counts=(float("nan"), 1.0)),
            Buckets(bounds=(1.0, INF), counts=(-1.0, 3.0)),
            Buckets(bounds=(), counts=()),
        ],
    )
    def test_what_are_no_buckets_say_nothing(self, side: Buckets) -> None:
        state = judged(plan(LATENCY), [(side, Service().window())] * 3, Service().past())
        assert judge.standing(state) == Standing.NO_DATA


class TestAccounting:
    def test_side_by_side_all_boundaries_have_their_own_tolerance_and_noise(self) -> None:
        service = Service()
        rule = state_of(judged(plan(LATENCY), service.windows(1), service.past()))
        assert rule.plan is not None
        strand = rule.stretch
        assert strand is not None
        assert strand.setting.fail is not None
        assert strand.setting.pass_ is not None
        assert strand.setting.fail.a is rule.plan.kappa_fail
        assert strand.setting.pass_.a is rule.plan.kappa_pass
        assert np.shape(strand.setting.prior.phi) == rule.plan.boundaries.shape
        assert np.exp(strand.log_weights).sum() == pytest.approx(1)
        assert rule.plan.boundaries[rule.plan.nearest] == 0.25  # 2.8 % are slower; of 500 ms only 0.1 %: further off
        assert strand.setting.planned == 40

    @pytest.mark.parametrize(("rule", "share"), [(LATENCY, 1.0), (BOTH, 0.5)])
    def test_before_after_each_boundary_pays_out_of_its_own_share(self, rule: dict[str, object], share: float) -> None:
        service = Service()
        planned = plan({**rule, "weight": 3}, {"metric": "ready"}, before_after=True)
        found = judged(planned, alone(service.windows(1)), service.past(), "latency").states[0]
        assert isinstance(found, HistogramRule)
        assert found.plan is not None
        assert found.stretch is not None
        assert found.stretch.log_level == pytest.approx(log(0.8))
        assert found.stretch.setting.fail is not None
        judged_at = np.broadcast_to(found.stretch.setting.fail.d, found.plan.boundaries.shape)
        assert judged_at.size > 1
        for index, limit in enumerate(judged_at):
            known = found.past.at(float(found.plan.boundaries[index]), 15).blocks()
            level = 0.01 * 0.75 * share * float(found.plan.weights[index])
            assert limit == fail_limit(*known, Null(float(found.plan.kappa_fail[index])), level).rate

    def test_the_p_value_is_of_the_mean_of_all_boundaries(self) -> None:
        service = Service()
        past = service.past()
        state = judged(plan(LATENCY), service.windows(6, slower=2), past)
        found = only(state).evidence.p_value
        best = float(state_of(state).stretch.evidence.sup_fail.max())
        assert found == pytest.approx(exp(-state_of(state).log_e), rel=1e-9)
        assert found > exp(-best)


class TestEvidence:
    def test_of_a_failure(self) -> None:
        service = Service()
        past = service.past()
        evidence = only(judged(plan(BOTH), service.windows(10, slower=2), past)).evidence
        assert evidence.canary.total == 5000
        assert evidence.canary.value == pytest.approx(0.85, rel=0.1)
        assert evidence.baseline is not None
        assert evidence.baseline.value == pytest.approx(0.42, rel=0.1)
        assert evidence.unit == "seconds"
        assert evidence.ratio is not None
        assert evidence.ratio.estimate is not None
        assert 1 < evidence.ratio.low < evidence.ratio.estimate < evidence.ratio.high
        assert (evidence.tolerated, evidence.limit) == ("1.05 times", 0.4)
        assert evidence.towards_fail is not None
        assert evidence.towards_fail > 1
        assert evidence.dispersion is not None
        assert evidence.dispersion >= 1

    def test_before_after_the_baseline_is_the_history(self) -> None:
        service = Service()
        evidence = only(judged(plan(LATENCY, before_after=True), alone(service.windows(2)), service.past())).evidence
        assert evidence.baseline is not None
        assert evidence.baseline.total == 80000
        assert evidence.baseline.value == pytest.approx(0.42, rel=0.1)

    def test_without_a_baseline_there_is_none(self) -> None:
        assert only(judged(plan(LATENCY), [(Service().window(), GONE)])).evidence.baseline is None


class TestAfterTheAct:
    def test_no_side_may_be_slower_than_tolerated(self) -> None:
        service = Service()
        past = service.past()
        state = judged(plan(LATENCY), service.windows(10, slower=2), past)
        assert judge.recovered(state, reading("latency", 20, GONE, service.window())) is True
        assert judge.recovered(state, reading("latency", 20, GONE, service.window(2))) is False
        assert judge.recovered(state, reading("latency", 20, service.window(2), service.window())) is False
        assert judge.recovered(state, reading("latency", 20, GONE, GONE)) is None

    def test_before_after_the_history_is_the_measure(self) -> None:
        service = Service()
        past = service.past()
        state = judged(plan(LATENCY, before_after=True), alone(service.windows(10, slower=2)), past)
        assert judge.recovered(state, reading("latency", 20, service.window())) is True
        assert judge.recovered(state, reading("latency", 20, service.window(2))) is False

    def test_a_limit_counts(self) -> None:
        service = Service()
        state = judged(plan(LIMIT), service.windows(30, slower=3))
        assert judge.recovered(state, reading("latency", 50, service.window())) is True
        assert judge.recovered(state, reading("latency", 50, service.window(3))) is False

    def test_where_nothing_is_known_nothing_is_said(self) -> None:
        assert judge.recovered(judge.start(plan(LATENCY)), reading("latency", 1, Service().window())) is None


def test_one_pod_of_either_half_is_its_odd_against_its_even_windows() -> None:
    windows = tuple(Service().window() for _ in range(21))
    for past in (
        LatencyPast.of(history("latency", [(window, None) for window in windows]), 1),
        LatencyPast.of(history("latency", [(GONE, window) for window in windows]), 1),
    ):
        first, second = past._halves(BOUNDS)
        assert second is not None
        assert first.requests.size == second.requests.size == 10
        assert first.slower[0, 0] == windows[1].total - windows[1].counts[0]
