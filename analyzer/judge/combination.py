"""Several rules, one verdict: the weighted mean of their e-values. Method: judge.md §9.

A mean of e-values with weights fixed beforehand is an e-value whatever the dependence of the rules (Vovk and Wang,
arXiv 1912.06116; it is the only admissible way, Wang, arXiv 2409.19888), and better than Bonferroni's correction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer.judge.arrays import Array, array, logsumexp

CRITICAL, NORMAL, ADVISORY = 3.0, 1.0, 1.0
"""Default weights of rules."""


@dataclass(frozen=True, eq=False)
class Combination:
    """The combined evidence of all rules at level `alpha`. Rules are on the last axis.

    `log_e` is the log of the combined e-value; `log_shares` are log(w_i·E_i), what each rule contributes, the E_i of
    advisory rules capped.
    """

    alpha: float
    log_e: Array  # (…)
    log_shares: Array  # (…, rules)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether the combined e-value reaches 1/alpha."""
        return np.asarray(self.log_e >= -np.log(self.alpha))

    @property
    def proven(self) -> NDArray[np.bool_]:
        """Rules that are proven by themselves, (…, rules)."""
        return np.asarray(self.log_shares >= -np.log(self.alpha))

    @property
    def culprits(self) -> NDArray[np.intp]:
        """Indices of the rules, the largest contribution first; equal ones in the rules' order."""
        return np.argsort(-self.log_shares, axis=-1, kind="stable")


def combine(log_e: ArrayLike, weights: ArrayLike, advisory: ArrayLike, alpha: float) -> Combination:
    """The combination of rules' log e-values `log_e` (…, rules) with `weights` (any positive scale), fixed beforehand.

    `advisory` marks rules that never decide: all of them together bring at most half of what a verdict takes.

    Raises:
        ValueError: without a rule, and for weights that are not positive.
    """
    logs, scale, shy = array(log_e), array(weights), np.asarray(advisory, dtype=np.bool_)
    if not logs.size or (scale <= 0).any():
        raise ValueError("a combination needs rules, and positive weights")
    shares = logs + np.log(scale / scale.sum())
    if shy.any():
        shares = np.where(shy, np.minimum(shares, -np.log(2 * alpha * shy.sum())), shares)
    return Combination(alpha, logsumexp(shares), shares)


def mean(log_e: ArrayLike, weights: ArrayLike) -> Array:
    """The log of the weighted mean of e-values, over the last axis: one rule out of several e-processes."""
    scale = array(weights)
    return logsumexp(array(log_e) + np.log(scale / scale.sum()))


def passed(log_e: ArrayLike, critical: ArrayLike, advisory: ArrayLike, beta: float) -> NDArray[np.bool_]:
    """Whether every critical rule is shown good: log E' ≥ log(1/beta), over the last axis.

    Where no rule is critical, all that are not advisory count as critical; with neither, nothing can be shown.
    """
    counted = np.asarray(critical, dtype=np.bool_)
    if not counted.any():
        counted = ~np.asarray(advisory, dtype=np.bool_)
    if not counted.any():
        return np.zeros(array(log_e).shape[:-1], dtype=np.bool_)
    return np.asarray(((array(log_e) >= -np.log(beta)) | ~counted).all(-1))


def discoveries(log_e: ArrayLike, alpha: float) -> list[int]:
    """Rules to list as regressed at false discovery rate `alpha`, by e-BH: the k largest with E_(k) ≥ K/(k·alpha)."""
    logs = array(log_e)
    order = np.argsort(-logs, kind="stable")
    bars = np.log(logs.size / (alpha * np.arange(1, logs.size + 1)))
    reached = np.flatnonzero(logs[order] >= bars)
    return sorted(int(i) for i in order[: reached[-1] + 1]) if reached.size else []
