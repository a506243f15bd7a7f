"""The e-process of a gauge: y, the log of the canary's mean level over the baseline's, once an interval.

Scrapes are autocorrelated, so what matters is the variance of long means, learned from hours in which the baseline was
compared with itself. Higher is worse; the caller turns signs. Method: judge.md §8.
"""

from dataclasses import dataclass, replace
from math import exp, expm1, inf, log, nan, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from analyzer.judge.arrays import Array, array, logsumexp, plain
from analyzer.judge.dispersion import deflate
from analyzer.judge.intervals import ConfidenceInterval

SHIFTS = np.geomspace(0.03, 2.0, 16)
"""Shifts of y that are bet on."""

_FLOOR = 0.02**2
"""Smallest variance of y: 2 %."""

_LARGEST_DF = 30.0
_FEWEST_BLOCKS = 6

_POD_Z = 2.0
"""Standard deviations of pod-to-pod differences that are tolerated, as in judge.md §11."""

_BLOCK_PRIOR = 0.1
"""Weight of the prior in `block_interval`, in blocks."""


@dataclass(frozen=True)
class GaugePrior:
    """Of y between two halves of the baseline: `variance` v₁ of one interval, `long_run` v per interval of long
    means, known with `nu` degrees of freedom. May be arrays over the batch.
    """

    variance: Array | float
    long_run: Array | float
    nu: Array | float

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        return {name: plain(array(getattr(self, name))) for name in ("variance", "long_run", "nu")}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The prior that `to_json` wrote."""
        return cls(**values)


def learn_gauge(y: ArrayLike) -> GaugePrior | None:
    """The prior from history: y of two halves of the baseline, (…, intervals), oldest first; None if too short.

    v is the largest of k·Var(mean of k) over blocks of k = 1, 4, 16, 64 intervals, at least six of them, and of what
    lag-one autocorrelation makes of v₁.
    """
    past = array(y)
    if past.shape[-1] < _FEWEST_BLOCKS:
        return None
    v1 = past.var(axis=-1, ddof=1)
    long_run = _autoregressive(past, v1)
    nu = np.full(v1.shape, past.shape[-1] - 1.0)
    for length in (1, 4, 16, 64):
        count = past.shape[-1] // length
        if count >= _FEWEST_BLOCKS:
            newest = past[..., past.shape[-1] - count * length :].reshape(*past.shape[:-1], count, length)
            long_run = np.maximum(long_run, length * newest.mean(-1).var(axis=-1, ddof=1))
            nu = np.full(v1.shape, count - 1.0)
    return GaugePrior(np.maximum(v1, _FLOOR), np.maximum(long_run, _FLOOR), np.minimum(nu, _LARGEST_DF))


def _autoregressive(past: Array, v1: Array) -> Array:
    """v₁(1 + r)/(1 − r): the long-run variance of an AR(1) with the sample's lag-one autocorrelation."""
    centred = past - past.mean(axis=-1, keepdims=True)
    squares = (centred * centred).sum(-1)
    r = (centred[..., 1:] * centred[..., :-1]).sum(-1) / np.where(squares > 0, squares, 1.0)
    r = np.clip(r, -0.99, 0.99)
    return array(v1 * (1 + r) / (1 - r))


def pod_term(levels: ArrayLike, canary_pods: int, baseline_pods: int) -> float:
    """What pods of one revision differ by, added to the tolerated log ratio: z·τ·√(1/k_c + 1/k_b).

    `levels` (pods, intervals) is the history of the gauge by pod, positive; τ the sd of the pods' log means. 0 for a
    single pod.
    """
    means = np.log(array(levels).mean(axis=-1))
    if means.size < 2 or not canary_pods or not baseline_pods:
        return 0.0
    return float(_POD_Z * means.std(ddof=1) * sqrt(1 / canary_pods + 1 / baseline_pods))


@dataclass(frozen=True, eq=False)
class GaugeSetting:
    """A gauge rule, fixed before the first interval.

    `tolerance` and `within` are r and r': the ratio may be up to 1 + r, and passes below 1 + r'; None where a side is
    missing. `pods` is the pod term, added to the one and taken from the other. Without a `prior` no e-value moves, and
    only `interval` says something, for people. `block` is the number of intervals in two minutes.
    """

    tolerance: float | None
    within: float | None = None
    prior: GaugePrior | None = None
    pods: float = 0.0
    block: int = 8


