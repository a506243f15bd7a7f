"""From the past and the canary's buckets to what is judged at bucket boundaries, and the counts for it.

Method: judge.md §6 and §7. A boundary that does not divide the buckets of a window hears nothing of that window.
"""

from math import log

import numpy as np

from analyzer.judge.arrays import Array, array
from analyzer.judge.before_after import fail_limit, pass_limit
from analyzer.judge.histogram import Buckets, divides, slower
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from analyzer.judge.rules.counts import settled
from analyzer.judge.rules.past import Past
from analyzer.judge.rules.strand import Strand
from analyzer.judge.stretch import Plan


def side_by_side(plan: Plan, planned: int) -> Strand:
    """One strand over all boundaries."""
    setting = Setting(Null(plan.kappa_fail), Null(plan.kappa_pass), planned, prior=plan.prior)
    return Strand.begin(setting, paired=True, log_weights=np.log(plan.weights), pass_at=int(plan.nearest))


def before_after(plan: Plan, index: int, past: Past, planned: int, levels: tuple[float, float]) -> Strand:
    """The strand of one boundary of the plan: its limit follows from the history there.

    `levels` are the error probabilities of failing and of passing that are the rule's own.

    Raises:
        ValueError: for a history without requests.
    """
    n, e = past.blocks()
    level = levels[0] * float(plan.weights[index])
    worse = fail_limit(n, e, Null(float(plan.kappa_fail[index])), level)
    better = pass_limit(n, e, Null(float(plan.kappa_pass[index])), levels[1])
    setting = Setting(
        fail=Null(0.0, worse.rate) if worse.rate < 1 else None,
        pass_=Null(0.0, better.rate) if better.rate > 0 else None,
        planned=planned,
        prior=past.prior(paired=False),
    )
    return Strand.begin(setting, paired=False, log_level=log(worse.level / level))


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
