"""An Argo Rollout: what is on its way, whose pods are whose, and taking it back. Through the API server alone."""

import time
from dataclasses import dataclass, replace

from analyzer.errors import NoRelease, PlatformError, PlatformForbidden
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.reading import Missing, Pods
from analyzer.model.target import Confirm, Deployment, Intent, PlatformKind, PodSides, Receipt, Target, at_any_time
from analyzer.platforms import ownership
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.parts import mapping, seconds
from analyzer.platforms.pods import Group, ReleasePods, health, sides
from analyzer.platforms.rights import Right, missing, sentence
from analyzer.platforms.rollout_control import RolloutControl
from analyzer.platforms.rollout_retry import retry
from analyzer.platforms.rollout_state import State
from analyzer.platforms.rollout_watch import RolloutWatch
from analyzer.platforms.rollout_way_back import WayBack, way_back
from analyzer.platforms.storm import SPAN, storm
from analyzer.platforms.verdicts import Judged, Verdicts, recent_failures
from analyzer.platforms.workloads import Workload, ready_since

API = "argoproj.io/v1alpha1"
LABEL = "rollouts_pod_template_hash"
"""The label of a series that tells the hash, where Prometheus is told to keep the pods' label."""
_RBAC = "deploy/argo/rbac.yaml"


@dataclass(frozen=True)
class RolloutSettings:
    """How a Rollout is taken back. `timeout` is in seconds, until the pods are as they were.

    `to_revision` is the revision that somebody wants to go back to: an abort goes to the stable one and no other.
    """

    timeout: float = 300.0
    to_revision: int | None = None


