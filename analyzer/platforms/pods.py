"""The pods of a release as the cluster has them now: whose they are, and how they fare."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from analyzer.concurrency import together
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.target import PodSides
from analyzer.platforms import pod_health
from analyzer.platforms.cluster import Cluster, Object, path, selector
from analyzer.platforms.workloads import (
    BY_NAME,
    Generations,
    Workload,
    covers,
    either,
    exactly,
    is_serving,
    name_of,
    observed,
    of_controller_revisions,
    of_replica_sets,
    owns,
    ready_since,
)

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that the cluster's controllers get to see a new generation."""
_PAUSE = 0.25


@dataclass(frozen=True)
class Group:
    """One workload and its pods now. `live` is None where it does not exist (yet, or any more).

    `sets` are the ReplicaSets, or ControllerRevisions, under its selector; others' may be among them.
    """

    workload: Workload
    live: Object | None = None
    generations: Generations | None = None
    pods: tuple[Object, ...] = ()
    sets: tuple[Object, ...] = ()
    in_wanted: bool = False  # the wanted revision has this workload too

    @property
    def current(self) -> list[Object]:
        """The pods of the current revision."""
        return [pod for pod in self.pods if self.generations and self._hash(pod) == self.generations.current]

    @property
    def old(self) -> list[Object]:
        """The pods of the wanted revision that are still there; none where the upgrade has not changed them."""
        if self.generations is None or not self.generations.changed:
            return []
        return [pod for pod in self.pods if self._hash(pod) == self.generations.wanted]

    @property
    def other(self) -> list[Object]:
        """All pods that are not of the current revision."""
        return [pod for pod in self.pods if self.generations and self._hash(pod) != self.generations.current]

    def _hash(self, pod: Object) -> str:
        return self.generations.hash_of(pod) if self.generations else ""


@dataclass
class ReleasePods:
    """Reads the pods of a release's workloads. `pause` waits for so many seconds between two looks."""

    cluster: Cluster
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def look(self, current: Sequence[Workload], wanted: Sequence[Workload]) -> tuple[Group, ...]:
        """The workloads of the current revision, with those of the wanted one beside them.

        Waits a few seconds for the cluster's controllers to see a change that is younger than they are quick.

        Raises:
            PlatformError: they cannot be read; the sentence says why.
        """
        before = {each.key: each for each in wanted}
        return tuple(await together(*(self._group(each, before.get(each.key)) for each in current)))

    async def _group(self, workload: Workload, wanted: Workload | None) -> Group:
        where = path(workload.api_version, workload.resource, workload.namespace, workload.name)
        live = await self._patiently(lambda: self.cluster.get(where), lambda found: found is None or observed(found))
        if live is None:
            return Group(workload, in_wanted=wanted is not None)
        spec = live.get("spec") or {}
        chosen = spec.get("selector") or {}
        labels = {"labelSelector": selector(chosen.get("matchLabels"), chosen.get("matchExpressions"))}
        (generations, sets), pods = await together(
            self._generations(workload, live, wanted, labels),
            self.cluster.items(path("v1", "pods", workload.namespace), labels),
        )
        owned = [pod for pod in pods if owns(live, generations, pod)]
        return Group(workload, live, generations, tuple(owned), tuple(sets), in_wanted=wanted is not None)

    async def _generations(
        self, workload: Workload, live: Object, wanted: Workload | None, labels: dict[str, str]
    ) -> tuple[Generations, list[Object]]:
        """With the ReplicaSets, or ControllerRevisions, that tell them."""
        if workload.kind in BY_NAME:
            where = path("apps/v1", "replicasets", workload.namespace)

            async def read() -> tuple[Generations, list[Object]]:
                sets = await self.cluster.items(where, labels)
                return of_replica_sets(workload, live, sets, wanted), sets

            paused = bool((live.get("spec") or {}).get("paused"))
            return await self._patiently(read, lambda found: paused or bool(found[0].current))
        where = path("apps/v1", "controllerrevisions", workload.namespace)
        revisions = await self.cluster.items(where, labels)
        return of_controller_revisions(workload, live, revisions, wanted), revisions

    async def _patiently(self, read: Callable[[], Awaitable[T]], is_there: Callable[[T], bool]) -> T:
        """What is read, once it is there; after a few seconds as it is."""
        for _ in range(round(PATIENCE / _PAUSE)):
            found = await read()
            if is_there(found):
                return found
            await self.pause(_PAUSE)
        return await read()


