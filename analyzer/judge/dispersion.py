"""How much noisier than independent requests the service is. Method: judge.md §3.

Events come in clusters and pods have moods, so a log-likelihood ratio L says less than it seems to. It is deflated by
the design effect φ, as known with ν degrees of freedom, to that of a Student t. The prior is learned from the
baseline's history, where two halves of the same revision are compared and every difference is noise; during the run
it is corrected by the run's own residuals.

Rows of counts have the shape (…, 4, intervals): n_c, e_c, n_b, e_b.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer.judge.arrays import TINY, Array, array, plain

ROWS = 512
"""Rows that a run keeps; beyond them neighbours are merged."""

_FEW = 10.0
"""Degrees of freedom below which one burst must not decide alone."""

_MOST = 1e6
"""Largest design effect."""


@dataclass(frozen=True, eq=False)
class Prior:
    """What the baseline's history says of the noise; the default is what is assumed without any.

    `phi` ≥ 1 is the design effect, `nu` the degrees of freedom it is known with, `s` ≥ 1 the inflation by noise that
    persists over intervals. `trim` takes each bet's best interval away, so that one burst cannot decide alone.
    All may be arrays over the batch.
    """

    phi: Array | float = 1.0
    nu: Array | float = 3.0
    s: Array | float = 1.0
    trim: NDArray[np.bool_] | bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        return {
            "phi": _bare(self.phi),
            "nu": _bare(self.nu),
            "s": _bare(self.s),
            "trim": np.asarray(self.trim).tolist(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The prior that `to_json` wrote."""
        trim = np.asarray(values["trim"], dtype=np.bool_)
        return cls(array(values["phi"]), array(values["nu"]), array(values["s"]), trim)


NO_HISTORY = Prior()
"""What is assumed where there is no history: independent requests, hardly known, and no burst decides alone."""


def _bare(value: Array | float) -> Any:  # noqa: ANN401 -- a float, or nested lists of them
    return plain(array(value))


def deflate(log_ratio: Array, phi: Array | float, nu: Array | float) -> Array:
    """τ(L) = (ν/2)·log(1 + 2L/(νφ)) for L > 0, else L: never more than L for φ ≥ 1, so exact validity survives."""
    gain = np.maximum(log_ratio, 0.0)
    return 0.5 * nu * np.log1p(gain * (2 / (nu * phi))) + np.minimum(log_ratio, 0.0)


def residuals(rows: Array) -> tuple[Array, Array]:
    """Residuals u of the canary's events given each interval's total, and their variances V, shape (…, intervals).

    Given the total, shocks common to both sides cancel. The ratio of the rates is estimated by Mantel and Haenszel.
    Where there is no baseline request at all, residuals of the canary's own rate.
    """
    n_c, e_c, n_b, e_b = (rows[..., i, :] for i in range(4))
    total = np.maximum(n_c + n_b, TINY)
    worse, better = (e_c * n_b / total).sum(-1), (e_b * n_c / total).sum(-1)
    weighed = ((worse + 0.5) / (better + 0.5))[..., None] * n_c
    divisor = np.maximum(weighed + n_b, TINY)
    theta = weighed / divisor
    events = e_c + e_b
    expected = events * theta
    residual, variance = e_c - expected, expected * (n_b / divisor)
    alone = n_b.sum(-1, keepdims=True) == 0
    if not alone.any():
        return residual, variance
    # No half event here: it would leave the same small residual in every interval, which looks like persistent noise.
    rate = e_c.sum(-1, keepdims=True) / np.maximum(n_c.sum(-1, keepdims=True), TINY)
    return np.where(alone, e_c - n_c * rate, residual), np.where(alone, n_c * rate * (1 - rate), variance)


def _effect(residual: Array, variance: Array) -> tuple[Array, Array]:
    """Raw design effect Σu²/ΣV, and the effective number of intervals (ΣV)²/ΣV²; 1 and 0 where nothing happened."""
    total = variance.sum(-1)
    seen = total > 0
    squares = (residual * residual).sum(-1)
    raw = np.where(seen, squares / np.maximum(total, TINY), 1.0)
    return raw, np.where(seen, total * total / np.maximum((variance * variance).sum(-1), TINY), 0.0)


