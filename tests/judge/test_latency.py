import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from analyzer.judge import latency, process
from analyzer.judge.dispersion import NO_HISTORY, Prior
from analyzer.judge.latency import LatencyEvidence, LatencySetting
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from analyzer.judge.stretch import Plan

PLAN = Plan(
    boundaries=np.array([0.1, 0.25, 0.5]),
    weights=np.array([0.2, 0.5, 0.3]),
    kappa_fail=np.array([1.05, 1.2, 1.3]),
    kappa_pass=np.array([1.4, 2.0, 3.0]),
    nearest=1,
    prior=Prior(np.ones(3), np.full(3, 30.0), np.ones(3), np.zeros(3, dtype=bool)),
)
SETTING = LatencySetting.of(PLAN, planned=40)


def window(rng: Generator, n: int, stretch: float) -> tuple[float, np.ndarray]:
    latencies = 0.08 * stretch * np.exp(0.6 * rng.standard_normal(n))
    return float(n), (latencies[:, None] > PLAN.boundaries).sum(axis=0).astype(float)


def run(setting: LatencySetting, evidence: LatencyEvidence, seed: int, stretch: float, length: int) -> LatencyEvidence:
    rng = np.random.default_rng(seed)
    for _ in range(length):
        evidence = latency.advance(setting, evidence, *window(rng, 1500, stretch), *window(rng, 1500, 1.0))
    return evidence


def test_a_slower_canary_fails_and_an_equal_one_passes() -> None:
    slow = run(SETTING, latency.start(SETTING), 1, 1.3, 15)
    assert slow.log_e_fail > np.log(100)
    assert slow.p_value < 0.01
    same = run(SETTING, latency.start(SETTING), 2, 1.0, 40)
    assert same.log_e_fail < np.log(20)
    assert same.log_e_pass > np.log(20)


def test_it_is_the_weighted_mean_over_boundaries_and_passes_at_the_nearest() -> None:
    seen = run(SETTING, latency.start(SETTING), 3, 1.1, 12)
    mean = (PLAN.weights * np.exp(seen.boundaries.log_e_fail)).sum()
    assert np.exp(seen.log_e_fail) == pytest.approx(mean)
    assert seen.log_e_pass == seen.boundaries.log_e_pass[1]


def test_each_boundary_is_a_rule_of_its_own() -> None:
    rng = np.random.default_rng(4)
    whole = latency.start(SETTING)
    one = Setting(Null(1.2), Null(2.0), planned=40, prior=Prior(1.0, 30.0, 1.0, trim=False))
    alone = process.start(one)
    for _ in range(25):
        (n_c, slow_c), (n_b, slow_b) = window(rng, 400, 1.1), window(rng, 400, 1.0)
        whole = latency.advance(SETTING, whole, n_c, slow_c, n_b, slow_b)
        alone = process.advance(one, alone, n_c, slow_c[1], n_b, slow_b[1])
    assert whole.boundaries.log_e_fail[1] == pytest.approx(alone.log_e_fail, rel=1e-10)
    assert whole.boundaries.log_e_pass[1] == pytest.approx(alone.log_e_pass, rel=1e-10)


def test_a_quantile_limit_is_a_plain_rule_at_its_boundary() -> None:
    """99 % within 250 ms: at most one request in a hundred may be slower."""
    setting = Setting(Null(0.0, 0.01), planned=40, prior=Prior(1.0, 30.0, 1.0, trim=False))
    rng = np.random.default_rng(5)
    evidence = process.start(setting)
    for _ in range(10):
        n, slow = window(rng, 1500, 1.0)  # 2.9 % are
        evidence = process.advance(setting, evidence, n, slow[1], 0, 0)
    assert evidence.log_e_fail > np.log(100)


def test_boundaries_of_no_weight_take_no_part() -> None:
    padded = replace(PLAN, weights=np.array([0.0, 1.0, 0.0]))
    setting = LatencySetting.of(padded)
    seen = run(setting, latency.start(setting), 6, 1.2, 10)
    assert seen.log_e_fail == seen.boundaries.log_e_fail[1]


@pytest.mark.parametrize("setting", [SETTING, LatencySetting.of(replace(PLAN, prior=NO_HISTORY))])
def test_saved_and_loaded_it_continues_bit_for_bit(setting: LatencySetting) -> None:
    half = run(setting, latency.start(setting), 7, 1.1, 15)
    loaded = LatencyEvidence.from_json(json.loads(json.dumps(half.to_json())))
    there, again = (run(setting, evidence, 8, 1.1, 20) for evidence in (half, loaded))
    assert json.dumps(there.to_json()) == json.dumps(again.to_json())


def test_nothing_seen_says_nothing() -> None:
    seen = latency.start(SETTING)
    for _ in range(15):
        seen = latency.advance(SETTING, seen, 0.0, np.zeros(3), 0.0, np.zeros(3))
    assert seen.log_e_fail == pytest.approx(0, abs=1e-12)
    assert seen.log_e_pass == pytest.approx(0, abs=1e-12)
