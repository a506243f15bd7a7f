"""What is known of the baseline's distribution before the first judged interval: from history, or from its first
minutes side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Self

import numpy as np

from analyzer.judge.histogram import Buckets, Tails, boundaries, divides, tails
from analyzer.judge.rules.counts import LEAST
from analyzer.judge.rules.past import Past
from analyzer.judge.rules.quantile import Observed, is_sound
from analyzer.judge.stretch import Plan, learn_plan
from analyzer.model import reading as model

FIRST_MINUTES = 120.0
"""Seconds of the baseline that its distribution is learned from when there is no history (judge.md §7)."""


def heard(side: model.Side | None, factor: float) -> Buckets | None:
    """The buckets of a side, if it has told any; bounds in the metric's own unit, in which native ones are powers.

    `factor` is what one of the metric's units is in base units.
    """
    if not isinstance(side, model.Buckets) or not is_sound(side):
        return None
    bounds = side.bounds if factor == 1 else tuple(float(f"{bound / factor:.15g}") for bound in side.bounds)
    return Buckets(bounds, side.counts, side.scale)


def served(buckets: Buckets | None) -> Buckets | None:
    """The buckets, if there is an observation in them."""
    return buckets if buckets is not None and sum(buckets.counts) >= LEAST else None


@dataclass(frozen=True, eq=False)
class LatencyPast:
    """Windows of the baseline's two halves, oldest first; None where one had no observation. `seconds` are those
    learned from in the run, 0 while there is a history."""

    first: tuple[Buckets | None, ...] = ()
    second: tuple[Buckets | None, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(cls, history: model.History, factor: float) -> Self:
        """From the baseline's history; `factor` as for `heard`."""
        first = tuple(served(heard(reading.canary, factor)) for reading in history.readings)
        second = tuple(served(heard(reading.baseline, factor)) for reading in history.readings)
        return cls(first, second)

    @cached_property
    def windows(self) -> list[Buckets]:
        """All windows with observations."""
        return [window for window in (*self.first, *self.second) if window is not None]

    @cached_property
    def observed(self) -> Observed:
        """All of it together."""
        return reduce(Observed.heard, self.windows, Observed())

    @property
    def is_history(self) -> bool:
        """Whether it comes from before the upgrade."""
        return bool(self.windows) and not self.seconds

    def learned(self, window: Buckets, seconds: float) -> Self:
        """With one more window of the baseline in the run."""
        return replace(self, first=(*self.first, window), seconds=self.seconds + seconds)

    def plan(self, quantile: float, tolerance: float, within: float, canary: Buckets) -> Plan:
        """Boundaries, tolerated tails and priors for a canary with these buckets.

        Raises:
            ValueError: nothing can be compared; the message says why.
        """
        bounds = boundaries(self.windows)
        allowed = [bound for bound in bounds if divides(canary, bound)]
        first, second = self._halves(bounds)
        return learn_plan(first, second, quantile, tolerance, within, allowed)

    def at(self, boundary: float, interval: float) -> Past:
        """The past as counts of requests slower than one boundary; empty where it does not divide the buckets."""
        if not self.windows or not all(divides(window, boundary) for window in self.windows):
            return Past.of([], interval)
        first, second = self._tails(self.first, (boundary,)), self._tails(self.second, (boundary,))
        n_2, e_2 = (second.requests, second.slower[0]) if self.second else (np.zeros_like(first.requests),) * 2
        return Past(first.requests, first.slower[0], n_2, e_2, interval)

    def _halves(self, bounds: Sequence[float]) -> tuple[Tails, Tails | None]:
        """Both halves; with one pod, its odd and its even windows; in the run, one sample without a second."""
        if self.seconds:
            return self._tails(self.first, bounds), None
        halves = self.first, self.second
        told = [half for half in halves if any(window is not None for window in half)]
        if len(told) > 1:
            return self._tails(self.first, bounds), self._tails(self.second, bounds)
        one = told[0] if told else self.first
        start = len(one) % 2
        odd, even = one[start::2], one[start + 1 :: 2]
        return self._tails(odd, bounds), self._tails(even, bounds) if even else None

    def _tails(self, windows: Sequence[Buckets | None], bounds: Sequence[float]) -> Tails:
        """Windows without observations count as zeros, so that both halves keep the same intervals."""
        requests = np.zeros(len(windows))
        slower = np.zeros((len(bounds), len(windows)))
        known = [(index, window) for index, window in enumerate(windows) if window is not None]
        if known:
            found = tails([window for _, window in known], bounds)
            places = [index for index, _ in known]
            requests[places], slower[:, places] = found.requests, found.slower
        return Tails(tuple(bounds), requests, slower)
