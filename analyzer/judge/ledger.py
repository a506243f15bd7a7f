"""What the bets of one side of a rule have gained, and the mixture of them that is the side's e-value.

Method: judge.md §2. There is a first start, and restarts for regressions that begin late; a restart that is still to
come holds its weight as cash.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from analyzer.judge.arrays import Array, array, logsumexp, plain
from analyzer.judge.bets import STAKES, Grid, likelihood_gains, share_gains
from analyzer.judge.dispersion import Prior, deflate
from analyzer.judge.null import Null


@dataclass(frozen=True, eq=False)
class Ledger:
    """Accumulated gains of one side's bets, shape (…, starts, bets): the start at 0 and each restart so far.

    `best` is each likelihood bet's best single interval since its start, at least 0: what `trim` takes away.
    """

    likelihood: Array
    best: Array
    share: Array

    @classmethod
    def empty(cls, shape: tuple[int, ...], bets: int, stakes: int) -> Self:
        """Before the first interval."""
        return cls(np.zeros((*shape, 1, bets)), np.zeros((*shape, 1, bets)), np.zeros((*shape, 1, stakes)))

    def restarted(self) -> "Ledger":
        """With one more start, now."""
        return Ledger(*(np.concatenate([x, np.zeros_like(x[..., :1, :])], axis=-2) for x in self._arrays))

    def gained(self, likelihood: Array, share: Array) -> "Ledger":
        """With one interval's gains, (…, bets) and (…, stakes), added to every start."""
        gain = likelihood[..., None, :]
        return Ledger(self.likelihood + gain, np.maximum(self.best, gain), self.share + share[..., None, :])

    @property
    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.likelihood, self.best, self.share

    def to_json(self) -> list[Any]:
        """Plain values, exact."""
        return [plain(x) for x in self._arrays]

    @classmethod
    def from_json(cls, values: list[Any]) -> Self:
        """The ledger that `to_json` wrote."""
        return cls(*(array(x) for x in values))


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a rule: its null, its bets, and their weights."""

    null: Null
    grid: Grid
    shares: bool
    restarts: int

    @cached_property
    def lifted(self) -> Null:
        """The null, to be broadcast over bets."""
        return self.null.lifted()

    @cached_property
    def stakes(self) -> Array:
        """Share bets are placed only where the ratio alone matters."""
        return STAKES if self.shares and self.null.is_relative else STAKES[:0]

    @cached_property
    def log_weights(self) -> Array:
        """Of all bets of one start: likelihood bets, then share bets, half of the weight each where there are both."""
        if not self.stakes.size:
            return self.grid.log_weights
        shares = np.full(self.stakes.size, -np.log(2 * self.stakes.size))
        return np.concatenate([self.grid.log_weights - np.log(2), shares])

    def empty(self, shape: tuple[int, ...]) -> Ledger:
        """The ledger before the first interval, for a batch of `shape`."""
        return Ledger.empty(shape, self.grid.multiples.size, self.stakes.size)

    def add(self, ledger: Ledger, guess: Array, counts: Array) -> Ledger:
        """The ledger after one interval: its counts (…, 4), and the guess of the baseline's rate from before it."""
        share = share_gains(self.null, self.grid, counts) if self.stakes.size else np.zeros((*counts.shape[:-1], 0))
        return ledger.gained(likelihood_gains(self.lifted, self.grid, guess, counts), share)

    def log_e(self, ledger: Ledger, phi: Array, nu: Array, prior: Prior) -> Array:
        """The mixture over bets and starts; restarts still to come hold their weight as cash."""
        likelihood = ledger.likelihood
        if np.any(prior.trim):
            likelihood = likelihood - ledger.best * _over_bets(prior.trim)
        logs = deflate(likelihood, _over_bets(phi), _over_bets(nu))
        if self.stakes.size:
            share = np.maximum(ledger.share, 0.0) / _over_bets(prior.s) + np.minimum(ledger.share, 0.0)
            logs = np.concatenate([logs, share], axis=-1)
        logs = logs + self.log_weights
        if not self.restarts:
            return logsumexp(logs, axis=(-2, -1))
        return self._over_starts(logsumexp(logs))

    def _over_starts(self, logs: Array) -> Array:
        """Half for the first start, half for the restarts, started (…, starts) or not."""
        started = logs.shape[-1] - 1
        weights = np.full(started + 1, 0.5 / self.restarts)
        weights[0] = 0.5
        sums = logs + np.log(weights)
        waiting = self.restarts - started
        if waiting:
            cash = np.full((*logs.shape[:-1], 1), np.log(0.5 * waiting / self.restarts))
            sums = np.concatenate([sums, cash], axis=-1)
        return logsumexp(sums)


def _over_bets(value: ArrayLike) -> Array:
    """With two trailing axes, to be broadcast over starts and bets."""
    return array(value)[..., None, None]
