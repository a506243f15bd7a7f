"""Several rules at once: shares of the false-alarm probability, who decides, who is told, and that folding is pure."""

from math import exp, log

import numpy as np
import pytest
from ruling import GONE, classic, events, history, level, plan, reading

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.judge.rules.ratio import RatioRule
from analyzer.model.judgement import Standing
from analyzer.model.reading import Side, Targets

ERRORS: dict[str, object] = {"metric": "errors"}
READY: dict[str, object] = {"metric": "ready"}


def fed(state: Assessment, metric: str, canary: Side, baseline: Side | None, windows: int) -> Assessment:
    for index in range(windows):
        state = judge.advance(state, reading(metric, index, canary, baseline))
    return state


class TestNames:
    @pytest.mark.parametrize(
        ("rule", "name"),
        [
            (ERRORS, "errors"),
            ({**ERRORS, "name": "five-hundreds"}, "five-hundreds"),
            ({"metric": "latency"}, "latency-p99"),
            ({"metric": "latency", "quantile": 0.999}, "latency-p999"),
            ({"metric": "memory", "limit": "1GiB"}, "memory"),
            ({"health": "targets"}, "health:targets"),
        ],
    )
    def test_made_of_metric_and_quantile(self, rule: dict[str, object], name: str) -> None:
        (told,) = judge.judgements(judge.start(plan(rule)), {})
        assert told.rule == name


class TestWeights:
    def test_critical_rules_weigh_three_and_all_sum_to_one(self) -> None:
        rules = [
            {**ERRORS, "critical": True},
            {"metric": "latency"},
            {"metric": "memory"},
            {**ERRORS, "name": "told", "advisory": True},
            {**ERRORS, "name": "light", "weight": 0.5},
            {**ERRORS, "name": "plain", "judge": "threshold", "limit": "5%"},
            {"metric": "memory", "name": "limit", "limit": "1GiB"},
            {"health": "targets"},
        ]
        state = judge.start(plan(*rules))
        weights = {one.terms.name: one.terms.weight for one in state.states}
        assert weights == pytest.approx(
            {
                "errors": 3 / 6.5,
                "latency-p99": 1 / 6.5,
                "memory": 1 / 6.5,
                "told": 1 / 6.5,
                "light": 0.5 / 6.5,
                "plain": 0,
                "limit": 0,
                "health:targets": 0,
            }
        )

    def test_a_rule_alone_needs_its_own_share(self) -> None:
        """The same evidence is enough for a rule alone, and not for one of twenty."""
        alone = fed(judge.start(plan(ERRORS)), "errors", events(11, 1000), events(1, 1000), 5)
        others = [{**READY, "name": f"other-{index}"} for index in range(19)]
        among = fed(judge.start(plan(ERRORS, *others)), "errors", events(11, 1000), events(1, 1000), 5)
        log_e = alone.states[0].log_e
        assert log(100) < log_e < log(2000)
        assert among.states[0].log_e == log_e
        assert judge.standing(alone) == Standing.FAIL
        assert judge.standing(among) != Standing.FAIL

    def test_evidence_adds_up_over_rules(self) -> None:
        """None is proven by itself; the mean of their e-values is."""
        names = [f"rule-{index}" for index in range(8)]
        rules = [{"metric": metric, "name": f"{metric}-{name}"} for name in names for metric in ("errors", "ready")]
        one = fed(judge.start(plan(*rules)), "errors", events(12, 1000), events(1, 1000), 5)
        both = fed(one, "ready", events(12, 1000), events(1, 1000), 5)
        assert log(100) < one.states[0].log_e < log(200)
        assert judge.standing(one) == Standing.NO_DATA
        assert judge.standing(both) == Standing.FAIL
        towards = [told.evidence.towards_fail for told in judge.judgements(both, {})]
        assert towards == pytest.approx([(both.states[0].log_e - log(16)) / log(100)] * 16)
        assert len(judge.culprits(both)) == 1


