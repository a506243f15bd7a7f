"""Rules on bad events among all: both comparisons, both directions, limits, and what is said of them."""

from math import exp, log

import numpy as np
import pytest
from ruling import GONE, INTERVAL, events, history, judged, only, plan, reading

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.judge.before_after import fail_limit, pass_limit
from analyzer.judge.dispersion import NO_HISTORY, alternate, learn_prior
from analyzer.judge.null import Null
from analyzer.judge.rules.ratio import RatioRule
from analyzer.model.judgement import Standing
from analyzer.model.reading import History, Level

ERRORS: dict[str, object] = {"metric": "errors"}
LIMITED: dict[str, object] = {"metric": "errors", "limit": "5%"}
BOTH: dict[str, object] = {"metric": "errors", "limit": "5%", "tolerance": {"relative": "10%"}}
READY: dict[str, object] = {"metric": "ready", "direction": "lower"}


def past(rate: float = 0.004, seed: int = 3, pods: int = 2) -> History:
    rng = np.random.default_rng(seed)

    def half() -> float:
        return float(rng.binomial(500, rate))

    pairs = [(events(half(), 500), events(half(), 500) if pods > 1 else None) for _ in range(160)]
    return history("errors", pairs)


def state_of(assessment: Assessment) -> RatioRule:
    (state,) = assessment.states
    assert isinstance(state, RatioRule)
    return state


class TestSentences:
    @pytest.mark.parametrize(
        ("rule", "canary", "baseline", "windows", "standing", "sentence"),
        [
            pytest.param(ERRORS, (), (), 0, Standing.NO_DATA, "errors: nothing read yet", id="nothing read"),
            pytest.param(
                ERRORS,
                (0, 0),
                (4, 1000),
                1,
                Standing.NO_DATA,
                "errors: no requests to the canary in 1 window",
                id="idle",
            ),
            pytest.param(
                ERRORS,
                (4, 1000),
                (0, 0),
                3,
                Standing.NO_DATA,
                "errors 0.4 % (12 of 3000), and nothing to compare it with: no requests to the baseline",
                id="idle baseline",
            ),
            pytest.param(
                ERRORS,
                (0, 30),
                (0, 30),
                1,
                Standing.PENDING,
                "errors 0 % (0 of 30) against 0 % (0 of 30) of the baseline: nothing known yet of the ratio, "
                "tolerated 1.1 times + 0.05 %; 0 % of the way to a fail, 0 % to a pass",
                id="no errors at all",
            ),
            pytest.param(
                ERRORS,
                (4, 1000),
                (4, 1000),
                40,
                Standing.PASS,
                "errors 0.4 % (160 of 40000) against 0.4 % (160 of 40000) of the baseline: "
                "shown to be better than 1.5 times + 0.1 %",
                id="good",
            ),
            pytest.param(
                LIMITED,
                (100, 1000),
                (100, 1000),
                6,
                Standing.FAIL,
                "errors 10 % (600 of 6000), above the limit of 5 %: shown to be at least 7.38 %",
                id="above the limit",
            ),
            pytest.param(
                LIMITED,
                (10, 1000),
                (100, 1000),
                6,
                Standing.PASS,
                "errors 1 % (60 of 6000), shown to be below the limit of 5 %",
                id="below the limit",
            ),
            pytest.param(
                READY,
                (990, 1000),
                (992, 1000),
                3,
                Standing.PENDING,
                "ready 99 % (2970 of 3000) against 99.2 % (2976 of 3000) of the baseline: "
                "tolerated 1.0 times − 0.5 %; 0 % of the way to a fail, 35 % to a pass",
                id="lower is worse: pending",
            ),
            pytest.param(
                READY | {"tolerance": {"relative": "10%"}},
                (700, 1000),
                (990, 1000),
                20,
                Standing.FAIL,
                "ready 70 % (14000 of 20000) against 99 % (19800 of 20000) of the baseline: "
                "shown to be less than is tolerated, 0.9 times",
                id="lower is worse: fail",
            ),
            pytest.param(
                READY | {"limit": "95%"},
                (900, 1000),
                (990, 1000),
                20,
                Standing.FAIL,
                "ready 90 % (18000 of 20000), below the limit of 95 %: shown to be at most 91.1 %",
                id="below a limit",
            ),
        ],
    )
    def test_side_by_side(
        self,
        rule: dict[str, object],
        canary: tuple[float, float],
        baseline: tuple[float, float],
        windows: int,
        standing: Standing,
        sentence: str,
    ) -> None:
        judgement = only(judged(plan(rule), [(events(*canary), events(*baseline))] * windows if windows else []))
        assert (judgement.standing, judgement.reason) == (standing, sentence)

    def test_a_failure_tells_both_rates_and_the_ratio_shown(self) -> None:
        found = judged(plan(ERRORS), [(events(20, 1000), events(4, 1000))] * 6, past())
        assert judge.reason_to_fail(found) == only(found).reason
        assert only(found).reason == (
            "errors 2 % (120 of 6000) against 0.4 % (24 of 6000) of the baseline: at least 1.95 times as many, "
            "tolerated 1.1 times + 0.05 %"
        )

    def test_before_after(self) -> None:
        planned = plan(ERRORS, before_after=True)
        windows = [(events(4, 1000), None)] * 30
        assert only(judged(planned, windows)).reason == (
            "errors 0.4 % (120 of 30000), and nothing to compare it with: the previous revision has no history"
        )
        assert only(judged(planned, windows, past())).reason == (
            "errors 0.4 % (120 of 30000) against 0.406 % (649 of 160000) before: "
            "shown to be better than 1.5 times + 0.1 %"
        )
        found = judged(planned, [(events(40, 1000), None)] * 30, past())
        assert only(found).reason == (
            "errors 4 % (1200 of 30000) against 0.406 % (649 of 160000) before: at least 8.57 times as many, "
            "tolerated 1.1 times + 0.05 %"
        )

    def test_the_reason_why_a_side_is_missing_is_told(self) -> None:
        assert only(judged(plan(ERRORS), [(GONE, events(4, 1000))])).reason == (
            'errors: no data of the canary: no series match requests{version="1"}'
        )
        assert only(judged(plan(BOTH), [(events(0, 1000), GONE)] * 3)).reason == (
            "errors 0 % (0 of 3000), and nothing to compare it with: no data of the baseline: "
            'no series match requests{version="1"}; limit 5 %'
        )

    def test_an_advisory_rule_says_why_it_does_not_fail(self) -> None:
        rules = ({**ERRORS, "advisory": True}, {"metric": "ready"})
        found = judged(plan(*rules), [(events(40, 1000), events(4, 1000))] * 20, past())
        told = judge.judgements(found, {})[0]
        assert told.standing == Standing.PENDING
        assert told.reason.endswith("; enough evidence for a fail, but the rule is advisory")