@dataclass(frozen=True, eq=False)
class GaugeEvidence:
    """What a gauge rule has seen: the number of y, their mean and sum of squared deviations; the same of blocks of
    them, with the sum of the block being filled. The rest is named as in `process.Evidence`.
    """

    count: Array
    mean: Array
    squares: Array
    blocks: int
    block_mean: Array
    block_squares: Array
    filling: Array
    filled: int
    log_e_fail: Array
    log_e_pass: Array
    sup_fail: Array
    sup_pass: Array

    @property
    def p_value(self) -> Array:
        """Anytime-valid p-value of the fail side's null: min(1, 1/sup E)."""
        return np.exp(-self.sup_fail)

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        return numbers | {name: plain(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The evidence that `to_json` wrote."""
        return cls(**(values | {name: array(values[name]) for name in _ARRAYS}))


_NUMBERS = ("blocks", "filled")
_ARRAYS = (
    *("count", "mean", "squares", "block_mean", "block_squares", "filling"),
    *("log_e_fail", "log_e_pass", "sup_fail", "sup_pass"),
)


def start(shape: tuple[int, ...] = ()) -> GaugeEvidence:
    """Evidence before the first interval, for a batch of `shape`."""
    nothing: dict[str, Any] = dict.fromkeys(_ARRAYS, np.zeros(shape)) | dict.fromkeys(_NUMBERS, 0)
    return GaugeEvidence(**nothing)


def advance(setting: GaugeSetting, evidence: GaugeEvidence, y: ArrayLike) -> GaugeEvidence:
    """The evidence after one more y; intervals without a number are left out by the caller.

    Raises:
        ValueError: for a y that is not finite.
    """
    value = array(y)
    if not np.isfinite(value).all():
        raise ValueError("the log ratio of two levels must be finite: both must be positive")
    count, mean, squares = _added(evidence.count, evidence.mean, evidence.squares, value)
    seen = replace(_filled(setting, evidence, value), count=count, mean=mean, squares=squares)
    if setting.prior is None:
        return seen
    fail, pass_ = seen.log_e_fail, seen.log_e_pass
    if setting.tolerance is not None:
        fail = _log_e(setting.prior, seen, seen.mean - (np.log1p(setting.tolerance) + setting.pods))
    if setting.within is not None:
        pass_ = _log_e(setting.prior, seen, np.log1p(setting.within) - setting.pods - seen.mean)
    return replace(
        seen,
        log_e_fail=fail,
        log_e_pass=pass_,
        sup_fail=np.maximum(seen.sup_fail, fail),
        sup_pass=np.maximum(seen.sup_pass, pass_),
    )


def _added(count: Array | int, mean: Array, squares: Array, value: Array) -> tuple[Array, Array, Array]:
    """Count, mean and sum of squared deviations with one more value, by Welford."""
    more = array(count + 1)
    step = value - mean
    moved = array(mean + step / more)
    return more, moved, array(squares + step * (value - moved))


def _filled(setting: GaugeSetting, evidence: GaugeEvidence, value: Array) -> GaugeEvidence:
    """With the value in the block being filled, and the block among the blocks when it is full."""
    filling, filled = array(evidence.filling + value), evidence.filled + 1
    if filled < setting.block:
        return replace(evidence, filling=filling, filled=filled)
    _, mean, squares = _added(evidence.blocks, evidence.block_mean, evidence.block_squares, filling / filled)
    return replace(
        evidence,
        blocks=evidence.blocks + 1,
        block_mean=mean,
        block_squares=squares,
        filling=np.zeros_like(filling),
        filled=0,
    )


def _log_e(prior: GaugePrior, evidence: GaugeEvidence, excess: Array) -> Array:
    """The mixture over shifts of the mean's `excess` over its null: Gaussian likelihood ratios, deflated."""
    n = evidence.count[..., None]
    gains = (SHIFTS * n * excess[..., None] - n * SHIFTS**2 / 2) / array(prior.long_run)[..., None]
    spread = (prior.nu + evidence.squares / prior.variance) / (prior.nu + np.maximum(evidence.count - 1, 0))
    phi = np.maximum(spread, 1.0)
    return logsumexp(deflate(gains, phi[..., None], array(prior.nu)[..., None])) - log(SHIFTS.size)


def interval(setting: GaugeSetting, evidence: GaugeEvidence, alpha: float) -> ConfidenceInterval:
    """Of the ratio of the levels, for a single analysis: by the prior where there is one, else by `block_interval`.

    With a prior: the ratios that neither of two e-processes, for more and for less, rejects at alpha/2.
    """
    if not evidence.count:
        return ConfidenceInterval(0.0, nan, inf)
    mean = float(evidence.mean)
    if setting.prior is None:
        width = block_interval(evidence.blocks, float(evidence.block_squares), alpha)
        centre = float(evidence.block_mean) if evidence.blocks else mean
        return ConfidenceInterval(_exp(centre - width), exp(mean), _exp(centre + width))
    prior = setting.prior

    def missing(excess: float) -> float:
        return float(_log_e(prior, evidence, array(excess))) + log(alpha / 2)

    width = brentq(missing, 0.0, 40.0, xtol=1e-9) if missing(40.0) > 0 else inf
    return ConfidenceInterval(_exp(mean - width), exp(mean), _exp(mean + width))


def block_interval(blocks: int, squares: float, alpha: float) -> float:
    """Half the width of the t-confidence sequence of the mean of `blocks` block means; infinite at first.

    `squares` is the sum of their squared deviations. Scale-invariant mixture martingale of Wang and Ramdas
    (arXiv 2310.03722): √(c/(n + c))·((n + c)V/((n + c)V − S²))^(n/2), with S and V the sum and sum of squares of the
    deviations from the null. Block means are taken for independent, which two minutes make nearly true: for people,
    not for verdicts.
    """
    if blocks < 2:
        return inf
    n, c = float(blocks), _BLOCK_PRIOR
    bar = (2 * log(1 / alpha) + np.log1p(n / c)) / n
    room = 1 - np.exp(bar) * c / (n + c)
    return inf if room <= 0 else float(sqrt(expm1(bar) * squares / (n * room)))


def _exp(x: float) -> float:
    return inf if x > 700 else exp(x)
