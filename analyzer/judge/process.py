"""The e-process of one rule: a fold over intervals. Method: judge.md §2 and §3.

`Setting` is frozen before the first interval. `Evidence` is what has been seen: small, bounded, never changed in
place; written to JSON and read back it continues to the same last bit.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from analyzer.judge.arrays import Array, array, plain
from analyzer.judge.bets import FAIL_GRID, PASS_GRID, baseline_guess
from analyzer.judge.dispersion import NO_HISTORY, Prior, add_row, posterior
from analyzer.judge.ledger import Ledger, Side
from analyzer.judge.null import Null

RESTART_EVERY = 10
"""Intervals between restarts for a late onset."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What a rule tolerates and how noise is discounted, fixed before the first interval.

    `fail` is what is tolerated (its e-process grows when the canary is worse), `pass_` the margin to pass within (its
    e-process grows when the canary is better); either may be missing. `planned` is the number of intervals up to the
    deadline: half of the fail side's weight is kept for restarts at the intervals 10, 20, … before it, so that a
    regression that starts late does not have to make up for the good time before; 0 is without restarts, and an
    extension beyond `planned` brings no new ones. `shares` are the share bets.
    """

    fail: Null | None
    pass_: Null | None = None
    planned: int = 0
    shares: bool = True
    prior: Prior = NO_HISTORY

    @property
    def restarts(self) -> int:
        """How many restarts there will be."""
        return max(self.planned - 1, 0) // RESTART_EVERY

    @cached_property
    def floor(self) -> Array:
        """The rate that half an event stands for, before the baseline has shown any."""
        floor = np.full((), 1e-4)
        for line in (self.fail, self.pass_):
            floor = np.maximum(floor, line.d if line else 0.0)
        return array(floor)

    @cached_property
    def sides(self) -> tuple[Side | None, Side | None]:
        """Fail side and pass side."""
        return (
            Side(self.fail, FAIL_GRID, self.shares, self.restarts) if self.fail else None,
            Side(self.pass_, PASS_GRID, self.shares, 0) if self.pass_ else None,
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a rule has seen. Arrays have the batch's shape first.

    `log_e_fail` and `log_e_pass` are the logs of the two e-processes now, `sup_fail` and `sup_pass` the largest they
    have ever been (0 where the side is missing); `phi` and `nu` the dispersion in use.
    """

    intervals: int
    requests: Array  # of the baseline, (…)
    events: Array  # bad ones of the baseline, (…)
    rows: Array  # (…, 4, rows)
    grain: int
    filled: int
    fail: Ledger | None
    pass_: Ledger | None
    phi: Array
    nu: Array
    log_e_fail: Array
    log_e_pass: Array
    sup_fail: Array
    sup_pass: Array

    @property
    def p_value(self) -> Array:
        """Anytime-valid p-value of the fail side's null: min(1, 1/sup E)."""
        return np.exp(-self.sup_fail)

    @property
    def totals(self) -> Array:
        """n_c, e_c, n_b, e_b of all intervals, shape (…, 4)."""
        return array(self.rows.sum(-1))

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact: the run continued from them is equal to the last bit."""
        ledgers = {name: ledger and ledger.to_json() for name, ledger in (("fail", self.fail), ("pass_", self.pass_))}
        numbers = {name: getattr(self, name) for name in ("intervals", "grain", "filled")}
        return ledgers | numbers | {name: plain(getattr(self, name)) for name in _ARRAYS}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The evidence that `to_json` wrote."""
        read = values | {name: array(values[name]) for name in _ARRAYS}
        for name in ("fail", "pass_"):
            read[name] = values[name] and Ledger.from_json(values[name])
        return cls(**read)


_ARRAYS = (
    *("requests", "events", "rows", "phi", "nu"),
    *("log_e_fail", "log_e_pass", "sup_fail", "sup_pass"),
)


def start(setting: Setting, shape: tuple[int, ...] = ()) -> Evidence:
    """Evidence before the first interval, for a batch of `shape`."""
    fail, pass_ = setting.sides
    zero = np.zeros(shape)
    phi, nu = posterior(setting.prior, np.zeros((*shape, 4, 0)))
    return Evidence(
        intervals=0,
        requests=zero,
        events=zero,
        rows=np.zeros((*shape, 4, 0)),
        grain=1,
        filled=0,
        fail=fail.empty(shape) if fail else None,
        pass_=pass_.empty(shape) if pass_ else None,
        phi=phi,
        nu=nu,
        log_e_fail=zero,
        log_e_pass=zero,
        sup_fail=zero,
        sup_pass=zero,
    )


def advance(
    setting: Setting, evidence: Evidence, n_c: ArrayLike, e_c: ArrayLike, n_b: ArrayLike, e_b: ArrayLike
) -> Evidence:
    """The evidence after one more interval: requests and bad events of canary and baseline in the same window.

    Counts are broadcast to the batch. An interval without numbers is given as zeros, which say nothing, so that
    restarts keep their time.

    Raises:
        ValueError: for negative or non-finite counts, and for more bad events than requests.
    """
    counts = _checked(evidence.requests.shape, n_c, e_c, n_b, e_b)
    guess = baseline_guess(evidence.requests, evidence.events, setting.floor)
    fail, pass_ = evidence.fail, evidence.pass_
    fail_side, pass_side = setting.sides
    if fail_side and fail:
        if _restarts_now(fail_side, evidence.intervals):
            fail = fail.restarted()
        fail = fail_side.add(fail, guess, counts)
    if pass_side and pass_:
        pass_ = pass_side.add(pass_, guess, counts)
    rows, grain, filled = add_row(evidence.rows, counts, evidence.grain, evidence.filled)
    seen = replace(
        evidence,
        intervals=evidence.intervals + 1,
        requests=evidence.requests + counts[..., 2],
        events=evidence.events + counts[..., 3],
        rows=rows,
        grain=grain,
        filled=filled,
        fail=fail,
        pass_=pass_,
    )
    return _weigh(setting, seen)


def _restarts_now(side: Side, interval: int) -> bool:
    return interval > 0 and interval % RESTART_EVERY == 0 and interval // RESTART_EVERY <= side.restarts


def _weigh(setting: Setting, evidence: Evidence) -> Evidence:
    """With the dispersion and the e-values that follow from its gains and rows."""
    phi, nu = posterior(setting.prior, evidence.rows)
    fail_side, pass_side = setting.sides
    log_e_fail, log_e_pass = evidence.log_e_fail, evidence.log_e_pass
    if fail_side and evidence.fail:
        log_e_fail = fail_side.log_e(evidence.fail, phi, nu, setting.prior)
    if pass_side and evidence.pass_:
        log_e_pass = pass_side.log_e(evidence.pass_, phi, nu, setting.prior)
    return replace(
        evidence,
        phi=phi,
        nu=nu,
        log_e_fail=log_e_fail,
        log_e_pass=log_e_pass,
        sup_fail=np.maximum(evidence.sup_fail, log_e_fail),
        sup_pass=np.maximum(evidence.sup_pass, log_e_pass),
    )


def _checked(shape: tuple[int, ...], *counts: ArrayLike) -> Array:
    """The four counts as one array (…, 4)."""
    stacked = np.empty((*shape, 4))
    for i, count in enumerate(counts):
        stacked[..., i] = count
    if not np.isfinite(stacked).all() or (stacked < 0).any():
        raise ValueError("counts must be finite and not negative")
    if (stacked[..., 1::2] > stacked[..., ::2]).any():
        raise ValueError("more bad events than requests")
    return stacked
