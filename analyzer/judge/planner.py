"""How long a verdict will take at given rates and traffic. Method: judge.md §10.

The expected drift of the best bet's log-likelihood ratio per second against a bar that allows for the mixture's cost
and for deflation. Rates are events per request, traffic requests per second, times seconds.
"""

from dataclasses import dataclass
from math import exp, expm1, inf, log, sqrt

from scipy.optimize import brentq

from analyzer.judge.arrays import TINY
from analyzer.judge.null import Null

_MIXTURE = 2.0
"""Nats that the mixture over alternatives costs."""

_NU = 30.0
"""Degrees of freedom of the dispersion that is planned with, before the run adds its own."""

_ROUNDS = 20
"""Iterations of the fixed point in `_height`."""

_Z80 = 0.8416
"""The normal distribution's 80 % quantile."""


@dataclass(frozen=True)
class Service:
    """Traffic of both sides, requests per second, and the baseline's rate of bad events; `phi` includes s.

    `interval` is the time between looks, seconds.
    """

    canary: float
    baseline: float
    rate: float
    phi: float = 1.0
    interval: float = 15.0


@dataclass(frozen=True)
class Duration:
    """Seconds of evidence until the bar, in the mean and for four runs of five; infinite inside the null.

    A verdict is given at a look: half an interval later on average.
    """

    mean: float
    most: float


def until_fail(service: Service, null: Null, ratio: float, alpha: float) -> Duration:
    """Until a canary that is `ratio` times as bad as the baseline fails; `alpha` is this rule's share of it."""
    p_c, p_b = ratio * service.rate, service.rate
    return _until(service, null, p_c, alpha) if p_c > null.line(p_b) else Duration(inf, inf)


def until_pass(service: Service, margin: Null, ratio: float, beta: float) -> Duration:
    """Until a canary with `ratio` times the baseline's rate is shown better than the `margin`."""
    p_c, p_b = ratio * service.rate, service.rate
    return _until(service, margin, p_c, beta) if p_c < margin.line(p_b) else Duration(inf, inf)


def smallest_ratio(service: Service, null: Null, alpha: float, deadline: float) -> float:
    """The smallest ratio of the rates that four runs of five find within `deadline` seconds; infinite if none is.

    The minimum detectable effect, at most 1e6 or what makes every request bad.
    """

    def late(log_ratio: float) -> float:
        most = until_fail(service, null, exp(log_ratio), alpha).most
        return 1.0 - deadline / most if most < inf else 1.0

    base = max(service.rate, TINY)
    least, largest = log(float(null.line(service.rate)) / base), log(min(1e6, 1 / base))
    if largest <= least or late(largest) > 0:
        return inf
    return exp(brentq(late, least, largest, xtol=1e-6))


def _until(service: Service, null: Null, p_c: float, level: float) -> Duration:
    drift, spread = _drift(service, null, p_c)
    if drift <= 0:
        return Duration(inf, inf)
    height = _height(service, p_c, log(1 / level) + _MIXTURE, drift)
    wobble = _Z80 * sqrt(service.phi * spread)
    root = (wobble + sqrt(wobble * wobble + 4 * drift * height)) / (2 * drift)
    return Duration(height / drift, root * root)


def _height(service: Service, p_c: float, bar: float, drift: float) -> float:
    """What the log-likelihood ratio must reach to be worth `bar` after deflation.

    Intervals of the run add to the degrees of freedom as they do in the run (judge.md §3): intervals with few events
    count for less, in the expectation by events/(1 + events). A fixed point that contracts fast.
    """
    events = service.interval * (service.canary * p_c + service.baseline * service.rate)
    worth = events / (1 + events) / service.interval
    nu = _NU
    for _ in range(_ROUNDS):
        height = nu / 2 * service.phi * expm1(2 * bar / nu)
        nu = _NU + max(worth * height / drift - 1, 0.0)
    return height


def _drift(service: Service, null: Null, p_c: float) -> tuple[float, float]:
    """Mean and variance, per second, of the log-likelihood ratio of the true rates to their projection."""
    p_b = max(service.rate, TINY)
    null_c, null_b = (float(x) for x in null.project(service.canary, service.baseline, p_c, p_b))
    drift = spread = 0.0
    for traffic, p, q in ((service.canary, p_c, null_c), (service.baseline, p_b, null_b)):
        gain = log(p / q) if p > 0 and q > 0 else 0.0
        drift += traffic * (p * gain - (p - q))
        spread += traffic * p * gain * gain
    return drift, spread
