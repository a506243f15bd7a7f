"""Quantiles of buckets, for people and for plain limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, nextafter
from typing import Self

from analyzer.judge import histogram
from analyzer.judge.rules.counts import LEAST, MOST
from analyzer.model.reading import Buckets
from analyzer.model.units import show_level

SCALES = range(-9, 53)
"""Schemas of native histograms that doubles can hold; Prometheus knows −4 to 8."""


def is_sound(buckets: Buckets) -> bool:
    """Whether the buckets are ones: as many counts as ascending bounds, no count negative or not finite."""
    bounds, counts = buckets.bounds, buckets.counts
    ascending = all(lower < upper for lower, upper in pairwise(bounds))
    counted = all(isfinite(count) and count >= 0 for count in counts) and sum(counts) <= MOST
    scaled = buckets.scale is None or buckets.scale in SCALES
    return len(bounds) == len(counts) and ascending and counted and scaled and all(bound > -inf for bound in bounds)


def quantile_of(buckets: Buckets, quantile: float) -> float | None:
    """The quantile, interpolated linearly within its bucket as Prometheus does it; None where nothing is known of it.

    Beyond the last finite bound it is the next number above that bound, so that a limit there counts as crossed.
    """
    if not is_sound(buckets) or buckets.total < LEAST:
        return None
    wanted, seen, below = quantile * buckets.total, 0.0, 0.0
    for bound, count in zip(buckets.bounds, buckets.counts, strict=True):
        if bound == inf:
            break
        if count > 0 and seen + count >= wanted:
            start = below if buckets.scale is None or bound <= 0 else max(below, bound / 2 ** (2.0**-buckets.scale))
            start = min(start, bound)
            return start + (bound - start) * max(0.0, wanted - seen) / count
        seen += count
        below = bound
    return nextafter(below, inf) if any(isfinite(bound) for bound in buckets.bounds) else None


@dataclass(frozen=True, eq=False)
class Observed:
    """All observations of one side by upper bound, in the metric's own unit; `scale` is the coarsest native one."""

    counts: Mapping[float, float] = field(default_factory=dict)
    scale: int | None = None

    @property
    def total(self) -> float:
        """All observations."""
        return sum(self.counts.values())

    def heard(self, window: histogram.Buckets | None) -> Self:
        """With those of one more window."""
        if window is None:
            return self
        counts = dict(self.counts)
        for bound, count in zip(window.bounds, window.counts, strict=True):
            counts[bound] = counts.get(bound, 0.0) + count
        scales = [scale for scale in (self.scale, window.scale) if scale is not None]
        return type(self)(counts, min(scales, default=None))

    def quantile(self, quantile: float, factor: float) -> float | None:
        """In base units; `factor` is what one of the metric's units is in them."""
        value = quantile_of(self._buckets, quantile)
        return None if value is None else value * factor

    def shown(self, quantile: float, factor: float, unit: str | None) -> str:
        """The quantile for people: `850 ms`, or `more than 10 s` where there is no bucket boundary above it."""
        value = quantile_of(self._buckets, quantile)
        if value is None:
            return "unknown"
        beyond = value > max(bound for bound in self.counts if isfinite(bound))
        return f"{'more than ' if beyond else ''}{show_level(value * factor, unit)}"

    @property
    def _buckets(self) -> Buckets:
        bounds = sorted(self.counts)
        return Buckets(bounds=tuple(bounds), counts=tuple(self.counts[bound] for bound in bounds), scale=self.scale)
