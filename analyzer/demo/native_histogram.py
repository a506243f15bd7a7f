"""A native (exponential) histogram, as Prometheus has had it since 2.40 and prometheus-client has not. Pure.

Bucket `i` of schema `s` holds values in `(2^((i-1)/2^s), 2^(i/2^s)]`; values from minus to plus the zero threshold are
in the zero bucket. Negative observations are refused: durations have none.
Source of the layout: https://prometheus.io/docs/specs/native_histograms/
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from math import frexp, isfinite
from typing import Final

ZERO_THRESHOLD: Final = 2.0**-128
SCHEMAS: Final = range(9)


@dataclass(frozen=True, slots=True)
class Span:
    """`length` neighbouring buckets; `offset` is the first one's index, or the gap after the span before."""

    offset: int
    length: int


@dataclass(slots=True)
class NativeHistogram:
    """Counts in exponential buckets. `schema` is 0 (each bucket doubles) to 8 (256 buckets for each doubling)."""

    schema: int = 3
    zero_threshold: float = ZERO_THRESHOLD
    zero_count: int = 0
    sum: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)
    _fractions: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.schema not in SCHEMAS:
            raise ValueError(f"the schema of a native histogram is between 0 and 8 here, not {self.schema}")
        steps = 2**self.schema
        self._fractions = [2.0 ** (step / steps - 1) for step in range(steps)]

    def observe(self, value: float) -> None:
        """Count one value. Raises ValueError if it is negative or not finite."""
        if not isfinite(value) or value < 0:
            raise ValueError(f"this histogram counts finite values from zero on, not {value}")
        self.sum += value
        if value <= self.zero_threshold:
            self.zero_count += 1
        else:
            self.buckets[self.index(value)] += 1

    def index(self, value: float) -> int:
        """The bucket of a value above zero.

        Through the binary exponent and a table of fractions instead of a logarithm: a power of two is exactly the
        upper bound of its bucket, without rounding.
        """
        fraction, exponent = frexp(value)  # value = fraction · 2^exponent, fraction in [0.5, 1)
        return bisect_left(self._fractions, fraction) + (exponent - 1) * len(self._fractions)

    def upper_bound(self, index: int) -> float:
        """The inclusive upper bound of a bucket."""
        return float(2.0 ** (index / 2**self.schema))

    @property
    def count(self) -> int:
        """All observations."""
        return self.zero_count + self.buckets.total()

    def spans(self) -> list[Span]:
        """Where the populated buckets lie, in ascending order, without the empty ones between them."""
        indices = sorted(self.buckets)
        if not indices:
            return []
        begins = [0] + [place + 1 for place, (left, right) in enumerate(pairwise(indices)) if right != left + 1]
        lengths = [end - begin for begin, end in pairwise([*begins, len(indices)])]
        gaps = [indices[0]] + [indices[begin] - indices[begin - 1] - 1 for begin in begins[1:]]
        return [Span(offset=gap, length=length) for gap, length in zip(gaps, lengths, strict=True)]

    def deltas(self) -> list[int]:
        """Each populated bucket's count as its difference from the one before, the first from zero."""
        counts = [0] + [self.buckets[index] for index in sorted(self.buckets)]
        return [right - left for left, right in pairwise(counts)]
