from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from analyzer.judge.arrays import Array
from analyzer.judge.bets import FAIL_GRID, PASS_GRID, STAKES, Grid, baseline_guess, likelihood_gains, share_gains
from analyzer.judge.null import Null

KINDS = [
    (1.1, 0.0),
    (1.0, 2e-3),
    (1.0, 0.05),
    (0.0, 0.05),
    (0.0, 0.3),
    (1.1, 5e-4),
    (1.5, 1e-2),
    (1.0, 0.0),
    (0.5, 0.0),
]
SIZES = [(1, 1), (5, 4), (2, 11), (12, 3)]
GUESSES = [1e-6, 0.01, 0.4]
BASES = [0.0, 1e-4, 0.03, 0.2, 0.5]


def everything(n_c: int, n_b: int) -> Array:
    e_c, e_b = np.meshgrid(np.arange(n_c + 1), np.arange(n_b + 1), indexing="ij")
    full = np.ones_like(e_c, dtype=float)
    return np.stack([full * n_c, e_c, full * n_b, e_b], axis=-1).astype(float)


def expectation(gains: Array, counts: Array, p_c: float, p_b: float) -> Array:
    n_c, e_c, n_b, e_b = np.moveaxis(counts, -1, 0)
    chance = binom.pmf(e_c, n_c, p_c) * binom.pmf(e_b, n_b, p_b)
    return (chance[..., None] * np.exp(gains)).sum(axis=(0, 1))


def inside(null: Null, grid: Grid, p_b: float) -> list[float]:
    """Canary rates on the null and inside it."""
    line = null.a * p_b + null.d
    if grid is FAIL_GRID:
        return [min(line, 1.0) * share for share in (1.0, 0.99, 0.6, 0.1, 0.0)]
    return [line + (1 - line) * share for share in (0.0, 0.01, 0.3, 1.0)] if line <= 1 else []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [FAIL_GRID, PASS_GRID], ids=["fail", "pass"])
def test_no_likelihood_bet_gains_in_expectation_under_the_null(kind: tuple[float, float], grid: Grid) -> None:
    null = Null(*kind)
    looked_at = 0
    for (n_c, n_b), guess, p_b in product(SIZES, GUESSES, BASES):
        counts = everything(n_c, n_b)
        gains = likelihood_gains(null.lifted(), grid, np.full(counts.shape[:2], guess), counts)
        for p_c in inside(null, grid, p_b):
            assert expectation(gains, counts, p_c, p_b).max() <= 1 + 1e-9
            looked_at += 1
    assert looked_at >= 100


@pytest.mark.parametrize("grid", [FAIL_GRID, PASS_GRID], ids=["fail", "pass"])
def test_the_expectation_test_can_fail(grid: Grid) -> None:
    null, p_b = Null(1.1), 0.2
    beyond = 1.4 * 1.1 * p_b if grid is FAIL_GRID else 0.5 * 1.1 * p_b
    counts = everything(12, 11)
    gains = likelihood_gains(null.lifted(), grid, np.full(counts.shape[:2], p_b), counts)
    assert expectation(gains, counts, beyond, p_b).max() > 1.01


@pytest.mark.parametrize("a", [0.7, 1.0])
def test_no_share_bet_gains_in_expectation_at_equal_rates_or_less(a: float) -> None:
    for (n_c, n_b), p_b in product(SIZES, (0.01, 0.3, 0.9)):
        counts = everything(n_c, n_b)
        gains = share_gains(Null(a), FAIL_GRID, counts)
        assert expectation(gains, counts, a * p_b, p_b).max() <= 1 + 1e-9
        if a == 1:
            assert expectation(share_gains(Null(a), PASS_GRID, counts), counts, p_b, p_b).max() <= 1 + 1e-9


def test_share_bets_hold_under_any_clustering() -> None:
    """All events of an interval are one burst, of any size, thrown over both sides by their traffic."""
    n_c, n_b = 6, 9
    for burst in range(1, n_c + n_b + 1):
        e_c = np.arange(n_c + 1.0)
        counts = np.stack([np.full_like(e_c, n_c), e_c, np.full_like(e_c, n_b), burst - e_c], axis=-1)
        chance = hypergeom.pmf(e_c, n_c + n_b, n_c, burst)[:, None]
        possible = chance[:, 0] > 0
        for grid in (FAIL_GRID, PASS_GRID):
            gains = share_gains(Null(1.0), grid, counts[possible])
            assert (chance[possible] * np.exp(gains)).sum(axis=0).max() <= 1 + 1e-9