class TestStanding:
    def test_without_anything_to_compare_with_there_is_no_data(self) -> None:
        """Else `onInconclusive: pass` would pass what was compared with nothing."""
        for planned, windows in (
            (plan(ERRORS), [(events(1, 1000), GONE)] * 9),
            (plan(ERRORS), [(events(1, 1000), events(0, 0))] * 9),
            (plan(ERRORS, before_after=True), [(events(1, 1000), None)] * 9),
        ):
            state = judged(planned, windows)
            assert judge.standing(state) == Standing.NO_DATA
            assert not judge.has_data(state)

    def test_a_limit_is_something_to_be_judged_by(self) -> None:
        assert judge.standing(judged(plan(BOTH), [(events(1, 1000), GONE)] * 3)) == Standing.PENDING

    def test_a_baseline_that_vanishes_stops_the_comparison_only(self) -> None:
        state = judged(plan(ERRORS), [(events(4, 1000), events(4, 1000))] * 4 + [(events(900, 1000), GONE)] * 20)
        assert judge.standing(state) == Standing.PENDING
        assert state_of(state).tolerance is not None
        assert float(state_of(state).tolerance.total[0]) == 4000

    def test_zero_errors_on_both_sides_pass_by_the_absolute_margin(self) -> None:
        state = judged(plan(ERRORS), [(events(0, 1000), events(0, 1000))] * 40)
        assert judge.standing(state) == Standing.PASS
        relative = {**ERRORS, "tolerance": {"relative": "10%"}, "passWithin": {"relative": "50%"}}
        assert judge.standing(judged(plan(relative), [(events(0, 1000), events(0, 1000))] * 40)) == Standing.PENDING


