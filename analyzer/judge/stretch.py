"""A latency distribution that stretches: how much more of it lies beyond each boundary, and which boundaries to judge.

"Quantiles may stretch by 1 + r" allows, beyond the boundary b, the baseline's tail beyond b/(1 + r): κ times its tail
beyond b. Method: judge.md §7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from analyzer.judge.arrays import TINY, Array, array, plain
from analyzer.judge.dispersion import NO_HISTORY, Prior, learn_prior
from analyzer.judge.histogram import Tails

TARGETS = 8
"""Boundaries that are looked for, besides the one at the quantile."""

_LARGEST = 0.6
_SMALLEST = 1e-7
"""The largest tail that is judged, and the smallest that the curve is drawn through."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a latency rule is judged at, frozen before the first interval. Boundaries are on the last axis.

    `kappa_fail` and `kappa_pass` are the tolerated tails as multiples of the baseline's; `weights` sum to 1;
    `nearest` is the index of the boundary nearest the quantile, which decides on a pass; `prior` is that of each.
    """

    boundaries: Array
    weights: Array
    kappa_fail: Array
    kappa_pass: Array
    nearest: int | NDArray[np.intp]
    prior: Prior

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        arrays = {name: plain(getattr(self, name)) for name in _ARRAYS}
        return arrays | {"nearest": np.asarray(self.nearest).tolist(), "prior": self.prior.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The plan that `to_json` wrote."""
        read = values | {name: array(values[name]) for name in _ARRAYS}
        return cls(**(read | {"prior": Prior.from_json(values["prior"])}))


_ARRAYS = ("boundaries", "weights", "kappa_fail", "kappa_pass")


def learn_plan(
    first: Tails,
    second: Tails | None,
    quantile: float,
    tolerance: float,
    within: float,
    allowed: Sequence[float] | None = None,
) -> Plan:
    """The plan from the history of the baseline's two halves, or from one sample of it (`second` None, no prior).

    `tolerance` and `within` are the r by which quantiles may stretch, and by which they must not for a pass.
    `allowed` are boundaries that the canary has too, where these are fewer.

    Raises:
        ValueError: for a history without requests, and where no boundary is left to judge.
    """
    halves = [first, second] if second else [first]
    requests = sum(half.requests.sum() for half in halves)
    if not requests:
        raise ValueError("the history has no requests: nothing is known of the baseline's latency")
    bounds = array(first.bounds)
    tail = array(sum(half.slower.sum(-1) for half in halves) / requests)
    common = np.ones(bounds.size, dtype=np.bool_) if allowed is None else np.isin(bounds, array(allowed))
    if not common.any():
        raise ValueError("canary and baseline have no bucket boundary in common")
    chosen, nearest = _choose(tail, 1 - quantile, common)
    return Plan(
        boundaries=bounds[chosen],
        weights=_weights(tail[chosen], 1 - quantile),
        kappa_fail=kappa(bounds, tail, tolerance)[chosen],
        kappa_pass=kappa(bounds, tail, within)[chosen],
        nearest=int(np.flatnonzero(chosen == nearest)[0]),
        prior=_prior(first, second, chosen) if second else NO_HISTORY,
    )


def kappa(bounds: Array, tail: Array, stretch: float) -> Array:
    """κ at each of the finite, ascending `bounds`: the tail beyond b/(1 + stretch), over that beyond b.

    The logarithm of the tail is interpolated by PCHIP over the logarithm of the bound. κ is at least 1 and at most
    what makes every request slow; 1 where the tail is known at fewer than two bounds.
    """
    usable = (tail > _SMALLEST) & (tail < 1) & (bounds > 0)
    if usable.sum() < 2 or stretch == 0:
        return np.ones_like(tail)
    x, y = np.log(bounds[usable]), np.log(tail[usable])
    curve = PchipInterpolator(x, y, extrapolate=True)
    known = np.maximum(tail, TINY)
    reached = curve(np.log(np.maximum(bounds, TINY)) - np.log1p(stretch))
    return array(np.exp(np.clip(reached - np.log(known), 0.0, -np.log(known))))


def _choose(tail: Array, beyond: float, common: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Indices of the boundaries to judge, ascending, and of the one nearest the quantile."""
    logs = np.log(np.maximum(tail, TINY))
    eligible = np.flatnonzero(common & (tail >= beyond / 10) & (tail <= _LARGEST))
    pool = eligible if eligible.size else np.flatnonzero(common)
    nearest = int(pool[np.argmin(np.abs(logs[pool] - np.log(beyond)))])
    if not eligible.size:
        return np.array([nearest]), nearest
    targets = np.linspace(logs[eligible].max(), logs[eligible].min(), TARGETS)
    found = eligible[np.argmin(np.abs(logs[eligible] - targets[:, None]), axis=1)]
    return np.unique(np.append(found, nearest)), nearest


def _weights(tail: Array, beyond: float) -> Array:
    weights = 1 / (1 + np.abs(np.log(np.maximum(tail, TINY) / beyond)))
    return array(weights / weights.sum())


def _prior(first: Tails, second: Tails, chosen: NDArray[np.intp]) -> Prior:
    return learn_prior(first.requests, first.slower[chosen], second.requests, second.slower[chosen])
