"""Numbers in words."""

from math import inf, isfinite

from analyzer.model.judgement import Interval, Standing
from analyzer.model.reading import Missing
from analyzer.model.ruleset import Direction, Tolerance
from analyzer.model.units import show_level, show_share


def times(factor: float) -> str:
    """A factor: `2.1 times`, `1.08 times`, `60 times`."""
    if not isfinite(factor):
        return "any number of times"
    return f"{factor:.0f} times" if factor >= 10 else f"{float(f'{factor:.3g}'):g} times"


def tolerated(tolerance: Tolerance, unit: str | None, direction: Direction = Direction.HIGHER) -> str:
    """What a tolerance allows: `1.1 times + 0.05 %`."""
    sign = 1 if direction == Direction.HIGHER else -1
    words = times(1 + sign * tolerance.relative)
    if tolerance.absolute:
        words += f" {'+' if sign > 0 else '−'} {show_level(tolerance.absolute, unit)}"
    return words


def share_of(bad: float, total: float) -> str:
    """`1.93 % (58 of 3000)`."""
    if total <= 0:
        return "no requests"
    return f"{show_share(bad / total)} ({bad:.0f} of {total:.0f})"


def between(interval: Interval, standing: Standing) -> str:
    """How many times as many, as far as it is known: `at least 2.1 times as many`."""
    if standing == Standing.FAIL:
        return f"at least {times(interval.low)} as many"
    if standing == Standing.PASS:
        return f"at most {times(interval.high)} as many" if isfinite(interval.high) else "no more than tolerated"
    if interval.high == inf and interval.low <= 0:
        return "nothing known yet of the ratio"
    if interval.high == inf:
        return f"at least {times(interval.low)} as many"
    return f"between {float(f'{interval.low:.2g}'):g} and {times(interval.high)} as many"


def way(towards_fail: float | None, towards_pass: float | None) -> str:
    """How far the evidence has come: `12 % of the way to a fail, 43 % to a pass`."""
    parts = []
    if towards_fail is not None:
        parts.append(f"{100 * max(0.0, towards_fail):.0f} % of the way to a fail")
    if towards_pass is not None:
        parts.append(f"{100 * max(0.0, towards_pass):.0f} % of the way to a pass")
    return ", ".join(parts)


def nothing(metric: str, missing: Missing | None, windows: int) -> str:
    """Why there is nothing to judge."""
    if missing is not None:
        return f"{metric}: no data of the canary: {missing.detail}"
    if windows:
        return f"{metric}: no requests to the canary in {windows} {'window' if windows == 1 else 'windows'}"
    return f"{metric}: nothing read yet"
