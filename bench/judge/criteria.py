"""When a cell fails: comparisons with the prototype's figures that allow for sampling error and for nothing else.

Shares that must not be larger (false rollbacks): the count is tested against the prototype's printed share plus half
of its last digit (0.05 points), so that a printed 0.0 % stands for at most 0.05 %; exact binomial, one-sided 99.9 %
over all cells of the table together (Bonferroni). That the prototype's share is an estimate as well is not allowed
for: that would only make the test milder.

Shares that must not be smaller (detections): Fisher's exact test of the two counts, one-sided 99.9 % for each cell.

Medians must not be later by more than one interval. Where ours is, and both are medians of few runs, the difference
may be chance: the cell fails if significantly more than half of our runs (one-sided 99.9 %, sampling error of both
medians counted) are later than the prototype's median plus one interval, and is marked `~` if not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, hypergeom, norm

from bench.judge.prototype import Found
from bench.judge.simulation import NEVER
from bench.judge.streams import INTERVAL, Floats

SURE = 0.001
"""One-sided error probability."""

ROUNDING = 0.05
"""Percentage points: half of the last digit of the prototype's figures."""

COMPARED = 20.0
"""Percent found below which medians are not compared."""


@dataclass(frozen=True)
class Outcome:
    """What `runs` simulated runs came to: the times at which those that did crossed, in seconds."""

    times: Floats
    runs: int

    @classmethod
    def of(cls, crossed: NDArray[np.int64], onset: int = 0) -> "Outcome":
        """From checks counted from 0; with an onset only crossings after it count, and from there."""
        found = crossed[(crossed != NEVER) & (crossed >= onset)]
        return cls((found - onset + 1) * INTERVAL, crossed.size)

    @property
    def found(self) -> int:
        return self.times.size

    @property
    def share(self) -> float:
        """Percent."""
        return 100.0 * self.found / self.runs

    @property
    def median(self) -> float:
        return float(np.median(self.times)) if self.found else np.inf

    @property
    def mean(self) -> float:
        return float(self.times.mean()) if self.found else np.inf


def too_many(outcome: Outcome, printed: float, cells: int) -> bool:
    """Whether the share is above the prototype's printed percentage, at 99.9 % over `cells` cells."""
    chance = binom.sf(outcome.found - 1, outcome.runs, (printed + ROUNDING) / 100)
    return bool(chance < SURE / cells)


def too_few(outcome: Outcome, printed: float, runs: int) -> bool:
    """Whether the share is below the prototype's, printed in whole percent and found in `runs` runs."""
    theirs = int(np.ceil(max(printed - 0.5, 0.0) / 100 * runs))
    chance = hypergeom.cdf(outcome.found, outcome.runs + runs, outcome.found + theirs, outcome.runs)
    return bool(chance < SURE)


def later(outcome: Outcome, theirs: Found, runs: int) -> str:
    """Empty, `~` for a median later by more than an interval and perhaps by chance, `late` for one that is not."""
    share = 100.0 if theirs.share is None else theirs.share
    if share < COMPARED:
        return ""
    if not outcome.found:
        return "late"
    bar = theirs.median + INTERVAL
    if outcome.median <= bar:
        return ""
    behind = float((outcome.times > bar).mean())
    error = np.sqrt(0.25 / outcome.found + 0.25 / (share / 100 * runs))
    return "late" if norm.sf((behind - 0.5) / error) < SURE else "~"