class TestCounts:
    def test_more_bad_than_all_and_fewer_than_none_are_artefacts(self) -> None:
        state = state_of(judged(plan(ERRORS), [(events(30, 20), events(-3, 20))]))
        assert state.seen == (20, 20, 20, 0)

    def test_broken_counts_are_told_as_they_are(self) -> None:
        told = only(judged(plan(ERRORS), [(events(0.4, 12.3), events(0.0, 250.7))]))
        assert told.reason.startswith("errors 3.25 % (0.4 of 12.3) against 0 % (0 of 251) of the baseline: ")

    @pytest.mark.parametrize("side", [events(1, float("nan")), events(float("nan"), 9), events(0, -1), Level(mean=3)])
    def test_what_is_no_count_says_nothing(self, side: object) -> None:
        state = state_of(judged(plan(ERRORS), [(side, events(1, 100))] * 3))  # type: ignore[list-item] # the case
        assert state.seen == (0, 0, 300, 3)
        assert state.standing == Standing.NO_DATA

    def test_with_lower_worse_the_others_are_judged_and_the_good_ones_told(self) -> None:
        state = judged(plan(READY), [(events(90, 100), events(99, 100))])
        assert state_of(state).seen == (100, 10, 100, 1)
        evidence = only(state).evidence
        assert (evidence.canary.bad, evidence.canary.value) == (90, 0.9)
        assert evidence.rate is not None
        assert evidence.rate.low < 0.9 < evidence.rate.high


class TestGathering:
    def test_short_windows_wait_as_zeros_so_that_restarts_keep_their_time(self) -> None:
        state = state_of(judged(plan(ERRORS), [(events(1, 6), events(0, 6))] * 5))
        assert state.tolerance is not None
        assert state.tolerance.evidence.intervals == 5
        assert state.tolerance.rows[0].tolist() == [0, 0, 0, 24, 0]
        assert state.tolerance.total.tolist() == [30, 5, 30, 0]

    def test_after_a_minute_what_there_is_is_judged(self) -> None:
        state = state_of(judged(plan(ERRORS), [(events(0, 1), events(0, 1))] * 4))
        assert state.tolerance is not None
        assert state.tolerance.rows[0].tolist() == [0, 0, 0, 4]

    def test_a_window_that_a_side_is_missing_from_is_left_out_not_gathered(self) -> None:
        """An outage that only one side tells of must not be compared with the other's good minutes."""
        windows = [
            (events(9, 9), GONE),
            (events(0, 9), events(0, 9)),
            (GONE, events(9, 9)),
            (events(0, 9), events(0, 9)),
        ]
        state = state_of(judged(plan(BOTH), windows))
        assert state.tolerance is not None
        assert state.limit is not None
        assert state.tolerance.total.tolist() == [18, 0, 18, 0]
        assert state.limit.total[:2].tolist() == [27, 9]  # a limit looks at the canary alone

    def test_a_window_without_requests_is_gathered(self) -> None:
        windows = [(events(0, 0), events(1, 30)), (events(0, 25), events(1, 30))]
        state = state_of(judged(plan(ERRORS), windows))
        assert state.tolerance is not None
        assert state.tolerance.rows.T.tolist() == [[0, 0, 0, 0], [25, 0, 60, 2]]


