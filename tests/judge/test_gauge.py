import json
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from analyzer.judge import gauge
from analyzer.judge.gauge import GaugeEvidence, GaugePrior, GaugeSetting, block_interval, learn_gauge, pod_term

PRIOR = GaugePrior(0.01, 0.012, 30.0)
SETTING = GaugeSetting(0.1, 0.3, PRIOR)


def autoregression(seed: int, shape: tuple[int, int], rho: float) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(shape)
    for t in range(1, shape[-1]):
        values[:, t] = rho * values[:, t - 1] + np.sqrt(1 - rho * rho) * values[:, t]
    return 0.1 * values


def fold(setting: GaugeSetting, evidence: GaugeEvidence, values: np.ndarray) -> GaugeEvidence:
    for value in values:
        evidence = gauge.advance(setting, evidence, value)
    return evidence


def test_the_prior_knows_independent_noise() -> None:
    prior = learn_gauge(autoregression(1, (300, 240), 0.0))
    assert prior is not None
    assert np.median(prior.variance) == pytest.approx(0.01, rel=0.05)
    assert np.median(prior.long_run) < 0.02
    assert (prior.nu == 14).all()  # 15 blocks of 16


@pytest.mark.parametrize(("rho", "least"), [(0.7, 0.045), (0.9, 0.11)])
def test_the_prior_sees_moods_that_last(rho: float, least: float) -> None:
    prior = learn_gauge(autoregression(2, (300, 240), rho))
    assert prior is not None
    assert np.median(prior.long_run) > least  # the truth: 0.01 (1 + rho) / (1 - rho)


