"""Where a Rollout can be taken back to: the stable revision; once promoted, one that is known to be good. Pure.

The cluster does not say which revision was good: the one before may have been aborted, and numbers move when a
ReplicaSet is used again. Good is what was stable when an analysis began beside it, or what an analysis has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.model.report import Verdict
from analyzer.model.target import Target
from analyzer.platforms.rollout_state import Generation, State
from analyzer.platforms.rollout_taking_back import promoted
from analyzer.platforms.verdicts import Judged


@dataclass(frozen=True)
class WayBack:
    """The hash of the revision to go back to, or why there is none."""

    hash: str = ""
    why_not: str = ""


def way_back(
    target: Target, state: State, judged: Sequence[Judged], *, began: tuple[str, str] | None, asked: int | None
) -> WayBack:
    """Where to. `began` are the hashes of the revision and the stable one when the analysis began in flight, `asked` is
    the number of the revision that somebody wants."""
    if not state.stable:
        return WayBack(why_not=f"{target} has no stable revision yet: this is its first")
    if state.is_in_flight:
        return _by_abort(target, state, asked)
    if why := _no_undo(target, state):
        return WayBack(why_not=why)
    if asked is not None:
        found, why = _asked(state, asked), f"{target} keeps no revision {asked} beside the current one"
    else:
        found, why = _good(state, judged, began), promoted(target, state.namespace)
    return WayBack(found.hash) if found else WayBack(why_not=why)


def _by_abort(target: Target, state: State, asked: int | None) -> WayBack:
    number = state.revision(state.stable).number
    if asked is not None and str(asked) != number:
        why = f"an abort of {target} goes back to revision {number}, the stable one, and not to {asked}"
        return WayBack(why_not=why)
    return WayBack(state.stable)


def _no_undo(target: Target, state: State) -> str:
    """Why it is not for us to undo, whichever revision was good."""
    if state.refers:
        return f"{promoted(target, state.namespace)}; its template is another workload's (workloadRef)"
    if release := state.helm_release:
        why = f"{target} is fully promoted, and belongs to Helm release {release}: canary check helm/{release}"
        return f"{why} takes it back; an undo would leave it other than Helm knows it"
    return ""


def _asked(state: State, asked: int) -> Generation | None:
    return next((each for each in _others(state) if each.number == asked), None)


def _good(state: State, judged: Sequence[Judged], began: tuple[str, str] | None) -> Generation | None:
    """The one that was stable when the analysis of the current one began; else the newest that has passed one."""
    before = state.generation(began[1]) if began is not None and began[0] == state.current else None
    if before is not None:
        return before
    newest = {each.digest: each for each in sorted(judged, key=lambda each: each.at)}
    passed = [
        each
        for each in _others(state)
        if (found := newest.get(each.hash)) and found.verdict == Verdict.PASS and found.at >= (each.created_at or 0.0)
    ]
    return passed[-1] if passed else None


def _others(state: State) -> list[Generation]:
    return [each for each in state.generations if each.hash != state.current]
