from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.judge.histogram import Buckets, boundaries, divides, round_up, slower, tails

CLASSIC = Buckets((0.05, 0.1, 0.5, inf), (10, 20, 5, 1))


def native(scale: int, steps: dict[int, float]) -> Buckets:
    """Populated buckets by the index of their upper bound, and a zero bucket."""
    base = 2.0 ** (2.0**-scale)
    bounds = [2.0**-128, *(base**i for i in sorted(steps)), inf]
    return Buckets(tuple(bounds), (3.0, *(steps[i] for i in sorted(steps)), 0.0), scale)


def test_requests_slower_than_a_boundary_are_those_in_the_buckets_above() -> None:
    np.testing.assert_array_equal(slower(CLASSIC, [0.05, 0.1, 0.5]), [26, 6, 1])
    assert slower(CLASSIC, []).shape == (0,)


@pytest.mark.parametrize("buckets", [CLASSIC, native(2, {-10: 4.0})])
def test_a_boundary_inside_a_bucket_is_refused(buckets: Buckets) -> None:
    assert not divides(buckets, 0.3)
    with pytest.raises(ValueError, match=r"no bucket boundary at 0\.3"):
        slower(buckets, [0.3])


def test_a_native_boundary_need_not_be_listed() -> None:
    sparse = native(3, {-30: 7.0, -10: 2.0})
    assert divides(sparse, 2.0**-2)
    np.testing.assert_array_equal(slower(sparse, [2.0**-5, 2.0**-2, 2.0**-1, 1.0]), [9, 2, 0, 0])
    assert slower(sparse, [2.0 ** (-30 / 8)])[0] == 2  # up to its own bound is not slower


@given(
    steps=st.dictionaries(st.integers(-80, 40), st.integers(1, 1000).map(float), min_size=1),
    scale=st.integers(0, 5),
    at=st.integers(-20, 10),
)
def test_coarser_schemas_count_the_same(steps: dict[int, float], scale: int, at: int) -> None:
    """Merging pairs of buckets, one step of coarsening, leaves what is slower than a coarse boundary as it was."""
    fine = native(scale + 1, steps)
    merged: dict[int, float] = {}
    for i, count in steps.items():
        merged[-(-i // 2)] = merged.get(-(-i // 2), 0.0) + count
    coarse = native(scale, merged)
    boundary = [2.0 ** (at / 2.0**scale)]
    np.testing.assert_array_equal(slower(fine, boundary), slower(coarse, boundary))


def test_limits_are_rounded_up_to_a_boundary() -> None:
    assert round_up(0.07, CLASSIC) == 0.1
    assert round_up(0.1, CLASSIC) == 0.1
    with pytest.raises(ValueError, match="at or above 2"):
        round_up(2.0, CLASSIC)
    fine = native(5, {1: 1.0})
    assert round_up(2.0, fine) == 2.0
    assert 0.3 <= round_up(0.3, fine) <= 0.3 * 2 ** (1 / 8)
    assert divides(fine, round_up(0.3, fine))


def test_common_boundaries_are_those_of_all_classic_windows() -> None:
    other = Buckets((0.1, 0.25, 0.5, inf), (1, 2, 3, 4))
    assert boundaries([CLASSIC, other]) == (0.1, 0.5)
    assert boundaries([]) == ()


def test_common_boundaries_of_native_windows_divide_all_of_them() -> None:
    windows = [native(5, {-60: 1.0, -59: 2.0, 3: 4.0}), native(2, {-7: 1.0})]
    found = boundaries(windows)
    assert len(found) >= 3
    assert all(divides(window, bound) for window in windows for bound in found)


def test_classic_and_native_windows_do_not_mix() -> None:
    with pytest.raises(ValueError, match="classic"):
        boundaries([CLASSIC, native(3, {1: 1.0})])


def test_tails_are_windows_of_one_side() -> None:
    found = tails([CLASSIC, CLASSIC, CLASSIC], (0.1, 0.5))
    np.testing.assert_array_equal(found.requests, [36, 36, 36])
    np.testing.assert_array_equal(found.slower, [[6, 6, 6], [1, 1, 1]])
    assert tails([], (0.1,)).slower.shape == (1, 0)
