"""Rules without an e-value: `judge: threshold`, and the health of scrape targets."""

import numpy as np
import pytest
from ruling import GONE, classic, events, judged, level, only, plan, reading

from analyzer.judge import assessment as judge
from analyzer.judge.rules.quantile import quantile_of
from analyzer.model.judgement import Standing
from analyzer.model.reading import Buckets, Side, Targets

INF = float("inf")


def threshold(metric: str, limit: str, **more: object) -> dict[str, object]:
    return {"metric": metric, "judge": "threshold", "limit": limit, **more}


def targets(up: int, down: int = 0, restarts: int = 0) -> Targets:
    return Targets(up=up, down=down, restarts=restarts)


class TestThreshold:
    @pytest.mark.parametrize(
        ("rule", "canary", "windows", "standing", "sentence"),
        [
            (threshold("errors", "5%"), events(60, 1000), 1, Standing.FAIL, "errors 6 %, above the limit of 5 %"),
            (
                threshold("errors", "5%", consecutive=3),
                events(60, 1000),
                2,
                Standing.PENDING,
                "errors 6 %, limit 5 %: 2 of 3 readings in a row above it",
            ),
            (
                threshold("errors", "5%", consecutive=3),
                events(60, 1000),
                3,
                Standing.FAIL,
                "errors 6 %, above the limit of 5 % in 3 readings in a row",
            ),
            (
                threshold("errors", "5%"),
                events(50, 1000),
                2,
                Standing.PENDING,
                "errors 5 %, limit 5 %: 0 of 1 reading above it",
            ),
            (
                threshold("ready", "99%", direction="lower"),
                events(900, 1000),
                1,
                Standing.FAIL,
                "ready 90 %, below the limit of 99 %",
            ),
            (threshold("memory", "1GiB"), level(2**31), 1, Standing.FAIL, "memory 2 GiB, above the limit of 1 GiB"),
            (threshold("errors", "5%"), events(0, 0), 2, Standing.NO_DATA, "errors: nothing read yet"),
            (
                threshold("errors", "5%"),
                GONE,
                2,
                Standing.NO_DATA,
                'errors: no data of the canary: no series match requests{version="1"}',
            ),
        ],
    )
    def test_sentences(
        self, rule: dict[str, object], canary: Side, windows: int, standing: Standing, sentence: str
    ) -> None:
        told = only(judged(plan(rule), [(canary, None)] * windows))
        assert (told.standing, told.reason) == (standing, sentence)

    def test_windows_without_numbers_neither_count_nor_break_the_run(self) -> None:
        rule = threshold("errors", "5%", consecutive=2)
        for between in (GONE, events(0, 0), events(float("nan"), 9), events(float("nan"), float("nan"))):
            state = judged(plan(rule), [(events(9, 10), None), (between, None), (events(9, 10), None)])
            assert judge.standing(state) == Standing.FAIL
        broken = judged(plan(rule), [(events(9, 10), None), (events(0, 10), None), (events(9, 10), None)])
        assert judge.standing(broken) == Standing.PENDING

    def test_a_pass_comes_at_the_deadline_alone(self) -> None:
        state = judged(plan(threshold("errors", "5%")), [(events(0, 10), None)] * 99)
        assert judge.standing(state) == Standing.PENDING
        assert judge.passes_at_deadline(state)
        assert judge.reason_to_pass(state) == "errors 0 %, limit 5 %: 0 of 1 reading above it"
        assert not judge.passes_at_deadline(judge.start(plan(threshold("errors", "5%"))))

    def test_a_failure_stays(self) -> None:
        state = judged(plan(threshold("errors", "5%")), [(events(9, 10), None), *[(events(0, 10), None)] * 9])
        assert judge.standing(state) == Standing.FAIL
        assert only(state).standing == Standing.FAIL

    def test_a_quantile_beyond_the_last_boundary_is_above_a_limit_there(self) -> None:
        window = classic([1, 10], np.full(9, 60.0))
        state = judged(plan(threshold("latency", "10s")), [(window, None)])
        assert only(state).reason == "latency-p99 more than 10 s, above the limit of 10 s"

    def test_it_has_no_e_value_and_a_limit(self) -> None:
        evidence = only(judged(plan(threshold("errors", "5%", consecutive=4)), [(events(1, 10), None)])).evidence
        assert (evidence.canary.value, evidence.limit, evidence.unit) == (0.1, 0.05, "share")
        assert (evidence.towards_fail, evidence.towards_pass, evidence.p_value) == (0.25, None, None)

    def test_after_the_act(self) -> None:
        state = judged(plan(threshold("errors", "5%")), [(events(9, 10), None)])
        assert judge.recovered(state, reading("errors", 9, events(0, 10))) is True
        assert judge.recovered(state, reading("errors", 9, events(1, 10))) is False
        assert judge.recovered(state, reading("errors", 9, GONE)) is None