def posterior(prior: Prior, rows: Array) -> tuple[Array, Array]:
    """φ (with the prior's s) and ν after the run's `rows`, shape (…) each."""
    raw, intervals = _effect(*residuals(rows))
    nu = prior.nu + np.maximum(intervals - 1, 0.0)
    phi = np.maximum((prior.nu * prior.phi + intervals * raw) / nu, 1.0)
    return np.minimum(prior.s * phi, _MOST), nu


def _unbiased(residual: Array, variance: Array) -> tuple[Array, Array]:
    """As `_effect`, corrected for the ratio having been estimated from the same intervals."""
    raw, intervals = _effect(residual, variance)
    return raw * intervals / np.maximum(intervals - 1, 0.5), intervals


def _blocks(values: Array, length: int) -> Array:
    """Sums over blocks of `length` intervals, aligned to the newest; the oldest remainder is dropped."""
    count = values.shape[-1] // length
    kept = values[..., values.shape[-1] - count * length :]
    return array(kept.reshape(*values.shape[:-1], count, length).sum(-1))


def _autocorrelation(residual: Array, variance: Array, intervals: Array) -> Array:
    """The inflation (1 + r)/(1 − r) by lag-one autocorrelation, 1 where that is not significant."""
    if residual.shape[-1] <= 20:
        return np.ones_like(intervals)
    z = np.where(variance > 0, residual / np.sqrt(np.maximum(variance, TINY)), 0.0)
    r = (z[..., 1:] * z[..., :-1]).sum(-1) / np.maximum((z * z).sum(-1), TINY)
    used = np.where(r > 2.5 / np.sqrt(np.maximum(intervals, 6.25)), np.minimum(r, 0.9), 0.0)
    return array((1 + used) / (1 - used))


def _persistence(residual: Array, variance: Array, phi: Array, intervals: Array) -> Array:
    """s: how much faster than independent noise the residuals' variance grows over blocks of intervals."""
    s = np.maximum(1.0, _autocorrelation(residual, variance, intervals))
    for length in (4, 8, 16):
        if residual.shape[-1] // length >= 5:
            raw, count = _unbiased(_blocks(residual, length), _blocks(variance, length))
            s = np.maximum(s, 1 + count / (count + 4) * (raw / phi - 1))
    return s


def learn_prior(n_1: ArrayLike, e_1: ArrayLike, n_2: ArrayLike, e_2: ArrayLike) -> Prior:
    """The prior from history: requests and bad events of the baseline's two halves, (…, intervals), oldest first.

    160 intervals or more are wanted; with few of them, or few events, the prior knows little and trims. For a limit
    on one side alone give zeros as `n_2`, `e_2`. For a single pod see `alternate`.
    """
    rows = np.stack(np.broadcast_arrays(*(array(x) for x in (n_1, e_1, n_2, e_2))), axis=-2)
    if rows.shape[-1] == 0:
        return NO_HISTORY
    residual, variance = residuals(rows)
    raw, intervals = _unbiased(residual, variance)
    phi = np.minimum(np.maximum(1.0, (raw * intervals + 1) / (intervals + 1)), _MOST)
    nu = np.clip(intervals, 3.0, 30.0)
    return Prior(phi, nu, _persistence(residual, variance, phi, intervals), nu < _FEW)


def alternate(n: ArrayLike, e: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Two halves for `learn_prior` out of one pod's history (…, intervals): its odd and its even intervals."""
    requests, events = array(n), array(e)
    start = requests.shape[-1] % 2
    return requests[..., start::2], events[..., start::2], requests[..., start + 1 :: 2], events[..., start + 1 :: 2]


def add_row(rows: Array, counts: Array, grain: int, filled: int) -> tuple[Array, int, int]:
    """`rows` (…, 4, T) with the `counts` (…, 4) of one more interval; at most `ROWS` of them.

    A row holds `grain` intervals, the last one `filled` so far. When there are too many rows, neighbours are merged
    and the grain doubles. Returns the rows, their grain, and how full the last one is.
    """
    new = counts[..., None]
    if 0 < filled < grain:
        return np.concatenate([rows[..., :-1], rows[..., -1:] + new], axis=-1), grain, filled + 1
    if rows.shape[-1] < ROWS:
        return np.concatenate([rows, new], axis=-1), grain, 1
    merged = rows[..., 0::2] + rows[..., 1::2]
    return np.concatenate([merged, new], axis=-1), 2 * grain, 1
