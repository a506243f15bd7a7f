"""Anytime-valid confidence intervals: for the ratio of two rates, and for one rate. Method: judge.md §5.

Both are mixtures of likelihood ratios over alternatives (Robbins), deflated as the e-process is: the values that are
not rejected at level alpha, however often one looks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log, nan, pi

import numpy as np
from scipy.optimize import brentq

from analyzer.judge.arrays import TINY, Array, array, logsumexp
from analyzer.judge.dispersion import deflate

_NODES = 257
_REACH = 9.0
"""Nodes of the trapezoid rule, over so many standard deviations on either side of the mode."""

_FAR = 40.0
"""Distance in logs beyond which an end is 0 or infinite."""


@dataclass(frozen=True)
class ConfidenceInterval:
    """`low` ≤ truth ≤ `high` at all times together with probability 1 − alpha; `estimate` is NaN without any event."""

    low: float
    estimate: float
    high: float


def ratio_interval(rows: Array, alpha: float, phi: float = 1.0, nu: float = 1e9) -> ConfidenceInterval:
    """Of ρ = p_c/p_b. `rows` are n_c, e_c, n_b, e_b of all intervals, shape (4, intervals); ends may be 0 and infinite.

    Conditional on each interval's events, so that shocks common to both sides cancel; a standard normal prior on
    log ρ. Events of an interval in which one side has no requests say nothing.
    """
    n_c, e_c, n_b, e_b = rows[:, (rows[0] > 0) & (rows[2] > 0)]
    if not (e_c.sum() + e_b.sum()):
        return ConfidenceInterval(0.0, nan, inf)
    shares = _Shares(np.log(n_c / n_b), e_c, e_b)
    mode, curvature = shares.mode()
    spread = _REACH * np.sqrt(phi / curvature)
    nodes = np.linspace(mode - spread, mode + spread, _NODES)
    prior = -nodes * nodes / 2 - log(2 * pi) / 2 + np.log(_trapezoid(nodes))
    mixture = _Mixture(prior, shares.log_likelihood(nodes), phi, nu)

    def excess(x: float) -> float:
        return mixture.log_e(float(shares.log_likelihood(np.array([x]))[0])) + log(alpha)

    low, high = _crossing(excess, mode, -_FAR), _crossing(excess, mode, _FAR)
    return ConfidenceInterval(exp(low) if low > -inf else 0.0, shares.estimate(), exp(high) if high < inf else inf)


def rate_interval(n: float, e: float, alpha: float, phi: float = 1.0, nu: float = 1e9) -> ConfidenceInterval:
    """Of one rate, from `e` bad events among `n` requests: Beta(½, ½) mixture of binomial likelihood ratios.

    The prior is uniform in u where p = sin²(πu/2). Without deflation it is the closed form of judge.md §5 with
    betaln(e + ½, n − e + ½) − betaln(½, ½).

    Raises:
        ValueError: for more bad events than requests.
    """
    if e > n or e < 0:
        raise ValueError("more bad events than requests")
    if not n:
        return ConfidenceInterval(0.0, nan, 1.0)
    estimate = e / n
    middle, spread = 2 / pi * np.arcsin(np.sqrt(estimate)), _REACH / pi * np.sqrt(phi / n)
    nodes = np.linspace(max(0.0, middle - spread), min(1.0, middle + spread), _NODES)
    rates = np.sin(pi / 2 * nodes) ** 2
    rest = np.cos(pi / 2 * nodes) ** 2
    mixture = _Mixture(np.log(_trapezoid(nodes)), _log_likelihood(n, e, rates, rest), phi, nu)

    def excess(logit: float) -> float:
        p, q = 1 / (1 + exp(-logit)), 1 / (1 + exp(logit))
        return mixture.log_e(float(_log_likelihood(n, e, np.array(p), np.array(q)))) + log(alpha)

    inner = log((e + 0.5) / (n - e + 0.5))
    low = _crossing(excess, inner, -_FAR) if e > 0 else -inf
    high = _crossing(excess, inner, _FAR) if e < n else inf
    return ConfidenceInterval(_logistic(low), estimate, _logistic(high))


@dataclass(frozen=True)
class _Mixture:
    """Log weights of nodes, the log-likelihood at each, and how it is deflated."""

    log_weights: Array
    at_nodes: Array
    phi: float
    nu: float

    def log_e(self, log_likelihood: float) -> float:
        """The log e-value against a null that has this log-likelihood."""
        return float(logsumexp(self.log_weights + deflate(self.at_nodes - log_likelihood, self.phi, self.nu)))


@dataclass(frozen=True)
class _Shares:
    """Conditional binomial likelihood of x = log ρ: e_c among e_c + e_b, with odds exp(x + offset)."""

    offset: Array
    e_c: Array
    e_b: Array

    def log_likelihood(self, x: Array) -> Array:
        odds = x[:, None] + self.offset
        return array(-(self.e_c * np.logaddexp(0, -odds) + self.e_b * np.logaddexp(0, odds)).sum(-1))

    def slope(self, x: float) -> tuple[float, float]:
        """First derivative, and minus the second."""
        share = 1 / (1 + np.exp(-np.clip(x + self.offset, -700, 700)))
        events = self.e_c + self.e_b
        return float((self.e_c - events * share).sum()), float((events * share * (1 - share)).sum())

    def mode(self) -> tuple[float, float]:
        """Where the posterior under a standard normal prior is largest, and its curvature there."""
        bound = abs(self.e_c - self.e_b).sum() + (self.e_c + self.e_b).sum() + 1
        mode = brentq(lambda x: self.slope(x)[0] - x, -bound, bound, xtol=1e-12)
        return mode, 1 + self.slope(mode)[1]

    def estimate(self) -> float:
        """The maximum-likelihood estimate of ρ."""
        if not self.e_c.any() or not self.e_b.any():
            return inf if self.e_c.any() else 0.0
        reach = 2 * _FAR + float(np.abs(self.offset).max())
        return exp(brentq(lambda x: self.slope(x)[0], -reach, reach, xtol=1e-12))


def _log_likelihood(n: float, e: float, p: Array, q: Array) -> Array:
    """Of the rate p = 1 − q, with 0·log 0 = 0."""
    return array(e * np.log(np.maximum(p, TINY)) + (n - e) * np.log(np.maximum(q, TINY)))


def _trapezoid(nodes: Array) -> Array:
    weights = np.full(nodes.size, nodes[1] - nodes[0])
    weights[[0, -1]] /= 2
    return weights


def _crossing(excess: Callable[[float], float], inside: float, distance: float) -> float:
    """Where `excess` turns positive on the way from `inside`; ±infinite if it does not within `distance`."""
    if excess(inside + distance) <= 0:
        return inf if distance > 0 else -inf
    return float(brentq(excess, inside, inside + distance, xtol=1e-9))


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -_FAR * 4 else 0.0
