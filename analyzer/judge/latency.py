"""The e-process of a latency rule: one over each of several boundaries, and their weighted mean. Method: judge.md §7.

At each boundary the bad events are the requests slower than it, with a tolerance of their own; a mean of e-values is
an e-value whatever their dependence. A limit on a quantile is a plain rule at one boundary: `Null(0, 1 − quantile)`.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from analyzer.judge import process
from analyzer.judge.arrays import Array, array, logsumexp, plain
from analyzer.judge.null import Null
from analyzer.judge.process import Evidence, Setting
from analyzer.judge.stretch import Plan


@dataclass(frozen=True, eq=False)
class LatencySetting:
    """A latency rule before the first interval: its plan, and the process over its boundaries."""

    plan: Plan
    boundaries: Setting

    @classmethod
    def of(cls, plan: Plan, planned: int = 0) -> Self:
        """The setting of a plan, with `planned` intervals up to the deadline."""
        fail, pass_ = Null(plan.kappa_fail), Null(plan.kappa_pass)
        return cls(plan, Setting(fail, pass_, planned=planned, prior=plan.prior))


@dataclass(frozen=True, eq=False)
class LatencyEvidence:
    """What a latency rule has seen: `boundaries` at each of them, and their mean. Named as in `process.Evidence`."""

    boundaries: Evidence
    log_e_fail: Array
    log_e_pass: Array
    sup_fail: Array
    sup_pass: Array

    @property
    def p_value(self) -> Array:
        """Anytime-valid p-value of the fail side's null: min(1, 1/sup E)."""
        return np.exp(-self.sup_fail)

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        return {"boundaries": self.boundaries.to_json()} | {name: plain(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The evidence that `to_json` wrote."""
        return cls(Evidence.from_json(values["boundaries"]), *(array(values[name]) for name in _ARRAYS))


_ARRAYS = ("log_e_fail", "log_e_pass", "sup_fail", "sup_pass")


def start(setting: LatencySetting) -> LatencyEvidence:
    """Evidence before the first interval; the batch's shape is that of the plan."""
    shape = setting.plan.boundaries.shape
    zero = np.zeros(shape[:-1])
    return LatencyEvidence(process.start(setting.boundaries, shape), zero, zero, zero, zero)


def advance(
    setting: LatencySetting,
    evidence: LatencyEvidence,
    n_c: ArrayLike,
    slower_c: ArrayLike,
    n_b: ArrayLike,
    slower_b: ArrayLike,
) -> LatencyEvidence:
    """The evidence after one more interval: requests (…), and those slower than each boundary, (…, boundaries).

    Raises:
        ValueError: for negative or non-finite counts, and for more slow requests than requests.
    """
    counts = (array(n_c)[..., None], slower_c, array(n_b)[..., None], slower_b)
    seen = process.advance(setting.boundaries, evidence.boundaries, *counts)
    weights = setting.plan.weights
    logs = np.log(weights, out=np.full_like(weights, -np.inf), where=weights > 0)
    log_e_fail = logsumexp(seen.log_e_fail + logs)
    nearest = np.asarray(setting.plan.nearest)[..., None]
    log_e_pass = np.take_along_axis(seen.log_e_pass, nearest, axis=-1)[..., 0]
    return LatencyEvidence(
        seen,
        log_e_fail,
        log_e_pass,
        np.maximum(evidence.sup_fail, log_e_fail),
        np.maximum(evidence.sup_pass, log_e_pass),
    )
