"""The baseline's past, as arrays: what a prior is learned from, and what before-after compares with."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from analyzer.judge.arrays import Array
from analyzer.judge.dispersion import Prior, alternate, learn_prior

BLOCK = 300.0
"""Seconds of history that are one block of a before-after comparison (judge.md §6)."""


@dataclass(frozen=True, eq=False)
class Past:
    """Requests and bad events of two halves of the baseline, by interval, oldest first, shape (…, intervals).

    With one pod all is in one half.
    """

    n_1: Array
    e_1: Array
    n_2: Array
    e_2: Array
    interval: float

    @classmethod
    def of(cls, intervals: list[tuple[Array, Array, Array, Array]], interval: float) -> Self:
        """From the four counts of each interval."""
        if not intervals:
            empty = np.zeros(0)
            return cls(empty, empty, empty, empty, interval)
        n_1, e_1, n_2, e_2 = (np.stack(column, axis=-1) for column in zip(*intervals, strict=True))
        return cls(n_1, e_1, n_2, e_2, interval)

    @property
    def n(self) -> Array:
        """Requests of both halves together."""
        return self.n_1 + self.n_2

    @property
    def e(self) -> Array:
        """Bad events of both halves together."""
        return self.e_1 + self.e_2

    @property
    def requests(self) -> float:
        """All requests, of the first line of a batch (every line has the same)."""
        return float(self.n.reshape(-1, self.n.shape[-1])[0].sum()) if self.n.size else 0.0

    def prior(self, *, paired: bool) -> Prior:
        """The prior for over-dispersion (judge.md §3); for a strand that is not paired, of the canary's side alone."""
        if not self.n.size:
            return Prior()
        if not paired:
            zero = np.zeros_like(self.n)
            return learn_prior(self.n, self.e, zero, zero)
        if self.n_1.any() and self.n_2.any():
            return learn_prior(self.n_1, self.e_1, self.n_2, self.e_2)
        return learn_prior(*alternate(self.n, self.e))

    def blocks(self) -> tuple[Array, Array]:
        """Requests and bad events in blocks of five minutes; the oldest remainder is dropped if others have any."""
        length = max(1, round(BLOCK / self.interval))
        count = self.n.shape[-1] // length
        kept = count * length
        if not count or not self.n[..., -kept:].any():
            return self.n.sum(-1, keepdims=True), self.e.sum(-1, keepdims=True)
        return (
            self.n[..., -kept:].reshape(*self.n.shape[:-1], count, length).sum(-1),
            self.e[..., -kept:].reshape(*self.e.shape[:-1], count, length).sum(-1),
        )