class TestWhoDecides:
    def test_advisory_rules_never_decide_alone_and_bring_at_most_half(self) -> None:
        rules = [{**ERRORS, "advisory": True}, {**ERRORS, "name": "two", "advisory": True}, READY]
        state = fed(judge.start(plan(*rules)), "errors", events(900, 1000), events(1, 1000), 20)
        assert state.states[0].log_e > 30
        assert judge.standing(state) != Standing.FAIL
        for windows in range(1, 20):
            after = fed(state, "ready", events(12, 1000), events(2, 1000), windows)
            own = exp(after.states[2].log_e) / 3  # of 1/alpha = 100, of which the others bring 50 at most
            assert (judge.standing(after) == Standing.FAIL) == (own + 50 >= 100)
            if own > 60:
                break
        else:
            pytest.fail("the evidence never sufficed")

    def test_an_advisory_limit_never_fails_the_release(self) -> None:
        rules = [{**ERRORS, "judge": "threshold", "limit": "1%", "advisory": True}, READY]
        state = fed(judge.start(plan(*rules)), "errors", events(900, 1000), None, 3)
        assert judge.standing(state) != Standing.FAIL
        assert judge.judgements(state, {})[0].standing == Standing.FAIL  # told

    def test_the_limit_of_a_gauge_counts_though_its_comparison_is_advisory(self) -> None:
        rules = [{"metric": "memory", "limit": "1GiB", "tolerance": {"relative": "10%"}}, ERRORS]
        state = fed(judge.start(plan(*rules)), "memory", level(2**31), level(2**31), 3)
        assert judge.standing(state) == Standing.FAIL
        assert judge.culprits(state) == (("memory", "memory"),)

    def test_a_pass_needs_all_critical_rules_and_no_others(self) -> None:
        rules = [{**ERRORS, "critical": True}, READY]
        good = fed(judge.start(plan(*rules)), "errors", events(1, 1000), events(1, 1000), 40)
        assert judge.standing(good) == Standing.PASS
        assert judge.reason_to_pass(good).startswith("errors 0.1 % (40 of 40000) against ")
        both = [{**ERRORS, "critical": True}, {**READY, "critical": True}]
        half = fed(judge.start(plan(*both)), "errors", events(1, 1000), events(1, 1000), 40)
        assert judge.standing(half) == Standing.NO_DATA
        assert judge.reason_undecided(half) == "ready: nothing read yet"

    def test_where_none_is_critical_all_but_advisory_ones_count(self) -> None:
        rules = [ERRORS, {"metric": "memory"}, {**READY, "advisory": True}]
        good = fed(judge.start(plan(*rules)), "errors", events(1, 1000), events(1, 1000), 40)
        assert judge.standing(good) == Standing.PASS
        rules = [ERRORS, READY]
        half = fed(judge.start(plan(*rules)), "errors", events(1, 1000), events(1, 1000), 40)
        assert judge.standing(half) == Standing.NO_DATA

    def test_health_fails_and_passes_beside_the_others(self) -> None:
        state = judge.start(plan(ERRORS, {"health": "targets"}))
        bad = fed(state, "health:targets", Targets(up=0, down=1, restarts=0), Targets(up=1, down=0, restarts=0), 3)
        assert judge.culprits(bad) == (("health:targets", "health:targets"),)


class TestTheFirstCrossing:
    def test_is_final(self) -> None:
        bad = fed(judge.start(plan(ERRORS)), "errors", events(90, 1000), events(1, 1000), 4)
        later = fed(bad, "errors", events(0, 1000), events(50, 1000), 60)
        assert later.states[0].log_e < 0
        assert judge.standing(later) == Standing.FAIL
        assert judge.judgements(later, {})[0].standing == Standing.FAIL
        assert judge.judgements(later, {})[0].reason.startswith("errors ")

    def test_the_rule_that_failed_is_told_first_with_the_others(self) -> None:
        rules = [{**ERRORS, "name": name, "judge": "threshold", "limit": "1%"} for name in ("one", "two")]
        state = fed(judge.start(plan(*rules)), "errors", events(90, 1000), None, 1)
        assert judge.reason_to_fail(state) == "one 9 %, above the limit of 1 %; so did two"

    def test_queries_go_into_the_evidence(self) -> None:
        (told,) = judge.judgements(judge.start(plan(ERRORS)), {"errors": {"bad/canary": "x[${window}]"}})
        assert told.evidence.queries == {"bad/canary": "x[${window}]"}


class TestAfterTheAct:
    def test_advisory_rules_do_not_hold_the_recovery_back(self) -> None:
        strict = {**ERRORS, "name": "strict", "limit": "0%", "advisory": True}
        state = fed(judge.start(plan(ERRORS, strict)), "errors", events(90, 1000), events(1, 1000), 4)
        assert judge.recovered(state, reading("errors", 9, GONE, events(1, 1000))) is True
        assert judge.recovered(state, reading("errors", 9, GONE, events(60, 1000))) is False

    def test_a_metric_without_rules_says_nothing(self) -> None:
        assert judge.recovered(judge.start(plan(ERRORS)), reading("other", 9, events(1, 10))) is None


def test_folding_is_pure() -> None:
    """The same readings give the same judgements, from any state that was kept."""
    rng = np.random.default_rng(11)

    def sides(metric: str, worse: float = 1) -> Side:
        if metric == "errors":
            return events(float(rng.binomial(200, 0.01 * worse)), 200)
        if metric == "latency":
            return classic([0.05, 0.1, 0.25, 0.5, 1], rng.lognormal(np.log(0.08 * worse), 0.6, 200))
        return level(float(np.exp(rng.normal(0, 0.1))) * worse)

    metrics = ("errors", "latency", "memory")
    planned = plan(
        {**ERRORS, "limit": "20%", "tolerance": {"relative": "10%"}}, {"metric": "latency"}, {"metric": "memory"}
    )
    start = judge.start(planned)
    before = judge.judgements(start, {})
    for metric in metrics:
        start = judge.learn(start, history(metric, [(sides(metric), sides(metric)) for _ in range(80)]))
    readings = [reading(metric, index, sides(metric, 1.5), sides(metric)) for index in range(12) for metric in metrics]
    states, told = [start], [judge.judgements(start, {})]
    for one in readings:
        states.append(judge.advance(states[-1], one))
        told.append(judge.judgements(states[-1], {}))
    assert [judge.judgements(state, {}) for state in states] == told
    assert judge.judgements(judge.start(planned), {}) == before
    for state, one, then in zip(states, readings, told[1:], strict=False):
        assert judge.judgements(judge.advance(state, one), {}) == then


def test_history_is_learned_before_the_first_window() -> None:
    state = judge.learn(judge.start(plan(ERRORS)), history("errors", [(events(1, 100), events(1, 100))] * 40))
    (one,) = state.states
    assert isinstance(one, RatioRule)
    assert one.windows == 0
    assert one.past is not None
    assert one.past.requests == 8000
