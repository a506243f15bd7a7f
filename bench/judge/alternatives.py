"""Simple methods on the same runs, for comparison: what a team would write without a sequential test."""

import numpy as np
from numpy.typing import NDArray

from bench.judge.streams import Floats

MINUTE = 4
"""Intervals."""

Bools = NDArray[np.bool_]


def _minutes(counts: Floats) -> Floats:
    """Sums over whole minutes, (runs, minutes)."""
    runs, checks = counts.shape
    minutes: Floats = counts[:, : checks // MINUTE * MINUTE].reshape(runs, -1, MINUTE).sum(-1)
    return minutes


def threshold(n_c: Floats, e_c: Floats, limit: float, allowed: int) -> Bools:
    """The canary's error rate of one minute above `limit`, more than `allowed` times, (runs,)."""
    requests, errors = _minutes(n_c), _minutes(e_c)
    return np.asarray((errors > limit * requests).sum(axis=1) > allowed)


def twice(n_c: Floats, e_c: Floats, n_b: Floats, e_b: Floats) -> Bools:
    """More than twice the baseline's error rate in any one minute, (runs,)."""
    canary, baseline = _minutes(e_c) * _minutes(n_b), _minutes(e_b) * _minutes(n_c)
    return np.asarray((canary > 2 * baseline).any(axis=1))


def z_test(n_c: Floats, e_c: Floats, n_b: Floats, e_b: Floats) -> Bools:
    """Two proportions compared at 1 %, all requests so far, looked at every interval, (runs,)."""
    n_c, e_c, n_b, e_b = (x.cumsum(axis=1) for x in (n_c, e_c, n_b, e_b))
    pooled = (e_c + e_b) / np.maximum(n_c + n_b, 1)
    variance = pooled * (1 - pooled) * (1 / np.maximum(n_c, 1) + 1 / np.maximum(n_b, 1))
    difference = e_c / np.maximum(n_c, 1) - e_b / np.maximum(n_b, 1)
    return np.asarray((difference > 2.326 * np.sqrt(variance)).any(axis=1))
