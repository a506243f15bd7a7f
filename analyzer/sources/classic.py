"""The buckets of classic histograms, as something to be counted. Pure.

The series of one histogram differ in `le` alone and are one value here: when any of its buckets drops, all of them
began anew. (Taken by itself, a small bucket can have grown past its old value by the next scrape: a reset missed.)
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analyzer.sources.counting import Series

LE = "le"


@dataclass(frozen=True, slots=True)
class Classic:
    """Cumulative counts at ascending upper bounds, the last one infinite."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]


NOTHING = Classic((), ())


class ClassicBuckets:
    """How the buckets of a classic histogram are counted."""

    def increase(self, before: Classic, after: Classic) -> Classic:
        """Where the bounds have changed, what is known of the common ones."""
        bounds, old, new = _aligned(before, after)
        if any(late < early for early, late in zip(old, new, strict=True)):
            return after
        return Classic(bounds, tuple(late - early for early, late in zip(old, new, strict=True)))

    def add(self, one: Classic, other: Classic) -> Classic:
        """Over the common bounds; `NOTHING` adds nothing."""
        if not one.bounds or not other.bounds:
            return one if one.bounds else other
        bounds, left, right = _aligned(one, other)
        return Classic(bounds, tuple(a + b for a, b in zip(left, right, strict=True)))

    def is_finite(self, value: Classic) -> bool:
        return all(0 <= count < math.inf for count in value.counts)

    def pack(self, value: Classic) -> tuple[float, ...]:
        return (*value.bounds, *value.counts)

    def unpack(self, packed: tuple[float, ...]) -> Classic:
        half = len(packed) // 2
        return Classic(packed[:half], packed[half:])


def _aligned(one: Classic, other: Classic) -> tuple[tuple[float, ...], Sequence[float], Sequence[float]]:
    if one.bounds == other.bounds:
        return one.bounds, one.counts, other.counts
    left, right = dict(zip(one.bounds, one.counts, strict=True)), dict(zip(other.bounds, other.counts, strict=True))
    bounds = tuple(sorted(left.keys() & right.keys()))
    return bounds, [left[bound] for bound in bounds], [right[bound] for bound in bounds]


def histograms_of(buckets: Iterable[Series[float]]) -> tuple[list[Series[Classic]], int]:
    """The series of each bucket into those of whole histograms, and how many were left out: without `le="+Inf"`."""
    groups: dict[tuple[tuple[str, str], ...], list[tuple[float, Series[float]]]] = defaultdict(list)
    for series in buckets:
        bound = _bound(series.labels.get(LE, ""))
        if bound is not None:
            key = tuple(sorted(item for item in series.labels.items() if item[0] != LE))
            groups[key].append((bound, series))
    whole = [_joined(dict(key), sorted(group, key=lambda pair: pair[0])) for key, group in groups.items()]
    return [histogram for histogram in whole if histogram is not None], sum(histogram is None for histogram in whole)


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _joined(labels: dict[str, str], group: list[tuple[float, Series[float]]]) -> Series[Classic] | None:
    """Samples of one scrape bear one time; a bucket without a sample there is not in that scrape's value."""
    if group[-1][0] != math.inf:
        return None
    by_time: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for bound, series in group:
        for time, value in zip(series.times, series.values, strict=True):
            by_time[time].append((bound, value))
    times = [time for time in sorted(by_time) if by_time[time][-1][0] == math.inf]
    values = [Classic(*map(tuple, zip(*by_time[time], strict=True))) for time in times]
    return Series(labels, times, values)


def buckets_of(counted: Classic, factor: float) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Bounds in base units, the count of each bucket by itself, and whether the cumulative counts had to be smoothed.

    They are not ascending when an exposition was not of one moment; the highest count below a bound is then taken.
    """
    smoothed, highest, single = False, 0.0, []
    for cumulative in counted.counts:
        smoothed |= cumulative < highest
        single.append(max(0.0, cumulative - highest))
        highest = max(highest, cumulative)
    return tuple(scaled(bound, factor) for bound in counted.bounds), tuple(single), smoothed


def scaled(bound: float, factor: float) -> float:
    """A bound in base units: 250 milliseconds are 0.25, not 0.25000000000000006."""
    return bound if factor == 1 else float(f"{bound * factor:.15g}")
