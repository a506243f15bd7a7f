import numpy as np
import pytest
from scipy.stats import beta, chi2, t

from analyzer.judge.before_after import fail_limit, pass_limit
from analyzer.judge.null import Null

CALM = (np.full(12, 10_000.0), np.array([98, 105, 101, 95, 99, 110, 92, 103, 97, 100, 104, 96.0]))


def test_a_calm_history_is_bounded_by_clopper_and_pearson() -> None:
    n, e = CALM[0].sum(), CALM[1].sum()
    found = fail_limit(*CALM, Null(1.1, 5e-4), alpha=0.01)
    assert found.rate == pytest.approx(1.1 * beta.ppf(1 - 0.001, e + 1, n - e) + 5e-4)
    assert found.level == pytest.approx(0.008)
    assert found.null.is_limit
    margin = pass_limit(*CALM, Null(1.5, 1e-3), beta=0.05)
    assert margin.rate == pytest.approx(1.5 * beta.ppf(0.005, e, n - e + 1) + 1e-3)
    assert margin.level == pytest.approx(0.04)


def test_no_error_in_the_past_is_bounded_by_its_length() -> None:
    found = fail_limit(np.full(12, 500.0), np.zeros(12), Null(1.0), alpha=0.01)
    assert found.rate == pytest.approx(1 - 0.001 ** (1 / 6000))
    assert pass_limit(np.full(12, 500.0), np.zeros(12), Null(1.5, 1e-3), beta=0.05).rate == 1e-3


def test_a_drifting_history_widens_both_limits() -> None:
    n, e = np.full(6, 10_000.0), np.array([50, 200, 90, 140, 70, 150.0])
    mu = np.full(6, e.mean())
    assert ((e - mu) ** 2 / mu).sum() > chi2.ppf(0.9, 5)
    tau = np.sqrt(np.log(1 + ((e - mu) ** 2 - mu).sum() / (mu**2).sum() * 6 / 5))
    widened = np.exp(t.ppf(1 - 0.001, 5) * tau)
    bound = beta.ppf(1 - 0.001, e.sum() + 1, n.sum() - e.sum())
    assert fail_limit(n, e, Null(1.1), 0.01).rate == pytest.approx(1.1 * bound * widened)
    assert pass_limit(n, e, Null(1.5), 0.01).rate < 1.5 * e.mean() / 1e4 / widened
    assert fail_limit(n[:2], e[:2], Null(1.1), 0.01).rate < 1.1 * 0.02  # two blocks tell no drift


def test_blocks_that_differ_no_more_than_chance_widen_nothing() -> None:
    n, e = np.full(6, 10_000.0), np.array([86, 113, 104, 85, 112, 97.0])
    statistic = ((e - e.mean()) ** 2 / e.mean()).sum()
    assert 6.5 < statistic < chi2.ppf(0.9, 5)
    assert fail_limit(n, e, Null(1.0), 0.01).rate == pytest.approx(beta.ppf(0.999, e.sum() + 1, n.sum() - e.sum()))


def test_a_huge_history_is_taken_for_certain() -> None:
    found = fail_limit(*CALM, Null(1.1), alpha=0.01, known=True)
    assert found.rate == pytest.approx(1.1 * 0.01)
    assert found.level == 0.01
    assert pass_limit(*CALM, Null(1.5), beta=0.05, known=True).rate == pytest.approx(1.5 * 0.01)


def test_a_history_without_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="no requests"):
        fail_limit(np.zeros(5), np.zeros(5), Null(1.1), 0.01)


def test_limits_hold_where_the_rate_drifts() -> None:
    """Limits from one hour, the truth of the next five minutes: within it as often as promised."""
    rng = np.random.default_rng(15)
    beyond = below = 0
    for _ in range(400):
        rate = 0.01 * np.exp(0.3 * rng.standard_normal(13) - 0.045)
        e = rng.binomial(10_000, rate[:12]).astype(float)
        beyond += rate[12] > fail_limit(np.full(12, 1e4), e, Null(1.0), 0.1).rate
        below += rate[12] < pass_limit(np.full(12, 1e4), e, Null(1.0), 0.1).rate
    assert beyond <= 400 * 0.02 + 9
    assert below <= 400 * 0.02 + 9
