import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from analyzer.judge.null import Null

Point = tuple[float, float]

rates = st.floats(1e-8, 0.9)
sizes = st.floats(1, 1e7)
lines = st.sampled_from([(1.1, 0.0), (1.0, 1e-3), (1.1, 5e-4), (2.5, 0.02), (0.4, 1e-5)])


def divergence(n_c: float, n_b: float, point: Point, other: Point) -> float:
    total = 0.0
    for n, p, q in ((n_c, point[0], other[0]), (n_b, point[1], other[1])):
        total += n * (p * np.log(p / q) - p + q)
    return total


@given(line=lines, n_c=sizes, n_b=sizes, p_c=rates, p_b=rates)
def test_projection_is_the_nearest_point_of_the_line(
    line: tuple[float, float], n_c: float, n_b: float, p_c: float, p_b: float
) -> None:
    null = Null(*line)
    found = null.project(n_c, n_b, p_c, p_b)
    assert found[0] == pytest.approx(null.a * found[1] + null.d)
    best = minimize_scalar(
        lambda x: divergence(n_c, n_b, (p_c, p_b), (null.line(np.exp(x)), np.exp(x))),
        bounds=(-40, 3),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert divergence(n_c, n_b, (p_c, p_b), found) <= best.fun + 1e-6 * (1 + abs(best.fun))


@given(n_c=sizes, n_b=sizes, p_c=rates, p_b=rates, a=st.floats(0.5, 3))
def test_projection_is_continuous_as_the_absolute_part_vanishes(
    n_c: float, n_b: float, p_c: float, p_b: float, a: float
) -> None:
    exact = Null(a).project(n_c, n_b, p_c, p_b)
    nearly = Null(a, 1e-15).project(n_c, n_b, p_c, p_b)
    np.testing.assert_allclose(nearly, exact, rtol=1e-6)
    np.testing.assert_allclose(Null(a, 1e-300).project(n_c, n_b, p_c, p_b), exact, rtol=1e-12)


@given(n_c=sizes, n_b=sizes, p_c=rates, p_b=rates)
def test_projection_on_a_limit_leaves_the_baseline_alone(n_c: float, n_b: float, p_c: float, p_b: float) -> None:
    assert Null(0.0, 0.01).project(n_c, n_b, p_c, p_b) == (0.01, p_b)


def test_projection_without_a_baseline_keeps_the_canary() -> None:
    null_c, null_b = Null(1.1, 1e-3).project(100.0, 0.0, 0.05, 0.01)
    assert null_c == pytest.approx(0.05)
    assert null_b == pytest.approx((0.05 - 1e-3) / 1.1)
    null_c, null_b = Null(1.1, 1e-3).project(100.0, 0.0, 1e-4, 0.01)
    assert null_c == pytest.approx(1e-3)
    assert null_b == 1e-300


@pytest.mark.parametrize(
    ("a", "d"),
    [
        (0.0, 0.0),
        (-0.1, 0.1),
        (1.0, -1e-3),
        (np.nan, 0.0),
        (1.0, np.inf),
        (np.array([0.0, 1.0]), 0.1),
        (1.0, np.array([0.0, 0.1])),
    ],
)
def test_impossible_lines_are_refused(a: float, d: float) -> None:
    with pytest.raises(ValueError, match=r"tolerance|limit"):
        Null(a, d)
