"""Why something was done to a Rollout, left on it: a patch of its status carries no reason of its own."""

from collections.abc import Mapping
from datetime import UTC, datetime

from analyzer.errors import PlatformConflict, PlatformError
from analyzer.model.target import ActionKind, Intent
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import mapping

TAKEN_BACK = "canary-analyzer.io/taken-back"
"""The annotation that says why a revision was taken back."""
_WORDS = {
    ActionKind.PAUSE: ("canary-analyzer.io/paused", "PausedByAnalyzer", "Warning"),
    ActionKind.PROMOTE: ("canary-analyzer.io/promoted", "PromotedByAnalyzer", "Normal"),
}
"""Annotation, reason and type of the Event."""
_LONGEST = 1000  # characters of a reason on the object


async def leave_note(cluster: Cluster, where: str, intent: Intent) -> str:
    """Leave the reason on the Rollout at this path, and among its Events; what could not be left is said, as
    "; why …", or nothing."""
    annotation, event, kind = words(intent.kind)
    reason = f"canary-analyzer {intent.analysis}: {intent.reason}"[:_LONGEST]
    try:
        live = await cluster.merge(where, {"metadata": {"annotations": {annotation: reason}}})
        namespace = str(mapping(live, "metadata").get("namespace"))
        told = _event(live, intent, reason) | {"reason": event, "type": kind}
        await cluster.create(path("v1", "events", namespace), told)
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


def _event(live: Object, intent: Intent, reason: str) -> Object:
    metadata = mapping(live, "metadata")
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{intent.analysis or intent.from_revision.digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": live.get("apiVersion"),
            "kind": live.get("kind"),
            "name": name,
            "namespace": namespace,
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        },
        "message": reason,
        "source": {"component": "canary-analyzer"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
