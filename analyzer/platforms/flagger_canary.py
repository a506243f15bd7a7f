"""A Canary of Flagger: what it is for, how far it is, and who is asked of it. Reading it is pure.

The facts about its status are those of Flagger 1.36 (`flagger.app/v1beta1`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.errors import NoRelease, PlatformError
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import items, mapping, seconds
from analyzer.platforms.workloads import observed

API = "flagger.app/v1beta1"
ROLLOUT = "rollout"
"""What a webhook without a type is."""
_UNDER_WAY = frozenset({"Progressing", "WaitingPromotion"})
"""The phases in which a new revision serves beside the primary, and nothing is decided."""
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Canary:
    """A Canary as it is now."""

    live: Object

    @property
    def name(self) -> str:
        """Its name, which need not be the Deployment's."""
        return str(mapping(self.live, "metadata").get("name") or "")

    @property
    def deployment(self) -> str:
        """The Deployment in which new revisions are brought out; empty where its target is another kind."""
        target = mapping(self.live, "spec", "targetRef")
        return str(target.get("name") or "") if target.get("kind") == "Deployment" else ""

    @property
    def primary(self) -> str:
        """The Deployment that Flagger makes of the last good revision."""
        return f"{self.deployment}-primary"

    @property
    def phase(self) -> str:
        """Flagger's word: Initialized, Waiting, Progressing, WaitingPromotion, Promoting, Finalising, Succeeded, …"""
        return str(mapping(self.live, "status").get("phase") or "")

    @property
    def is_under_way(self) -> bool:
        """Whether a new revision is being looked at."""
        return self.phase in _UNDER_WAY

    @property
    def since(self) -> str:
        """Since when, as the API writes it: the condition turns when a try begins, and when it ends."""
        told = next((each for each in items(mapping(self.live, "status").get("conditions")) if _is_promoted(each)), {})
        return str(told.get("lastTransitionTime") or "")

    @property
    def began_at(self) -> float | None:
        """The same in Unix seconds."""
        return seconds(self.since)

    def asked_by(self, metadata: Mapping[str, str]) -> frozenset[str]:
        """The types of its webhooks that send just this metadata: what an answer means depends on the type."""
        hooks = items(mapping(self.live, "spec", "analysis").get("webhooks"))
        return frozenset(str(each.get("type") or ROLLOUT) for each in hooks if mapping(each, "metadata") == metadata)

    @property
    def over(self) -> str:
        """Why there is nothing to analyse, a sentence; empty: there is."""
        if not self.deployment:
            kind = mapping(self.live, "spec", "targetRef").get("kind")
            return f"Canary {self.name} is for a {kind}, and only those for a Deployment are analysed"
        if not self.is_under_way:
            return f"no new revision of Canary {self.name} is being looked at (phase {self.phase or 'none yet'})"
        return ""


@dataclass(frozen=True)
class Try:
    """A try at a new revision. `id` tells it from an earlier one at the same revision; empty: `why` there is none."""

    canary: Canary
    id: str = ""
    why: str = ""


async def canary_of(cluster: Cluster, namespace: str, name: str) -> Canary:
    """A Canary as the API server has it.

    Raises:
        NoRelease: there is none of this name.
        PlatformError: it cannot be asked.
    """
    live = await cluster.get(path(API, "canaries", namespace, name))
    if live is None:
        raise NoRelease(f"there is no Canary {name} in namespace {namespace}")
    return Canary(live)


async def try_of(cluster: Cluster, namespace: str, name: str) -> Try:
    """Which try is under way.

    A revision that has failed may be brought out again after another one: its checksum is the same, the number of the
    Deployment's revision is not. Where only a ConfigMap has changed, the number is the same, the beginning is not.

    Raises:
        PlatformError: as for `canary_of`.
    """
    canary = await canary_of(cluster, namespace, name)
    if canary.over:
        return Try(canary, why=canary.over)
    live = await cluster.get(path("apps/v1", "deployments", namespace, canary.deployment))
    if live is None:
        raise PlatformError(f"there is no Deployment {canary.deployment} in namespace {namespace}")
    number = number_of(live)
    if not observed(live) or not number or not canary.since:
        return Try(canary, why=f"the newest change of {canary.deployment} has not been seen by the cluster yet")
    return Try(canary, f"{mapping(canary.live, 'metadata').get('uid')}/{number}/{canary.since}")


def number_of(live: Object) -> str:
    """The number of a Deployment's revision; empty before there is one."""
    return str(mapping(live, "metadata", "annotations").get(_REVISION) or "")


def _is_promoted(condition: Object) -> bool:
    return condition.get("type") == "Promoted"
