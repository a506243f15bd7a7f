"""Numbers in words."""

from analyzer.model.judgement import Interval, Standing
from analyzer.model.reading import Missing
from analyzer.model.ruleset import Direction, Tolerance
from analyzer.model.units import show_level, show_share

FAR = 1000.0
"""An upper end of a ratio beyond which as good as nothing is known; a lower end below 10/FAR likewise."""


def times(factor: float) -> str:
    """A factor: `2.1 times`, `1.0 times`, `60 times`."""
    if factor >= 10:
        return f"{factor:.0f} times"
    text = f"{float(f'{factor:.3g}'):g}"
    return f"{text}.0 times" if text in {"0", "1"} else f"{text} times"


def tolerated(tolerance: Tolerance, unit: str | None, direction: Direction = Direction.HIGHER) -> str:
    """What a tolerance allows: `1.1 times + 0.05 %`."""
    sign = 1 if direction == Direction.HIGHER else -1
    words = times(1 + sign * tolerance.relative)
    if tolerance.absolute:
        words += f" {'+' if sign > 0 else '−'} {show_level(tolerance.absolute, unit)}"
    return words


def often(count: int) -> str:
    """How many times: `never`, `once`, `twice`, `3 times`."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def share_of(bad: float, total: float) -> str:
    """`1.93 % (58 of 3000)`."""
    if total <= 0:
        return "no requests"
    return f"{show_share(bad / total)} ({number(bad)} of {number(total)})"


def number(count: float) -> str:
    """A count; with a decimal where a query has made it a small broken one."""
    return f"{count:.0f}" if count >= 100 or abs(count - round(count)) < 0.05 else f"{count:.1f}"


def between(interval: Interval, standing: Standing) -> str:
    """How many times as many, as far as it is known: `at least 2.1 times as many`."""
    if standing == Standing.FAIL:
        return f"at least {times(interval.low)} as many"
    above, below = interval.low >= 10 / FAR, interval.high <= FAR
    if above and below:
        return f"between {float(f'{interval.low:.2g}'):g} and {times(interval.high)} as many"
    if below:
        return f"at most {times(interval.high)} as many"
    return f"at least {times(interval.low)} as many" if above else "nothing known yet of the ratio"


def way(towards_fail: float, towards_pass: float | None, *, advisory: bool = False) -> str:
    """How far the evidence has come: `12 % of the way to a fail, 43 % to a pass`."""
    if towards_fail >= 1:
        return "enough evidence for a fail" + (", but the rule is advisory" if advisory else "")
    words = f"{_percent(towards_fail)} of the way to a fail"
    return words if towards_pass is None else f"{words}, {_percent(towards_pass)} to a pass"


def _percent(share: float) -> str:
    """Of the way; never 100 while it is not gone."""
    return f"{min(99.0, max(0.0, 100 * share)):.0f} %"


def nothing(metric: str, missing: Missing | None, windows: int, what: str = "requests to the canary") -> str:
    """Why there is nothing to judge."""
    if missing is not None:
        return f"{metric}: no data of the canary: {missing.detail}"
    if windows:
        return f"{metric}: no {what} in {windows} {'window' if windows == 1 else 'windows'}"
    return f"{metric}: nothing read yet"


def no_baseline(missing: Missing | None) -> str:
    """Why there is nothing to compare with, side by side."""
    return "no requests to the baseline" if missing is None else f"no data of the baseline: {missing.detail}"


def in_a_row(consecutive: int) -> str:
    """How many readings it took: ` in 3 readings in a row`; nothing for a single one."""
    return f" in {consecutive} readings in a row" if consecutive > 1 else ""


def run_of(run: int, consecutive: int) -> str:
    """How many of the readings it takes there have been: `2 of 3 readings in a row`."""
    return f"{run} of {consecutive} {'reading' if consecutive == 1 else 'readings in a row'}"