def sides(groups: Sequence[Group], namespace: str) -> PodSides | None:
    """Which pods are whose, of the workloads that the upgrade has changed; None where it has changed none."""
    changed = [group for group in groups if group.generations and (group.generations.changed or not group.in_wanted)]
    compared = [group for group in changed if group.in_wanted]
    if not changed:
        return None
    told = compared or changed
    return PodSides(
        namespace=_namespace(told, namespace),
        canary=either(_canary(group) for group in told),
        baseline=either(_baseline(group) for group in compared),
        past=either(_past(group) for group in compared),
        whole=either(group.generations.whole for group in told if group.generations),
        alone_since=_alone_since(told),
        shares_names=any(group.generations is not None and not group.generations.by_name for group in told),
        foreign=foreign(told),
    )


def remaining(groups: Sequence[Group], namespace: str) -> PodSides | None:
    """An upgrade that has only taken workloads away is compared by the pods that are left: with their own past."""
    left = [group for group in groups if group.generations]
    if not left:
        return None
    pods = either(_past(group) for group in left)
    return PodSides(namespace=_namespace(left, namespace), canary=pods, past=pods)


def _namespace(groups: Sequence[Group], namespace: str) -> str:
    return next((group.workload.namespace for group in groups), namespace)


def _canary(group: Group) -> str:
    assert group.generations is not None
    if group.generations.by_name:
        return group.generations.pattern(group.generations.current)
    return exactly(name_of(pod) for pod in group.current)


def _baseline(group: Group) -> str:
    """Only while one of its pods serves: what is not there is not waited for."""
    assert group.generations is not None
    serving = [pod for pod in group.old if is_serving(pod)]
    if not serving:
        return ""
    if group.generations.by_name:
        return group.generations.pattern(group.generations.wanted)
    return exactly(name_of(pod) for pod in serving)


def _past(group: Group) -> str:
    assert group.generations is not None
    return group.generations.past


def _alone_since(groups: Sequence[Group]) -> float | None:
    """Since when only the current revision serves: its last pod became ready then. None while another pod serves."""
    if any(is_serving(pod) for group in groups for pod in group.other):
        return None
    since = [ready for group in groups for pod in group.current if (ready := ready_since(pod)) is not None]
    return max(since, default=None)


def absent(groups: Sequence[Group]) -> str:
    """Which workloads the cluster does not have (yet, or any more); empty if none."""
    names = ", ".join(str(group.workload) for group in groups if group.live is None)
    return names and f"the cluster has no workload of the release: {names}"


def foreign(groups: Sequence[Group]) -> str:
    """Which workloads somebody has changed past Helm, so that their pods are not what was upgraded; empty if none."""
    names = ", ".join(
        str(group.workload)
        for group in groups
        if group.live is not None
        and not covers((group.live.get("spec") or {}).get("template"), group.workload.template)
    )
    return names and (
        f"the pods of {names} are not what the revision's manifest says: something other than Helm has changed them "
        "(kubectl rollout undo or set image, a webhook)"
    )


def health(groups: Sequence[Group]) -> tuple[Pods | Missing, Pods | None]:
    """How the pods of both revisions fare, over all workloads."""
    live = [group for group in groups if group.live is not None and group.generations is not None]
    if not live:
        return Missing(why=Absence.NO_SERIES, detail=absent(groups) or "the release has no workloads"), None
    canary = _sum([_fare(group, group.current, current=True) for group in live])
    old = [_fare(group, group.other, current=False) for group in live if group.other]
    return canary, _sum(old) if old else None


def _fare(group: Group, pods: Sequence[Object], *, current: bool) -> Pods:
    assert group.live is not None
    wanted = pod_health.wanted(group.live) if current else len(pods)
    return pod_health.pods_of(pods, wanted, pod_health.overdue(group.live) if current else "")


def _sum(parts: Sequence[Pods]) -> Pods:
    return Pods(
        wanted=sum(part.wanted for part in parts),
        ready=sum(part.ready for part in parts),
        total=sum(part.total for part in parts),
        restarts=sum(part.restarts for part in parts),
        oom_kills=sum(part.oom_kills for part in parts),
        troubles=tuple(trouble for part in parts for trouble in part.troubles),
        overdue="; ".join(part.overdue for part in parts if part.overdue),
    )
