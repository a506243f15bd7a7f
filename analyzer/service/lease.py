"""The right to work on one analysis, as this process knows it."""

import time
from collections.abc import Callable

from analyzer.errors import LeaseLost
from analyzer.store.entry import Claim

MARGIN = 0.2
"""The last part of a lease in which nothing is begun any more: clocks and processes have hiccups."""


class Lease:
    """A claim, and until when it is sure to hold by this machine's monotonic clock (`until`, in its seconds).

    It is counted from before the database was asked, so it never ends later here than there. A process that was frozen
    finds it over when it wakes.
    """

    def __init__(self, claim: Claim, until: float, length: float, now: Callable[[], float] = time.monotonic) -> None:
        self.id = claim.id
        self.number = claim.lease
        self.until = until
        self._margin = MARGIN * length
        self._now = now

    def confirm(self) -> float:
        """Right before something that cannot be taken back: before which moment of that clock it is to be begun.

        Raises:
            LeaseLost: it is over, or will be in a moment.
        """
        last = self.until - self._margin
        if self._now() >= last:
            raise LeaseLost(
                f"analysis {self.id}: the lease {self.number} is over: the database was not reached in time"
            )
        return last