class TestPriors:
    def test_halves_of_the_history(self) -> None:
        learned = past()
        found = state_of(judge.learn(judge.start(plan(BOTH)), learned))
        n_1, e_1, n_2, e_2 = (
            np.array(column)
            for column in zip(
                *(
                    (r.canary.total, r.canary.bad, r.baseline.total, r.baseline.bad)  # type: ignore[union-attr] # events
                    for r in learned.readings
                ),
                strict=True,
            )
        )
        expected = learn_prior(n_1, e_1, n_2, e_2)
        for strand in (found.tolerance, found.limit):  # two-sided for a limit that has a baseline, too
            assert strand is not None
            assert strand.setting.prior.to_json() == expected.to_json()

    @pytest.mark.parametrize("alone", ["first", "second"])
    def test_one_pod_is_its_odd_against_its_even_windows(self, alone: str) -> None:
        one = past(pods=1)
        if alone == "second":
            readings = [r.model_copy(update={"canary": events(0, 0), "baseline": r.canary}) for r in one.readings]
            one = one.model_copy(update={"readings": tuple(readings)})
        found = state_of(judge.learn(judge.start(plan(ERRORS)), one)).tolerance
        assert found is not None
        bad = np.array([r.canary.bad for r in past(pods=1).readings])  # type: ignore[union-attr] # events
        expected = learn_prior(*alternate(np.full(160, 500.0), bad))
        assert found.setting.prior.to_json() == expected.to_json()

    def test_without_history_nothing_is_assumed_and_the_largest_burst_never_counts(self) -> None:
        found = state_of(judge.start(plan(ERRORS))).tolerance
        assert found is not None
        assert found.setting.prior.to_json() == NO_HISTORY.to_json()
        learned = state_of(judge.learn(judge.start(plan(ERRORS)), history("errors", []))).tolerance
        assert learned is not None
        assert learned.setting.prior.to_json() == NO_HISTORY.to_json()

    def test_what_shakes_both_sides_is_no_noise_of_a_limit_that_has_a_baseline(self) -> None:
        windows = [(events(bad, 1000), events(bad, 1000)) for bad in (1, 40, 2, 30, 1, 45, 3, 38)]
        beside = state_of(judged(plan(LIMITED), windows)).limit
        alone = state_of(judged(plan(LIMITED, before_after=True), [(canary, None) for canary, _ in windows])).limit
        assert beside is not None
        assert alone is not None
        assert beside.phi == pytest.approx(1)
        assert alone.phi > 3

    def test_restarts_are_planned_for_all_intervals_up_to_the_deadline(self) -> None:
        found = state_of(judge.start(plan(ERRORS, schedule={"deadline": "10m"}))).tolerance
        assert found is not None
        assert (found.setting.planned, found.setting.restarts) == (40, 3)


class TestBeforeAfter:
    @pytest.mark.parametrize(("rule", "share"), [(ERRORS, 1.0), (BOTH, 0.5)])
    def test_what_the_limit_of_the_history_costs_comes_out_of_the_rules_own_share(
        self, rule: dict[str, object], share: float
    ) -> None:
        rules = ({**rule, "critical": True}, {"metric": "ready"})
        found = judge.learn(judge.start(plan(*rules, before_after=True)), past()).states[0]
        assert isinstance(found, RatioRule)
        assert found.past is not None
        assert found.tolerance is not None
        assert found.tolerance.setting.fail is not None
        assert found.tolerance.setting.pass_ is not None
        assert found.terms.weight == 0.75
        level = 0.01 * 0.75 * share
        tolerance, margin = (1.1, 0.0005) if rule is ERRORS else (1.1, 0.0), (1.5, 0.001)
        worst = fail_limit(*found.past.blocks(), Null(*tolerance), level)
        best = pass_limit(*found.past.blocks(), Null(*margin), 0.05)
        assert found.tolerance.setting.fail.d == worst.rate
        assert found.tolerance.setting.pass_.d == best.rate
        assert found.tolerance.log_level == pytest.approx(log(0.8))

    def test_the_sum_of_all_error_probabilities_is_alpha(self) -> None:
        """Half of the rule for its limit, half for the comparison: of that, a fifth was spent on the history."""
        found = state_of(judge.learn(judge.start(plan(BOTH, before_after=True)), past()))
        assert found.tolerance is not None
        at_start = exp(found.log_e)
        assert at_start == pytest.approx(0.5 * 0.8 + 0.5)
        assert 0.01 * at_start + 0.01 * 0.5 / 5 == pytest.approx(0.01)

    def test_requests_in_the_oldest_remainder_alone_are_a_history_too(self) -> None:
        pairs = [(events(1, 100), None)] * 5 + [(events(0, 0), None)] * 40
        state = judge.learn(judge.start(plan(ERRORS, before_after=True)), history("errors", pairs))
        assert state_of(state).tolerance is not None

    def test_the_baseline_of_the_same_windows_is_not_looked_at(self) -> None:
        planned = plan(ERRORS, before_after=True)
        with_it = judged(planned, [(events(40, 1000), events(400, 1000))] * 9, past())
        without = judged(planned, [(events(40, 1000), None)] * 9, past())
        assert only(with_it) == only(without)


