"""What speaks against taking an Argo CD Application back, and what is to be told although it does not."""

import json
import time
from collections.abc import Sequence

from analyzer.errors import PlatformForbidden
from analyzer.model.gitops import GitOpsMode
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.target import Target
from analyzer.platforms import ownership
from analyzer.platforms.application_state import Generation, State, one_line
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.migration_words import in_name
from analyzer.platforms.parts import items, mapping
from analyzer.platforms.storm import SPAN, storm
from analyzer.platforms.verdicts import Judged, recent_failures, repeats

Told = tuple[tuple[Obstacle, ...], tuple[str, ...]]
"""Obstacles, and cautions."""

_RUNS = frozenset({"Job", "Pod", "Workflow"})
_WITH_A_SYNC = frozenset({"PreSync", "Sync", "PostSync"})


async def look(cluster: Cluster, target: Target, namespace: str, state: State, mode: GitOpsMode) -> Told:
    """All that is known now. What may not be looked at is a caution.

    Raises:
        PlatformUnavailable: the cluster cannot be asked now.
    """
    held, unseen = await _hold(cluster, state)
    stormy, unknown = await _storm(cluster, target, namespace)
    found = ((Guard.STOPPED, held), (Guard.MIGRATION, migration(state)), (Guard.GITOPS_OWNER, owned(state, mode)))
    obstacles = tuple(
        Obstacle(guard=guard, reason=reason) for guard, reason in (*found, (Guard.STORM, stormy)) if reason
    )
    return obstacles, tuple(each for each in (unseen, unknown) if each)


async def _hold(cluster: Cluster, state: State) -> tuple[str, str]:
    """Why a person holds it, its workloads or their namespace; and what may not be looked at."""
    if held := ownership.hold([state.live]):
        return held, ""
    if state.elsewhere:
        return "", ""
    documents = [
        {
            "apiVersion": each.api_version,
            "kind": each.kind,
            "metadata": {"name": each.name, "namespace": each.namespace},
            "spec": {"template": {}},
        }
        for each in state.workloads
    ]
    manifest = "\n---\n".join(map(json.dumps, documents))  # JSON is YAML
    standing = await ownership.look(cluster, manifest, state.destination)
    return standing.hold, standing.unseen


async def _storm(cluster: Cluster, target: Target, namespace: str) -> tuple[str, str]:
    """Among the Applications of the same namespace; and why that is not known."""
    now = time.time()
    try:
        failures = await recent_failures(cluster, namespace, now - SPAN)
    except PlatformForbidden as error:
        return "", f"whether other targets fail as well could not be looked at: {error}"
    return storm([(name, judged.at) for name, judged in failures if name != str(target)], now), ""


def owned(state: State, mode: GitOpsMode) -> str:
    """Why a GitOps owner speaks against it: this Application itself, unless told to act through it, or its own owner.

    Pure, as what follows.
    """
    name = mapping(state.live, "metadata").get("name")
    if mode == GitOpsMode.HOLD:
        return (
            f"Argo CD's Application {name} is not touched unless told so: revert the change in Git, or let the "
            "analyzer act through it by --gitops suspend, rollback, revert or propose"
        )
    changes = mode == GitOpsMode.SUSPEND or (mode == GitOpsMode.ROLLBACK and state.automated is not None)
    parent = _parent(state) if changes else ""
    return parent and (
        f"Application {name} belongs to the {parent}, which would undo a change of it; revert the change in Git, or "
        "let the analyzer do so by --gitops revert or propose"
    )


def _parent(state: State) -> str:
    for each in items(mapping(state.live, "metadata").get("ownerReferences")):
        if each.get("kind") == "ApplicationSet":
            return f"ApplicationSet {each.get('name')}"
    owner = ownership.owner([state.live])
    return str(owner) if owner else ""


def migration(state: State) -> str:
    """Why going back may meet a database that was changed: a Job that looks like a migration ran with the sync."""
    told = mapping(state.live, "status", "operationState", "syncResult")
    hooks = [each for each in items(told.get("resources")) if each.get("hookType") in _WITH_A_SYNC]
    jobs = [each for each in items(mapping(state.live, "status").get("resources")) if each.get("kind") == "Job"]
    for each in (*hooks, *jobs):
        if each.get("kind") in _RUNS and (why := in_name(str(each.get("name") or ""))):
            return (
                f"{each.get('kind')} {one_line(each.get('name'))}, which ran with the sync, {why}: it may have "
                "migrated a database that the previous revision does not understand any more"
            )
    return ""


def repetition(judged: Sequence[Judged], current: Generation) -> str:
    """Whether just this was brought out before, and judged bad: a sentence, empty if not."""
    earlier = [each for each in judged if each.at < (current.started_at or 0.0)]
    before = repeats(earlier, current.digest)
    return f"the same revision was judged bad before: {before.reason}" if before else ""