counts_of = st.tuples(st.integers(1, 10**7), st.floats(0, 1), st.integers(1, 10**7), st.floats(0, 1)).map(
    lambda x: np.array([x[0], int(x[0] * x[1]), x[2], int(x[2] * x[3])], dtype=float)
)
guesses = st.floats(1e-7, 0.5).map(np.array)
grids = st.sampled_from([FAIL_GRID, PASS_GRID])
kinds = st.sampled_from(KINDS).map(lambda kind: Null(*kind))


@given(counts=counts_of, guess=guesses, grid=grids, a=st.floats(0.5, 3))
def test_without_an_absolute_part_it_is_the_conditional_binomial_likelihood_ratio(
    counts: Array, guess: Array, grid: Grid, a: float
) -> None:
    n_c, e_c, n_b, e_b = counts
    tolerated = a * n_c / (a * n_c + n_b)
    alternative = grid.multiples * a * n_c / (grid.multiples * a * n_c + n_b)
    expected = e_c * np.log(alternative / tolerated) + e_b * np.log((1 - alternative) / (1 - tolerated))
    found = likelihood_gains(Null(a).lifted(), grid, guess, counts)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@given(counts=counts_of, guess=guesses, grid=grids, a=st.floats(0.5, 3))
def test_gains_are_continuous_as_the_absolute_part_vanishes(counts: Array, guess: Array, grid: Grid, a: float) -> None:
    exact = likelihood_gains(Null(a).lifted(), grid, guess, counts)
    nearly = likelihood_gains(Null(a, 1e-18).lifted(), grid, guess, counts)
    np.testing.assert_allclose(nearly, exact, rtol=1e-6, atol=1e-6)


@given(counts=counts_of, times=st.integers(2, 5), guess=guesses, grid=grids, null=kinds)
def test_intervals_of_equal_traffic_ratio_merge_into_their_sum(
    counts: Array, times: int, guess: Array, grid: Grid, null: Null
) -> None:
    other = counts * [times, 0, times, 0]
    other[1], other[3] = other[0] // 3, other[2] // 7
    apart = sum(likelihood_gains(null.lifted(), grid, guess, x) for x in (counts, other))
    together = likelihood_gains(null.lifted(), grid, guess, counts + other)
    scale = np.abs(apart).max() + counts.sum()
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-9 * scale)


@given(counts=counts_of, guess=guesses, grid=grids, null=kinds)
def test_a_side_without_requests_says_nothing(counts: Array, guess: Array, grid: Grid, null: Null) -> None:
    alone = counts * [0, 0, 1, 1]
    assert not likelihood_gains(null.lifted(), grid, guess, alone).any()
    if null.is_limit:
        assert likelihood_gains(null.lifted(), grid, guess, counts * [1, 1, 0, 0]).any()
        return
    assert not likelihood_gains(null.lifted(), grid, guess, counts * [1, 1, 0, 0]).any()
    if null.is_relative:
        assert not share_gains(null, grid, alone).any()
        assert not share_gains(null, grid, counts * [1, 1, 0, 0]).any()
        assert not share_gains(null, grid, counts * [1, 0, 1, 0]).any()


@given(counts=counts_of, guess=guesses, grid=grids, null=kinds)
def test_gains_are_finite_at_every_size(counts: Array, guess: Array, grid: Grid, null: Null) -> None:
    for scale in (1.0, 1e5):
        assert np.isfinite(likelihood_gains(null.lifted(), grid, guess, counts * scale)).all()
        if null.is_relative:
            assert np.isfinite(share_gains(null, grid, counts * scale)).all()


def test_grids_are_those_of_the_method() -> None:
    assert FAIL_GRID.multiples[[0, -1]] == pytest.approx([1.06, 60])
    assert len(FAIL_GRID.multiples) == 24
    assert PASS_GRID.multiples[[0, -2, -1]] == pytest.approx([0.02, 0.95, 1e-6])
    assert len(PASS_GRID.multiples) == 16
    assert STAKES[[0, -1]] == pytest.approx([0.05, 0.98])
    assert len(STAKES) == 16
    for grid in (FAIL_GRID, PASS_GRID):
        weights = np.exp(grid.log_weights)
        assert weights.sum() == pytest.approx(1)
        shape = weights * (1 + (np.log(grid.multiples) / np.log(4)) ** 2)
        assert shape == pytest.approx(np.full_like(shape, shape[0]))


def test_the_baseline_is_guessed_from_what_it_showed_and_half_an_event() -> None:
    assert baseline_guess(np.array(0.0), np.array(0.0), 1e-4) == pytest.approx(1e-4)
    assert baseline_guess(np.array(5000.0), np.array(2.0), 1e-4) == pytest.approx(2.5 / 10000)
