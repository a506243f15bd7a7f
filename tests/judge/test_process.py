import json
from collections.abc import Iterable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analyzer.judge.bets import FAIL_GRID, PASS_GRID, likelihood_gains
from analyzer.judge.dispersion import NO_HISTORY, Prior
from analyzer.judge.null import Null
from analyzer.judge.process import Evidence, Setting, advance, start

Counts = tuple[float, float, float, float]

KNOWN = Prior(1.0, 1e12, 1.0, trim=False)
"""Independent requests for certain: nothing is deflated."""

SETTINGS = {
    "relative": Setting(Null(1.1), Null(1.5), planned=40),
    "absolute": Setting(Null(1.0, 1e-3), Null(1.0, 2e-3), planned=40),
    "both": Setting(Null(1.1, 5e-4), Null(1.5, 1e-3), planned=40, prior=Prior(1.4, 12.0, 1.3, trim=False)),
    "limit": Setting(Null(0.0, 0.05), Null(0.0, 0.1), planned=0),
    "limit only": Setting(Null(0.0, 0.05), planned=120),
    "margin only": Setting(None, Null(1.5)),
}


def fold(setting: Setting, evidence: Evidence, counts: Iterable[Counts]) -> Evidence:
    for one in counts:
        evidence = advance(setting, evidence, *one)
    return evidence


def release(seed: int, length: int, p_c: float, p_b: float, n: int = 1000) -> list[Counts]:
    rng = np.random.default_rng(seed)
    return [(n, rng.binomial(n, p_c), n, rng.binomial(n, p_b)) for _ in range(length)]


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_no_traffic_and_no_errors_leave_it_at_zero(setting: Setting) -> None:
    quiet = fold(setting, start(setting), [(0, 0, 0, 0)] * 50)
    assert quiet.log_e_fail == pytest.approx(0, abs=1e-12)
    assert quiet.log_e_pass == pytest.approx(0, abs=1e-12)
    relative = Setting(Null(1.1), Null(1.5), planned=40)
    spotless = fold(relative, start(relative), [(500, 0, 400, 0)] * 50)
    assert spotless.log_e_fail == pytest.approx(0, abs=1e-12)
    assert spotless.log_e_pass == pytest.approx(0, abs=1e-12)
    assert spotless.p_value == pytest.approx(1)


@pytest.mark.parametrize("null", [Null(1.5, 1e-3), Null(0.0, 1e-3), Null(1.0, 1e-3)])
def test_no_errors_on_either_side_pass_an_absolute_margin(null: Null) -> None:
    setting = Setting(Null(1.1, 5e-4), null, planned=40)
    evidence = fold(setting, start(setting), [(1500, 0, 1500, 0)] * 40)
    assert evidence.log_e_pass > np.log(1 / 0.05)
    assert evidence.log_e_fail < 0


def test_a_worse_canary_fails_and_a_better_one_passes() -> None:
    setting = Setting(Null(1.1), Null(1.5), planned=40)
    worse = fold(setting, start(setting), release(1, 40, 0.03, 0.01))
    assert worse.log_e_fail > np.log(100)
    assert worse.log_e_pass < 0
    assert worse.p_value == pytest.approx(np.exp(-worse.sup_fail))
    better = fold(setting, start(setting), release(2, 40, 0.01, 0.03))
    assert better.log_e_pass > np.log(20)
    assert better.log_e_fail < 0


def test_a_limit_needs_no_baseline() -> None:
    setting = Setting(Null(0.0, 0.02), Null(0.0, 0.04))
    alone = fold(setting, start(setting), [(n, e, 0, 0) for n, e, _, _ in release(3, 20, 0.05, 0.0)])
    assert alone.log_e_fail > np.log(100)
    compared = fold(setting, start(setting), release(3, 20, 0.05, 0.05))
    assert compared.log_e_fail > np.log(100)


@pytest.mark.parametrize("kind", [(1.1, 0.0), (1.0, 0.0), (1.0, 0.2), (0.0, 0.3), (1.1, 0.05)])
def test_the_whole_process_expects_no_gain_under_the_null(kind: tuple[float, float]) -> None:
    """Two intervals of every possible outcome, the second's bets guided by the first's baseline."""
    n_c, n_b, p_b = 3, 4, 0.3
    line = kind[0] * p_b + kind[1]
    outcomes = list(product(range(n_c + 1), range(n_b + 1)))
    steps = np.array(list(product(outcomes, outcomes)), dtype=float)  # (outcome, interval, side)
    setting = Setting(Null(*kind), Null(*kind), shares=kind[0] <= 1, prior=KNOWN)
    evidence = start(setting, (len(steps),))
    for t in range(2):
        evidence = advance(setting, evidence, n_c, steps[:, t, 0], n_b, steps[:, t, 1])
    for p_c in (line, 0.6 * line):
        chance = (binom.pmf(steps[..., 0], n_c, p_c) * binom.pmf(steps[..., 1], n_b, p_b)).prod(axis=1)
        assert (chance * np.exp(evidence.log_e_fail)).sum() <= 1 + 1e-9
    for p_c in (line, line + 0.3 * (1 - line)):
        chance = (binom.pmf(steps[..., 0], n_c, p_c) * binom.pmf(steps[..., 1], n_b, p_b)).prod(axis=1)
        assert (chance * np.exp(evidence.log_e_pass)).sum() <= 1 + 1e-9


