"""An Argo Rollout: what is on its way, whose pods are whose, and taking it back. Through the API server alone."""

import json
import time
from dataclasses import dataclass, replace

from analyzer.errors import NoRelease, PlatformForbidden
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.reading import Missing, Pods
from analyzer.model.target import Confirm, Deployment, Intent, PlatformKind, Receipt, Target, at_any_time
from analyzer.platforms import ownership
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.parts import mapping, seconds
from analyzer.platforms.pods import Group, ReleasePods, health, sides
from analyzer.platforms.rights import Right, missing, sentence
from analyzer.platforms.rollout_control import RolloutControl, promoted
from analyzer.platforms.rollout_state import State, sets_of
from analyzer.platforms.storm import SPAN, storm
from analyzer.platforms.verdicts import Verdicts, recent_failures
from analyzer.platforms.workloads import Workload

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
    promoted there is no way back here: which earlier revision was good the cluster does not say. Without a namespace
    in `target`, that of the kubeconfig's context applies.
    """

    def __init__(self, target: Target, cluster: Cluster, settings: RolloutSettings | None = None) -> None:
        self._target = target
        self._cluster = cluster
        self._settings = settings or RolloutSettings()

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
        no_way_back = self._no_way_back(state, namespace)
        obstacles, cautions = await self._obstacles(state, namespace)
        return Deployment(
            target=self._target,
            current=current,
            wanted=None if no_way_back else state.revision(state.stable),
            no_way_back=no_way_back,
            history=tuple(state.revision(each.hash) for each in state.generations),
            taken_back=self._taken_back(state),
            stage=state.stage,
            labels={LABEL: (state.current, state.stable)} if state.is_in_flight else {},
            pods=sides((_compared(group, state.stable if state.is_in_flight else ""),), namespace),
            no_pods=f"the controller of Argo Rollouts has made no pods of {self._target} yet",
            obstacles=obstacles,
            cautions=cautions,
        )

    async def _state(self) -> tuple[State, Group]:
        namespace = await self.namespace()
        workload = Workload("Rollout", API, namespace, self._target.name, {})
        (group,) = await ReleasePods(self._cluster).look((workload,), ())
        if group.live is None:
            raise NoRelease(f"there is no Rollout {self._target.name} in namespace {namespace}")
        sets = await self._cluster.items(path("apps/v1", "replicasets", namespace), sets_of(group.live))
        return State.of(group.live, sets), group

    def _no_way_back(self, state: State, namespace: str) -> str:
        asked = self._settings.to_revision
        if not state.stable:
            return f"{self._target} has no stable revision yet: this is its first"
        if not state.is_in_flight:
            return promoted(self._target, namespace)
        stable = state.revision(state.stable).number
        if asked is not None and str(asked) != stable:
            return f"an abort of {self._target} goes back to revision {stable}, the stable one, and not to {asked}"
        return ""

    def _taken_back(self, state: State) -> str:
        if not state.is_aborted:
            return ""
        return (
            f"revision {state.revision(state.current).number} of {self._target} was aborted already "
            f"({state.message or state.phase}): retry it, or bring out another one"
        )

    async def _obstacles(self, state: State, namespace: str) -> tuple[tuple[Obstacle, ...], tuple[str, ...]]:
        """An abort holds whoever brings the revision out, for it is no change of what was written."""
        written = {"apiVersion": API, "kind": "Rollout", "metadata": state.live["metadata"], "spec": {"template": {}}}
        standing = await ownership.look(self._cluster, json.dumps(written), namespace)  # JSON is YAML
        obstacles = [each for each in standing.obstacles if each.guard != Guard.GITOPS_OWNER]
        cautions = [standing.unseen] if standing.unseen else []
        if standing.owner:
            cautions.append(f"after an abort: {standing.owner.reason}")
        elif state.helm_release:
            cautions.append(f"after an abort: helm rollback {state.helm_release} takes it out of the phase Degraded")
        if state.is_paused:
            cautions.append(f"{self._target} is paused (spec.paused): until it is resumed, an abort moves no pod")
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
        rights = [Right("argoproj.io", "rollouts/status", "patch", namespace, self._target.name)]
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
        """Abort what is on its way; see the port."""
        return await (await self._control()).take_back(intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """What became of an abort that was begun by a process that is no more; see the port."""
        return await (await self._control()).settle(intent, confirm)

    async def _control(self) -> RolloutControl:
        return RolloutControl(self._cluster, self._target, await self.namespace(), self._settings.timeout)


def _compared(group: Group, wanted: str) -> Group:
    """The group with the revision that its pods are compared with."""
    assert group.generations is not None
    return replace(group, generations=replace(group.generations, wanted=wanted), in_wanted=bool(wanted))


def _brought_out(state: State, group: Group) -> float | None:
    """When the current revision was: a ReplicaSet that is used again, or tried again, is older than its pods."""
    created = [seconds(mapping(pod, "metadata").get("creationTimestamp")) for pod in group.current]
    found = state.generation(state.current)
    times = [moment for moment in created if moment is not None]
    return min(times) if times else found.created_at if found else None
