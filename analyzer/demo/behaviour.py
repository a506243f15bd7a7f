"""How a revision of the simulated service behaves: how often it fails, how long it takes, whether it crashes. Pure.

Everything that is random is drawn from a generator that the caller seeds, so that the n-th request of an instance has
the same fate in each run.
"""

import math
from dataclasses import dataclass
from random import Random
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

MEBIBYTE: Final = 2**20
_STANDARD_NORMAL: Final = NormalDist()
_SMALLEST: Final = 2.0**-53  # inv_cdf is not defined at 0, which `random()` may return


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


@dataclass(frozen=True, slots=True)
class Latency:
    """A log-normal distribution of durations, in seconds; a share of the requests takes `factor` times as long."""

    median: float = 0.020
    sigma: float = 0.5
    slow_share: float = 0.0
    slow_factor: float = 1.0

    def __post_init__(self) -> None:
        _require(self.median > 0, "the median of a latency is above zero")
        _require(self.sigma >= 0, "the sigma of a latency is not negative")
        _require(0 <= self.slow_share <= 1, "the share of slow requests is between 0 and 1")
        _require(self.slow_factor > 0, "the factor of slow requests is above zero")

    def draw(self, random: Random) -> float:
        """One duration in seconds; takes two numbers from the generator, whatever the parameters."""
        normal = _STANDARD_NORMAL.inv_cdf(max(random.random(), _SMALLEST))
        slow = random.random() < self.slow_share
        return self.median * math.exp(self.sigma * normal) * (self.slow_factor if slow else 1.0)

    def above(self, seconds: float) -> float:
        """The share of requests that take longer than this."""
        return (1 - self.slow_share) * self._usual_above(seconds) + self.slow_share * self._usual_above(
            seconds / self.slow_factor
        )

    def _usual_above(self, seconds: float) -> float:
        if seconds <= 0:
            return 1.0
        if self.sigma == 0:
            return float(seconds < self.median)
        return 1 - _STANDARD_NORMAL.cdf(math.log(seconds / self.median) / self.sigma)


@dataclass(frozen=True, slots=True)
class Bursts:
    """Short bad times that hit everything at once: a dependency that all revisions share.

    A pure function of the wall clock and the seed, so that instances, even in several processes, suffer together. Time
    is cut into cells of `every` seconds; in each cell lies one burst of `lasting` seconds, at a drawn place.
    """

    seed: int = 1
    every: float = 12.0
    lasting: float = 2.5
    error_rate: float = 0.15
    latency_factor: float = 1.5

    def __post_init__(self) -> None:
        _require(0 < self.lasting <= self.every, "a burst lasts longer than zero, and no longer than its cell")
        _require(0 <= self.error_rate <= 1, "the error rate of a burst is between 0 and 1")
        _require(self.latency_factor > 0, "the latency factor of a burst is above zero")

    def active(self, at: float) -> bool:
        """Whether there is a burst at this time (Unix seconds)."""
        cell, place = divmod(at, self.every)
        begin = Random(f"{self.seed}/{int(cell)}").random() * (self.every - self.lasting)  # noqa: S311 -- no secret
        return begin <= place < begin + self.lasting


@dataclass(frozen=True, slots=True)
class Crashes:
    """Dies `after` this many seconds (each life drawn from half to one and a half of it), is back after `back_off`."""

    after: float = 4.0
    back_off: float = 2.0

    def __post_init__(self) -> None:
        _require(self.after > 0, "an instance lives longer than zero seconds")
        _require(self.back_off >= 0, "a back-off is not negative")

    def draw_life(self, random: Random) -> float:
        """How long the next life lasts, in seconds."""
        return self.after * (0.5 + random.random())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one request: the status code, and how long it takes in seconds."""

    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a revision behaves. Rates are shares of requests; they add up, to at most 1.

    `base_error_rate` is what every revision has, `error_rate` what this one adds; `bursts` come on top while they last.
    `memory` is its resident memory in bytes while idle.
    """

    base_error_rate: float = 0.001
    error_rate: float = 0.0
    latency: Latency = Latency()
    bursts: Bursts | None = None
    crashes: Crashes | None = None
    memory: float = 96.0 * MEBIBYTE

    def __post_init__(self) -> None:
        _require(0 <= self.base_error_rate <= 1, "the base error rate is between 0 and 1")
        _require(0 <= self.error_rate <= 1, "the error rate is between 0 and 1")
        _require(self.memory >= 0, "memory is not negative")

    def draw(self, random: Random, at: float) -> Outcome:
        """The outcome of a request that arrives at this time (Unix seconds).

        Takes three numbers from the generator, whatever the parameters: a change of behaviour leaves the luck of later
        requests as it is.
        """
        failed, seconds = random.random(), self.latency.draw(random)
        burst = self.bursts if self.bursts is not None and self.bursts.active(at) else None
        rate = self.base_error_rate + self.error_rate + (burst.error_rate if burst else 0.0)
        return Outcome(
            code=500 if failed < rate else 200,
            seconds=seconds * (burst.latency_factor if burst else 1.0),
        )


GOOD: Final = Behaviour()
ERRORS: Final = Behaviour(error_rate=0.02)
# A fifth of the requests meets something slow: the 99th percentile is three times as high (64 ms becomes 192 ms).
SLOW: Final = Behaviour(latency=Latency(slow_share=0.2, slow_factor=4.2))
CRASH: Final = Behaviour(crashes=Crashes())
FLAKY: Final = Behaviour(bursts=Bursts())

PRESETS: Final = MappingProxyType({"good": GOOD, "errors": ERRORS, "slow": SLOW, "crash": CRASH, "flaky": FLAKY})
"""Behaviours by name. `flaky` is a bad environment: give it to both revisions."""
