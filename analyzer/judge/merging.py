"""Short windows gathered until there is something to compare. Method: judge.md §1 and §2.

Share bets are exact only up to a bias that fades with the number of requests in a window; 20 on either side make it
negligible. A pure fold, one call a window.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from analyzer.judge.arrays import Array, array, plain

ENOUGH = 20.0
"""Requests on each side."""

LONGEST = 60.0
"""Seconds after which a window is judged with whatever it has."""


@dataclass(frozen=True, eq=False)
class Gathering:
    """Counts n_c, e_c, n_b, e_b that wait to be judged, shape (…, 4), and the seconds that they span, shape (…)."""

    counts: Array
    seconds: Array

    def to_json(self) -> dict[str, Any]:
        """Plain values, exact."""
        return {"counts": plain(self.counts), "seconds": plain(self.seconds)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(array(values["counts"]), array(values["seconds"]))


def gathering(shape: tuple[int, ...] = ()) -> Gathering:
    """Nothing waiting, for a batch of `shape`."""
    return Gathering(np.zeros((*shape, 4)), np.zeros(shape))


def gather(waiting: Gathering, counts: ArrayLike, seconds: float, *, baseline: bool = True) -> tuple[Gathering, Array]:
    """One more window of `counts` (…, 4) and its length: what waits now, and the counts to judge now, (…, 4).

    The latter are zeros while windows are gathered: zeros say nothing, and the e-process keeps counting intervals.
    Without a `baseline` (a limit, before-after) the canary's requests alone decide.
    """
    total, span = waiting.counts + array(counts), waiting.seconds + seconds
    least = np.minimum(total[..., 0], total[..., 2]) if baseline else total[..., 0]
    ready = (least >= ENOUGH) | (span >= LONGEST)
    judged = np.where(ready[..., None], total, 0.0)
    return Gathering(total - judged, np.where(ready, 0.0, span)), judged