def test_false_alarms_at_the_boundary_stay_below_their_probability() -> None:
    rng = np.random.default_rng(14)
    setting = Setting(Null(1.1), planned=60, prior=KNOWN)
    evidence = start(setting, (1000,))
    for _ in range(60):
        n = rng.poisson(800, (2, 1000))
        e = rng.binomial(n, [[0.022], [0.02]])
        evidence = advance(setting, evidence, n[0], e[0], n[1], e[1])
    assert (evidence.sup_fail >= np.log(20)).mean() <= 0.05
    assert evidence.sup_fail.max() > 1  # it has moved


def test_restarts_find_what_starts_late() -> None:
    late = release(4, 60, 0.01, 0.02) + release(5, 25, 0.025, 0.01)
    without, planned = (Setting(Null(1.1), planned=m, prior=KNOWN) for m in (0, 120))
    assert planned.restarts == 11
    assert without.restarts == 0
    assert fold(planned, start(planned), late).log_e_fail > np.log(100)
    assert fold(without, start(without), late).log_e_fail < 0


def test_restarts_are_those_of_the_plan_and_no_more() -> None:
    setting = Setting(Null(1.1), planned=40, prior=NO_HISTORY)
    evidence = start(setting)
    for t in range(1, 80):
        evidence = advance(setting, evidence, 100, 1, 100, 1)
        assert evidence.fail.likelihood.shape[0] == 1 + min((t - 1) // 10, 3)
    assert Setting(Null(1.1), planned=10).restarts == 0
    assert Setting(Null(1.1), planned=11).restarts == 1


def test_a_restart_counts_from_its_own_interval_and_holds_cash_before() -> None:
    """With R = 1, by the formula: half on the whole, half on the sum since the restart (or in cash)."""
    counts = release(6, 20, 0.02, 0.02)
    setting = Setting(Null(1.1), planned=11, prior=KNOWN)
    plain = Setting(Null(1.1), planned=0, prior=KNOWN)
    before = fold(setting, start(setting), counts[:10])
    whole = fold(plain, start(plain), counts[:10])
    assert before.log_e_fail == pytest.approx(np.log(0.5 * np.exp(whole.log_e_fail) + 0.5))
    after = fold(setting, before, counts[10:])
    gained = fold(plain, start(plain), counts).fail.likelihood - whole.fail.likelihood
    np.testing.assert_allclose(after.fail.likelihood[1], gained[0])


def test_one_burst_cannot_decide_alone_without_history() -> None:
    burst = [(1000, 1, 1000, 1)] * 5 + [(1000, 300, 1000, 1)] + [(1000, 1, 1000, 1)] * 5
    trusting = Setting(Null(1.1, 5e-4), Null(1.5, 1e-3), prior=KNOWN)
    careful = Setting(Null(1.1, 5e-4), Null(1.5, 1e-3), prior=NO_HISTORY)
    assert fold(trusting, start(trusting), burst).sup_fail > np.log(100)
    assert fold(careful, start(careful), burst).sup_fail < np.log(20)


@pytest.mark.parametrize("trim", [True, False])
def test_the_e_value_is_that_of_the_formulas(*, trim: bool) -> None:
    """Two intervals worked out by plain loops; the guess of the baseline's rate comes from before."""
    setting = Setting(Null(1.1), Null(1.5), prior=Prior(1.6, 9.0, 1.4, trim=trim))
    intervals = [(400.0, 12.0, 500.0, 6.0), (300.0, 5.0, 450.0, 6.0)]
    found = fold(setting, start(setting), intervals)
    phi, nu = float(found.phi), float(found.nu)

    def deflated(gain: float) -> float:
        return nu / 2 * np.log(1 + 2 * gain / (nu * phi)) if gain > 0 else gain

    for side, grid, a, sign in (("fail", FAIL_GRID, 1.1, 1), ("pass", PASS_GRID, 1.5, -1)):
        total = 0.0
        for g, weight in zip(grid.multiples, np.exp(grid.log_weights), strict=True):
            single = []
            for n_c, e_c, n_b, e_b in intervals:
                t0, t1 = a * n_c / (a * n_c + n_b), g * a * n_c / (g * a * n_c + n_b)
                single.append(e_c * np.log(t1 / t0) + e_b * np.log((1 - t1) / (1 - t0)))
            total += weight / 2 * np.exp(deflated(sum(single) - max(0.0, *single) * trim))
        for stake in np.linspace(0.05, 0.98, 16):
            gain = 0.0
            for n_c, e_c, n_b, e_b in intervals:
                theta, share = a * n_c / (a * n_c + n_b), e_c / (e_c + e_b)
                gain += np.log1p(stake * ((share - theta) / theta if sign > 0 else (theta - share) / (1 - theta)))
            total += np.exp(gain / 1.4 if gain > 0 else gain) / 32
        assert getattr(found, f"log_e_{side}") == pytest.approx(np.log(total))


def test_bets_know_the_baseline_of_earlier_intervals_only() -> None:
    setting = Setting(Null(1.1, 1e-3), Null(1.5, 2e-3), prior=KNOWN)
    first, second = np.array([400.0, 12, 500, 25]), np.array([300.0, 5, 450, 6])
    one = fold(setting, start(setting), [tuple(first)])
    gains = likelihood_gains(Null(1.1, 1e-3).lifted(), FAIL_GRID, np.array(2e-3), first)
    np.testing.assert_allclose(one.fail.likelihood[0], gains)
    two = fold(setting, one, [tuple(second)])
    guess = np.array(25.5 / (500 + 250))
    more = likelihood_gains(Null(1.1, 1e-3).lifted(), FAIL_GRID, guess, second)
    np.testing.assert_allclose(two.fail.likelihood[0], gains + more)


def test_the_largest_value_ever_is_kept() -> None:
    setting = Setting(Null(1.1), Null(1.5), prior=KNOWN)
    up = fold(setting, start(setting), release(11, 10, 0.03, 0.01))
    down = fold(setting, up, release(12, 30, 0.01, 0.03))
    assert down.log_e_fail < 0 < up.log_e_fail
    assert down.sup_fail >= up.log_e_fail
    assert down.sup_pass == pytest.approx(down.log_e_pass) != 0


@given(
    name=st.sampled_from(sorted(SETTINGS)),
    scale=st.integers(0, 12),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    tilt=st.floats(1e-3, 1e3),
)
@settings(max_examples=60)
def test_every_size_stays_finite(name: str, scale: int, shares: tuple[float, float], tilt: float) -> None:
    setting = SETTINGS[name]
    evidence = start(setting)
    for t in range(12):
        n_c, n_b = float(10**scale), float(round(10**scale * tilt))
        evidence = advance(setting, evidence, n_c, int(n_c * shares[0] * (t % 3) / 2), n_b, int(n_b * shares[1]))
        for value in (evidence.log_e_fail, evidence.log_e_pass, evidence.phi, evidence.nu):
            assert np.isfinite(value)


counts_lists = st.lists(
    st.tuples(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**6), st.floats(0, 1)).map(
        lambda x: (x[0], int(x[0] * x[1]), x[2], int(x[2] * x[3]))
    ),
    min_size=2,
    max_size=25,
)


