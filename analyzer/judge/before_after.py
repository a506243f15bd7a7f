"""A baseline that served before the canary: what its history allows to say about the canary's rate now.

No shock common to both sides cancels here, so the claim is weaker than side by side. Method: judge.md §6. The rate of
the canary is judged against a limit, `Null(0, limit)`, with the probability of error that is left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, chdtri, stdtrit

from analyzer.judge.arrays import Array, array
from analyzer.judge.null import Null

SPENT = 0.2
"""The part of the error probability that is spent on the baseline's own uncertainty."""


@dataclass(frozen=True)
class Limit:
    """A limit on the canary's rate, and the error probability left to judge it with."""

    rate: float
    level: float

    @property
    def null(self) -> Null:
        """The line to judge against."""
        return Null(0.0, self.rate)


def fail_limit(n: ArrayLike, e: ArrayLike, tolerance: Null, alpha: float, *, known: bool = False) -> Limit:
    """The limit beyond which the canary is worse than `tolerance` allows: p_max = a·U·exp(z·τ) + d.

    `n` and `e` are the baseline's requests and bad events in blocks of five minutes, an hour of them or more. U is
    the upper Clopper-Pearson bound of the pooled rate, τ the sd of the log rate between blocks. `known` takes the
    pooled rate for certain: a history that is huge.

    Raises:
        ValueError: for a history without requests.
    """
    requests, events = _blocks(n, e)
    if known:
        return Limit(float(tolerance.line(events.sum() / requests.sum())), alpha)
    half = alpha * SPENT / 2
    upper = _upper(requests.sum(), events.sum(), half) * np.exp(_drift(requests, events, half))
    return Limit(float(tolerance.line(upper)), alpha * (1 - SPENT))


def pass_limit(n: ArrayLike, e: ArrayLike, margin: Null, beta: float, *, known: bool = False) -> Limit:
    """The limit below which the canary is better than the pass `margin`: a'·U'·exp(−z·τ) + d', U' the lower bound.

    The mirror image of `fail_limit`; it may be 0, and then nothing can be shown.
    """
    requests, events = _blocks(n, e)
    if known:
        return Limit(float(margin.line(events.sum() / requests.sum())), beta)
    half = beta * SPENT / 2
    lower = _lower(requests.sum(), events.sum(), half) * np.exp(-_drift(requests, events, half))
    return Limit(float(margin.line(lower)), beta * (1 - SPENT))


def _blocks(n: ArrayLike, e: ArrayLike) -> tuple[Array, Array]:
    requests, events = array(n), array(e)
    served = requests > 0
    if not served.any():
        raise ValueError("the history has no requests: nothing is known of the baseline")
    return requests[served], events[served]


def _upper(n: float, e: float, level: float) -> float:
    return 1.0 if e >= n else float(betaincinv(e + 1, n - e, 1 - level))


def _lower(n: float, e: float, level: float) -> float:
    return 0.0 if e <= 0 else float(betaincinv(e, n - e + 1, level))


def _drift(requests: Array, events: Array, level: float) -> float:
    """z·τ: by how much, in logs, the rate of some later time may differ; 0 while blocks differ no more than chance."""
    k = requests.size
    expected = requests * events.sum() / requests.sum()
    if k < 3 or not events.any():
        return 0.0
    squares = (events - expected) ** 2
    if (squares / expected).sum() <= chdtri(k - 1, 0.1):
        return 0.0
    excess = max(0.0, (squares - expected).sum() / (expected**2).sum()) * k / (k - 1)
    return float(stdtrit(k - 1, 1 - level) * np.sqrt(np.log1p(excess)))
