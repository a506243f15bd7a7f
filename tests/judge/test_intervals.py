from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import norm

from analyzer.judge.intervals import rate_interval, ratio_interval


def rows(rng: np.random.Generator, intervals: int, p_c: float, p_b: float, n: int = 800) -> np.ndarray:
    requests = rng.poisson(n, (2, intervals))
    events = rng.binomial(requests, [[p_c], [p_b]])
    return np.stack([requests[0], events[0], requests[1], events[1]]).astype(float)


def test_nothing_is_known_without_events() -> None:
    empty = ratio_interval(np.array([[100.0], [0], [100], [0]]), 0.01)
    assert (empty.low, empty.high) == (0, inf)
    assert isnan(empty.estimate)
    assert ratio_interval(np.zeros((4, 0)), 0.01).high == inf
    assert ratio_interval(np.array([[100.0], [5], [0], [0]]), 0.01).high == inf
    none = rate_interval(0, 0, 0.01)
    assert (none.low, none.high) == (0, 1)


def test_errors_on_one_side_alone_leave_the_other_end_open() -> None:
    only_canary = ratio_interval(np.array([[1000.0], [30], [1000], [0]]), 0.01)
    assert only_canary.low > 2
    assert (only_canary.estimate, only_canary.high) == (inf, inf)
    only_baseline = ratio_interval(np.array([[1000.0], [0], [1000], [30]]), 0.01)
    assert only_baseline.high < 0.5
    assert (only_baseline.low, only_baseline.estimate) == (0, 0)


def test_the_estimate_is_the_ratio_and_the_interval_narrows() -> None:
    few = ratio_interval(np.array([[1000.0], [30], [2000], [20]]), 0.05)
    many = ratio_interval(np.array([[1e6], [3e4], [2e6], [2e4]]), 0.05)
    assert few.estimate == pytest.approx(3)
    assert many.estimate == pytest.approx(3)
    assert few.low < many.low < 3 < many.high < few.high


def test_the_estimate_compares_within_intervals() -> None:
    """Traffic shifts while the rate changes for both: pooled counts would say 0.32, each interval says 2."""
    stratified = np.array([[900.0, 100], [18, 100], [100.0, 900], [1, 450]])
    assert ratio_interval(stratified, 0.05).estimate == pytest.approx(2)


@given(phi=st.floats(1, 50), nu=st.floats(3, 100), alpha=st.floats(1e-4, 0.2))
@settings(max_examples=25)
def test_deflation_and_confidence_widen_it(phi: float, nu: float, alpha: float) -> None:
    data = rows(np.random.default_rng(16), 10, 0.03, 0.01)
    sharp, dull = ratio_interval(data, alpha), ratio_interval(data, alpha, phi, nu)
    assert dull.low <= sharp.low + 1e-9
    assert dull.high >= sharp.high - 1e-9
    surer = ratio_interval(data, alpha / 2, phi, nu)
    assert surer.low <= dull.low <= dull.high <= surer.high
    sharp, dull = rate_interval(3000, 40, alpha), rate_interval(3000, 40, alpha, phi, nu)
    assert dull.low <= sharp.low + 1e-9 < sharp.high <= dull.high + 1e-9


@pytest.mark.parametrize(("phi", "nu"), [(1.0, 1e9), (2.5, 8.0)])
def test_the_ends_of_the_ratio_are_where_the_mixture_reaches_the_bar(phi: float, nu: float) -> None:
    data = np.array([[500.0, 700], [9, 14], [800, 900], [10, 6]])
    found = ratio_interval(data, 0.02, phi, nu)

    def log_likelihood(x: float) -> float:
        odds = np.exp(x) * data[0] / data[2]
        return float((data[1] * np.log(odds / (1 + odds)) - data[3] * np.log(1 + odds)).sum())

    for end in (found.low, found.high):

        def integrand(x: float, end: float = end) -> float:
            gain = log_likelihood(x) - log_likelihood(np.log(end))
            deflated = nu / 2 * np.log1p(2 * gain / (nu * phi)) if gain > 0 else gain
            return float(np.exp(deflated) * norm.pdf(x))

        assert quad(integrand, -8, 8, limit=200)[0] == pytest.approx(50, rel=1e-4)


def test_the_ratio_is_covered_at_all_looks_together() -> None:
    rng = np.random.default_rng(17)
    missed = 0
    for _ in range(150):
        data = rows(rng, 20, 0.02, 0.01)
        looks = (ratio_interval(data[:, : k + 1], 0.1) for k in range(0, 20, 4))
        missed += any(not look.low <= 2 <= look.high for look in looks)
    assert missed <= 15


def test_the_ratio_interval_excludes_what_the_data_refute() -> None:
    data = rows(np.random.default_rng(18), 40, 0.03, 0.01)
    found = ratio_interval(data, 0.01)
    assert 1.5 < found.low < 3 < found.high < 5


@pytest.mark.parametrize(("n", "e"), [(1000, 0), (1000, 1), (1000, 37), (50, 50), (10, 5), (1e6, 900)])
def test_a_rate_has_the_closed_form_without_deflation(n: float, e: float) -> None:
    found = rate_interval(n, e, 0.01)
    assert found.estimate == e / n
    for end in {found.low, found.high} - {0.0, 1.0}:
        log_e = betaln(e + 0.5, n - e + 0.5) - betaln(0.5, 0.5) - e * np.log(end) - (n - e) * np.log1p(-end)
        assert log_e == pytest.approx(np.log(100), abs=1e-3)
    assert (found.low == 0) == (e == 0)
    assert (found.high == 1) == (e == n)


def test_more_events_than_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="more bad events"):
        rate_interval(5, 6, 0.01)


@given(scale=st.integers(0, 9), share=st.floats(0, 1), tilt=st.floats(1e-3, 1e3))
@settings(max_examples=40)
def test_every_size_stays_in_order(scale: int, share: float, tilt: float) -> None:
    n_c, n_b = 10.0**scale, float(np.ceil(10.0**scale * tilt))
    data = np.array([[n_c, n_c], [np.floor(n_c * share), 0], [n_b, n_b], [np.floor(n_b * share * 0.7), 1]])
    found = ratio_interval(data, 0.01, 2.0, 10.0)
    assert 0 <= found.low <= found.estimate <= found.high
    rate = rate_interval(n_c, np.floor(n_c * share), 0.01, 2.0, 10.0)
    assert 0 <= rate.low <= rate.estimate <= rate.high <= 1
