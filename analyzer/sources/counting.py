"""Raw samples of counters into what was counted in a window: exact, reset-aware, per series. Pure.

The difference of two neighbouring samples belongs to the window of the later one; a drop means that the counter began
anew at zero. Where a series was last seen is carried from window to window, so that the sum over windows equals the sum
over all samples, however the time is cut. Samples that come late count in the window in which they are first seen.
The first sample of a series counts from zero only if it is known to have begun after the origin (see `lifetime`),
and is a reference otherwise. Differences that end at or before the origin are nobody's. The staleness markers of
Prometheus are no samples and change nothing: a gap is a longer difference.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

V = TypeVar("V")

Labels = Mapping[str, str]


@dataclass(slots=True)
class Series(Generic[V]):
    """The raw samples of one series, oldest first; `times` are Unix milliseconds."""

    labels: Labels
    times: list[int]
    values: list[V]


class Algebra(Protocol[V]):
    """How one kind of cumulative value is counted."""

    def increase(self, before: V, after: V) -> V:
        """What was counted between two neighbouring samples."""
        ...

    def add(self, one: V, other: V) -> V:
        """What was counted in both."""
        ...

    def is_finite(self, value: V) -> bool:
        """Whether the sample can be counted with."""
        ...

    def pack(self, value: V) -> tuple[float, ...]:
        """As plain numbers, for the cursor."""
        ...

    def unpack(self, packed: tuple[float, ...]) -> V:
        """What `pack` has packed."""
        ...


class Counters:
    """Plain counters. Float counters stay floats."""

    def increase(self, before: float, after: float) -> float:
        return after - before if after >= before else after

    def add(self, one: float, other: float) -> float:
        return one + other

    def is_finite(self, value: float) -> bool:
        return 0 <= value < math.inf  # nothing that is counted is ever negative, or NaN

    def pack(self, value: float) -> tuple[float, ...]:
        return (value,)

    def unpack(self, packed: tuple[float, ...]) -> float:
        return packed[0]


class Starts(Counters):
    """Of `process_start_time_seconds`: one for each process that began after the one seen before it."""

    JITTER = 1.0
    """Seconds by which the same process may tell its start differently."""

    def increase(self, before: float, after: float) -> float:
        return 1.0 if after > before + self.JITTER else 0.0


@dataclass(frozen=True, slots=True)
class Increment(Generic[V]):
    """What one series counted up to one sample."""

    time: int
    amount: V


@dataclass(frozen=True, slots=True)
class Seen(Generic[V]):
    """Where a series was last seen."""

    time: int
    value: V


def identity(prefix: str, labels: Labels) -> str:
    """A short, stable key of a series in a cursor: 64 bits of a hash of its labels, behind a readable prefix."""
    text = repr(sorted(labels.items()))  # quoted, so that no value can look like two labels
    return f"{prefix}/{blake2b(text.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"


def is_new(series: Series[V], seen: Seen[V] | None, origin: int) -> bool:
    """Whether the series has no reference, so that it must be found out whether it counts from zero."""
    return seen is None and bool(series.times) and series.times[0] > origin


def follow(
    series: Series[V], seen: Seen[V] | None, *, algebra: Algebra[V], origin: int, end: int, from_zero: bool
) -> tuple[list[Increment[V]], Seen[V] | None]:
    """What the series counted with the samples after `seen` and up to `end`, and where it now stands.

    Samples that cannot be counted with (negative, NaN, infinite) are gaps. A list without increments, and a changed
    `seen`: the series had only its reference.
    """
    increments: list[Increment[V]] = []
    for time, value in zip(series.times, series.values, strict=True):
        if time > end:
            break
        if (seen is not None and time <= seen.time) or not algebra.is_finite(value):
            continue
        if time > origin and seen is not None:
            increments.append(Increment(time, algebra.increase(seen.value, value)))
        elif time > origin and from_zero:
            increments.append(Increment(time, value))
        seen = Seen(time, value)
    return increments, seen


def total(amounts: Iterable[V], add: Callable[[V, V], V], nothing: V) -> V:
    """The sum of what was counted."""
    result = nothing
    for amount in amounts:
        result = add(result, amount)
    return result
