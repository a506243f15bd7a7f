"""What a rule can still say: how long, at what price, and what is not found by the deadline."""

from math import inf

import pytest

from analyzer.judge.null import Null
from analyzer.judge.rules.outlook import Outlook, note
from analyzer.model.judgement import Interval


def outlook(canary: float = 100, baseline: float = 100, *, seconds: float = 60, rate: float = 0.01) -> Outlook:
    """A service with these requests per second and this rate of bad ones of the baseline."""
    n_c, n_b = canary * seconds, baseline * seconds
    return Outlook(
        counts=(n_c, n_c * rate, n_b, n_b * rate),
        seconds=seconds,
        tolerated=Null(1.1, 0.0005),
        within=Null(1.5, 0.001),
        alpha=0.01,
        beta=0.05,
        phi=1.0,
        interval=15.0,
    )


def at(estimate: float, high: float = 3.0) -> Interval:
    return Interval(low=0.5, estimate=estimate, high=high)


def test_a_clear_regression_takes_less_time_than_a_faint_one() -> None:
    clear, faint = (outlook().seconds_left(at(ratio), (0.0, 0.0)) for ratio in (5.0, 1.6))
    assert clear is not None
    assert faint is not None
    assert 0 < clear < faint


def test_what_has_been_done_counts() -> None:
    whole = outlook().seconds_left(at(2.0), (0.0, 0.0))
    half = outlook().seconds_left(at(2.0), (0.5, -3.0))
    assert whole is not None
    assert half == pytest.approx(whole / 2)


def test_between_tolerance_and_margin_either_takes_long_and_beyond_the_margin_only_a_fail() -> None:
    assert outlook().seconds_left(at(1.0), (0.0, 0.0)) is not None
    assert outlook().seconds_left(Interval(low=0, estimate=None, high=inf), (0.0, 0.0)) is None
    assert outlook(canary=0).seconds_left(at(2.0), (0.0, 0.0)) is None


def test_extra_bad_requests_at_worst() -> None:
    extra = outlook().extra_bad(at(1.0, high=3.0))
    assert extra == pytest.approx((3 - 1) * 0.01 * 100, rel=0.02)
    assert outlook().extra_bad(at(0.5, high=0.8)) == 0.0
    assert outlook().extra_bad(at(1.0, high=inf)) is None


def test_what_is_found_by_the_deadline_shrinks_with_traffic() -> None:
    little, much = (outlook(traffic, traffic).found_by(600) for traffic in (10, 1000))
    assert little is not None
    assert much is not None
    assert 1.1 < much < little
    assert outlook(0.01, 0.01, seconds=6000).found_by(600) == inf


def test_the_note_says_it_in_words() -> None:
    assert note("errors", None, 5) == ""
    assert note("errors", 2.345, 12.0) == (
        "errors: at 12 requests per second to the canary a regression of 2.35 times is found by the deadline "
        "in four of five runs"
    )
    assert "no regression is found by the deadline" in note("errors", inf, 0.01)