class TestEvidence:
    def test_of_a_failure(self) -> None:
        evidence = only(judged(plan(ERRORS), [(events(20, 1000), events(4, 1000))] * 6, past())).evidence
        assert (evidence.canary.total, evidence.canary.bad, evidence.canary.value) == (6000, 120, 0.02)
        assert evidence.baseline is not None
        assert (evidence.baseline.total, evidence.baseline.bad, evidence.baseline.value) == (6000, 24, 0.004)
        assert evidence.unit == "share"
        assert evidence.ratio is not None
        assert evidence.ratio.estimate == pytest.approx(5)
        assert 1.1 <= evidence.ratio.low < 5 < evidence.ratio.high
        assert evidence.rate is not None
        assert evidence.rate.low < 0.02 < evidence.rate.high
        assert evidence.tolerated == "1.1 times + 0.05 %"
        assert evidence.limit is None
        assert evidence.towards_fail is not None
        assert evidence.towards_fail > 1
        assert evidence.towards_pass is not None
        assert evidence.towards_pass < 0
        assert evidence.p_value is not None
        assert evidence.p_value < 0.01
        assert evidence.windows == 6

    def test_after_a_failure_the_ratio_is_beyond_what_is_tolerated(self) -> None:
        wide = {**ERRORS, "tolerance": {"relative": "400%"}}
        found = judged(plan(wide), [(events(70, 1000), events(10, 1000))] * 40, past(0.01))
        evidence = only(found).evidence
        assert judge.standing(found) == Standing.FAIL
        assert evidence.ratio is not None
        assert evidence.ratio.low >= 5

    def test_the_p_value_is_of_the_whole_rule(self) -> None:
        """The better of two e-processes is none: what counts is their mean."""
        found = judged(plan(BOTH), [(events(200, 1000), events(200, 1000))] * 4, past())
        state = state_of(found)
        assert state.limit is not None
        assert state.tolerance is not None
        assert only(found).evidence.p_value == pytest.approx(
            2 / (exp(state.limit.log_e) + exp(state.tolerance.log_e)), rel=1e-6
        )

    def test_a_limit_alone_compares_nothing(self) -> None:
        evidence = only(judged(plan(LIMITED), [(events(10, 1000), events(10, 1000))])).evidence
        assert (evidence.ratio, evidence.tolerated, evidence.limit) == (None, "", 0.05)


class TestAfterTheAct:
    def judged(self, rule: dict[str, object] = ERRORS) -> Assessment:
        return judged(plan(rule), [(events(40, 1000), events(4, 1000))] * 6, past())

    @pytest.mark.parametrize(
        ("canary", "baseline", "expected"),
        [
            (GONE, events(4, 1000), True),
            (GONE, events(40, 1000), False),
            (events(9, 10), events(4, 1000), False),
            (events(0, 0), events(0, 0), None),
            (GONE, GONE, None),
        ],
    )
    def test_no_side_with_traffic_may_be_worse_than_tolerated(
        self, canary: object, baseline: object, expected: bool | None
    ) -> None:
        after = reading("errors", 99, canary, baseline)  # type: ignore[arg-type] # sides
        assert judge.recovered(self.judged(), after) is expected

    def test_one_error_after_none_is_not_worse(self) -> None:
        clean = {**ERRORS, "tolerance": {"relative": "10%"}}
        state = judged(plan(clean), [(events(200, 1000), events(0, 1000))] * 6)
        assert judge.recovered(state, reading("errors", 99, GONE, events(1, 1000))) is True
        assert judge.recovered(state, reading("errors", 99, GONE, events(20, 1000))) is False

    def test_where_nothing_is_known_nothing_is_said(self) -> None:
        assert judge.recovered(judge.start(plan(ERRORS)), reading("errors", 1, events(0, 100))) is None

    def test_a_limit_counts(self) -> None:
        state = judged(plan(LIMITED), [(events(400, 1000), GONE)] * 6)
        assert judge.recovered(state, reading("errors", 99, events(40, 1000))) is True
        assert judge.recovered(state, reading("errors", 99, events(90, 1000))) is False


def test_a_window_has_its_own_length() -> None:
    """A shorter last window and a longer interval are gathered by their seconds."""
    state = judge.start(plan(ERRORS))
    for index in range(2):
        state = judge.advance(state, reading("errors", index, events(0, 1), events(0, 1), seconds=2 * INTERVAL))
    strand = state_of(state).tolerance
    assert strand is not None
    assert strand.rows[0].tolist() == [0, 2]