class Rollout:
    """The platform of one Rollout; implements the engine's port `Platform`.

    While a revision is on its way, it is compared with the stable one, and an abort takes it back. Once it is fully
    promoted, an undo does, where an earlier revision is known to be good (see `rollout_way_back`). Without a namespace
    in `target`, that of the kubeconfig's context applies.
    """

    def __init__(self, target: Target, cluster: Cluster, settings: RolloutSettings | None = None) -> None:
        self._target = target
        self._cluster = cluster
        self._settings = settings or RolloutSettings()
        self._began: tuple[str, str] | None = None  # the revision and the stable one, when it was on its way

    def recall(self, deployment: Deployment) -> None:
        """What an earlier process saw when the analysis began: what was stable then."""
        if deployment.stage is not None and deployment.wanted is not None:
            self._began = deployment.current.digest, deployment.wanted.digest

    async def namespace(self) -> str:
        """The namespace of the Rollout.

        Raises:
            PlatformError: no cluster is configured.
        """
        return self._target.namespace or await self._cluster.namespace()

    async def look(self) -> Deployment:
        """What the Rollout and its pods say now.

        Raises:
            NoRelease: there is no such Rollout.
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        namespace = await self.namespace()
        state, group = await self._state()
        current = state.revision(state.current, _brought_out(state, group))
        if state.is_in_flight and self._began is None:
            self._began = state.current, state.stable
        judged = () if state.is_in_flight else await self._judged()
        found = way_back(self._target, state, judged, began=self._began, asked=self._settings.to_revision)
        obstacles, cautions = await self._obstacles(state, namespace)
        return Deployment(
            target=self._target,
            current=current,
            wanted=state.revision(found.hash) if found.hash else None,
            no_way_back=found.why_not,
            history=tuple(state.revision(each.hash) for each in state.generations),
            is_way_back=state.is_brought_back,
            taken_back=self._taken_back(state),
            stage=state.stage,
            labels={LABEL: (state.current, state.stable)} if state.is_in_flight else {},
            pods=_told_apart(state, found, group, namespace),
            no_pods=f"the controller of Argo Rollouts has made no pods of {self._target} yet",
            served_until=_served_until(state, found),
            obstacles=obstacles,
            cautions=cautions,
        )

    async def _state(self) -> tuple[State, Group]:
        namespace = await self.namespace()
        (group,) = await ReleasePods(self._cluster).look((self._workload(namespace),), ())
        if group.live is None:
            raise NoRelease(f"there is no Rollout {self._target.name} in namespace {namespace}")
        return State.of(group.live, group.sets), group

    def _workload(self, namespace: str) -> Workload:
        return Workload("Rollout", API, namespace, self._target.name, {})

    async def _judged(self) -> tuple[Judged, ...]:
        """What was found of earlier revisions; nothing where that may not be read."""
        try:
            return await (await self.verdicts()).read()
        except PlatformForbidden:
            return ()

    def _taken_back(self, state: State) -> str:
        if not state.is_aborted:
            return ""
        number, why = state.revision(state.current).number, state.message or state.phase
        instead = f"retry it (canary check {self._target} --retry), or bring out another one"
        return f"revision {number} of {self._target} was aborted already ({why}): {instead}"

    async def _obstacles(self, state: State, namespace: str) -> tuple[tuple[Obstacle, ...], tuple[str, ...]]:
        """An abort holds whoever brings the revision out, for it is no change of what was written. An undo is one."""
        written = {"apiVersion": API, "kind": "Rollout", "metadata": state.live["metadata"]}
        standing = await ownership.look_at(self._cluster, [self._workload(namespace)], [written], namespace)
        aborts = state.is_in_flight
        obstacles = [each for each in standing.obstacles if each.guard != Guard.GITOPS_OWNER or not aborts]
        cautions = [standing.unseen] if standing.unseen else []
        if standing.owner and aborts:
            cautions.append(f"after an abort: {standing.owner.reason}")
        elif state.helm_release and aborts:
            cautions.append(f"after an abort: helm rollback {state.helm_release} takes it out of the phase Degraded")
        if state.is_paused:
            cautions.append(f"{self._target} is paused (spec.paused): until it is resumed, an abort moves no pod")
        if aborts and state.clears_aborts:
            number = state.revision(state.current).number
            cautions.append(
                f"revision {number} of {self._target} is older than the stable one, and inside spec.rollbackWindow: "
                "the controller takes it for a rollback, skips its steps, and clears every abort"
            )
        try:
            failures = await recent_failures(self._cluster, namespace, time.time() - SPAN)
        except PlatformForbidden as error:
            cautions.append(f"whether other targets fail as well could not be looked at: {error}")
            failures = ()
        if reason := storm([(name, judged.at) for name, judged in failures if name != str(self._target)], time.time()):
            obstacles.append(Obstacle(guard=Guard.STORM, reason=reason))
        return tuple(obstacles), tuple(cautions)

    async def lacking(self, deployment: Deployment) -> str:
        """Which rights the way back would lack: a sentence, empty if none.

        Raises:
            PlatformError: the API server cannot be asked.
        """
        if deployment.wanted is None:
            return ""
        namespace = await self.namespace()
        parts = ("rollouts", "rollouts/status")
        rights = [Right("argoproj.io", part, "patch", namespace, self._target.name) for part in parts]
        return sentence(await missing(self._cluster, rights), grant=f"kubectl apply -n {namespace} -f {_RBAC}")

    async def health(self) -> tuple[Pods | Missing, Pods | None]:
        """How the pods of the new and the previous revision fare now.

        Raises:
            PlatformError: as for `look`.
        """
        state, group = await self._state()
        return health((_compared(group, state.stable),))

    async def verdicts(self) -> Verdicts:
        """Where the Rollout's verdicts are kept.

        Raises:
            PlatformError: no cluster is configured.
        """
        return Verdicts(self._cluster, await self.namespace(), self._target.name, kind=PlatformKind.ROLLOUT)

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:
        """Take it back, pause or promote it, as the intent says; see the port."""
        return await RolloutControl(await self._watch()).act(intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """What became of an act that was begun by a process that is no more; see the port."""
        return await RolloutControl(await self._watch()).settle(intent, confirm)

    async def retry(self) -> None:
        """Clear the abort of the newest revision, so that its controller brings it out anew.

        Raises:
            PlatformError: it was not cleared; the sentence says why.
        """
        deployment = await self.look()
        held = next((each.reason for each in deployment.obstacles if each.guard == Guard.STOPPED), "")
        if held:
            raise PlatformError(f"{self._target} was not retried: {held}")
        await retry(await self._watch())

    async def _watch(self) -> RolloutWatch:
        return RolloutWatch(self._cluster, self._target, await self.namespace(), self._settings.timeout)


def _told_apart(state: State, found: WayBack, group: Group, namespace: str) -> PodSides | None:
    """Which pods are whose. After BlueGreen's promotion nobody asks the stable pods anything, although they are kept
    for a while: the new ones are compared with what those did before."""
    told = sides((_compared(group, _beside(state, found)),), namespace)
    if told is None or not state.has_moved:
        return told
    ready = [moment for pod in group.current if (moment := ready_since(pod)) is not None]
    return told.model_copy(update={"baseline": "", "alone_since": max(ready, default=None)})


def _compared(group: Group, wanted: str) -> Group:
    """The group with the revision that its pods are compared with."""
    assert group.generations is not None
    return replace(group, generations=replace(group.generations, wanted=wanted), in_wanted=bool(wanted))


def _beside(state: State, found: WayBack) -> str:
    """The revision that it is compared with, though there may be no way back to it."""
    return state.stable if state.is_in_flight else found.hash


def _served_until(state: State, found: WayBack) -> float | None:
    """When the wanted revision was replaced at the earliest; None if by the current one, or if it serves still.

    One that was brought out in between and aborted did not replace it; the cluster does not say which were.
    """
    numbers = [each.hash for each in state.generations]
    if state.is_in_flight or found.hash not in numbers:
        return None
    after = state.generations[numbers.index(found.hash) + 1]
    return None if after.hash == state.current else after.created_at


def _brought_out(state: State, group: Group) -> float | None:
    """When the current revision was: a ReplicaSet that is used again, or tried again, is older than its pods."""
    created = [seconds(mapping(pod, "metadata").get("creationTimestamp")) for pod in group.current]
    found = state.generation(state.current)
    times = [moment for moment in created if moment is not None]
    return min(times) if times else found.created_at if found else None
