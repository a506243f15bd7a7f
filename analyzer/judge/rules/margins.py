"""Tolerance, pass margin and limit of a rule, as lines in the plane of the two rates. Defaults: judge.md §13."""

from dataclasses import dataclass

from analyzer.judge.null import Null
from analyzer.model.defaults import TOLERANCES
from analyzer.model.ruleset import Direction, MetricRule, Tolerance

OF_GOOD_EVENTS = (Tolerance(absolute=0.005), Tolerance(absolute=0.01))
"""As TOLERANCES, for a share of good events: half of them missing is no margin that anybody means."""


@dataclass(frozen=True)
class Margins:
    """What a rule tolerates. `tolerated` and `within` are None for a rule that is a limit and nothing else."""

    tolerated: Tolerance | None
    within: Tolerance | None
    limit: float | None


def margins(rule: MetricRule, kind: str) -> Margins:
    """The margins of a rule on a metric of this kind (`ratio`, `histogram`, `gauge`), defaults filled in.

    A rule with neither tolerance nor limit tolerates the default. A pass margin that is not written is the default
    one, and at least twice the tolerance (but never so wide that everything passes): between the two must be room to
    show that a release is good.
    """
    if rule.tolerance is None and rule.pass_within is None and rule.limit is not None:
        return Margins(None, None, rule.limit)
    of_good = kind == "ratio" and rule.direction == Direction.LOWER
    usual, usual_within = OF_GOOD_EVENTS if of_good else TOLERANCES[kind]
    if of_good and rule.tolerance is not None:
        usual_within = Tolerance()
    tolerated = rule.tolerance or usual
    relative = max(usual_within.relative, 2 * tolerated.relative)
    absolute = max(usual_within.absolute if kind == "ratio" else 0.0, 2 * tolerated.absolute)
    within = rule.pass_within or Tolerance.model_construct(  # may be above 100 %, which nobody may write bare
        relative=relative if rule.direction == Direction.HIGHER else _room(relative, tolerated.relative),
        absolute=_room(absolute, tolerated.absolute),
    )
    return Margins(tolerated, within, rule.limit)


def _room(margin: float, tolerated: float) -> float:
    """The margin, and no more than halfway from what is tolerated to losing everything: all would pass beyond."""
    return min(margin, (1 + tolerated) / 2)


def line(tolerance: Tolerance, direction: Direction) -> Null:
    """The line of a tolerance for shares of bad events.

    Where lower is worse, events are good ones: good_c ≥ (1 − r)·good_b − d is the same as
    bad_c ≤ (1 − r)·bad_b + r + d.
    """
    relative, absolute = tolerance.relative, tolerance.absolute
    if direction == Direction.HIGHER:
        return Null(1 + relative, absolute)
    return Null(max(0.0, 1 - relative), min(1.0, relative + absolute))


def limit_line(limit: float, direction: Direction) -> Null:
    """The line of a limit for shares of bad events; a limit of zero tolerates one in a billion."""
    share = limit if direction == Direction.HIGHER else 1 - limit
    return Null(0.0, max(share, 1e-9))
