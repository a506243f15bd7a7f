"""The past of a gauge: how noisy its levels are, how pods differ, and before-after the level to compare with.

Method: judge.md §8; what a level that was estimated beforehand costs is accounted for as in §6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Self

import numpy as np
from scipy.special import stdtrit

from analyzer.judge import gauge
from analyzer.judge.arrays import Array, array
from analyzer.judge.gauge import GaugePrior, learn_gauge
from analyzer.model.reading import History, Level, Reading, Side

SPENT = 0.2
"""Share of the error probability that before-after spends on the level of its history."""


LARGEST = 1e150
"""A level beyond this is none, and one below its inverse is zero: so ratios stay finite."""


def level_of(side: Side | None) -> float | None:
    """The mean level of a side, if it is a number."""
    if not isinstance(side, Level) or not abs(side.mean) <= LARGEST:
        return None
    return side.mean if abs(side.mean) >= 1 / LARGEST else 0.0


@dataclass(frozen=True, eq=False)
class GaugePast:
    """What the history says. `level` is the typical one, for before-after; `pods` are the mean levels of pods.

    `prior` is None where the history is too short; `windows` are those that it comes from.
    """

    prior: GaugePrior | None = None
    level: float | None = None
    pods: tuple[float, ...] = ()
    windows: int = 0

    @classmethod
    def side_by_side(cls, history: History) -> Self:
        """From the log ratio of the two halves.

        With one pod there are no halves. Its odd and even windows would be none either, for neighbours are alike: the
        swings of the level itself are taken, as if both sides had them independently.
        """
        pairs = [(level_of(reading.canary), level_of(reading.baseline)) for reading in history.readings]
        both = [(one, other) for one, other in pairs if one is not None and other is not None]
        if both:
            y = array([log(one) - log(other) for one, other in both if one > 0 and other > 0])
        else:
            y = array(sqrt(2) * _centred(_levels(history)))
        return cls(prior=learn_gauge(y), pods=_pods(history), windows=y.size)

    @classmethod
    def before_after(cls, history: History) -> Self:
        """From the level of both halves together over time, for nothing common to canary and baseline cancels.

        With levels of zero there is no typical one that a ratio to it would say something of.
        """
        levels = _levels(history)
        positive = bool(levels) and min(levels) > 0
        typical = exp(sum(map(log, levels)) / len(levels)) if positive else None
        mean = sum(levels) / len(levels) if levels else None
        return cls(
            prior=learn_gauge(_centred(levels)) if positive else None,
            level=mean if typical is None else typical,
            pods=_pods(history),
            windows=len(levels),
        )

    def pod_term(self, canary: int, baseline: int | None) -> float:
        """What pods may differ by, in logs, for these numbers of them; of the baseline None: those of the history."""
        if len(self.pods) < 2:
            return 0.0
        return gauge.pod_term(array(self.pods)[:, None], canary, len(self.pods) if baseline is None else baseline)

    def uncertainty(self, alpha: float) -> float:
        """By how much, in logs, the typical level may be off, at the part of `alpha` that is spent on it."""
        if self.prior is None or not self.windows:
            return 0.0
        z = -float(stdtrit(float(self.prior.nu), alpha * SPENT / 2))
        return z * sqrt(float(self.prior.long_run) / self.windows)


def _levels(history: History) -> list[float]:
    """One level a window, of all pods together."""
    return [level for reading in history.readings if (level := _together(reading)) is not None]


def _together(reading: Reading) -> float | None:
    """The mean over both halves, by their numbers of series."""
    told = [(side, level_of(side)) for side in (reading.canary, reading.baseline)]
    halves = [(_series(side), level) for side, level in told if level is not None]
    every = sum(series for series, _ in halves)
    return sum(series * level for series, level in halves) / every if halves else None


def _series(side: Side | None) -> int:
    return max(1, len(side.by)) if isinstance(side, Level) else 1


def _centred(levels: Sequence[float]) -> Array:
    """Logs of the positive levels about their mean."""
    logs = np.log(array([level for level in levels if level > 0]))
    return array(logs - logs.mean()) if logs.size else logs


def _pods(history: History) -> tuple[float, ...]:
    """The mean level of each pod that lived for at least half as long as the longest; none if one has no logarithm."""
    levels: dict[str, list[float]] = {}
    for reading in history.readings:
        for side in (reading.canary, reading.baseline):
            if isinstance(side, Level):
                for pod, level in side.by.items():
                    levels.setdefault(pod, []).append(level)
    longest = max(map(len, levels.values()), default=0)
    means = [sum(values) / len(values) for _, values in sorted(levels.items()) if 2 * len(values) >= longest]
    return tuple(means) if all(1 / LARGEST <= mean <= LARGEST for mean in means) else ()
