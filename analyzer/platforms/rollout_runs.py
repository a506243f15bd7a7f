"""Which AnalysisRun of a Rollout is under way: that alone tells one attempt from the next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import mapping
from analyzer.platforms.rollout_state import State
from analyzer.platforms.workloads import observed

API = "argoproj.io/v1alpha1"
_UNDER_WAY = frozenset({"", "Pending", "Running"})


class Purpose(StrEnum):
    """What an AnalysisRun of a Rollout is for."""

    BACKGROUND = "background"
    STEP = "step"
    PRE_PROMOTION = "pre-promotion"
    POST_PROMOTION = "post-promotion"


_WHERE: Mapping[Purpose, tuple[str, str]] = {
    Purpose.BACKGROUND: ("canary", "currentBackgroundAnalysisRunStatus"),
    Purpose.STEP: ("canary", "currentStepAnalysisRunStatus"),
    Purpose.PRE_PROMOTION: ("blueGreen", "prePromotionAnalysisRunStatus"),
    Purpose.POST_PROMOTION: ("blueGreen", "postPromotionAnalysisRunStatus"),
}
"""Where a Rollout's status names the run."""


@dataclass(frozen=True)
class Attempt:
    """A try at the newest revision: a retry has the same hashes, and another run.

    `run` names the AnalysisRun that is under way, by its uid where it was looked up; empty: `why` there is none.
    """

    current: str
    stable: str
    run: str = ""
    why: str = ""


async def attempt_of(cluster: Cluster, namespace: str, name: str, purpose: Purpose | None = None) -> Attempt:
    """What the Rollout says now; without a purpose the first run that is under way counts, a background one first.

    Raises:
        PlatformError: the API server cannot be asked.
    """
    live = await cluster.get(path(API, "rollouts", namespace, name))
    if live is None:
        return Attempt("", "", why=f"there is no Rollout {name} in namespace {namespace}")
    attempt = read_attempt(live, purpose)
    if not attempt.run:
        return attempt
    # Its name alone does not tell: once an earlier run is removed, a retry's may have the same.
    run = await cluster.get(path(API, "analysisruns", namespace, attempt.run), metadata_only=True)
    if run is None:
        return replace(attempt, run="", why=f"AnalysisRun {attempt.run} is not there any more")
    return replace(attempt, run=str(mapping(run, "metadata").get("uid")))


def read_attempt(live: Object, purpose: Purpose | None = None) -> Attempt:
    """As `attempt_of`, of a Rollout that was read. Pure."""
    state, name = State(live, ()), str(mapping(live, "metadata").get("name"))
    if not observed(live):
        return Attempt(state.current, state.stable, why=f"the controller has not seen the newest change of {name} yet")
    for each in Purpose if purpose is None else (purpose,):
        part, field = _WHERE[each]
        run = mapping(live, "status", part, field)
        if run.get("name") and str(run.get("status") or "") in _UNDER_WAY:
            return Attempt(state.current, state.stable, run=str(run["name"]))
    which = f" {purpose.value}" if purpose else ""
    return Attempt(state.current, state.stable, why=f"no{which} analysis of Rollout {name} is under way")
