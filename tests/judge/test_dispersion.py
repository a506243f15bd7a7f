import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator

from analyzer.judge.arrays import Array
from analyzer.judge.dispersion import (
    NO_HISTORY,
    ROWS,
    Prior,
    add_row,
    alternate,
    deflate,
    learn_prior,
    posterior,
    residuals,
)


@given(
    ratio=st.floats(-1e6, 1e12, allow_subnormal=False),
    phi=st.floats(1, 1e6),
    nu=st.floats(3, 1e6),
    more=st.floats(0, 1e6),
)
def test_deflation_never_increases_and_keeps_order(ratio: float, phi: float, nu: float, more: float) -> None:
    low, high = deflate(np.array([ratio, ratio + more]), phi, nu)
    assert low <= ratio + 1e-12 * abs(ratio)
    assert low <= high
    assert (low > 0) == (ratio > 0) or abs(ratio) < 1e-300


def test_deflation_divides_by_the_design_effect_when_it_is_well_known() -> None:
    assert deflate(np.array(40.0), 4.0, 1e9) == pytest.approx(10, rel=1e-6)
    assert deflate(np.array(-40.0), 4.0, 3.0) == -40
    assert deflate(np.array(40.0), 1.0, 3.0) == pytest.approx(1.5 * np.log(1 + 80 / 3))


def binomial_history(rng: Generator, shape: tuple[int, ...], n: float, p: float) -> tuple[Array, Array, Array, Array]:
    counts = [rng.poisson(n, shape).astype(float) for _ in range(2)]
    events = [rng.binomial(x.astype(int), p).astype(float) for x in counts]
    return counts[0], events[0], counts[1], events[1]


def test_a_calm_history_gives_no_inflation() -> None:
    history = binomial_history(np.random.default_rng(7), (400, 160), 1000, 0.01)
    prior = learn_prior(*history)
    assert np.median(prior.phi) < 1.02
    assert np.quantile(prior.phi, 0.95) < 1.25
    assert np.median(prior.s) < 1.2
    assert (prior.nu == 30).all()
    assert not prior.trim.any()


def test_clusters_of_events_are_seen_in_the_design_effect() -> None:
    rng = np.random.default_rng(8)
    clusters = [rng.poisson(2, (200, 160)) for _ in range(2)]
    events = [x + np.where(x > 0, rng.negative_binomial(np.maximum(x, 1), 0.2), 0.0) for x in clusters]
    n = np.full((200, 160), 1000.0)
    prior = learn_prior(n, events[0], n, events[1])
    assert np.median(prior.phi) == pytest.approx(9, rel=0.15)  # (1 + (1-q)) / q with q = 1/5


def test_shocks_common_to_both_halves_are_not_noise() -> None:
    rng = np.random.default_rng(9)
    rate = 0.01 * np.exp(rng.standard_normal((200, 160)))
    n = np.full((200, 160), 2000)
    prior = learn_prior(n, rng.binomial(n, rate), n, rng.binomial(n, rate))
    assert np.median(prior.phi) < 1.1
    assert np.median(prior.s) < 1.2


def test_moods_that_last_are_seen_in_the_persistence() -> None:
    rng = np.random.default_rng(10)
    mood = np.zeros((100, 160))
    for t in range(1, 160):
        mood[:, t] = 0.9 * mood[:, t - 1] + np.sqrt(1 - 0.81) * rng.standard_normal(100)
    n = np.full((100, 160), 10000)
    first, second = rng.binomial(n, 0.01 * np.exp(0.3 * mood)), rng.binomial(n, 0.01)
    lasting = learn_prior(n, first, n, second)
    order = rng.permutation(160)
    shuffled = learn_prior(n, first[:, order], n, second[:, order])
    assert np.median(lasting.s) > 3
    assert np.median(shuffled.s) < 1.5


def effect(u: Array, v: Array) -> tuple[float, float]:
    t = sum(v) ** 2 / sum(v**2)
    return sum(u**2) / sum(v) * t / max(t - 1, 0.5), t