class TestQuantiles:
    @pytest.mark.parametrize(
        ("bounds", "counts", "quantile", "expected"),
        [
            ((1.0, 2.0, INF), (50.0, 50.0, 0.0), 0.5, 1.0),
            ((1.0, 2.0, INF), (50.0, 50.0, 0.0), 0.75, 1.5),
            ((1.0, 2.0, INF), (100.0, 0.0, 0.0), 0.99, 0.99),
            ((1.0, 2.0, INF), (0.0, 0.0, 0.0), 0.99, None),
            ((INF,), (9.0,), 0.99, None),
            ((), (), 0.99, None),
            ((-1.0, 1.0, INF), (9.0, 0.0, 0.0), 0.5, -1.0),
        ],
    )
    def test_as_prometheus_interpolates(
        self, bounds: tuple[float, ...], counts: tuple[float, ...], quantile: float, expected: float | None
    ) -> None:
        found = quantile_of(Buckets(bounds=bounds, counts=counts), quantile)
        assert found == (expected if expected is None else pytest.approx(expected))

    def test_beyond_the_last_bound_it_is_just_above_it(self) -> None:
        found = quantile_of(Buckets(bounds=(1.0, INF), counts=(1.0, 9.0)), 0.9)
        assert found is not None
        assert 1 < found < 1 + 1e-12

    def test_a_native_bucket_begins_where_its_width_says(self) -> None:
        found = quantile_of(Buckets(bounds=(8.0, INF), counts=(2.0, 0.0), scale=0), 0.5)
        assert found == pytest.approx(6)


class TestHealth:
    RULE: dict[str, object] = {"health": "targets"}  # noqa: RUF012 -- never changed

    @pytest.mark.parametrize(
        ("windows", "standing", "sentence"),
        [
            ([], Standing.NO_DATA, "no scrape target of the canary seen"),
            (
                [(GONE, targets(1))],
                Standing.NO_DATA,
                'no scrape target of the canary seen: no series match requests{version="1"}',
            ),
            ([(targets(2), targets(2))], Standing.PASS, "2 of 2 targets of the canary up"),
            ([(targets(2, 0, 1), targets(2))], Standing.PASS, "2 of 2 targets of the canary up, restarted once"),
            ([(targets(1, 1), targets(2))] * 2, Standing.PENDING, "1 of 2 targets of the canary up"),
            (
                [(targets(1, 1), targets(2))] * 3,
                Standing.FAIL,
                "1 of 2 targets of the canary down in 3 readings in a row",
            ),
            ([(targets(2, 1), targets(2))] * 9, Standing.PASS, "2 of 3 targets of the canary up"),
            ([(targets(0, 1), targets(0, 2))] * 9, Standing.PENDING, "0 of 1 targets of the canary up"),
            (
                [(targets(2, 0, 1), targets(2))] * 3,
                Standing.FAIL,
                "the canary's processes restarted 3 times in 3 windows, the baseline's never",
            ),
            (
                [(targets(2, 0, 5), targets(2, 0, 1))],
                Standing.FAIL,
                "the canary's processes restarted 5 times in 1 window, the baseline's once",
            ),
            (
                [(targets(2, 0, 1), targets(2, 0, 1))] * 3,
                Standing.PASS,
                "2 of 2 targets of the canary up, restarted 3 times",
            ),
        ],
    )
    def test_sentences(self, windows: list[tuple[Side, Side | None]], standing: Standing, sentence: str) -> None:
        told = only(judged(plan(self.RULE), windows))
        assert (told.standing, told.reason) == (standing, sentence)

    def test_one_reading_is_enough_if_the_rule_says_so(self) -> None:
        state = judged(plan({**self.RULE, "consecutive": 1}), [(targets(0, 1), targets(2))])
        assert judge.reason_to_fail(state) == "1 of 1 targets of the canary down in 1 reading"

    def test_the_evidence_counts_targets(self) -> None:
        evidence = only(judged(plan(self.RULE), [(targets(1, 1), targets(2))])).evidence
        assert (evidence.canary.total, evidence.canary.bad) == (2, 1)
        assert evidence.towards_fail == pytest.approx(1 / 3)

    def test_after_the_act(self) -> None:
        state = judged(plan(self.RULE), [(targets(0, 1), targets(2))] * 3)
        assert judge.recovered(state, reading("health:targets", 9, GONE, targets(2))) is True
        assert judge.recovered(state, reading("health:targets", 9, targets(0, 1), targets(2))) is False
        assert judge.recovered(state, reading("health:targets", 9, GONE, targets(2, 0, 1))) is False
        assert judge.recovered(state, reading("health:targets", 9, GONE, GONE)) is None
