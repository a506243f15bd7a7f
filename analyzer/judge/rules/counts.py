"""What a window has counted, made safe for the judge. Counts that are none (negative, not finite) say nothing."""

from math import isfinite

from analyzer.model.reading import Events, Side
from analyzer.model.ruleset import Direction

MOST = 1e15
"""Events in one window; more than this is no count, and doubles tell such apart no more."""

LEAST = 1e-9
"""What extrapolation leaves of nothing: fewer events than this are none."""


def events_of(side: Side | None, direction: Direction) -> tuple[float, float] | None:
    """Events of a side and the bad ones among them, or None where nothing was counted.

    Bad ones beyond all, and fewer than none, are artefacts of samples that come late and of extrapolation.
    """
    if not isinstance(side, Events) or not 0 <= side.total <= MOST or not isfinite(side.bad):
        return None
    total, bad = settled(side.total, side.bad)
    return (total, bad) if direction == Direction.HIGHER else settled(total, total - bad)


def settled(total: float, bad: float) -> tuple[float, float]:
    """Counts with 0 ≤ bad ≤ total, and nothing instead of next to nothing."""
    if total < LEAST:
        return 0.0, 0.0
    return total, min(bad, total) if bad >= LEAST else 0.0
