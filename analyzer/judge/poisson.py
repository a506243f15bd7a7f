"""Counts of rare events. From scipy.special: scipy.stats takes most of a second to import."""

from math import floor

from scipy.special import gammainc


def at_least(events: float, mean: float) -> float:
    """P(X ≥ events) for a Poisson variable of this mean; a fraction of an event is left out."""
    count = floor(events)
    return float(gammainc(count, mean)) if count > 0 else 1.0