@given(name=st.sampled_from(sorted(SETTINGS)), counts=counts_lists, cut=st.floats(0, 1))
@settings(max_examples=60)
def test_saved_and_loaded_it_continues_bit_for_bit(name: str, counts: list[Counts], cut: float) -> None:
    setting = SETTINGS[name]
    at = int(cut * len(counts))
    whole = fold(setting, start(setting), counts)
    half = fold(setting, start(setting), counts[:at])
    loaded = Evidence.from_json(json.loads(json.dumps(half.to_json())))
    assert json.dumps(fold(setting, loaded, counts[at:]).to_json()) == json.dumps(whole.to_json())


def test_a_long_run_is_small_and_continues_bit_for_bit() -> None:
    setting = SETTINGS["relative"]
    evidence = fold(setting, start(setting), release(7, 1200, 0.011, 0.01, n=50))
    text = json.dumps(evidence.to_json())
    assert len(text) < 60_000
    loaded = Evidence.from_json(json.loads(text))
    more = release(8, 30, 0.011, 0.01, n=50)
    assert fold(setting, loaded, more).to_json() == fold(setting, evidence, more).to_json()
    assert evidence.totals[0] == 1200 * 50


@pytest.mark.parametrize("name", ["relative", "both", "limit"])
def test_a_batch_is_its_runs(name: str) -> None:
    setting = SETTINGS[name]
    runs = [release(20 + i, 25, 0.02, 0.01 * (i + 1)) for i in range(3)]
    batch = start(setting, (3,))
    for t in range(25):
        batch = advance(setting, batch, *np.array([run[t] for run in runs]).T)
    for i, run in enumerate(runs):
        alone = fold(setting, start(setting), run)
        for field in ("log_e_fail", "log_e_pass", "sup_fail", "phi", "nu"):
            assert getattr(batch, field)[i] == pytest.approx(getattr(alone, field), rel=1e-10)


def test_advancing_leaves_the_evidence_before_unchanged() -> None:
    setting = SETTINGS["relative"]
    before = fold(setting, start(setting), release(9, 12, 0.02, 0.01))
    text = json.dumps(before.to_json())
    fold(setting, before, release(10, 5, 0.02, 0.01))
    assert json.dumps(before.to_json()) == text


@pytest.mark.parametrize("counts", [(-1, 0, 1, 0), (1, 0, np.nan, 0), (1, 0, np.inf, 0), (5, 6, 5, 0), (5, 0, 5, 6)])
def test_impossible_counts_are_refused(counts: Counts) -> None:
    setting = SETTINGS["relative"]
    with pytest.raises(ValueError, match=r"counts must be finite|more bad events than requests"):
        advance(setting, start(setting), *counts)
