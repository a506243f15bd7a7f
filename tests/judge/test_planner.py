from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.judge.null import Null
from analyzer.judge.planner import Service, smallest_ratio, until_fail, until_pass

SERVICE = Service(100.0, 100.0, 0.001)


def test_inside_the_null_there_is_nothing_to_wait_for() -> None:
    assert until_fail(SERVICE, Null(1.1), 1.0, 0.01).mean == inf
    assert until_fail(SERVICE, Null(1.1), 1.1, 0.01).most == inf
    assert until_pass(SERVICE, Null(1.5), 1.6, 0.05).mean == inf
    assert until_fail(SERVICE, Null(0.0, 0.01), 5.0, 0.01).mean == inf
    assert until_fail(Service(0.0, 100.0, 0.001), Null(1.1), 2.0, 0.01).mean == inf


def test_the_drift_is_the_divergence_from_the_null() -> None:
    """For a limit: p log(p/p0) - (p - p0) a request; the bar 2 nats above log(1/alpha), stretched by a t with 30 df."""
    found = until_fail(Service(50.0, 0.0, 0.02, interval=1e9), Null(0.0, 0.01), 1.5, 0.01)
    drift = 50 * (0.03 * log(3) - 0.02)
    height = 15 * (np.exp(2 * (log(100) + 2) / 30) - 1)
    assert found.mean == pytest.approx(height / drift)
    variance = 50 * 0.03 * log(3) ** 2
    assert drift * found.most - 0.8416 * np.sqrt(variance * found.most) == pytest.approx(height)


@given(ratio=st.floats(1.2, 50), times=st.floats(1.1, 100), rate=st.floats(1e-5, 0.01))
def test_more_traffic_and_worse_releases_are_decided_sooner(ratio: float, times: float, rate: float) -> None:
    null = Null(1.1, 0.0)
    slow, fast = Service(10.0, 30.0, rate, interval=1e9), Service(10.0 * times, 30.0 * times, rate, interval=1e9)
    before = until_fail(slow, null, ratio, 0.01)
    assert until_fail(fast, null, ratio, 0.01).mean == pytest.approx(before.mean / times)
    assert until_fail(slow, null, ratio * times, 0.01).mean < before.mean
    assert until_fail(Service(10.0, 30.0, rate, 3.0, 1e9), null, ratio, 0.01).mean == pytest.approx(3 * before.mean)
    assert before.most > before.mean


def test_a_long_run_knows_its_dispersion_better() -> None:
    """The degrees of freedom at the end are 30 and those of the intervals until then."""
    service = Service(100.0, 100.0, 0.01)
    found = until_fail(service, Null(1.1), 1.3, 0.01)
    once = until_fail(Service(100.0, 100.0, 0.01, interval=1e9), Null(1.1), 1.3, 0.01)
    assert found.mean < once.mean
    events = 15 * 100 * 0.023
    nu = 29 + found.mean / 15 * events / (1 + events)
    stretched, plain = (v / 2 * (np.exp(2 * (log(100) + 2) / v) - 1) for v in (nu, 30.0))
    assert found.mean / once.mean == pytest.approx(stretched / plain, rel=1e-4)


def test_the_smallest_ratio_is_found_at_the_deadline() -> None:
    ratio = smallest_ratio(SERVICE, Null(1.1), 0.01, 1800)
    assert until_fail(SERVICE, Null(1.1), ratio, 0.01).most == pytest.approx(1800, rel=1e-3)
    assert smallest_ratio(SERVICE, Null(1.1), 0.01, 3600) < ratio
    assert smallest_ratio(Service(0.001, 0.001, 0.001), Null(1.1), 0.01, 60) == inf


def test_a_spotless_baseline_passes_by_the_absolute_margin() -> None:
    spotless = Service(100.0, 100.0, 0.0)
    assert until_pass(spotless, Null(1.5, 1e-3), 1.0, 0.05).mean < 300
    assert until_pass(spotless, Null(1.5), 1.0, 0.05).mean == inf