@pytest.mark.parametrize(
    ("pattern", "winner"),
    [("moods", "r"), ("swing", 16), ("pairs", 4), ("steps", 8), ("calm", "none"), ("faint", "none")],
)
def test_persistence_is_that_of_the_formulas(pattern: str, winner: object) -> None:
    """Histories worked out by plain loops, in which each of the candidates is the largest once."""
    rng = np.random.default_rng(11)
    n_1, n_2 = rng.poisson(300, 163).astype(float), rng.poisson(500, 163).astype(float)
    e_1, e_2 = rng.binomial(n_1.astype(int), 0.05) * 1.0, rng.binomial(n_2.astype(int), 0.04) * 1.0
    at = np.arange(163)[::-1]
    saw, moods = np.where(at % 2, 7.0, -7.0), np.repeat(rng.standard_normal(82), 2)[:163]
    e_1 += {
        "moods": 9 * moods,
        "swing": saw + np.where(at // 16 % 2, 12.0, 0.0),
        "pairs": saw + np.where(at // 4 % 2, 14.0, 0.0),
        "steps": saw + np.where(at // 8 % 2, 12.0, 0.0),
        "calm": saw,
        "faint": 20 * np.cos(1.42 * at),
    }[pattern]
    e_1 = np.maximum(e_1, 0.0)
    rho = (sum(e_1 * n_2 / (n_1 + n_2)) + 0.5) / (sum(e_2 * n_1 / (n_1 + n_2)) + 0.5)
    theta = rho * n_1 / (rho * n_1 + n_2)
    u, v = e_1 - (e_1 + e_2) * theta, (e_1 + e_2) * theta * (1 - theta)
    raw, t = effect(u, v)
    phi = max(1, (raw * t + 1) / (t + 1))
    candidates: dict[object, float] = {"none": 1.0}
    for k in (4, 8, 16):
        ends = range(163, 163 % k, -k)
        block, count = effect(np.array([sum(u[i - k : i]) for i in ends]), np.array([sum(v[i - k : i]) for i in ends]))
        candidates[k] = 1 + count / (count + 4) * (block / phi - 1)
    z = u / np.sqrt(v)
    r = sum(z[1:] * z[:-1]) / sum(z**2)
    assert r > 0 or pattern != "faint"
    candidates["r"] = (1 + r) / (1 - r) if r > 2.5 / np.sqrt(t) else 1.0
    assert max(candidates, key=lambda name: candidates[name]) == winner
    prior = learn_prior(n_1, e_1, n_2, e_2)
    assert (prior.phi, prior.nu, prior.s, prior.trim) == pytest.approx((phi, 30, candidates[winner], False))


def test_a_history_with_hardly_an_event_knows_little_and_trims() -> None:
    zeros = np.zeros(160)
    prior = learn_prior(zeros + 100, zeros, zeros + 100, zeros)
    assert (prior.phi, prior.nu, prior.s, prior.trim) == (1, 3, 1, True)
    one = zeros.copy()
    one[50] = 1
    prior = learn_prior(zeros + 100, one, zeros + 100, zeros)
    assert prior.nu == 3
    assert prior.trim
    assert learn_prior([], [], [], []) is NO_HISTORY


def test_a_history_without_a_single_event_teaches_nothing_of_noise() -> None:
    """As between two halves: a rate of half an event would leave the same residual in every interval."""
    zeros = np.zeros(160)
    prior = learn_prior(zeros + 100, zeros, zeros, zeros)
    assert (prior.phi, prior.nu, prior.s, prior.trim) == (1, 3, 1, True)


def test_a_limit_without_a_baseline_uses_the_rate_itself() -> None:
    rows = np.array([[100.0, 200, 300], [1, 8, 3], [0, 0, 0], [0, 0, 0]])
    u, v = residuals(rows)
    rate = 12 / 600
    np.testing.assert_allclose(u, rows[1] - rows[0] * rate)
    np.testing.assert_allclose(v, rows[0] * rate * (1 - rate))
    batch = np.stack([rows, np.array([[100.0, 200, 300], [1, 8, 3], [90, 210, 310], [2, 3, 4]])])
    u, v = residuals(batch)
    np.testing.assert_allclose(u[0], rows[1] - rows[0] * rate)
    np.testing.assert_allclose(u[1], residuals(batch[1])[0])


def test_the_run_corrects_its_prior() -> None:
    prior = Prior(1.0, 10.0, 1.0, trim=False)
    phi, nu = posterior(prior, np.zeros((4, 0)))
    assert (phi, nu) == (1, 10)
    n = np.full(40, 1000.0)
    noisy = np.stack([n, np.tile([0.0, 60], 20), n, np.full(40, 30.0)])
    phi, nu = posterior(prior, noisy)
    assert nu > 40
    assert phi > 5
    doubled, _ = posterior(Prior(1.0, 10.0, 2.0, trim=False), noisy)
    assert doubled == pytest.approx(2 * phi)


def test_the_correction_is_that_of_the_formulas() -> None:
    rng = np.random.default_rng(19)
    rows = np.stack([np.full(9, 500.0), rng.integers(5, 60, 9), np.full(9, 700.0), rng.integers(5, 60, 9)])
    u, v = residuals(rows)
    t = v.sum() ** 2 / (v**2).sum()
    phi, nu = posterior(Prior(1.7, 12.0, 1.5, trim=False), rows)
    assert nu == pytest.approx(12 + t - 1)
    assert phi == pytest.approx(1.5 * (12 * 1.7 + t * (u**2).sum() / v.sum()) / (12 + t - 1))
    assert phi > 5


def test_one_pod_lends_its_odd_and_even_intervals() -> None:
    n, e = np.arange(7.0) + 10, np.arange(7.0)
    n_1, e_1, n_2, e_2 = alternate(n, e)
    np.testing.assert_array_equal(e_1, [1, 3, 5])  # the oldest is left over
    np.testing.assert_array_equal(e_2, [2, 4, 6])
    np.testing.assert_array_equal(n_1 - e_1, [10, 10, 10])
    np.testing.assert_array_equal(n_2 - e_2, [10, 10, 10])


def test_rows_are_bounded_and_lose_nothing() -> None:
    rows, grain, filled = np.zeros((2, 4, 0)), 1, 0
    seen = np.zeros((2, 4))
    rng = np.random.default_rng(12)
    for t in range(1, 3000):
        counts = rng.integers(0, 9, (2, 4)).astype(float)
        rows, grain, filled = add_row(rows, counts, grain, filled)
        seen += counts
        assert rows.shape[-1] == -(-t // grain) <= ROWS
    assert grain == 8
    np.testing.assert_array_equal(rows.sum(-1), seen)


def test_a_prior_survives_json() -> None:
    for prior in (NO_HISTORY, learn_prior(*binomial_history(np.random.default_rng(13), (3, 40), 500, 0.1))):
        again = Prior.from_json(json.loads(json.dumps(prior.to_json())))
        for name in ("phi", "nu", "s", "trim"):
            np.testing.assert_array_equal(getattr(again, name), getattr(prior, name))
