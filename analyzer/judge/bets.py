"""Bets of one interval against a null: what each of a grid of alternatives gains from its counts.

A bet's gain is the log of an e-value: exp(gain) expects at most 1 under the null, whatever the rates of the
interval are. Gains of successive intervals add up.
"""

from dataclasses import dataclass

import numpy as np

from analyzer.judge.arrays import TINY, Array, array
from analyzer.judge.null import Null


def _weighed(multiples: Array) -> Array:
    """Log weights of likelihood bets, ∝ 1/(1 + (log g / log 4)²): most of them on plain, visible changes."""
    weights = 1 / (1 + (np.log(multiples) / np.log(4)) ** 2)
    return array(np.log(weights / weights.sum()))


@dataclass(frozen=True, eq=False)
class Grid:
    """Alternatives that a side bets on. `multiples` of the tolerated rate, with the log weights of the bets on them.

    `sign` is +1 for bets that the canary is worse, −1 for bets that it is better.
    """

    multiples: Array
    log_weights: Array
    sign: int


_WORSE = np.geomspace(1.06, 60, 24)
_BETTER = np.append(np.geomspace(0.02, 0.95, 15), 1e-6)
FAIL_GRID = Grid(_WORSE, _weighed(_WORSE), 1)
PASS_GRID = Grid(_BETTER, _weighed(_BETTER), -1)
STAKES = np.linspace(0.05, 0.98, 16)
"""Shares of the fortune that share bets stake."""


def baseline_guess(n_b: Array, e_b: Array, floor: Array | float) -> Array:
    """The baseline's rate for the next interval's bets, from its requests and events of earlier intervals.

    `floor` is the rate that half an event stands for while there are none: max(d, d', 1e-4).
    """
    return (e_b + 0.5) / (n_b + 0.5 / floor)


def likelihood_gains(null: Null, grid: Grid, p_b: Array, counts: Array) -> Array:
    """Gains of the likelihood bets, shape (…, bets).

    `null` is lifted; `p_b` (…) is the guess of the baseline's rate, from earlier intervals only; `counts` (…, 4) are
    n_c, e_c, n_b, e_b. Poisson likelihood ratio of each alternative to its projection on the null; the expectation
    of its exponential is at most 1 for binomial counts of any size and any rates in the null (judge.md §2). For d = 0
    it is the conditional binomial test of Lindon and Malek (arXiv 2011.03567).
    """
    n_c, e_c, n_b, e_b = (counts[..., i, None] for i in range(4))
    base = p_b[..., None]
    worse = grid.multiples * null.line(base)
    null_c, null_b = null.project(n_c, n_b, worse, base)
    gains = e_c * np.log(worse / null_c) - n_c * (worse - null_c)
    if null.is_limit:
        return gains  # no requests, no events: zero by itself
    gains += e_b * np.log(base / null_b) - n_b * (base - null_b)
    return gains * ((n_c > 0) & (n_b > 0))


def share_gains(null: Null, grid: Grid, counts: Array) -> Array:
    """Gains of the share bets, shape (…, stakes): on the canary's share of all bad events (only for d = 0, a > 0).

    `null` is not lifted. Needs only that the expected share is at most the tolerated one, however events cluster
    within an interval: betting in the sense of Waudby-Smith and Ramdas (arXiv 2010.09686), judge.md §2.
    """
    n_c, e_c, n_b, e_b = (counts[..., i] for i in range(4))
    events = e_c + e_b
    weighed = null.a * n_c
    divisor = np.maximum(weighed + n_b, TINY)
    tolerated, room = weighed / divisor, n_b / divisor
    excess = e_c / np.maximum(events, TINY) - tolerated
    returns = grid.sign * excess / np.maximum(tolerated if grid.sign > 0 else room, TINY)
    placed = (events > 0) & (n_c > 0) & (n_b > 0)
    return np.log1p(STAKES * np.where(placed, returns, 0.0)[..., None])
