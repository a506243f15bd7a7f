"""Buckets of latencies: how many observations lie beyond a boundary. Method: judge.md §7.

Classic histograms list all of their bounds, and only these divide observations. Native ones of schema `scale` have
bounds at all powers of 2^(2^−scale) and list the populated ones; the coarser of two schemas divides both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp2, inf, log2

import numpy as np

from analyzer.judge.arrays import Array, array

FINEST = 3
"""Native schema that boundaries are chosen at: 9 % wide; finer ones do not survive when a service coarsens its own."""

_SAME = 1e-9
"""Relative difference of equal bounds."""


@dataclass(frozen=True)
class Buckets:
    """Observations of one side in one window.

    `bounds` are upper bounds, ascending, the last one infinite; `counts[i]` are the observations above
    `bounds[i − 1]` and at most `bounds[i]`; `scale` is the native schema, None for a classic histogram.
    """

    bounds: Sequence[float]
    counts: Sequence[float]
    scale: int | None = None


@dataclass(frozen=True, eq=False)
class Tails:
    """Windows of one side: requests (windows,), and those slower than each of the finite bounds, (bounds, windows)."""

    bounds: tuple[float, ...]
    requests: Array
    slower: Array


def slower(buckets: Buckets, boundaries: Sequence[float]) -> Array:
    """Observations slower than each of the `boundaries`.

    Raises:
        ValueError: where a boundary does not divide the buckets.
    """
    bounds, counts = array(buckets.bounds), array(buckets.counts)
    for boundary in boundaries:
        if not divides(buckets, boundary):
            raise ValueError(f"the histogram has no bucket boundary at {boundary:g}")
    return array([counts[bounds > boundary * (1 + _SAME)].sum() for boundary in boundaries])


def divides(buckets: Buckets, boundary: float) -> bool:
    """Whether each bucket lies on one side of the boundary."""
    if buckets.scale is not None and boundary > 0:
        return _on_grid(boundary, buckets.scale)
    return any(abs(bound - boundary) <= _SAME * abs(boundary) for bound in buckets.bounds)


def round_up(threshold: float, buckets: Buckets) -> float:
    """The smallest boundary that is at least `threshold`: what a limit on a quantile is judged at.

    Raises:
        ValueError: when all finite boundaries are smaller.
    """
    if buckets.scale is not None:
        return _up(threshold, min(buckets.scale, FINEST))
    wide_enough = [bound for bound in buckets.bounds if bound >= threshold * (1 - _SAME) and bound < inf]
    if not wide_enough:
        raise ValueError(f"the histogram has no bucket boundary at or above {threshold:g}")
    return min(wide_enough)


def boundaries(windows: Sequence[Buckets]) -> tuple[float, ...]:
    """Finite boundaries, ascending, that divide the buckets of all windows: classic ones in all of them, native ones
    populated in any, at the coarsest schema.

    Raises:
        ValueError: when classic and native histograms are mixed.
    """
    scales = [buckets.scale for buckets in windows]
    native = [scale for scale in scales if scale is not None]
    if native and len(native) < len(scales):
        raise ValueError("some windows have classic buckets and some native ones")
    listed = [{bound for bound in buckets.bounds if 0 < bound < inf} for buckets in windows]
    if not listed:
        return ()
    if not native:
        return tuple(sorted(set.intersection(*listed)))
    scale = min(*native, FINEST)
    return tuple(sorted({_up(bound, scale) for bound in set.union(*listed)}))


def tails(windows: Sequence[Buckets], bounds: Sequence[float]) -> Tails:
    """What each window has beyond each of `bounds`.

    Raises:
        ValueError: where a bound does not divide the buckets.
    """
    requests = array([sum(buckets.counts) for buckets in windows])
    counted = [slower(buckets, bounds) for buckets in windows]
    return Tails(tuple(bounds), requests, np.stack(counted, axis=-1) if counted else np.zeros((len(bounds), 0)))


def _on_grid(boundary: float, scale: int) -> bool:
    step = log2(boundary) * 2.0**scale
    return abs(step - round(step)) <= 1e-6


def _up(bound: float, scale: int) -> float:
    """The smallest power of 2^(2^−scale) that is at least `bound`."""
    return exp2(ceil(log2(bound) * 2.0**scale - 1e-6) / 2.0**scale)
