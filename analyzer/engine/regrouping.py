"""Whose pods are whose while an upgrade rolls: pods come and go, and the matchers of the sides with them. Pure."""

from analyzer.engine.analysis import Analysis
from analyzer.engine.planning import PODS, tell_sides
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Absence, Missing, Reading, Window
from analyzer.model.ruleset import Comparison
from analyzer.model.target import Deployment, PodSides


def sides_of(analysis: Analysis, query: Query) -> SideMatchers:
    """The sides of a query as they were told last; the query of the pods' health has none."""
    return query.sides if analysis.sides is None or query.kind == PODS else analysis.sides


def is_rolling(analysis: Analysis) -> bool:
    """Whether pods of both revisions may still serve."""
    sides = _sides(analysis)
    return sides is not None and sides.comparison == Comparison.ROLLING and sides.alone_since is None


def told_apart(analysis: Analysis, deployment: Deployment, now: float) -> SideMatchers | None:
    """The sides as they are told apart now (Unix seconds), if that is another way than before."""
    before = _sides(analysis)
    if before is None or before.comparison != Comparison.ROLLING or deployment.pods is None:
        return None
    sides = tell_sides(analysis.plan.rule_set.spec.sides, deployment, now)
    if not is_rolling(analysis):
        return _restarted(before, sides, deployment.pods)
    same = sides.model_copy(update={"told_since": before.told_since}) == before
    return None if same else sides


def _restarted(before: SideMatchers, sides: SideMatchers, pods: PodSides) -> SideMatchers | None:
    """The canary's new pods, where those that were there have been replaced by others of the same revision."""
    if pods.foreign or pods.shares_names or not pods.canary or sides.canary == before.canary:
        return None
    return before.model_copy(update={"canary": sides.canary})


def mixed(metric: str, window: Window) -> Reading:
    """A window in which names change hands."""
    missing = Missing(why=Absence.MIXED, detail="pods of both revisions bear the same names while they are replaced")
    return Reading(metric=metric, window=window, canary=missing)


def _sides(analysis: Analysis) -> SideMatchers | None:
    told = [query.sides for query in analysis.plan.queries if query.kind != PODS]
    return analysis.sides or (told[0] if told else None)
