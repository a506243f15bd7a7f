"""What a rule tolerates, and the words for it."""

import numpy as np
import pytest

from analyzer.judge.null import Null
from analyzer.judge.rules.margins import limit_line, line, margins
from analyzer.judge.rules.sentences import between, number, share_of, times, tolerated, way
from analyzer.model.judgement import Interval, Standing
from analyzer.model.ruleset import Direction, MetricRule, Tolerance

INF = float("inf")


def rule(**more: object) -> MetricRule:
    return MetricRule.model_validate({"metric": "x", **more})


def parts(tolerance: Tolerance | None) -> tuple[float, float] | None:
    return None if tolerance is None else (tolerance.relative, tolerance.absolute)


class TestMargins:
    @pytest.mark.parametrize(
        ("written", "kind", "allowed", "within"),
        [
            pytest.param({}, "ratio", (0.1, 0.0005), (0.5, 0.001), id="ratio"),
            pytest.param({}, "histogram", (0.05, 0), (0.3, 0), id="histogram"),
            pytest.param({}, "gauge", (0.1, 0), (0.3, 0), id="gauge"),
            pytest.param({"direction": "lower"}, "ratio", (0, 0.005), (0, 0.01), id="good events"),
            pytest.param({"direction": "lower"}, "gauge", (0.1, 0), (0.3, 0), id="lower level"),
            pytest.param({"limit": "5%"}, "ratio", None, None, id="a limit and nothing else"),
            pytest.param(
                {"limit": "5%", "tolerance": {"relative": "20%"}}, "ratio", (0.2, 0), (0.5, 0.001), id="limit beside"
            ),
            pytest.param(
                {"limit": "5%", "passWithin": {"relative": "90%"}},
                "ratio",
                (0.1, 0.0005),
                (0.9, 0),
                id="limit and margin",
            ),
            pytest.param({"tolerance": {"relative": "400%"}}, "ratio", (4, 0), (8, 0.001), id="twice the tolerance"),
            pytest.param(
                {"tolerance": {"absolute": "2%"}}, "ratio", (0, 0.02), (0.5, 0.04), id="twice the absolute one"
            ),
            pytest.param({"tolerance": {"absolute": "80%"}}, "ratio", (0, 0.8), (0.5, 0.9), id="never all events"),
            pytest.param(
                {"direction": "lower", "tolerance": {"relative": "60%"}},
                "ratio",
                (0.6, 0),
                (0.8, 0),
                id="never to nothing",
            ),
            pytest.param(
                {"direction": "lower", "tolerance": {"relative": "60%"}},
                "gauge",
                (0.6, 0),
                (0.8, 0),
                id="level not to zero",
            ),
            pytest.param({"tolerance": {"relative": "20%"}}, "gauge", (0.2, 0), (0.4, 0), id="level"),
        ],
    )
    def test_defaults(
        self,
        written: dict[str, object],
        kind: str,
        allowed: tuple[float, float] | None,
        within: tuple[float, float] | None,
    ) -> None:
        found = margins(rule(**written), kind)
        assert parts(found.tolerated) == (allowed if allowed is None else pytest.approx(allowed))
        assert parts(found.within) == (within if within is None else pytest.approx(within))

    def test_the_margin_to_pass_within_is_never_one_that_everything_is_within(self) -> None:
        for direction in Direction:
            for relative in np.linspace(0, 0.99, 12):
                for absolute in (0.0, 0.3, 0.9):
                    tolerance = {"relative": float(relative), "absolute": absolute}
                    found = margins(rule(direction=direction, tolerance=tolerance), "ratio")
                    assert found.within is not None
                    assert found.within.absolute < 1
                    if direction == Direction.LOWER:
                        assert found.within.relative < 1


class TestLines:
    def test_bad_events(self) -> None:
        assert line(Tolerance(relative=0.1, absolute=0.01), Direction.HIGHER) == Null(1.1, 0.01)

    @pytest.mark.parametrize("good_b", [0.0, 0.3, 0.9, 1.0])
    def test_where_lower_is_worse_the_line_of_the_other_events_is_the_same(self, good_b: float) -> None:
        null = line(Tolerance(relative=0.1, absolute=0.02), Direction.LOWER)
        least_good = 0.9 * good_b - 0.02
        assert null.line(1 - good_b) == pytest.approx(min(1 - least_good, 1.02))

    def test_limits(self) -> None:
        assert limit_line(0.05, Direction.HIGHER) == Null(0.0, 0.05)
        assert limit_line(0.99, Direction.LOWER).d == pytest.approx(0.01)
        assert limit_line(0.0, Direction.HIGHER).d == limit_line(1.0, Direction.LOWER).d == 1e-9


class TestWords:
    @pytest.mark.parametrize(
        ("factor", "words"),
        [(1, "1.0 times"), (1.1, "1.1 times"), (2.345, "2.35 times"), (0.999999, "1.0 times"), (59.6, "60 times")],
    )
    def test_times(self, factor: float, words: str) -> None:
        assert times(factor) == words

    @pytest.mark.parametrize(
        ("interval", "standing", "words"),
        [
            ((2.1, INF), Standing.FAIL, "at least 2.1 times as many"),
            ((0.18, 5.5), Standing.PENDING, "between 0.18 and 5.5 times as many"),
            ((1e-6, 5.5), Standing.PENDING, "at most 5.5 times as many"),
            ((0.5, INF), Standing.PENDING, "at least 0.5 times as many"),
            ((0.5, 1e9), Standing.PENDING, "at least 0.5 times as many"),
            ((0, INF), Standing.PENDING, "nothing known yet of the ratio"),
            ((1e-9, 1e9), Standing.PENDING, "nothing known yet of the ratio"),
            ((120, 900), Standing.PENDING, "between 120 and 900 times as many"),
        ],
    )
    def test_between(self, interval: tuple[float, float], standing: Standing, words: str) -> None:
        low, high = interval
        assert between(Interval(low=low, estimate=None, high=high), standing) == words

    def test_tolerated(self) -> None:
        assert tolerated(Tolerance(relative=0.1), "share") == "1.1 times"
        assert tolerated(Tolerance(absolute=0.0005), "share") == "1.0 times + 0.05 %"
        assert tolerated(Tolerance(relative=0.1, absolute=0.01), "share", Direction.LOWER) == "0.9 times − 1 %"

    def test_shares(self) -> None:
        assert share_of(58, 3000) == "1.93 % (58 of 3000)"
        assert share_of(0, 0) == "no requests"
        assert (number(0.4), number(41.0), number(250.7), number(1e15)) == ("0.4", "41", "251", "1000000000000000")

    def test_the_way(self) -> None:
        assert way(0.12, 0.43) == "12 % of the way to a fail, 43 % to a pass"
        assert way(-3, None) == "0 % of the way to a fail"
        assert way(0.999, 0.999) == "99 % of the way to a fail, 99 % to a pass"
        assert way(1, 0.2) == "enough evidence for a fail"
        assert way(1.5, 0.2, advisory=True) == "enough evidence for a fail, but the rule is advisory"