def test_the_prior_is_that_of_the_formulas() -> None:
    """A sawtooth on slow steps: next to no lag-one autocorrelation, and long means that vary."""
    at = np.arange(243)[::-1]
    y = np.where(at % 2, 0.06, -0.06) + np.where(at // 16 % 2, 0.1, 0.0) + 0.01 * np.random.default_rng(20).random(243)
    prior = learn_gauge(y)
    assert prior is not None
    blocks = np.array([y[243 - 16 * (i + 1) : 243 - 16 * i].mean() for i in range(15)])
    assert prior.long_run == pytest.approx(16 * blocks.var(ddof=1))
    assert prior.long_run > 3 * prior.variance / 2
    assert prior.variance == pytest.approx(y.var(ddof=1))


def test_the_prior_has_floors_and_needs_a_history() -> None:
    still = learn_gauge(np.zeros(100))
    assert still is not None
    assert (still.variance, still.long_run) == pytest.approx((0.0004, 0.0004))
    assert learn_gauge(np.zeros(5)) is None
    long = learn_gauge(np.random.default_rng(3).standard_normal(2500))
    assert long is not None
    assert long.nu == 30
    short = learn_gauge(np.random.default_rng(3).standard_normal(10))
    assert short is not None
    assert short.nu == 9


def test_a_higher_level_fails_and_an_equal_one_passes() -> None:
    noise = autoregression(4, (1, 40), 0.0)[0]
    worse = fold(SETTING, gauge.start(), np.log(1.5) + noise)
    assert worse.log_e_fail > np.log(100)
    assert worse.log_e_pass < 0
    assert worse.p_value == pytest.approx(np.exp(-worse.sup_fail))
    same = fold(SETTING, gauge.start(), noise)
    assert same.log_e_pass > np.log(20)
    assert same.log_e_fail < 0


@pytest.mark.parametrize("rho", [0.0, 0.7, 0.9])
def test_false_alarms_at_the_boundary_stay_below_their_probability(rho: float) -> None:
    y = autoregression(5, (1000, 360), rho)
    setting = GaugeSetting(0.1, 0.3, learn_gauge(y[:, :240]))
    at_tolerance = fold(setting, gauge.start((1000,)), np.log(1.1) + y[:, 240:].T)
    assert (at_tolerance.sup_fail >= np.log(20)).mean() <= 0.05
    at_margin = fold(setting, gauge.start((1000,)), np.log(1.3) + y[:, 240:].T)
    assert (at_margin.sup_pass >= np.log(20)).mean() <= 0.05


def test_the_e_value_is_the_deflated_mixture() -> None:
    y = np.array([0.5, 0.3, 0.6])
    seen = fold(GaugeSetting(0.1, None, GaugePrior(0.01, 0.012, 9.0)), gauge.start(), y)
    n, mean = 3, y.mean()
    phi = max(1, (9 + ((y - mean) ** 2).sum() / 0.01) / 11)
    shifts = np.geomspace(0.03, 2, 16)
    gains = (shifts * n * (mean - np.log(1.1)) - n * shifts**2 / 2) / 0.012
    assert (gains > 0).any()
    assert (gains < 0).any()
    deflated = np.where(gains > 0, 4.5 * np.log(1 + 2 * np.maximum(gains, 0) / (9 * phi)), gains)
    assert np.exp(seen.log_e_fail) == pytest.approx(np.exp(deflated).mean())


def test_pods_that_differ_widen_the_tolerance() -> None:
    rng = np.random.default_rng(6)
    levels = 100 * np.exp(0.2 * np.array([[-1.0], [0], [1]])) * (1 + 0.01 * rng.random((3, 50)))
    term = pod_term(levels, 4, 4)
    assert term == pytest.approx(2 * 0.2 * np.sqrt(0.5), rel=0.05)
    assert pod_term(levels[:1], 4, 4) == 0
    noise = autoregression(7, (1, 30), 0.0)[0]
    tolerant = GaugeSetting(0.1, 0.3, PRIOR, pods=term)
    assert fold(tolerant, gauge.start(), np.log(1.3) + noise).log_e_fail < 0
    assert fold(SETTING, gauge.start(), np.log(1.3) + noise).log_e_fail > np.log(100)
    assert fold(tolerant, gauge.start(), noise).log_e_pass < fold(SETTING, gauge.start(), noise).log_e_pass


def test_without_history_no_e_value_moves_and_an_interval_is_shown() -> None:
    setting = GaugeSetting(0.1, 0.3, None)
    seen = fold(setting, gauge.start(), np.log(1.5) + autoregression(8, (1, 80), 0.0)[0])
    assert (seen.log_e_fail, seen.log_e_pass) == (0, 0)
    shown = gauge.interval(setting, seen, 0.05)
    assert 1.3 < shown.low < 1.5 < shown.high < 1.8
    early = fold(setting, gauge.start(), np.full(10, 0.1))
    assert gauge.interval(setting, early, 0.05).high == inf
    nothing = gauge.interval(setting, gauge.start(), 0.05)
    assert (nothing.low, nothing.high) == (0, inf)
    assert isnan(nothing.estimate)


def test_blocks_are_means_of_whole_blocks() -> None:
    y = np.random.default_rng(21).standard_normal(27)
    seen = fold(GaugeSetting(0.1, block=8), gauge.start(), y)
    means = y[:24].reshape(3, 8).mean(axis=1)
    assert (seen.blocks, seen.filled) == (3, 3)
    assert seen.block_mean == pytest.approx(means.mean())
    assert seen.block_squares == pytest.approx(((means - means.mean()) ** 2).sum())
    assert seen.filling == pytest.approx(y[24:].sum())


def test_the_interval_agrees_with_the_e_process() -> None:
    seen = fold(SETTING, gauge.start(), np.log(1.4) + autoregression(9, (1, 30), 0.0)[0])
    shown = gauge.interval(SETTING, seen, 0.02)
    assert shown.low < 1.4 < shown.high
    at_low = GaugeSetting(shown.low - 1, None, PRIOR)
    again = fold(at_low, gauge.start(), np.log(1.4) + autoregression(9, (1, 30), 0.0)[0])
    assert again.log_e_fail == pytest.approx(np.log(100), abs=1e-4)


@pytest.mark.parametrize("n", [4, 5, 10, 50])
def test_the_block_interval_inverts_the_t_martingale(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n)

    def log_e(null: float) -> float:
        total, squares, c = (x - null).sum(), ((x - null) ** 2).sum(), 0.1
        ratio = (n + c) * squares / ((n + c) * squares - total**2)
        return float(0.5 * np.log(c / (n + c)) + n / 2 * np.log(ratio))

    end = brentq(lambda m: log_e(m) - np.log(20), x.mean(), x.mean() + 1e6)
    width = block_interval(n, float(((x - x.mean()) ** 2).sum()), 0.05)
    assert width == pytest.approx(end - x.mean())


def test_the_block_interval_covers_at_all_looks_together() -> None:
    x = np.random.default_rng(10).standard_normal((400, 40))
    outside = np.zeros(400, dtype=bool)
    for n in range(2, 41):
        seen = x[:, :n]
        squares = ((seen - seen.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        outside |= np.abs(seen.mean(axis=1)) > [block_interval(n, s, 0.1) for s in squares]
    assert outside.mean() <= 0.1


@given(values=st.lists(st.floats(-20, 20), min_size=2, max_size=30), cut=st.floats(0, 1), known=st.booleans())
@settings(max_examples=40)
def test_saved_and_loaded_it_continues_bit_for_bit(values: list[float], cut: float, *, known: bool) -> None:
    setting = SETTING if known else GaugeSetting(0.1, 0.3)
    y, at = np.array(values), int(cut * len(values))
    half = fold(setting, gauge.start(), y[:at])
    loaded = GaugeEvidence.from_json(json.loads(json.dumps(half.to_json())))
    whole = fold(setting, gauge.start(), y)
    assert json.dumps(fold(setting, loaded, y[at:]).to_json()) == json.dumps(whole.to_json())
    assert np.isfinite(whole.log_e_fail)
    assert GaugePrior.from_json(json.loads(json.dumps(PRIOR.to_json()))) == PRIOR


def test_a_level_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        gauge.advance(SETTING, gauge.start(), -np.inf)
