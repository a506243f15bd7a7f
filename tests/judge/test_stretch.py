import json

import numpy as np
import pytest
from scipy.special import ndtr

from analyzer.judge.dispersion import NO_HISTORY
from analyzer.judge.histogram import Tails
from analyzer.judge.stretch import Plan, kappa, learn_plan

BOUNDS = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])


def lognormal_tail(bounds: np.ndarray) -> np.ndarray:
    return 1 - ndtr(np.log(bounds / 0.08) / 0.6)


def half(bounds: np.ndarray, seed: int, windows: int = 160, n: int = 20_000) -> Tails:
    rng = np.random.default_rng(seed)
    slower = rng.binomial(n, lognormal_tail(bounds)[:, None], (bounds.size, windows)).astype(float)
    return Tails(tuple(bounds), np.full(windows, float(n)), slower)


def test_kappa_is_the_tail_that_a_stretch_moves_beyond_the_boundary() -> None:
    fine = np.geomspace(0.01, 2, 60)
    found = kappa(fine, lognormal_tail(fine), 0.2)
    inside = (lognormal_tail(fine) < 0.9) & (lognormal_tail(fine) > 1e-4)
    np.testing.assert_allclose(found[inside], (lognormal_tail(fine / 1.2) / lognormal_tail(fine))[inside], rtol=0.01)


def test_kappa_is_at_least_one_and_at_most_everything() -> None:
    tail = lognormal_tail(BOUNDS)
    for stretch in (0.01, 0.05, 0.3, 3.0):
        found = kappa(BOUNDS, tail, stretch)
        assert (found >= 1).all()
        assert (found * tail <= 1 + 1e-12).all()
    assert (kappa(BOUNDS, tail, 0.0) == 1).all()
    assert (kappa(BOUNDS, np.where(BOUNDS == 0.1, 0.3, 0.0), 0.1) == 1).all()
    assert np.isfinite(kappa(np.array([-1.0, 0.0, 0.1, 0.2]), np.array([1, 0.9, 0.5, 0.1]), 0.1)).all()


def test_a_plan_looks_at_boundaries_from_the_bulk_to_the_tail() -> None:
    plan = learn_plan(half(BOUNDS, 1), half(BOUNDS, 2), 0.99, 0.05, 0.3)
    np.testing.assert_array_equal(plan.boundaries, [0.1, 0.25, 0.5])
    assert plan.boundaries[plan.nearest] == 0.25
    assert plan.weights.sum() == pytest.approx(1)
    assert plan.weights.argmax() == plan.nearest
    assert (plan.kappa_pass > plan.kappa_fail).all()
    assert np.shape(plan.prior.phi) == (3,)


def test_a_fine_histogram_is_looked_at_in_nine_places_at_most() -> None:
    fine = np.geomspace(0.01, 2, 100)
    plan = learn_plan(half(fine, 3), half(fine, 4), 0.99, 0.05, 0.3)
    assert 8 <= plan.boundaries.size <= 9
    tails = lognormal_tail(plan.boundaries)
    assert tails.max() == pytest.approx(0.6, rel=0.1)
    assert tails.min() == pytest.approx(0.001, rel=0.3)
    steps = np.diff(np.log(tails))
    assert steps.min() > 2.5 * np.median(steps)  # log-spaced: no step much longer than the others
    assert tails[plan.nearest] == pytest.approx(0.01, rel=0.15)


def test_without_an_eligible_boundary_the_nearest_is_taken() -> None:
    coarse = np.array([0.001, 5.0])
    plan = learn_plan(half(coarse, 5), half(coarse, 6), 0.99, 0.05, 0.3)
    assert plan.boundaries.size == 1
    assert plan.weights.tolist() == [1]
    assert plan.nearest == 0
    assert plan.kappa_fail.tolist() == [1]


def test_only_boundaries_that_the_canary_has_are_judged() -> None:
    plan = learn_plan(half(BOUNDS, 1), half(BOUNDS, 2), 0.99, 0.05, 0.3, allowed=(0.1, 0.5, 7.0))
    np.testing.assert_array_equal(plan.boundaries, [0.1, 0.5])
    with pytest.raises(ValueError, match="in common"):
        learn_plan(half(BOUNDS, 1), None, 0.99, 0.05, 0.3, allowed=(7.0,))


def test_one_sample_gives_a_plan_without_a_prior() -> None:
    plan = learn_plan(half(BOUNDS, 1, windows=8), None, 0.99, 0.05, 0.3)
    assert plan.prior is NO_HISTORY
    with pytest.raises(ValueError, match="no requests"):
        learn_plan(Tails((0.1,), np.zeros(3), np.zeros((1, 3))), None, 0.99, 0.05, 0.3)


def test_a_plan_survives_json() -> None:
    plan = learn_plan(half(BOUNDS, 1), half(BOUNDS, 2), 0.99, 0.05, 0.3)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    for name in ("boundaries", "weights", "kappa_fail", "kappa_pass", "nearest"):
        np.testing.assert_array_equal(getattr(again, name), getattr(plan, name))
    np.testing.assert_array_equal(again.prior.s, plan.prior.s)
