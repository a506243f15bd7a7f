"""A closer look at a Rollout whose revision has changed: which ReplicaSet it is, and whether it was one before."""

from analyzer.controller.rollouts import Stamp
from analyzer.controller.sighting import Candidate, Outcome, Settled, Sighting, Unsettled
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.rollout_state import Generation, State, number_of, sets_of
from analyzer.platforms.rollout_watch import API
from analyzer.platforms.workloads import Workload
from analyzer.service.placing import OURS


class RolloutLook:
    """`catch_up` is in seconds."""

    def __init__(self, cluster: Cluster, catch_up: float) -> None:
        self._cluster = cluster
        self._catch_up = catch_up

    async def look(self, sighting: Sighting[Stamp]) -> Candidate | Settled:
        """What is to be done about it.

        Raises:
            Unsettled: its controller has not written all of it yet.
            PlatformError: it cannot be asked for; PlatformUnavailable when asking again may help.
        """
        place, mark = sighting.place, sighting.mark
        if mark.release:
            return Settled(Outcome.OF_RELEASE, f"Helm release {mark.release[:60]} has it")
        live = await self._cluster.get(path(API, "rollouts", place.namespace, place.name))
        if live is None or number_of(live) > mark.revision:
            return Settled(Outcome.OVER, "it is not the newest any more")
        where = path("apps/v1", "replicasets", place.namespace)
        state = State.of(live, await self._cluster.items(where, sets_of(live)))
        found = settled(state, sighting, self._catch_up)
        if isinstance(found, Settled):
            return found
        key = f"{OURS}watch/rollout/{place.namespace}/{place.name}/{mark.uid}/{mark.revision}/{found.hash}"
        workload = Workload("Rollout", API, place.namespace, place.name, {})
        return Candidate(place, mark.revision, key, found.created_at or sighting.seen_at, (workload,))


def settled(state: State, sighting: Sighting[Stamp], catch_up: float) -> Settled | Generation:
    """The generation that is to be analysed, or why there is none. Pure.

    Raises:
        Unsettled: the status is that of an earlier revision still.
    """
    current = state.generation(state.current)
    if current is None or current.number != sighting.mark.revision:
        raise Unsettled(f"the controller has not made revision {sighting.mark.revision} yet")
    others = [each for each in state.generations if each.hash != current.hash and not each.is_of_experiment]
    if not state.stable or not others:
        return Settled(Outcome.FIRST, "it is the first: there is nothing to compare it with")
    if state.is_brought_back or any(_age(each) > _age(current) for each in others):
        return Settled(Outcome.WAY_BACK, "it restores an earlier revision")
    if state.is_aborted:
        return Settled(Outcome.OVER, "it was aborted already")
    if sighting.is_older(_age(current), catch_up):
        return Settled(Outcome.TOO_OLD, "it was brought out longer ago than watch.catch_up")
    return current


def _age(generation: Generation) -> float:
    return generation.created_at or 0.0
