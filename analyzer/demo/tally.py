"""What an instance of the simulated service has served, counted exactly: the truth that measurements are held against.

Counted beside the Prometheus metrics and not through them, so that a mistake in the exposition shows.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

BOUNDARIES: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the classic buckets, in seconds, the last (+Inf) left out."""

SERVER_ERROR: Final = 500


@dataclass(slots=True)
class Tally:
    """Requests by code and method, and by the bucket of their duration.

    `buckets[i]` are the requests with `BOUNDARIES[i - 1] < duration <= BOUNDARIES[i]`, the last one those above all of
    them; not cumulative. `seconds` is the sum of all durations.
    """

    requests: Counter[tuple[int, str]] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDARIES) + 1))
    seconds: float = 0.0

    def add(self, code: int, method: str, seconds: float) -> None:
        """Count one request."""
        self.requests[code, method] += 1
        self.buckets[bisect_left(BOUNDARIES, seconds)] += 1
        self.seconds += seconds

    @property
    def total(self) -> int:
        """All requests."""
        return self.requests.total()

    @property
    def bad(self) -> int:
        """Requests answered with a 5xx."""
        return sum(count for (code, _), count in self.requests.items() if code >= SERVER_ERROR)

    def by_code(self) -> dict[int, int]:
        """Requests by status code."""
        codes: Counter[int] = Counter()
        for (code, _), count in self.requests.items():
            codes[code] += count
        return dict(codes)

    def cumulative(self) -> list[int]:
        """Requests with a duration of at most each boundary, then all of them: as `_bucket` series count."""
        sums, sum_ = [], 0
        for count in self.buckets:
            sum_ += count
            sums.append(sum_)
        return sums

    @classmethod
    def sum(cls, tallies: Iterable[Self]) -> Self:
        """All of these together."""
        whole = cls()
        for tally in tallies:
            whole.requests.update(tally.requests)
            whole.buckets = [a + b for a, b in zip(whole.buckets, tally.buckets, strict=True)]
            whole.seconds += tally.seconds
        return whole
