"""Which generation of a workload an earlier sync has brought out.

The manifests of an earlier Git revision are known to Argo CD's repo-server alone. What the cluster keeps of a workload
(ReplicaSets, ControllerRevisions) tells when each generation was made, and the order in which they served.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer.platforms.cluster import Cluster, Object
from analyzer.platforms.parts import mapping, number, seconds
from analyzer.platforms.pod_health import wanted as wanted_pods
from analyzer.platforms.pods import Group, ReleasePods
from analyzer.platforms.rollout_state import HASH, State
from analyzer.platforms.workloads import Workload, is_serving, name_of, observed, owned, ready_since

_REVISIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")
_HASHES = {"Deployment": "pod-template-hash", "Rollout": HASH, "DaemonSet": "controller-revision-hash"}
_SKEW = 2.0  # seconds between the clocks of Argo CD and of the API server


@dataclass(frozen=True)
class _Made:
    """One generation. `order` grows with each time that one is brought out; one that is used again gets a new one."""

    hash: str
    order: float
    at: float


class ApplicationPods:
    """Reads the pods of an Application's workloads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def look(self, workloads: Sequence[Workload], replaced_at: float | None) -> tuple[Group, ...]:
        """The workloads as they are, with the generation that served until `replaced_at` (Unix seconds; None: none
        is known) as the wanted one.

        Raises:
            PlatformError: they cannot be read; the sentence says why.
        """
        groups = await ReleasePods(self._cluster).look(workloads, ())
        return tuple(_compared(group, replaced_at) for group in groups)


def _compared(group: Group, replaced_at: float | None) -> Group:
    if group.live is None or group.generations is None or replaced_at is None:
        return group
    found = wanted_generation(group, owned(group.sets, group.live), replaced_at)
    return replace(group, generations=replace(group.generations, wanted=found), in_wanted=bool(found))


def wanted_generation(group: Group, sets: Sequence[Object], replaced_at: float) -> str:
    """The hash of the generation that served until then; the current one's where it has served since before; empty
    where none is kept. Pure."""
    assert group.live is not None
    assert group.generations is not None
    current = group.generations.current
    if group.workload.kind == "Rollout" and (state := State(group.live, ())).is_in_flight:
        return state.stable
    made = [_made(group.workload.kind, each) for each in sets]
    now = next((each for each in made if each.hash == current), None)
    if now is not None and _since(now, made, group) < replaced_at - _SKEW:
        return current
    before = [each for each in made if each.hash != current and each.at < replaced_at]
    return max(before, key=lambda each: each.order).hash if before else ""


def _since(now: _Made, made: Sequence[_Made], group: Group) -> float:
    """Since when the current generation serves: one that is used again is older than its pods."""
    if all(each.at <= now.at for each in made):
        return now.at
    pods = [seconds(mapping(pod, "metadata").get("creationTimestamp")) for pod in group.current]
    return min((at for at in pods if at is not None), default=now.at)


def _made(kind: str, found: Object) -> _Made:
    metadata, annotations = mapping(found, "metadata"), mapping(found, "metadata", "annotations")
    told = next((annotations[name] for name in _REVISIONS if name in annotations), found.get("revision"))
    labels = mapping(found, "metadata", "labels")
    # A StatefulSet's pods bear the whole name of the ControllerRevision.
    hash_ = name_of(found) if kind == "StatefulSet" else str(labels.get(_HASHES[kind]) or "")
    return _Made(hash_, number(told, 0.0), seconds(metadata.get("creationTimestamp")) or 0.0)


def unsettled(groups: Sequence[Group]) -> str:
    """Which workloads do not serve by their newest generation alone: a sentence's part, empty if all do. Pure."""
    return ", ".join(str(group.workload) for group in groups if group.live is not None and not _is_settled(group))


def _is_settled(group: Group) -> bool:
    """What a person holds back (a partition, a pause) is not waited for."""
    assert group.live is not None
    ready = [pod for pod in group.current if ready_since(pod) is not None]
    others = [pod for pod in group.other if is_serving(pod)]
    wanted = wanted_pods(group.live)
    is_held = group.live.get("kind") != "DaemonSet" and wanted < _replicas(group.live)
    return observed(group.live) and len(ready) >= wanted and (is_held or not others)


def _replicas(live: Object) -> int:
    return int(number(mapping(live, "spec").get("replicas"), 1))
