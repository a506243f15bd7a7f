"""From the past and the canary's buckets to what is judged at bucket boundaries, and the counts for it.

Method: judge.md §6 and §7. A boundary that does not divide the buckets of a window hears nothing of that window.
"""

from collections.abc import Sequence
from math import log

import numpy as np

from analyzer.judge.arrays import Array, array
from analyzer.judge.before_after import SPENT, fail_limit, pass_limit
from analyzer.judge.dispersion import Prior
from analyzer.judge.histogram import Buckets, divides, slower
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from analyzer.judge.rules.counts import settled
from analyzer.judge.rules.past import Past
from analyzer.judge.rules.strand import Strand
from analyzer.judge.stretch import Plan

_NOTHING = 1e-12
"""A rate below which nothing can be shown."""


def side_by_side(plan: Plan, planned: int) -> Strand:
    """One strand over all boundaries."""
    setting = Setting(Null(plan.kappa_fail), Null(plan.kappa_pass), planned, prior=plan.prior)
    return Strand.begin(setting, paired=True, log_weights=np.log(plan.weights), pass_at=int(plan.nearest))


def before_after(plan: Plan, pasts: Sequence[Past], planned: int, levels: tuple[float, float]) -> Strand:
    """One strand over all boundaries: the limit at each follows from the history there.

    `levels` are the error probabilities of failing and of passing that are the rule's own. Where the history cannot
    tell a limit from "all requests", no evidence grows; where it cannot tell one from zero, nothing is shown good.

    Raises:
        ValueError: for a history without requests.
    """
    worse, better = [], []
    for index, past in enumerate(pasts):
        n, e = past.blocks()
        level = levels[0] * float(plan.weights[index])
        worse.append(fail_limit(n, e, Null(float(plan.kappa_fail[index])), level).rate)
        better.append(pass_limit(n, e, Null(float(plan.kappa_pass[index])), levels[1]).rate)
    setting = Setting(
        fail=Null(0.0, np.minimum(worse, 1.0)),
        pass_=Null(0.0, np.maximum(better, _NOTHING)),
        planned=planned,
        prior=_stacked([past.prior(paired=False) for past in pasts]),
    )
    log_level = log(1 - SPENT)
    return Strand.begin(
        setting, paired=False, log_weights=np.log(plan.weights), pass_at=int(plan.nearest), log_level=log_level
    )


def _stacked(priors: Sequence[Prior]) -> Prior:
    """The priors of several lines as that of a batch."""
    phi, nu, s = (np.array([getattr(prior, name) for prior in priors], dtype=np.float64) for name in ("phi", "nu", "s"))
    return Prior(phi, nu, s, np.array([bool(prior.trim) for prior in priors]))


def counted(canary: Buckets | None, baseline: Buckets | None, boundaries: Array, *, paired: bool) -> Array:
    """n_c, e_c, n_b, e_b at each boundary, shape (boundaries, 4); of `paired` ones where it divides both sides."""
    counts = np.zeros((boundaries.size, 4))
    for index, boundary in enumerate(boundaries):
        first, second = at_boundary(canary, float(boundary)), at_boundary(baseline, float(boundary))
        if first is None or (paired and second is None):
            continue
        counts[index] = (*first, *(second or (0.0, 0.0)))
    return counts


def at_boundary(side: Buckets | None, boundary: float) -> tuple[float, float] | None:
    """Requests of a side and those slower than the boundary; None where it does not divide the buckets.

    A window of a side that has told nothing is None; one that tells of no request is (0, 0).
    """
    if side is None:
        return None
    total, _ = settled(float(array(side.counts).sum()), 0.0)
    if not total:
        return 0.0, 0.0
    if not divides(side, boundary):
        return None
    return settled(total, float(slower(side, [boundary])[0]))
