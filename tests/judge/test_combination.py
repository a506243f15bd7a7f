import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.judge.combination import ADVISORY, CRITICAL, NORMAL, combine, discoveries, mean, passed

ALPHA = 0.01
BAR = float(np.log(1 / ALPHA))


def test_the_combined_e_value_is_the_weighted_mean() -> None:
    combined = combine(np.log([4.0, 10.0, 1.0]), [CRITICAL, NORMAL, NORMAL], [False] * 3, ALPHA)
    assert np.exp(combined.log_e) == pytest.approx((3 * 4 + 10 + 1) / 5)
    np.testing.assert_allclose(np.exp(combined.log_shares), [12 / 5, 2, 1 / 5])
    assert combined.culprits.tolist() == [0, 1, 2]
    assert not combined.failed


def test_one_strong_rule_is_enough_and_is_the_culprit() -> None:
    combined = combine([0.0, BAR + np.log(5) + 1e-9, -3.0], [3, 1, 1], [False] * 3, ALPHA)
    assert combined.failed
    assert combined.culprits[0] == 1
    assert combined.proven.tolist() == [False, True, False]


def test_several_half_proven_rules_fail_together() -> None:
    half = combine([BAR - 0.1, BAR - 0.1, BAR + 0.2], [1, 1, 1], [False] * 3, ALPHA)
    assert half.failed
    assert not half.proven.any()


@given(
    logs=st.lists(st.floats(-50, 1e6), min_size=2, max_size=6),
    alpha=st.floats(1e-4, 0.4),
)
def test_advisory_rules_never_decide_alone(logs: list[float], alpha: float) -> None:
    quiet = [-1.0, 0.0, *logs]
    weights = [CRITICAL, NORMAL, *[ADVISORY] * len(logs)]
    combined = combine(quiet, weights, [False, False, *[True] * len(logs)], alpha)
    advisory = np.exp(combined.log_shares[2:]).sum()
    assert advisory <= 0.5 / alpha * (1 + 1e-9)
    assert not combined.failed or np.exp(combined.log_shares[:2]).sum() >= 0.5 / alpha
    assert not combine(logs, [1] * len(logs), [True] * len(logs), alpha).failed


def test_a_combination_is_batched() -> None:
    logs = np.array([[0.0, 9.0], [1.0, 0.0]])
    batch = combine(logs, [1, 3], [False, False], ALPHA)
    for i in range(2):
        assert batch.log_e[i] == combine(logs[i], [1, 3], [False, False], ALPHA).log_e


@pytest.mark.parametrize(("logs", "weights"), [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0, -1.0])])
def test_combinations_without_weight_are_refused(logs: list[float], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="positive weights"):
        combine(logs, weights, [False] * len(logs), ALPHA)


def test_a_mean_of_e_values_is_weighted() -> None:
    assert np.exp(mean(np.log([2.0, 8.0]), [1, 2])) == pytest.approx(6)


@pytest.mark.parametrize(
    ("logs", "critical", "advisory", "expected"),
    [
        ([4, 0, 0], [True, False, False], [False, False, True], True),
        ([4, 2, 0], [True, True, False], [False, False, True], False),
        ([2, 4, 4], [True, False, False], [False, False, False], False),
        ([4, 4, 0], [False, False, False], [False, False, True], True),
        ([4, 0, 4], [False, False, False], [False, False, True], False),
        ([4, 4, 4], [False, False, False], [True, True, True], False),
    ],
)
def test_a_pass_needs_all_critical_rules(
    logs: list[float], critical: list[bool], advisory: list[bool], *, expected: bool
) -> None:
    assert bool(passed(logs, critical, advisory, 0.05)) is expected


def test_discoveries_follow_the_e_bh_procedure() -> None:
    e = [100.0, 39.0, 1.0, 26.0]  # K = 4, alpha = 0.05: bars 80, 40, 26.7, 20
    assert discoveries(np.log(e), 0.05) == [0]
    assert discoveries(np.log([100.0, 41.0, 1.0, 27.0]), 0.05) == [0, 1, 3]
    assert discoveries(np.log([30.0, 30.0, 30.0, 30.0]), 0.05) == [0, 1, 2, 3]
    assert discoveries([0.0, 0.0], 0.05) == []
