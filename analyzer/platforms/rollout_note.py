"""Why something was done to a Rollout, left on it: a patch of its status carries no reason of its own."""

import time
from collections.abc import Mapping

from analyzer.errors import PlatformConflict, PlatformError
from analyzer.model.target import ActionKind, Intent
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.cluster_event import LONGEST, event_about
from analyzer.platforms.parts import mapping

TAKEN_BACK = "canary-analyzer.io/taken-back"
"""The annotation that says why a revision was taken back."""
_WORDS = {
    ActionKind.PAUSE: ("canary-analyzer.io/paused", "PausedByAnalyzer", "Warning"),
    ActionKind.PROMOTE: ("canary-analyzer.io/promoted", "PromotedByAnalyzer", "Normal"),
}
"""Annotation, reason and type of the Event."""


async def leave_note(cluster: Cluster, where: str, intent: Intent) -> str:
    """Leave the reason on the Rollout at this path, and among its Events; what could not be left is said, as
    "; why …", or nothing."""
    annotation, event, kind = words(intent.kind)
    reason = f"canary-analyzer {intent.analysis}: {intent.reason}"[:LONGEST]
    try:
        live = await cluster.merge(where, {"metadata": {"annotations": {annotation: reason}}})
        namespace = str(mapping(live, "metadata").get("namespace"))
        await cluster.create(path("v1", "events", namespace), _event(live, intent, reason, event, kind))
    except PlatformConflict:
        pass  # it was told before this process went on from there
    except PlatformError as error:
        return f"; why could not be written beside it: {error}"
    return ""


async def leave(cluster: Cluster, where: str, annotations: Mapping[str, str]) -> str:
    """Leave annotations on the Rollout at this path; as `leave_note` where they could not be left."""
    try:
        await cluster.merge(where, {"metadata": {"annotations": dict(annotations)}})
    except PlatformError as error:
        return f"; why could not be written beside it: {error}"
    return ""


def words(kind: ActionKind) -> tuple[str, str, str]:
    """The annotation, the Event's reason and its type for an act of this kind."""
    return _WORDS.get(kind, (TAKEN_BACK, "TakenBack", "Warning"))


def _event(live: Object, intent: Intent, reason: str, word: str, kind: str) -> Object:
    metadata = mapping(live, "metadata")
    name = str(metadata.get("name"))
    involved = {"apiVersion": live.get("apiVersion"), "kind": live.get("kind"), "name": name}
    involved |= {key: metadata.get(key) for key in ("namespace", "uid", "resourceVersion")}
    name = f"{name}.{intent.analysis or intent.from_revision.digest}"
    return event_about(involved, name, reason=word, message=reason, kind=kind, at=time.time())
